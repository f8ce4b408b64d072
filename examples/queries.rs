//! Twenty named queries over a database that grows: p50 and p95 of each, as a markdown table.
//!
//!     cargo run --release --example queries -- URL [SIZES [ROUNDS]]
//!
//! URL as `--database-url`, a database for this alone; SIZES such as `10000,100000,1000000` (the default), in resources;
//! ROUNDS how often each query is asked (200). The database is filled to the first size, measured, filled on to the next.
//! Filling goes straight through the store, 1,000 resources a work, and goes on where it was cut off; the same number gives
//! the same resources on every machine. Queries pass the one door in this process, without HTTP: what is measured is
//! reading the query, SQL and assembling the page.
//!
//! What is in it: 25 resources a patient - Patient, EpisodeOfCare, CarePlan, 2 Encounters, 6 MedicationRequests,
//! 2 MedicationStatements, 7 Observations, 4 Tasks, DetectedIssue - owned by one of four hospitals and shared with one of
//! forty pharmacies; a quarter of the Tasks has no owner yet and is offered to two of them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a measuring program"
)]

use baton::access::{Ctx, Limit, Principal, Role};
use baton::cli::open;
use baton::clock::Instant as Clock;
use baton::config::{AuthMode, Settings};
use baton::error::Result;
use baton::fhir::json::parse;
use baton::fhir::meta::Stampable;
use baton::fhir::{Json, ResourceType, Target};
use baton::interaction::{Engine, Verb, Wire, route};
use baton::search::{Env, Keys, Registry, Rows};
use baton::store::{Audit, Method, Put, Share, Store, Tx, Work};
use futures_util::future::BoxFuture;
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const HOSPITALS: usize = 4;
const PHARMACIES: usize = 40;
const PEOPLE: usize = 200;
/// Resources of one patient, patients of one work.
const UNIT: usize = 25;
const UNITS: usize = 40;
const FAMILIES: [&str; 20] = [
    "Haddad",
    "Okafor",
    "Lindqvist",
    "Marsh",
    "Nguyen",
    "Costa",
    "Petrov",
    "Ito",
    "Dubois",
    "Khan",
    "Rossi",
    "Novak",
    "Silva",
    "Jansen",
    "Moreau",
    "Weber",
    "Kowalski",
    "Santos",
    "Ali",
    "Berg",
];
const GIVEN: [&str; 10] = ["Ada", "Noor", "Elias", "Mina", "Jonas", "Rosa", "Tomas", "Ines", "Karl", "Lea"];
const DRUGS: [(&str, &str); 8] = [
    ("860975", "metformin"),
    ("314076", "lisinopril"),
    ("197361", "amlodipine"),
    ("866924", "metoprolol"),
    ("617314", "atorvastatin"),
    ("855332", "warfarin"),
    ("310798", "hydrochlorothiazide"),
    ("198211", "simvastatin"),
];
const LABS: [(&str, &str, &str); 7] = [
    ("8480-6", "mm[Hg]", "Systolic blood pressure"),
    ("8462-4", "mm[Hg]", "Diastolic blood pressure"),
    ("8867-4", "/min", "Heart rate"),
    ("29463-7", "kg", "Body weight"),
    ("2160-0", "mg/dL", "Creatinine"),
    ("4548-4", "%", "Hemoglobin A1c"),
    ("6298-4", "mmol/L", "Potassium"),
];

/// The day that everything is counted back from: 2026-11-25.
fn day(back: usize) -> String {
    let today = jiff::civil::date(2026, 11, 25);
    (today - jiff::Span::new().days(i64::try_from(back).unwrap())).to_string()
}

/// The n-th of a sequence that looks like chance and is the same everywhere.
fn mix(n: usize) -> usize {
    let mut x = (n as u64).wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    usize::try_from((x ^ (x >> 31)) >> 16).unwrap()
}

fn pharmacy_of(unit: usize) -> usize {
    mix(unit * 7 + 1) % PHARMACIES
}

fn concept(system: &str, code: &str, text: &str) -> Value {
    json!({"coding": [{"system": system, "code": code, "display": text}], "text": text})
}

