//! A row as AuditEvents: one per resource written and patient, one per patient that a read or search showed.
//!
//! Ids, never names or values. What a row does not say - whose a version is, what was there before a deletion - is looked up
//! when it is sealed.
//! Source: IHE BALP 1.1 (profiles Create, Read, Update, Delete, Query with and without patient, PrivacyDisclosure.Source,
//! the token's `jti` as `agent.policy`); own rules: one event per entry of a transaction, all with its X-Request-Id; owners of what
//! others read of them see the event, too.

use super::super::reading::owners;
use crate::access::Limit;
use crate::access::limit::DIRECTORY;
use crate::error::Result;
use crate::fhir::Target;
use crate::fhir::resource::known;
use crate::interaction::House;
use crate::interaction::subscription::NOTIFICATION;
use crate::search::Active;
use crate::store::audit::chain::Recorded;
use crate::store::audit::said::{Deed, Said, What, target};
use crate::store::audit::{Detail, Disclosed, Happening};
use crate::store::{Method, Version};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// An AuditEvent to store.
pub(super) struct Told {
    /// What it says.
    pub(super) said: Said,
    /// Whose it is: hash of an organisation.
    pub(super) org: i64,
    /// Who else sees it.
    pub(super) shares: Vec<i64>,
}

/// What rows need to be told.
pub(super) struct Teller<'a> {
    house: &'a House,
    active: &'a Active,
    /// What rows made and showed, by `pk`.
    versions: HashMap<i64, Version>,
    /// What was there before deletions, by `pk` of the deletion.
    before: HashMap<i64, Version>,
    /// What operations that name no version were called on.
    called: HashMap<Target, Version>,
    /// What others were let see, as it is now.
    opened: HashMap<Target, Version>,
    /// Organizations by hash, where a row has a hash alone.
    organizations: HashMap<i64, String>,
}

impl<'a> Teller<'a> {
    pub(super) async fn new(house: &'a House, active: &'a Active, rows: &[Recorded]) -> Result<Self> {
        let versions = house.store.versions_of(rows).await?;
        let mut before = HashMap::new();
        for gone in versions.values().filter(|v| v.is_deleted()) {
            if let Some(v) = house.store.get_version(&Limit::Everything, &gone.target, gone.version - 1).await? {
                before.insert(gone.pk, v);
            }
        }
        let called: BTreeSet<Target> = rows
            .iter()
            .filter(|r| r.audit.action.contains('$') || is_about_one(r))
            .filter_map(|r| target(&r.audit.detail.on))
            .collect();
        let called: Vec<Target> = called.into_iter().collect();
        let found = house.store.get_many(&Limit::Everything, &called).await?;
        let called = called.into_iter().zip(found).filter_map(|(t, v)| Some((t, v?))).collect();
        let opened: BTreeSet<Target> = rows
            .iter()
            .flat_map(|r| &r.audit.detail.disclosed)
            .flat_map(|Disclosed(_, _, what)| what)
            .filter_map(|at| target(at))
            .collect();
        let opened: Vec<Target> = opened.into_iter().collect();
        let found = house.store.get_many(&Limit::Everything, &opened).await?;
        let opened = opened.into_iter().zip(found).filter_map(|(t, v)| Some((t, v?))).collect();
        let mut teller = Self { house, active, versions, before, called, opened, organizations: HashMap::new() };
        if !teller.opened.is_empty() {
            let all = house.store.scan(known("Organization"), 0, i64::MAX, 100_000).await?;
            teller.organizations =
                all.into_iter().map(|o| (house.keys.org(&o.version.target.id), o.version.target.id)).collect();
        }
        Ok(teller)
    }

    /// The AuditEvents of each row.
    pub(super) async fn all(&self, rows: &[Recorded]) -> Result<Vec<Vec<Told>>> {
        rows.iter().map(|row| self.tell(row)).collect()
    }

