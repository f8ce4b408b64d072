//! The transaction of a request: verify what was guessed, judge, put, let the workflow react.
//!
//! Order inside: DELETE, POST, PUT and PATCH, whatever order they came in; what others refer to is looked for at the end. Every failure leaves nothing behind.
//! Source: <https://hl7.org/fhir/R4/http.html#trules>.

use super::ask::{Amiss, Ask};
use super::criteria::{Criteria, Found};
use super::faults::{Faults, at};
use super::judge::{Step, taken};
use super::outward::{self, Inside, Judged};
use super::prepare::{Prepared, Ready};
use super::referrer;
use super::resolve::Fate;
use super::versioned;
use crate::access::limit::DIRECTORY;
use crate::access::{Ctx, Limit, Role};
use crate::error::{Error, Issue, Kind, Result};
use crate::fhir::resource::known;
use crate::fhir::{Json, Target};
use crate::interaction::answer::Done;
use crate::interaction::operation::Call;
use crate::interaction::{House, parameter, unknown};
use crate::search::Rows;
use crate::store::job::Mark;
use crate::store::{Audit, Method, Put, Tx, Version, Work};
use crate::workflow;
use futures_util::future::BoxFuture;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

/// What became of one ask.
#[derive(Debug, Clone)]
pub(in crate::interaction) struct Outcome {
    /// How it ended.
    pub(in crate::interaction) done: Done,
    /// The version written, or found by a conditional create; `None` when a delete had nothing to do, or took several.
    pub(in crate::interaction) version: Option<Version>,
    /// How many resources were deleted.
    pub(in crate::interaction) deleted: usize,
    /// What validation noticed that blocked nothing.
    pub(in crate::interaction) noticed: Vec<Issue>,
}

impl Outcome {
    fn of(done: Done, version: Option<Version>) -> Self {
        Self { done, version, deleted: 0, noticed: Vec::new() }
    }
}

/// What entries of a transaction ask for that are no writes of a resource.
#[derive(Default)]
pub(in crate::interaction) struct Others {
    /// Resources that GET entries read: they must be there. With the place of the entry.
    pub(in crate::interaction) reads: Vec<(Target, String)>,
    /// Operations: carried out after all writes, in this order.
    pub(in crate::interaction) calls: Vec<Call>,
}

/// What was done.
pub(in crate::interaction) struct Written {
    /// One each ask.
    pub(in crate::interaction) outcomes: Vec<Outcome>,
    /// Name of each operation, and what it answered.
    pub(in crate::interaction) answers: Vec<(String, Json)>,
}

/// One request's writes.
pub(super) struct Commit {
    pub(super) house: Arc<House>,
    pub(super) ctx: Ctx,
    pub(super) asks: Vec<Ask>,
    pub(super) criteria: Criteria,
    pub(super) prepared: Prepared,
    pub(super) others: Others,
    pub(super) action: String,
    /// The job of the background that this is part of.
    pub(super) mark: Option<Mark>,
}

impl Work for Commit {
    type Out = Written;

    fn run<'a>(&'a self, tx: &'a mut Tx) -> BoxFuture<'a, Result<Self::Out>> {
        Box::pin(self.commit(tx))
    }

    fn locks(&self) -> Vec<i64> {
        let keys = &self.house.keys;
        let mut locks: Vec<i64> = self.criteria.locks(keys).collect();
        for fate in &self.prepared.fates {
            if let Fate::Write(_) | Fate::Make(_) | Fate::Delete(_) = fate {
                locks.extend(fate.all().iter().map(|t| keys.target(t.rtype.as_str(), &t.id)));
            }
        }
        locks.extend(self.others.calls.iter().map(|c| keys.target(c.target.rtype.as_str(), &c.target.id)));
        let bodies = self.prepared.ready.iter().flatten().map(|r| &*r.json);
        locks.extend(workflow::lock_names(keys, bodies));
        // So that no client has more than its share.
        locks.extend(
            self.asks
                .iter()
                .find(|a| a.rtype() == known("Subscription"))
                .map(|_| self.house.hooks_of(&self.ctx.principal)),
        );
        locks.sort_unstable();
        locks.dedup();
        locks
    }