/// Organisations and people: the directory.
fn directory() -> Vec<Value> {
    let org = |id: String, kind: &str| json!({"resourceType": "Organization", "id": id, "active": true, "name": format!("{kind} {id}")});
    let mut out: Vec<Value> = (0..HOSPITALS).map(|n| org(format!("hospital-{n}"), "Hospital")).collect();
    out.extend((0..PHARMACIES).map(|n| org(format!("pharmacy-{n}"), "Pharmacy")));
    out.extend((0..PEOPLE).map(|n| {
        json!({"resourceType": "Practitioner", "id": format!("person-{n}"), "name": [{"family": FAMILIES[n % 20], "given": [GIVEN[n % 10]]}]})
    }));
    out
}

/// The 25 resources of one patient.
fn unit(u: usize) -> Vec<Value> {
    let r = |salt: usize| mix(u * 31 + salt);
    let (patient, back) = (json!({"reference": format!("Patient/p{u}")}), r(2) % 365);
    let hospital = json!({"reference": format!("Organization/hospital-{}", u % HOSPITALS)});
    let person = |salt: usize| json!({"reference": format!("Practitioner/person-{}", r(salt) % PEOPLE)});
    let is_over = back > 45;
    let mut out = vec![
        json!({"resourceType": "Patient", "id": format!("p{u}"), "active": true, "managingOrganization": hospital,
            "identifier": [{"system": "http://hospital.example/mrn", "value": format!("MRN{u:08}")}],
            "name": [{"use": "official", "family": FAMILIES[r(3) % 20], "given": [GIVEN[r(4) % 10], GIVEN[r(5) % 10]]}],
            "telecom": [{"system": "phone", "value": format!("555-{:07}", u)}], "gender": if u.is_multiple_of(2) { "female" } else { "male" },
            "birthDate": format!("{}-{:02}-{:02}", 1930 + r(6) % 70, 1 + r(7) % 12, 1 + r(8) % 28),
            "address": [{"line": [format!("{} Main Street", r(9) % 900)], "city": (["Lakeside", "Northgate", "Elmwood", "Harbour"][r(10) % 4]), "postalCode": format!("{:05}", r(11) % 99999)}]}),
        json!({"resourceType": "EpisodeOfCare", "id": format!("ep{u}"), "status": if is_over { "finished" } else { "active" }, "patient": patient,
            "managingOrganization": hospital, "period": {"start": day(back)}, "identifier": [{"system": "http://baton.example/fhir/sid/episode", "value": format!("ep{u}")}]}),
        json!({"resourceType": "CarePlan", "id": format!("cp{u}"), "status": if is_over { "completed" } else { "active" }, "intent": "plan", "subject": patient,
            "title": "Follow-up for 45 days after discharge", "period": {"start": day(back)}, "encounter": {"reference": format!("Encounter/e{u}-0")}}),
    ];
    for n in 0..2 {
        out.push(json!({"resourceType": "Encounter", "id": format!("e{u}-{n}"), "status": "finished", "subject": patient, "serviceProvider": hospital,
            "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": if n == 0 { "IMP" } else { "EMER" }},
            "period": {"start": format!("{}T08:00:00Z", day(back + 5 + n * 200)), "end": format!("{}T15:00:00Z", day(back + n * 200))}}));
    }
    for n in 0..6 {
        let (code, name) = DRUGS[r(20 + n) % 8];
        let is_discharge = n < 4;
        out.push(json!({"resourceType": "MedicationRequest", "id": format!("mr{u}-{n}"), "status": if n == 5 { "stopped" } else { "active" }, "intent": "order",
            "category": [concept("http://terminology.hl7.org/CodeSystem/medicationrequest-category", if is_discharge { "discharge" } else { "community" }, "")["coding"][0].take_coding()],
            "medicationCodeableConcept": concept("http://www.nlm.nih.gov/research/umls/rxnorm", code, name), "subject": patient,
            "encounter": {"reference": format!("Encounter/e{u}-0")}, "authoredOn": format!("{}T0{n}:30:00Z", day(back + n * 9)), "requester": person(30 + n),
            "dosageInstruction": [{"text": "once a day", "doseAndRate": [{"doseQuantity": {"value": 5 + r(40 + n) % 90, "unit": "mg", "system": "http://unitsofmeasure.org", "code": "mg"}}]}]}));
    }
    for n in 0..2 {
        let (code, name) = DRUGS[r(50 + n) % 8];
        out.push(json!({"resourceType": "MedicationStatement", "id": format!("ms{u}-{n}"), "status": "active", "subject": patient,
            "medicationCodeableConcept": concept("http://www.nlm.nih.gov/research/umls/rxnorm", code, name), "effectivePeriod": {"start": day(back + 100 + n)}, "dateAsserted": day(back)}));
    }
    for (n, (code, unit, name)) in LABS.iter().enumerate() {
        out.push(json!({"resourceType": "Observation", "id": format!("o{u}-{n}"), "status": "final", "subject": patient, "encounter": {"reference": format!("Encounter/e{u}-0")},
            "category": [concept("http://terminology.hl7.org/CodeSystem/observation-category", if n < 4 { "vital-signs" } else { "laboratory" }, "")["coding"][0].take_coding()],
            "code": concept("http://loinc.org", code, name), "effectiveDateTime": format!("{}T1{n}:00:00Z", day(back + r(60 + n) % 5)),
            "valueQuantity": {"value": 40 + r(70 + n) % 120, "unit": unit, "system": "http://unitsofmeasure.org", "code": unit}}));
    }
    for n in 0..4 {
        let status = match (is_over, r(80 + n) % 4) {
            (true, 0) => "cancelled",
            (true, _) => "completed",
            (_, 0) => "requested",
            (_, 1) => "accepted",
            (_, 2) => "in-progress",
            _ => "completed",
        };
        let focus = if n == 3 { format!("DetectedIssue/di{u}") } else { format!("EpisodeOfCare/ep{u}") };
        let mut task = json!({"resourceType": "Task", "id": format!("t{u}-{n}"), "status": status, "intent": "order", "for": patient, "focus": {"reference": focus},
            "code": concept("http://baton.example/fhir/CodeSystem/task-code", ["first-call", "second-call", "close-episode", "dtp-review"][n], ""), "priority": "routine",
            "basedOn": [{"reference": format!("CarePlan/cp{u}")}], "encounter": {"reference": format!("Encounter/e{u}-0")}, "authoredOn": format!("{}T09:00:00Z", day(back)),
            "requester": hospital, "restriction": {"period": {"end": format!("{}T17:00:00Z", day((back + 3).saturating_sub(n * 3)))}},
            "performerType": [concept("http://snomed.info/sct", if n == 3 { "46255001" } else { "159040006" }, "")["coding"][0].take_coding()]});
        task["code"].as_object_mut().unwrap().remove("text");
        if status != "requested" {
            task["owner"] = json!({"reference": format!("Organization/pharmacy-{}", pharmacy_of(u))});
        }
        out.push(task);
    }
    out.push(json!({"resourceType": "DetectedIssue", "id": format!("di{u}"), "status": if is_over { "final" } else { "preliminary" }, "severity": (["low", "moderate", "high"][r(90) % 3]),
        "code": concept("http://terminology.hl7.org/CodeSystem/v3-ActCode", "DUPTHPGEN", "Duplicate therapy"), "patient": patient, "author": person(91),
        "identifiedDateTime": format!("{}T11:00:00Z", day(back)), "implicated": [{"reference": format!("MedicationRequest/mr{u}-0")}]}));
    out
}

