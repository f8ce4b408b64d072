//! FHIR's REST interactions: the one door that every read and every write passes, whoever asks.
//!
//! [`Engine::handle`] takes a [`Request`] - of HTTP, a Bundle entry, a worker - and gives an [`Answer`]. Scope and role are
//! judged here, rows by the store's limit, fields and states by `workflow::guard`.
//! Not for: the wire (`http/`), SQL (`store/`), or what the programme does (`workflow/`).
//! Source: <https://hl7.org/fhir/R4/http.html>.

mod answer;
pub(crate) mod audit;
mod batch;
mod bundle;
mod caller;
mod capability;
mod change;
mod history;
mod job;
mod message;
mod openapi;
mod operation;
mod page;
pub(crate) mod parameter;
mod provenance;
mod published;
mod read;
mod reading;
mod reload;
mod request;
mod route;
mod search;
mod subscription;
mod subset;
mod terminology;
mod transaction;
mod write;

pub use answer::{Answer, Done, Progress, Stamp};
pub use openapi::Own;
pub use parameter::{Declared, declare};
pub use reload::{Reloaded, Sources, in_force};
pub use request::{At, Body, JobAsk, Match, Media, Operation, Prefer, Preference, Request, Scope, Unless, When};
pub use route::{Line, Verb, Wire, allowed, map, route, unknown as unknown_path};
pub use subscription::{Told, Topics};

use crate::access::policy::{Decision, Deny, Policy};
use crate::access::scope::Action;
use crate::access::{Ctx, Principal};
use crate::auth::again::Door;
use crate::config::{DeleteReferenced, Limits, References};
use crate::conformance::Conformance;
use crate::error::{Error, Result};
use crate::fhir::resource::known;
use crate::fhir::{ResourceType, Target, json};
use crate::outbound::fetch::{Fetcher, Reach};
use crate::search::{Active, Env, Keys, Live};
use crate::store::Store;
use crate::store::job::Mark;
use crate::workflow::Programme;
use futures_util::future::BoxFuture;
use std::sync::{Arc, OnceLock};

/// The one door. Cheap to clone. With a mark it carries out a job of the background: what it writes is part of that.
///
/// Each interaction goes from its begin to its end by the house that was in force when it came.
#[derive(Clone)]
pub struct Engine(Arc<House>, Option<Mark>, Arc<reload::Slot>);

/// What an engine is made of.
pub struct Parts {
    /// The open database.
    pub store: Store,
    /// Search parameters and zone, as they are at each moment.
    pub live: Arc<Live>,
    /// Protocol and policy.
    pub programme: Programme,
    /// Profiles in force.
    pub conformance: Conformance,
    /// Where both were read, and are read again.
    pub sources: Sources,
    /// Role matrix.
    pub policy: Arc<Policy>,
    /// Address of this server.
    pub env: Env,
    /// How much of everything.
    pub limits: Limits,
    /// Which references must lead to something.
    pub references: References,
    /// What becomes of a delete of what others refer to.
    pub delete_referenced: DeleteReferenced,
    /// FHIR base of a terminology server that is asked for what is not here.
    pub terminology_server: Option<String>,
    /// What Subscriptions may ask for by name.
    pub topics: Topics,
    /// How far notifications go.
    pub reach: Reach,
    /// Whose tokens are taken: `metadata` says whether any are asked for.
    pub door: Door,
}

