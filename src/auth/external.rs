//! Access tokens of other issuers, made into the same claims as our own.
//!
//! Only issuers of the settings are looked at, with keys that they publish; the algorithm is the key's. What a claim means stands in
//! the settings: an organisation or role that is not there gives no access. The client must be registered here, and its registration
//! is the most that it can do; the person behind a role must be in the directory.
//! Source: RFC 9068, RFC 8725, OpenID Connect Discovery 1.0; security contract section 5.

use super::client;
use super::jws::Jws;
use super::remote::RemoteKeys;
use super::token::{self, Claims, MAX_BYTES, hash};
use crate::clock::Instant;
use crate::config::Issuer;
use crate::error::{Error, Kind, Result};
use crate::fhir::Json;
use crate::fhir::resource::is_id;
use crate::outbound::fetch::Reach;
use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

/// Clocks may differ so much, in seconds.
const SKEW: i64 = 30;

/// The issuers of the settings.
#[derive(Debug)]
pub struct External {
    issuers: Vec<Issuer>,
    keys: RemoteKeys,
}

impl External {
    /// Of these settings. Their addresses are the operator's own words, so that they may lead inside.
    #[must_use]
    pub fn new(issuers: Vec<Issuer>) -> Self {
        Self { issuers, keys: RemoteKeys::new(Reach::Operator) }
    }

    /// Those of the settings.
    #[must_use]
    pub fn issuers(&self) -> &[Issuer] {
        &self.issuers
    }

    /// The issuer that a token names, before anything of it is believed.
    #[must_use]
    pub fn issuer_of(&self, token: &str) -> Option<&Issuer> {
        if self.issuers.is_empty() {
            return None;
        }
        let jws = Jws::read(token, MAX_BYTES)?;
        let iss = jws.text("iss")?;
        self.issuers.iter().find(|i| i.issuer == iss)
    }

    /// Verifies a token. `audience`: the FHIR base.
    ///
    /// # Errors
    /// Why not, for the log.
    pub async fn verify(
        &self,
        issuer: &Issuer,
        audience: &str,
        token: &str,
        now: Instant,
    ) -> Result<Claims, &'static str> {
        let jws = Jws::read(token, MAX_BYTES).ok_or("not a JWS")?;
        let name = jws.header_text("alg").filter(|a| issuer.algorithms.iter().any(|own| own == a)).ok_or("alg")?;
        let algorithm: Algorithm = name.parse().map_err(|_| "alg")?;
        if !jws.header_text("typ").is_none_or(|t| t.eq_ignore_ascii_case("JWT") || t.eq_ignore_ascii_case("at+jwt")) {
            return Err("typ");
        }
        let kid = jws.header_text("kid").filter(|k| !k.is_empty()).ok_or("kid")?;
        let uri = self.keys_of(issuer, now).await.ok_or("the issuer's keys are nowhere")?;
        let has = |jwks: &str| client::key(jwks, kid, algorithm).is_some();
        let jwks = self.keys.of(&uri, now, has).await.ok_or("the issuer's keys are not to be had")?;
        let key = client::key(&jwks, kid, algorithm).ok_or("unknown key")?;
        if !jws.is_signed_by(&key, algorithm) {
            return Err("signature");
        }
        let audience = issuer.audience.as_deref().unwrap_or(audience);
        let is_ours = match &jws.claims["aud"] {
            Json::Array(list) => list.iter().any(|a| a.as_str() == Some(audience)),
            one => one.as_str() == Some(audience),
        };
        if !is_ours {
            return Err("aud");
        }
        let (iat, exp) = times(&jws, issuer, now)?;
        let says = |name: &str| values(&jws.claims, name);
        let one = |name: &str| says(name).into_iter().next();
        let names = &issuer.claims;
        let mapped = |claim: &str, table: &std::collections::BTreeMap<String, String>| {
            let mut found: Vec<String> = says(claim).iter().filter_map(|v| table.get(v).cloned()).collect();
            found.dedup();
            // Two that mean something here are as bad as none: which of them is it?
            match found.as_slice() {
                [one] => Some(one.clone()),
                _ => None,
            }
        };
        let fhir_user = one(&names.fhir_user).unwrap_or_default();
        let (rest, id) = fhir_user.rsplit_once('/').unwrap_or_default();
        let is_of = |rtype: &str| is_id(id) && (rest == rtype || rest.ends_with(&format!("/{rtype}")));
        let patient = one(&names.patient).or_else(|| is_of("Patient").then(|| id.to_owned()));
        let jti = jws.text("jti").filter(|j| !j.is_empty() && j.len() <= 255);
        Ok(Claims {
            iss: issuer.issuer.clone(),
            sub: jws.text("sub").filter(|s| !s.is_empty() && s.len() <= 255).ok_or("sub")?.to_owned(),
            aud: audience.to_owned(),
            client_id: one(&names.client).filter(|c| is_id(c)).ok_or("client")?,
            exp,
            iat,
            jti: jti.map_or_else(|| hash(token), str::to_owned),
            scope: says(&names.scope).join(" "),
            org: Some(mapped(&names.organization, &issuer.organizations).ok_or("an organisation that is not known")?),
            role: mapped(&names.role, &issuer.roles).ok_or("a role that is not known")?,
            practitioner: is_of("Practitioner").then(|| id.to_owned()),
            grant: None,
            patient: patient.filter(|p| is_id(p)),
            cnf: token::cnf(&jws),
        })
    }

    /// Where an issuer's keys are.
    async fn keys_of(&self, issuer: &Issuer, now: Instant) -> Option<String> {
        match &issuer.jwks_uri {
            Some(uri) => Some(uri.clone()),
            None => self.discovery(issuer, now).await?["jwks_uri"].as_str().map(str::to_owned),
        }
    }

    /// What an issuer says of itself.
    async fn discovery(&self, issuer: &Issuer, now: Instant) -> Option<Value> {
        let address = format!("{}/.well-known/openid-configuration", issuer.issuer.trim_end_matches('/'));
        let read = |text: &str| {
            let document: Value = serde_json::from_str(text).ok()?;
            (document["issuer"] == issuer.issuer.as_str() && document["jwks_uri"].is_string()).then_some(document)
        };
        let text = self.keys.document(&address, now, |text| read(text).is_some()).await?;
        read(&text)
    }

    /// `/fhir/.well-known/smart-configuration` of a server that gives no tokens itself: the endpoints are those of the first issuer, as its
    /// discovery has them, the capabilities those that the settings say it has.
    ///
    /// # Errors
    /// `Busy` while the issuer does not say them.
    pub async fn smart_configuration(&self, now: Instant) -> Result<Value> {
        let issuer = self.issuers.first().ok_or_else(|| Error::fault("without issuers the server does not start"))?;
        let document = self.discovery(issuer, now).await;
        let document = document.ok_or_else(|| {
            Error::new(
                Kind::Busy,
                "the issuer of the tokens does not say where its endpoints are; try again in a minute",
            )
        })?;
        let mut out = json!({"capabilities": issuer.capabilities});
        let has_login = issuer.capabilities.iter().any(|c| c == "sso-openid-connect");
        for name in COPIED {
            let is_of_login = matches!(name, "issuer" | "jwks_uri");
            if let Some(value) = document.get(name).filter(|_| has_login || !is_of_login) {
                out[name] = value.clone();
            }
        }
        // SMART lists S256 and never plain.
        if let Some(methods) = out["code_challenge_methods_supported"].as_array_mut() {
            methods.retain(|m| m != "plain");
        }
        Ok(out)
    }
}

