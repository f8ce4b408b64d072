//! What the programme reads and writes inside a transaction, and the desk it works on.
//!
//! [`Records`] is the store as the programme needs it: `Books` over an open `Tx`, or a map in tests, so that the rules of
//! a whole discharge can be tried without a database. A [`Desk`] collects what one reaction changes and writes each
//! resource once, at the end, and only when it differs from what is stored: a replay writes nothing.

use super::Programme;
use super::element;
use crate::access::Limit;
use crate::clock::Instant;
use crate::error::Result;
use crate::fhir::meta::{self, Stampable};
use crate::fhir::resource::known;
use crate::fhir::{Json, ResourceType, Target};
use crate::search::{Cond, Keys, Plan};
use crate::store::{Method, Put, Share, Tx, Version};
use std::collections::{BTreeMap, HashMap};
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

    /// All current resources that one of the asks finds, in the order of their addresses.
    fn referring(&mut self, asks: &[Ask]) -> impl Future<Output = Result<Vec<Held>>> + Send;

    /// Writes a version; answers it as stored.
    fn put(&mut self, target: &Target, json: &Json, org: i64) -> impl Future<Output = Result<Held>> + Send;

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

    async fn referring(&mut self, asks: &[Ask]) -> Result<Vec<Held>> {
        if asks.is_empty() {
            return Ok(Vec::new());
        }
        let keys = self.tx.keys();
        let mut types: Vec<ResourceType> = asks.iter().map(|(rtype, ..)| known(rtype)).collect();
        types.sort_unstable();
        types.dedup();
        // Several parameters may find by the same rows: the registry knows under which key they stand.
        let registry = &self.programme.registry;
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

    async fn put(&mut self, target: &Target, json: &Json, org: i64) -> Result<Held> {
        self.fetch(std::slice::from_ref(target)).await?;
        let before = self.versions.get(target).cloned().flatten();
        let body = Stampable::new(json, &target.id);
        let rows = self.programme.registry.extract(&self.tx.keys(), json, &self.programme.env);
        let put = Put {
            target: target.clone(),
            method: if before.is_some() { Method::Put } else { Method::Post },
            body: Some(&body),
            rows: Arc::new(rows),
            before: before.as_ref(),
            org: before.as_ref().map_or(org, |b| b.org),
        };
        let version = self.tx.put(put).await?;
        let held = Self::held(&version)?;
        self.versions.insert(target.clone(), Some(version));
        Ok(held)
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

/// One resource on the desk.
#[derive(Debug, Clone)]
struct Sheet {
    stored: Option<Json>,
    now: Json,
    org: i64,
}

/// What one reaction reads and changes.
pub struct Desk<'a, R> {
    /// Where it comes from and goes to.
    pub records: &'a mut R,
    sheets: BTreeMap<Target, Option<Sheet>>,
}

impl<'a, R: Records> Desk<'a, R> {
    /// An empty desk.
    pub fn new(records: &'a mut R) -> Self {
        Self { records, sheets: BTreeMap::new() }
    }

    /// Takes resources to the desk, in one read.
    pub async fn load(&mut self, targets: &[Target]) -> Result<()> {
        let missing: Vec<Target> = targets.iter().filter(|t| !self.sheets.contains_key(*t)).cloned().collect();
        if missing.is_empty() {
            return Ok(());
        }
        let found = self.records.fetch(&missing).await?;
        for (target, held) in missing.into_iter().zip(found) {
            self.lay(target, held);
        }
        Ok(())
    }

    fn lay(&mut self, target: Target, held: Option<Held>) {
        let sheet = held.map(|h| Sheet { stored: Some(h.json.clone()), now: h.json, org: h.org });
        self.sheets.entry(target).or_insert(sheet);
    }

    /// A resource as it is now, changes of this reaction included.
    pub async fn get(&mut self, target: &Target) -> Result<Option<Json>> {
        self.load(std::slice::from_ref(target)).await?;
        Ok(self.peek(target).cloned())
    }

    /// The same, of what is on the desk already.
    #[must_use]
    pub fn peek(&self, target: &Target) -> Option<&Json> {
        self.sheets.get(target)?.as_ref().map(|s| &s.now)
    }

    /// The owner of a resource on the desk.
    #[must_use]
    pub fn org(&self, target: &Target) -> Option<i64> {
        self.sheets.get(target)?.as_ref().map(|s| s.org)
    }

    /// All that one of the asks finds, as it is now.
    pub async fn referring(&mut self, asks: &[Ask]) -> Result<Vec<Target>> {
        let found = self.records.referring(asks).await?;
        let targets = found.iter().map(|h| h.target.clone()).collect();
        for held in found {
            self.lay(held.target.clone(), Some(held));
        }
        Ok(targets)
    }

    /// Puts a resource on the desk, new or in place of what is there. `org` counts when it is new.
    pub async fn set(&mut self, target: &Target, json: Json, org: i64) -> Result<()> {
        self.load(std::slice::from_ref(target)).await?;
        match self.sheets.get_mut(target) {
            Some(Some(sheet)) => sheet.now = json,
            _ => drop(self.sheets.insert(target.clone(), Some(Sheet { stored: None, now: json, org }))),
        }
        Ok(())
    }

    /// Changes a resource that is on the desk; nothing happens when it is not.
    pub fn edit(&mut self, target: &Target, change: impl FnOnce(&mut Json)) {
        if let Some(Some(sheet)) = self.sheets.get_mut(target) {
            change(&mut sheet.now);
        }
    }

    /// Writes what has changed, in the order of addresses. Answers what was written, as stored.
    pub async fn flush(&mut self) -> Result<Vec<Held>> {
        let mut written = Vec::new();
        for (target, sheet) in &mut self.sheets {
            let Some(sheet) = sheet else { continue };
            if sheet.stored.as_ref().is_some_and(|s| same(s, &sheet.now)) {
                continue;
            }
            let held = self.records.put(target, &sheet.now, sheet.org).await?;
            sheet.stored = Some(held.json.clone());
            sheet.now = held.json.clone();
            written.push(held);
        }
        Ok(written)
    }
}

/// Whether two trees say the same, `id`, version and time of writing left out.
fn same(a: &Json, b: &Json) -> bool {
    let bare = |json: &Json| {
        let mut json = json.clone();
        meta::clear(&mut json);
        json.remove("id");
        json
    };
    bare(a) == bare(b)
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
            | "Patient"
            | "MedicationAdministration"
            | "ServiceRequest" => add(element::patient_of(resource, base)),
            "Task" | "DetectedIssue" => {
                add(element::target_of(resource));
                add(element::patient_of(resource, base));
                add(element::leads_to_a("DetectedIssue", &resource["focus"], base));
            }
            "Communication" => {
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
pub mod memory {
    //! Records in a map, for tests.

    use super::*;

    /// A store of one organisation wall less: what is there, who was shared what, how often was written.
    #[derive(Debug, Default, Clone)]
    pub struct Memory {
        /// Current resources.
        pub held: BTreeMap<Target, Held>,
        /// (org, target, handoff) → until.
        pub shares: BTreeMap<(i64, Target, String), Instant>,
        /// Versions written by the programme.
        pub puts: usize,
    }

    /// (type, parameter) → element that holds the reference.
    const PARAMS: [(&str, &str); 12] = [
        ("patient", "patient"),
        ("patient", "subject"),
        ("patient", "for"),
        ("subject", "subject"),
        ("encounter", "encounter"),
        ("encounter", "context"),
        ("context", "context"),
        ("focus", "focus"),
        ("part-of", "partOf"),
        ("based-on", "basedOn"),
        ("implicated", "implicated"),
        ("service-provider", "serviceProvider"),
    ];

    impl Memory {
        /// Stores a client's resource.
        pub fn client(&mut self, json: Json, org: i64) -> Target {
            let target = element::target_of(&json).unwrap();
            let version = self.held.get(&target).map_or(1, |h| h.version + 1);
            self.held.insert(target.clone(), Held { target: target.clone(), json, org, version });
            target
        }

        /// All of a type.
        pub fn all(&self, rtype: &str) -> Vec<&Json> {
            self.held.values().filter(|h| h.target.rtype.as_str() == rtype).map(|h| &h.json).collect()
        }
    }

    impl Records for Memory {
        fn keys(&self) -> Keys {
            Keys(1, 2)
        }

        async fn fetch(&mut self, targets: &[Target]) -> Result<Vec<Option<Held>>> {
            Ok(targets.iter().map(|t| self.held.get(t).cloned()).collect())
        }

        async fn referring(&mut self, asks: &[Ask]) -> Result<Vec<Held>> {
            let refers = |held: &Held, (rtype, param, to): &Ask| {
                held.target.rtype.as_str() == *rtype
                    && PARAMS.iter().filter(|(p, _)| p == param).any(|(_, element)| {
                        let element = &held.json[*element];
                        std::iter::once(element).chain(element.items()).any(|r| r["reference"].text() == to.to_string())
                    })
            };
            Ok(self.held.values().filter(|h| asks.iter().any(|a| refers(h, a))).cloned().collect())
        }

        async fn put(&mut self, target: &Target, json: &Json, org: i64) -> Result<Held> {
            let before = self.held.get(target);
            let mut json = json.clone();
            meta::set_id(&mut json, &target.id);
            let issues = crate::fhir::validate::resource(&json);
            assert!(issues.is_empty(), "the programme writes valid R4: {issues:#?} in {json}");
            let held = Held {
                target: target.clone(),
                json,
                org: before.map_or(org, |b| b.org),
                version: before.map_or(1, |b| b.version + 1),
            };
            self.puts += 1;
            self.held.insert(target.clone(), held.clone());
            Ok(held)
        }

        async fn share(&mut self, share: Share) -> Result<()> {
            self.shares.insert((share.org, share.target, share.handoff), share.until);
            Ok(())
        }

        async fn unshare(&mut self, handoff: &str, org: Option<i64>) -> Result<()> {
            self.shares.retain(|(o, _, h), _| h != handoff || org.is_some_and(|org| org != *o));
            Ok(())
        }

        async fn copy_shares(&mut self, handoff: &str, org: i64, until: Instant) -> Result<()> {
            let of: Vec<Target> =
                self.shares.keys().filter(|(_, _, h)| h == handoff).map(|(_, t, _)| t.clone()).collect();
            for target in of {
                self.shares.insert((org, target, handoff.to_string()), until);
            }
            Ok(())
        }

        async fn lock(&mut self, _keys: &[i64]) -> Result<()> {
            Ok(())
        }
    }
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
            ("MedicationDispense", "patient", "Patient"),
            ("MedicationAdministration", "context", "Encounter"),
            ("List", "encounter", "Encounter"),
            ("ServiceRequest", "encounter", "Encounter"),
            ("Condition", "encounter", "Encounter"),
            ("Task", "encounter", "Encounter"),
            ("Task", "focus", "DetectedIssue"),
            ("DetectedIssue", "patient", "Patient"),
        ] {
            let to = Target::new(known(to), "1");
            let keys = programme.registry.reference_keys(&Keys(1, 2), known(rtype), param, &to);
            assert!(!keys.is_empty(), "{rtype}.{param}");
        }
    }
}