/// What the interactions share.
#[derive(Clone)]
pub(crate) struct House {
    pub(crate) store: Store,
    pub(crate) live: Arc<Live>,
    /// Others ask [`Engine::programme`], which is the one in force.
    programme: Arc<Programme>,
    /// Counts the programmes of this process.
    number: u64,
    conformance: Arc<Conformance>,
    sources: Arc<Sources>,
    pub(crate) policy: Arc<Policy>,
    pub(crate) keys: Keys,
    pub(crate) env: Env,
    pub(crate) limits: Limits,
    pub(crate) references: References,
    pub(crate) delete_referenced: DeleteReferenced,
    /// Those of [`Limits`] that the reader of JSON takes.
    pub(crate) json: json::Limits,
    remote: Option<Arc<terminology::Remote>>,
    topics: Arc<Topics>,
    reach: Reach,
    /// Made when it is first needed: the system's certificates take time to read.
    caller: Arc<OnceLock<Fetcher>>,
    door: Arc<Door>,
    pages: Arc<page::Signer>,
    /// A job was added by this process.
    job_added: Arc<tokio::sync::Notify>,
    glasses: Arc<operation::break_glass::Glasses>,
}

impl House {
    /// Search parameters and zone of this moment.
    pub(crate) fn active(&self) -> Arc<Active> {
        self.live.now()
    }

    /// Who calls the endpoints of Subscriptions.
    ///
    /// # Errors
    /// `Fault` when no TLS is to be had.
    pub(crate) fn caller(&self) -> Result<&Fetcher> {
        if let Some(caller) = self.caller.get() {
            return Ok(caller);
        }
        let made = Fetcher::new(self.reach)?;
        Ok(self.caller.get_or_init(|| made))
    }

    /// Owner of the Subscriptions that a caller makes, as `version.org` has it.
    pub(crate) fn hooks_of(&self, principal: &Principal) -> i64 {
        self.keys.hooks(&principal.client, principal.org.as_deref().unwrap_or_default())
    }

    /// Whether rows with this `version.org` are the caller's own: of the organisation, or of the client. Of who has no organisation
    /// all are.
    pub(crate) fn owns(&self, principal: &Principal, org: i64) -> bool {
        principal.org.as_ref().is_none_or(|id| self.keys.org(id) == org) || self.hooks_of(principal) == org
    }
}

impl Engine {
    /// Puts an engine together.
    ///
    /// # Errors
    /// What the database says when its page secret cannot be read.
    pub async fn new(parts: Parts) -> Result<Self> {
        let Parts {
            store,
            live,
            programme,
            conformance,
            sources,
            policy,
            env,
            limits,
            references,
            delete_referenced,
            terminology_server,
            topics,
            reach,
            door,
        } = parts;
        let pages = page::Signer::new(&store.secret("page-links").await?, limits.page_seconds);
        let keys = store.keys();
        let remote =
            terminology_server.map(|base| terminology::Remote::new(&base, &limits).map(Arc::new)).transpose()?;
        let json =
            json::Limits { depth: Limits::size(limits.json_depth), string_bytes: Limits::size(limits.string_bytes) };
        let house = Arc::new(House {
            store,
            live,
            programme: Arc::new(programme),
            number: 0,
            conformance: Arc::new(conformance),
            sources: Arc::new(sources),
            policy,
            keys,
            env,
            limits,
            references,
            delete_referenced,
            json,
            remote,
            topics: Arc::new(topics),
            reach,
            caller: Arc::default(),
            door: Arc::new(door),
            pages: Arc::new(pages),
            job_added: Arc::default(),
            glasses: Arc::default(),
        });
        let slot = Arc::new(reload::Slot::new(Arc::clone(&house)));
        Ok(Self(house, None, slot))
    }

    pub(crate) fn house(&self) -> &House {
        &self.0
    }

    /// The same door for a job of the background.
    fn marked(&self, mark: Mark) -> Self {
        Self(Arc::clone(&self.0), Some(mark), Arc::clone(&self.2))
    }

    /// Waits until this process was given a job.
    pub async fn job_added(&self) {
        self.0.job_added.notified().await;
    }

    /// Carries out one interaction.
    ///
    /// # Errors
    /// Everything that can go wrong, with its kind: http and Bundle entries make the status of it.
    pub async fn handle(&self, ctx: &Ctx, request: Request) -> Result<Answer> {
        self.in_force().handle_here(ctx, request).await
    }

