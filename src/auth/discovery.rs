//! What apps need to know of the server, in three documents: what works, and nothing else.
//!
//! Source: <https://hl7.org/fhir/smart-app-launch/STU2.2/conformance.html>, RFC 8414, OpenID Connect Discovery 1.0.

use super::endpoint::GRANTS;
use super::token::Parties;
use serde_json::{Value, json};

/// What SMART calls what is here.
const CAPABILITIES: [&str; 19] = [
    "launch-ehr",
    "launch-standalone",
    "authorize-post",
    "client-public",
    "client-confidential-symmetric",
    "client-confidential-asymmetric",
    "sso-openid-connect",
    "context-banner",
    "context-style",
    "context-ehr-patient",
    "context-ehr-encounter",
    "context-standalone-patient",
    "context-standalone-encounter",
    "permission-offline",
    "permission-online",
    "permission-patient",
    "permission-user",
    "permission-v1",
    "permission-v2",
];

/// What all of them say.
fn metadata(parties: &Parties) -> Value {
    let methods = ["client_secret_basic", "client_secret_post", "private_key_jwt", "none"];
    json!({
        "issuer": parties.issuer,
        "jwks_uri": parties.url("/auth/jwks"),
        "authorization_endpoint": parties.url("/auth/authorize"),
        "token_endpoint": parties.token_endpoint(),
        "introspection_endpoint": parties.url("/auth/introspect"),
        "revocation_endpoint": parties.url("/auth/revoke"),
        "token_endpoint_auth_methods_supported": methods,
        "token_endpoint_auth_signing_alg_values_supported": ["RS384", "ES384"],
        "grant_types_supported": GRANTS,
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "scopes_supported": [
            "openid", "fhirUser", "profile", "launch", "launch/patient", "launch/encounter", "online_access", "offline_access",
            "patient/*.cruds", "user/*.cruds", "system/*.cruds", "patient/*.rs", "user/*.rs", "system/*.rs",
            "patient/*.read", "user/*.read", "system/*.read", "patient/*.write", "user/*.write", "system/*.write",
        ],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
    })
}

fn with(mut document: Value, more: Value) -> Value {
    if let (Some(document), Value::Object(more)) = (document.as_object_mut(), more) {
        document.extend(more);
    }
    document
}

/// `/fhir/.well-known/smart-configuration`.
#[must_use]
pub fn smart_configuration(parties: &Parties) -> Value {
    let more = json!({"management_endpoint": parties.url("/auth/manage"), "capabilities": CAPABILITIES});
    with(metadata(parties), more)
}

/// `/.well-known/openid-configuration`.
#[must_use]
pub fn openid_configuration(parties: &Parties) -> Value {
    let more = json!({
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "claims_supported": ["iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "fhirUser", "name"],
        "prompt_values_supported": ["none", "login", "consent"],
        "request_parameter_supported": false,
        "request_uri_parameter_supported": false,
    });
    with(metadata(parties), more)
}

/// `/.well-known/oauth-authorization-server`.
#[must_use]
pub fn authorization_server(parties: &Parties) -> Value {
    metadata(parties)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// security R3: Every URL of the documents is absolute.
    #[test]
    fn every_url_is_absolute() {
        let parties = Parties::of("https://baton.example.org");
        for doc in [smart_configuration(&parties), openid_configuration(&parties), authorization_server(&parties)] {
            assert_eq!(doc["token_endpoint"], "https://baton.example.org/auth/token");
            assert_eq!(doc["issuer"], "https://baton.example.org");
            for (member, value) in doc.as_object().unwrap() {
                let is_good = value.is_boolean()
                    || value.as_str().is_some_and(|s| s.starts_with("https://"))
                    || value
                        .as_array()
                        .is_some_and(|a| !a.is_empty() && a.iter().all(|v| v.as_str().is_some_and(|s| !s.is_empty())));
                assert!(is_good, "{member}");
            }
        }
    }
}