/// `{coding: [this]}` without display: what a category is in real data.
trait Coding {
    fn take_coding(&self) -> Value;
}

impl Coding for Value {
    fn take_coding(&self) -> Value {
        json!({"coding": [{"system": self["system"], "code": self["code"]}]})
    }
}

/// Resources put in one work.
struct Block {
    entries: Vec<(Target, Stampable, Arc<Rows>, i64)>,
    shares: Vec<Share>,
}

impl Work for Block {
    type Out = ();
    fn run<'a>(&'a self, tx: &'a mut Tx) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            for (target, body, rows, org) in &self.entries {
                let put = Put {
                    target: target.clone(),
                    method: Method::Put,
                    body: Some(body),
                    rows: Arc::clone(rows),
                    before: None,
                    org: *org,
                    labels: 0,
                };
                tx.put(put).await?;
            }
            for share in &self.shares {
                tx.share(share.clone()).await?;
            }
            tx.audit(Audit { action: "transaction".into(), outcome: 200, ..Audit::default() });
            Ok(())
        })
    }
    fn locks(&self) -> Vec<i64> {
        Vec::new()
    }
    fn entries(&self) -> usize {
        self.entries.len()
    }
}

struct Filler {
    store: Store,
    registry: Registry,
    keys: Keys,
    env: Env,
}

