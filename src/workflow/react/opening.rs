//! Opening an episode, and keeping its list, its pharmacy and its shares up with what the hospital sends.

use super::Round;
use super::entries::entries;
use super::withhold::WITHHELD;
use crate::clock::Instant;
use crate::error::Result;
use crate::fhir::{Json, Target, meta};
use crate::workflow::build::{self, Addresses, TaskFrame};
use crate::workflow::consent;
use crate::workflow::discharge::Stay;
use crate::workflow::element::{self, reference, type_of};
use crate::workflow::list::{self, Lines, Sent};
use crate::workflow::policy::PRIORITIES;
use crate::workflow::protocol::{Case, Plan};
use crate::workflow::records::{Ask, Records};
use crate::workflow::risk::{self, Score};
use crate::workflow::task;
use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

/// How often one action may be opened anew for one episode.
const MOST_TASKS: usize = 16;

/// What is known around one stay.
pub(super) struct Scene {
    pub(super) patient: Json,
    pub(super) at_patient: Target,
    /// Resources that refer to the patient or the stay.
    pub(super) resources: Vec<Json>,
    pub(super) lines: Lines,
    /// The only pharmacy that the data name.
    pub(super) owner: Option<Target>,
    pub(super) candidates: Vec<Target>,
    /// Consents that keep out who would be asked else; owner and candidates are without those.
    pub(super) withheld: Vec<Target>,
    /// What 42 CFR Part 2 keeps from those who could have the hand-off: not among the resources, and shown to nobody.
    pub(super) held_back: BTreeSet<Target>,
    /// Whether it protects anything here.
    pub(super) has_part_2: bool,
    /// Whether it protects the stay itself, and somebody who has the hand-off is not let in.
    pub(super) is_protected: bool,
    /// Whether the patient came with this transaction: nothing is known beside it.
    pub(super) is_new: bool,
    /// What protocols and scores ask about, and nobody is shown for it: coverage, diagnoses, findings, other stays.
    pub(super) background: Vec<Json>,
    /// The Organization that discharges.
    pub(super) hospital: Option<Json>,
    /// What the scores come to, once somebody has asked.
    risks: OnceLock<Vec<Json>>,
}

