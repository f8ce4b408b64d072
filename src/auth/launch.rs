//! Handles with which an EHR starts an app for the user who is at work in it.
//!
//! One handle is for one app, one user, one patient; it is used once, within five minutes. Nobody else can use it: who logs in at
//! the app's request must be who made the handle, or an attacker could have a victim work in the attacker's launch.
//! Source: <https://hl7.org/fhir/smart-app-launch/STU2.2/app-launch.html#launch-app-ehr-launch>; own API.

use super::AuthState;
use super::bearer::{Asked, LOCAL_CLIENT};
use super::endpoint::{OAuthAnswer, OAuthError, TokenRequest};
use super::token::{hash, random_text};
use crate::access::{Ctx, Limit, Principal};
use crate::clock::Instant;
use crate::error::Result;
use crate::fhir::resource::{is_id, known};
use crate::fhir::{Json, Target};
use crate::store::oauth::Launch;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Seconds that a handle is good.
const SECONDS: i64 = 300;

/// `POST /auth/launch` with a user's token of a first-party client: JSON with `client_id`, `patient`, `encounter`, `intent`,
/// `fhirContext`, `need_patient_banner`, `tenant`. Gives the handle and where to send the browser.
pub async fn mint(state: &AuthState, request: &TokenRequest<'_>, now: Instant) -> OAuthAnswer {
    make(state, request, now).await.unwrap_or_else(OAuthError::answer)
}

async fn make(state: &AuthState, request: &TokenRequest<'_>, now: Instant) -> Result<OAuthAnswer, OAuthError> {
    let asked = Asked { authorization: request.authorization.clone(), ..Asked::default() };
    let principal = match state.bearer(&asked, now).await {
        Ok(principal) => principal,
        Err(error) if error.kind.status() < 500 => return Err(OAuthError::invalid_token()),
        Err(error) => return Err(error.into()),
    };
    let ehr = state.store.oauth_client(&principal.client).await?;
    let is_house = ehr.is_some_and(|c| c.is_first_party || c.id == LOCAL_CLIENT);
    let Some(user) = principal.user.clone().filter(|_| is_house) else {
        let text = "a launch is made by a user who is signed in at a first-party client";
        return Err(OAuthError::new(403, "insufficient_scope", text));
    };
    let body: Map<String, Value> = serde_json::from_slice(request.body)
        .map_err(|_| OAuthError::invalid_request("send JSON: {\"client_id\": \u{2026}, \"patient\": \u{2026}}"))?;
    let text = |name: &str| match body.get(name) {
        None => Ok(String::new()),
        Some(value) => value
            .as_str()
            .filter(|id| is_id(id))
            .map(str::to_owned)
            .ok_or_else(|| OAuthError::invalid_request(format!("{name} is an id"))),
    };
    let client = state.store.oauth_client(&text("client_id")?).await?;
    let client = client.filter(|c| c.is_active && c.may("authorization_code"));
    let client = client.ok_or_else(|| OAuthError::invalid_request("client_id is no app that is registered here"))?;
    let (patient, encounter) = (text("patient")?, text("encounter")?);
    if patient.is_empty() && encounter.is_empty() {
        return Err(OAuthError::invalid_request("patient is missing"));
    }
    let patient = look(state, &principal, &patient, &encounter, now).await?.ok_or_else(|| {
        OAuthError::invalid_request(
            "patient or encounter is not there, or not for you to see, or they are not of each other",
        )
    })?;
    let handle = random_text::<32>()?;
    let launch = Launch {
        hash: hash(&handle),
        client: client.id.clone(),
        user,
        patient,
        encounter,
        context: context(&body)?.to_string(),
        expires: now.plus_seconds(SECONDS).0,
        used: 0,
    };
    state.store.add_launch(&launch, now).await?;
    let mut answer = json!({"launch": handle, "iss": state.parties.audience, "expires_in": SECONDS});
    if let Some(url) = client.launch_uris.first() {
        let sign = if url.contains('?') { '&' } else { '?' };
        let iss = super::page::web::encode(&state.parties.audience);
        answer["url"] = json!(format!("{url}{sign}iss={iss}&launch={handle}"));
    }
    Ok(OAuthAnswer::new(201, &answer))
}

