//! transaction: all entries or none.
//!
//! Writes go through `write/` together, operations that change something after them in the same transaction. What reads is asked
//! before for its input, is checked inside for the resource that it is about, and is answered right after the commit, so that it
//! sees what was written.
//! Source: <https://hl7.org/fhir/R4/http.html#trules>, `#transaction-response`.

use super::Engine;
use super::answer::Answer;
use super::batch::{self, Entry};
use super::bundle::Writer;
use super::change::{self, Change, type_of};
use super::operation;
use super::published;
use super::request::{Operation, Prefer, Request, Scope};
use super::subset::Subset;
use super::write::{Asks, Draft, Others};
use crate::access::Ctx;
use crate::access::scope::Action;
use crate::error::{Error, Result};
use crate::fhir::{Json, Target};

/// What an entry became.
enum Part {
    /// A write; its outcomes come in this order.
    Write(Prefer),
    /// A change of `meta`; its outcomes stand among those of the writes.
    Meta(Prefer),
    /// An operation; their answers come in this order.
    Call(Prefer),
    /// Something read after the commit.
    Read(Request),
}

impl Engine {
    /// `text`: of the Bundle, for the places of what was noticed. `provenance`: of all that it writes.
    pub(super) async fn transaction(
        &self,
        ctx: &Ctx,
        entries: Vec<Entry>,
        wanted: Option<Prefer>,
        text: &[u8],
        provenance: Option<Json>,
    ) -> Result<Answer> {
        let mut asks = Asks::default();
        let mut others = Others::default();
        let mut parts = Vec::with_capacity(entries.len());
        for Entry { place, full_url, request } in entries {
            let request = match request {
                Ok(request) => request,
                Err(error) => {
                    asks.fail(error, "", full_url);
                    continue;
                }
            };
            let prefer = batch::prefer_of(&request, wanted).unwrap_or_default();
            match request {
                Request::Create { .. } | Request::Update { .. } | Request::Patch { .. } | Request::Delete { .. } => {
                    match self.entry(ctx, request) {
                        Ok(draft) => {
                            parts.push(Part::Write(self.shown(ctx, draft.at.rtype(), prefer)));
                            asks.add(self, ctx, Draft { place, full_url, ..draft });
                        }
                        Err(error) => asks.fail(error, &place, full_url),
                    }
                }
                Request::Operation(call) if operation::meta::is_change(&call) => match self.meta_draft(ctx, call) {
                    Ok(draft) => {
                        parts.push(Part::Meta(self.shown(ctx, draft.at.rtype(), prefer)));
                        asks.add(self, ctx, Draft { place, full_url, ..draft });
                    }
                    Err(error) => asks.fail(error, &place, full_url),
                },
                Request::Operation(operation) if operation::changes(&operation) => {
                    match self.call(ctx, operation, &place) {
                        Ok(call) => others.calls.push(call),
                        Err(error) => asks.fail(error, &place, full_url),
                    }
                    parts.push(Part::Call(prefer));
                }
                request => {
                    if let Err(error) = self.check_read(ctx, &request).await {
                        asks.fail(error, &place, full_url);
                    } else if let Some(target) = self.read_of(&request) {
                        others.reads.push((target, place));
                    }
                    parts.push(Part::Read(request));
                }
            }
        }
        if let Some(provenance) = provenance {
            asks.accompany(self, ctx, provenance);
        }
        let (mut outcomes, mut answers) = (Vec::new().into_iter(), Vec::new().into_iter());
        if !(asks.is_empty() && others.reads.is_empty() && others.calls.is_empty()) {
            let written = self.write(ctx, asks, others, "transaction").await?;
            (outcomes, answers) = (written.outcomes.into_iter(), written.answers.into_iter());
        }
        let mut out = Writer::new(&ctx.base, "transaction-response", None, &[], parts.len() * 300);
        for part in parts {
            match part {
                Part::Write(prefer) | Part::Meta(prefer) => {
                    let outcome = outcomes.next().ok_or_else(|| Error::fault("a write without an outcome"))?;
                    let answer = match part {
                        Part::Meta(_) => operation::meta::changed(outcome, prefer),
                        _ => Ok(change::answer(outcome, prefer, Some(text))),
                    };
                    batch::answer(&mut out, answer, Some(prefer));
                }
                Part::Call(prefer) => {
                    let (name, resource) =
                        answers.next().ok_or_else(|| Error::fault("an operation without an answer"))?;
                    let prefer = self.shown_answer(ctx, &resource, prefer);
                    batch::answer(&mut out, Ok(operation::answer(&resource, &name, prefer)), Some(prefer));
                }
                Part::Read(request) => {
                    let answer = self.handle_entry(ctx, request).await;
                    batch::answer(&mut out, answer, None);
                }
            }
        }
        Ok(Answer::of(out.end()))
    }

    /// Reads and judges a write of an entry.
    fn entry(&self, ctx: &Ctx, request: Request) -> Result<Draft> {
        let Change { action, draft, .. } = Change::of(self, request)?;
        self.may(ctx, action, &draft)?;
        Ok(draft)
    }

    /// Refuses what a read of an entry would refuse, before anything is written: one refused entry refuses all.
    async fn check_read(&self, ctx: &Ctx, request: &Request) -> Result<()> {
        match request {
            Request::Read { target, query, .. } => {
                self.permit(ctx, Action::Read, Some(target.rtype))?;
                Subset::of_query(query).map(|_| ())
            }
            Request::VRead { target, query, .. } => {
                self.permit(ctx, Action::VRead, Some(target.rtype))?;
                Subset::of_query(query).map(|_| ())
            }
            Request::Search { of, query, lenient } => self.check_search(ctx, of, query, *lenient),
            Request::History { of, .. } => {
                let action = match of {
                    Scope::Instance(_) | Scope::Version(..) => Action::HistoryInstance,
                    Scope::Type(_) => Action::HistoryType,
                    Scope::System | Scope::Compartment(..) => Action::HistorySystem,
                };
                self.permit(ctx, action, type_of(of))
            }
            Request::Operation(call) => self.check_call(ctx, call).await,
            _ => Ok(()),
        }
    }

    /// The stored resource that a read of an entry is about: it must be there.
    fn read_of(&self, request: &Request) -> Option<Target> {
        let target = match request {
            Request::Read { target, .. } => target,
            Request::Operation(Operation { on: Scope::Instance(target), .. }) => target,
            _ => return None,
        };
        let (house, active) = (self.house(), self.house().active());
        Some(target.clone()).filter(|target| published::at(house, &active, target).is_none())
    }
}
