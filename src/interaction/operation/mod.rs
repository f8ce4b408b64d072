//! Operations: one line each, from name and type to the function that carries it out.
//!
//! Not for: what they do (`workflow/`).
//! Source: <https://hl7.org/fhir/R4/operations.html>.

pub(super) mod status;
mod timeline;

use super::answer::{Answer, Done, Stamp};
use super::request::{Operation, Scope};
use super::write::Faults;
use super::write::outward::{self, Inside, Judged, Which};
use super::{Engine, House, unknown};
use crate::access::scope::Action;
use crate::access::{Ctx, Limit};
use crate::clock::Instant;
use crate::error::{Error, Result};
use crate::fhir::bundle::{Link, each_reference};
use crate::fhir::resource::{known, printable};
use crate::fhir::{Json, ResourceType, Target};
use crate::store::{Audit, Tx, Work};
use crate::workflow;
use futures_util::future::BoxFuture;
use std::sync::Arc;

/// An operation that Baton has.
pub(super) struct Row {
    /// Without `$`.
    pub(super) name: &'static str,
    /// The type whose instances have it.
    pub(super) on: &'static str,
    /// What it does, for `metadata`.
    pub(super) text: &'static str,
    kind: Kind,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Claim,
    Release,
    Attempt,
    Resolve,
    Reconcile,
    /// Reads only.
    Timeline,
}

/// All operations.
pub(super) const OPERATIONS: [Row; 6] = [
    Row {
        name: "claim",
        on: "Task",
        text: "Takes an open Task for the caller's organisation. Needs If-Match; of two who claim at once one gets 409 or 412.",
        kind: Kind::Claim,
    },
    Row {
        name: "release",
        on: "Task",
        text: "Gives a claimed Task back that has not been started, so that another organisation can claim it.",
        kind: Kind::Release,
    },
    Row {
        name: "attempt",
        on: "Task",
        text: "Records one attempt to reach the patient by phone; answers the Communication.",
        kind: Kind::Attempt,
    },
    Row {
        name: "resolve",
        on: "DetectedIssue",
        text: "A pharmacist decides on a drug therapy problem: mitigation, resolution, note; closes its review Task.",
        kind: Kind::Resolve,
    },
    Row {
        name: "reconcile",
        on: "Encounter",
        text: "Compares the medication lists around a stay: home, stay, discharge, dispensed, told. POST stores the working List with its Provenance; GET answers what it would be. Runs by itself when a list changes.",
        kind: Kind::Reconcile,
    },
    Row {
        name: "timeline",
        on: "EpisodeOfCare",
        text: "Tells the story of an episode in sentences, in the order of writing, of what the caller may see. Reads only: GET or POST.",
        kind: Kind::Timeline,
    },
];

impl Engine {
    pub(super) async fn operation(&self, ctx: &Ctx, call: Operation) -> Result<Answer> {
        if call.name == status::NAME && call.on == Scope::System {
            return self.reindex_status(ctx).await;
        }
        if let (Scope::Instance(at), "timeline") = (&call.on, call.name.as_str())
            && at.rtype == known("EpisodeOfCare")
        {
            return self.timeline(ctx, at).await;
        }
        let call = self.call(ctx, call, "")?;
        let resource = self.house().store.write(call).await?;
        Ok(answer(&resource))
    }

    /// Reads and judges a call. `place`: of its Bundle entry, or "".
    pub(super) fn call(&self, ctx: &Ctx, call: Operation, place: &str) -> Result<Call> {
        let no_such = || Error::not_found(format!("there is no operation ${} here", printable(&call.name)));
        let Scope::Instance(target) = &call.on else { return Err(no_such().code("not-supported")) };
        let row = OPERATIONS
            .iter()
            .find(|row| row.name == call.name && known(row.on) == target.rtype)
            .ok_or_else(|| no_such().code("not-supported"))?;
        if matches!(row.kind, Kind::Timeline) {
            return Err(
                Error::invalid(format!("${} is called by itself, not in a Bundle", row.name)).code("not-supported")
            );
        }
        let reads = matches!(row.kind, Kind::Reconcile);
        if call.is_get && !reads {
            return Err(Error::method_not_allowed(format!("${} changes something: call it by POST", row.name)));
        }
        if reads {
            // What it writes is the programme's own and follows from what is stored: who may read the list may ask for it.
            self.permit(ctx, Action::Read, Some(target.rtype))?;
            self.permit(ctx, Action::Read, Some(known("List")))?;
        } else {
            self.permit(ctx, Action::Update, Some(target.rtype))?;
        }
        let params = if call.body.is_empty() { None } else { Some(parameters(call.body.json(&self.house().json)?)?) };
        Ok(Call {
            house: Arc::clone(&self.0),
            ctx: ctx.clone(),
            kind: row.kind,
            is_get: call.is_get,
            name: format!("{}/${}", row.on, row.name),
            target: target.clone(),
            params,
            if_match: call.when.version(),
            place: place.to_owned(),
        })
    }
}

