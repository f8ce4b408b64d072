//! Where a request stands: who must still say what, and the page that asks for it.
//!
//! Login, then the patient (and encounter) where the app needs one, then consent. Each answer leads back here by a 303.

use super::ask::Ask;
use super::session::{self, Browser};
use super::web::{PageRequest, page, problem};
use super::{consent, login, pick};
use crate::access::Role;
use crate::access::scope::Level;
use crate::auth::AuthState;
use crate::auth::endpoint::Form;
use crate::auth::endpoint::OAuthAnswer;
use crate::auth::witness::Scene;
use crate::clock::Instant;
use crate::error::{Error, Result};
use crate::store::oauth::{Client, Launch, Pending, User};

/// A request that waits, in its browser.
pub struct At {
    /// Whose browser.
    pub browser: Browser,
    /// As it is kept.
    pub pending: Pending,
    /// What the app asks.
    pub ask: Ask,
    /// The app.
    pub client: Client,
    /// Who is logged in.
    pub user: Option<(User, Role)>,
    /// The cookie was made now.
    pub is_new: bool,
}

impl At {
    /// Hidden fields of each form: which request, and that the form is ours.
    #[must_use]
    pub fn hidden(&self) -> String {
        // Both are hexadecimal or base64url: nothing to escape.
        format!(
            "<input type=\"hidden\" name=\"t\" value=\"{}\"><input type=\"hidden\" name=\"csrf\" value=\"{}\">",
            self.pending.id,
            self.browser.csrf()
        )
    }

    /// A page of this request.
    #[must_use]
    pub fn page(&self, state: &AuthState, status: u16, title: &str, main: &str) -> OAuthAnswer {
        let mut answer = page(status, title, main, Some(&self.ask.redirect_uri));
        if self.is_new {
            answer.headers.push(self.browser.cookie(state));
        }
        answer
    }

    /// Refuses: the request is over, the app hears why.
    ///
    /// # Errors
    /// What the store says.
    pub async fn refuse(&self, state: &AuthState, error: &str, description: &str) -> Result<OAuthAnswer> {
        state.store.take_pending(&self.pending.id).await?;
        tracing::info!(client = self.client.id, error, description, "an authorization request was refused");
        Ok(self.ask.refuse(&state.parties.issuer, error, description))
    }
}

/// Finds the request that `t` names, and whose browser asks. `form`: of a POST, which must carry the browser's token.
///
/// # Errors
/// What the store says. The inner one is a page.
pub async fn find(
    state: &AuthState,
    request: &PageRequest<'_>,
    form: &Form,
    now: Instant,
) -> Result<Result<At, OAuthAnswer>> {
    let over = || {
        Ok(Err(problem(
            400,
            "This page is over",
            "It was answered, or it waited too long. Go back to the app and start again.",
        )))
    };
    let id = form.get("t").unwrap_or_default();
    let Some(mut pending) = state.store.pending(id).await?.filter(|p| p.expires > now.0) else { return over() };
    let (browser, is_new) = match session::of(state, request, now).await? {
        Some(browser) => (browser, false),
        None if request.is_post => return over(),
        None => (session::begin(state, ("", now), None, now).await?, true),
    };
    if pending.session.is_empty() && !request.is_post {
        if !state.store.bind_pending(&pending.id, &browser.session.hash).await? {
            return over();
        }
        pending.session = browser.session.hash.clone();
    }
    // Another browser's request: nobody finishes what somebody else began.
    if pending.session != browser.session.hash || (request.is_post && !browser.sent(form.get("csrf"))) {
        return over();
    }
    let ask: Ask = serde_json::from_str(&pending.request)
        .map_err(|e| Error::fault("a request that waits reads as it was written").caused_by(e))?;
    let client = state.store.oauth_client(&ask.client).await?.filter(|c| c.is_active && c.may("authorization_code"));
    let Some(client) = client else { return over() };
    let user = match browser.session.user.as_str() {
        "" => None,
        name => state.user(name, now).await?,
    };
    Ok(Ok(At { browser, pending, ask, client, user, is_new }))
}

/// `GET /auth/step?t=…`: the next page, or the answer to the app.
///
/// # Errors
/// What the store says.
pub async fn show(state: &AuthState, request: &PageRequest<'_>, now: Instant) -> Result<OAuthAnswer> {
    let Some(form) = request.form() else {
        return Ok(problem(400, "This page is over", "Go back to the app and start again."));
    };
    match find(state, request, &form, now).await? {
        Ok(at) => next(state, at, (&form, request.scene()), now).await,
        Err(page) => Ok(page),
    }
}

async fn next(state: &AuthState, mut at: At, (form, scene): (&Form, Scene<'_>), now: Instant) -> Result<OAuthAnswer> {
    let is_fresh = at.browser.session.at >= at.ask.not_before;
    let Some((user, role)) = at.user.clone().filter(|_| is_fresh) else {
        if at.ask.is_silent {
            return at.refuse(state, "login_required", "nobody is signed in").await;
        }
        return Ok(login::page(state, &at, 200, ("", "")));
    };
    if at.client.org.is_some() && at.client.org != user.org {
        return at.refuse(state, "access_denied", "the app is of another organisation").await;
    }
    if !at.ask.launch.is_empty() && at.pending.patient.is_empty() && at.pending.encounter.is_empty() {
        let Some(launch) = launch(state, &at, now).await? else {
            return at.refuse(state, "access_denied", "the launch was made for another user, or is over").await;
        };
        choose(state, &mut at, launch.patient, launch.encounter).await?;
    }
    if role == Role::Patient {
        let own = user.patient.clone().unwrap_or_default();
        if at.pending.patient != own {
            choose(state, &mut at, own, String::new()).await?;
        }
    }
    let scopes = at.ask.scopes();
    let needs_patient = scopes.has("launch/patient") || scopes.data.iter().any(|s| s.level == Level::Patient);
    if needs_patient && at.pending.patient.is_empty() {
        if at.ask.is_silent {
            return at.refuse(state, "interaction_required", "a patient must be chosen").await;
        }
        return pick::patients(state, &at, (&user, role), (form.get("q").unwrap_or_default(), scene), now).await;
    }
    let needs_encounter = scopes.has("launch/encounter") && at.pending.encounter.is_empty();
    if needs_encounter
        && !at.pending.patient.is_empty()
        && let Some(page) = pick::encounters(state, &at, (&user, role), scene, now).await?
    {
        return Ok(page);
    }
    if at.client.is_first_party {
        return consent::grant(state, &at, &user, (scopes, scene), now).await;
    }
    if at.ask.is_silent {
        return at.refuse(state, "consent_required", "the user must be asked").await;
    }
    consent::page(state, &at, (&user, role), scene, now).await
}

/// The launch of a request, if the user who is logged in made it.
async fn launch(state: &AuthState, at: &At, now: Instant) -> Result<Option<Launch>> {
    let Some((user, _)) = &at.user else { return Ok(None) };
    let launch = state.store.launch(&at.ask.launch).await?;
    Ok(launch.filter(|l| l.user == user.name && l.client == at.client.id && l.used == 0 && l.expires > now.0))
}

/// Notes a choice.
///
/// # Errors
/// What the store says.
pub async fn choose(state: &AuthState, at: &mut At, patient: String, encounter: String) -> Result<()> {
    state.store.choose_pending(&at.pending.id, &patient, &encounter).await?;
    (at.pending.patient, at.pending.encounter) = (patient, encounter);
    Ok(())
}
