//! What the programme reads and writes inside a transaction, and the desk it works on.
//!
//! [`Records`] is the store as the programme needs it: `Books` over an open `Tx`, or a map in tests, so that the rules of
//! a whole discharge can be tried without a database. A [`Desk`] collects what one reaction changes and writes each
//! resource once, at the end, and only when it differs from what is stored: a replay writes nothing.

mod desk;
#[cfg(test)]
pub mod memory;

pub use desk::Desk;

use super::Programme;
use super::element;
use crate::access::Limit;
use crate::clock::Instant;
use crate::error::Result;
use crate::fhir::meta::Stampable;
use crate::fhir::resource::known;
use crate::fhir::{Json, ResourceType, Target};
use crate::search::{Cond, Keys, Plan};
use crate::store::{Method, Put, Share, Tx, Version};
use std::collections::HashMap;
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

    /// See `Tx::copy_shares`.
    fn copy_shares(&mut self, handoff: &str, org: i64, until: Instant) -> impl Future<Output = Result<()>> + Send;

    /// See `Tx::lock`.
    fn lock(&mut self, keys: &[i64]) -> impl Future<Output = Result<()>> + Send;
}

/// The records of an open transaction.
pub struct Books<'a> {
    tx: &'a mut Tx,
    programme: &'a Programme,
    /// What was read or written here: the version that a put replaces. `None`: known not to be there.
    versions: HashMap<Target, Option<Version>>,
}

/// How many resources around one patient or stay are read: the newest. More medicines than that are history.
const MOST: usize = 1000;

impl<'a> Books<'a> {
    /// Opens the books of a transaction.
    pub fn new(tx: &'a mut Tx, programme: &'a Programme) -> Self {
        Self { tx, programme, versions: HashMap::new() }
    }

    fn held(version: &Version) -> Result<Held> {
        let json = version.json()?;
        Ok(Held { target: version.target.clone(), json, org: version.org, version: version.version })
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
            self.versions.extend(unread.into_iter().zip(found));
        }
        let held = |t: &Target| match self.versions.get(t) {
            Some(Some(version)) if !version.is_deleted() => Self::held(version).map(Some),
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
        let mut found: Vec<Held> = page.rows.iter().map(Self::held).collect::<Result<_>>()?;
        self.versions.extend(page.rows.into_iter().map(|v| (v.target.clone(), Some(v))));
        found.sort_by(|a, b| a.target.cmp(&b.target));
        Ok(found)
    }

    async fn put(&mut self, target: &Target, json: &Json, org: i64) -> Result<()> {
        self.fetch(std::slice::from_ref(target)).await?;
        let before = self.versions.get(target).cloned().flatten();
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
        };
        let version = self.tx.put(put).await?;
        self.versions.insert(target.clone(), Some(version));
        Ok(())
    }

    async fn share(&mut self, share: Share) -> Result<()> {
        self.tx.share(share).await
    }

    async fn unshare(&mut self, handoff: &str, org: Option<i64>) -> Result<()> {
        self.tx.unshare(handoff, org).await
    }

    async fn copy_shares(&mut self, handoff: &str, org: i64, until: Instant) -> Result<()> {
        self.tx.copy_shares(handoff, org, until).await
    }

    async fn lock(&mut self, keys: &[i64]) -> Result<()> {
        // What was read before waiting may be old now.
        self.versions.clear();
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
