//! `PlanDefinition/$apply` and `PlanDefinition/$simulate`: protocols tried on what the caller may see.
//!
//! Not for: what a protocol asks for (`workflow/protocol`), or opening it (`workflow/react/apply.rs`). Both read only.
//! Source: <https://hl7.org/fhir/R4/plandefinition-operation-apply.html>; `$simulate` is Baton's own.

use super::Input;
use crate::access::policy::Decision;
use crate::access::scope::Action;
use crate::access::{Ctx, Limit};
use crate::clock::Instant;
use crate::error::{Error, Result};
use crate::fhir::resource::known;
use crate::fhir::{Json, ResourceType, Target};
use crate::interaction::answer::Answer;
use crate::interaction::request::Scope;
use crate::interaction::{Engine, published, unknown};
use crate::search::{Cond, Plan as Query};
use crate::workflow::discharge::Stay;
use crate::workflow::protocol::{Case, Compared, Plan, Subject, simulation};
use crate::workflow::{build, element, list};
use jiff::tz::TimeZone;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How many resources of a patient are read: the newest.
const MOST: usize = 1000;

/// Episodes that a simulation looks at, unless told, and at most.
const EPISODES: (i64, i64) = (100, 500);

/// What conditions are asked about, beside the stay and the patient.
const AROUND: [&str; 10] = [
    "Condition",
    "Coverage",
    "Encounter",
    "List",
    "MedicationAdministration",
    "MedicationDispense",
    "MedicationRequest",
    "MedicationStatement",
    "Observation",
    "Procedure",
];

/// What the caller may see of a patient and a stay.
struct Scene {
    encounter: Option<Json>,
    patient: Json,
    hospital: Option<Json>,
    around: Vec<Json>,
    medicines: usize,
    /// What the scores come to.
    risks: Vec<Json>,
}

impl Scene {
    fn case(&self, now: Instant) -> Case<'_> {
        let (encounter, hospital) = (self.encounter.as_ref(), self.hospital.as_ref());
        let case = Case::of(encounter, &self.patient, hospital, self.around.iter(), self.medicines, now);
        Case { risk: self.risks.iter().collect(), ..case }
    }
}

impl Engine {
    pub(super) async fn apply_protocol(&self, ctx: &Ctx, on: &Scope, input: &Input) -> Result<Answer> {
        self.permit(ctx, Action::Read, Some(known("PlanDefinition")))?;
        let plan = self.protocol(ctx, on, input).await?;
        let patient = self.named(input, "subject", &["Patient"])?.ok_or_else(|| Error::fault("subject is required"))?;
        let encounter = self.named(input, "encounter", &["Encounter"])?;
        let practitioner = self.named(input, "practitioner", &["Practitioner", "PractitionerRole"])?;
        let organization = self.named(input, "organization", &["Organization"])?;
        for named in [&practitioner, &organization].into_iter().flatten() {
            self.visible(ctx, named).await?;
        }
        let scene = self.scene(ctx, &patient, encounter.as_ref()).await?;
        let zone = &self.house().programme.env.zone;
        let end = scene.encounter.as_ref().map_or("", |e| e["period"]["end"].text());
        let anchor = element::latest(end, zone).filter(|_| !plan.is_asked_for()).unwrap_or(ctx.now);
        let text = |t: Option<Target>| t.map(|t| t.to_string());
        let subject = Subject {
            patient: patient.to_string(),
            encounter: text(encounter),
            practitioner: text(practitioner),
            organization: text(organization),
        };
        Ok(Answer::of(plan.apply(&scene.case(ctx.now), &subject, anchor, ctx.now).to_bytes()))
    }

    /// The protocol and the stay of `$apply` with persist: the stay is the subject's.
    pub(super) async fn protocol_of_a_stay(&self, ctx: &Ctx, on: &Scope, input: &Input) -> Result<(Arc<Plan>, Target)> {
        self.permit(ctx, Action::Read, Some(known("PlanDefinition")))?;
        let plan = self.protocol(ctx, on, input).await?;
        let patient = self.named(input, "subject", &["Patient"])?.ok_or_else(|| Error::fault("subject is required"))?;
        let Some(encounter) = self.named(input, "encounter", &["Encounter"])? else {
            let text = "with persist the encounter is needed: the Tasks belong to the episode of that stay";
            return Err(input.wrong("encounter", text));
        };
        self.visible(ctx, &patient).await?;
        let stay = self.visible(ctx, &encounter).await?;
        if element::patient_of(&stay, &self.house().active().env.base).as_ref() != Some(&patient) {
            return Err(Error::business_rule("the encounter is about another patient than subject").at("encounter"));
        }
        Ok((plan, encounter))
    }

