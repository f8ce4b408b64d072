//! Bundles in the background: `Prefer: respond-async`.
//!
//! The start stores the Bundle and answers 202 with the address of its status; a worker carries it out by the same door, as
//! the caller who sent it ([`Engine::run_job`]); the status says how far it is and, at the end, where the answer is. Only who
//! started it learns of it.
//! Client, user, role, grant and scopes of the caller are looked at when it is carried out, every few seconds while it is, and when
//! its answer is fetched; an answer that holds what the caller may not see any more is not given out.
//! Source: <https://hl7.org/fhir/R4/async.html>. Own rules: a failed Bundle's status is its own answer, status code and
//! OperationOutcome; the answer is kept for 24 hours.

mod fetch;

use super::answer::{Answer, Done, Progress};
use super::caller::Caller;
use super::request::{Body, JobAsk, Prefer, Request};
use super::{Engine, House};
use crate::access::{Ctx, Principal};
use crate::auth::again;
use crate::clock::Instant;
use crate::error::{Error, Result};
use crate::fhir::{Json, json, outcome};
use crate::store::job::{HOLD_SECONDS, Job, KEPT_SECONDS, Mark, State};
use crate::store::{Tx, Work};
use futures_util::future::BoxFuture;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// Jobs that one caller may have waiting (own limit).
const MOST: usize = 100;

/// Who may see a job: the very caller, not the organisation.
fn owner(house: &House, ctx: &Ctx) -> i64 {
    let p = &ctx.principal;
    let text = |t: &Option<String>| t.clone().unwrap_or_default();
    house.keys.hash(&["job", &p.client, &text(&p.user), &text(&p.org), p.role.as_str()])
}

fn unknown() -> Error {
    Error::not_found("there is no such job; its answer is kept for 24 hours, and only who started it sees it")
}

impl Engine {
    /// Stores a Bundle to be carried out.
    pub(super) async fn start_job(&self, ctx: &Ctx, body: Body, prefer: Option<Prefer>) -> Result<Answer> {
        let house = self.house();
        let Body::Raw(bytes) = body else { return Err(Error::invalid("a Bundle inside another is not taken")) };
        let bundle = json::parse_with(&bytes, &house.json)?;
        let is_transaction = match (bundle["resourceType"].text(), bundle["type"].text()) {
            ("Bundle", "transaction") => true,
            ("Bundle", "batch") => false,
            _ => {
                let text = "Prefer: respond-async takes Bundles of type batch or transaction";
                return Err(Error::invalid(text).code("value").at("Bundle.type"));
            }
        };
        let total = bundle["entry"].items().len();
        drop(bundle);
        let request =
            String::from_utf8(bytes.to_vec()).map_err(|_| Error::invalid("the body is not UTF-8").code("structure"))?;
        let caller = Caller::of(ctx, prefer).text()?;
        let owner = owner(house, ctx);
        if house.store.jobs_waiting(owner).await? >= MOST {
            return Err(Error::busy(format!("{MOST} of your jobs are waiting; send the next when one is over")));
        }
        let id = Uuid::new_v4();
        let job = Job {
            id: id.to_string(),
            owner,
            is_transaction,
            ctx: caller,
            request,
            state: State::Waiting,
            until: Instant(0),
            made: Instant::now(),
            ended: Instant(0),
            done: 0,
            total: i64::try_from(total).unwrap_or(i64::MAX),
            status: 0,
            answer: String::new(),
        };
        house.store.write(Step::Add(job)).await?;
        house.job_added.notify_one();
        let text =
            "The Bundle is accepted and is carried out in the background; Content-Location says where its status is";
        let body = outcome::all_ok(text).to_bytes();
        let progress = Progress { id, done: 0, total: u64::try_from(total).unwrap_or(0), is_new: true };
        Ok(Answer { done: Done::Accepted(progress), ..Answer::of(body) })
    }

    /// Status, answer or end of a job.
    pub(super) async fn job(&self, ctx: &Ctx, id: &str, ask: JobAsk) -> Result<Answer> {
        let (house, now) = (self.house(), ctx.now);
        let uuid = Uuid::try_parse(id).map_err(|_| unknown())?;
        let owner = owner(house, ctx);
        let job = house.store.job(id, owner, now).await?.ok_or_else(unknown)?;
        let before = stored(&job)?.into_ctx(&house.keys)?.0.principal;
        // A token of another patient is another's; one that reaches less far may not have what the other got.
        if !again::reaches(&ctx.principal, &before)? {
            return Err(unknown());
        }
        if ask == JobAsk::Cancel {
            if !house.store.write(Step::Remove(job.id, owner)).await? {
                return Err(unknown());
            }
            let text = "The job is cancelled; what is committed stays";
            let progress = Progress { id: uuid, done: 0, total: 0, is_new: false };
            return Ok(Answer { done: Done::Accepted(progress), ..Answer::of(outcome::all_ok(text).to_bytes()) });
        }
        let count = |n: i64| u64::try_from(n).unwrap_or(0);
        if job.state != State::Over {
            let progress = Progress { id: uuid, done: count(job.done), total: count(job.total), is_new: false };
            return match ask {
                JobAsk::Status => Ok(Answer::empty(Done::Accepted(progress))),
                _ => Err(Error::not_found("the job is not over; ask for its status")),
            };
        }
        let status = u16::try_from(job.status).unwrap_or(500);
        let expires = job.ended.plus_seconds(KEPT_SECONDS);
        match (ask, status) {
            (JobAsk::Status, 200) => {
                let result = format!("{}/_async/{id}/result", ctx.base);
                let manifest = serde_json::json!({
                    "transactionTime": job.ended.to_string(), "request": ctx.base.as_ref(),
                    "requiresAccessToken": house.door.asks(),
                    "output": [{"type": "Bundle", "url": result}], "error": [],
                });
                Ok(Answer { done: Done::Manifest(expires), ..Answer::of(Json::from(manifest).to_bytes()) })
            }
            (_, 200) => {
                fetch::still_visible(house, ctx, &job.answer).await?;
                Ok(Answer::of(job.answer))
            }
            (_, status) => Ok(Answer { done: Done::Failed(status), ..Answer::of(job.answer) }),
        }
    }

