//! Operations: from the row of a call to the function that carries it out.
//!
//! [`table`] all of them, with their parameters · [`input`] what a reading one is given.
//! Not for: what those of the programme do (`workflow/`).
//! Source: <https://hl7.org/fhir/R4/operations.html>.

mod access_report;
pub(super) mod break_glass;
mod form;
mod input;
pub(super) mod meta;
mod protocol;
mod report;
mod rules;
mod status;
pub(super) mod table;
mod timeline;
mod validate;

use super::answer::{Answer, Done, Stamp};
use super::reading::{Shelf, document};
use super::request::{Body, Operation, Prefer, Scope};
use super::write::outward::{self, Inside, Judged, Which};
use super::write::{Faults, keep};
use super::{Engine, House, unknown};
use crate::access::scope::Action;
use crate::access::{Ctx, Limit};
use crate::clock::Instant;
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::fhir::bundle::{Link, each_reference};
use crate::fhir::resource::{known, printable};
use crate::fhir::{Json, ResourceType, Target, outcome};
use crate::search::query::pairs;
use crate::store::job::Mark;
use crate::store::{Audit, Tx, Version, Work};
use crate::workflow;
use futures_util::future::BoxFuture;
pub(super) use input::Input;
use serde_json::json;
use std::sync::Arc;
use table::{Kind, Read, Write};

impl Engine {
    /// Carries out a call that stands by itself.
    pub(super) async fn operation(&self, ctx: &Ctx, call: Operation) -> Result<Answer> {
        let row = table::find(&call.name, &call.on).ok_or_else(|| no_such(&call.name))?;
        match row.kind {
            Kind::Write(Write::MetaAdd | Write::MetaDelete) => self.change_meta(ctx, call).await,
            Kind::Write(Write::Message) => self.process_message(ctx, call).await,
            Kind::Write(Write::Reload) => self.reload_profiles(ctx, call).await,
            Kind::Write(Write::BreakGlass) => self.break_glass(ctx, call).await,
            Kind::Write(Write::EndBreakGlass) => self.end_break_glass(ctx, call).await,
            Kind::Write(_) => {
                let prefer = call.prefer;
                let call = self.call(ctx, call, "")?;
                let name = call.name.clone();
                let resource = self.house().store.write(call).await?;
                Ok(answer(&resource, &name, self.shown_answer(ctx, &resource, prefer)))
            }
            // What is wrong with its body is its answer: it reads that itself.
            Kind::Read(Read::Validate) => self.validate(ctx, call).await,
            Kind::Read(read) => {
                let page = report::page_of(&call.query)?;
                let input = Input::read(row, call.body, &call.query, &self.house().json)?;
                match (read, &call.on) {
                    (Read::Versions, _) => Ok(versions()),
                    (Read::Meta, on) => self.meta(ctx, on).await,
                    (Read::ReindexStatus, _) => self.reindex_status(ctx).await,
                    (Read::AccessReport, Scope::Instance(at)) => self.access_report(ctx, at, &input, page).await,
                    (Read::Timeline, Scope::Instance(at)) => self.timeline(ctx, at, page).await,
                    (Read::Apply, on) if input.is("persist") => {
                        let open = self.open_protocol(ctx, on, &input, call.is_get).await?;
                        let plan = self.house().store.write(open).await?;
                        Ok(answer(&plan, "PlanDefinition/$apply", call.prefer))
                    }
                    (Read::Apply, on) => self.apply_protocol(ctx, on, &input).await,
                    (Read::Populate, on) => self.populate(ctx, on, &input).await,
                    (Read::Simulate, on) => self.simulate(ctx, on, &input).await,
                    (Read::Report, Scope::Instance(at)) => self.report(ctx, at, &input, page, call.is_get).await,
                    (Read::Everything, on) => self.everything(ctx, on, &input).await,
                    (Read::Document, Scope::Instance(at)) if input.is("persist") => {
                        let keep = self.keep(ctx, at, call.is_get, "")?;
                        let name = keep.name.clone();
                        let bundle = self.house().store.write(keep).await?;
                        Ok(answer(&bundle, &name, call.prefer))
                    }
                    (Read::Document, Scope::Instance(at)) => self.document(ctx, at).await,
                    (Read::LastN, _) => self.lastn(ctx, &input).await,
                    (Read::RuleReport, _) => self.rule_report(ctx, &input).await,
                    (Read::SubscriptionStatus, Scope::Instance(at)) => self.subscription_status(ctx, at).await,
                    (
                        Read::AccessReport | Read::Timeline | Read::Document | Read::Report | Read::SubscriptionStatus,
                        _,
                    ) => Err(no_such(row.name)),
                    (_, on) => self.terminology(ctx, row, read, on, &input).await,
                }
            }
        }
    }