/// The patient of a launch, whom the user may see; without one, whom the encounter is of. `None`: not for the user to see, or the
/// encounter is of somebody else.
async fn look(
    state: &AuthState,
    principal: &Arc<Principal>,
    patient: &str,
    encounter: &str,
    now: Instant,
) -> Result<Option<String>> {
    let ctx = Ctx {
        principal: Arc::clone(principal),
        now,
        address: None,
        request_id: Arc::from("launch"),
        base: Arc::from(state.parties.audience.as_str()),
    };
    let limit = Limit::of(&ctx);
    let read = async |rtype: &'static str, id: &str| -> Result<Option<Json>> {
        let found = state.store.get(&limit, &Target::new(known(rtype), id)).await?;
        found.filter(|v| !v.is_deleted()).map(|v| v.json()).transpose()
    };
    let mut patient = patient.to_owned();
    if !encounter.is_empty() {
        let Some(found) = read("Encounter", encounter).await? else { return Ok(None) };
        let (text, base) = (found["subject"]["reference"].text(), state.parties.audience.as_str());
        let local = text.strip_prefix(base).and_then(|rest| rest.strip_prefix('/')).unwrap_or(text);
        match Target::parse(local).filter(|t| t.rtype == known("Patient")) {
            Some(of) if patient.is_empty() || patient == of.id => patient = of.id,
            _ => return Ok(None),
        }
    }
    Ok(read("Patient", &patient).await?.map(|_| patient))
}

/// What the token response says beside patient and encounter, of the shapes that SMART has.
fn context(body: &Map<String, Value>) -> Result<Value, OAuthError> {
    let mut out = Map::new();
    for name in ["intent", "tenant"] {
        match body.get(name) {
            None => {}
            Some(Value::String(text)) if text.len() <= 255 => drop(out.insert(name.into(), json!(text))),
            Some(_) => return Err(OAuthError::invalid_request(format!("{name} is a text"))),
        }
    }
    match body.get("need_patient_banner") {
        None => {}
        Some(Value::Bool(b)) => drop(out.insert("need_patient_banner".into(), json!(b))),
        Some(_) => return Err(OAuthError::invalid_request("need_patient_banner is true or false")),
    }
    if let Some(list) = body.get("fhirContext") {
        let is_good = |item: &Value| {
            let has = |name: &str| item.get(name).is_some_and(Value::is_string);
            let reference = item.get("reference").and_then(Value::as_str).unwrap_or_default();
            let is_main = reference.starts_with("Patient/") || reference.starts_with("Encounter/");
            let role = item.get("role").and_then(Value::as_str).unwrap_or("launch");
            (has("reference") || has("canonical") || item.get("identifier").is_some_and(Value::is_object))
                && !reference.contains(':')
                && !(is_main && role == "launch")
        };
        let items = list.as_array().filter(|l| l.len() <= 50 && l.iter().all(is_good));
        let items = items.ok_or_else(|| {
            let text = "fhirContext is a list of objects with reference (relative), canonical or identifier; the patient and \
                        encounter of the launch do not stand in it";
            OAuthError::invalid_request(text)
        })?;
        out.insert("fhirContext".into(), json!(items));
    }
    Ok(Value::Object(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// security R34: Launch context has the shapes of SMART: fhirContext is a list of objects, the patient is not in it.
    #[test]
    fn the_context_as_a_table() {
        for (body, is_good) in [
            (r#"{"fhirContext":[{"reference":"Task/1","role":"https://baton.example/handoff"}]}"#, true),
            (r#"{"intent":"review","need_patient_banner":false}"#, true),
            (r#"{"fhirContext":["Task/1"]}"#, false),
            (r#"{"fhirContext":[{"reference":"Patient/1"}]}"#, false),
            (r#"{"fhirContext":[{"reference":"Patient/1","role":"https://x.example"}]}"#, true),
            (r#"{"fhirContext":[{"reference":"https://x.example/Task/1"}]}"#, false),
            (r#"{"fhirContext":{}}"#, false),
            (r#"{"intent":1}"#, false),
            (r#"{"need_patient_banner":"yes"}"#, false),
        ] {
            assert_eq!(context(&serde_json::from_str(body).unwrap()).is_ok(), is_good, "{body}");
        }
    }
}
