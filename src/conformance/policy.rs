//! Which profiles a write must meet beside those that it claims, which claims are let pass unheard, and how bad it is to break a
//! rule of the closer look.
//!
//! Source: `profiles/policy/profiles.json`, described in `profiles/policy/README.md`.

use crate::access::Principal;
use crate::error::Severity;
use crate::fhir::fhirpath::{Expr, Item};
use crate::fhir::profile::{Complaint, Profiles};
use crate::fhir::scrutiny::Rules;
use crate::fhir::{Json, ResourceType};
use crate::workflow::programme::Concept;

const FILE: &str = "profiles/policy/profiles.json";

/// The table.
#[derive(Debug, Default)]
pub(super) struct Policy {
    required: Vec<Row>,
    /// Beginnings of canonicals that are not looked for while no package defines one of them.
    pub(super) ignored: Vec<Box<str>>,
    /// Severities of the closer look.
    pub(super) rules: Rules,
}

/// One row: whoever meets its conditions meets the profile.
#[derive(Debug)]
struct Row {
    resource: ResourceType,
    profile: Box<str>,
    /// Logical id of the sender's Organization.
    organization: Option<String>,
    client: Option<String>,
    when: Option<Expr>,
}

impl Policy {
    pub(super) fn read<'c>(
        concepts: impl Iterator<Item = (&'c String, &'c Concept)>,
        profiles: &Profiles,
        complaints: &mut Vec<Complaint>,
    ) -> Self {
        let mut policy = Self::default();
        for (code, concept) in concepts {
            let of = |name: &str| concept.properties.get(name).cloned();
            let mut complain = |text: String| {
                complaints.push(Complaint { file: FILE.into(), text: format!("{code}: {text}"), is_fatal: true });
            };
            if let Some(prefix) = of("ignored") {
                policy.ignored.push(prefix.into());
                continue;
            }
            if let Some(rule) = of("rule") {
                match of("severity").as_deref().and_then(severity) {
                    Some(severity) if policy.rules.set(&rule, severity) => {}
                    Some(_) => complain(format!("there is no rule '{rule}'")),
                    None => complain("severity is error, warning, information or none".into()),
                }
                continue;
            }
            let (Some(resource), Some(profile)) = (of("resource"), of("profile")) else {
                complain("a row has 'resource' and 'profile', 'ignored', or 'rule' and 'severity'".into());
                continue;
            };
            let Some(rtype) = ResourceType::parse(&resource) else {
                complain(format!("R4 has no type '{resource}'"));
                continue;
            };
            match profiles.find(&profile) {
                None => complain(format!(
                    "the profile {profile} is not known here; add its package to the setting packages"
                )),
                Some(known) if *known.rtype != *resource => {
                    complain(format!("{profile} is a profile of {}, not of {resource}", known.rtype));
                }
                Some(_) => {}
            }
            let when = match of("when").map(|text| Expr::parse(&text)).transpose() {
                Ok(when) => when,
                Err(why) => {
                    complain(format!("when: {why}"));
                    continue;
                }
            };
            let (organization, client) = (of("organization"), of("client"));
            policy.required.push(Row { resource: rtype, profile: profile.into(), organization, client, when });
        }
        policy
    }

    /// Canonicals of the profiles that this write must meet.
    pub(super) fn required(&self, principal: &Principal, resource: &Json) -> Vec<&str> {
        let name = resource["resourceType"].text();
        let holds = |row: &&Row| {
            row.resource.as_str() == name
                && row.organization.as_ref().is_none_or(|id| principal.org.as_ref() == Some(id))
                && row.client.as_ref().is_none_or(|id| principal.client == *id)
                && row.when.as_ref().is_none_or(|when| is_true(when, resource))
        };
        self.required.iter().filter(holds).map(|row| &*row.profile).collect()
    }
}

fn severity(text: &str) -> Option<Option<Severity>> {
    match text {
        "error" => Some(Some(Severity::Error)),
        "warning" => Some(Some(Severity::Warning)),
        "information" => Some(Some(Severity::Information)),
        "none" => Some(None),
        _ => None,
    }
}

fn is_true(expression: &Expr, resource: &Json) -> bool {
    let mut holds = false;
    expression.each(resource, resource, &mut |item| holds |= item == Item::Bool(true));
    holds
}
