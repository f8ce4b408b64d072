//! What the user lets an app do: a tick for each, or no.
//!
//! Source: <https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html>: a user may grant a part.

use super::pick;
use super::step::{self, At};
use super::web::{PageRequest, e};
use super::words::{self, KINDS, Kinds};
use crate::access::scope::{ACCOUNTS, Rights, Scope, Scopes};
use crate::access::{Policy, Role};
use crate::auth::AuthState;
use crate::auth::endpoint::Form;
use crate::auth::endpoint::OAuthAnswer;
use crate::auth::exchange::about;
use crate::auth::people::{born, display, human_name};
use crate::auth::token::{hash, random_text};
use crate::auth::witness::Scene;
use crate::clock::Instant;
use crate::error::Result;
use crate::fhir::ResourceType;
use crate::store::audit::Happening;
use crate::store::oauth::{Code, Grant, User};
use serde_json::{Map, Value, json};

/// Seconds that a code is good.
const CODE_SECONDS: i64 = 60;

/// The page.
///
/// # Errors
/// What the store says.
pub async fn page(
    state: &AuthState,
    at: &At,
    who: (&User, Role),
    scene: Scene<'_>,
    now: Instant,
) -> Result<OAuthAnswer> {
    let (user, role) = who;
    let scopes = possible(&state.policy, role, at.ask.scopes());
    let mut about = format!("<dt>Signed in as</dt><dd>{}</dd>", e(&display(state, user, now).await?));
    if !at.pending.patient.is_empty()
        && let Some(patient) = pick::patient(state, who, (scene, &at.client.id), &at.pending.patient, now).await?
    {
        let (name, born) = (human_name(&patient["name"]), born(&patient));
        about.push_str(&format!("<dt>Patient</dt><dd>{}<br><small>{}</small></dd>", e(&name), e(&born)));
    }
    let mut ticks = String::new();
    for (n, scope) in scopes.data.iter().enumerate() {
        let whole = scopes.data.iter().find(|w| holds_anyway(w, scope)).map(words::of);
        let note = whole.map(|w| format!("Let out anyway as long as \u{201c}{w}\u{201d} is ticked."));
        ticks.push_str(&tick(&format!("d{n}"), &words::of(scope), &scope.to_string(), note.as_deref()));
        ticks.push_str(&kinds(n, scope));
    }
    let mut others = String::new();
    for other in &scopes.others {
        if let Some(text) = words::of_other(other) {
            others.push_str(&tick(other, text, other, None));
        }
    }
    if !others.is_empty() {
        others = format!("<fieldset><legend>About you and this app</legend>{others}</fieldset>");
    }
    let fields = match ticks.as_str() {
        "" => others,
        _ => format!("<fieldset><legend>Health data</legend>{ticks}</fieldset>{others}"),
    };
    let host = at.ask.redirect_uri.split_once("://").map_or(at.ask.redirect_uri.as_str(), |(_, rest)| rest);
    let host = host.split(['/', '?']).next().unwrap_or_default();
    let name = e(&at.client.name);
    let main = format!(
        "<h1>Let {name} in?</h1><p class=\"lead\"><strong>{name}</strong> at <strong>{}</strong> wants to act for you. Take away \
         what it does not need; you can withdraw all of it later under <a href=\"/auth/manage\">your apps</a>.</p><dl>{about}</dl>\
         <form method=\"post\" action=\"/auth/consent\">{}{fields}<p class=\"actions\"><button class=\"primary\" name=\"decision\" \
         value=\"allow\">Allow</button> <button name=\"decision\" value=\"deny\">Deny</button></p></form>",
        e(host),
        at.hidden()
    );
    Ok(at.page(state, 200, "Consent", &main))
}

/// Whether a scope says no more than a wider one beside it: to take its tick away alone changes nothing.
fn holds_anyway(wide: &Scope, narrow: &Scope) -> bool {
    wide.level == narrow.level
        && wide.granular.is_empty()
        && wide.rights.covers(narrow.rights)
        && match wide.rtype {
            None => narrow.rtype.is_some(),
            same => same == narrow.rtype && !narrow.granular.is_empty(),
        }
}

