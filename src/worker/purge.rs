//! Rows of versions that died longer ago than a page lives: nobody can walk to them any more.
//!
//! The version log is walked in its order; each version that replaced another names a dead one. The versions themselves
//! stay: history reads them, and needs no rows.
//! Not for: rows of parameters that are no longer there; no search asks for these.

use super::{Did, Worker};
use crate::clock::Instant;
use crate::error::Result;
use crate::fhir::json;
use crate::interaction::parameter::{ZONES, zones_before};
use crate::store::reindex::Change;
use crate::store::{Tx, Work};
use futures_util::future::BoxFuture;
use jiff::tz::TimeZone;

/// Its lease.
pub(super) const JOB: &str = "purge";

/// The mark, in `setting`.
const MARK: &str = "purge-mark";

/// What a page link may be older than its time, because clocks differ.
const MARGIN_SECONDS: i64 = 300;

/// Versions of the log that one step looks at.
const BATCH: usize = 500;

impl Worker {
    pub(super) async fn purge(&self, now: Instant) -> Result<Did> {
        let house = self.engine.house();
        let page = i64::try_from(house.limits.page_seconds).unwrap_or(i64::MAX / 4_000_000);
        let until = now.plus_seconds(-(page + MARGIN_SECONDS));
        let mark = house.store.setting(MARK).await?.and_then(|m| m.parse().ok()).unwrap_or(0);
        let (dead, next) = house.store.dead(mark, until.0, BATCH).await?;
        if next == mark || house.store.is_leased_by_another(JOB, &self.id, now).await? {
            return Ok(Did::Nothing);
        }
        let active = house.active();
        let zones = zones_before(house.store.setting(ZONES).await?);
        let zones: Vec<_> = zones.iter().filter_map(|z| TimeZone::get(z).ok()).collect();
        let mut changes = Vec::new();
        let mut words = Vec::new();
        for version in dead.iter().filter(|d| !d.body.is_empty()) {
            // A body that does not parse left no rows.
            let Ok(tree) = json::parse(&version.body) else { continue };
            let mut remove = active.registry.extract(&house.keys, &tree, &active.env);
            for zone in &zones {
                let old = active.registry.extract(&house.keys, &tree, &active.env.in_zone(zone.clone()));
                remove.exact.extend(old.exact);
                remove.range.extend(old.range);
                remove.text.extend(old.text);
            }
            remove.finish();
            if !remove.words.is_empty() {
                words.push(version.pk);
            }
            changes.push(Change { pk: version.pk, remove, ..Change::default() });
        }
        let removal = Removal { holder: self.id.clone(), now, changes, words, mark: (mark, next) };
        Ok(if house.store.write(removal).await? { Did::Something } else { Did::Nothing })
    }
}

struct Removal {
    holder: String,
    now: Instant,
    changes: Vec<Change>,
    words: Vec<i64>,
    /// Before and after.
    mark: (i64, i64),
}

impl Work for Removal {
    type Out = bool;

    fn run<'a>(&'a self, tx: &'a mut Tx) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move {
            if !tx.lease(JOB, &self.holder, self.now).await? {
                return Ok(false);
            }
            let stored = tx.setting(MARK).await?.and_then(|m| m.parse().ok()).unwrap_or(0);
            if stored != self.mark.0 {
                return Ok(false);
            }
            tx.change_rows(&self.changes).await?;
            tx.remove_words(&self.words).await?;
            tx.set_setting(MARK, &self.mark.1.to_string()).await?;
            Ok(true)
        })
    }
}
