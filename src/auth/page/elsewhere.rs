//! Login at an OpenID provider: to it, back from it, and who that is here.
//!
//! What a browser carries there and brings back is bound to its cookie: `nonce` and the verifier of PKCE are made of it, so that
//! nobody finishes what somebody else began, and the database holds nothing that would. Each provider has an address of its own to
//! come back to (mix-up). The button is a link, not a form: `form-action` would have to name every address that a provider leads on to.
//! Who somebody is here says a link in the database, by (issuer, sub); the claim of the settings makes one for who has none.
//! Source: OpenID Connect Core 1.0, 3.1; RFC 9700 4.4, 4.7; own rules (`docs/auth.md`).

use super::login;
use super::session::{self, Browser};
use super::step::{self, At};
use super::web::{PageRequest, e, page, problem, redirect};
use crate::access::Role;
use crate::auth::endpoint::{Form, OAuthAnswer};
use crate::auth::provider::{Known, Login, Sent};
use crate::auth::token::{hash, random_text};
use crate::auth::{AuthState, failure};
use crate::clock::Instant;
use crate::error::{Error, Result};
use crate::store::Audit;
use crate::store::audit::Happening;
use crate::store::oauth::{Errand, Link, User};

/// Seconds that a browser may be away.
const AWAY_SECONDS: i64 = 600;

/// The buttons of the login page. `t`: the app's request; empty: our own pages.
#[must_use]
pub fn buttons(state: &AuthState, browser: &Browser, t: &str) -> String {
    let button = |name: &str, label: &str| {
        let query = format!("provider={name}&amp;ticket={}", browser.derive("elsewhere", t));
        let query = if t.is_empty() { query } else { format!("{query}&amp;t={}", e(t)) };
        format!("<p><a class=\"button\" href=\"/auth/elsewhere?{query}\">Sign in with {}</a></p>", e(label))
    };
    let all: String = state.providers.all().map(|p| button(&p.name, &p.label)).collect();
    match all.is_empty() {
        true => all,
        false => format!("<section class=\"elsewhere\"><h2>Or with another login</h2>{all}</section>"),
    }
}

/// Where a provider sends the browser back to.
fn callback(state: &AuthState, name: &str) -> String {
    state.parties.url(&format!("/auth/callback/{name}"))
}

fn over() -> OAuthAnswer {
    problem(
        400,
        "This page is over",
        "It was answered, or it waited too long. Go back to where you came from and start again.",
    )
}

/// A browser on its way, and the app's request that goes on afterwards.
struct Place {
    browser: Browser,
    at: Option<At>,
}

impl Place {
    /// The login page again, with what went wrong.
    fn again(&self, state: &AuthState, status: u16, text: &str) -> OAuthAnswer {
        match &self.at {
            Some(at) => login::page(state, at, status, (text, "")),
            None => login::own(state, &self.browser, status, (text, "")),
        }
    }

    fn client(&self) -> &str {
        self.at.as_ref().map_or("", |at| &at.client.id)
    }

    fn pending(&self) -> &str {
        self.at.as_ref().map_or("", |at| &at.pending.id)
    }
}

/// Where a browser is, in the request `t`. The inner error is a page.
async fn place(
    state: &AuthState,
    request: &PageRequest<'_>,
    t: &str,
    now: Instant,
) -> Result<Result<Place, OAuthAnswer>> {
    let Some(browser) = session::of(state, request, now).await? else { return Ok(Err(over())) };
    if t.is_empty() {
        return Ok(Ok(Place { browser, at: None }));
    }
    // Ids of requests are base64url; a POST carries the browser's token, which its own page has looked at.
    let form = format!("t={t}&csrf={}", browser.csrf());
    let Ok(form) = Form::parse(form.as_bytes()) else { return Ok(Err(over())) };
    Ok(step::find(state, request, &form, now).await?.map(|at| Place { browser: at.browser.clone(), at: Some(at) }))
}

/// `GET /auth/elsewhere?provider=…`: to the provider.
///
/// # Errors
/// What the store says.
pub async fn start(state: &AuthState, request: &PageRequest<'_>, now: Instant) -> Result<OAuthAnswer> {
    let Some(form) = request.form() else { return Ok(over()) };
    let t = form.get("t").unwrap_or_default();
    let place = match place(state, request, t, now).await? {
        Ok(place) => place,
        Err(page) => return Ok(page),
    };
    let known = form.get("provider").and_then(|name| state.providers.get(name));
    let Some(known) = known.filter(|_| place.browser.is_derived("elsewhere", t, form.get("ticket"))) else {
        return Ok(over());
    };
    let secret = random_text::<32>()?;
    let sent = Sending::of(state, &place, known, &secret);
    let to = match state.providers.address(known, &sent.sent(&secret), now).await {
        Ok(to) => to,
        Err(why) => {
            tracing::warn!(provider = known.provider.name, why, "a provider cannot be asked who somebody is");
            let text = format!("{} does not answer. Try again in a minute, or sign in here.", known.provider.label);
            return Ok(place.again(state, 503, &text));
        }
    };
    let errand = Errand {
        hash: hash(&secret),
        session: place.browser.session.hash.clone(),
        provider: known.provider.name.clone(),
        pending: place.pending().into(),
        user: String::new(),
        at: 0,
        expires: now.plus_seconds(AWAY_SECONDS).0,
    };
    state.store.add_errand(&errand, now).await?;
    Ok(redirect(&to, None))
}