    pub(super) async fn simulate(&self, ctx: &Ctx, on: &Scope, input: &Input) -> Result<Answer> {
        self.permit(ctx, Action::Read, Some(known("PlanDefinition")))?;
        self.permit(ctx, Action::SearchType, Some(known("EpisodeOfCare")))?;
        let plan = self.protocol(ctx, on, input).await?;
        let day = |name: &str, last: bool| {
            let zone = TimeZone::UTC;
            let text = input.text(name);
            text.and_then(|t| if last { element::latest(t, &zone) } else { element::earliest(t, &zone) })
        };
        let (from, until) = (day("start", false), day("end", true));
        let most = input.number("count").unwrap_or(EPISODES.0).min(EPISODES.1);
        let (house, limit) = (self.house(), Limit::of(ctx));
        let query = Query {
            types: vec![known("EpisodeOfCare")],
            cond: Cond::All(Vec::new()),
            sort: Vec::new(),
            count: MOST,
            total: false,
        };
        let mut episodes: Vec<(Instant, Json)> = Vec::new();
        for row in house.store.search(&limit, &query, None).await?.rows {
            let json = row.json()?;
            let zone = &house.programme.env.zone;
            let Some(at) = element::latest(json["period"]["start"].text(), zone) else { continue };
            let is_in = from.is_none_or(|f| at >= f) && until.is_none_or(|u| at <= u);
            if is_in && element::own_identifier(&json, "episode").is_some() {
                episodes.push((at, json));
            }
        }
        episodes.sort_by(|(a, x), (b, y)| b.cmp(a).then_with(|| x["id"].text().cmp(y["id"].text())));
        episodes.truncate(usize::try_from(most).unwrap_or(usize::MAX));
        let mut compared = Vec::new();
        for (at, episode) in episodes {
            compared.extend(self.compared(ctx, &plan, &episode, at).await?);
        }
        Ok(Answer::of(simulation(&plan, &compared).to_bytes()))
    }