    fn entries(&self) -> usize {
        let deleted: usize = self.prepared.fates.iter().map(|fate| fate.all().len().saturating_sub(1)).sum();
        self.asks.len() + deleted + 16 * (1 + self.others.calls.len())
    }
}

impl Commit {
    async fn commit(&self, tx: &mut Tx) -> Result<Written> {
        let limit = Limit::of(&self.ctx);
        self.house.in_tx(tx).await?;
        let found = match self.criteria.plans() {
            [] => Found::default(),
            plans => Found(tx.find(&limit, plans).await?),
        };
        let redone;
        let is_as_before = self.prepared.generation == self.house.active().generation;
        let prepared = if is_as_before && found == self.prepared.found {
            &self.prepared
        } else {
            let (calls, plans) = (&self.others.calls, self.criteria.plans());
            redone = Prepared::new(&self.ctx, &self.house, &self.asks, calls, plans, found, Amiss::default())?;
            &redone
        };

        // Everything that is there already, in one statement.
        let known = |fate: &&Fate| !matches!(fate, Fate::Create(_) | Fate::Nothing);
        let targets: Vec<Target> = prepared.fates.iter().filter(known).flat_map(Fate::all).cloned().collect();
        let mut befores: HashMap<&Target, Version> = HashMap::new();
        if !targets.is_empty() {
            let found = tx.get_many(&limit, &targets).await?;
            befores = targets.iter().zip(found).filter_map(|(target, version)| Some((target, version?))).collect();
        }

        let mut outcomes: Vec<Option<Outcome>> = vec![None; self.asks.len()];
        let mut steps: Vec<(usize, Step<'_>)> = Vec::with_capacity(self.asks.len());
        let mut faults = Faults::default();
        for (n, (ask, fate)) in self.asks.iter().zip(&prepared.fates).enumerate() {
            set(&mut outcomes, n, Outcome::of(Done::NoContent, None));
            let ready = prepared.ready.get(n).and_then(Option::as_ref);
            if let Fate::Matched(target) = fate {
                set(&mut outcomes, n, Outcome::of(Done::Ok, befores.remove(target)));
                continue;
            }
            for target in fate.all() {
                let before = befores.remove(target);
                if matches!(fate, Fate::Make(_)) && before.as_ref().is_some_and(|v| !v.is_deleted()) {
                    faults.add(taken(target), &ask.place);
                    continue;
                }
                let judged = self.judge(tx, ask, target, before, (&prepared.links, ready)).await;
                if judged.as_ref().is_err_and(|e| matches!(e.kind, Kind::Busy | Kind::Fault)) {
                    // The database's, not the entry's: what it marks is for the writer to see.
                    judged?;
                    continue;
                }
                steps.extend(faults.keep(judged, &ask.place).flatten().map(|step| (n, step)));
            }
        }
        if steps.iter().all(|(_, step)| step.ask.accompanies) {
            steps.clear(); // nothing is written that it could tell of
        }
        self.check_reads(tx, &limit, prepared, &mut faults).await?;
        let passed = self.check_references(tx, &limit, prepared, &steps, &mut faults).await?;
        self.check_authors(tx, &steps, &mut faults).await?;
        faults.end()?;
        self.inherit(passed, &mut steps);

        self.versions(tx, &limit, &mut steps).await?;
        steps.sort_by_key(|(n, step)| (order(step.ask.method), *n));
        for (n, step) in &steps {
            let mut outcome = self.put(tx, step).await?;
            if step.ask.method == Method::Delete {
                outcome.deleted = 1 + outcomes.get(*n).and_then(Option::as_ref).map_or(0, |before| before.deleted);
                outcome.version = outcome.version.filter(|_| outcome.deleted == 1);
            }
            set(&mut outcomes, *n, outcome);
        }
        let deleted: Vec<(Target, &Ask)> = steps
            .iter()
            .filter(|(_, step)| step.ask.method == Method::Delete)
            .map(|(_, step)| (step.target.clone(), step.ask))
            .collect();
        let parameters = steps.iter().filter(|(_, step)| parameter::concerns(step.target.rtype));
        let parameters: Vec<_> = parameters.map(|(_, s)| (s.target, s.ready.as_ref().map(|r| &*r.json))).collect();
        self.house.publish(tx, &parameters).await?;
        let put: Vec<usize> = steps.iter().map(|(n, _)| *n).collect();
        self.protect(tx, &steps).await?;
        if !steps.is_empty() {
            let change = |(_, step): (usize, Step<'_>)| workflow::Change {
                target: step.target.clone(),
                before: step.was,
                after: step.ready.map(|r| (*r.json).clone()),
            };
            let changes: Vec<workflow::Change> = steps.into_iter().map(change).collect();
            workflow::react(&self.ctx, tx, &self.house.programme, &changes).await?;
        }
        let mut answers = Vec::with_capacity(self.others.calls.len());
        for (call, params) in self.others.calls.iter().zip(&prepared.params) {
            let answer = call.carry_out(tx, params.as_ref()).await.map_err(|e| at(e, &call.place))?;
            answers.push((call.name.clone(), answer));
        }
        referrer::check(tx, &self.house, &self.ctx, &limit, &deleted).await?;
        latest(tx, &mut outcomes, &put).await?;
        if let Some(mark) = &self.mark {
            tx.mark(mark).await?;
        }
        tx.audit(self.audit());
        Ok(Written { outcomes: outcomes.into_iter().flatten().collect(), answers })
    }

    /// Fills versions into the references that ask for them.
    async fn versions(&self, tx: &mut Tx, limit: &Limit, steps: &mut [(usize, Step<'_>)]) -> Result<()> {
        if !self.asks.iter().any(|ask| ask.is_versioned) {
            return Ok(());
        }
        let mut known: HashMap<Target, i64> =
            steps.iter().map(|(_, s)| (s.target.clone(), s.before.as_ref().map_or(1, |v| v.version + 1))).collect();
        let mut wanted = Vec::new();
        for (_, step) in steps.iter().filter(|(_, s)| s.ask.is_versioned) {
            if let Some(ready) = &step.ready {
                versioned::targets(&ready.json, &self.house.env.base, &mut wanted);
            }
        }
        wanted.retain(|t| !known.contains_key(t));
        if !wanted.is_empty() {
            let current = tx.get_many(limit, &wanted).await?;
            known.extend(current.into_iter().flatten().map(|v| (v.target, v.version)));
        }
        for (_, step) in steps.iter_mut().filter(|(_, s)| s.ask.is_versioned) {
            if let Some(ready) = &step.ready {
                let mut body = (*ready.json).clone();
                versioned::write(&mut body, &self.house.env.base, &|t| known.get(t).copied());
                step.ready = Some(Cow::Owned(Ready::new(&self.house, body, step.target)));
            }
        }
        Ok(())
    }

    async fn check_reads(&self, tx: &mut Tx, limit: &Limit, prepared: &Prepared, faults: &mut Faults) -> Result<()> {
        let reads = &self.others.reads;
        if reads.is_empty() {
            return Ok(());
        }
        let targets: Vec<Target> = reads.iter().map(|(t, _)| t.clone()).collect();
        for ((target, place), version) in reads.iter().zip(tx.get_many(limit, &targets).await?) {
            let mine = self.asks.iter().zip(&prepared.fates).find(|(_, fate)| fate.all().contains(target));
            match (mine, version) {
                (Some((ask, _)), _) if ask.method == Method::Delete => {
                    faults.add(Error::gone(format!("{target} is deleted")), place);
                }
                (Some(_), _) => {}
                (None, None) => faults.add(unknown(target), place),
                (None, Some(v)) if v.is_deleted() => faults.add(Error::gone(format!("{target} is deleted")), place),
                (None, Some(_)) => {}
            }
        }
        Ok(())
    }

    /// References of what is written must lead to what is there after it and the caller may see.
    async fn check_references(
        &self,
        tx: &mut Tx,
        limit: &Limit,
        prepared: &Prepared,
        steps: &[(usize, Step<'_>)],
        faults: &mut Faults,
    ) -> Result<HashMap<Target, i64>> {
        let mut judged = Vec::new();
        for (_, step) in steps {
            if let Some(ready) = step.ready.as_deref().filter(|r| !r.refs.is_empty()) {
                let was = step.was.as_ref();
                judged.push(Judged { body: &ready.json, leads: &ready.refs, was, place: &step.ask.place });
            }
        }
        if judged.is_empty() {
            return Ok(HashMap::new());
        }
        let mut inside = Inside::default();
        for (ask, fate) in self.asks.iter().zip(&prepared.fates) {
            let side = if ask.method == Method::Delete { &mut inside.gone } else { &mut inside.made };
            side.extend(fate.all());
        }
        outward::judge(tx, &self.house, limit, &judged, &inside, faults).await
    }

    async fn put(&self, tx: &mut Tx, step: &Step<'_>) -> Result<Outcome> {
        let exists = step.before.as_ref().is_some_and(|v| !v.is_deleted());
        let org = match &step.before {
            Some(before) => before.org,
            // What others than an administrator bring along of the directory is theirs: seen by who sees what names it.
            None if DIRECTORY.contains(&step.target.rtype.as_str()) && self.publishes() => 0,
            // The super-user has no organisation: the empty name is nobody's, so only a super-user sees it again.
            None if step.target.rtype == known("Subscription") => self.house.hooks_of(&self.ctx.principal),
            None => self.house.keys.org(self.ctx.principal.org.as_deref().unwrap_or_default()),
        };
        let put = Put {
            target: step.target.clone(),
            method: step.ask.method,
            body: step.ready.as_ref().map(|r| &*r.stampable),
            rows: step.ready.as_ref().map_or_else(|| Arc::new(Rows::default()), |r| Arc::clone(&r.rows)),
            before: step.before.as_ref(),
            org,
            labels: step.ready.as_ref().map_or(0, |r| tx.labels().of(&r.json)),
        };
        let version = tx.put(put).await?;
        let done = match step.ask.method {
            Method::Delete => Done::NoContent,
            _ if exists => Done::Ok,
            _ => Done::Created,
        };
        let noticed = match (step.ask.method, &step.ready) {
            (Method::Patch, Some(ready)) => ready.noticed.clone(),
            _ => step.ask.noticed.clone(),
        };
        Ok(Outcome { noticed, ..Outcome::of(done, Some(version)) })
    }

    /// Whether what the caller writes of the directory is everybody's.
    fn publishes(&self) -> bool {
        matches!(self.ctx.principal.role, Role::Admin | Role::SuperUser | Role::RuleEngine)
    }

    fn audit(&self) -> Audit {
        Audit::of(&self.ctx, self.house.keys, self.action.as_str(), 200)
    }
}

/// The workflow may have written a further version of what was just `put`: the answer names the last one.
async fn latest(tx: &mut Tx, outcomes: &mut [Option<Outcome>], put: &[usize]) -> Result<()> {
    let version = |n: &usize| outcomes.get(*n)?.as_ref()?.version.as_ref();
    let written: Vec<usize> = put.iter().copied().filter(|n| version(n).is_some_and(|v| !v.is_deleted())).collect();
    let targets: Vec<Target> = written.iter().filter_map(version).map(|v| v.target.clone()).collect();
    if targets.is_empty() {
        return Ok(());
    }
    for (n, now) in written.into_iter().zip(tx.get_many(&Limit::Everything, &targets).await?) {
        if let (Some(Some(outcome)), Some(now)) = (outcomes.get_mut(n), now) {
            outcome.version = Some(now);
        }
    }
    Ok(())
}

fn set(outcomes: &mut [Option<Outcome>], n: usize, outcome: Outcome) {
    if let Some(slot) = outcomes.get_mut(n) {
        *slot = Some(outcome);
    }
}

const fn order(method: Method) -> u8 {
    match method {
        Method::Delete => 0,
        Method::Post => 1,
        Method::Put | Method::Patch => 2,
    }
}
