//! What a client says of who did something, and when: what is its own to say.
//!
//! A person speaks for themselves, by name or by role, and for their organisation; a system for its organisation with its people,
//! parts and devices, for those who are nobody's here, and for patients. A pharmacist also puts on record what somebody outside
//! says about a drug therapy problem. Judged is what the stored version does not say already; the super-user and Baton itself say anything.
//! Not for: attempts and reports of problems, whose author must be the caller (`workflow`), nor references that lead nowhere (`outward.rs`).
//! Source: own rules, `profiles/policy/README.md`; security contract section 2 (Task, Communication) and attack row 58.

use super::commit::Commit;
use super::faults::Faults;
use super::judge::Step;
use crate::access::limit::DIRECTORY;
use crate::access::{Limit, Role};
use crate::error::{Error, Result};
use crate::fhir::resource::known;
use crate::fhir::{Json, Target};
use crate::search::{Cond, Plan};
use crate::store::{Tx, Version};
use crate::workflow::element::{earliest, latest, leads_to, leads_to_a};
use crate::workflow::outreach::{SKEW_SECONDS, is_attempt};
use jiff::tz::TimeZone;
use std::collections::BTreeSet;

/// Who did it: type, element, and the member of a list's items.
const WHO: [(&str, &str, &str); 9] = [
    ("Communication", "sender", ""),
    ("CommunicationRequest", "requester", ""),
    ("CommunicationRequest", "sender", ""),
    ("DetectedIssue", "author", ""),
    ("MedicationDispense", "performer", "actor"),
    ("Provenance", "agent", "who"),
    ("Provenance", "agent", "onBehalfOf"),
    ("QuestionnaireResponse", "author", ""),
    ("Task", "requester", ""),
];

/// When it was: type, element, and who may tell of long ago: a hospital brings its records along.
const WHEN: [(&str, &str, &[Role]); 3] = [
    ("Communication", "sent", &[Role::HospitalSystem]),
    ("Provenance", "recorded", &[Role::HospitalSystem]),
    ("Task", "authoredOn", &[]),
];

/// How late something may be told.
const LATE_SECONDS: i64 = 24 * 3_600;

/// Whose something of the directory is: type, and the element that says so. A Practitioner is of whom their roles are.
const OF: [(&str, &str); 5] = [
    ("CareTeam", "managingOrganization"),
    ("Device", "owner"),
    ("HealthcareService", "providedBy"),
    ("Organization", "partOf"),
    ("PractitionerRole", "organization"),
];

/// Organisations inside each other that are followed.
const DEPTH: usize = 4;
/// Roles of one person that are looked at.
const MOST_ROLES: usize = 100;

/// Whose somebody is who is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// Of the caller's organisation.
    Own,
    /// Of another one that has logins or clients here.
    Others,
    /// Of none that has.
    Nobodys,
}

