//! `Patient/$everything` and `Encounter/$everything`: the compartment, in pages of one snapshot, and what each page refers to.
//!
//! Source: <https://hl7.org/fhir/R4/patient-operation-everything.html>, <https://hl7.org/fhir/R4/encounter-operation-everything.html>.
//! Own rules: newest first; what a page refers to comes with it, marked `include`: resources that are in no patient's compartment
//! (practitioners, organizations, medications, locations …), of a stay also those of its patient. `start` and `end` narrow types with a date of care
//! ([`CARE`]); what has none stays in. Without `_count` a page has as many as a page may have.

use super::{Follow, Shelf, owners};
use crate::access::scope::Action;
use crate::access::{Ctx, Limit};
use crate::error::{Error, Result};
use crate::fhir::resource::printable;
use crate::fhir::{ResourceType, Target, date};
use crate::interaction::answer::Answer;
use crate::interaction::audit::shown;
use crate::interaction::bundle::{Link, Writer};
use crate::interaction::operation::Input;
use crate::interaction::page::{PARAMETER, query_text};
use crate::interaction::request::Scope;
use crate::interaction::subset::redact;
use crate::interaction::{Engine, unknown};
use crate::search::registry::sources;
use crate::search::{Active, Cond, Keys, Plan, query};
use std::collections::HashSet;

/// The search parameter that says when care of a type took place.
const CARE: [(&str, &str); 21] = [
    ("Appointment", "date"),
    ("CarePlan", "date"),
    ("ClinicalImpression", "date"),
    ("Communication", "sent"),
    ("DetectedIssue", "identified"),
    ("DiagnosticReport", "date"),
    ("DocumentReference", "date"),
    ("Encounter", "date"),
    ("EpisodeOfCare", "date"),
    ("Flag", "date"),
    ("ImagingStudy", "started"),
    ("Immunization", "date"),
    ("MedicationAdministration", "effective-time"),
    ("MedicationDispense", "whenhandedover"),
    ("MedicationRequest", "authoredon"),
    ("MedicationStatement", "effective"),
    ("Observation", "date"),
    ("Procedure", "date"),
    ("QuestionnaireResponse", "authored"),
    ("RiskAssessment", "date"),
    ("ServiceRequest", "occurrence"),
];

/// What narrows the whole.
struct Narrow<'a> {
    start: Option<&'a str>,
    end: Option<&'a str>,
}

impl Engine {
    pub(in crate::interaction) async fn everything(&self, ctx: &Ctx, on: &Scope, input: &Input) -> Result<Answer> {
        let (house, active) = (self.house(), self.house().active());
        let (owner, rtype, path) = match on {
            Scope::Instance(target) => (Some(target), target.rtype, format!("{target}/$everything")),
            Scope::Type(rtype) => (None, *rtype, format!("{rtype}/$everything")),
            _ => return Err(Error::fault("$everything is of a type or an instance")),
        };
        let limit = Limit::of(ctx);
        self.permit(ctx, Action::Read, Some(rtype))?;
        self.permit(ctx, Action::SearchType, Some(rtype))?;
        let judge = house.policy.judge(&ctx.principal);
        let mut patient = None;
        if let Some(owner) = owner {
            let found = match house.store.get(&limit, owner).await? {
                None => return Err(unknown(owner)),
                Some(v) if v.is_deleted() => return Err(Error::gone(format!("{owner} is deleted"))),
                Some(v) => v,
            };
            // Of a patient the compartment is all that is the patient's; of a stay what it refers to may be, too.
            if rtype.as_str() != "Patient" {
                patient = owners(&active, &found.json()?).into_iter().next();
            }
        }
        let wanted = types(input)?;
        let since = match input.text("_since") {
            Some(text) => Some(
                date::search_span(text, &active.env.zone)
                    .map(|s| s.lo)
                    .ok_or_else(|| input.wrong("_since", "_since is an instant"))?,
            ),
            None => None,
        };
        let most = house.limits.count_max;
        let count = input.number("_count").and_then(|n| u64::try_from(n).ok()).unwrap_or(most).min(most);
        let narrow = Narrow { start: input.text("start"), end: input.text("end") };
        let shows = |t: ResourceType| wanted.is_empty() || wanted.contains(&t);
        // A type outside the compartment is there where the record refers to it: then all of the record is read for that.
        let refers = wanted.iter().any(|t| *t != rtype && sources(rtype, *t).is_empty());
        let (mut members, mut conds) = (Vec::new(), Vec::new());
        for t in judge.readable().filter(|t| refers || shows(*t)) {
            query::compartment_is_built(&active.registry, rtype, t)?;
            let cond = match owner {
                Some(owner) => query::compartment(&active.registry, &house.keys, owner, t),
                None => of_all(&active, &house.keys, rtype, t)?,
            };
            if let Some(cond) = cond {
                members.push(t);
                conds.push(narrow.on(&active, &house.keys, t, cond)?);
            }
        }
        let asked = input.pairs();
        let link = format!("{path}?{}", query_text(&asked));
        let from = match &input.page {
            Some(token) => Some(house.pages.read(ctx, &link, token)?),
            None => None,
        };
        let mut page = crate::store::Page::default();
        if !members.is_empty() {
            let of_time = since.map(|from| Cond::Updated { from: Some(from), to: None });
            let cond = Cond::all(of_time.into_iter().chain([Cond::any(conds)]).collect());
            let plan = Plan {
                types: members,
                cond,
                sort: Vec::new(),
                count: usize::try_from(count).unwrap_or(usize::MAX),
                total: false,
            };
            page = house.store.search(&limit, &plan, from.as_ref()).await?;
        }
        if owner.is_none() {
            // A reference that could lead to a patient may lead elsewhere.
            let mut kept = Vec::with_capacity(page.rows.len());
            for row in page.rows {
                if row.target.rtype == rtype || !owners(&active, &row.json()?).is_empty() {
                    kept.push(row);
                }
            }
            page = crate::store::Page { rows: kept, total: None, next: page.next };
        }
        let seen: HashSet<Target> = page.rows.iter().map(|v| v.target.clone()).collect();
        let follow = Follow { house, active: &active, limit: &limit, judge: &judge, patient: patient.as_ref() };
        let mut included = follow.all(&mut Shelf::Store(&house.store), &page.rows, seen).await?;
        included.retain(|v| shows(v.target.rtype) && since.is_none_or(|s| v.pk >= s));
        if refers {
            page.rows.retain(|v| shows(v.target.rtype));
            page.total = None;
        }
        redact(&judge, &mut page.rows)?;
        redact(&judge, &mut included)?;

        let mut links = vec![Link { relation: "self", path: path.clone(), query: asked.clone() }];
        if let (Some(token), Some(link)) = (&input.page, links.first_mut()) {
            link.query.push((PARAMETER.into(), token.clone()));
        }
        if let Some(next) = &page.next {
            let mut asked = asked;
            asked.push((PARAMETER.into(), house.pages.sign(ctx, &link, next)));
            links.push(Link { relation: "next", path, query: asked });
        }
        let room = page.rows.iter().chain(&included).map(|v| v.body.len() + 160).sum();
        let mut out = Writer::new(&ctx.base, "searchset", page.total, &links, room);
        for (version, mode) in page.rows.iter().map(|v| (v, "match")).chain(included.iter().map(|v| (v, "include"))) {
            out.found(version, &version.body, mode);
        }
        Ok(Answer { seen: shown(page.rows.iter().chain(&included)), ..Answer::of(out.end()) })
    }
}