    async fn handle_here(&self, ctx: &Ctx, request: Request) -> Result<Answer> {
        // Counted, not copied: of a request that fails, the issues name line and column of its text.
        let text = request.text();
        let asked = audit::Asked::of(&request);
        if asked.is_some() {
            self.0.store.admit().await?;
        }
        let wider = self.widen(ctx, &request).await?;
        let ctx = wider.as_ref().unwrap_or(ctx);
        let mut answer = self.carry_out(ctx, request).await;
        if let Some(asked) = asked {
            if let Ok(answer) = &mut answer {
                self.with_context(ctx, &asked, answer).await?;
            }
            self.witness(ctx, asked, &answer);
        }
        match (answer, text) {
            (Err(mut error), Some(text)) => {
                json::locate(&text, "", &mut error.issues);
                Err(error)
            }
            (answer, _) => answer,
        }
    }

    async fn carry_out(&self, ctx: &Ctx, request: Request) -> Result<Answer> {
        // A read goes straight; the others are boxed, so that a read does not carry the size of their futures.
        match request {
            Request::Read { target, unless, query } => self.read(ctx, target, &unless, &query).await,
            Request::VRead { target, version, query } => self.vread(ctx, target, &version, &query).await,
            Request::Search { of, query, lenient } => Box::pin(self.search(ctx, of, &query, lenient)).await,
            Request::History { of, query } => Box::pin(self.history(ctx, of, &query)).await,
            Request::Capabilities { query } => self.capabilities(&query).await,
            Request::Bundle { body, prefer } => Box::pin(self.bundle(ctx, body, prefer, None)).await,
            Request::Start { body, prefer } => Box::pin(self.start_job(ctx, body, prefer)).await,
            Request::Job { id, ask } => Box::pin(self.job(ctx, &id, ask)).await,
            Request::Operation(operation) => Box::pin(self.operation(ctx, operation)).await,
            Request::Accompanied { provenance, of } => Box::pin(self.accompanied(ctx, &provenance, *of)).await,
            write => Box::pin(self.change(ctx, write, None)).await,
        }
    }

    /// The same, boxed: a Bundle's entries come back here.
    fn handle_entry<'a>(&'a self, ctx: &'a Ctx, request: Request) -> BoxFuture<'a, Result<Answer>> {
        Box::pin(self.handle_here(ctx, request))
    }

    /// Scope and role.
    fn permit(&self, ctx: &Ctx, action: Action, rtype: Option<ResourceType>) -> Result<()> {
        crate::access::policy::decide(&self.0.policy, &ctx.principal, action, rtype).ok()
    }

    /// What a caller gets for a write of such a resource: no representation of what they may not read.
    fn shown(&self, ctx: &Ctx, rtype: ResourceType, prefer: Prefer) -> Prefer {
        match prefer {
            Prefer::Representation if self.permit(ctx, Action::Read, Some(rtype)).is_err() => Prefer::Minimal,
            prefer => prefer,
        }
    }

    /// Scope alone, for what an operation writes in the caller's name beside the resource that it is called on. Whose role may, the
    /// programme's rules say.
    fn within_scopes(&self, ctx: &Ctx, writes: &[(Action, &'static str)]) -> Result<()> {
        let Some(scopes) = &ctx.principal.scopes else { return Ok(()) };
        match writes.iter().find(|(action, name)| !scopes.allows(*action, Some(known(name)))) {
            None => Ok(()),
            Some((action, name)) => {
                let (verb, needs) = (action.verb(), action.needs());
                let why = format!("this {verb}s {name}, and the token's scopes do not let you; ask for .{needs}");
                Decision::Deny(Deny { why, is_scope: true }).ok()
            }
        }
    }
}

/// The answer about a resource that is not there or that the caller may not know of: the same text, byte for byte.
pub(crate) fn unknown(target: &Target) -> Error {
    Error::not_found(format!("{target} is not known here"))
}