    /// One episode under the protocol, beside the Tasks that there were; `None` when the caller does not see its patient.
    async fn compared(&self, ctx: &Ctx, plan: &Plan, episode: &Json, at: Instant) -> Result<Option<Compared>> {
        let house = self.house();
        let base = house.active().env.base.clone();
        let Some(patient) = element::leads_to_a("Patient", &episode["patient"], &base) else { return Ok(None) };
        let stay = build::index_encounter(episode, &base);
        let scene = match self.scene(ctx, &patient, stay.as_ref()).await {
            Ok(scene) => scene,
            Err(error) if error.kind == crate::error::Kind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut actions: BTreeMap<String, (Option<Instant>, Option<Instant>)> = BTreeMap::new();
        for task in self.tasks(ctx, &patient, episode["id"].text()).await? {
            // `episode/action/number`; reviews of problems and the like are not the protocol's.
            let named = element::own_identifier(&task, "task").and_then(|v| v.strip_prefix(episode["id"].text()));
            let Some(action) = named.and_then(|v| v.split('/').nth(1)) else { continue };
            let due = element::earliest(task["restriction"]["period"]["end"].text(), &TimeZone::UTC);
            actions.entry(action.to_string()).or_default().0 = due;
        }
        // What follows when no list came, and what was asked for beside it, is no part of the protocol.
        let asked = |id: &str| house.programme.plans.values().any(|p| p.is_asked_for() && p.action(id).is_some());
        actions.retain(|id, _| house.programme.list_not_sent.action(id).is_none() && !asked(id));
        for (action, intent) in plan.called_for(&scene.case(ctx.now), at) {
            // As Tasks are written: in whole seconds.
            actions.entry(action.id.clone()).or_default().1 = Instant::parse(&intent.due_at.to_seconds_text());
        }
        Ok(Some(Compared {
            episode: format!("EpisodeOfCare/{}", episode["id"].text()),
            was: house.programme.plan_of(episode).canonical.clone(),
            actions: actions.into_iter().map(|(action, (was, would))| (action, was, would)).collect(),
        }))
    }

    /// The protocol's Tasks of an episode.
    async fn tasks(&self, ctx: &Ctx, patient: &Target, episode: &str) -> Result<Vec<Json>> {
        let found = self.of_the_patient(ctx, patient, &["Task"]).await?;
        Ok(found.into_iter().filter(|t| t["groupIdentifier"]["value"].text() == episode).collect())
    }

    /// The protocol that a call is about: the instance, or the one that it brings.
    async fn protocol(&self, ctx: &Ctx, on: &Scope, input: &Input) -> Result<Arc<Plan>> {
        let house = self.house();
        let given = input.get("planDefinition");
        let resource = match (on, given) {
            (Scope::Instance(at), None) => match house.store.get(&Limit::of(ctx), at).await? {
                Some(version) if version.is_deleted() => return Err(Error::gone(format!("{at} is deleted"))),
                Some(version) => version.json()?,
                None => {
                    let active = house.active();
                    let found = published::at(house, &active, at).ok_or_else(|| unknown(at))?;
                    crate::fhir::json::parse(&found.body)?
                }
            },
            (Scope::Instance(_), Some(_)) => {
                return Err(input.wrong("planDefinition", "the call is about the instance: leave planDefinition out"));
            }
            (_, Some(given)) => given.clone(),
            (_, None) => {
                let text = "planDefinition is needed, or the call is made on an instance";
                return Err(Error::invalid(text).code("required"));
            }
        };
        house.programme.try_plan(&resource)
    }

    /// Where a parameter leads.
    pub(super) fn named(&self, input: &Input, name: &str, types: &[&str]) -> Result<Option<Target>> {
        let Some(text) = input.text(name) else { return Ok(None) };
        let reference = Json::from(serde_json::json!({"reference": text}));
        let found = element::leads_to(&reference, &self.house().active().env.base);
        match found.filter(|t| types.contains(&t.rtype.as_str())) {
            Some(target) => Ok(Some(target)),
            None => Err(input.wrong(name, format!("{name} is a reference to a {} of this server", types.join(" or ")))),
        }
    }

    pub(super) async fn visible(&self, ctx: &Ctx, at: &Target) -> Result<Json> {
        self.permit(ctx, Action::Read, Some(at.rtype))?;
        match self.house().store.get(&Limit::of(ctx), at).await? {
            Some(version) if version.is_deleted() => Err(Error::gone(format!("{at} is deleted"))),
            Some(version) => version.json(),
            None => Err(unknown(at)),
        }
    }

    /// What the caller sees of a patient and a stay.
    async fn scene(&self, ctx: &Ctx, patient: &Target, encounter: Option<&Target>) -> Result<Scene> {
        let record = self.visible(ctx, patient).await?;
        let house = self.house();
        let base = house.active().env.base.clone();
        let encounter = match encounter {
            Some(at) => Some(self.visible(ctx, at).await?),
            None => None,
        };
        if let Some(stay) = &encounter
            && element::patient_of(stay, &base).as_ref() != Some(patient)
        {
            return Err(Error::business_rule("the encounter is about another patient than subject").at("encounter"));
        }
        let around = self.of_the_patient(ctx, patient, &AROUND).await?;
        let mut hospital = None;
        let mut medicines = 0;
        if let Some(stay) = encounter.as_ref().and_then(|e| Stay::of(&house.programme, e)) {
            let refs: Vec<&Json> = around.iter().collect();
            medicines = list::lines(&house.programme, &stay, &refs).at_discharge();
            if let Some(at) = &stay.hospital {
                hospital = house.store.get(&Limit::of(ctx), at).await?.filter(|v| !v.is_deleted());
            }
        }
        let hospital = hospital.map(|v| v.json()).transpose()?;
        let mut scene = Scene { encounter, patient: record, hospital, around, medicines, risks: Vec::new() };
        if let Some(at) = scene.encounter.as_ref().and_then(element::target_of) {
            let (programme, case) = (&house.programme, scene.case(ctx.now));
            let scored = programme.scores.iter().map(|s| s.assessment(programme, &at, patient, &case, ctx.now));
            scene.risks = scored.collect();
        }
        Ok(scene)
    }

    /// What is about a patient, of some types, as far as the caller may see it.
    pub(super) async fn of_the_patient(
        &self,
        ctx: &Ctx,
        patient: &Target,
        types: &[&'static str],
    ) -> Result<Vec<Json>> {
        let house = self.house();
        let judge = house.policy.judge(&ctx.principal);
        let may = |t: &ResourceType| judge.decide(Action::SearchType, Some(*t)) == Decision::Permit;
        let types: Vec<ResourceType> = types.iter().map(|t| known(t)).filter(may).collect();
        let active = house.active();
        let rows: Vec<i64> =
            types.iter().flat_map(|t| active.registry.reference_keys(&house.keys, *t, "patient", patient)).collect();
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let query = Query { types, cond: Cond::Exact(rows), sort: Vec::new(), count: MOST, total: false };
        house.store.search(&Limit::of(ctx), &query, None).await?.rows.iter().map(|row| row.json()).collect()
    }
}
