//! Who may speak with whom about a drug therapy problem, and what shows that somebody did.
//!
//! Source: own rules in `profiles/policy/README.md`; <https://hl7.org/fhir/R4/communication.html>.

use super::Round;
use super::escalate::PHARMACISTS;
use crate::access::Role;
use crate::error::Result;
use crate::fhir::{Json, Target};
use crate::workflow::discharge::is_dead;
use crate::workflow::element::{self, leads_to_a, patient_of};
use crate::workflow::records::Records;
use crate::workflow::{Change, build, outreach};
use std::collections::BTreeSet;

/// HL7's kinds of Communications.
const CATEGORY: &str = "http://terminology.hl7.org/CodeSystem/communication-category";

/// Roles that ask no prescriber about a therapy and teach no patient on their own.
const NOT_BY_THEMSELVES: [Role; 2] = [Role::Technician, Role::PharmacySystem];

/// Roles that reach out to patients.
const OF_A_PHARMACY: [Role; 3] = [Role::Technician, Role::Pharmacist, Role::PharmacySystem];

/// What teaches a patient, and the element that says who made it.
const MATERIAL: [(&str, &str); 3] =
    [("Procedure", "performer"), ("Communication", "sender"), ("DocumentReference", "author")];

/// People and places that a Communication is sent to or comes from.
const SPEAKERS: [&str; 3] = ["Practitioner", "PractitionerRole", "Organization"];

