//! The lists around a stay are reconciled whenever one of them changes: working List and Provenance follow.
//!
//! Not for: the comparison (`reconcile/`), or which resources are read (`opening.rs`).

use super::Round;
use super::opening::Scene;
use crate::access::Ctx;
use crate::error::{Error, Result};
use crate::fhir::resource::known;
use crate::fhir::{Json, Target};
use crate::workflow::Programme;
use crate::workflow::build::{self, Addresses};
use crate::workflow::discharge::Stay;
use crate::workflow::element;
use crate::workflow::guard::Findings;
use crate::workflow::list::Entry;
use crate::workflow::medicine::Line;
use crate::workflow::reconcile::{self, Reconciled, Source};
use crate::workflow::records::{Desk, Held, Records};
use std::collections::BTreeMap;

impl<R: Records> Round<'_, R> {
    /// Compares the lists of a scene.
    pub(super) async fn reconciled(&mut self, scene: &Scene) -> Result<Reconciled> {
        let base = self.base().to_string();
        let by_target: BTreeMap<Target, &Json> =
            scene.resources.iter().filter_map(|r| Some((element::target_of(r)?, r))).collect();
        // A list may name what no search around the stay finds.
        let named: Vec<Target> =
            scene.lines.lines.iter().map(|e| e.target.clone()).filter(|t| !by_target.contains_key(t)).collect();
        self.desk.load(&named).await?;
        let medication = |r: &Json| element::leads_to_a("Medication", &r["medicationReference"], &base);
        let found = |desk: &Desk<'_, R>| -> Vec<Target> {
            let json =
                |e: &Entry| by_target.get(&e.target).copied().or_else(|| desk.peek(&e.target)).and_then(medication);
            scene.lines.lines.iter().filter_map(json).collect()
        };
        let medications = found(&self.desk);
        self.desk.load(&medications).await?;
        let mut sources = Vec::new();
        for entry in &scene.lines.lines {
            let json = by_target.get(&entry.target).copied().or_else(|| self.desk.peek(&entry.target));
            let Some(json) = json.filter(|j| LINES.contains(&element::type_of(j))) else { continue };
            let inside = json["medicationReference"]["reference"].text().strip_prefix('#');
            let contained = inside.and_then(|id| json["contained"].items().iter().find(|c| c["id"].text() == id));
            let drug = contained.or_else(|| medication(json).and_then(|at| self.desk.peek(&at)));
            sources.push(Source {
                group: entry.group,
                target: entry.target.clone(),
                is_ended: entry.is_ended,
                why: entry.why.into(),
                line: Line::of(&self.programme.medicines, json, drug),
            });
        }
        Ok(reconcile::reconcile(&self.programme.medicines, sources, scene.lines.sent))
    }

    /// Writes the working List, and, where it says something else than before, its Provenance. Answers where that is,
    /// and what was compared.
    pub(super) async fn write_list(
        &mut self,
        stay: &Stay,
        at: &Addresses,
        scene: &Scene,
        org: i64,
    ) -> Result<(Target, Reconciled)> {
        let reconciled = self.reconciled(scene).await?;
        let list = build::list(self.programme, at, stay, &scene.at_patient, &reconciled);
        let record = record_of(self.programme, &at.list);
        self.desk.load(&[at.list.clone(), record.clone()]).await?;
        let before = self.desk.peek(&at.list).cloned();
        let says = |l: &Json| (l["entry"].clone(), l["emptyReason"].clone(), l["note"].clone());
        let is_same = before.as_ref().is_some_and(|b| says(b) == says(&list));
        self.write(&at.list, list.clone(), org).await?;
        if !is_same || self.desk.peek(&record).is_none() {
            let news = before.map(|b| build::news(&b, &list)).unwrap_or_default();
            let json = build::reconciliation(self.ctx, self.programme, &at.list, &reconciled, &news);
            self.write(&record, json, org).await?;
        }
        Ok((record, reconciled))
    }
}

/// Types that a line can be.
const LINES: [&str; 4] = ["MedicationAdministration", "MedicationDispense", "MedicationRequest", "MedicationStatement"];

/// Where the Provenance of a working list is.
#[must_use]
pub fn record_of(programme: &Programme, list: &Target) -> Target {
    Target::new(known("Provenance"), programme.id(&["reconciled", &list.id]))
}

/// Reconciles the lists around a stay, on demand. Answers the working List: as stored, or, unless `writes`, as it would be.
///
/// # Errors
/// `BusinessRule` when the Encounter is no stay of the programme, or is about no patient.
pub async fn reconcile<R: Records>(
    ctx: &Ctx,
    records: &mut R,
    programme: &Programme,
    encounter: &Held,
    writes: bool,
) -> Result<Json> {
    let no_stay =
        || Error::business_rule("only a stay with an admission class has lists to reconcile").at("Encounter.class");
    let Some(mut stay) = Stay::of(programme, &encounter.json) else { return Err(no_stay()) };
    let Some(patient) = stay.patient.clone() else {
        return Err(Error::business_rule("the stay is about no patient").at("Encounter.subject"));
    };
    let mut round = Round { ctx, programme, desk: Desk::new(records), changes: &[], findings: Findings::default() };
    round.desk.load(&[encounter.target.clone(), patient.clone()]).await?;
    let record = round.desk.peek(&patient).cloned().unwrap_or_default();
    let base = programme.env.base.clone();
    let episodes = round.episodes(&patient).await?;
    let of_stay = |e: &&Target| {
        let json = round.desk.peek(e);
        json.and_then(|e| build::index_encounter(e, &base)).as_ref() == Some(&stay.encounter)
    };
    // The living episode's list; else the last one's; else the one that the first episode would have.
    let own: Vec<Target> = episodes.iter().filter(of_stay).cloned().collect();
    let chosen = own.iter().find(|e| round.is_live(e)).or(own.last());
    let at = chosen.map_or_else(|| Addresses::of_stay(programme, &stay.encounter, 0), |e| round.addresses(e));
    if let Some(json) = chosen.and_then(|e| round.desk.peek(e)) {
        stay.hospital = element::leads_to_a("Organization", &json["managingOrganization"], &base);
    }
    let live = chosen.filter(|e| round.is_live(e)).cloned();
    let scene = round.scene(&stay, &patient, &record, false).await?;
    if !writes {
        let reconciled = round.reconciled(&scene).await?;
        let mut list = build::list(programme, &at, &stay, &patient, &reconciled);
        crate::fhir::meta::set_id(&mut list, &at.list.id);
        return Ok(list);
    }
    let (provenance, _) = round.write_list(&stay, &at, &scene, encounter.org).await?;
    if let Some(json) = live.and_then(|e| round.desk.peek(&e).cloned()) {
        let tasks = round.tasks_of(&at.plan).await?;
        round.share_care(&json, &at.episode.id, &tasks, &[at.list.clone(), provenance]).await?;
    }
    round.desk.flush().await?;
    let stored = records.fetch(std::slice::from_ref(&at.list)).await?.into_iter().flatten().next();
    stored.map(|h| h.json).ok_or_else(|| Error::fault("the reconciled list is not there after it was written"))
}
