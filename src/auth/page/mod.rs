//! The pages of the authorization server, for people: sign in, choose a patient, consent, see one's apps.
//!
//! [`PATHS`] is the map. HTML is written here and nowhere else, without script; `http` only carries it.
//! Not for: what programs ask (`endpoint.rs`, `introspect.rs`).
//! Source: security contract, sections 1 and 5; WCAG 2.2 AA.

pub mod ask;
mod consent;
mod elsewhere;
mod login;
mod manage;
mod pick;
mod session;
mod step;
mod style;
pub mod web;
mod words;

pub use web::PageRequest;

use super::AuthState;
use super::endpoint::OAuthAnswer;
use super::token::random_text;
use crate::clock::Instant;
use crate::error::{Error, Kind, Result};
use crate::store::oauth::Pending;
use web::{problem, redirect};

/// Seconds that a request waits for its user.
const WAIT_SECONDS: i64 = 600;

/// Paths and their methods.
pub const PATHS: [(&str, &str); 12] = [
    ("/auth/authorize", "GET, HEAD, POST"),
    ("/auth/step", "GET, HEAD"),
    ("/auth/login", "POST"),
    ("/auth/elsewhere", "GET"),
    ("/auth/callback/{id}", "GET"),
    ("/auth/code", "POST"),
    ("/auth/pick", "POST"),
    ("/auth/consent", "POST"),
    ("/auth/manage", "GET, HEAD, POST"),
    ("/auth/logout", "POST"),
    ("/auth/style.css", "GET, HEAD"),
    ("/auth/smart-style.json", "GET, HEAD"),
];

/// Answers a request at one of [`PATHS`] by a method that it has.
pub async fn answer(state: &AuthState, path: &str, request: &PageRequest<'_>, now: Instant) -> OAuthAnswer {
    let answer = match path {
        _ if let Some(name) = path.strip_prefix("/auth/callback/") => elsewhere::back(state, request, name, now).await,
        "/auth/elsewhere" => elsewhere::start(state, request, now).await,
        "/auth/code" => elsewhere::code(state, request, now).await,
        "/auth/authorize" => authorize(state, request, now).await,
        "/auth/step" => step::show(state, request, now).await,
        "/auth/login" => login::post(state, request, now).await,
        "/auth/pick" => pick::post(state, request, now).await,
        "/auth/consent" => consent::post(state, request, now).await,
        "/auth/manage" => manage::answer(state, request, now).await,
        "/auth/logout" => manage::logout(state, request, now).await,
        "/auth/style.css" => Ok(file("text/css; charset=utf-8", style::SHEET)),
        "/auth/smart-style.json" => Ok(file("application/json", include_str!("smart-style.json"))),
        _ => Err(Error::not_found("there is no such page")),
    };
    answer.unwrap_or_else(|error| sorry(&error))
}

fn sorry(error: &Error) -> OAuthAnswer {
    match error.kind {
        Kind::Busy | Kind::TooMany => {
            let mut answer = problem(503, "Baton is full at this moment", "Try again in a few seconds.");
            answer.headers.push(("Retry-After", "2".into()));
            answer
        }
        Kind::NotFound => problem(404, "There is nothing here", "Go back to where you came from."),
        _ => {
            tracing::error!(%error, "a page of the authorization server failed");
            problem(500, "Something went wrong", "It is a fault of ours, and in the log. Try again.")
        }
    }
}

fn file(media: &str, text: &str) -> OAuthAnswer {
    let headers = vec![
        ("Content-Type", media.to_owned()),
        ("Cache-Control", "public, max-age=300".to_owned()),
        ("Access-Control-Allow-Origin", "*".to_owned()),
    ];
    OAuthAnswer { status: 200, headers, body: text.as_bytes().to_vec() }
}

/// `GET` and `POST /auth/authorize`: what passes is kept, and goes on at its own address. That is a GET of our own, so that the
/// browser sends its cookie even where the app posted from elsewhere.
async fn authorize(state: &AuthState, request: &PageRequest<'_>, now: Instant) -> Result<OAuthAnswer> {
    let parameters = match (request.is_post, request.is_form()) {
        (false, _) => request.query.as_bytes(),
        (true, true) if request.query.is_empty() => request.body,
        (true, _) => {
            let text = "Its request must be a form, and nothing in the address. Go back to the app and try again.";
            return Ok(problem(400, "This app cannot be let in", text));
        }
    };
    let ask = match ask::read(state, parameters, now).await? {
        Ok(ask) => ask,
        Err(answer) => return Ok(answer),
    };
    let text = serde_json::to_string(&ask).map_err(|e| Error::fault("a request is JSON").caused_by(e))?;
    let pending = Pending {
        id: random_text::<24>()?,
        session: String::new(),
        request: text,
        patient: String::new(),
        encounter: String::new(),
        expires: now.plus_seconds(WAIT_SECONDS).0,
    };
    state.store.add_pending(&pending, now).await?;
    Ok(redirect(&format!("/auth/step?t={}", pending.id), Some(&ask.redirect_uri)))
}