    /// What a caller gets of an operation that answers this resource, or a Bundle of such.
    pub(super) fn shown_answer(&self, ctx: &Ctx, answer: &Json, prefer: Prefer) -> Prefer {
        let inside = answer["entry"].items().iter().map(|e| &e["resource"]);
        let types = inside.chain([answer]).map(|r| r["resourceType"].text());
        let types = types.filter(|name| !matches!(*name, "Bundle" | "OperationOutcome" | "Parameters"));
        types.filter_map(ResourceType::parse).fold(prefer, |prefer, rtype| self.shown(ctx, rtype, prefer))
    }

    /// Reads and judges a call that changes something. `place`: of its Bundle entry, or "".
    pub(super) fn call(&self, ctx: &Ctx, call: Operation, place: &str) -> Result<Call> {
        let row = table::find(&call.name, &call.on).ok_or_else(|| no_such(&call.name))?;
        let (kind, target) = match (row.kind, &call.on) {
            (Kind::Write(Write::Message), _) => {
                let text =
                    "a message is a transaction of its own, not an entry of another; POST it to $process-message";
                return Err(Error::invalid(text).code("not-supported"));
            }
            (Kind::Write(Write::Reload), _) => {
                let text = "$reload-profiles stores nothing that a transaction could hold together; POST it by itself";
                return Err(Error::invalid(text).code("not-supported"));
            }
            (Kind::Write(Write::BreakGlass | Write::EndBreakGlass), _) => {
                let text = format!("${} is a request of its own, not an entry of another; POST it by itself", row.name);
                return Err(Error::invalid(text).code("not-supported"));
            }
            (Kind::Write(kind), Scope::Instance(target)) => (kind, target),
            (Kind::Read(Read::Document), Scope::Instance(target)) => {
                Input::read(row, call.body, &call.query, &self.house().json)?;
                return self.keep(ctx, target, call.is_get, place);
            }
            _ => return Err(no_such(&call.name)),
        };
        if call.is_get {
            return Err(Error::method_not_allowed(format!("${} changes something: call it by POST", row.name)));
        }
        if matches!(kind, Write::Reconcile | Write::Screen) {
            // What it writes is the programme's own and follows from what is stored: who may read that may ask for it.
            let written = if kind == Write::Reconcile { "List" } else { "DetectedIssue" };
            self.permit(ctx, Action::Read, Some(target.rtype))?;
            self.permit(ctx, Action::Read, Some(known(written)))?;
        } else {
            self.permit(ctx, Action::Update, Some(target.rtype))?;
        }
        let params = if call.body.is_empty() { None } else { Some(parameters(call.body.json(&self.house().json)?)?) };
        if !params.as_ref().is_some_and(is_preview) {
            self.within_scopes(ctx, row.kind.writes())?;
        }
        Ok(Call {
            house: Arc::clone(&self.0),
            ctx: ctx.clone(),
            does: Does::Write(kind),
            name: format!("{}/${}", target.rtype, row.name),
            target: target.clone(),
            params,
            if_match: call.when.version(),
            place: place.to_owned(),
            mark: self.1.clone(),
        })
    }

    /// `$document` with persist: the document is put together and stored in one transaction.
    fn keep(&self, ctx: &Ctx, at: &Target, is_get: bool, place: &str) -> Result<Call> {
        if is_get {
            return Err(Error::method_not_allowed("$document with persist=true stores a Bundle: call it by POST"));
        }
        let bundle = known("Bundle");
        self.permit(ctx, Action::Read, Some(at.rtype))?;
        self.permit(ctx, Action::Create, Some(bundle))?;
        Ok(Call {
            house: Arc::clone(&self.0),
            ctx: ctx.clone(),
            does: Does::Keep(Target::new(bundle, self.house().store.fresh_id(bundle))),
            name: format!("{}/$document", at.rtype),
            target: at.clone(),
            params: None,
            if_match: None,
            place: place.to_owned(),
            mark: self.1.clone(),
        })
    }

    /// `$apply` with persist: what the protocol asks for is opened in the episode of a stay.
    async fn open_protocol(&self, ctx: &Ctx, on: &Scope, input: &Input, is_get: bool) -> Result<Call> {
        if is_get {
            return Err(Error::method_not_allowed("$apply with persist=true opens Tasks: call it by POST"));
        }
        self.permit(ctx, Action::Create, Some(known("Task")))?;
        let (plan, encounter) = self.protocol_of_a_stay(ctx, on, input).await?;
        Ok(Call {
            house: Arc::clone(&self.0),
            ctx: ctx.clone(),
            does: Does::Open(plan),
            name: "PlanDefinition/$apply".into(),
            target: encounter,
            params: None,
            if_match: None,
            place: String::new(),
            mark: self.1.clone(),
        })
    }

