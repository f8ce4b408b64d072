//! Which patient, which encounter: only those that the user may see.

use super::step::{self, At};
use super::web::{PageRequest, e, problem, redirect};
use crate::access::scope::Action;
use crate::access::{Ctx, Decision, Limit, Role};
use crate::auth::AuthState;
use crate::auth::endpoint::OAuthAnswer;
use crate::auth::people::{born, human_name};
use crate::auth::witness::Scene;
use crate::clock::Instant;
use crate::error::Result;
use crate::fhir::resource::{is_id, known};
use crate::fhir::{Json, Target};
use crate::search::query::{self, Handling};
use crate::search::{Env, Registry};
use crate::store::Version;
use crate::store::audit::Happening;
use crate::store::oauth::User;
use std::sync::{Arc, LazyLock};

static R4: LazyLock<Registry> = LazyLock::new(Registry::builtin);
/// Rows of a list.
const MOST: &str = "20";

/// How far a user sees, before any app narrows it.
async fn limit(state: &AuthState, user: &User, role: Role, now: Instant) -> Result<Option<Limit>> {
    let hidden = state.hidden(role, &format!("user:{}", user.name)).await?;
    let principal = state.principal((user, role, hidden), String::new(), None, None);
    let may = state.policy.judge(&principal).decide(Action::SearchType, Some(known("Patient"))) == Decision::Permit;
    let ctx = Ctx {
        principal: Arc::new(principal),
        now,
        address: None,
        request_id: Arc::from("auth"),
        base: Arc::from(state.parties.audience.as_str()),
    };
    Ok(may.then(|| Limit::of(&ctx)))
}

/// A resource that the user may see.
///
/// # Errors
/// What the store says.
pub async fn visible(
    state: &AuthState,
    (user, role): (&User, Role),
    rtype: &'static str,
    id: &str,
    now: Instant,
) -> Result<Option<Json>> {
    read(state, (user, role), rtype, id, now).await?.map(|v| v.json()).transpose()
}

async fn read(
    state: &AuthState,
    (user, role): (&User, Role),
    rtype: &'static str,
    id: &str,
    now: Instant,
) -> Result<Option<Version>> {
    let Some(limit) = limit(state, user, role, now).await?.filter(|_| is_id(id)) else { return Ok(None) };
    let found = state.store.get(&limit, &Target::new(known(rtype), id)).await?;
    Ok(found.filter(|v| !v.is_deleted()))
}