/// What goes along, made of the browser's cookie and the state.
struct Sending {
    redirect_uri: String,
    nonce: String,
    verifier: String,
    not_before: i64,
}

impl Sending {
    fn of(state: &AuthState, place: &Place, known: &Known, secret: &str) -> Self {
        Self {
            redirect_uri: callback(state, &known.provider.name),
            nonce: place.browser.derive("nonce", secret),
            verifier: place.browser.derive("verifier", secret),
            not_before: place.at.as_ref().map_or(0, |at| at.ask.not_before),
        }
    }

    fn sent<'a>(&'a self, secret: &'a str) -> Sent<'a> {
        Sent {
            redirect_uri: &self.redirect_uri,
            state: secret,
            nonce: &self.nonce,
            verifier: &self.verifier,
            not_before: self.not_before,
        }
    }
}

/// `GET /auth/callback/NAME`: back from the provider.
///
/// # Errors
/// What the store says.
pub async fn back(state: &AuthState, request: &PageRequest<'_>, name: &str, now: Instant) -> Result<OAuthAnswer> {
    let Some(known) = state.providers.get(name) else { return Err(Error::not_found("there is no such provider")) };
    let Some(form) = request.form() else { return Ok(over()) };
    let secret = form.get("state").unwrap_or_default();
    let errand = state.store.errand(&hash(secret)).await?;
    let errand = errand.filter(|x| x.provider == name && x.expires > now.0 && x.user.is_empty());
    let Some(errand) = errand else { return Ok(over()) };
    let place = match place(state, request, &errand.pending, now).await? {
        Ok(place) if place.browser.session.hash == errand.session => place,
        Ok(_) => return Ok(over()), // another browser's: it does not use it up either
        Err(page) => return Ok(page),
    };
    // A name that no login has: it counts for the address alone.
    let counted = format!("@{name}");
    let wait = failure::wait(&state.store, &counted, &request.address, now).await?;
    if wait > 0 {
        let mut answer = place.again(state, 429, &format!("Too many attempts. Try again in {wait} seconds."));
        answer.headers.push(("Retry-After", wait.to_string()));
        return Ok(answer);
    }
    if !state.store.take_errand(&errand.hash).await? {
        return Ok(over());
    }
    let failed = |why: &str| {
        let row = Audit::happening(Happening::LoginFailed, now, place.client(), "", 401);
        state.note_often(request.scene(), row.because(format!("at {}: {why}", known.provider.issuer)));
    };
    let label = &known.provider.label;
    let Some(code) = form.get("code").filter(|_| form.get("error").is_none()) else {
        failed("refused there");
        return Ok(place.again(state, 401, &format!("{label} did not let you in, or you turned back.")));
    };
    let sent = Sending::of(state, &place, known, secret);
    let found = match state.providers.login(known, &sent.sent(secret), (code, form.get("iss")), now).await {
        Ok(found) => found,
        Err(why) => {
            tracing::warn!(provider = name, why, "a login at a provider does not hold");
            failure::count(&state.store, &counted, &request.address, now).await?;
            failed(why);
            return Ok(place.again(state, 401, &format!("What {label} said of you does not hold. Try again.")));
        }
    };
    let Some(user) = here(state, request, known, &found, now).await? else {
        tracing::info!(provider = name, "somebody of a provider is nobody here");
        failed("nobody here, or the login is not in use");
        let text = format!(
            "{label} knows you, but you have no login here, or it is not in use. Whoever looks after Baton can link you: at {label} you are {}.",
            found.sub
        );
        return Ok(place.again(state, 401, &text));
    };
    failure::forget(&state.store, &counted, &request.address).await?;
    let at = found.at.unwrap_or(now.0).max(sent.not_before);
    if found.has_second_factor || state.store.totp(&user.name).await?.is_empty() {
        return finish(state, request, &place, (known, &user), at, now).await;
    }
    // Who has one-time codes here gives one here, unless the provider asked for something of the kind.
    let secret = random_text::<32>()?;
    let waiting = Errand { hash: hash(&secret), user: user.name, at, ..errand };
    state.store.add_errand(&waiting, now).await?;
    Ok(code_page(&place, &secret, 200, ""))
}

