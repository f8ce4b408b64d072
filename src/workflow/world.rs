//! A small world for tests: a hospital, two pharmacies, their people, and records in memory behind the real doors.

use super::records::Records;
use super::records::memory::Memory;
use super::{Change, Programme, guard, operation, react, stamp};
use crate::access::{Ctx, Principal, Role};
use crate::clock::Instant;
use crate::error::Result;
use crate::fhir::meta;
use crate::fhir::{Json, Target};
use serde_json::{Value, json};
use std::future::Future;
use std::sync::Arc;

/// The world.
#[derive(Clone)]
pub struct World {
    pub programme: Arc<Programme>,
    pub memory: Memory,
    pub now: Instant,
    requests: usize,
}

/// Wednesday before Thanksgiving, the afternoon in New York.
pub const NOW: &str = "2026-11-25T21:00:00Z";
/// An hour before.
pub const DISCHARGED: &str = "2026-11-25T20:00:00Z";

pub fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

pub fn target(text: &str) -> Target {
    Target::parse(text).unwrap()
}

/// (name, role, organisation, practitioner).
const PEOPLE: [(&str, Role, Option<&str>, bool); 10] = [
    ("hospital", Role::HospitalSystem, Some("lakeside"), false),
    ("elm", Role::PharmacySystem, Some("elm"), false),
    ("harbour", Role::PharmacySystem, Some("harbour"), false),
    ("mara", Role::Technician, Some("elm"), true),
    ("jonas", Role::Pharmacist, Some("elm"), true),
    ("tomas", Role::Technician, Some("harbour"), true),
    ("ines", Role::Pharmacist, Some("harbour"), true),
    ("root", Role::Admin, None, false),
    ("super", Role::SuperUser, None, false),
    ("doctor", Role::Prescriber, Some("lakeside"), true),
];

impl World {
    /// Without screening: most stories are about what people find.
    pub fn new() -> Self {
        let mut programme = Programme::for_tests();
        programme.screening = Arc::default();
        Self::of(programme)
    }

    /// With the built-in screening rules.
    pub fn screening() -> Self {
        Self::of(Programme::for_tests())
    }

    pub fn of(programme: Programme) -> Self {
        let mut world = Self {
            programme: Arc::new(programme),
            memory: Memory::default(),
            now: Instant::parse(NOW).unwrap(),
            requests: 0,
        };
        let candidate = |id: &str| json!({"url": "http://baton.example/fhir/StructureDefinition/candidate-pharmacy", "valueReference": {"reference": format!("Organization/{id}")}});
        for organization in [
            json!({"resourceType": "Organization", "id": "lakeside", "name": "Lakeside", "extension": [candidate("elm"), candidate("harbour")]}),
            json!({"resourceType": "Organization", "id": "elm", "name": "Elm Street"}),
            json!({"resourceType": "Organization", "id": "harbour", "name": "Harbour"}),
        ] {
            world.memory.client(organization.into(), 0);
        }
        world
    }

    pub fn ctx(&self, name: &str) -> Ctx {
        let (name, role, org, is_person) = PEOPLE.iter().find(|(n, ..)| *n == name).unwrap();
        let principal = Principal {
            role: *role,
            org: org.map(String::from),
            practitioner: is_person.then(|| format!("Practitioner/{name}")),
            user: Some((*name).into()),
            ..Principal::super_user()
        };
        Ctx {
            principal: Arc::new(principal),
            now: self.now,
            request_id: format!("r{}", self.requests).into(),
            base: "http://127.0.0.1:8080/fhir".into(),
            address: None,
        }
    }

    /// Writes resources as one transaction, as the engine would; nothing is kept when it fails. A resource without content
    /// but type and id is deleted.
    pub fn write(&mut self, who: &str, resources: Vec<Value>) -> Result<()> {
        self.requests += 1;
        let ctx = self.ctx(who);
        let saved = self.memory.clone();
        let programme = self.programme.clone();
        let memory = &mut self.memory;
        let result = (|| {
            let mut changes = Vec::new();
            for resource in resources {
                let deletes = resource.as_object().unwrap().len() == 2;
                let mut after: Json = resource.into();
                let at = super::element::target_of(&after).unwrap();
                let before = memory.held.get(&at).cloned();
                let json = before.as_ref().map(|h| h.json.clone());
                if deletes {
                    guard(&ctx, &programme, json.as_ref(), None)?;
                    memory.held.remove(&at);
                    changes.push(Change { target: at, before: json, after: None });
                    continue;
                }
                guard(&ctx, &programme, json.as_ref(), Some(&after))?;
                stamp(&ctx, &programme, json.as_ref(), &mut after);
                let org = ctx.principal.org.as_ref().map_or(99, |o| memory.keys().org(o));
                let version = before.as_ref().map_or(1, |h| h.version + 1);
                let mut stored = after.clone();
                let mut meta = stored.get("meta").cloned().unwrap_or_else(Json::object);
                meta.set("versionId", version.to_string());
                stored.set("meta", meta);
                memory.client(stored, before.map_or(org, |h| h.org));
                changes.push(Change { target: at, before: json, after: Some(after) });
            }
            wait(react::run(&ctx, memory, &programme, &changes))
        })();
        if result.is_err() {
            self.memory = saved;
        }
        result
    }