/// A patient whose name a page is about to show, put on record.
///
/// # Errors
/// What the store says.
pub async fn patient(
    state: &AuthState,
    who: (&User, Role),
    (scene, client): (Scene<'_>, &str),
    id: &str,
    now: Instant,
) -> Result<Option<Json>> {
    let Some(version) = read(state, who, "Patient", id, now).await? else { return Ok(None) };
    let on = version.target.to_string();
    showed(state, (scene, who.0, client), ("read", on, None, vec![version.pk]), now).await?;
    version.json().map(Some)
}

async fn search(
    state: &AuthState,
    (user, role): (&User, Role),
    (scene, client): (Scene<'_>, &str),
    (rtype, pairs): (&'static str, &[(&str, &str)]),
    now: Instant,
) -> Result<Vec<Json>> {
    let Some(limit) = limit(state, user, role, now).await? else { return Ok(Vec::new()) };
    let pairs: Vec<(String, String)> = pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    let env = Env::utc(&state.parties.audience);
    let query = query::parse(&R4, &state.store.keys(), &[known(rtype)], &pairs, &env, Handling::Strict)?;
    let rows = state.store.search(&limit, &query.plan, None).await?.rows;
    let asked = pairs.iter().map(|(n, v)| format!("{n}={v}")).collect::<Vec<_>>().join("&");
    let seen = rows.iter().map(|row| row.pk).collect();
    showed(state, (scene, user, client), ("search-type", rtype.to_owned(), Some(asked), seen), now).await?;
    rows.iter().map(|row| row.json()).collect()
}

/// Puts on record what a page showed of patients; waits, or fails, where that cannot be done.
async fn showed(
    state: &AuthState,
    (scene, user, client): (Scene<'_>, &User, &str),
    (action, on, query, seen): (&str, String, Option<String>, Vec<i64>),
    now: Instant,
) -> Result<()> {
    state.store.admit().await?;
    let mut row = state.of_user(Happening::Login, user, client, now);
    row.action = action.into();
    (row.detail.on, row.detail.query, row.detail.seen) = (on, query, seen);
    state.note(scene, row);
    Ok(())
}

/// The list of patients, by name when one is asked for.
///
/// # Errors
/// What the store says.
pub async fn patients(
    state: &AuthState,
    at: &At,
    who: (&User, Role),
    (name, scene): (&str, Scene<'_>),
    now: Instant,
) -> Result<OAuthAnswer> {
    let words: Vec<String> = name
        .split_whitespace()
        .take(4)
        .map(|w| w.chars().filter(|c| !"\\,|$".contains(*c)).take(40).collect())
        .collect();
    let mut pairs = vec![("_sort", "family"), ("_count", MOST)];
    pairs.extend(words.iter().filter(|w| !w.is_empty()).map(|w| ("name", w.as_str())));
    let found = search(state, who, (scene, &at.client.id), ("Patient", &pairs), now).await?;
    let mut rows = String::new();
    for patient in &found {
        rows.push_str(&format!(
            "<li><button name=\"patient\" value=\"{}\"><strong>{}</strong> <span>{}</span></button></li>",
            e(patient["id"].text()),
            e(&human_name(&patient["name"])),
            e(&born(patient))
        ));
    }
    let list = match found.len() {
        0 => "<p>Nobody of that name is among the patients whom you may see.</p>".to_owned(),
        n => format!(
            "<form method=\"post\" action=\"/auth/pick\">{}<ul class=\"choices\">{rows}</ul></form>{}",
            at.hidden(),
            if n == 20 { "<p>These are the first 20. Search by name for others.</p>" } else { "" }
        ),
    };
    let main = format!(
        "<h1>Choose a patient</h1><p class=\"lead\"><strong>{}</strong> works with one patient at a time.</p>\
         <form method=\"get\" action=\"/auth/step\" class=\"search\" role=\"search\"><input type=\"hidden\" name=\"t\" value=\"{}\">\
         <label for=\"q\">Name</label><div><input id=\"q\" name=\"q\" value=\"{}\" maxlength=\"80\" autocomplete=\"off\">\
         <button type=\"submit\">Search</button></div></form>{list}{}",
        e(&at.client.name),
        at.pending.id,
        e(name),
        cancel(at)
    );
    Ok(at.page(state, 200, "Choose a patient", &main))
}

/// The list of the patient's last encounters; `None`: there is none to choose.
///
/// # Errors
/// What the store says.
pub async fn encounters(
    state: &AuthState,
    at: &At,
    who: (&User, Role),
    scene: Scene<'_>,
    now: Instant,
) -> Result<Option<OAuthAnswer>> {
    let patient = format!("Patient/{}", at.pending.patient);
    let pairs = [("patient", patient.as_str()), ("_sort", "-date"), ("_count", MOST)];
    let found = search(state, who, (scene, &at.client.id), ("Encounter", &pairs), now).await?;
    if found.is_empty() || at.ask.is_silent {
        return Ok(None);
    }
    let mut rows = String::new();
    for encounter in &found {
        let kind = encounter["type"].items().first().map_or("", |t| t["text"].text());
        let kind = if kind.is_empty() { encounter["class"]["display"].text() } else { kind };
        let start = encounter["period"]["start"].text();
        rows.push_str(&format!(
            "<li><button name=\"encounter\" value=\"{}\"><strong>{}</strong> <span>{} \u{b7} {}</span></button></li>",
            e(encounter["id"].text()),
            e(start.get(..10).unwrap_or(start)),
            e(if kind.is_empty() { "Encounter" } else { kind }),
            e(encounter["status"].text())
        ));
    }
    let main = format!(
        "<h1>Choose a visit or stay</h1><form method=\"post\" action=\"/auth/pick\">{}<ul class=\"choices\">{rows}\
         <li><button name=\"encounter\" value=\"-\">None of them</button></li></ul></form>{}",
        at.hidden(),
        cancel(at)
    );
    Ok(Some(at.page(state, 200, "Choose a visit or stay", &main)))
}

/// A way out of each page.
fn cancel(at: &At) -> String {
    format!(
        "<form method=\"post\" action=\"/auth/consent\" class=\"out\">{}<button name=\"decision\" value=\"deny\">Cancel</button></form>",
        at.hidden()
    )
}

/// `POST /auth/pick`.
///
/// # Errors
/// What the store says.
pub async fn post(state: &AuthState, request: &PageRequest<'_>, now: Instant) -> Result<OAuthAnswer> {
    let bad = || problem(400, "This cannot be chosen", "Go back and choose from the list.");
    let Some(form) = request.form() else { return Ok(bad()) };
    let mut at = match step::find(state, request, &form, now).await? {
        Ok(at) => at,
        Err(page) => return Ok(page),
    };
    let Some((user, role)) = at.user.clone().filter(|(_, role)| *role != Role::Patient) else { return Ok(bad()) };
    let who = (&user, role);
    match (form.get("patient"), form.get("encounter")) {
        // A launch says which patient it is about.
        (Some(patient), None) if at.ask.launch.is_empty() || at.pending.patient.is_empty() => {
            if visible(state, who, "Patient", patient, now).await?.is_none() {
                return Ok(bad());
            }
            step::choose(state, &mut at, patient.to_owned(), String::new()).await?;
        }
        (None, Some("-")) => {
            let patient = at.pending.patient.clone();
            step::choose(state, &mut at, patient, "-".into()).await?;
        }
        (None, Some(id)) => {
            let patient = at.pending.patient.clone();
            let found = visible(state, who, "Encounter", id, now).await?;
            if found.is_none_or(|e| e["subject"]["reference"].text() != format!("Patient/{patient}")) {
                return Ok(bad());
            }
            step::choose(state, &mut at, patient, id.to_owned()).await?;
        }
        _ => return Ok(bad()),
    }
    Ok(redirect(&format!("/auth/step?t={}", at.pending.id), Some(&at.ask.redirect_uri)))
}
