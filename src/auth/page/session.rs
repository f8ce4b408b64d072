//! Whose browser it is: one cookie, a session behind its hash, a token in every form.
//!
//! The session changes at login, so that nobody logs in on a session that somebody else planted. It ends after
//! `idle-seconds` without a page, and twelve hours after the login whatever happens.
//! Source: <https://www.rfc-editor.org/rfc/rfc6265> and its `__Host-` prefix; own rules (security contract, section 5).

use super::web::PageRequest;
use crate::access::Role;
use crate::auth::AuthState;
use crate::auth::token::{hash, random_text};
use crate::clock::Instant;
use crate::error::Result;
use crate::store::oauth::{Session, User};

/// Seconds that a login holds at most.
pub const LONGEST: i64 = 12 * 3600;

/// A browser and the secret in its cookie.
#[derive(Debug, Clone)]
pub struct Browser {
    secret: String,
    /// Its session.
    pub session: Session,
}

impl Browser {
    /// What every form of its pages carries: made of the cookie, which no other site can read.
    #[must_use]
    pub fn csrf(&self) -> String {
        hash(&format!("csrf {}", self.secret))
    }

    /// Whether a form carries it.
    #[must_use]
    pub fn sent(&self, csrf: Option<&str>) -> bool {
        use subtle::ConstantTimeEq;
        csrf.is_some_and(|given| bool::from(given.as_bytes().ct_eq(self.csrf().as_bytes())))
    }

    /// Something that only this browser can bring back, for one purpose and one occasion: made of the cookie.
    #[must_use]
    pub fn derive(&self, purpose: &str, occasion: &str) -> String {
        hash(&format!("{purpose} {} {occasion}", self.secret))
    }

    /// Whether it is that.
    #[must_use]
    pub fn is_derived(&self, purpose: &str, occasion: &str, given: Option<&str>) -> bool {
        use subtle::ConstantTimeEq;
        given.is_some_and(|given| bool::from(given.as_bytes().ct_eq(self.derive(purpose, occasion).as_bytes())))
    }

    /// `Set-Cookie`.
    #[must_use]
    pub fn cookie(&self, state: &AuthState) -> (&'static str, String) {
        let secure = if is_secure(state) { "; Secure" } else { "" };
        ("Set-Cookie", format!("{}={}; Path=/; HttpOnly; SameSite=Lax{secure}", name(state), self.secret))
    }
}

fn is_secure(state: &AuthState) -> bool {
    state.parties.issuer.starts_with("https://")
}

/// On plain HTTP (loopback) browsers take no `__Host-` cookie.
fn name(state: &AuthState) -> &'static str {
    if is_secure(state) { "__Host-baton" } else { "baton-session" }
}

/// The browser of a request; `None` without a cookie of a session that lives.
///
/// # Errors
/// What the store says.
pub async fn of(state: &AuthState, request: &PageRequest<'_>, now: Instant) -> Result<Option<Browser>> {
    let Some(secret) = request.cookie(name(state)) else { return Ok(None) };
    let Some(session) = state.store.oauth_session(&hash(secret)).await? else { return Ok(None) };
    let idle = i64::try_from(state.limits.idle_seconds).unwrap_or(i64::MAX);
    if session.expires <= now.0 || Instant(session.used).plus_seconds(idle) <= now {
        return Ok(None);
    }
    // Once a minute is often enough, and a page costs no write.
    if Instant(session.used).plus_seconds(60) < now {
        state.store.touch_session(&session.hash, now).await?;
    }
    Ok(Some(Browser { secret: secret.to_owned(), session }))
}

/// Begins a session. `user`: who logged in, empty for nobody, and when; `before`: the session that it takes the place of.
///
/// # Errors
/// What the store says.
pub async fn begin(
    state: &AuthState,
    (user, at): (&str, Instant),
    before: Option<&Browser>,
    now: Instant,
) -> Result<Browser> {
    let secret = random_text::<32>()?;
    let expires = now.plus_seconds(LONGEST).0;
    let session = Session { hash: hash(&secret), user: user.into(), at: at.0, used: now.0, expires };
    state.store.begin_session(&session, before.map_or("", |b| &b.session.hash)).await?;
    Ok(Browser { secret, session })
}

/// The user who is logged in, and the role, if the login may still act.
///
/// # Errors
/// What the store says.
pub async fn who(state: &AuthState, browser: Option<&Browser>, now: Instant) -> Result<Option<(User, Role)>> {
    let Some(browser) = browser.filter(|b| !b.session.user.is_empty()) else { return Ok(None) };
    state.user(&browser.session.user, now).await
}
