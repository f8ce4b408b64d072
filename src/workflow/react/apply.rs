//! What a protocol asks for, opened on request in the episode of a stay that is followed up: Tasks as the episode's others.
//!
//! Not for: what a discharge opens by itself (`opening.rs`), or what a protocol would ask for (`protocol/apply.rs`).
//! Source: <https://hl7.org/fhir/R4/plandefinition-operation-apply.html>; storing the Tasks is Baton's own.

use super::Round;
use crate::access::Ctx;
use crate::error::{Error, Result};
use crate::fhir::Json;
use crate::workflow::discharge::Stay;
use crate::workflow::guard::Findings;
use crate::workflow::protocol::Plan;
use crate::workflow::records::{Desk, Held, Records};
use crate::workflow::{Programme, build};

/// Opens each action that the case calls for and that has no Task in the episode yet. Asked again it opens nothing. Answers the
/// episode's CarePlan as stored.
///
/// # Errors
/// `BusinessRule` when the stay is not followed up now.
pub async fn open_protocol<R: Records>(
    ctx: &Ctx,
    records: &mut R,
    programme: &Programme,
    on: &Held,
    plan: &Plan,
) -> Result<Json> {
    let mut round = Round { ctx, programme, desk: Desk::new(records), changes: &[], findings: Findings::default() };
    let opened = round.open_all(on, plan).await?;
    round.findings.settle()?;
    round.desk.flush().await?;
    let stored = records.fetch(std::slice::from_ref(&opened)).await?.into_iter().flatten().next();
    stored.map(|h| h.json).ok_or_else(|| Error::fault("the care plan of an episode is not there"))
}

impl<R: Records> Round<'_, R> {
    async fn open_all(&mut self, on: &Held, plan: &Plan) -> Result<crate::fhir::Target> {
        let nobody = || {
            let text =
                format!("{} is not followed up now: there is no episode that the Tasks would belong to", on.target);
            Error::business_rule(text).at("encounter")
        };
        let base = self.base().to_string();
        let patient = Stay::of(self.programme, &on.json).and_then(|s| s.patient).ok_or_else(nobody)?;
        let of_stay = |r: &Self, e: &crate::fhir::Target| {
            r.status_of(e) == "active"
                && r.desk.peek(e).and_then(|e| build::index_encounter(e, &base)).as_ref() == Some(&on.target)
        };
        let episodes = self.episodes(&patient).await?;
        let episode = episodes.into_iter().find(|e| of_stay(self, e)).ok_or_else(nobody)?;
        let json = self.desk.get(&episode).await?.unwrap_or_default();
        let (stay, record) = (self.stay_of(&json).await?, self.desk.get(&patient).await?);
        let (stay, record) = stay.zip(record).ok_or_else(nobody)?;
        let at = self.addresses(&episode);
        let scene = self.scene(&stay, &patient, &record, false).await?;
        self.open_tasks(plan, &stay, &at, &scene).await?;
        let tasks = self.tasks_of(&at.plan).await?;
        self.share_care(&json, &episode.id, &tasks, &tasks.clone()).await?;
        Ok(at.plan)
    }
}
