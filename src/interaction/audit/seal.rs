//! Sealing: rows get their place in the chain, and their AuditEvents are stored, in one transaction.
//!
//! Everything costly - reading what rows made and showed, telling what AuditEvents say, extracting what they are found by - is
//! done before the transaction; inside are the hashes and the inserts. Two nodes may prepare the same rows: the second finds them
//! sealed and does nothing.

use super::index::Index;
use super::tell::{Teller, Told};
use crate::error::Result;
use crate::fhir::Target;
use crate::fhir::resource::known;
use crate::interaction::{Engine, House};
use crate::search::Rows;
use crate::store::audit::chain::{self, Recorded, event_id};
use crate::store::{Tx, Work};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use std::sync::Arc;

/// Rows of one transaction: on SQLite the writers wait for it, so it is short.
const BATCH: usize = 100;
/// The share rows of AuditEvents have this name.
const SHARED: &str = "audit";

impl Engine {
    /// Seals rows that are not sealed yet; answers how many. 0: there is nothing to do, or another node did it.
    ///
    /// # Errors
    /// What the database says; the next step begins where this one did.
    pub async fn seal(&self) -> Result<usize> {
        let house = self.house();
        let rows = house.store.unsealed(BATCH).await?;
        if rows.is_empty() {
            return Ok(0);
        }
        let active = house.active();
        let told = Teller::new(house, &active, &rows).await?.all(&rows).await?;
        let mut sealing =
            Sealing { house: Arc::clone(&self.0), generation: active.generation, rows: Vec::with_capacity(rows.len()) };
        let mut index = Index::new(&house.keys, &active.registry, &active.env);
        for (row, told) in rows.into_iter().zip(told) {
            let mut events = Vec::with_capacity(told.len());
            for (n, Told { said, org, shares }) in (0..).zip(told) {
                let target = Target::new(known("AuditEvent"), event_id(row.pk, n));
                let rows = Arc::new(index.rows(&said, &target.id));
                events.push(Event { body: said.bytes(), target, rows, org, shares });
            }
            sealing.rows.push((row, events));
        }
        house.store.write(sealing).await
    }
}

struct Event {
    target: Target,
    /// As stored.
    body: Bytes,
    rows: Arc<Rows>,
    org: i64,
    shares: Vec<i64>,
}

struct Sealing {
    house: Arc<House>,
    /// By which search parameters the AuditEvents were extracted.
    generation: i64,
    rows: Vec<(Recorded, Vec<Event>)>,
}

impl Work for Sealing {
    type Out = usize;

    fn run<'a>(&'a self, tx: &'a mut Tx) -> BoxFuture<'a, Result<usize>> {
        Box::pin(async move {
            self.house.in_tx(tx).await?;
            if self.house.active().generation != self.generation {
                return Ok(0); // prepared again in the next step
            }
            let pks: Vec<i64> = self.rows.iter().map(|(row, _)| row.pk).collect();
            if tx.count_unsealed(&pks).await? != pks.len() {
                return Ok(0);
            }
            let mut place = tx.chain_end().await?;
            let mut places = Vec::with_capacity(self.rows.len());
            for (row, events) in &self.rows {
                let mut hashes = Vec::with_capacity(events.len());
                for event in events {
                    let (target, rows) = (event.target.clone(), Arc::clone(&event.rows));
                    let pk = tx.put_event(target, event.body.clone(), rows, event.org)?;
                    hashes.push(chain::digest_of(pk, &event.body));
                    for org in &event.shares {
                        tx.show_for_good(*org, event.target.clone(), SHARED);
                    }
                }
                place = row.after(&place, &hashes);
                places.push((row.pk, events.len(), place.clone()));
            }
            tx.seal(&places).await?;
            Ok(self.rows.len())
        })
    }

    fn locks(&self) -> Vec<i64> {
        vec![chain::LOCK]
    }

    fn entries(&self) -> usize {
        self.rows.iter().map(|(_, events)| events.len()).sum::<usize>() + 1
    }
}