impl Filler {
    fn prepare(&self, resources: &[Value], org: i64) -> Vec<(Target, Stampable, Arc<Rows>, i64)> {
        let entry = |resource: &Value| {
            let json: Json = parse(resource.to_string().as_bytes()).unwrap();
            let (rtype, id) =
                (ResourceType::parse(json["resourceType"].text()).unwrap(), json["id"].text().to_string());
            let rows = Arc::new(self.registry.extract(&self.keys, &json, &self.env));
            (Target::new(rtype, id.clone()), Stampable::new(&json, &id), rows, org)
        };
        resources.iter().map(entry).collect()
    }

    fn block(&self, block: usize) -> Block {
        let mut out = Block { entries: Vec::with_capacity(UNIT * UNITS), shares: Vec::new() };
        let until = Clock::parse("2100-01-01T00:00:00Z").unwrap();
        for u in block * UNITS..(block + 1) * UNITS {
            let entries = self.prepare(&unit(u), self.store.org_key(&format!("hospital-{}", u % HOSPITALS)));
            let pharmacy = pharmacy_of(u);
            let mut share = |pharmacy: usize, target: &Target, handoff: String| {
                let org = self.store.org_key(&format!("pharmacy-{pharmacy}"));
                out.shares.push(Share { org, target: target.clone(), handoff, until });
            };
            for (target, ..) in &entries {
                if target.rtype.as_str() != "Observation" {
                    share(pharmacy, target, format!("care/ep{u}"));
                }
                if target.rtype.as_str() == "Task" && u.is_multiple_of(4) {
                    share((pharmacy + 1) % PHARMACIES, target, format!("offer/{}", target.id));
                }
            }
            out.entries.extend(entries);
        }
        out
    }

    /// Fills up to `size` resources; what is there already stays. Gives how many were written.
    async fn fill(self: &Arc<Self>, size: usize) -> usize {
        let person = Target::of("Practitioner", "person-0").unwrap();
        if self.store.get(&Limit::Everything, &person).await.unwrap().is_none() {
            self.store.write(Block { entries: self.prepare(&directory(), 0), shares: Vec::new() }).await.unwrap();
        }
        let blocks = size.div_ceil(UNIT * UNITS);
        let mut missing = Vec::new();
        for from in (0..blocks).step_by(500) {
            let some: Vec<usize> = (from..blocks.min(from + 500)).collect();
            let firsts: Vec<Target> =
                some.iter().map(|b| Target::of("Patient", &format!("p{}", b * UNITS)).unwrap()).collect();
            let found = self.store.get_many(&Limit::Everything, &firsts).await.unwrap();
            missing.extend(some.into_iter().zip(found).filter(|(_, f)| f.is_none()).map(|(b, _)| b));
        }
        let (start, total) = (Instant::now(), missing.len());
        let mut work = stream::iter(missing.into_iter().map(|b| {
            let filler = Arc::clone(self);
            tokio::spawn(async move { filler.store.write(filler.block(b)).await.unwrap() })
        }))
        .buffer_unordered(6);
        let mut done = 0;
        while let Some(written) = work.next().await {
            written.unwrap();
            done += 1;
            if done % 50 == 0 || done == total {
                let rate = (done * UNIT * UNITS) as f64 / start.elapsed().as_secs_f64();
                eprint!("\rfilled {done} of {total} thousand, {rate:.0} resources/s   ");
            }
        }
        if total > 0 {
            eprintln!();
        }
        total * UNIT * UNITS
    }
}

/// Who asks.
#[derive(Clone, Copy)]
enum Who {
    /// The super-user.
    All,
    /// One of the pharmacies, another each time.
    Pharmacy,
    /// One of the hospitals, another each time.
    Hospital,
}