    fn tell(&self, row: &Recorded) -> Result<Vec<Told>> {
        if Happening::parse(&row.audit.action).is_some() {
            let on = target(&row.audit.detail.on);
            let about = on.as_ref().filter(|_| is_about_one(row)).and_then(|on| self.called.get(on));
            let (patient, about) = (about.map(|v| v.target.to_string()), about.into_iter().collect::<Vec<_>>());
            let data = on.map(|on| (on.to_string(), 0));
            return Ok(vec![self.told(
                What::Happened(row.audit.action.clone()),
                data,
                patient.as_deref(),
                row,
                &about,
            )]);
        }
        if row.audit.action == NOTIFICATION {
            return self.notified(row);
        }
        let mut made: Vec<&Version> = match row.versions {
            (0, _) => Vec::new(),
            (first, last) => self.versions.values().filter(|v| (first..=last).contains(&v.pk)).collect(),
        };
        made.sort_by_key(|v| v.pk);
        if !made.is_empty() {
            let mut told = self.written(row, &made)?;
            told.extend(self.opened(row)?);
            return Ok(told);
        }
        let mut shown: Vec<&Version> = row.audit.detail.seen.iter().filter_map(|pk| self.versions.get(pk)).collect();
        if shown.is_empty() && row.audit.outcome < 400 {
            shown.extend(target(&row.audit.detail.on).and_then(|t| self.called.get(&t)));
        }
        self.shown(row, &shown)
    }

    /// What a write made: an event for each version and patient of it.
    fn written(&self, row: &Recorded, made: &[&Version]) -> Result<Vec<Told>> {
        let mut out = Vec::with_capacity(made.len());
        for version in made {
            let deed = match (version.method, version.version) {
                (Method::Post, _) => Deed::Create,
                (Method::Put, 1) => Deed::Create,
                (Method::Put, _) => Deed::Update,
                (Method::Patch, _) => Deed::Patch,
                (Method::Delete, _) => Deed::Delete,
            };
            let patients = self.patients(version)?;
            for patient in each(&patients) {
                let data = Some((version.target.to_string(), version.version));
                out.push(self.told(What::Deed(deed), data, patient, row, &[version]));
            }
        }
        Ok(out)
    }

    /// What a write let other organisations see: an event for each of them and each patient, with what it was of that patient.
    /// It is the event of whose record it is; who got it sees it, too.
    fn opened(&self, row: &Recorded) -> Result<Vec<Told>> {
        let mut of: BTreeMap<(i64, i64, String), BTreeSet<&str>> = BTreeMap::new();
        for Disclosed(to, _, what) in &row.audit.detail.disclosed {
            for at in what {
                let Some(version) = target(at).and_then(|at| self.opened.get(&at)) else { continue };
                for patient in self.patients(version)?.into_iter().filter(|_| version.org != *to) {
                    of.entry((*to, version.org, patient)).or_default().insert(at);
                }
            }
        }
        let mut out = Vec::with_capacity(of.len());
        for ((to, owner, patient), what) in of {
            let Some(name) = self.organizations.get(&to) else { continue };
            let by = self.organizations.get(&owner).cloned().unwrap_or_default();
            let mut told = self.told(What::Opened(name.clone(), by), None, Some(&patient), row, &[]);
            // The patient is an entity of its own.
            let what = what.into_iter().filter(|at| *at != patient);
            told.said.data = what.map(|at| (at.to_owned(), 0)).collect();
            out.push(Told { org: owner, shares: vec![to], ..told });
        }
        Ok(out)
    }

    /// What a Subscription was told: an event for each patient of it.
    fn notified(&self, row: &Recorded) -> Result<Vec<Told>> {
        let to = row.audit.detail.org.clone().unwrap_or_default();
        let mut of: BTreeMap<Option<String>, Vec<&Version>> = BTreeMap::new();
        for version in row.audit.detail.seen.iter().filter_map(|pk| self.versions.get(pk)) {
            let patients = self.patients(version)?;
            for patient in each(&patients) {
                of.entry(patient.map(Into::into)).or_default().push(version);
            }
        }
        if of.is_empty() {
            of.insert(None, Vec::new());
        }
        let told = of.into_iter().map(|(patient, versions)| {
            let by = Some((row.audit.detail.on.clone(), 0));
            let mut told = self.told(What::Disclosed(to.clone()), by, patient.as_deref(), row, &versions);
            told.said.data.extend(versions.iter().map(|v| (v.target.to_string(), v.version)));
            told
        });
        Ok(told.collect())
    }