    /// Changes one resource.
    pub fn change(&mut self, who: &str, at: &Target, with: impl FnOnce(&mut Json)) -> Result<()> {
        let mut json = self.memory.held[at].json.clone();
        with(&mut json);
        meta::clear(&mut json);
        let text = String::from_utf8(json.to_bytes()).unwrap();
        self.write(who, vec![serde_json::from_str(&text).unwrap()])
    }

    fn operate<F>(&mut self, who: &str, call: F) -> Result<Json>
    where
        F: AsyncFnOnce(&Ctx, &mut Memory, &Programme) -> Result<Json>,
    {
        self.requests += 1;
        let ctx = self.ctx(who);
        let saved = self.memory.clone();
        let programme = self.programme.clone();
        let result = wait(call(&ctx, &mut self.memory, &programme));
        if result.is_err() {
            self.memory = saved;
        }
        result
    }

    pub fn claim(&mut self, who: &str, at: &Target, version: Option<i64>) -> Result<Json> {
        self.operate(who, async |ctx, memory, programme| {
            operation::claim_in(ctx, memory, programme, &at.id, None, version).await
        })
    }

    pub fn claim_now(&mut self, who: &str, at: &Target) -> Result<Json> {
        let version = self.memory.held[at].version;
        self.claim(who, at, Some(version))
    }

    pub fn release(&mut self, who: &str, at: &Target) -> Result<Json> {
        self.operate(who, async |ctx, memory, programme| {
            operation::release_in(ctx, memory, programme, &at.id, None, None).await
        })
    }

    /// As the worker does when the time of a claim or an offer is over.
    pub fn lapse(&mut self, at: &Target) -> Result<Json> {
        let code = if self.status(at) == "requested" { "offer-ended" } else { "lease-ended" };
        let concept =
            json!({"coding": [{"system": "http://baton.example/fhir/CodeSystem/task-status-reason", "code": code}]});
        let params = parameters(json!([{"name": "reason", "valueCodeableConcept": concept}]));
        self.operate("super", async |ctx, memory, programme| {
            operation::release_in(ctx, memory, programme, &at.id, Some(&params), None).await
        })
    }

    pub fn attempt(&mut self, who: &str, at: &Target, params: Value) -> Result<Json> {
        let params: Json = parameters(params);
        self.operate(who, async |ctx, memory, programme| {
            operation::attempt_in(ctx, memory, programme, &at.id, Some(&params), None).await
        })
    }

    pub fn resolve(&mut self, who: &str, at: &Target, params: Value) -> Result<Json> {
        let params: Json = parameters(params);
        self.operate(who, async |ctx, memory, programme| {
            operation::resolve_in(ctx, memory, programme, &at.id, Some(&params), None).await
        })
    }

    pub fn extract(&mut self, who: &str, id: &str) -> Result<Json> {
        self.operate(who, async |ctx, memory, programme| operation::extract_in(ctx, memory, programme, id, None).await)
    }

    /// `$reconcile` of the only stay.
    pub fn reconcile(&mut self, who: &str, writes: bool) -> Result<Json> {
        self.operate(who, async |ctx, memory, programme| {
            let preview = parameters(json!([{"name": "preview", "valueBoolean": !writes}]));
            operation::reconcile_in(ctx, memory, programme, "e", Some(&preview)).await
        })
    }

    /// `$screen` of the only stay.
    pub fn screen(&mut self, who: &str, writes: bool) -> Result<Json> {
        self.operate(who, async |ctx, memory, programme| {
            let preview = parameters(json!([{"name": "preview", "valueBoolean": !writes}]));
            operation::screen_in(ctx, memory, programme, &target("Encounter/e"), Some(&preview)).await
        })
    }

    /// `$escalate`.
    pub fn escalate(&mut self, who: &str, at: &Target) -> Result<Json> {
        self.operate(who, async |ctx, memory, programme| operation::escalate_in(ctx, memory, programme, at, None).await)
    }

    /// `$handoff-report` by POST.
    pub fn prepare_report(&mut self, who: &str, report: &super::report::Report, attests: bool) -> Result<Json> {
        self.operate(who, async |ctx, memory, programme| {
            operation::prepare_report_in(ctx, memory, programme, report, attests).await
        })
    }

    /// The Task of an action of the only episode.
    pub fn task(&self, code: &str) -> Target {
        let is = |j: &Json| j["code"]["coding"][0]["code"].text() == code;
        let found: Vec<&Target> = self
            .memory
            .held
            .iter()
            .filter(|(t, h)| t.rtype.as_str() == "Task" && is(&h.json))
            .map(|(t, _)| t)
            .collect();
        assert_eq!(found.len(), 1, "one Task {code}");
        found[0].clone()
    }

    pub fn json(&self, at: &Target) -> &Json {
        &self.memory.held[at].json
    }

    pub fn status(&self, at: &Target) -> &str {
        self.json(at)["status"].text()
    }