fn tick(name: &str, words: &str, code: &str, note: Option<&str>) -> String {
    let id = name.replace('/', "-");
    let note = note.map_or_else(String::new, |n| format!("<small>{}</small>", e(n)));
    format!(
        "<div class=\"tick\"><input type=\"checkbox\" id=\"{id}\" name=\"{id}\" checked><label for=\"{id}\">{}<code>{}</code>{note}</label></div>",
        e(words),
        e(code)
    )
}

/// Parts that can be chosen in place of the whole.
fn kinds(n: usize, scope: &Scope) -> String {
    let Some((_, _, list)) = kinds_of(scope) else { return String::new() };
    let ticks: String = list
        .iter()
        .enumerate()
        .map(|(m, (_, words))| {
            format!(
                "<div class=\"tick\"><input type=\"checkbox\" id=\"d{n}k{m}\" name=\"d{n}k{m}\"><label for=\"d{n}k{m}\">{}</label></div>",
                e(words)
            )
        })
        .collect();
    format!(
        "<details><summary>Only some kinds of it</summary><p>With one of these ticked, nothing else of it is let out.</p>{ticks}</details>"
    )
}

fn kinds_of(scope: &Scope) -> Option<&'static Kinds> {
    let reads = Rights::R.and(Rights::S).covers(scope.rights);
    let rtype = scope.rtype.filter(|_| scope.granular.is_empty() && reads)?;
    KINDS.iter().find(|(t, ..)| *t == rtype.as_str())
}

/// What a role can use of what is asked: of the others it would be no more than a word.
fn possible(policy: &Policy, role: Role, mut scopes: Scopes) -> Scopes {
    scopes.data.retain(|s| match s.rtype {
        None => true,
        Some(rtype) => useful(policy, role, rtype, s.rights),
    });
    scopes.others.retain(|o| *o != ACCOUNTS || role == Role::Admin);
    scopes
}

fn useful(policy: &Policy, role: Role, rtype: ResourceType, rights: Rights) -> bool {
    !policy.cell(role, rtype).own.common(rights).is_empty()
}

/// What the ticks of a form leave.
fn chosen(offered: &Scopes, form: &Form) -> Scopes {
    let mut out = Scopes::default();
    for (n, scope) in offered.data.iter().enumerate() {
        let mut parts = Vec::new();
        if let Some((_, system, list)) = kinds_of(scope) {
            let ticked = list.iter().enumerate().filter(|(m, _)| form.get(&format!("d{n}k{m}")).is_some());
            parts.extend(
                ticked.map(|(_, (code, _))| scope.narrowed(vec![("category".into(), format!("{system}|{code}"))])),
            );
        }
        match (parts.is_empty(), form.get(&format!("d{n}")).is_some()) {
            (false, _) => out.data.extend(parts),
            (true, true) => out.data.push(scope.clone()),
            (true, false) => {}
        }
    }
    let kept = |o: &&&str| words::of_other(o).is_none() || form.get(&o.replace('/', "-")).is_some();
    out.others = offered.others.iter().filter(kept).copied().collect();
    out
}

/// `POST /auth/consent`.
///
/// # Errors
/// What the store says.
pub async fn post(state: &AuthState, request: &PageRequest<'_>, now: Instant) -> Result<OAuthAnswer> {
    let Some(form) = request.form() else {
        return Ok(super::web::problem(400, "This page is over", "Go back to the app and start again."));
    };
    let at = match step::find(state, request, &form, now).await? {
        Ok(at) => at,
        Err(page) => return Ok(page),
    };
    match (form.get("decision"), at.user.clone()) {
        (Some("allow"), Some((user, role))) => {
            let chosen = chosen(&possible(&state.policy, role, at.ask.scopes()), &form);
            if chosen.data.is_empty() && !chosen.has("openid") {
                return at.refuse(state, "access_denied", "the user allowed nothing").await;
            }
            grant(state, &at, &user, (chosen, request.scene()), now).await
        }
        (Some("deny"), _) => at.refuse(state, "access_denied", "the user said no").await,
        _ => Ok(super::web::problem(400, "This page is over", "Go back to the app and start again.")),
    }
}