    /// Refuses before anything is written what a reading operation of a transaction would refuse of its input: it is asked
    /// once as things are. What depends on what the transaction writes is seen after the commit.
    pub(super) async fn check_call(&self, ctx: &Ctx, call: &Operation) -> Result<()> {
        let row = table::find(&call.name, &call.on).ok_or_else(|| no_such(&call.name))?;
        if row.kind == Kind::Read(Read::Report) && !call.is_get {
            let input = Input::read(row, call.body.clone(), &call.query, &self.house().json)?;
            return self.may_report(ctx, &input, call.is_get); // it would write
        }
        if row.kind == Kind::Read(Read::Apply) && persists(call) {
            let text = "$apply with persist is a transaction of its own, not an entry of another; POST it by itself";
            return Err(Error::invalid(text).code("not-supported"));
        }
        match Box::pin(self.operation(ctx, call.clone())).await {
            Err(error)
                if matches!(error.kind, ErrorKind::Invalid | ErrorKind::Forbidden | ErrorKind::MethodNotAllowed) =>
            {
                Err(error)
            }
            _ => Ok(()),
        }
    }
}

/// 404 for an operation that is not there.
pub(super) fn no_such(name: &str) -> Error {
    Error::not_found(format!("there is no operation ${} here", printable(name))).code("not-supported")
}

/// Whether a call changes something: in a transaction it is carried out before the commit, else after it.
pub(super) fn changes(call: &Operation) -> bool {
    match table::find(&call.name, &call.on) {
        Some(row) if row.kind == Kind::Read(Read::Document) => !call.is_get && persists(call),
        row => row.is_none_or(table::Row::changes),
    }
}

/// Whether what a `$document` or `$apply` of a Bundle entry makes is to be stored.
fn persists(call: &Operation) -> bool {
    let in_url = || pairs(&call.query).is_ok_and(|all| all.iter().any(|(n, v)| n == "persist" && v == "true"));
    let is_it = |p: &Json| p["name"].text() == "persist" && p["valueBoolean"].as_bool() == Some(true);
    matches!(&call.body, Body::Tree(body) if body["parameter"].items().iter().any(is_it)) || in_url()
}

/// Whether an operation that stores nothing with `preview` is asked so.
fn is_preview(params: &Json) -> bool {
    params["parameter"]
        .items()
        .iter()
        .any(|p| p["name"].text() == "preview" && p["valueBoolean"].as_bool() == Some(true))
}

/// `$versions`: <https://hl7.org/fhir/R4/capabilitystatement-operation-versions.html>.
fn versions() -> Answer {
    let parameter = json!([{"name": "version", "valueCode": "4.0"}, {"name": "default", "valueCode": "4.0"}]);
    Answer::of(Json::from(json!({"resourceType": "Parameters", "parameter": parameter})).to_bytes())
}

/// The body of an operation.
fn parameters(body: Json) -> Result<Json> {
    if body["resourceType"].as_str() != Some("Parameters") {
        return Err(Error::invalid("an operation takes a Parameters resource").at("resourceType"));
    }
    crate::fhir::validate::check(&body)?; // warnings about Parameters help nobody
    Ok(body)
}

/// The resource that an operation answers, with ETag and Location where it is a stored one; or what `Prefer` wants in its
/// place.
pub(super) fn answer(resource: &Json, name: &str, prefer: Prefer) -> Answer {
    let meta = &resource["meta"];
    let stamp = match (meta["versionId"].text().parse().ok(), Instant::parse(meta["lastUpdated"].text())) {
        (Some(version), Some(updated)) => Some(Stamp { version, updated }),
        _ => None,
    };
    let location = match (ResourceType::parse(resource["resourceType"].text()), resource["id"].as_str(), &stamp) {
        (Some(rtype), Some(id), Some(_)) => Some(Target::new(rtype, id)),
        _ => None,
    };
    let body = match prefer {
        Prefer::Representation => resource.to_bytes(),
        Prefer::Minimal => Vec::new(),
        Prefer::Outcome => outcome::all_ok(&format!("{name} is done")).to_bytes(),
    };
    Answer { done: Done::Ok, body: body.into(), stamp, location, media: None, seen: Vec::new() }
}

/// What a call does.
enum Does {
    /// An operation of the table.
    Write(Write),
    /// Stores the document of a Composition as this Bundle.
    Keep(Target),
    /// Opens what a protocol asks for in the episode of an Encounter.
    Open(Arc<workflow::protocol::Plan>),
}

