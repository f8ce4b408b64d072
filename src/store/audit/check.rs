//! Looks at the chain again, row by row: is it as it was sealed?

use super::chain::{Place, event_id};
use crate::error::Result;
use crate::fhir::Target;
use crate::fhir::resource::known;
use crate::store::Store;

/// Rows that are read at a time.
const BATCH: usize = 500;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Sealed rows that were looked at.
    pub rows: u64,
    /// Their AuditEvents.
    pub events: u64,
    /// Rows that wait to be sealed.
    pub waiting: i64,
    /// Where the chain begins: before the first row, or after the last one that was taken away when its time was over.
    pub start: Place,
    /// The last place that was found right.
    pub end: Place,
    /// The first thing that is wrong.
    pub broken: Option<Broken>,
}

/// What is wrong with the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The place in the chain.
    pub seq: i64,
    /// Stamp of the row (`audit.pk`), where there is one.
    pub pk: Option<i64>,
    /// One sentence.
    pub why: String,
}

impl Store {
    /// Follows the chain from its start to its end.
    ///
    /// # Errors
    /// What the database says; what is wrong with the chain is in the verdict.
    pub async fn verify_audit(&self) -> Result<Verdict> {
        let (start, head) = (self.chain_start().await?, self.chain_end().await?);
        let mut found = Verdict { rows: 0, events: 0, waiting: 0, end: start.clone(), start, broken: None };
        let broken = |seq, pk, why: &str| Some(Broken { seq, pk, why: why.into() });
        let (mut place, event) = (found.start.clone(), known("AuditEvent"));
        while place.seq < head.seq {
            let rows = self.sealed_after(place.seq, BATCH).await?;
            let targets: Vec<Target> =
                rows.iter().flat_map(|r| (0..r.told).map(|n| Target::new(event, event_id(r.row.pk, n)))).collect();
            let mut events = self.digests(&targets).await?;
            if rows.is_empty() {
                found.broken = broken(place.seq + 1, None, "the row is missing, and all that follow up to the last");
                return Ok(found);
            }
            for sealed in rows {
                let (seq, pk) = (sealed.seq, sealed.row.pk);
                if seq != place.seq + 1 {
                    found.broken = broken(place.seq + 1, None, "the row is missing");
                    return Ok(found);
                }
                let told: Vec<Option<String>> = (0..sealed.told).map(|n| events.remove(&event_id(pk, n))).collect();
                if told.iter().any(Option::is_none) {
                    found.broken = broken(seq, Some(pk), "an AuditEvent of the row is missing");
                    return Ok(found);
                }
                let told: Vec<String> = told.into_iter().flatten().collect();
                let next = sealed.row.after(&place, &told);
                if next.hash != sealed.hash {
                    let why = "the row or one of its AuditEvents is not as it was sealed";
                    found.broken = broken(seq, Some(pk), why);
                    return Ok(found);
                }
                found.rows += 1;
                found.events += told.len() as u64;
                place = next;
                found.end = place.clone();
                if place.seq == head.seq {
                    break;
                }
            }
        }
        if place != head {
            found.broken = broken(place.seq, None, "the chain does not end where its writer left it");
            return Ok(found);
        }
        let [stored, told, waiting] = self.audit_counts().await?;
        found.waiting = waiting;
        if stored != told {
            let why = format!("{stored} AuditEvents are stored and the rows say {told}: some are nobody's");
            found.broken = broken(place.seq, None, &why);
        }
        Ok(found)
    }
}