/// (name, who asks, path, query); `{u}` is a patient, `{p}` the pharmacy that asks, `{f}` `{g}` names, `{d}` a code, `{now}` 2026-11-25.
const QUERIES: [(&str, Who, &str, &str); 20] = [
    (
        "worklist of a pharmacy, patient and focus included",
        Who::Pharmacy,
        "Task",
        "owner=Organization/pharmacy-{p}&status=accepted,in-progress&_include=Task:patient&_include=Task:focus&_count=50",
    ),
    (
        "my overdue tasks",
        Who::Pharmacy,
        "Task",
        "owner=Organization/pharmacy-{p}&status=accepted,in-progress&due=lt{now}&_sort=due&_count=50",
    ),
    (
        "unclaimed since an instant",
        Who::Pharmacy,
        "Task",
        "status=requested&owner:missing=true&_lastUpdated=gt{since}&_count=50",
    ),
    (
        "poll: what changed since the last look",
        Who::Pharmacy,
        "Task",
        "_lastUpdated=gt{last}&_sort=_lastUpdated&_count=50",
    ),
    ("patient's medicines by date", Who::Pharmacy, "MedicationRequest", "patient=p{v}&_sort=-authoredon"),
    (
        "patient's discharge medicines",
        Who::Pharmacy,
        "MedicationRequest",
        "patient=p{v}&category=discharge&status=active",
    ),
    ("what a patient takes by own word", Who::Pharmacy, "MedicationStatement", "patient=p{v}&effective=ge2025-01-01"),
    (
        "DTPs by severity",
        Who::Pharmacy,
        "DetectedIssue",
        "severity=high&status=preliminary&_sort=-identified&_count=50",
    ),
    ("DTPs of a patient", Who::Pharmacy, "DetectedIssue", "patient=p{v}"),
    ("patient by identifier", Who::Hospital, "Patient", "identifier=http://hospital.example/mrn|MRN{u8}"),
    (
        "patient by name and birth date",
        Who::Hospital,
        "Patient",
        "family={f}&given={g}&birthdate=ge1960&birthdate=lt1962",
    ),
    ("name search, one page", Who::Hospital, "Patient", "name={f}&_sort=family&_count=20"),
    (
        "chained: tasks by the patient's identifier",
        Who::All,
        "Task",
        "patient.identifier=http://hospital.example/mrn|MRN{u8}",
    ),
    (
        "chained: medicines by the patient's name",
        Who::Hospital,
        "MedicationRequest",
        "patient.family={f}&patient.given={g}&code={d}&_count=50",
    ),
    ("_has: patients with a requested task", Who::Hospital, "Patient", "_has:Task:patient:status=requested&_count=50"),
    (
        "_include: active episodes with patient",
        Who::Hospital,
        "EpisodeOfCare",
        "status=active&_include=EpisodeOfCare:patient&_count=50",
    ),
    (
        "_revinclude: patient with tasks and medicines",
        Who::All,
        "Patient",
        "_id=p{u}&_revinclude=Task:patient&_revinclude=MedicationRequest:patient",
    ),
    (
        "values over a limit",
        Who::Hospital,
        "Observation",
        "code=http://loinc.org|2160-0&value-quantity=gt150|http://unitsofmeasure.org|mg/dL&_count=50",
    ),
    (
        "latest laboratory values of a patient",
        Who::All,
        "Observation",
        "patient=p{u}&category=laboratory&_sort=-date&_count=10",
    ),
    ("compartment: all tasks of a patient", Who::All, "Patient/p{u}/Task", "_count=50"),
];

struct Asker {
    engine: Engine,
    units: usize,
    since: String,
    last: String,
}

impl Asker {
    fn ask(&self, n: usize, round: usize) -> (Ctx, &'static str, String, String) {
        let (name, who, path, query) = QUERIES[n];
        // A patient of the pharmacy that asks.
        let theirs = mix(round * 20 + n + 7) % self.units;
        let pharmacy = pharmacy_of(theirs);
        let any = mix(round * 20 + n) % self.units;
        let hospital = match who {
            Who::Hospital => any % HOSPITALS,
            _ => 0,
        };
        let fill = |text: &str| {
            text.replace("{u8}", &format!("{any:08}"))
                .replace("{u}", &any.to_string())
                .replace("{v}", &theirs.to_string())
                .replace("{p}", &pharmacy.to_string())
                .replace("{f}", FAMILIES[round % 20])
                .replace("{g}", GIVEN[round % 10])
                .replace("{d}", DRUGS[round % 8].0)
                .replace("{now}", &day(0))
                .replace("{since}", &self.since)
                .replace("{last}", &self.last)
        };
        let of =
            |role, org: String| Principal { role, org: Some(org), client: "queries".into(), ..Principal::super_user() };
        let principal = match who {
            Who::All => Principal::super_user(),
            Who::Pharmacy => of(Role::PharmacySystem, format!("pharmacy-{pharmacy}")),
            Who::Hospital => of(Role::HospitalSystem, format!("hospital-{hospital}")),
        };
        let ctx = Ctx {
            principal: Arc::new(principal),
            now: Clock::now(),
            request_id: "queries".into(),
            base: "http://127.0.0.1:8080/fhir".into(),
            address: None,
        };
        (ctx, name, fill(path), fill(query))
    }