impl<R: Records> Round<'_, R> {
    /// Reads what refers to the patient and the stay.
    pub(super) async fn scene(&mut self, stay: &Stay, patient: &Target, record: &Json, is_new: bool) -> Result<Scene> {
        let mut resources: Vec<Json> = Vec::new();
        let mut background: Vec<Json> = Vec::new();
        if is_new {
            for change in self.changes {
                let Some(after) = &change.after else { continue };
                let is_clinical = CLINICAL.contains(&type_of(after));
                if (is_clinical || BACKGROUND.contains(&type_of(after))) && self.is_about(after, patient) {
                    let mut after = after.clone();
                    meta::set_id(&mut after, &change.target.id);
                    if is_clinical { &mut resources } else { &mut background }.push(after);
                }
            }
        } else {
            let e = &stay.encounter;
            let asks: [Ask; 15] = [
                ("MedicationRequest", "patient", patient.clone()),
                ("MedicationStatement", "patient", patient.clone()),
                ("AllergyIntolerance", "patient", patient.clone()),
                ("Consent", "patient", patient.clone()),
                ("MedicationDispense", "patient", patient.clone()),
                ("MedicationAdministration", "patient", patient.clone()),
                ("List", "patient", patient.clone()),
                ("ServiceRequest", "encounter", e.clone()),
                ("Condition", "patient", patient.clone()),
                ("RelatedPerson", "patient", patient.clone()),
                ("Task", "encounter", e.clone()),
                ("Coverage", "patient", patient.clone()),
                ("Encounter", "patient", patient.clone()),
                ("Observation", "encounter", e.clone()),
                ("Procedure", "encounter", e.clone()),
            ];
            for at in self.desk.referring(&asks).await? {
                let Some(found) = self.desk.peek(&at).cloned() else { continue };
                let of_stay = || element::encounter_of(&found, self.base()).as_ref() == Some(e);
                let stay_named = element::encounter_of(&found, self.base());
                let is_other = |without: bool| stay_named.as_ref().map_or(!without, |named| named != e);
                match type_of(&found) {
                    // What belongs to another stay, and what nobody needs, is nobody's to see.
                    "List" if is_other(list::speaks_of_medicines(&found)) => {}
                    "MedicationAdministration" if is_other(list::is_of_stay(self.programme, stay, &found)) => {}
                    "Condition" if !of_stay() => background.push(found),
                    rtype if BACKGROUND.contains(&rtype) => background.push(found),
                    _ => resources.push(found),
                }
            }
            // What an operation is about to write is on the desk, and no search finds it yet.
            for change in self.changes.iter().filter(|c| c.before.is_none()) {
                let Some(staged) = self.desk.peek(&change.target) else { continue };
                let is_known = || resources.iter().any(|r| element::target_of(r).as_ref() == Some(&change.target));
                if CLINICAL.contains(&type_of(staged)) && self.is_about(staged, patient) && !is_known() {
                    let mut staged = staged.clone();
                    meta::set_id(&mut staged, &change.target.id);
                    resources.push(staged);
                }
            }
        }
        let consents: Vec<Json> = resources.iter().filter(|r| type_of(r) == "Consent").cloned().collect();
        let named = list::named_pharmacies(self.programme, stay, record, &resources.iter().collect::<Vec<_>>());
        let mut named = self.known_organizations(named).await?;
        let mut withheld = self.keep_out(&consents, &mut named).await?;
        let is_named = !named.is_empty();
        if !is_named {
            named = self.candidates_of(stay).await?;
            withheld.extend(self.keep_out(&consents, &mut named).await?);
        }
        // A stay that is protected itself is told to nobody who is not let in.
        let whole = [self.desk.peek(&stay.encounter), Some(record)].into_iter().flatten().any(consent::is_part_2);
        let mut has_part_2 = whole || resources.iter().chain(&background).any(consent::is_part_2);
        let asked = named.len();
        let mut lets_part_2 = has_part_2 && self.lets_part_2(&consents, &resources, &mut named, whole).await?;
        if named.len() < asked {
            withheld.push(stay.encounter.clone());
        }
        let mut held_back = BTreeSet::new();
        if has_part_2 && !lets_part_2 {
            held_back = hold_back(&mut resources, self.base());
            background.retain(|r| !consent::is_part_2(r));
        }
        let mut lines = list::lines(self.programme, stay, &resources.iter().collect::<Vec<_>>());
        // A list may name what no search around the stay finds.
        let around: BTreeSet<Target> = resources.iter().filter_map(element::target_of).collect();
        let others: Vec<Target> =
            lines.lines.iter().map(|e| e.target.clone()).filter(|t| !around.contains(t)).collect();
        self.desk.load(&others).await?;
        let is_labelled = |r: &Self, t: &Target| r.desk.peek(t).is_some_and(consent::is_part_2);
        if !has_part_2 && others.iter().any(|t| is_labelled(self, t)) {
            has_part_2 = true;
            lets_part_2 = self.lets_part_2(&consents, &resources, &mut named, whole).await?;
        }
        let is_hidden = |t: &Target| held_back.contains(t) || (!lets_part_2 && is_labelled(self, t));
        lines.lines.retain(|e| around.contains(&e.target) || !is_hidden(&e.target));
        let (owner, candidates) = match named.as_slice() {
            [one] if is_named => (Some(one.clone()), Vec::new()),
            several => (None, several.to_vec()),
        };
        let hospital = match &stay.hospital {
            Some(at) => self.desk.get(at).await?,
            None => None,
        };
        let patient_at = patient.clone();
        Ok(Scene {
            patient: record.clone(),
            at_patient: patient_at,
            resources,
            lines,
            owner,
            candidates,
            withheld,
            held_back,
            has_part_2,
            is_protected: whole && !lets_part_2,
            background,
            hospital,
            is_new,
            risks: OnceLock::new(),
        })
    }

    /// Whether a resource is about a patient; a Coverage is about its beneficiary.
    fn is_about(&self, resource: &Json, patient: &Target) -> bool {
        let base = self.base();
        let of = element::patient_of(resource, base)
            .or_else(|| element::leads_to_a("Patient", &resource["beneficiary"], base));
        of.as_ref() == Some(patient)
    }

    /// The protocol that a discharge is followed up by, and why that one.
    pub(super) fn chosen(&self, stay: &Stay, scene: &Scene) -> (Arc<Plan>, String) {
        let encounter = self.desk.peek(&stay.encounter);
        let mut case = scene.case(encounter, self.now());
        case.risk = self.risks(stay, scene).iter().collect();
        let chosen = self.programme.choice.of(&case);
        let plan = chosen.as_ref().and_then(|c| self.programme.plans.get(&c.plan)).unwrap_or(&self.programme.follow_up);
        (plan.clone(), chosen.map(|c| c.because).unwrap_or_default())
    }

    /// What the scores come to, as RiskAssessments: of a scene once.
    pub(super) fn risks<'s>(&self, stay: &Stay, scene: &'s Scene) -> &'s [Json] {
        scene.risks.get_or_init(|| {
            let case = scene.case(self.desk.peek(&stay.encounter), self.now());
            let of = |s: &Score| s.assessment(self.programme, &stay.encounter, &scene.at_patient, &case, self.now());
            self.programme.scores.iter().map(of).collect()
        })
    }

    /// Puts the scores on record; answers where, and what they go by: of the same record, other hospitals' stays stay theirs.
    async fn write_risks(&mut self, stay: &Stay, scene: &Scene, org: i64) -> Result<Vec<Target>> {
        let mut out = Vec::new();
        for risk in self.risks(stay, scene) {
            if let Some(target) = element::target_of(risk) {
                self.write(&target, risk.clone(), org).await?;
                out.push(target);
                let basis: Vec<Target> =
                    risk["basis"].items().iter().filter_map(|r| element::leads_to(r, self.base())).collect();
                self.desk.load(&basis).await?;
                out.extend(basis.into_iter().filter(|t| self.desk.org(t) == Some(org)));
            }
        }
        Ok(out)
    }

    /// Tasks that nobody has begun become more urgent when the risk turns out high; never less. What was noted stays.
    async fn hasten(&mut self, plan: &Plan, stay: &Stay, at: &Addresses, scene: &Scene) -> Result<()> {
        let raised = self.raised(stay, scene);
        let now = self.now().to_seconds_text();
        for target in self.tasks_of(&at.plan).await? {
            let waits = |t: &&Json| matches!(t["status"].text(), "requested" | "received" | "accepted");
            let Some(task) = self.desk.peek(&target).filter(waits) else { continue };
            let Some(action) = super::handoff::action_of(task).and_then(|id| plan.action(id)) else { continue };
            let (priority, why) = build::urgency(action, raised.as_deref());
            let rank = |value: &str| PRIORITIES.iter().position(|p| *p == value);
            if rank(&priority) > rank(task["priority"].text()) {
                self.desk.edit(&target, |t| {
                    t.set("priority", priority);
                    build::explain(t, &why);
                    t.set("lastModified", now.as_str());
                });
            }
        }
        Ok(())
    }

    /// Why Tasks are more urgent than the protocol says: a risk that is high.
    fn raised(&self, stay: &Stay, scene: &Scene) -> Option<String> {
        risk::high(self.risks(stay, scene))
    }

    /// Opens the Tasks of all actions that the case calls for and that have none.
    pub(super) async fn open_tasks(&mut self, plan: &Plan, stay: &Stay, at: &Addresses, scene: &Scene) -> Result<()> {
        let encounter = self.desk.get(&stay.encounter).await?;
        let mut case = scene.case(encounter.as_ref(), self.now());
        case.risk = self.risks(stay, scene).iter().collect();
        let called_for: Vec<&str> =
            plan.actions.iter().filter(|a| a.is_called_for(&case)).map(|a| a.id.as_str()).collect();
        let from = stay.end.filter(|_| !plan.is_asked_for()).unwrap_or(self.now());
        for action in called_for {
            self.open_task(plan, action, stay, at, (scene, from)).await?;
        }
        Ok(())
    }

    pub(super) async fn known_organizations(&mut self, mut named: Vec<Target>) -> Result<Vec<Target>> {
        self.desk.load(&named).await?;
        named.retain(|t| self.desk.peek(t).is_some_and(|o| o["active"].as_bool() != Some(false)));
        Ok(named)
    }

    /// Pharmacies that may claim what a stay's hospital discharges: those of the site, else those of the sender.
    pub(super) async fn candidates_of(&mut self, stay: &Stay) -> Result<Vec<Target>> {
        let of_site = self.candidates(stay.site.as_ref()).await?;
        if of_site.is_empty() && stay.hospital != stay.site {
            return self.candidates(stay.hospital.as_ref()).await;
        }
        Ok(of_site)
    }

    /// The stay of an episode on the desk, as it was when it was opened.
    pub(super) async fn stay_of(&mut self, episode: &Json) -> Result<Option<Stay>> {
        let base = self.base().to_string();
        let Some(encounter) = build::index_encounter(episode, &base) else { return Ok(None) };
        let stay = self.desk.get(&encounter).await?.and_then(|e| Stay::of(self.programme, &e));
        Ok(stay.map(|stay| Stay {
            hospital: element::leads_to_a("Organization", &episode["managingOrganization"], &base),
            ..stay
        }))
    }

    /// Pharmacies that may claim what a hospital discharges: its own list, else that of the organisation it is part of.
    pub(super) async fn candidates(&mut self, hospital: Option<&Target>) -> Result<Vec<Target>> {
        let mut next = hospital.cloned();
        for _ in 0..4 {
            let Some(at) = next else { break };
            let Some(organization) = self.desk.get(&at).await? else { break };
            let url = element::extension_url("candidate-pharmacy");
            let mut found: Vec<Target> = organization["extension"]
                .items()
                .iter()
                .filter(|e| e["url"].text() == url)
                .filter_map(|e| element::leads_to_a("Organization", &e["valueReference"], self.base()))
                .collect();
            found.sort();
            found.dedup();
            let found = self.known_organizations(found).await?;
            if !found.is_empty() {
                return Ok(found);
            }
            next = element::leads_to_a("Organization", &organization["partOf"], self.base());
        }
        Ok(Vec::new())
    }

    /// Opens an episode with its care plan, list and Tasks.
    pub(super) async fn open(
        &mut self,
        stay: &Stay,
        at: &Addresses,
        scene: &Scene,
        (plan, because): (&Plan, &str),
        previous: Option<&Target>,
        record: Target,
    ) -> Result<()> {
        let org = self.desk.org(&stay.encounter).unwrap_or_default();
        let patient = &scene.at_patient;
        self.write(&at.episode, build::episode(at, plan, stay, patient, previous), org).await?;
        self.write(&at.plan, build::plan(plan, because, at, stay, patient, self.now()), org).await?;
        let (record_of_list, reconciled) = self.write_list(stay, at, scene, org).await?;
        self.open_tasks(plan, stay, at, scene).await?;
        self.list_alert(stay, at, scene).await?;
        if scene.owner.is_none() && scene.candidates.is_empty() && scene.withheld.is_empty() {
            self.nobody_known(&at.episode, &at.episode, "nobody").await?;
        }
        let mut shown = vec![patient.clone(), stay.encounter.clone(), record];
        shown.extend(self.write_risks(stay, scene, org).await?);
        shown.extend([at.episode.clone(), at.plan.clone(), at.list.clone(), record_of_list]);
        let tasks = self.tasks_of(&at.plan).await?;
        shown.extend(tasks.iter().cloned());
        shown.extend(scene.shown().filter(|r| !element::is_of_programme(r)).filter_map(element::target_of));
        let encounter = self.desk.peek(&stay.encounter).into_iter();
        shown.extend(entries([&scene.patient].into_iter().chain(encounter).chain(scene.shown()), self.base()));
        let episode = self.desk.get(&at.episode).await?.unwrap_or_default();
        self.share_care(&episode, &at.episode.id, &tasks, &shown).await?;
        self.screened(stay, at, scene, &reconciled).await
    }

    /// Opens a Task of an action, unless one is open, or one has been worked to its end - but what is asked for may be asked for
    /// again. Answers whether it did. `from`: what its due time counts from.
    pub(super) async fn open_task(
        &mut self,
        plan: &Plan,
        action: &str,
        stay: &Stay,
        at: &Addresses,
        (scene, from): (&Scene, Instant),
    ) -> Result<bool> {
        let Some(action) = plan.action(action) else { return Ok(false) };
        let org = self.desk.org(&at.episode).unwrap_or_default();
        for nth in 0..MOST_TASKS {
            let target = at.task(self.programme, &action.id, nth);
            self.desk.load(std::slice::from_ref(&target)).await?;
            let stands = self.desk.peek(&target);
            match stands.map(|t| t["status"].text()) {
                None => {
                    // Who cares for the patient goes on with what comes later.
                    let tasks = self.tasks_of(&at.plan).await?;
                    let holder = self.holders(&tasks).into_iter().next();
                    let holder = holder.map(|id| Target::new(crate::fhir::resource::known("Organization"), id));
                    let is_held = holder.is_some();
                    let candidates = if is_held { Vec::new() } else { scene.candidates.clone() };
                    let frame = TaskFrame {
                        programme: self.programme,
                        at,
                        stay,
                        patient: &scene.at_patient,
                        owner: holder.or_else(|| scene.owner.clone()),
                        candidates,
                        is_held,
                        raised: self.raised(stay, scene),
                        now: self.now(),
                    };
                    let intent = plan.intent(action, from);
                    let task = build::task(&frame, plan, action, &intent, nth);
                    self.write(&target, task, org).await?;
                    self.add_activity(&at.plan, &target);
                    self.desk.load(std::slice::from_ref(&at.episode)).await?;
                    let until = self.shared_until(self.desk.peek(&at.episode).unwrap_or(&Json::Null));
                    self.share_offer(&target, until).await?;
                    return Ok(true);
                }
                Some("cancelled") => {}
                _ if plan.is_asked_for() && stands.is_some_and(task::is_final) => {}
                Some(_) => return Ok(false),
            }
        }
        Ok(false)
    }

    /// Lists a Task in its care plan.
    pub(super) fn add_activity(&mut self, plan: &Target, task: &Target) {
        self.desk.edit(plan, |plan| {
            let mut activity = Json::object();
            activity.set("reference", reference(task));
            if !plan["activity"].items().contains(&activity) {
                plan.push("activity", activity);
            }
        });
    }

    /// The Task that asks for a discharge list which was not sent; it goes when the list comes.
    pub(super) async fn list_alert(&mut self, stay: &Stay, at: &Addresses, scene: &Scene) -> Result<bool> {
        let programme = self.programme;
        let plan = &programme.list_not_sent;
        if scene.lines.sent == Sent::Nothing {
            let mut opened = false;
            // Who is in hospital again brings a list of that stay.
            if self.status_of(&at.episode) == "onhold" {
                return Ok(false);
            }
            for action in &plan.actions {
                let left = stay.end.unwrap_or(self.now());
                opened |= self.open_task(plan, &action.id, stay, at, (scene, left)).await?;
            }
            return Ok(opened);
        }
        let now = self.now();
        for target in self.tasks_of(&at.plan).await? {
            let asks = |t: &Json| {
                !task::is_final(t)
                    && element::own_identifier(t, "task")
                        .is_some_and(|v| plan.actions.iter().any(|a| v.split('/').nth(1) == Some(a.id.as_str())))
            };
            let Some(task) = self.desk.peek(&target).filter(|t| asks(t)) else { continue };
            if task::is_started(task) {
                // Who is asking for the list learns that it is here, and ends the Task.
                let arrived = programme.coded("business-status", "list-arrived");
                if task["businessStatus"] != arrived {
                    self.desk.edit(&target, |t| {
                        t.set("businessStatus", arrived);
                        t.set("lastModified", now.to_seconds_text());
                    });
                }
            } else {
                self.desk.edit(&target, |t| build::end_task(programme, t, "cancelled", "list-arrived", now));
                self.desk.records.unshare(&build::offer(&target), None).await?;
            }
        }
        Ok(false)
    }

    /// Medicines, lists or orders of a followed patient changed: the working list, the pharmacy and the shares follow.
    ///
    /// `changed`: what is new to those who care for the patient; `None` for all of it.
    pub(super) async fn refresh(
        &mut self,
        episode: &Target,
        patient: &Target,
        record: &Json,
        changed: Option<&[Target]>,
    ) -> Result<()> {
        let Some(json) = self.desk.get(episode).await? else { return Ok(()) };
        let Some(stay) = self.stay_of(&json).await? else { return Ok(()) };
        let at = self.addresses(episode);
        let org = self.desk.org(episode).unwrap_or_default();
        let scene = self.scene(&stay, patient, record, false).await?;
        let (record_of_list, reconciled) = self.write_list(&stay, &at, &scene, org).await?;
        self.list_alert(&stay, &at, &scene).await?;
        if self.status_of(episode) == "active" {
            // What the new data call for; what they call for no more stays: somebody may be at it.
            let plan = self.programme.plan_of(&json).clone();
            self.open_tasks(&plan, &stay, &at, &scene).await?;
            self.hasten(&plan, &stay, &at, &scene).await?;
        }
        self.hide_held_back(episode, &scene).await?;
        let risks = self.write_risks(&stay, &scene, org).await?;
        let tasks = self.tasks_of(&at.plan).await?;
        self.assign(&tasks, &scene, &json).await?;
        if !scene.withheld.is_empty() {
            self.withhold(episode, &scene, false).await?;
        }
        let related: BTreeSet<Target> = scene.shown().filter_map(element::target_of).collect();
        let mut shown: Vec<Target> = match changed {
            Some(changed) => changed.iter().filter(|t| related.contains(t)).cloned().collect(),
            None => related.into_iter().collect(),
        };
        let is_shown = |r: &&Json| element::target_of(r).is_some_and(|t| shown.contains(&t));
        let around = [&scene.patient].into_iter().chain(self.desk.peek(&stay.encounter));
        let named = entries(scene.shown().filter(is_shown).chain(around), self.base());
        shown.extend(named);
        shown.extend(tasks.iter().cloned());
        shown.push(record_of_list);
        shown.extend(risks);
        debug_assert!(type_of(&scene.patient) == "Patient");
        self.share_care(&json, &at.episode.id, &tasks, &shown).await?;
        self.screened(&stay, &at, &scene, &reconciled).await
    }

    /// Tasks that nobody has taken go to the pharmacy that the data name now.
    pub(super) async fn assign(&mut self, tasks: &[Target], scene: &Scene, episode: &Json) -> Result<()> {
        let programme = self.programme;
        let until = self.shared_until(episode);
        let now = self.now().to_seconds_text();
        for at in tasks {
            let named = scene.owner.as_ref().map(ToString::to_string);
            let open = |t: &Json| {
                let stands = element::own_code(&t["businessStatus"], "business-status");
                let anybody = scene.owner.is_some() || !scene.candidates.is_empty();
                let is_offered =
                    task::owner(t).is_empty() && (stands == Some("offered") || (stands == Some(WITHHELD) && anybody));
                // The one that was named has not answered, and now another is.
                let is_unanswered =
                    stands == Some("not-answered") && named.as_deref().is_some_and(|n| n != task::owner(t));
                t["status"].text() == "requested" && (is_offered || is_unanswered)
            };
            if !self.desk.peek(at).is_some_and(open) {
                continue;
            }
            let before = self.desk.peek(at).cloned();
            let lease_from = self.now();
            self.desk.edit(at, |t| {
                build::offer_to(programme, t, scene.owner.as_ref(), &scene.candidates);
                task::lease_offer(programme, t, lease_from);
            });
            if self.desk.peek(at) != before.as_ref() {
                self.desk.edit(at, |t| t.set("lastModified", now.as_str()));
                self.desk.records.unshare(&build::offer(at), None).await?;
                self.share_offer(at, until).await?;
            }
        }
        Ok(())
    }
}