/// The body of an operation.
fn parameters(body: Json) -> Result<Json> {
    if body["resourceType"].as_str() != Some("Parameters") {
        return Err(Error::invalid("an operation takes a Parameters resource").at("resourceType"));
    }
    crate::fhir::validate::check(&body)?;
    Ok(body)
}

/// The resource that an operation answers, with ETag and Location where it is a stored one.
pub(super) fn answer(resource: &Json) -> Answer {
    let meta = &resource["meta"];
    let stamp = match (meta["versionId"].text().parse().ok(), Instant::parse(meta["lastUpdated"].text())) {
        (Some(version), Some(updated)) => Some(Stamp { version, updated }),
        _ => None,
    };
    let location = match (ResourceType::parse(resource["resourceType"].text()), resource["id"].as_str(), &stamp) {
        (Some(rtype), Some(id), Some(_)) => Some(Target::new(rtype, id)),
        _ => None,
    };
    Answer { done: Done::Ok, body: resource.to_bytes().into(), stamp, location }
}

/// One call, judged as far as it can be without the database.
pub(super) struct Call {
    house: Arc<House>,
    ctx: Ctx,
    kind: Kind,
    is_get: bool,
    name: String,
    /// The resource that it is called on.
    pub(super) target: Target,
    /// The Parameters, where some were sent.
    pub(super) params: Option<Json>,
    if_match: Option<i64>,
    /// `Bundle.entry[3]`, or "".
    pub(super) place: String,
}

impl Call {
    /// Carries it out with these parameters: the sent ones, links inside a Bundle resolved.
    pub(super) async fn carry_out(&self, tx: &mut Tx, params: Option<&Json>) -> Result<Json> {
        let (ctx, programme) = (&self.ctx, &self.house.programme);
        // Unknown and invisible alike are 404 before any rule speaks.
        match tx.get(&Limit::of(ctx), &self.target).await? {
            None => return Err(unknown(&self.target)),
            Some(v) if v.is_deleted() => return Err(Error::gone(format!("{} is deleted", self.target))),
            Some(_) => {}
        }
        if let Some(params) = params {
            self.check_references(tx, params).await?;
        }
        let id = self.target.id.as_str();
        match self.kind {
            Kind::Claim => workflow::claim(ctx, tx, programme, id, params, self.if_match).await,
            Kind::Release => workflow::release(ctx, tx, programme, id, params, self.if_match).await,
            Kind::Attempt => workflow::attempt(ctx, tx, programme, id, params, self.if_match).await,
            Kind::Resolve => workflow::resolve(ctx, tx, programme, id, params, self.if_match).await,
            Kind::Reconcile => workflow::reconcile(ctx, tx, programme, id, params, !self.is_get).await,
            Kind::Timeline => Err(Error::fault("$timeline is no write: operation() answers it")),
        }
    }

    /// References of the parameters end up in what the operation writes: the caller must see where they lead.
    async fn check_references(&self, tx: &mut Tx, body: &Json) -> Result<()> {
        let mut faults = Faults::default();
        each_reference(body, &mut |path, text| {
            let why = match Link::parse(text) {
                Link::Conditional(..) => "a parameter takes no conditional reference; send the id",
                Link::Urn(_) => "no entry of a Bundle around this call has that fullUrl",
                _ => return,
            };
            faults.add(Error::unprocessable(why).code("not-found").at(path.to_string()), "");
        });
        let limit = Limit::of(&self.ctx);
        let targets = Which::of(&self.house, &limit).targets(&self.house.env.base, body);
        let judged = [Judged { body, targets: &targets, was: None, place: "" }];
        outward::judge(tx, &self.house, &limit, &judged, &Inside::default(), &mut faults).await?;
        faults.end()
    }
}

impl Work for Call {
    type Out = Json;

    fn run<'a>(&'a self, tx: &'a mut Tx) -> BoxFuture<'a, Result<Json>> {
        Box::pin(async move {
            self.house.in_tx(tx).await?;
            let done = self.carry_out(tx, self.params.as_ref()).await?;
            let (ctx, principal) = (&self.ctx, &self.ctx.principal);
            tx.audit(Audit {
                at: ctx.now,
                org: principal.org.as_ref().map_or(0, |id| self.house.keys.org(id)),
                client: principal.client.clone(),
                usr: principal.user.clone().unwrap_or_default(),
                request_id: ctx.request_id.to_string(),
                action: self.name.clone(),
                outcome: 200,
            });
            Ok(done)
        })
    }

    fn locks(&self) -> Vec<i64> {
        vec![self.house.keys.target(self.target.rtype.as_str(), &self.target.id)]
    }
}
