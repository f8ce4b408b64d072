//! Who may speak with whom about a drug therapy problem, and what shows that somebody did.
//!
//! Source: own rules in `profiles/policy/README.md`; <https://hl7.org/fhir/R4/communication.html>.

use super::Round;
use crate::access::Role;
use crate::error::Result;
use crate::fhir::{Json, Target};
use crate::workflow::element::{self, leads_to_a, patient_of};
use crate::workflow::records::Records;
use crate::workflow::{Change, build};

/// HL7's kinds of Communications.
const CATEGORY: &str = "http://terminology.hl7.org/CodeSystem/communication-category";

/// Roles that ask no prescriber about a therapy and teach no patient on their own.
const NOT_BY_THEMSELVES: [Role; 2] = [Role::Technician, Role::PharmacySystem];

/// People and places that a Communication is sent to or comes from.
const SPEAKERS: [&str; 3] = ["Practitioner", "PractitionerRole", "Organization"];

impl<R: Records> Round<'_, R> {
    /// A technician asks no prescriber about a problem, and repeats to a patient what a pharmacist has taught.
    pub(super) async fn spoken(&mut self, change: &Change) -> Result<()> {
        let Some(said) = change.after.as_ref().filter(|_| change.before.is_none()) else { return Ok(()) };
        if !NOT_BY_THEMSELVES.contains(&self.ctx.principal.role) {
            return Ok(());
        }
        let base = self.base().to_string();
        let teaches = element::has_code(&said["category"], CATEGORY, "instruction");
        let is_material = |r: &Json| {
            ["Procedure", "Communication", "DocumentReference"].iter().any(|t| leads_to_a(t, r, &base).is_some())
        };
        let mut earlier = ["basedOn", "partOf", "inResponseTo"].iter().flat_map(|n| said[*n].items());
        if teaches && !earlier.any(is_material) {
            let text = "what a technician tells a patient repeats what a pharmacist has taught: name it in basedOn (rule education)";
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