/// One call, judged as far as it can be without the database.
pub(super) struct Call {
    house: Arc<House>,
    ctx: Ctx,
    does: Does,
    pub(super) name: String,
    /// The resource that it is called on.
    pub(super) target: Target,
    /// The Parameters, where some were sent.
    pub(super) params: Option<Json>,
    if_match: Option<i64>,
    /// `Bundle.entry[3]`, or "".
    pub(super) place: String,
    mark: Option<Mark>,
}

impl Call {
    /// Whether it may write the resource that it is called on.
    pub(super) fn writes_its_target(&self) -> bool {
        matches!(self.does, Does::Write(_))
    }

    /// Carries it out with these parameters: the sent ones, links inside a Bundle resolved.
    pub(super) async fn carry_out(&self, tx: &mut Tx, params: Option<&Json>) -> Result<Json> {
        let ctx = &self.ctx;
        // Unknown and invisible alike are 404 before any rule speaks.
        match tx.get(&Limit::of(ctx), &self.target).await? {
            None => {
                let lost = workflow::lost(ctx, tx, &self.target, self.if_match).await?;
                return Err(lost.unwrap_or_else(|| unknown(&self.target)));
            }
            Some(v) if v.is_deleted() => return Err(Error::gone(format!("{} is deleted", self.target))),
            Some(_) => {}
        }
        if let Some(params) = params {
            self.check_references(tx, params).await?;
        }
        let done = self.done(tx, params).await?;
        self.within_clearance(tx, done).await
    }

    /// What it answers, without stored resources that the caller is not cleared for: it may have written to them, or found them.
    async fn within_clearance(&self, tx: &mut Tx, mut answer: Json) -> Result<Json> {
        let hidden = self.ctx.principal.sieve.as_ref().map_or(0, |s| s.hidden);
        let target = |r: &Json| Some(Target::new(ResourceType::parse(r["resourceType"].text())?, r["id"].as_str()?));
        let all: Vec<Target> =
            answer["entry"].items().iter().map(|e| &e["resource"]).chain([&answer]).filter_map(target).collect();
        if hidden == 0 || all.is_empty() {
            return Ok(answer);
        }
        let behind = |v: &Version| v.labels & hidden != 0;
        let found = tx.get_many(&Limit::Everything, &all).await?;
        let behind: Vec<Target> = found.into_iter().flatten().filter(behind).map(|v| v.target).collect();
        if target(&answer).is_some_and(|t| behind.contains(&t)) {
            return Ok(outcome::all_ok(&format!("{} is done", self.name)));
        }
        if !behind.is_empty() {
            let entries = answer["entry"].items().iter();
            let left = entries.filter(|e| target(&e["resource"]).is_none_or(|t| !behind.contains(&t))).cloned();
            answer.set("entry", Json::Array(left.collect()));
        }
        Ok(answer)
    }

    async fn done(&self, tx: &mut Tx, params: Option<&Json>) -> Result<Json> {
        let (ctx, programme) = (&self.ctx, &self.house.programme);
        let id = self.target.id.as_str();
        let kind = match &self.does {
            Does::Write(kind) => *kind,
            Does::Open(plan) => return workflow::open_protocol(ctx, tx, programme, id, plan).await,
            Does::Keep(bundle) => {
                let document = document::assembled(&self.house, ctx, &mut Shelf::Tx(tx), &self.target).await?;
                return keep(ctx, &self.house, tx, document, bundle).await;
            }
        };
        match kind {
            Write::Claim => workflow::claim(ctx, tx, programme, id, params, self.if_match).await,
            Write::Release => workflow::release(ctx, tx, programme, id, params, self.if_match).await,
            Write::Attempt => workflow::attempt(ctx, tx, programme, id, params, self.if_match).await,
            Write::Extract => workflow::extract(ctx, tx, programme, id, params).await,
            Write::Reconcile => workflow::reconcile(ctx, tx, programme, id, params).await,
            Write::Escalate => workflow::escalate(ctx, tx, programme, &self.target, params).await,
            Write::Screen => workflow::screen_stay(ctx, tx, programme, &self.target, params).await,
            Write::Resolve => workflow::resolve(ctx, tx, programme, id, params, self.if_match).await,
            Write::MetaAdd
            | Write::MetaDelete
            | Write::Message
            | Write::Reload
            | Write::BreakGlass
            | Write::EndBreakGlass => Err(Error::fault("operation() and transaction() carry these out themselves")),
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
            if let Some(mark) = &self.mark {
                tx.mark(mark).await?;
            }
            let mut row = Audit::of(&self.ctx, self.house.keys, self.name.as_str(), 200);
            row.detail.on = self.target.to_string();
            tx.audit(row);
            Ok(done)
        })
    }

    fn locks(&self) -> Vec<i64> {
        vec![self.house.keys.target(self.target.rtype.as_str(), &self.target.id)]
    }
}