/// Gives the app a code for what was allowed.
///
/// # Errors
/// What the store says.
pub async fn grant(
    state: &AuthState,
    at: &At,
    user: &User,
    (scopes, scene): (Scopes, Scene<'_>),
    now: Instant,
) -> Result<OAuthAnswer> {
    let asked = at.ask.scopes();
    // What every page before this one asked for must be there: a POST may come past them.
    let lacks_patient = at.pending.patient.is_empty()
        && (asked.has("launch/patient") || asked.data.iter().any(|s| s.level == crate::access::scope::Level::Patient));
    let wrong_org = at.client.org.is_some() && at.client.org != user.org;
    let stale_login = at.browser.session.at < at.ask.not_before;
    let own = user.patient.as_deref().filter(|_| Role::parse(&user.role) == Some(Role::Patient));
    let foreign = own.is_some_and(|p| p != at.pending.patient);
    let mut context = Map::new();
    let mut is_launched = true;
    if !at.ask.launch.is_empty() {
        let launch =
            state.store.launch(&at.ask.launch).await?.filter(|l| l.user == user.name && l.client == at.client.id);
        let launch = launch.filter(|l| l.expires > now.0 && l.patient == at.pending.patient);
        is_launched = launch.is_some();
        if let Some(Value::Object(map)) = launch.and_then(|l| serde_json::from_str(&l.context).ok()) {
            context = map;
        }
    }
    if lacks_patient || wrong_org || stale_login || foreign || !is_launched {
        return at.refuse(state, "access_denied", "the request was not answered in order").await;
    }
    if !state.store.take_pending(&at.pending.id).await? {
        return Ok(super::web::problem(400, "This page is over", "It was answered already."));
    }
    if !at.ask.launch.is_empty() && !state.store.use_launch(&at.ask.launch, now).await? {
        return Ok(at.ask.refuse(&state.parties.issuer, "access_denied", "the launch was used before"));
    }
    if !at.pending.patient.is_empty() {
        context.entry("need_patient_banner").or_insert(json!(at.ask.launch.is_empty()));
        context.entry("smart_style_url").or_insert(json!(state.parties.url("/auth/smart-style.json")));
    }
    let seconds = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    let (session, expires) = match (scopes.has("offline_access"), scopes.has("online_access")) {
        (true, _) => (String::new(), now.plus_seconds(seconds(state.limits.offline_seconds)).0),
        (false, true) => (at.browser.session.hash.clone(), at.browser.session.expires),
        _ => (String::new(), now.plus_seconds(CODE_SECONDS + seconds(state.limits.user_token_seconds)).0),
    };
    let encounter = if at.pending.encounter == "-" { String::new() } else { at.pending.encounter.clone() };
    let grant = Grant {
        id: random_text::<16>()?,
        client: at.client.id.clone(),
        user: user.name.clone(),
        scope: scopes.to_string(),
        patient: at.pending.patient.clone(),
        encounter,
        context: Value::Object(context).to_string(),
        session,
        made: now.0,
        used: now.0,
        expires,
        revoked: 0,
        cnf: String::new(),
    };
    let secret = random_text::<32>()?;
    let code = Code {
        hash: hash(&secret),
        grant: grant.id.clone(),
        redirect_uri: at.ask.redirect_uri.clone(),
        challenge: at.ask.challenge.clone(),
        nonce: at.ask.nonce.clone(),
        auth_time: at.browser.session.at,
        expires: now.plus_seconds(CODE_SECONDS).0,
        used: 0,
    };
    state.store.add_grant(&grant, &code, now).await?;
    tracing::info!(client = at.client.id, user = user.sub, scope = grant.scope, "a user let an app in");
    let mut row = state.of_user(Happening::ConsentGiven, user, &at.client.id, now);
    row.detail.on = about(&grant.patient);
    let unasked = if at.client.is_first_party { "an app of the house, not asked: " } else { "" };
    state.note(scene, row.because(format!("{unasked}{}", grant.scope)));
    Ok(at.ask.answer(&state.parties.issuer, &[("code", &secret)]))
}
