//! create, update, patch and delete of one resource, outside a Bundle.
//!
//! Source: <https://hl7.org/fhir/R4/http.html#create>, `#update`, `#patch`, `#delete`, `#ops` (Prefer).

use super::answer::{Answer, Done};
use super::read::stamp;
use super::request::{At, Media, Prefer, Request};
use super::write::{Asks, Draft, Others, Outcome};
use super::{Engine, Scope};
use crate::access::Ctx;
use crate::access::scope::Action;
use crate::error::{Error, Result};
use crate::fhir::patch::Patch;
use crate::fhir::{Json, json, outcome};
use crate::store::Method;
use bytes::Bytes;

/// A write, and what is asked of its answer.
pub(super) struct Change {
    pub(super) action: Action,
    pub(super) draft: Draft,
    pub(super) prefer: Prefer,
}

impl Change {
    /// Reads a write request.
    ///
    /// # Errors
    /// All issues of a body that is no JSON; `Fault` for a request that is no write.
    pub(super) fn of(engine: &Engine, request: Request) -> Result<Self> {
        let limits = &engine.house().json;
        let draft = |method, at, body, when| Draft {
            method,
            at,
            body,
            patch: None,
            when,
            if_none_exist: None,
            full_url: None,
            place: String::new(),
        };
        Ok(match request {
            Request::Create { rtype, body, if_none_exist, when, prefer } => {
                let action = if if_none_exist.is_some() { Action::ConditionalCreate } else { Action::Create };
                let draft = draft(Method::Post, At::Query(rtype, String::new()), body.json(limits)?, when);
                Self { action, draft: Draft { if_none_exist, ..draft }, prefer }
            }
            Request::Update { at, body, when, prefer } => {
                let action = by(&at, Action::Update, Action::ConditionalUpdate);
                Self { action, draft: draft(Method::Put, at, body.json(limits)?, when), prefer }
            }
            Request::Patch { at, body, media, when, prefer } => {
                let action = by(&at, Action::Patch, Action::ConditionalPatch);
                let body = body.json(limits)?;
                let patch = if media == Media::JsonPatch { Patch::Json(body) } else { Patch::Path(body) };
                Self {
                    action,
                    draft: Draft { patch: Some(patch), ..draft(Method::Patch, at, Json::Null, when) },
                    prefer,
                }
            }
            Request::Delete { at, when, prefer } => {
                let action = by(&at, Action::Delete, Action::ConditionalDelete);
                Self { action, draft: draft(Method::Delete, at, Json::Null, when), prefer }
            }
            _ => return Err(Error::fault("not a write: handle() sends only writes here")),
        })
    }
}

fn by(at: &At, id: Action, query: Action) -> Action {
    match at {
        At::Id(_) => id,
        At::Query(..) => query,
    }
}

impl Engine {
    /// `provenance`: of what it writes.
    pub(super) async fn change(&self, ctx: &Ctx, request: Request, provenance: Option<Json>) -> Result<Answer> {
        let text = request.text();
        let Change { action, draft, prefer } = Change::of(self, request)?;
        let rtype = draft.at.rtype();
        self.may(ctx, action, &draft)?;
        let name = format!("{} {rtype}", draft.method.as_str());
        let mut asks = Asks::default();
        asks.add(self, ctx, draft);
        if let Some(provenance) = provenance {
            asks.accompany(self, ctx, provenance);
        }
        let outcomes = self.write(ctx, asks, Others::default(), &name).await?.outcomes;
        let outcome = outcomes.into_iter().next().ok_or_else(|| Error::fault("a write without an outcome"))?;
        Ok(answer(outcome, self.shown(ctx, rtype, prefer), text.as_deref()))
    }

    /// Scope and role of a write. A patch that asks for what is there reads it, too.
    pub(super) fn may(&self, ctx: &Ctx, action: Action, draft: &Draft) -> Result<()> {
        let rtype = Some(draft.at.rtype());
        self.permit(ctx, action, rtype)?;
        match &draft.patch {
            Some(patch) if patch.reads() => self.permit(ctx, Action::Read, rtype),
            _ => Ok(()),
        }
    }
}

/// What a client gets for a write. `sent`: what was sent, for the places of what was noticed.
pub(super) fn answer(outcome: Outcome, prefer: Prefer, sent: Option<&[u8]>) -> Answer {
    let Outcome { done, version, deleted, mut noticed } = outcome;
    let text = match (done, &version) {
        (Done::Created, Some(v)) => format!("{} was created", v.target),
        (Done::Ok, Some(v)) => format!("{} is at version {}", v.target, v.version),
        (_, Some(v)) => format!("{} was deleted", v.target),
        (_, None) if deleted > 1 => format!("{deleted} resources were deleted"),
        (_, None) => "There was nothing to delete".to_owned(),
    };
    let stamp = version.as_ref().map(stamp);
    let location = version.as_ref().filter(|v| !v.is_deleted()).map(|v| v.target.clone());
    let body = match (prefer, version) {
        (Prefer::Outcome, _) => {
            json::locate(sent.unwrap_or_default(), "", &mut noticed);
            Bytes::from(outcome::all_ok_but(&text, &noticed).to_bytes())
        }
        (Prefer::Representation, Some(v)) => v.body,
        _ => Bytes::new(),
    };
    let done = match (done, body.is_empty()) {
        (Done::NoContent, false) => Done::Ok,
        (done, _) => done,
    };
    Answer { done, body, stamp, location, media: None, seen: Vec::new() }
}

/// Scope of an interaction on one type: what searches and histories are judged by.
pub(super) fn type_of(of: &Scope) -> Option<crate::fhir::ResourceType> {
    match of {
        Scope::System => None,
        Scope::Type(rtype) => Some(*rtype),
        Scope::Instance(target) | Scope::Version(target, _) => Some(target.rtype),
        Scope::Compartment(_, inner) => *inner,
    }
}
