//! Writing: create, update, patch and delete, alone or many in one transaction, all through the same few steps.
//!
//! [`ask`] what was asked for, checked without the database · [`criteria`] conditional interactions · [`resolve`] which
//! resource each write is about, and references · [`prepare`] the costly part, outside the transaction · [`commit`] the
//! transaction · [`judge`] whether one write may be done · [`outward`] references to other resources · [`referrer`] references to what is deleted. What criteria find is guessed by a read, and verified inside in one statement; only a wrong guess
//! prepares again.
//! Source: <https://hl7.org/fhir/R4/http.html>.

mod ask;
mod commit;
mod criteria;
mod faults;
mod judge;
pub(super) mod outward;
mod prepare;
mod referrer;
mod resolve;
mod versioned;

pub(super) use ask::{Asks, Draft};
pub(super) use commit::{Others, Outcome, Written};
pub(super) use faults::Faults;
pub(crate) use faults::at;

use super::{Engine, parameter};
use crate::access::{Ctx, Limit};
use crate::error::Result;
use commit::Commit;
use prepare::Prepared;
use std::sync::Arc;

impl Engine {
    /// Writes all of it, or nothing. Outcomes in the order of the asks. `action`: for the audit.
    ///
    /// # Errors
    /// All failures of all entries.
    pub(super) async fn write(&self, ctx: &Ctx, mut asks: Asks, others: Others, action: &str) -> Result<Written> {
        asks.end()?;
        let Asks { list, mut criteria, .. } = asks;
        let limit = Limit::of(ctx);
        criteria.look_up(self, ctx, &limit).await?;
        let found = criteria.guess(self, &limit).await?;
        let mut prepared = Prepared::new(ctx, self.house(), &list, &others.calls, criteria.plans(), found)?;
        prepared.patches(ctx, self.house(), &list, &limit).await?;
        let concerns_search = list.iter().any(|ask| parameter::concerns(ask.rtype()));
        let work = Commit {
            house: Arc::clone(&self.0),
            ctx: ctx.clone(),
            asks: list,
            criteria,
            prepared,
            others,
            action: action.into(),
        };
        let written = self.house().store.write(work).await?;
        if concerns_search && let Err(error) = self.house().refresh().await {
            tracing::warn!(%error, "the change of search parameters is committed; it takes effect when the worker reads it");
        }
        Ok(written)
    }
}