    /// What a read showed, or was asked for and did not.
    fn shown(&self, row: &Recorded, shown: &[&Version]) -> Result<Vec<Told>> {
        let mut of: BTreeMap<Option<String>, Vec<&Version>> = BTreeMap::new();
        for version in shown {
            let patients = self.patients(version)?;
            for patient in each(&patients) {
                of.entry(patient.map(Into::into)).or_default().push(version);
            }
        }
        if of.len() > 1 {
            of.remove(&None); // what is nobody's came along
        }
        if of.is_empty() {
            of.insert(None, Vec::new());
        }
        let told = of.into_iter().map(|(patient, versions)| {
            let (is_query, is_operation) = (Deed::of(&row.audit.action) == Deed::Query, row.audit.action.contains('$'));
            let shown = versions.first().filter(|_| !is_query).map(|v| (v.target.to_string(), v.version));
            // An operation on a resource is about it.
            let asked = || target(&row.audit.detail.on).filter(|_| !is_query || is_operation);
            let data = shown.or_else(|| asked().map(|on| (on.to_string(), 0)));
            self.told(What::Asked, data, patient.as_deref(), row, &versions)
        });
        Ok(told.collect())
    }

    fn told(
        &self,
        what: What,
        data: Option<(String, i64)>,
        patient: Option<&str>,
        row: &Recorded,
        about: &[&Version],
    ) -> Told {
        let nobody = self.house.keys.org("");
        let org = if row.audit.org == 0 { nobody } else { row.audit.org };
        let owners = about.iter().map(|v| v.org).filter(|owner| *owner != org && *owner != 0 && *owner != nobody);
        let owners: BTreeSet<i64> = owners.collect();
        let mut detail = Detail { seen: Vec::new(), disclosed: Vec::new(), ..row.audit.detail.clone() };
        // Of others it was read as ever.
        detail.glass.retain(|of| patient == Some(of.as_str()));
        let audit = crate::store::Audit { detail, ..row.audit.clone() };
        let data = data.into_iter().collect();
        let said = Said { audit, base: self.house.env.base.clone(), what, data, patient: patient.map(Into::into) };
        Told { said, org, shares: owners.into_iter().collect() }
    }

    /// `Patient/id` of those whose a version is.
    fn patients(&self, version: &Version) -> Result<Vec<String>> {
        let version = self.before.get(&version.pk).unwrap_or(version);
        if version.target.rtype == known("Patient") {
            return Ok(vec![version.target.to_string()]);
        }
        if version.body.is_empty() || DIRECTORY.contains(&version.target.rtype.as_str()) {
            return Ok(Vec::new());
        }
        let body = version.json()?;
        let mut found: BTreeSet<String> = owners(self.active, &body).iter().map(ToString::to_string).collect();
        // Types that R4 puts into no compartment and that are of a patient all the same.
        for element in ["for", "subject", "patient", "beneficiary"] {
            found.extend(patient_of(body[element]["reference"].text()));
        }
        // A document is of those that are in it.
        for entry in body["entry"].items() {
            let inner = &entry["resource"];
            if inner["resourceType"].text() == "Patient" {
                found.extend(patient_of(&format!("Patient/{}", inner["id"].text())));
            }
        }
        Ok(found.into_iter().collect())
    }
}

/// Whether what happened beside FHIR is about the resource that it names: then the patient's own hear of it.
fn is_about_one(row: &Recorded) -> bool {
    use Happening::{AuditUsed, BreakGlass, GlassMended};
    matches!(Happening::parse(&row.audit.action), Some(BreakGlass | GlassMended | AuditUsed))
}

/// Each patient; once nobody where there is none.
fn each(patients: &[String]) -> impl Iterator<Item = Option<&str>> {
    let nobody = patients.is_empty().then_some(None);
    patients.iter().map(|p| Some(p.as_str())).chain(nobody)
}

/// `Patient/id` of a reference to a patient.
fn patient_of(reference: &str) -> Option<String> {
    let (_, id) = reference.rsplit_once("Patient/")?;
    let id = id.split('/').next().unwrap_or_default();
    let is_ours = reference.starts_with("Patient/") || reference.starts_with("http");
    (is_ours && crate::fhir::resource::is_id(id)).then(|| format!("Patient/{id}"))
}