/// `_type`, repeated or with commas.
fn types(input: &Input) -> Result<Vec<ResourceType>> {
    let names = input.all("_type").filter_map(|t| t.as_str()).flat_map(|t| t.split(','));
    let parse = |name: &str| {
        let wrong = || input.wrong("_type", format!("R4 has no resource type '{}'", printable(name)));
        ResourceType::parse(name.trim()).ok_or_else(wrong)
    };
    names.map(parse).collect()
}

/// What is in the compartment of any resource of a type, as far as one condition can say it.
fn of_all(active: &Active, keys: &Keys, owner: ResourceType, rtype: ResourceType) -> Result<Option<Cond>> {
    let mut any = Vec::new();
    if owner == rtype {
        any.push(Cond::All(Vec::new()));
    }
    for code in sources(owner, rtype) {
        let there = [(format!("{code}:missing"), "false".to_owned())];
        any.push(query::criteria(&active.registry, keys, rtype, &there, &active.env)?);
    }
    Ok(if any.is_empty() { None } else { Some(Cond::All(vec![Cond::Type(rtype), Cond::Any(any)])) })
}

impl Narrow<'_> {
    /// A condition narrowed to care of a period.
    fn on(&self, active: &Active, keys: &Keys, rtype: ResourceType, cond: Cond) -> Result<Cond> {
        let Some((_, code)) = CARE.iter().find(|(t, _)| *t == rtype.as_str()) else { return Ok(cond) };
        let bounds = [("ge", self.start), ("le", self.end)];
        let pairs: Vec<(String, String)> = bounds
            .iter()
            .filter_map(|(prefix, date)| Some(((*code).to_owned(), format!("{prefix}{}", (*date)?))))
            .collect();
        if pairs.is_empty() {
            return Ok(cond);
        }
        let (registry, env) = (&active.registry, &active.env);
        let within = query::criteria(registry, keys, rtype, &pairs, env)?;
        let without = query::criteria(registry, keys, rtype, &[(format!("{code}:missing"), "true".into())], env)?;
        Ok(Cond::All(vec![Cond::Type(rtype), cond, Cond::Any(vec![within, without])]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fhir::resource::known;
    use crate::search::{ParamType, Registry};

    #[test]
    fn each_date_of_care_is_a_search_parameter_of_a_type_of_the_compartment() {
        let registry = Registry::builtin();
        for (name, code) in CARE {
            let rtype = known(name);
            assert!(registry.param(rtype, code).is_some_and(|p| p.kind == ParamType::Date), "{name}.{code}");
            assert!(!sources(known("Patient"), rtype).is_empty(), "{name}");
        }
    }
}
