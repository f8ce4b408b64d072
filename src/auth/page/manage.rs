//! A user's apps: what they may do, since when, and an end to it.

use super::session::{self, Browser};
use super::web::{PageRequest, e, page, problem, redirect};
use super::{login, pick, words};
use crate::access::Role;
use crate::access::scope::Scopes;
use crate::auth::AuthState;
use crate::auth::endpoint::OAuthAnswer;
use crate::auth::exchange::about;
use crate::auth::people::{born, display, human_name};
use crate::clock::Instant;
use crate::error::Result;
use crate::store::audit::Happening;
use crate::store::oauth::User;

/// `GET /auth/manage` shows, `POST` withdraws one.
///
/// # Errors
/// What the store says.
pub async fn answer(state: &AuthState, request: &PageRequest<'_>, now: Instant) -> Result<OAuthAnswer> {
    let browser = session::of(state, request, now).await?;
    let who = session::who(state, browser.as_ref(), now).await?;
    match (browser, who, request.is_post) {
        (Some(browser), Some((user, _)), true) => withdraw(state, request, &browser, &user, now).await,
        (Some(browser), Some((user, role)), false) => list(state, request, &browser, (&user, role), now).await,
        (_, _, true) => Ok(problem(400, "You are not signed in", "Open the page again and sign in.")),
        (Some(browser), None, false) => Ok(login::own(state, &browser, 200, ("", ""))),
        (None, None | Some(_), false) => {
            Ok(login::own(state, &session::begin(state, ("", now), None, now).await?, 200, ("", "")))
        }
    }
}

async fn list(
    state: &AuthState,
    request: &PageRequest<'_>,
    browser: &Browser,
    who: (&User, Role),
    now: Instant,
) -> Result<OAuthAnswer> {
    let (user, role) = who;
    let csrf = browser.csrf();
    let mut apps = String::new();
    for grant in state.store.grants_of(&user.name, now).await? {
        let client = state.store.oauth_client(&grant.client).await?;
        let name = client.map_or_else(|| grant.client.clone(), |c| c.name);
        // Oneself needs no naming.
        let mut whose = String::new();
        if role != Role::Patient
            && !grant.patient.is_empty()
            && let Some(patient) =
                pick::patient(state, who, (request.scene(), &grant.client), &grant.patient, now).await?
        {
            whose = format!(" for {}, {}", e(&human_name(&patient["name"])), e(&born(&patient)));
        }
        let scopes = Scopes::parse(&grant.scope);
        let mut may: Vec<String> = scopes.data.iter().map(words::of).collect();
        may.extend(scopes.others.iter().filter_map(|o| words::of_other(o)).map(Into::into));
        let may: String = may.iter().map(|m| format!("<li>{}</li>", e(m))).collect();
        let day = |at: i64| Instant(at).to_seconds_text().get(..10).unwrap_or_default().to_owned();
        apps.push_str(&format!(
            "<section class=\"app\"><h2>{name}{whose}</h2><p><small>Since {}, last used {}, until {}</small></p><ul>{may}</ul>\
             <form method=\"post\" action=\"/auth/manage\"><input type=\"hidden\" name=\"csrf\" value=\"{csrf}\">\
             <button name=\"grant\" value=\"{}\" aria-label=\"Withdraw {name}{whose}\">Withdraw</button></form></section>",
            day(grant.made),
            day(grant.used),
            day(grant.expires),
            e(&grant.id),
            name = e(&name),
        ));
    }
    if apps.is_empty() {
        apps = "<p>No app may act for you.</p>".into();
    }
    let main = format!(
        "<h1>Your apps</h1><p class=\"lead\">Signed in as <strong>{}</strong>. An app that you withdraw is out at once.</p>{apps}\
         <form method=\"post\" action=\"/auth/logout\" class=\"out\"><input type=\"hidden\" name=\"csrf\" value=\"{csrf}\">\
         <button>Sign out</button></form>",
        e(&display(state, user, now).await?)
    );
    Ok(page(200, "Your apps", &main, None))
}

async fn withdraw(
    state: &AuthState,
    request: &PageRequest<'_>,
    browser: &Browser,
    user: &User,
    now: Instant,
) -> Result<OAuthAnswer> {
    let form = request.form().filter(|f| browser.sent(f.get("csrf")));
    let grant = match form.as_ref().and_then(|f| f.get("grant")) {
        None => return Ok(problem(400, "This page is over", "Open it again.")),
        Some(id) => state.store.grant(id).await?.filter(|g| g.user == user.name),
    };
    if let Some(grant) = grant {
        let held = state.store.revoke_grant(&grant.id, now).await?;
        state.forget_tokens();
        if held {
            let mut row = state.of_user(Happening::TokenRevoked, user, &grant.client, now).because("by the user");
            row.detail.on = about(&grant.patient);
            state.note(request.scene(), row);
        }
        tracing::info!(client = grant.client, user = user.sub, "a user withdrew an app");
    }
    Ok(redirect("/auth/manage", None))
}

/// `POST /auth/logout`: the session ends, and what hangs on it.
///
/// # Errors
/// What the store says.
pub async fn logout(state: &AuthState, request: &PageRequest<'_>, now: Instant) -> Result<OAuthAnswer> {
    let browser = session::of(state, request, now).await?;
    let sent = request.form();
    let Some(browser) = browser.filter(|b| b.sent(sent.as_ref().and_then(|f| f.get("csrf")))) else {
        return Ok(problem(400, "You are not signed in", "There is nothing to sign out of."));
    };
    let user = state.store.oauth_user(&browser.session.user).await?;
    state.store.end_session(&browser.session.hash, now).await?;
    state.forget_tokens();
    if let Some(user) = user {
        state.note(request.scene(), state.of_user(Happening::Logout, &user, "", now));
    }
    Ok(page(200, "Signed out", "<h1>Signed out</h1><p>You can close this page.</p>", None))
}
