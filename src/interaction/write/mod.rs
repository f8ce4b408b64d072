//! Writing: create, update, patch and delete, alone or many in one transaction, all through the same few steps.
//!
//! [`ask`] what was asked for, checked without the database · [`criteria`] conditional interactions · [`resolve`] which
//! resource each write is about, and references · [`prepare`] the costly part, outside the transaction · [`commit`] the
//! transaction · [`judge`] whether one write may be done · [`mod@keep`] what an operation made · [`author`] who is said to have done it · [`outward`] references to other resources · [`protect`] security labels · [`referrer`] references to what is deleted. What criteria find is guessed by a read, and verified inside in one statement; only a wrong guess
//! prepares again.
//! Source: <https://hl7.org/fhir/R4/http.html>.

mod ask;
mod author;
mod commit;
mod criteria;
mod faults;
mod judge;
mod keep;
pub(super) mod outward;
mod prepare;
mod protect;
mod referrer;
mod resolve;
mod versioned;

pub(super) use ask::{Asks, Draft};
pub(super) use commit::{Others, Outcome, Written};
pub(super) use faults::Faults;
pub(crate) use faults::at;
pub(super) use keep::keep;

use super::{Engine, parameter};
use crate::access::{Ctx, Limit};
use crate::error::{Error, Result};
use crate::store::{Tx, Work};
use commit::Commit;
use futures_util::future::BoxFuture;
use prepare::Prepared;
use std::sync::Arc;

impl Engine {
    /// Writes all of it, or nothing. Outcomes in the order of the asks. `action`: for the audit.
    ///
    /// # Errors
    /// All failures of all entries.
    pub(super) async fn write(&self, ctx: &Ctx, asks: Asks, others: Others, action: &str) -> Result<Written> {
        let concerns_search = asks.list.iter().any(|ask| parameter::concerns(ask.rtype()));
        let work = self.prepare(ctx, asks, others, action).await?;
        let written = self.house().store.write(work).await?;
        if concerns_search && let Err(error) = self.house().refresh().await {
            tracing::warn!(%error, "the change of search parameters is committed; it takes effect when the worker reads it");
        }
        Ok(written)
    }

    /// Does all that [`Engine::write`] does, and takes it back: whether the writes would pass.
    ///
    /// # Errors
    /// What the write would fail with.
    pub(super) async fn rehearse(&self, ctx: &Ctx, asks: Asks) -> Result<()> {
        let work = self.prepare(ctx, asks, Others::default(), "rehearsal").await?;
        match self.house().store.write(Rehearsal(work)).await {
            Err(error) if error.source.as_ref().is_some_and(|s| s.is::<Passed>()) => Ok(()),
            Err(error) => Err(error),
            Ok(()) => Err(Error::fault("a rehearsal was committed: it always ends with an error")),
        }
    }

    async fn prepare(&self, ctx: &Ctx, asks: Asks, others: Others, action: &str) -> Result<Commit> {
        let Asks { list, mut criteria, mut amiss } = asks;
        let limit = Limit::of(ctx);
        if let Err(error) = criteria.look_up(self, ctx, &limit).await {
            amiss.faults.add(error, "");
            return Err(amiss.faults.error());
        }
        let found = criteria.guess(self, &limit).await?;
        let mut prepared = Prepared::new(ctx, self.house(), &list, &others.calls, criteria.plans(), found, amiss)?;
        prepared.patches(ctx, self.house(), &list, &limit).await?;
        Ok(Commit {
            house: Arc::clone(&self.0),
            ctx: ctx.clone(),
            asks: list,
            criteria,
            prepared,
            others,
            action: action.into(),
            mark: self.1.clone(),
        })
    }
}

/// The writes of a request that end in an error when they pass, so that nothing of them stays.
struct Rehearsal(Commit);

/// The error that a rehearsal ends with when all went well.
#[derive(Debug)]
struct Passed;

impl std::fmt::Display for Passed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the rehearsal passed and is rolled back")
    }
}

impl std::error::Error for Passed {}

impl Work for Rehearsal {
    type Out = ();

    fn run<'a>(&'a self, tx: &'a mut Tx) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            self.0.run(tx).await?;
            Err(Error::conflict("nothing was stored: this was a rehearsal").caused_by(Passed))
        })
    }

    fn locks(&self) -> Vec<i64> {
        self.0.locks()
    }

    fn entries(&self) -> usize {
        self.0.entries()
    }
}
