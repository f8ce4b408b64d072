//! `/fhir/.well-known/smart-configuration`: what works, and nothing else.
//!
//! Source: <https://hl7.org/fhir/smart-app-launch/STU2.2/conformance.html>.

use super::token::Parties;
use serde_json::{Value, json};

/// The document. `authorization_endpoint`, launch, refresh and OpenID appear here when they are built.
#[must_use]
pub fn smart_configuration(parties: &Parties) -> Value {
    json!({
        "token_endpoint": parties.token_endpoint(),
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": ["RS384", "ES384"],
        "grant_types_supported": ["client_credentials"],
        "scopes_supported": ["system/*.cruds", "system/*.rs", "system/*.read", "system/*.write"],
        "capabilities": ["client-confidential-symmetric", "client-confidential-asymmetric", "permission-v1", "permission-v2"],
        // Required by the specification whatever the grants; says that plain will never be taken.
        "code_challenge_methods_supported": ["S256"]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_url_is_absolute_and_nothing_unbuilt_is_listed() {
        let doc = smart_configuration(&Parties::of("https://baton.example.org"));
        assert_eq!(doc["token_endpoint"], "https://baton.example.org/auth/token");
        for absent in ["authorization_endpoint", "introspection_endpoint", "revocation_endpoint", "issuer", "jwks_uri"]
        {
            assert!(doc.get(absent).is_none(), "{absent} comes when it works");
        }
        for (member, value) in doc.as_object().unwrap() {
            let is_good = value.as_str().is_some_and(|s| s.starts_with("https://"))
                || value
                    .as_array()
                    .is_some_and(|a| !a.is_empty() && a.iter().all(|v| v.as_str().is_some_and(|s| !s.is_empty())));
            assert!(is_good, "{member}");
        }
    }
}
