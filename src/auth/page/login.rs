//! Who is there: name and password, for an app's request or for our own pages.

use super::elsewhere;
use super::session::{self, Browser};
use super::step::{self, At};
use super::web::{PageRequest, e, page as whole, problem, redirect};
use crate::auth::endpoint::OAuthAnswer;
use crate::auth::{AuthState, failure, totp};
use crate::clock::Instant;
use crate::error::{Kind, Result};
use crate::store::Audit;
use crate::store::audit::Happening;
use crate::store::oauth::User;

/// The form. `wrong`: what went wrong before, in words; empty: nothing. `name`: what was given as name then.
#[must_use]
pub fn page(state: &AuthState, at: &At, status: u16, (wrong, name): (&str, &str)) -> OAuthAnswer {
    let lead =
        format!("<p class=\"lead\"><strong>{}</strong> asks to be let in. Sign in to go on.</p>", e(&at.client.name));
    at.page(
        state,
        status,
        title(wrong),
        &form(&lead, &at.hidden(), (wrong, name), &elsewhere::buttons(state, &at.browser, &at.pending.id)),
    )
}

/// The form for our own pages.
#[must_use]
pub fn own(state: &AuthState, browser: &Browser, status: u16, (wrong, name): (&str, &str)) -> OAuthAnswer {
    let hidden = format!("<input type=\"hidden\" name=\"csrf\" value=\"{}\">", browser.csrf());
    let lead = "<p class=\"lead\">Sign in to see which apps may act for you.</p>";
    let mut answer =
        whole(status, title(wrong), &form(lead, &hidden, (wrong, name), &elsewhere::buttons(state, browser, "")), None);
    answer.headers.push(browser.cookie(state));
    answer
}

/// Whoever hears the title first hears that something is wrong.
fn title(wrong: &str) -> &'static str {
    if wrong.is_empty() { "Sign in" } else { "Not signed in" }
}

fn form(lead: &str, hidden: &str, (wrong, name): (&str, &str), others: &str) -> String {
    let wrong = match wrong {
        "" => String::new(),
        text => format!("<p class=\"wrong\" role=\"alert\" id=\"wrong\">{}</p>", e(text)),
    };
    let described = if wrong.is_empty() { "" } else { " aria-invalid=\"true\" aria-describedby=\"wrong\"" };
    format!(
        "<h1>Sign in</h1>{lead}{wrong}<form method=\"post\" action=\"/auth/login\">{hidden}\
         <label for=\"user\">Name</label><input id=\"user\" name=\"user\" value=\"{}\" autocomplete=\"username\" \
         autocapitalize=\"none\" spellcheck=\"false\" maxlength=\"64\" required{described}>\
         <label for=\"password\">Password</label><input id=\"password\" name=\"password\" type=\"password\" \
         autocomplete=\"current-password\" maxlength=\"1024\" required{described}>\
         <label for=\"code\">One-time code <small>only if you use an authenticator app</small></label><input id=\"code\" name=\"code\" \
         inputmode=\"numeric\" autocomplete=\"one-time-code\" maxlength=\"16\"{described}>\
         <p class=\"actions\"><button class=\"primary\" type=\"submit\">Sign in</button></p></form>{others}",
        e(name)
    )
}

