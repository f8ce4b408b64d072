//! What the programme reads and writes inside a transaction, and the desk it works on.
//!
//! [`Records`] is the store as the programme needs it: `Books` over an open `Tx`, or a map in tests, so that the rules of
//! a whole discharge can be tried without a database. A [`Desk`] collects what one reaction changes and writes each
//! resource once, at the end, and only when it differs from what is stored: a replay writes nothing.

mod desk;
#[cfg(test)]
pub mod memory;

pub use desk::Desk;

use super::{Change, Programme};
use super::{consent, element};
use crate::access::label::passing;
use crate::access::{Ctx, Limit};
use crate::clock::Instant;
use crate::error::Result;
use crate::fhir::meta::Stampable;
use crate::fhir::resource::known;
use crate::fhir::{Json, ResourceType, Target};
use crate::search::{Cond, Keys, Plan};
use crate::store::{Method, Put, Share, Tx, Version};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::future::Future;
use std::sync::Arc;

/// A current resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Which.
    pub target: Target,
    /// As stored.
    pub json: Json,
    /// Hash of the owning organisation; 0 for the directory.
    pub org: i64,
    /// `meta.versionId`.
    pub version: i64,
}

/// Which resources refer to something: (their type, search parameter, what they refer to).
pub type Ask = (&'static str, &'static str, Target);

/// The store as the programme needs it, for one transaction.
pub trait Records: Send {
    /// The database's hash keys.
    fn keys(&self) -> Keys;

    /// The current resources, in the order asked; `None` for what is not there or deleted.
    fn fetch(&mut self, targets: &[Target]) -> impl Future<Output = Result<Vec<Option<Held>>>> + Send;

    /// Says that none of these is there, so that nobody looks: their ids derive from something that has just been made.
    fn assume_absent(&mut self, targets: &[Target]);

    /// All current resources that one of the asks finds, in the order of their addresses.
    fn referring(&mut self, asks: &[Ask]) -> impl Future<Output = Result<Vec<Held>>> + Send;

    /// Writes a version.
    fn put(&mut self, target: &Target, json: &Json, org: i64) -> impl Future<Output = Result<()>> + Send;

    /// See `Tx::share`.
    fn share(&mut self, share: Share) -> impl Future<Output = Result<()>> + Send;

    /// See `Tx::unshare`.
    fn unshare(&mut self, handoff: &str, org: Option<i64>) -> impl Future<Output = Result<()>> + Send;

    /// See `Tx::unshare_one`.
    fn unshare_one(&mut self, handoff: &str, target: &Target) -> impl Future<Output = Result<()>> + Send;

    /// See `Tx::shared`.
    fn shared(&mut self, handoff: &str) -> impl Future<Output = Result<BTreeSet<Target>>> + Send;

    /// See `Tx::end_shares`.
    fn end_shares(&mut self, handoffs: &[String], but: i64) -> impl Future<Output = Result<()>> + Send;

    /// See `Tx::lock`.
    fn lock(&mut self, keys: &[i64]) -> impl Future<Output = Result<()>> + Send;
}

/// The records of an open transaction.
pub struct Books<'a> {
    tx: &'a mut Tx,
    programme: &'a Programme,
    /// By which Consents are judged.
    now: Instant,
    /// What was read or written here: the version that a put replaces. `None`: known not to be there.
    versions: HashMap<Target, Option<Version>>,
    sight: Sight,
    /// Of `versions`, what is not shown.
    unseen: HashSet<Target>,
    /// Labels of what was asked for these alone.
    labels: HashMap<Target, i64>,
    /// By patient: rows that the patient lets the follow-up look at, whatever labels they have.
    let_through: HashMap<Target, BTreeSet<Target>>,
    /// Lists of hospitals without the entries that lead to what is not shown.
    shortened: HashMap<Target, Json>,
}