    /// Takes one waiting job and carries it out. False: there is none. `holder`: this process.
    ///
    /// # Errors
    /// What the database says; the job is taken again when its hold has run out.
    pub async fn run_job(&self, holder: &str) -> Result<bool> {
        let (house, now) = (self.house(), Instant::now());
        let (next, has_old) = house.store.next_job(holder, now).await?;
        if has_old {
            house.store.write(Step::RemoveOld(now)).await?;
        }
        let Some(job) = next else { return Ok(false) };
        let (id, holder) = (job.id.clone(), holder.to_owned());
        let taken = Step::Take(Box::new(job.clone()), holder.clone(), now);
        if !house.store.write(taken).await? {
            return Ok(true);
        }
        let (status, answer) = match lost(&job) {
            Some(ended) => ended,
            None => self.held(job, &holder).await?,
        };
        house.store.write(Step::End(id, holder, status, answer)).await?;
        Ok(true)
    }

    /// Carries a job out while holding it.
    async fn held(&self, job: Job, holder: &str) -> Result<(i64, String)> {
        let (mut ctx, prefer) = stored(&job)?.into_ctx(&self.house().keys)?;
        match self.still(&ctx.principal).await {
            Ok(principal) => ctx.principal = principal,
            Err(error) => return ended(&job.id, error),
        }
        if self.house().door.asks() {
            // What was shared then may not be shared any more.
            ctx.now = Instant::now();
        }
        let mark = Mark { id: job.id.clone(), holder: holder.to_owned(), is_transaction: job.is_transaction };
        let marked = self.marked(mark);
        let asked = Request::Bundle { body: Body::Raw(job.request.into_bytes().into()), prefer };
        let mut work = Box::pin(marked.handle(&ctx, asked));
        let beat = Duration::from_secs(u64::try_from(HOLD_SECONDS).unwrap_or(15) / 3);
        let answer = loop {
            match tokio::time::timeout(beat, &mut work).await {
                Ok(answer) => break answer,
                Err(_) => {
                    // What is committed stays; what is under way is not.
                    if let Err(error) = self.still(&ctx.principal).await {
                        break Err(error);
                    }
                    let hold = Step::Hold(job.id.clone(), holder.to_owned());
                    if let Err(error) = self.house().store.write(hold).await {
                        tracing::warn!(%error, job = job.id, "a job could not be held; it goes on");
                    }
                }
            }
        };
        match answer {
            Ok(answer) => Ok((200, String::from_utf8_lossy(&answer.body).into_owned())),
            Err(error) => ended(&job.id, error),
        }
    }

    /// Who asked, as of now.
    pub(super) async fn still(&self, before: &Arc<Principal>) -> Result<Arc<Principal>> {
        let house = self.house();
        again::look(&house.store, &house.policy, &house.door, before, Instant::now()).await
    }
}

/// The answer of a job that failed; the database's own troubles are tried again.
fn ended(id: &str, error: Error) -> Result<(i64, String)> {
    tracing::debug!(%error, job = id, "a job failed");
    Ok((i64::from(error.kind.status()), outcome::of_error(&error).to_string()))
}

/// Who asked, as it is stored.
fn stored(job: &Job) -> Result<Caller> {
    Caller::parse(&job.ctx)
}

/// The answer of a job whose process is gone and that must not be carried out again.
fn lost(job: &Job) -> Option<(i64, String)> {
    match (job.state, job.is_transaction) {
        (State::Committed, _) => {
            let text =
                "The transaction is committed; the server stopped before its answer was stored. Read what it wrote";
            Some((200, outcome::all_ok(text).to_string()))
        }
        (State::Running, false) => {
            let text = format!(
                "the server stopped while this batch was carried out: the first {} of its entries that write are done, \
                 the others of its {} entries are not; send those again",
                job.done, job.total
            );
            Some((500, outcome::of_error(&Error::fault(text)).to_string()))
        }
        _ => None,
    }
}

/// One change of a job's row.
enum Step {
    Add(Job),
    Take(Box<Job>, String, Instant),
    Hold(String, String),
    End(String, String, i64, String),
    Remove(String, i64),
    RemoveOld(Instant),
}

impl Work for Step {
    type Out = bool;

    fn run<'a>(&'a self, tx: &'a mut Tx) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move {
            match self {
                Self::Add(job) => tx.add_job(job).await.map(|()| true),
                Self::Take(job, holder, now) => tx.take_job(job, holder, *now).await,
                Self::Hold(id, holder) => tx.hold_job(id, holder, Instant::now()).await,
                Self::End(id, holder, status, answer) => tx.end_job(id, holder, Instant::now(), *status, answer).await,
                Self::Remove(id, owner) => tx.remove_job(id, *owner).await,
                Self::RemoveOld(now) => tx.remove_old_jobs(*now).await.map(|()| true),
            }
        })
    }
}
