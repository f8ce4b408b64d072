//! Security labels that need clearance: who may put one on or take it away, and what gets those of others.
//!
//! Not for: which there are, and which references pass one on (`access/label.rs`).
//! Source: own rules, `docs/access.md`.

use super::commit::Commit;
use super::judge::Step;
use super::prepare::Ready;
use crate::access::label::passing;
use crate::access::limit::DIRECTORY;
use crate::error::{Error, Result};
use crate::fhir::{Json, ResourceType, Target};
use crate::store::{Tx, Version};
use crate::workflow;
use std::borrow::Cow;
use std::collections::HashMap;

impl Commit {
    /// Who may change security labels that need clearance: one is put on by who is cleared for it, and goes by those alone who may
    /// take it away, from what their organisation owns. Labels that a version has from others, its body does not name: those it
    /// keeps.
    pub(super) fn keep_protection<'a>(
        &self,
        target: &Target,
        before: Option<&Version>,
        was: Option<&Json>,
        ready: Cow<'a, Ready>,
    ) -> Result<Cow<'a, Ready>> {
        let (labels, principal) = (self.house.store.labels(), &self.ctx.principal);
        let (had, named, now) =
            (before.map_or(0, |v| v.labels), was.map_or(0, |j| labels.of(j)), labels.of(&ready.json));
        let refuse = |set: i64, what: &str| {
            let text = format!("the security label {} of {target}: {what}", labels.names(set).join(", "));
            Err(Error::forbidden(text).at("Resource.meta.security"))
        };
        let above = now & !had & !named & principal.sieve.as_ref().map_or(0, |s| s.hidden);
        if above != 0 {
            return refuse(above, "only who is cleared for it puts it on");
        }
        let is_own = |v: &Version| self.house.owns(principal, v.org);
        let lost = named & !now;
        if lost != 0 && !(labels.may_take_away(principal.role) && before.is_some_and(is_own)) {
            return refuse(lost, &format!("the role '{}' may not take it away", principal.role.as_str()));
        }
        let kept = if was.is_some() { had & !named } else { 0 };
        Ok(self.labelled(target, kept, ready))
    }

    /// A body with the labels of a set that it has not yet.
    fn labelled<'a>(&self, target: &Target, set: i64, ready: Cow<'a, Ready>) -> Cow<'a, Ready> {
        let body = if set == 0 { None } else { self.house.store.labels().put_on(set, &ready.json) };
        match body {
            None => ready,
            Some(body) => Cow::Owned(Ready {
                refs: ready.refs.clone(),
                noticed: ready.noticed.clone(),
                ..Ready::new(&self.house, body, target)
            }),
        }
    }

    /// What refers to protected resources is protected like them: those that were there, as far as the writer sees them
    /// (`passed`), and those of this request.
    pub(super) fn inherit(&self, passed: HashMap<Target, i64>, steps: &mut [(usize, Step<'_>)]) {
        let labels = self.house.store.labels();
        let mut known = passed;
        known.retain(|_, set| *set != 0);
        for (_, step) in steps.iter() {
            let set = step.ready.as_ref().map_or(0, |r| labels.of(&r.json));
            if set != 0 {
                *known.entry(step.target.clone()).or_default() |= set;
            }
        }
        if known.is_empty() {
            return;
        }
        let base = &self.house.env.base;
        loop {
            let mut grew = false;
            for (_, step) in steps.iter_mut().filter(|(_, s)| !DIRECTORY.contains(&s.target.rtype.as_str())) {
                let Some(ready) = &step.ready else { continue };
                let set = passing(&ready.json, base).iter().filter_map(|t| known.get(t)).fold(0, |a, b| a | b);
                if set & !labels.of(&ready.json) == 0 {
                    continue;
                }
                let Some(ready) = step.ready.take() else { continue };
                step.ready = Some(self.labelled(step.target, set, ready));
                *known.entry(step.target.clone()).or_default() |= set;
                grew = true;
            }
            if !grew {
                return;
            }
        }
    }

    /// What was made of a resource before it got a label is protected like it, with its past.
    pub(super) async fn protect(&self, tx: &mut Tx, steps: &[(usize, Step<'_>)]) -> Result<()> {
        let (labels, base) = (self.house.store.labels(), &self.house.env.base);
        let mut labelled = Vec::new();
        let mut around: Vec<Target> = Vec::new();
        for (_, step) in steps {
            let (Some(before), Some(ready)) = (&step.before, &step.ready) else { continue };
            let more = labels.of(&ready.json) & !before.labels;
            if more != 0 {
                labelled.push((step.target.clone(), more));
                around.push(step.target.clone());
                around.extend(
                    step.was.iter().chain([&*ready.json]).filter_map(|j| workflow::element::patient_of(j, base)),
                );
            }
        }
        if labelled.is_empty() {
            return Ok(());
        }
        let registry = &self.house.active().registry;
        let keys = |t: &Target| {
            ResourceType::all().flat_map(|source| registry.referring_keys(&self.house.keys, source, t)).collect()
        };
        let mut keys: Vec<i64> = around.iter().flat_map(|t| -> Vec<i64> { keys(t) }).collect();
        keys.sort_unstable();
        keys.dedup();
        tx.protect(labelled, &keys, base).await
    }
}