/// Which security labels the programme looks behind.
///
/// What it writes is read by people of any clearance, and says more than it names: how many medicines there are, how high a
/// risk is. So it makes its records of what needs no clearance. What is made for one caller and not kept is made of what they
/// are cleared for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sight {
    /// Of clinical resources those without such labels, or with no more of them than their patient has: what is written about
    /// such a patient has these, too; and those that a Consent of the patient names.
    Records,
    /// What somebody sees from whom these are hidden.
    Of(i64),
}

/// Types that the programme draws conclusions from, where they are not its own. Problems and talks are not among them: what
/// follows from one is about it, and gets its labels.
const SOURCES: [&str; 17] = [
    "AllergyIntolerance",
    "CarePlan",
    "Condition",
    "Coverage",
    "DiagnosticReport",
    "DocumentReference",
    "FamilyMemberHistory",
    "Immunization",
    "List",
    "MedicationAdministration",
    "MedicationDispense",
    "MedicationRequest",
    "MedicationStatement",
    "Observation",
    "Procedure",
    "QuestionnaireResponse",
    "ServiceRequest",
];

/// How many resources around one patient or stay are read: the newest. More medicines than that are history.
const MOST: usize = 1000;

/// Types of its own that are made whole each time: a version from before a label came is nothing to go on from, and the next one
/// knows nothing of what is behind it.
const RECOMPUTED: [&str; 3] = ["Composition", "List", "Provenance"];

impl<'a> Books<'a> {
    /// Opens the books of a transaction.
    pub fn new(ctx: &Ctx, tx: &'a mut Tx, programme: &'a Programme) -> Self {
        Self {
            tx,
            programme,
            now: ctx.now,
            versions: HashMap::new(),
            sight: Sight::Records,
            unseen: HashSet::new(),
            labels: HashMap::new(),
            let_through: HashMap::new(),
            shortened: HashMap::new(),
        }
    }

    /// Security labels of all that was read.
    #[must_use]
    pub fn met(&self) -> i64 {
        self.versions.values().flatten().fold(0, |set, v| set | v.labels)
    }

    /// The same for what is made for one caller and is not kept: of what they see. `hidden`: labels that they are not cleared for.
    #[must_use]
    pub fn seen_by(self, hidden: i64) -> Self {
        Self { sight: Sight::Of(hidden), ..self }
    }

    fn held(&self, version: &Version) -> Result<Option<Held>> {
        let target = &version.target;
        if version.is_deleted() || self.unseen.contains(target) {
            return Ok(None);
        }
        let json = self.shortened.get(target).map_or_else(|| version.json(), |list| Ok(list.clone()))?;
        Ok(Some(Held { target: target.clone(), json, org: version.org, version: version.version }))
    }

    /// Changes as the programme sees them: what it does not look at was not there, or is gone.
    pub async fn changes(&mut self, changes: &[Change]) -> Result<Vec<Change>> {
        let mut out = Vec::with_capacity(changes.len());
        for change in changes {
            let mut change = change.clone();
            let is_source = SOURCES.contains(&change.target.rtype.as_str()) && change.target.rtype.as_str() != "List";
            for side in [&mut change.before, &mut change.after] {
                let Some(json) = side.as_ref().filter(|j| is_source && !element::is_of_programme(j)) else { continue };
                let mut over = self.tx.labels().of(json);
                if over != 0
                    && let Some(patient) = element::patient_of(json, &self.programme.env.base)
                {
                    over &= !self.labels_of(std::slice::from_ref(&patient)).await?;
                    if over != 0 && self.lets_through(&patient, &change.target).await? {
                        over = 0;
                    }
                }
                if over != 0 {
                    *side = None;
                }
            }
            if change.before.is_some() || change.after.is_some() {
                out.push(change);
            }
        }
        Ok(out)
    }

    /// Keeps what was read, and finds out what of it is not shown.
    async fn keep(&mut self, found: Vec<(Target, Option<Version>)>) -> Result<()> {
        let hidden = match self.sight {
            Sight::Records => self.tx.labels().all(),
            Sight::Of(hidden) => hidden,
        };
        let protected: Vec<Version> =
            found.iter().filter_map(|(_, v)| v.clone()).filter(|v| v.labels & hidden != 0 && !v.is_deleted()).collect();
        self.versions.extend(found);
        for version in protected {
            self.judge(&version, hidden).await?;
        }
        Ok(())
    }