/// Members of a discovery document that SMART has too.
const COPIED: [&str; 13] = [
    "issuer",
    "jwks_uri",
    "authorization_endpoint",
    "token_endpoint",
    "introspection_endpoint",
    "revocation_endpoint",
    "token_endpoint_auth_methods_supported",
    "token_endpoint_auth_signing_alg_values_supported",
    "grant_types_supported",
    "response_types_supported",
    "scopes_supported",
    "code_challenge_methods_supported",
    "authorization_response_iss_parameter_supported",
];

/// `iat` and `exp`, when the token holds now and lives no longer than it may.
fn times(jws: &Jws<'_>, issuer: &Issuer, now: Instant) -> Result<(i64, i64), &'static str> {
    let now = now.0.div_euclid(1_000_000);
    let exp = jws.seconds("exp").ok().flatten().ok_or("exp")?;
    let iat = jws.seconds("iat").ok().flatten().ok_or("iat")?;
    if exp <= now {
        return Err(token::EXPIRED);
    }
    if iat > now + SKEW || now - iat > issuer.max_age_seconds || exp - iat > issuer.max_age_seconds {
        return Err("older, or for longer, than is taken");
    }
    if jws.seconds("nbf").map_err(|_| "nbf")?.is_some_and(|t| t > now + SKEW) {
        return Err("nbf");
    }
    Ok((iat, exp))
}

/// The texts of a claim: one, or a list. `a.b`: of a member.
fn values(claims: &Json, name: &str) -> Vec<String> {
    let mut found = &claims[name];
    if found.is_null()
        && let Some((outer, inner)) = name.split_once('.')
    {
        found = &claims[outer][inner];
    }
    match found {
        Json::Array(list) => list.iter().filter_map(|v| v.as_str().map(str::to_owned)).collect(),
        one => one.as_str().map(str::to_owned).into_iter().collect(),
    }
}