impl Scene {
    /// What those who care for the patient see of it. A Consent that names who is let in or kept out is the hospital's alone.
    pub(super) fn shown(&self) -> impl Iterator<Item = &Json> {
        self.resources.iter().filter(|r| type_of(r) != "Consent" || !consent::names_somebody(r))
    }

    /// What conditions are asked about.
    pub(super) fn case<'a>(&'a self, encounter: Option<&'a Json>, now: Instant) -> Case<'a> {
        let around = self.background.iter().chain(&self.resources);
        Case::of(encounter, &self.patient, self.hospital.as_ref(), around, self.lines.at_discharge(), now)
    }
}

/// Takes out what is labelled as protected, and the lists that name it; answers what was taken out.
fn hold_back(resources: &mut Vec<Json>, base: &str) -> BTreeSet<Target> {
    let mut held: BTreeSet<Target> =
        resources.iter().filter(|r| consent::is_part_2(r)).filter_map(element::target_of).collect();
    if held.is_empty() {
        return held;
    }
    let names = |list: &Json| {
        let items = list["entry"].items().iter().filter_map(|e| element::leads_to(&e["item"], base));
        type_of(list) == "List" && !element::is_of_programme(list) && items.into_iter().any(|t| held.contains(&t))
    };
    let lists: Vec<Target> = resources.iter().filter(|r| names(r)).filter_map(element::target_of).collect();
    held.extend(lists);
    resources.retain(|r| element::target_of(r).is_none_or(|t| !held.contains(&t)));
    held
}

/// Types that protocols ask about, and that are nobody's else to see.
const BACKGROUND: [&str; 4] = ["Coverage", "Encounter", "Observation", "Procedure"];

/// Types that a scene is made of.
const CLINICAL: [&str; 11] = [
    "AllergyIntolerance",
    "Condition",
    "Consent",
    "List",
    "MedicationAdministration",
    "MedicationDispense",
    "MedicationRequest",
    "MedicationStatement",
    "RelatedPerson",
    "ServiceRequest",
    "Task",
];