    async fn judge(&mut self, version: &Version, hidden: i64) -> Result<()> {
        let (target, json) = (version.target.clone(), version.json()?);
        let mut over = version.labels & hidden;
        let patient = element::patient_of(&json, &self.programme.env.base);
        let is_own = element::is_of_programme(&json);
        if self.sight == Sight::Records {
            let looked_at = if is_own { &RECOMPUTED[..] } else { &SOURCES[..] };
            if !looked_at.contains(&target.rtype.as_str()) {
                return Ok(());
            }
            if let Some(patient) = &patient {
                over &= !self.labels_of(std::slice::from_ref(patient)).await?;
            }
        }
        if over == 0 {
            return Ok(());
        }
        let by = patient.filter(|_| self.sight == Sight::Records && !is_own);
        if let Some(patient) = &by
            && self.lets_through(patient, &target).await?
        {
            return Ok(());
        }
        if target.rtype.as_str() == "List" && !element::is_of_programme(&json) {
            // A list has the labels of what is on it: it is shown without that.
            let base = self.programme.env.base.clone();
            let (mut left, mut is_let_through) = (Vec::new(), false);
            for entry in json["entry"].items() {
                let item: Vec<Target> = element::leads_to(&entry["item"], &base).into_iter().collect();
                let is_free = self.labels_of(&item).await? & over == 0;
                let is_let = match (&by, item.first()) {
                    (Some(patient), Some(item)) if !is_free => self.lets_through(patient, item).await?,
                    _ => false,
                };
                is_let_through |= is_let;
                if is_free || is_let {
                    left.push(entry.clone());
                }
            }
            if is_let_through || left.len() < json["entry"].items().len() {
                let mut list = json;
                list.set("entry", Json::Array(left));
                self.shortened.insert(target, list);
                return Ok(());
            }
        }
        self.unseen.insert(target);
        Ok(())
    }

    /// Whether a Consent of the patient, as they are in force now, lets the follow-up look at a row. They are read once.
    async fn lets_through(&mut self, patient: &Target, row: &Target) -> Result<bool> {
        if !self.let_through.contains_key(patient) {
            let active = self.programme.live.now();
            let rows = active.registry.reference_keys(&self.tx.keys(), known("Consent"), "patient", patient);
            let cond = Cond::Exact(rows.into_iter().collect());
            let plan = Plan { types: vec![known("Consent")], cond, sort: Vec::new(), count: MOST, total: false };
            let page = self.tx.search(&Limit::Everything, &plan, None).await?;
            let consents = page.rows.iter().map(Version::json).collect::<Result<Vec<Json>>>()?;
            let found = consent::lets_through(self.programme, &consents, self.now);
            self.let_through.insert(patient.clone(), found);
        }
        Ok(self.let_through.get(patient).is_some_and(|rows| rows.contains(row)))
    }

    /// Where the labels of what the programme writes come from: from all that it speaks of, but not from what the patient lets
    /// everybody of the follow-up know.
    async fn protecting(&mut self, json: &Json) -> Result<Vec<Target>> {
        let mut found = passing(json, &self.programme.env.base);
        if self.sight != Sight::Records || self.labels_of(&found).await? == 0 {
            return Ok(found);
        }
        if let Some(patient) = element::patient_of(json, &self.programme.env.base) {
            self.lets_through(&patient, &patient).await?;
        }
        // A Provenance is of no patient: whose row it names was looked at before.
        found.retain(|t| !self.let_through.values().any(|rows| rows.contains(t)));
        Ok(found)
    }