/// The user here; one who may not act now is none.
async fn here(
    state: &AuthState,
    request: &PageRequest<'_>,
    known: &Known,
    found: &Login,
    now: Instant,
) -> Result<Option<User>> {
    let issuer = known.provider.issuer.as_str();
    if let Some(link) = state.store.linked(issuer, &found.sub).await? {
        return Ok(state.user(&link.user, now).await?.map(|(user, _)| user));
    }
    let Some(name) = found.name.as_deref().filter(|name| crate::fhir::resource::is_id(name)) else { return Ok(None) };
    let Some((user, role)) = state.user(name, now).await? else { return Ok(None) };
    // Who manages, audits or counts is linked by an operator, never by what a claim says.
    if !matches!(role, Role::Technician | Role::Pharmacist | Role::Prescriber | Role::Patient) {
        return Ok(None);
    }
    let link = Link { issuer: issuer.into(), sub: found.sub.clone(), user: user.name.clone() };
    if !state.store.link(&link, now).await? {
        // The login is another's of that provider - or a second tab was faster.
        let is_own = state.store.linked(issuer, &found.sub).await?.is_some_and(|l| l.user == user.name);
        return Ok(is_own.then_some(user));
    }
    let mut row = state.of_user(Happening::AccountsChanged, &user, "", now).because(format!("linked at {issuer}"));
    row.detail.on = format!("user {}", user.name);
    state.note(request.scene(), row);
    Ok(Some(user))
}

async fn finish(
    state: &AuthState,
    request: &PageRequest<'_>,
    place: &Place,
    (known, user): (&Known, &User),
    at: i64,
    now: Instant,
) -> Result<OAuthAnswer> {
    let fresh = session::begin(state, (&user.name, Instant(at)), Some(&place.browser), now).await?;
    tracing::info!(user = user.sub, provider = known.provider.name, "a user logged in at a provider");
    let row = state.of_user(Happening::Login, user, place.client(), now);
    state.note(request.scene(), row.because(format!("at {}", known.provider.issuer)));
    let to = match place.pending() {
        "" => "/auth/manage".to_owned(),
        id => format!("/auth/step?t={id}"),
    };
    let mut answer = redirect(&to, None);
    answer.headers.push(fresh.cookie(state));
    Ok(answer)
}

fn code_page(place: &Place, secret: &str, status: u16, wrong: &str) -> OAuthAnswer {
    let (alert, described) = match wrong {
        "" => (String::new(), ""),
        text => (
            format!("<p class=\"wrong\" role=\"alert\" id=\"wrong\">{}</p>", e(text)),
            " aria-invalid=\"true\" aria-describedby=\"wrong\"",
        ),
    };
    let main = format!(
        "<h1>One-time code</h1><p class=\"lead\">Your login here asks for the code of your authenticator app.</p>{alert}\
         <form method=\"post\" action=\"/auth/code\"><input type=\"hidden\" name=\"e\" value=\"{}\">\
         <input type=\"hidden\" name=\"csrf\" value=\"{}\"><label for=\"code\">Code</label><input id=\"code\" name=\"code\" \
         inputmode=\"numeric\" autocomplete=\"one-time-code\" maxlength=\"16\" required{described}>\
         <p class=\"actions\"><button class=\"primary\" type=\"submit\">Sign in</button></p></form>",
        e(secret),
        place.browser.csrf()
    );
    let leads_to = place.at.as_ref().map(|at| at.ask.redirect_uri.as_str());
    page(status, if wrong.is_empty() { "One-time code" } else { "Not signed in" }, &main, leads_to)
}

/// `POST /auth/code`: the one-time code of who was at a provider.
///
/// # Errors
/// What the store says.
pub async fn code(state: &AuthState, request: &PageRequest<'_>, now: Instant) -> Result<OAuthAnswer> {
    let Some(form) = request.form() else { return Ok(over()) };
    let secret = form.get("e").unwrap_or_default();
    let errand = state.store.errand(&hash(secret)).await?.filter(|x| x.expires > now.0 && !x.user.is_empty());
    let Some(errand) = errand else { return Ok(over()) };
    let place = match place(state, request, &errand.pending, now).await? {
        Ok(place) if place.browser.session.hash == errand.session && place.browser.sent(form.get("csrf")) => place,
        Ok(_) => return Ok(over()),
        Err(page) => return Ok(page),
    };
    let (Some(known), Some((user, _))) = (state.providers.get(&errand.provider), state.user(&errand.user, now).await?)
    else {
        return Ok(over());
    };
    let wait = failure::wait(&state.store, &user.name, &request.address, now).await?;
    if wait > 0 {
        let mut answer = code_page(&place, secret, 429, &format!("Too many attempts. Try again in {wait} seconds."));
        answer.headers.push(("Retry-After", wait.to_string()));
        return Ok(answer);
    }
    if !login::code_fits(state, &user, form.get("code").unwrap_or_default(), now).await? {
        failure::count(&state.store, &user.name, &request.address, now).await?;
        let row = state.of_user(Happening::LoginFailed, &user, place.client(), now).because("one-time code");
        state.note_often(request.scene(), Audit { outcome: 401, ..row });
        return Ok(code_page(&place, secret, 401, "The code is wrong, or was used before."));
    }
    if !state.store.take_errand(&errand.hash).await? {
        return Ok(over());
    }
    failure::forget(&state.store, &user.name, &request.address).await?;
    finish(state, request, &place, (known, &user), errand.at, now).await
}