/// `POST /auth/login`.
///
/// # Errors
/// What the store says.
pub async fn post(state: &AuthState, request: &PageRequest<'_>, now: Instant) -> Result<OAuthAnswer> {
    let stale = || problem(400, "This page is over", "Go back to where you came from and start again.");
    let Some(form) = request.form() else { return Ok(stale()) };
    let at = match form.get("t") {
        None => None,
        Some(_) => match step::find(state, request, &form, now).await? {
            Ok(at) => Some(at),
            Err(page) => return Ok(page),
        },
    };
    let browser = match &at {
        Some(at) => at.browser.clone(),
        None => match session::of(state, request, now).await? {
            Some(browser) if browser.sent(form.get("csrf")) => browser,
            _ => return Ok(stale()),
        },
    };
    let (name, password) = (form.get("user").unwrap_or_default(), form.get("password").unwrap_or_default());
    let name = name.trim();
    // A name that nobody can have waits and costs like any other.
    let known = crate::fhir::resource::is_id(name);
    let again = |status, text: &str| match &at {
        Some(at) => page(state, at, status, (text, name)),
        None => own(state, &browser, status, (text, name)),
    };
    let counted = if known { name } else { "?" };
    let wait = failure::wait(&state.store, counted, &request.address, now).await?;
    if wait > 0 {
        tracing::warn!(address = request.address, seconds = wait, "a login must wait");
        let client = at.as_ref().map_or("", |at| &at.client.id);
        let row = Audit::happening(Happening::LoginFailed, now, client, "", 429).because("has to wait");
        state.note_often(request.scene(), row);
        let mut answer = again(429, &format!("Too many attempts. Try again in {wait} seconds."));
        answer.headers.push(("Retry-After", wait.to_string()));
        return Ok(answer);
    }
    let user = if known { state.store.oauth_user(name).await?.filter(|u| u.is_active) } else { None };
    let stored = user.as_ref().map_or("", |u| &u.password);
    let fits = match state.passwords.fits(password, stored).await {
        Err(error) if error.kind == Kind::Busy => {
            let mut answer = again(429, "Many people sign in at this moment. Try again in a few seconds.");
            answer.headers.push(("Retry-After", "2".into()));
            return Ok(answer);
        }
        other => other?,
    };
    let client = at.as_ref().map_or("", |at| at.client.id.as_str());
    let known = user.clone();
    // Who has one-time codes gives one; whoever lacks it does not learn that the password was right.
    let has_code = match &user {
        Some(user) if fits => code_fits(state, user, form.get("code").unwrap_or_default(), now).await?,
        _ => true,
    };
    let user = match user.filter(|_| fits && has_code) {
        Some(user) => state.user(&user.name, now).await?,
        None => None,
    };
    let Some((user, _)) = user else {
        failure::count(&state.store, counted, &request.address, now).await?;
        tracing::info!(address = request.address, "a login failed");
        // A name that nobody has may be a password in the wrong field: it stands nowhere.
        let why = match (fits, has_code) {
            (false, _) => "name or password",
            (true, false) => "one-time code",
            (true, true) => "the role does not hold",
        };
        let about = |what| match &known {
            Some(user) => Audit { outcome: 401, ..state.of_user(what, user, client, now) },
            None => Audit::happening(what, now, client, "", 401),
        };
        state.note_often(request.scene(), about(Happening::LoginFailed).because(why));
        if failure::wait(&state.store, counted, &request.address, now).await? > 0 {
            state.note_often(request.scene(), about(Happening::Lockout).because("too many failures"));
        }
        return Ok(again(401, "Name, password or one-time code is wrong, or the login is not in use."));
    };
    failure::forget(&state.store, counted, &request.address).await?;
    let fresh = session::begin(state, (&user.name, now), Some(&browser), now).await?;
    tracing::info!(user = user.sub, "a user logged in");
    state.note(request.scene(), state.of_user(Happening::Login, &user, client, now));
    let to = at.as_ref().map_or_else(|| "/auth/manage".to_owned(), |at| format!("/auth/step?t={}", at.pending.id));
    let mut answer = redirect(&to, at.as_ref().map(|at| at.ask.redirect_uri.as_str()));
    answer.headers.push(fresh.cookie(state));
    Ok(answer)
}

/// Whether a user has no one-time codes, or gave one that was not used before.
///
/// # Errors
/// What the store says.
pub async fn code_fits(state: &AuthState, user: &User, given: &str, now: Instant) -> Result<bool> {
    let secret = state.store.totp(&user.name).await?;
    if secret.is_empty() {
        return Ok(true);
    }
    match totp::step_of(&secret, given, now) {
        Some(step) => state.store.use_totp(&user.name, step).await,
        None => Ok(false),
    }
}