    /// Security labels of these, of any of them.
    async fn labels_of(&mut self, targets: &[Target]) -> Result<i64> {
        let mut set = 0;
        let mut unread = Vec::new();
        for target in targets {
            match self.versions.get(target) {
                Some(known) => set |= known.as_ref().map_or(0, |v| v.labels),
                None => match self.labels.get(target) {
                    Some(known) => set |= known,
                    None => unread.push(target.clone()),
                },
            }
        }
        if !unread.is_empty() {
            let found = self.tx.present(&Limit::Everything, &unread).await?;
            for target in unread {
                let labels = found.get(&target).map_or(0, |here| here.labels);
                set |= labels;
                self.labels.insert(target, labels);
            }
        }
        Ok(set)
    }
}

impl Records for Books<'_> {
    fn keys(&self) -> Keys {
        self.tx.keys()
    }

    async fn fetch(&mut self, targets: &[Target]) -> Result<Vec<Option<Held>>> {
        let unread: Vec<Target> = targets.iter().filter(|t| !self.versions.contains_key(*t)).cloned().collect();
        if !unread.is_empty() {
            let found = self.tx.get_many(&Limit::Everything, &unread).await?;
            self.keep(unread.into_iter().zip(found).collect()).await?;
        }
        let held = |t: &Target| match self.versions.get(t) {
            Some(Some(version)) => self.held(version),
            _ => Ok(None),
        };
        targets.iter().map(held).collect()
    }

    fn assume_absent(&mut self, targets: &[Target]) {
        self.versions.extend(targets.iter().map(|t| (t.clone(), None)));
    }

    async fn referring(&mut self, asks: &[Ask]) -> Result<Vec<Held>> {
        if asks.is_empty() {
            return Ok(Vec::new());
        }
        let keys = self.tx.keys();
        let mut types: Vec<ResourceType> = asks.iter().map(|(rtype, ..)| known(rtype)).collect();
        types.sort_unstable();
        types.dedup();
        // Several parameters may find by the same rows: the registry knows under which key they stand.
        let active = self.programme.live.now();
        let registry = &active.registry;
        let rows = asks
            .iter()
            .flat_map(|(rtype, param, to)| registry.reference_keys(&keys, known(rtype), param, to))
            .collect();
        let plan = Plan { types, cond: Cond::Exact(rows), sort: Vec::new(), count: MOST, total: false };
        let page = self.tx.search(&Limit::Everything, &plan, None).await?;
        let rows = page.rows.iter().map(|v| (v.target.clone(), Some(v.clone()))).collect();
        self.keep(rows).await?;
        let found: Result<Vec<Option<Held>>> = page.rows.iter().map(|v| self.held(v)).collect();
        let mut found: Vec<Held> = found?.into_iter().flatten().collect();
        found.sort_by(|a, b| a.target.cmp(&b.target));
        Ok(found)
    }

    async fn put(&mut self, target: &Target, json: &Json, org: i64) -> Result<()> {
        self.fetch(std::slice::from_ref(target)).await?;
        let before = self.versions.get(target).cloned().flatten();
        // What speaks of protected resources is protected like them, and stays so.
        let protecting = self.protecting(json).await?;
        let named = self.labels_of(&protecting).await?;
        let had = before.as_ref().filter(|b| !b.is_deleted() && !RECOMPUTED.contains(&target.rtype.as_str()));
        let labels = named | had.map_or(0, |b| b.labels);
        let protected = if labels == 0 { None } else { self.tx.labels().put_on(labels, json) };
        let json = protected.as_ref().unwrap_or(json);
        let body = Stampable::new(json, &target.id);
        let active = self.programme.live.now();
        let rows = active.registry.extract(&self.tx.keys(), json, &active.env);
        let put = Put {
            target: target.clone(),
            method: if before.is_some() { Method::Put } else { Method::Post },
            body: Some(&body),
            rows: Arc::new(rows),
            before: before.as_ref(),
            org: before.as_ref().map_or(org, |b| b.org),
            labels: self.tx.labels().of(json) | labels,
        };
        let version = self.tx.put(put).await?;
        self.versions.insert(target.clone(), Some(version));
        self.unseen.remove(target);
        Ok(())
    }

    async fn share(&mut self, share: Share) -> Result<()> {
        self.tx.share(share).await
    }

    async fn unshare(&mut self, handoff: &str, org: Option<i64>) -> Result<()> {
        self.tx.unshare(handoff, org).await
    }

    async fn unshare_one(&mut self, handoff: &str, target: &Target) -> Result<()> {
        self.tx.unshare_one(handoff, target).await
    }

    async fn shared(&mut self, handoff: &str) -> Result<BTreeSet<Target>> {
        self.tx.shared(handoff).await
    }

    async fn end_shares(&mut self, handoffs: &[String], but: i64) -> Result<()> {
        self.tx.end_shares(handoffs, but).await
    }

    async fn lock(&mut self, keys: &[i64]) -> Result<()> {
        // What was read before waiting may be old now.
        self.versions.clear();
        self.unseen.clear();
        self.labels.clear();
        self.shortened.clear();
        self.tx.lock(keys).await
    }
}