impl<R: Records> Round<'_, R> {
    /// Nobody of a pharmacy writes or speaks to a patient who has died or does not want it, nor to who cares for them.
    pub(super) async fn no_outreach(&mut self, change: &Change) -> Result<()> {
        let goes_out = |r: &&Json| matches!(r["status"].text(), "preparation" | "in-progress" | "completed" | "active");
        let Some(said) = change.after.as_ref().filter(goes_out) else { return Ok(()) };
        let was_out = change.before.as_ref().is_some_and(|b| goes_out(&b) && b["recipient"] == said["recipient"]);
        // An attempt has rules of its own.
        if was_out || !OF_A_PHARMACY.contains(&self.ctx.principal.role) || outreach::is_attempt(said) {
            return Ok(());
        }
        let recipients = said["recipient"].items();
        if !recipients.is_empty() && recipients.iter().all(|r| is_professional(r, self.base())) {
            return Ok(());
        }
        let at = format!("{}.recipient", change.target.rtype);
        for patient in self.patients_of(said).await? {
            let record = self.desk.get(&patient).await?.unwrap_or_default();
            if is_dead(&record, self.now()) {
                let text = "the patient has died: nobody writes or speaks to them or theirs; to professionals, name each as recipient";
                self.findings.refuse(at.as_str(), text);
            } else if self.refuses(&patient, false).await? {
                let text = "the patient does not want to be followed up (a Consent in force says so): nobody writes or speaks to them or theirs; to professionals, name each as recipient";
                self.findings.refuse(at.as_str(), text);
            }
        }
        Ok(())
    }

    /// Whose message it is: the patient it is about, those it goes to, and those whose carers it goes to.
    async fn patients_of(&mut self, said: &Json) -> Result<BTreeSet<Target>> {
        let base = self.base().to_string();
        let mut out: BTreeSet<Target> = patient_of(said, &base).into_iter().collect();
        for at in said["recipient"].items().iter().filter_map(|r| element::leads_to(r, &base)) {
            match at.rtype.as_str() {
                "Patient" => drop(out.insert(at)),
                "RelatedPerson" => {
                    let carer = self.desk.get(&at).await?;
                    out.extend(carer.and_then(|c| patient_of(&c, &base)));
                }
                _ => {}
            }
        }
        Ok(out)
    }

    /// A technician asks no prescriber about a problem, and repeats to a patient what a pharmacist has taught.
    pub(super) async fn spoken(&mut self, change: &Change) -> Result<()> {
        let Some(said) = change.after.as_ref() else { return Ok(()) };
        let says =
            ["category", "status", "about", "basedOn", "partOf", "inResponseTo", "recipient", "sender", "subject"];
        if change
            .before
            .as_ref()
            .is_some_and(|b| says.iter().all(|n| b[*n] == said[*n]) || said["status"].text() == "entered-in-error")
        {
            return Ok(());
        }
        if !NOT_BY_THEMSELVES.contains(&self.ctx.principal.role) {
            return Ok(());
        }
        let base = self.base().to_string();
        let teaches = element::has_code(&said["category"], CATEGORY, "instruction");
        if teaches && let Some(why) = self.is_untaught(said).await? {
            let text = format!(
                "what a technician tells a patient repeats what a pharmacist has taught that patient: {why} (rule education)"
            );
            self.findings.forbid("Communication.basedOn", text);
        }
        let mut answered = ["basedOn", "inResponseTo"].iter().flat_map(|n| said[*n].items());
        if answered.any(|r| leads_to_a("CommunicationRequest", r, &base).is_some()) {
            let text =
                "only a pharmacist puts the answer to a question about a therapy on record (rule prescriber-contact)";
            self.findings.forbid("Communication.basedOn", text);
        }
        if !is_about_a_problem(said, &base) {
            return Ok(());
        }
        if said.get("sender").is_some() && !self.is_colleague(&said["sender"]).await? {
            let text =
                "only a pharmacist puts on record what a prescriber says about a therapy (rule prescriber-contact)";
            self.findings.forbid("Communication.sender", text);
        }
        for (n, recipient) in said["recipient"].items().iter().enumerate() {
            if !self.is_colleague(recipient).await? {
                let text = "only a pharmacist asks a prescriber about a therapy (rule prescriber-contact)";
                self.findings.forbid(format!("Communication.recipient[{n}]"), text);
            }
        }
        Ok(())
    }

    /// Why an instruction repeats nothing that a pharmacist has taught the patient; `None` where it does.
    async fn is_untaught(&mut self, said: &Json) -> Result<Option<String>> {
        let base = self.base().to_string();
        let patient = patient_of(said, &base);
        let parts = ["basedOn", "partOf", "inResponseTo"].iter().flat_map(|n| said[*n].items());
        let named: Vec<Target> = parts.filter_map(|r| element::leads_to(r, &base)).collect();
        let is_material = |t: &Target| MATERIAL.iter().any(|(rtype, _)| *rtype == t.rtype.as_str());
        let mut why = String::from("name a Procedure, Communication (instruction) or DocumentReference in basedOn");
        for target in named.into_iter().filter(is_material) {
            let Some(json) = self.desk.get(&target).await? else {
                why = format!("{target} is not known here");
                continue;
            };
            let is_void = matches!(json["status"].text(), "entered-in-error" | "not-done" | "preparation" | "stopped");
            let is_lesson = target.rtype.as_str() != "Communication"
                || element::has_code(&json["category"], CATEGORY, "instruction");
            if is_void || !is_lesson || patient.is_none() || patient_of(&json, &base) != patient {
                why = format!("{target} is no education of this patient");
            } else if self.is_by_a_pharmacist(&json, &target).await? {
                return Ok(None);
            } else {
                why = format!("{target} was not made by a pharmacist");
            }
        }
        Ok(Some(why))
    }

    /// Whether one of those who made it is a pharmacist, by an active role.
    async fn is_by_a_pharmacist(&mut self, json: &Json, at: &Target) -> Result<bool> {
        let base = self.base().to_string();
        let name = MATERIAL.iter().find(|(rtype, _)| *rtype == at.rtype.as_str()).map_or("", |(_, name)| name);
        let made = &json[name];
        let makers = std::iter::once(made).chain(made.items());
        let makers: Vec<Target> =
            makers.flat_map(|m| [m, &m["actor"]]).filter_map(|r| element::leads_to(r, &base)).collect();
        for maker in makers {
            let roles = match maker.rtype.as_str() {
                "PractitionerRole" => vec![maker],
                "Practitioner" => self.desk.referring(&[("PractitionerRole", "practitioner", maker)]).await?,
                _ => continue,
            };
            self.desk.load(&roles).await?;
            let is_one = |r: &Json| {
                r["active"].as_bool() != Some(false)
                    && PHARMACISTS.iter().any(|(s, c)| element::has_code(&r["code"], s, c))
            };
            if roles.iter().filter_map(|t| self.desk.peek(t)).any(is_one) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether a recipient is the patient's side, or works where the caller does.
    async fn is_colleague(&mut self, recipient: &Json) -> Result<bool> {
        let own = self.ctx.principal.organization();
        let base = self.base().to_string();
        let roles: Vec<Target> = match element::leads_to(recipient, &base) {
            Some(t) if t.rtype.as_str() == "Organization" => return Ok(own.as_deref() == Some(&t.to_string())),
            Some(t) if t.rtype.as_str() == "PractitionerRole" => vec![t],
            Some(t) if t.rtype.as_str() == "Practitioner" => {
                self.desk.referring(&[("PractitionerRole", "practitioner", t)]).await?
            }
            _ => return Ok(true),
        };
        self.desk.load(&roles).await?;
        let of = |t: &Target| {
            let role = self.desk.peek(t)?;
            leads_to_a("Organization", &role["organization"], &base).map(|o| o.to_string())
        };
        Ok(roles.iter().any(|t| of(t).is_some() && of(t) == own))
    }

    /// Whether one of these resources on the desk is a Communication with somebody other than the caller and the patient.
    pub(super) fn shows_contact(&self, named: &[Target]) -> bool {
        let base = self.base();
        let caller = self.ctx.principal.practitioner.clone();
        let own = self.ctx.principal.organization();
        let is_other = |reference: &Json| {
            element::leads_to(reference, base).is_some_and(|t| {
                let text = Some(t.to_string());
                SPEAKERS.contains(&t.rtype.as_str()) && text != caller && text != own
            })
        };
        named.iter().filter(|t| t.rtype.as_str() == "Communication").filter_map(|t| self.desk.peek(t)).any(|c| {
            c["status"].text() != "entered-in-error"
                && std::iter::once(&c["sender"]).chain(c["recipient"].items()).any(is_other)
        })
    }

    /// What was done about a problem outside of Baton's books: what was said, asked or carried out.
    pub(super) async fn acts_about(&mut self, dtp: &Target, issue: &Json, reviews: &[Target]) -> Result<Vec<Target>> {
        let base = self.base().to_string();
        let Some(patient) = patient_of(issue, &base) else { return Ok(Vec::new()) };
        let types = ["Communication", "CommunicationRequest", "Procedure"];
        let asks = types.map(|rtype| (rtype, "patient", patient.clone()));
        let mut found = self.desk.referring(&asks).await?;
        found.retain(|at| {
            self.desk.peek(at).is_some_and(|act| {
                // What the programme told by itself is nobody's act.
                act["status"].text() != "entered-in-error"
                    && element::own_identifier(act, build::NOTICE).is_none()
                    && (mentions(act, dtp, &base) || reviews.iter().any(|r| mentions(act, r, &base)))
            })
        });
        Ok(found)
    }
}

/// Whether a recipient is a professional, or a place where they work. A name alone may be anybody's.
fn is_professional(recipient: &Json, base: &str) -> bool {
    match element::leads_to(recipient, base) {
        Some(at) => SPEAKERS.contains(&at.rtype.as_str()),
        None => recipient.get("identifier").is_some() && SPEAKERS.contains(&recipient["type"].text()),
    }
}

fn is_about_a_problem(said: &Json, base: &str) -> bool {
    let parts = ["about", "basedOn", "partOf", "reasonReference"];
    parts.iter().flat_map(|n| said[*n].items()).any(|r| leads_to_a("DetectedIssue", r, base).is_some())
}

/// Whether a reference anywhere in the tree leads there.
fn mentions(json: &Json, to: &Target, base: &str) -> bool {
    match json {
        Json::Array(items) => items.iter().any(|i| mentions(i, to, base)),
        Json::Object(members) => {
            element::leads_to(json, base).as_ref() == Some(to) || members.iter().any(|(_, v)| mentions(v, to, base))
        }
        _ => false,
    }
}
