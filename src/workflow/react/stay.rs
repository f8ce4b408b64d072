//! Stays: a discharge opens an episode, a new stay pauses one, a discharge taken back ends it.

use super::{Around, Round};
use crate::error::Result;
use crate::fhir::meta;
use crate::fhir::resource::known;
use crate::fhir::{Json, Target};
use crate::workflow::build::{self, Addresses, TaskFrame};
use crate::workflow::discharge::{Decision, Known, Reason, Stay, decide, is_dead};
use crate::workflow::element::{self, reference, type_of};
use crate::workflow::list::{self, Lines, Sent};
use crate::workflow::protocol::Plan;
use crate::workflow::records::{Ask, Records};
use crate::workflow::task;
use std::collections::BTreeSet;

/// How often one action may be opened anew for one episode.
const MOST_TASKS: usize = 16;

/// What is known around one stay.
struct Scene {
    patient: Json,
    at_patient: Target,
    /// Resources that refer to the patient or the stay.
    resources: Vec<Json>,
    lines: Lines,
    /// The only pharmacy that the data name.
    owner: Option<Target>,
    candidates: Vec<Target>,
}

impl<R: Records> Round<'_, R> {
    /// All that changed around one patient.
    pub(super) async fn patient(&mut self, patient: &Target, around: &Around) -> Result<()> {
        let mut stays: Vec<(Target, Option<Stay>)> = Vec::new();
        self.desk.load(&around.stays).await?;
        for at in &around.stays {
            stays.push((at.clone(), self.desk.peek(at).and_then(|e| Stay::of(self.programme, e))));
        }
        stays.sort_by_key(|(at, s)| (s.as_ref().map(|s| (s.start, s.end)), at.clone()));
        let Some(record) = self.desk.get(patient).await? else { return Ok(()) };
        // A patient who came with this transaction has no past here: nothing to look up.
        let is_new = record["meta"]["versionId"].text() == "1"
            && self.changes.iter().any(|c| c.target == *patient && c.before.is_none());
        let mut episodes = if is_new { Vec::new() } else { self.episodes(patient).await? };
        if stays.is_empty() && !episodes.iter().any(|e| self.is_live(e)) {
            return Ok(());
        }
        let mut opened = BTreeSet::new();
        for (at, stay) in stays {
            match stay {
                Some(stay) if stay.is_discharge() => {
                    self.admitted(&stay, patient, &episodes).await?;
                    if let Some(new) = self.discharged(&stay, patient, &record, is_new, &episodes).await? {
                        opened.insert(new.clone());
                        episodes.push(new);
                    }
                    self.supersede(&stay, &episodes).await?;
                }
                Some(stay) => {
                    self.taken_back(&at, Some(&stay), &episodes).await?;
                    if stay.is_admission() {
                        self.admitted(&stay, patient, &episodes).await?;
                    }
                }
                None => self.taken_back(&at, None, &episodes).await?,
            }
        }
        if around.patient && is_dead(&record, self.now()) {
            self.died(patient, &episodes).await?;
        }
        for episode in episodes {
            if self.is_live(&episode) && !opened.contains(&episode) && !around.clinical.is_empty() {
                self.refresh(&episode, patient, &record, &around.clinical).await?;
            }
        }
        Ok(())
    }

    /// A stay has ended: decides, records the decision, and opens an episode where there is none. Answers the new one.
    async fn discharged(
        &mut self,
        stay: &Stay,
        patient: &Target,
        record: &Json,
        is_new: bool,
        episodes: &[Target],
    ) -> Result<Option<Target>> {
        let base = self.base().to_string();
        let of_stay = |r: &Self, e: &Target| {
            r.desk.peek(e).and_then(|e| build::index_encounter(e, &base)).as_ref() == Some(&stay.encounter)
        };
        let own: Vec<&Target> = episodes.iter().filter(|e| of_stay(self, e)).collect();
        let others: Vec<&Target> =
            episodes.iter().filter(|e| !of_stay(self, e) && self.status_of(e) != "cancelled").collect();
        let live = own.iter().find(|e| self.is_live(e)).map(|e| (*e).clone());
        if live.is_none() && own.iter().any(|e| self.status_of(e) == "finished") {
            return Ok(None); // it has been followed up to its end
        }
        let hospital = stay.hospital.as_ref().map(ToString::to_string).unwrap_or_default();
        let same = |e: &&Target| {
            let hospital_of = self.desk.peek(e).map(|e| e["managingOrganization"]["reference"].text().to_string());
            self.discharged_at(e) == stay.end && hospital_of.as_deref().unwrap_or_default() == hospital
        };
        let mut known = Known {
            patient: Some(record.clone()),
            medicines: usize::MAX,
            is_duplicate: others.iter().any(same),
            has_later_stay: others.iter().any(|e| self.discharged_at(e) > stay.end),
            is_followed: live.is_some(),
        };
        let previous = others.iter().rfind(|e| self.status_of(e) == "onhold").map(|e| (*e).clone());
        // Only a stay that may be followed up is worth reading the lists for.
        let mut decision = decide(self.programme, stay, &known, self.now());
        let mut scene = None;
        if matches!(decision, Decision::Follow { .. }) && live.is_none() {
            let found = self.scene(stay, patient, record, is_new).await?;
            known.medicines = found.lines.at_discharge();
            decision = decide(self.programme, stay, &known, self.now());
            scene = Some(found);
        }
        let at = Addresses::of_stay(self.programme, &stay.encounter, own.len());
        match (decision, live, scene) {
            (Decision::Follow { .. }, None, Some(scene)) => {
                let record = self.decided(stay, &[]).await?;
                self.open(stay, &at, &scene, previous.as_ref(), record).await?;
                Ok(Some(at.episode))
            }
            (Decision::Follow { .. }, ..) => {
                self.decided(stay, &[]).await?;
                Ok(None)
            }
            (Decision::Leave { reasons }, live, _) => {
                self.decided(stay, &reasons).await?;
                if let Some(live) = live {
                    let dead = reasons.iter().any(|r| r.code == "deceased");
                    self.retract(&live, if dead { "deceased" } else { "not-eligible" }).await?;
                }
                Ok(None)
            }
        }
    }

    /// Records the decision about a stay; answers where.
    async fn decided(&mut self, stay: &Stay, reasons: &[Reason]) -> Result<Target> {
        let id = self.programme.id(&["decision", &stay.encounter.id]);
        let at = Target::new(known("Observation"), id);
        let record = build::decision(self.programme, &at.id, stay, reasons, self.now());
        let org = self.desk.org(&stay.encounter).unwrap_or_default();
        self.write(&at, record, org).await?;
        Ok(at)
    }

    /// Sets a resource of ours, what the store wrote into the old one kept out of the comparison.
    async fn write(&mut self, at: &Target, mut json: Json, org: i64) -> Result<()> {
        meta::set_id(&mut json, &at.id);
        self.desk.set(at, json, org).await
    }

    /// Reads what refers to the patient and the stay.
    async fn scene(&mut self, stay: &Stay, patient: &Target, record: &Json, is_new: bool) -> Result<Scene> {
        let mut resources: Vec<Json> = Vec::new();
        if is_new {
            for change in self.changes {
                let Some(after) = &change.after else { continue };
                if CLINICAL.contains(&type_of(after))
                    && element::patient_of(after, self.base()).as_ref() == Some(patient)
                {
                    let mut after = after.clone();
                    meta::set_id(&mut after, &change.target.id);
                    resources.push(after);
                }
            }
        } else {
            let e = &stay.encounter;
            let asks: [Ask; 9] = [
                ("MedicationRequest", "patient", patient.clone()),
                ("MedicationStatement", "patient", patient.clone()),
                ("AllergyIntolerance", "patient", patient.clone()),
                ("MedicationDispense", "patient", patient.clone()),
                ("MedicationAdministration", "context", e.clone()),
                ("List", "encounter", e.clone()),
                ("ServiceRequest", "encounter", e.clone()),
                ("Condition", "encounter", e.clone()),
                ("Task", "encounter", e.clone()),
            ];
            for at in self.desk.referring(&asks).await? {
                resources.extend(self.desk.peek(&at).cloned());
            }
        }
        let refs: Vec<&Json> = resources.iter().collect();
        let lines = list::lines(self.programme, stay, &refs);
        let named = list::named_pharmacies(self.programme, stay, record, &refs);
        let named = self.known_organizations(named).await?;
        let (owner, candidates) = match named.as_slice() {
            [one] => (Some(one.clone()), Vec::new()),
            [] => (None, self.candidates(stay.hospital.as_ref()).await?),
            several => (None, several.to_vec()),
        };
        Ok(Scene { patient: record.clone(), at_patient: patient.clone(), resources, lines, owner, candidates })
    }

    async fn known_organizations(&mut self, mut named: Vec<Target>) -> Result<Vec<Target>> {
        self.desk.load(&named).await?;
        named.retain(|t| self.desk.peek(t).is_some_and(|o| o["active"].as_bool() != Some(false)));
        Ok(named)
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
    async fn open(
        &mut self,
        stay: &Stay,
        at: &Addresses,
        scene: &Scene,
        previous: Option<&Target>,
        record: Target,
    ) -> Result<()> {
        let org = self.desk.org(&stay.encounter).unwrap_or_default();
        let programme = self.programme;
        let patient = &scene.at_patient;
        self.write(&at.episode, build::episode(at, stay, patient, previous), org).await?;
        self.write(&at.plan, build::plan(programme, at, stay, patient, self.now()), org).await?;
        self.write(&at.list, build::list(programme, at, stay, patient, &scene.lines), org).await?;
        for action in &programme.follow_up.actions {
            self.open_task(&programme.follow_up, &action.id, stay, at, scene).await?;
        }
        self.list_alert(stay, at, scene).await?;
        let mut shown = vec![patient.clone(), stay.encounter.clone(), record];
        shown.extend([at.episode.clone(), at.plan.clone(), at.list.clone()]);
        let tasks = self.tasks_of(&at.plan).await?;
        shown.extend(tasks.iter().cloned());
        shown.extend(scene.resources.iter().filter(|r| !element::is_of_programme(r)).filter_map(element::target_of));
        let episode = self.desk.get(&at.episode).await?.unwrap_or_default();
        self.share_care(&episode, &at.episode.id, &tasks, &shown).await
    }

    /// Opens a Task of an action, unless one is open, or one has been worked to its end. Answers whether it did.
    async fn open_task(
        &mut self,
        plan: &Plan,
        action: &str,
        stay: &Stay,
        at: &Addresses,
        scene: &Scene,
    ) -> Result<bool> {
        let Some(action) = plan.action(action) else { return Ok(false) };
        let org = self.desk.org(&at.episode).unwrap_or_default();
        for nth in 0..MOST_TASKS {
            let target = at.task(self.programme, &action.id, nth);
            match self.desk.get(&target).await? {
                None => {
                    let frame = TaskFrame {
                        programme: self.programme,
                        at,
                        stay,
                        patient: &scene.at_patient,
                        owner: scene.owner.clone(),
                        candidates: scene.candidates.clone(),
                        now: self.now(),
                    };
                    let intent = plan.intent(action, stay.end.unwrap_or(self.now()));
                    let task = build::task(&frame, plan, action, &intent, nth);
                    self.write(&target, task, org).await?;
                    self.add_activity(&at.plan, &target);
                    let episode = self.desk.get(&at.episode).await?.unwrap_or_default();
                    let until = self.shared_until(&episode);
                    self.share_offer(&target, until).await?;
                    return Ok(true);
                }
                Some(task) if task["status"].text() == "cancelled" => {}
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
    async fn list_alert(&mut self, stay: &Stay, at: &Addresses, scene: &Scene) -> Result<bool> {
        let programme = self.programme;
        let plan = &programme.list_not_sent;
        if scene.lines.sent == Sent::Nothing {
            let mut opened = false;
            for action in &plan.actions {
                opened |= self.open_task(plan, &action.id, stay, at, scene).await?;
            }
            return Ok(opened);
        }
        let now = self.now();
        for target in self.tasks_of(&at.plan).await? {
            let waits = |t: &Json| {
                !task::is_final(t)
                    && !task::is_started(t)
                    && element::own_identifier(t, "task")
                        .is_some_and(|v| plan.actions.iter().any(|a| v.split('/').nth(1) == Some(a.id.as_str())))
            };
            if self.desk.peek(&target).is_some_and(waits) {
                self.desk.edit(&target, |t| build::end_task(programme, t, "cancelled", "list-arrived", now));
                self.desk.records.unshare(&build::offer(&target), None).await?;
            }
        }
        Ok(false)
    }

    /// Medicines, lists or orders of a followed patient changed: the working list, the pharmacy and the shares follow.
    async fn refresh(&mut self, episode: &Target, patient: &Target, record: &Json, changed: &[Target]) -> Result<()> {
        let base = self.base().to_string();
        let Some(json) = self.desk.get(episode).await? else { return Ok(()) };
        let Some(encounter) = build::index_encounter(&json, &base) else { return Ok(()) };
        let Some(stay) = self.desk.get(&encounter).await?.and_then(|e| Stay::of(self.programme, &e)) else {
            return Ok(());
        };
        let at = self.addresses(episode);
        let org = self.desk.org(episode).unwrap_or_default();
        let scene = self.scene(&stay, patient, record, false).await?;
        self.write(&at.list, build::list(self.programme, &at, &stay, &scene.at_patient, &scene.lines), org).await?;
        self.list_alert(&stay, &at, &scene).await?;
        let tasks = self.tasks_of(&at.plan).await?;
        self.assign(&tasks, &scene, &json).await?;
        let related: BTreeSet<Target> = scene.resources.iter().filter_map(element::target_of).collect();
        let mut shown: Vec<Target> = changed.iter().filter(|t| related.contains(t)).cloned().collect();
        shown.extend(tasks.iter().cloned());
        debug_assert!(type_of(&scene.patient) == "Patient");
        self.share_care(&json, &at.episode.id, &tasks, &shown).await
    }

    /// Tasks that nobody has taken go to the pharmacy that the data name now.
    async fn assign(&mut self, tasks: &[Target], scene: &Scene, episode: &Json) -> Result<()> {
        let programme = self.programme;
        let until = self.shared_until(episode);
        let now = self.now().to_seconds_text();
        for at in tasks {
            let open = |t: &Json| {
                t["status"].text() == "requested"
                    && task::owner(t).is_empty()
                    && element::own_code(&t["businessStatus"], "business-status") == Some("offered")
            };
            if !self.desk.peek(at).is_some_and(open) {
                continue;
            }
            let before = self.desk.peek(at).cloned();
            self.desk.edit(at, |t| build::offer_to(programme, t, scene.owner.as_ref(), &scene.candidates));
            if self.desk.peek(at) != before.as_ref() {
                self.desk.edit(at, |t| t.set("lastModified", now.as_str()));
                self.desk.records.unshare(&build::offer(at), None).await?;
                self.share_offer(at, until).await?;
            }
        }
        Ok(())
    }

    /// The patient is in hospital again: what has not begun is cancelled, what has begun waits.
    async fn admitted(&mut self, stay: &Stay, patient: &Target, episodes: &[Target]) -> Result<()> {
        let Some(start) = stay.start.filter(|_| self.programme.criteria.followed.contains(&stay.class)) else {
            return Ok(());
        };
        for episode in episodes {
            let (Some(json), Some(left)) = (self.desk.peek(episode).cloned(), self.discharged_at(episode)) else {
                continue;
            };
            let same = build::index_encounter(&json, self.base()).as_ref() == Some(&stay.encounter);
            // A date without a time counts until its end: the same day is no contradiction.
            let is_after = self.programme.calendar.days_between(left, start) > 0 || start >= left;
            if same || !is_after || json["status"].text() != "active" {
                continue;
            }
            let at = self.addresses(episode);
            self.end_tasks(&at.plan, "readmitted", "on-hold", None).await?;
            let now = self.now();
            let encounter = &stay.encounter;
            self.desk.edit(episode, |e| {
                build::move_episode(e, "onhold", now);
                let url = element::extension_url("paused-by");
                let paused = serde_json::json!({"url": url, "valueReference": {"reference": encounter.to_string()}});
                e.push("extension", Json::from(paused));
            });
            self.desk.edit(&at.plan, |p| p.set("status", "on-hold"));
            let days = self.programme.calendar.days_between(left, start);
            let (first, last) = self.programme.criteria.readmission_days;
            let transfer = days == 0
                && stay.hospital.as_ref().map(ToString::to_string).as_deref()
                    == json["managingOrganization"]["reference"].as_str();
            if (first..=last).contains(&days) && !transfer {
                let flag = self.flag_at(episode, encounter);
                let org = self.desk.org(episode).unwrap_or_default();
                self.write(&flag, build::flag(self.programme, &flag.id, stay, patient, days), org).await?;
                let tasks = self.tasks_of(&at.plan).await?;
                self.share_care(&json, &episode.id, &tasks, &[flag, encounter.clone()]).await?;
            }
        }
        Ok(())
    }

    fn flag_at(&self, episode: &Target, encounter: &Target) -> Target {
        Target::new(known("Flag"), self.programme.id(&["flag", &episode.id, &encounter.id]))
    }

    /// A later stay has ended: episodes that it paused are over; what comes now counts from the last discharge.
    async fn supersede(&mut self, stay: &Stay, episodes: &[Target]) -> Result<()> {
        for episode in episodes {
            if self.status_of(episode) == "onhold" && self.paused_by(episode).as_ref() == Some(&stay.encounter) {
                let at = self.addresses(episode);
                self.end_tasks(&at.plan, "readmitted", "failed", None).await?;
                let now = self.now();
                self.desk.edit(episode, |e| build::move_episode(e, "finished", now));
                self.desk.edit(&at.plan, |p| p.set("status", "revoked"));
            }
        }
        Ok(())
    }

    fn paused_by(&self, episode: &Target) -> Option<Target> {
        let extension = element::extension(self.desk.peek(episode)?, "paused-by")?;
        element::leads_to_a("Encounter", &extension["valueReference"], self.base())
    }

    /// A stay is no discharge (any more): its episode ends. Where it never was, an episode that it paused goes on.
    async fn taken_back(&mut self, encounter: &Target, stay: Option<&Stay>, episodes: &[Target]) -> Result<()> {
        for episode in episodes {
            let Some(json) = self.desk.peek(episode).cloned() else { continue };
            if build::index_encounter(&json, self.base()).as_ref() == Some(encounter) && self.is_live(episode) {
                self.retract(episode, "discharge-cancelled").await?;
                if let Some(stay) = stay {
                    let reason = Reason { criterion: "episode", code: "cancelled".into() };
                    self.decided(stay, &[reason]).await?;
                }
            }
            let is_void = stay.is_none_or(Stay::is_void);
            if is_void && self.status_of(episode) == "onhold" && self.paused_by(episode).as_ref() == Some(encounter) {
                self.resume(episode, encounter).await?;
            }
        }
        Ok(())
    }

    /// The new stay never was: the episode goes on with new Tasks in place of the cancelled ones.
    async fn resume(&mut self, episode: &Target, encounter: &Target) -> Result<()> {
        let now = self.now();
        self.desk.edit(episode, |e| {
            build::move_episode(e, "active", now);
            let url = element::extension_url("paused-by");
            let kept = e["extension"].items().iter().filter(|x| x["url"].text() != url).cloned().collect();
            e.set("extension", Json::Array(kept));
        });
        let at = self.addresses(episode);
        self.desk.load(std::slice::from_ref(&at.plan)).await?;
        self.desk.edit(&at.plan, |p| p.set("status", "active"));
        let flag = self.flag_at(episode, encounter);
        self.desk.load(std::slice::from_ref(&flag)).await?;
        self.desk.edit(&flag, |f| f.set("status", "entered-in-error"));
        let base = self.base().to_string();
        let Some(json) = self.desk.get(episode).await? else { return Ok(()) };
        let index = build::index_encounter(&json, &base);
        let Some(index) = index else { return Ok(()) };
        let Some(stay) = self.desk.get(&index).await?.and_then(|e| Stay::of(self.programme, &e)) else { return Ok(()) };
        let Some(patient) = stay.patient.clone() else { return Ok(()) };
        let Some(record) = self.desk.get(&patient).await? else { return Ok(()) };
        let scene = self.scene(&stay, &patient, &record, false).await?;
        let programme = self.programme;
        for action in &programme.follow_up.actions {
            self.open_task(&programme.follow_up, &action.id, &stay, &at, &scene).await?;
        }
        let tasks = self.tasks_of(&at.plan).await?;
        self.share_care(&json, &episode.id, &tasks, &tasks.clone()).await
    }

    /// An episode ends because the discharge is not one to follow up (any more).
    async fn retract(&mut self, episode: &Target, reason: &str) -> Result<()> {
        let at = self.addresses(episode);
        self.end_tasks(&at.plan, reason, "failed", None).await?;
        let now = self.now();
        self.desk.edit(episode, |e| build::move_episode(e, "cancelled", now));
        self.desk.edit(&at.plan, |p| p.set("status", "revoked"));
        self.desk.load(std::slice::from_ref(&at.list)).await?;
        self.desk.edit(&at.list, |l| l.set("status", "retired"));
        Ok(())
    }

    /// The patient has died: nobody calls any more.
    async fn died(&mut self, patient: &Target, episodes: &[Target]) -> Result<()> {
        let now = self.now();
        for episode in episodes.iter().filter(|e| self.is_live(e)).cloned().collect::<Vec<_>>() {
            let at = self.addresses(&episode);
            self.end_tasks(&at.plan, "deceased", "failed", None).await?;
            self.desk.edit(&episode, |e| build::move_episode(e, "finished", now));
            self.desk.edit(&at.plan, |p| p.set("status", "revoked"));
        }
        self.withdraw_problems(patient).await
    }
}

/// Types that a scene is made of.
const CLINICAL: [&str; 9] = [
    "AllergyIntolerance",
    "Condition",
    "List",
    "MedicationAdministration",
    "MedicationDispense",
    "MedicationRequest",
    "MedicationStatement",
    "ServiceRequest",
    "Task",
];
