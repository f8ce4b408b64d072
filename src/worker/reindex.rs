//! The rows of a search parameter that came after the resources.
//!
//! A parameter walks the versions of its types, oldest first, and adds rows to those that are current. From the moment it is
//! known, every write makes its rows by itself; so the walk ends at the newest version of that moment. On PostgreSQL it
//! begins when the writes that did not know of it have ended. When it is through, searches may use it.

use super::{Did, Worker};
use crate::clock::Instant;
use crate::error::{Error, Result};
use crate::fhir::{Json, ResourceType, json};
use crate::interaction::parameter::Again;
use crate::search::registry::types_of_base;
use crate::search::{Active, Env, Registry, Rows};
use crate::store::parameter::{Parameter, R4, Walk};
use crate::store::reindex::{Change, Scanned};
use crate::store::{Tx, Work};
use futures_util::future::BoxFuture;
use jiff::tz::TimeZone;

/// Its lease.
pub(super) const JOB: &str = "reindex";

impl Worker {
    pub(super) async fn reindex(&self, now: Instant) -> Result<Did> {
        let house = self.engine.house();
        let rows = house.refresh().await?;
        // All that stand at the same place go on together.
        let Some(first) = rows.list.iter().find(|p| p.walk.is_some()) else { return Ok(Did::Nothing) };
        let Some(walk) = &first.walk else { return Ok(Did::Nothing) };
        let is_alone = first.name == R4;
        let mates = rows.list.iter().filter(|p| p.walk.as_ref() == Some(walk) && (p.name == R4) == is_alone);
        let mut group: Vec<Parameter> = mates.cloned().collect();
        if house.store.is_leased_by_another(JOB, &self.id, now).await? {
            return Ok(Did::Nothing);
        }
        let again: Again =
            if is_alone { serde_json::from_str(&first.body).unwrap_or_default() } else { Again::default() };
        let mut walk = walk.clone();
        let mut changes = Vec::new();
        if walk.fence.is_none() {
            let types = types(first, &again);
            group.retain(|p| self::types(p, &again) == types);
            walk.types = types.iter().map(ToString::to_string).collect();
            walk.fence = Some(house.store.fence().await?.0);
        } else if walk.last.is_none() {
            if house.store.fence().await?.1 < walk.fence.unwrap_or(0) {
                return Ok(Did::Waits);
            }
            let types: Vec<ResourceType> = walk.types.iter().filter_map(|t| ResourceType::parse(t)).collect();
            let (last, total) = house.store.extent(&types).await?;
            (walk.last, walk.total) = (Some(last), total);
        } else if let Some(rtype) = walk.types.get(walk.at).and_then(|t| ResourceType::parse(t)) {
            let batch = crate::config::Limits::size(house.limits.reindex_batch);
            let scanned = house.store.scan(rtype, walk.mark, walk.last.unwrap_or(0), batch).await?;
            let active = house.active();
            let made =
                Making { active: &active, only: active.registry.only_building(), again: &again, keys: &house.keys };
            for version in scanned.iter().filter(|s| s.is_current && !s.version.is_deleted()) {
                changes.extend(made.change(version)?);
            }
            walk.done += scanned.len() as u64;
            match scanned.last() {
                Some(newest) if scanned.len() == batch => walk.mark = newest.version.pk,
                _ => (walk.at, walk.mark) = (walk.at + 1, 0),
            }
        }
        let is_through = walk.last.is_some() && walk.at >= walk.types.len();
        let step = Step { holder: self.id.clone(), now, group, changes, walk: (!is_through).then_some(walk) };
        if !house.store.write(step).await? {
            return Ok(Did::Nothing);
        }
        house.refresh().await?;
        Ok(Did::Something)
    }
}

/// Types whose resources may have rows of a parameter.
fn types(p: &Parameter, again: &Again) -> Vec<ResourceType> {
    if p.name != R4 {
        let resource = json::parse(p.body.as_bytes()).unwrap_or_default();
        return resource["base"].items().iter().flat_map(|b| types_of_base(b.text())).collect();
    }
    if again.zones.is_empty() {
        return again.types.iter().filter_map(|t| ResourceType::parse(t)).collect();
    }
    ResourceType::all().collect()
}

struct Making<'a> {
    active: &'a Active,
    only: Registry,
    again: &'a Again,
    keys: &'a crate::search::Keys,
}

impl Making<'_> {
    /// What is to change at a version; `None` when it has no such values.
    fn change(&self, scanned: &Scanned) -> Result<Option<Change>> {
        let tree: Json = scanned.version.json()?;
        let name = scanned.version.target.rtype.as_str();
        let env = &self.active.env;
        let mut add = self.rows(&tree, env, name);
        let mut remove = Rows::default();
        for zone in &self.again.zones {
            let zone = TimeZone::get(zone).map_err(|e| Error::fault("a zone that was in force").caused_by(e))?;
            let old = self.rows(&tree, &env.in_zone(zone), name);
            remove.exact.extend(old.exact.iter().filter(|k| add.exact.binary_search(k).is_err()));
            remove.range.extend(old.range.iter().filter(|r| add.range.binary_search(r).is_err()));
            remove.text.extend(old.text.into_iter().filter(|t| add.text.binary_search(t).is_err()));
        }
        let facts = self.active.registry.extract(self.keys, &tree, env).facts;
        let facts = (facts != scanned.facts).then_some(facts);
        let has_words = self.again.types.iter().any(|t| t == name);
        if !has_words {
            add.words = crate::search::rows::Words::default();
        }
        let is_empty = add.exact.is_empty() && add.range.is_empty() && add.text.is_empty() && facts.is_none();
        Ok((!is_empty || has_words).then_some(Change { pk: scanned.version.pk, add, remove, facts, has_words }))
    }

    fn rows(&self, tree: &Json, env: &Env, name: &str) -> Rows {
        let mut rows = self.only.extract(self.keys, tree, env);
        let of_type = self.keys.of_type(name);
        rows.exact.retain(|key| *key != of_type);
        rows
    }
}

struct Step {
    holder: String,
    now: Instant,
    group: Vec<Parameter>,
    changes: Vec<Change>,
    /// Where the walk stands afterwards; `None`: it is through.
    walk: Option<Walk>,
}

impl Work for Step {
    type Out = bool;

    fn run<'a>(&'a self, tx: &'a mut Tx) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move {
            if !tx.lease(JOB, &self.holder, self.now).await? {
                return Ok(false);
            }
            let before = tx.parameters().await?;
            tx.change_rows(&self.changes).await?;
            for parameter in &self.group {
                // Another node may have gone on, or the parameter is another one by now: then this step was for nothing.
                let stored = before.list.iter().find(|p| p.name == parameter.name);
                if stored.is_some_and(|p| p.walk == parameter.walk) {
                    tx.set_walk(parameter, &self.walk).await?;
                }
            }
            if self.walk.is_none() {
                for parameter in &self.group {
                    tracing::info!(parameter = parameter.name, "all rows of a search parameter are there");
                }
                tx.next_generation().await?;
            }
            Ok(true)
        })
    }
}