    /// (code, status) of all Tasks, sorted.
    pub fn tasks(&self) -> Vec<(String, String)> {
        let mut out: Vec<(String, String)> = self
            .memory
            .all("Task")
            .iter()
            .map(|t| (t["code"]["coding"][0]["code"].text().to_string(), t["status"].text().to_string()))
            .collect();
        out.sort();
        out
    }

    /// Statuses of all episodes, sorted.
    pub fn episodes(&self) -> Vec<String> {
        let mut out: Vec<String> =
            self.memory.all("EpisodeOfCare").iter().map(|e| e["status"].text().to_string()).collect();
        out.sort();
        out
    }

    /// Reasons of the recorded decisions, sorted.
    pub fn reasons(&self) -> Vec<String> {
        let records = self.memory.all("Observation");
        let components = records.iter().flat_map(|o| o["component"].items());
        let mut out: Vec<String> =
            components.map(|c| c["valueCodeableConcept"]["coding"][0]["code"].text().to_string()).collect();
        out.sort();
        out
    }

    /// What an organisation may see by shares.
    pub fn sees(&self, org: &str, at: &Target) -> bool {
        let key = self.memory.keys().org(org);
        self.memory.shares.keys().any(|(o, t, _)| *o == key && t == at)
    }

    /// A discharged adult with one home and one discharge medicine.
    pub fn with_discharge() -> Self {
        let mut world = Self::new();
        world.write("hospital", discharge()).unwrap();
        world
    }

    /// The same, its first call claimed by Elm Street and begun by Mara.
    pub fn with_call() -> (Self, Target) {
        let mut world = Self::with_discharge();
        let call = world.task("first-call");
        world.claim_now("elm", &call).unwrap();
        world.attempt("mara", &call, json!([{"name": "outcome", "valueCode": "reached"}])).unwrap();
        (world, call)
    }

    /// The same, a problem reported by Mara.
    pub fn with_problem() -> (Self, Target) {
        let (mut world, _) = Self::with_call();
        world.write("mara", vec![problem()]).unwrap();
        (world, target("DetectedIssue/d"))
    }

    /// Both.
    pub fn with_problem_and_call() -> (Self, Target) {
        let (mut world, call) = Self::with_call();
        world.write("mara", vec![problem()]).unwrap();
        (world, call)
    }
}

fn parameters(list: Value) -> Json {
    json!({"resourceType": "Parameters", "parameter": list}).into()
}

pub fn patient() -> Value {
    json!({"resourceType": "Patient", "id": "p", "birthDate": "1949-01-30"})
}

pub fn encounter() -> Value {
    json!({
        "resourceType": "Encounter", "id": "e", "status": "finished",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP"},
        "subject": {"reference": "Patient/p"},
        "period": {"start": "2026-11-22T08:00:00Z", "end": DISCHARGED},
        "hospitalization": {"dischargeDisposition": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/discharge-disposition", "code": "home"}]}},
        "serviceProvider": {"reference": "Organization/lakeside"},
    })
}

pub fn home_medicine() -> Value {
    json!({
        "resourceType": "MedicationStatement", "id": "home", "status": "active",
        "category": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/medication-statement-category", "code": "community"}]},
        "medicationCodeableConcept": {"text": "metoprolol tartrate 25 MG Oral Tablet"},
        "subject": {"reference": "Patient/p"},
    })
}

pub fn prescription(id: &str, pharmacy: Option<&str>) -> Value {
    let mut out = json!({
        "resourceType": "MedicationRequest", "id": id, "status": "active", "intent": "order",
        "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/medicationrequest-category", "code": "discharge"}]}],
        "medicationCodeableConcept": {"text": format!("{id} 100 MG")},
        "subject": {"reference": "Patient/p"},
        "encounter": {"reference": "Encounter/e"},
        "authoredOn": DISCHARGED,
    });
    if let Some(pharmacy) = pharmacy {
        out["dispenseRequest"] = json!({"performer": {"reference": format!("Organization/{pharmacy}")}});
    }
    out
}

pub fn discharge() -> Vec<Value> {
    vec![patient(), encounter(), home_medicine(), prescription("m", None)]
}

pub fn problem() -> Value {
    json!({
        "resourceType": "DetectedIssue", "id": "d", "status": "preliminary", "severity": "moderate",
        "code": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "DUPTHPGEN"}]},
        "patient": {"reference": "Patient/p"}, "identifiedDateTime": "2026-11-25T20:55:00Z",
        "author": {"reference": "Practitioner/mara"}, "implicated": [{"reference": "MedicationRequest/m"}],
        "evidence": [{"detail": [{"reference": "MedicationStatement/home"}]}],
        "detail": "Two kinds of metoprolol are taken together.",
    })
}

pub fn decision() -> Value {
    json!([
        {"name": "resolution", "valueCode": "resolved"},
        {"name": "mitigation", "valueCodeableConcept": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "13"}]}},
        {"name": "note", "valueString": "Tartrate stopped."},
        {"name": "evidence", "valueReference": {"reference": "MedicationRequest/m"}},
    ])
}