/// What the programme must not do twice at once over these resources: keys of their patients, stays, Tasks and DTPs.
pub fn lock_names<'a>(keys: &Keys, resources: impl IntoIterator<Item = &'a Json>, base: &str) -> Vec<i64> {
    let mut names = Vec::new();
    let mut add = |target: Option<Target>| names.extend(target.map(|t| keys.target(t.rtype.as_str(), &t.id)));
    for resource in resources {
        match element::type_of(resource) {
            "Encounter"
            | "MedicationRequest"
            | "MedicationStatement"
            | "MedicationDispense"
            | "List"
            | "Consent"
            | "Patient"
            | "MedicationAdministration"
            | "QuestionnaireResponse"
            | "ServiceRequest" => add(element::patient_of(resource, base)),
            "Task" | "DetectedIssue" => {
                add(element::target_of(resource));
                add(element::patient_of(resource, base));
                add(element::leads_to_a("DetectedIssue", &resource["focus"], base));
            }
            "Communication" => {
                add(element::patient_of(resource, base));
                for part in ["basedOn", "partOf"].iter().flat_map(|n| resource[*n].items()) {
                    add(element::leads_to_a("Task", part, base));
                }
            }
            _ => {}
        }
    }
    names.sort_unstable();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the reactions ask for, as the store finds it: a parameter that R4 does not have would find nothing, in silence.
    #[test]
    fn every_parameter_that_is_asked_for_is_one() {
        let programme = Programme::for_tests();
        for (rtype, param, to) in [
            ("EpisodeOfCare", "patient", "Patient"),
            ("MedicationRequest", "patient", "Patient"),
            ("MedicationStatement", "patient", "Patient"),
            ("AllergyIntolerance", "patient", "Patient"),
            ("Consent", "patient", "Patient"),
            ("Encounter", "patient", "Patient"),
            ("Communication", "patient", "Patient"),
            ("CommunicationRequest", "patient", "Patient"),
            ("Procedure", "patient", "Patient"),
            ("PractitionerRole", "practitioner", "Practitioner"),
            ("Task", "focus", "Task"),
            ("MedicationDispense", "patient", "Patient"),
            ("MedicationAdministration", "context", "Encounter"),
            ("List", "encounter", "Encounter"),
            ("ServiceRequest", "encounter", "Encounter"),
            ("Condition", "encounter", "Encounter"),
            ("Task", "encounter", "Encounter"),
            ("Task", "focus", "DetectedIssue"),
            ("DetectedIssue", "patient", "Patient"),
            ("Observation", "patient", "Patient"),
            ("QuestionnaireResponse", "patient", "Patient"),
            ("Task", "patient", "Patient"),
            ("Coverage", "patient", "Patient"),
            ("Condition", "patient", "Patient"),
            ("Observation", "encounter", "Encounter"),
            ("Procedure", "encounter", "Encounter"),
            ("Communication", "based-on", "Task"),
            ("Communication", "part-of", "Task"),
            ("PractitionerRole", "organization", "Organization"),
        ] {
            let to = Target::new(known(to), "1");
            let keys = programme.live.now().registry.reference_keys(&Keys(1, 2), known(rtype), param, &to);
            assert!(!keys.is_empty(), "{rtype}.{param}");
        }
    }
}