impl Commit {
    /// Judges what the steps say of who did something and when.
    ///
    /// # Errors
    /// What the database says. What is not the caller's to say is a fault of its entry: `Forbidden` who, `BusinessRule` when.
    pub(super) async fn check_authors(
        &self,
        tx: &mut Tx,
        steps: &[(usize, Step<'_>)],
        faults: &mut Faults,
    ) -> Result<()> {
        if matches!(self.ctx.principal.role, Role::SuperUser | Role::RuleEngine) {
            return Ok(());
        }
        for (_, step) in steps {
            let Some(ready) = &step.ready else { continue };
            let (rtype, body, was) = (step.target.rtype.as_str(), &*ready.json, step.was.as_ref());
            for (_, element, member) in WHO.iter().filter(|(of, ..)| *of == rtype) {
                let before: Vec<&Json> = was
                    .map(|w| named(rtype, w, element, member))
                    .unwrap_or_default()
                    .into_iter()
                    .map(|(_, r)| r)
                    .collect();
                for (at, reference) in named(rtype, body, element, member) {
                    if !before.contains(&reference) && !self.may_name(tx, body, (element, reference)).await? {
                        faults.add(self.not_theirs(reference).at(at), &step.ask.place);
                    }
                }
            }
            for (_, element, free) in WHEN.iter().filter(|(of, ..)| *of == rtype) {
                let said = body[*element].text();
                if is_attempt(body) {
                    continue; // those have the time of the stay as a bound
                }
                if was.is_none_or(|w| w[*element].text() != said)
                    && let Some(error) = self.out_of_time(said, free.contains(&self.ctx.principal.role))
                {
                    faults.add(error.at(format!("{rtype}.{element}")), &step.ask.place);
                }
            }
        }
        Ok(())
    }

    /// Whether the caller may say that somebody did it.
    async fn may_name(&self, tx: &mut Tx, body: &Json, (element, reference): (&str, &Json)) -> Result<bool> {
        let (principal, base) = (&self.ctx.principal, self.house.env.base.as_str());
        let is_person = principal.practitioner.is_some() || principal.role == Role::Patient;
        let Some(target) = leads_to(reference, base) else {
            // A name, a number, or somebody on another server: no account of this one.
            return Ok(!is_person);
        };
        let text = Some(target.to_string());
        if text == principal.practitioner || text == principal.organization() || principal.is(&target) {
            return Ok(true);
        }
        if matches!(target.rtype.as_str(), "Patient" | "RelatedPerson") {
            return Ok(!is_person);
        }
        let found = tx.get(&Limit::Everything, &target).await?.filter(|v| !v.is_deleted() && self.may_ask(v));
        let json = found.as_ref().map(|v| v.json()).transpose()?.unwrap_or_default();
        let is_entry = DIRECTORY.contains(&target.rtype.as_str());
        // To have brought an entry along makes nobody its owner's: whose it is, it says itself.
        let owner = found.filter(|_| !is_entry).map_or(0, |v| v.org);
        let whose = self.whose(tx, &target, &json, owner).await?;
        let is_speaker = matches!(target.rtype.as_str(), "Organization" | "Practitioner" | "PractitionerRole");
        Ok(match (is_person, whose) {
            (false, whose) => whose != Whose::Others,
            (true, Whose::Own) => match target.rtype.as_str() {
                "Practitioner" => false,
                "PractitionerRole" => {
                    leads_to(&json["practitioner"], base).map(|p| p.to_string()) == principal.practitioner
                }
                _ => true,
            },
            // What was heard, not what was said.
            (true, _) => {
                principal.role == Role::Pharmacist && is_speaker && element == "sender" && is_of_a_problem(body, base)
            }
        })
    }

    /// Whether the answer may depend on a row: an entry of the directory that another organisation brought along is one that never was.
    fn may_ask(&self, version: &Version) -> bool {
        let is_entry = DIRECTORY.contains(&version.target.rtype.as_str());
        !is_entry || version.org == 0 || self.house.owns(&self.ctx.principal, version.org)
    }

    async fn whose(&self, tx: &mut Tx, target: &Target, json: &Json, owner: i64) -> Result<Whose> {
        let (keys, base) = (self.house.keys, self.house.env.base.as_str());
        let own = self.ctx.principal.org.as_deref();
        if owner != 0 && owner != keys.org("") {
            return Ok(if own.is_some_and(|o| keys.org(o) == owner) { Whose::Own } else { Whose::Others });
        }
        let mut orgs: BTreeSet<Target> = BTreeSet::new();
        match target.rtype.as_str() {
            "Organization" => drop(orgs.insert(target.clone())),
            "Practitioner" => {
                let rtype = known("PractitionerRole");
                let rows = self.house.active().registry.reference_keys(&keys, rtype, "practitioner", target);
                let plan = Plan {
                    types: vec![rtype],
                    cond: Cond::Exact(rows),
                    sort: Vec::new(),
                    count: MOST_ROLES,
                    total: false,
                };
                for role in tx.search(&Limit::Everything, &plan, None).await?.rows {
                    let role = role.json()?;
                    let is_held = role["active"].as_bool() != Some(false);
                    orgs.extend(leads_to_a("Organization", &role["organization"], base).filter(|_| is_held));
                }
            }
            _ => orgs.extend(of(target, json, base)),
        }
        let mut next: Vec<Target> = orgs.iter().cloned().collect();
        for _ in 0..DEPTH {
            if next.is_empty() {
                break;
            }
            let found = tx.get_many(&Limit::Everything, &next).await?;
            next.clear();
            for version in found.into_iter().flatten().filter(|v| !v.is_deleted() && self.may_ask(v)) {
                let above = of(&version.target, &version.json()?, base);
                next.extend(above.into_iter().filter(|o| orgs.insert(o.clone())));
            }
        }
        let ids: Vec<&str> = orgs.iter().map(|o| o.id.as_str()).collect();
        if own.is_some_and(|o| ids.contains(&o)) {
            return Ok(Whose::Own);
        }
        Ok(if tx.has_account(&ids).await? { Whose::Others } else { Whose::Nobodys })
    }

    fn not_theirs(&self, reference: &Json) -> Error {
        let principal = &self.ctx.principal;
        let who = match reference["reference"].text() {
            "" => "somebody without a reference to the directory".to_owned(),
            text => crate::fhir::resource::printable(text),
        };
        let mut own: Vec<String> = principal.practitioner.iter().cloned().chain(principal.organization()).collect();
        own.extend((principal.practitioner.is_none()).then(|| "its people, parts and devices".to_owned()));
        let text =
            format!("it names {who}, for whom the caller does not speak: name {} (rule said-by)", own.join(" or "));
        Error::forbidden(text)
    }

    /// Why it was not then.
    fn out_of_time(&self, said: &str, may_be_long_ago: bool) -> Option<Error> {
        let (from, to) = (earliest(said, &TimeZone::UTC)?, latest(said, &TimeZone::UTC)?);
        let text = if from > self.ctx.now.plus_seconds(SKEW_SECONDS) {
            "it lies in the future: say when this was written or sent (rule said-when)"
        } else if to < self.ctx.now.plus_seconds(-LATE_SECONDS) && !may_be_long_ago {
            "it lies more than a day back: say when this was written or sent, and tell of what was before in words (rule said-when)"
        } else {
            return None;
        };
        Some(Error::business_rule(text))
    }
}

/// Where an element names somebody, and whom.
fn named<'a>(rtype: &str, body: &'a Json, element: &str, member: &str) -> Vec<(String, &'a Json)> {
    let one = &body[element];
    if member.is_empty() {
        return if one.is_null() { Vec::new() } else { vec![(format!("{rtype}.{element}"), one)] };
    }
    let items = one.items().iter().enumerate().filter(|(_, item)| !item[member].is_null());
    items.map(|(n, item)| (format!("{rtype}.{element}[{n}].{member}"), &item[member])).collect()
}

/// Organisations that something names as whose it is.
fn of(target: &Target, json: &Json, base: &str) -> Vec<Target> {
    let elements = OF.iter().filter(|(rtype, _)| *rtype == target.rtype.as_str());
    let references = elements.flat_map(|(_, element)| std::iter::once(&json[*element]).chain(json[*element].items()));
    references.filter_map(|r| leads_to_a("Organization", r, base)).collect()
}

/// Whether a message is about a drug therapy problem, or answers what was asked about one.
fn is_of_a_problem(said: &Json, base: &str) -> bool {
    let leads = |r: &Json| {
        leads_to(r, base).is_some_and(|t| matches!(t.rtype.as_str(), "CommunicationRequest" | "DetectedIssue"))
    };
    ["about", "basedOn", "inResponseTo", "partOf", "reasonReference"].iter().flat_map(|n| said[*n].items()).any(leads)
}
