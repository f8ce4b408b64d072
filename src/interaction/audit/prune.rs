//! Retention: rows whose time is over go, with their AuditEvents, from the oldest on. The chain then begins at a checkpoint,
//! so that what is left is verified as before.

use crate::access::Limit;
use crate::clock::Instant;
use crate::error::Result;
use crate::fhir::resource::known;
use crate::fhir::{Target, json};
use crate::interaction::Engine;
use crate::store::audit::chain::{self, Place, event_id};
use crate::store::reindex::Change;
use crate::store::{Tx, Work};
use futures_util::future::BoxFuture;

/// Rows of one transaction.
const BATCH: usize = 100;

impl Engine {
    /// Takes away rows that were stored before the time that the limit `audit-days` gives; answers how many. One step: there
    /// may be more.
    ///
    /// # Errors
    /// What the database says.
    pub async fn prune_audit(&self, now: Instant) -> Result<usize> {
        let house = self.house();
        let days = i64::try_from(house.limits.audit_days).unwrap_or(i64::MAX / 100_000);
        let before = now.plus_seconds(-days * 86_400);
        let start = house.store.chain_start().await?;
        let mut rows = house.store.sealed_after(start.seq, BATCH).await?;
        let over = rows.iter().take_while(|r| r.row.pk < before.0).count();
        rows.truncate(over);
        let Some(last) = rows.last() else { return Ok(0) };
        let place = Place { seq: last.seq, hash: last.hash.clone() };
        let event = known("AuditEvent");
        let targets: Vec<Target> =
            rows.iter().flat_map(|r| (0..r.told).map(|n| Target::new(event, event_id(r.row.pk, n)))).collect();
        let active = house.active();
        let mut cut = Cut { start, place, changes: Vec::new(), events: Vec::new(), words: Vec::new() };
        for version in house.store.get_many(&Limit::Everything, &targets).await?.into_iter().flatten() {
            cut.events.push(version.pk);
            cut.words.push(version.pk);
            let Ok(tree) = json::parse(&version.body) else { continue };
            let remove = active.registry.extract(&house.keys, &tree, &active.env);
            cut.changes.push(Change { pk: version.pk, remove, ..Change::default() });
        }
        house.store.write(cut).await?;
        Ok(over)
    }
}

struct Cut {
    start: Place,
    place: Place,
    changes: Vec<Change>,
    events: Vec<i64>,
    words: Vec<i64>,
}

impl Work for Cut {
    type Out = ();

    fn run<'a>(&'a self, tx: &'a mut Tx) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            if tx.chain_start().await? != self.start {
                return Ok(()); // another node was first
            }
            tx.change_rows(&self.changes).await?;
            tx.remove_words(&self.words).await?;
            tx.cut(&self.place, &self.events).await
        })
    }

    fn locks(&self) -> Vec<i64> {
        vec![chain::LOCK]
    }
}