    /// Milliseconds, sorted, and resources found a time.
    async fn measure(&self, n: usize, rounds: usize) -> (Vec<f64>, f64) {
        let (mut took, mut found) = (Vec::with_capacity(rounds), 0);
        for round in 0..rounds + 5 {
            let (ctx, name, path, query) = self.ask(n, round);
            let start = Instant::now();
            let request = route(&path, Wire::new(Verb::Get, query.clone())).unwrap();
            let answer = match self.engine.handle(&ctx, request).await {
                Ok(answer) => answer,
                Err(error) => panic!("{name}: {path}?{query}: {error}"),
            };
            let ms = start.elapsed().as_secs_f64() * 1e3;
            // The first ones fill caches.
            if round >= 5 {
                took.push(ms);
                found += parse(&answer.body).unwrap()["entry"].items().len();
            }
        }
        took.sort_by(f64::total_cmp);
        (took, found as f64 / rounds as f64)
    }
}

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(url) = arguments.first() else {
        eprintln!("queries URL [SIZES [ROUNDS]]");
        std::process::exit(2);
    };
    let sizes = arguments.get(1).map_or("10000,100000,1000000", String::as_str);
    let sizes: Vec<usize> = sizes.split(',').map(|s| s.parse().expect("sizes are numbers")).collect();
    let rounds: usize = arguments.get(2).map_or(200, |r| r.parse().expect("a number"));
    let settings = Settings { database_url: url.clone(), auth: AuthMode::Off, ..Settings::default() };
    let opened = open::engine(&settings, "http://127.0.0.1:8080").await.unwrap_or_else(|e| panic!("{e}"));
    let filler = Arc::new(Filler {
        keys: opened.store.keys(),
        store: opened.store.clone(),
        registry: Registry::builtin(),
        env: Env::utc("http://127.0.0.1:8080/fhir"),
    });
    let mut table: Vec<String> = QUERIES.iter().map(|(name, ..)| format!("| {name} |")).collect();
    for size in &sizes {
        let written = filler.fill(*size).await;
        if written > 0 && opened.store.is_postgres() {
            analyze(url).await;
        }
        let ago = |seconds: i64| Clock(Clock::now().0 - seconds * 1_000_000).timestamp().to_string();
        let asker =
            Asker { engine: opened.engine.clone(), units: size.div_ceil(UNIT), since: ago(86_400), last: ago(1) };
        for (n, row) in table.iter_mut().enumerate() {
            let (took, found) = asker.measure(n, rounds).await;
            let at = |share: f64| took[((took.len() - 1) as f64 * share).round() as usize];
            eprintln!("{size}: {} {:.2} / {:.2} ms, {found:.1} found", QUERIES[n].0, at(0.5), at(0.95));
            row.push_str(&format!(" {found:.1} | {:.2} | {:.2} |", at(0.5), at(0.95)));
        }
    }
    let head: String = sizes.iter().map(|s| format!(" found at {s} | p50 ms | p95 ms |")).collect();
    println!("| query |{head}\n|---|{}", "---|".repeat(sizes.len() * 3));
    table.iter().for_each(|row| println!("{row}"));
    opened.store.close().await;
}

/// What autovacuum would do in a minute.
async fn analyze(url: &str) {
    use sqlx::{Connection, Executor};
    let mut connection = sqlx::PgConnection::connect(url).await.expect("a connection");
    connection.execute("VACUUM ANALYZE").await.expect("statistics");
    connection.close().await.expect("a clean goodbye");
}
