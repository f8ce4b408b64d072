//! What a followed-up discharge costs beside the same Bundle with the programme off: two databases, one process, in turns.
//!
//!     cargo run --release --example discharges -- [--inpatient] ON_URL OFF_URL COPIES CONCURRENCY [DIRECTORY.ndjson.gz] DISCHARGES.ndjson.gz [POSTMASTER]
//!
//! Two empty databases (URLs as `--database-url`); files with one Bundle a line: what the discharges refer to is posted first.
//! All discharges are tried once; those that are followed up, and, for comparison, those that are not, are then posted COPIES
//! times, each time as other patients' (their identifiers differ), to both databases in turns: one copy of all to the one,
//! then to the other, who begins changes. Each as of its own day, an hour after the patient left, by a hospital's system,
//! through the one door without HTTP. The first ten copies are not counted. CPU is this process', and that of the PostgreSQL
//! whose process id is POSTMASTER, with all its backends; ticks are 10 ms.
//!
//! `--inpatient` makes the Bundles discharges that are followed up: their stay of class IMP, with the disposition home, their orders
//! of category discharge.
//!
//! At the end a discharge whose list has 60 lines (the medicines of the file, at home and at discharge, each with another
//! number of tablets), and its `$handoff-report` 200 times as document, page and PDF.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a measuring program"
)]

use baton::access::{Ctx, Principal, Role};
use baton::cli::{open, seed};
use baton::clock::Instant as Clock;
use baton::config::{AuthMode, Programme, Settings};
use baton::fhir::json::parse;
use baton::interaction::{Body, Verb, Wire, route};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::Read;
use std::sync::Arc;
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

struct House {
    opened: open::Opened,
    took: Vec<f64>,
    cpu_ms: f64,
}

impl House {
    async fn open(url: &str, programme: Programme) -> Self {
        let settings = Settings { database_url: url.into(), auth: AuthMode::Off, programme, ..Settings::default() };
        let opened = open::server(&settings, "http://127.0.0.1:8080", false).await.unwrap_or_else(|e| panic!("{e}"));
        let text = include_str!("../profiles/demo/seed.json");
        seed::seed(&opened.engine, text).await.unwrap_or_else(|e| panic!("{e}"));
        Self { opened, took: Vec::new(), cpu_ms: 0.0 }
    }

    async fn ask(&self, verb: Verb, path: &str, query: &str, body: Option<Vec<u8>>, now: Clock) -> Value {
        let principal = Principal {
            role: Role::HospitalSystem,
            org: Some("lakeside".into()),
            client: "lakeside-ehr".into(),
            ..Principal::super_user()
        };
        self.ask_as(principal, verb, path, query, body, now).await
    }

    async fn ask_as(
        &self,
        principal: Principal,
        verb: Verb,
        path: &str,
        query: &str,
        body: Option<Vec<u8>>,
        now: Clock,
    ) -> Value {
        let ctx = Ctx {
            principal: Arc::new(principal),
            now,
            request_id: "discharges".into(),
            base: "http://127.0.0.1:8080/fhir".into(),
            address: None,
        };
        let mut wire = Wire::new(verb, query);
        wire.body = Body::Raw(body.unwrap_or_default().into());
        let answer = self.opened.engine.handle(&ctx, route(path, wire).unwrap()).await;
        let answer = answer.unwrap_or_else(|e| panic!("{path}: {e}"));
        serde_json::from_slice(&answer.body).expect("JSON")
    }

    async fn get(&self, path: &str, query: &str, now: Clock) -> Vec<u8> {
        let ctx = Ctx {
            principal: Arc::new(Principal::super_user()),
            now,
            request_id: "discharges".into(),
            base: "http://127.0.0.1:8080/fhir".into(),
            address: None,
        };
        let request = route(path, Wire::new(Verb::Get, query)).unwrap();
        self.opened.engine.handle(&ctx, request).await.unwrap_or_else(|e| panic!("{path}: {e}")).body.to_vec()
    }

    async fn post(&self, bundle: &Bundle, copy: usize) -> (f64, Value) {
        let body = bundle.copy(copy);
        let start = Instant::now();
        let answer = self.ask(Verb::Post, "", "", Some(body), bundle.now).await;
        (start.elapsed().as_secs_f64() * 1e3, answer)
    }

    /// One copy of all of them.
    async fn round(&mut self, bundles: &[Bundle], copy: usize, concurrency: usize, postmaster: Option<u32>) {
        let before = cpu_ms(postmaster);
        let this = &*self;
        let took: Vec<f64> = stream::iter(bundles)
            .map(|b| async move { this.post(b, copy).await.0 })
            .buffer_unordered(concurrency)
            .collect()
            .await;
        self.cpu_ms += cpu_ms(postmaster) - before;
        self.took.extend(took);
    }

    /// The report of a discharge, in its three forms.
    async fn report(&self, bundle: &Bundle) {
        let (_, answer) = self.post(bundle, 0).await;
        let stay = stay_of(&answer);
        let list =
            self.ask(Verb::Get, "List", &format!("encounter=Encounter/{stay}&code=10160-0"), None, bundle.now).await;
        let lines = list["entry"][0]["resource"]["entry"].as_array().map_or(0, Vec::len);
        println!("$handoff-report of {lines} lines");
        let path = format!("Encounter/{stay}/$handoff-report");
        for (what, query) in [("document", ""), ("page", "_format=html"), ("PDF", "_format=pdf")] {
            let (mut took, mut bytes) = (Vec::new(), 0);
            for round in 0..205 {
                let start = Instant::now();
                bytes = self.get(&path, query, bundle.now).await.len();
                if round >= 5 {
                    took.push(start.elapsed().as_secs_f64() * 1e3);
                }
            }
            took.sort_by(f64::total_cmp);
            println!("  {what}: p50 {:.2} ms, p95 {:.2} ms, {} KB", took[99], took[189], bytes / 1024);
        }
    }

    fn told(&mut self, what: &str) -> (f64, f64) {
        self.took.sort_by(f64::total_cmp);
        let at = |share: f64| self.took[((self.took.len() - 1) as f64 * share).round() as usize];
        let (p50, cpu) = (at(0.5), self.cpu_ms / self.took.len() as f64);
        println!(
            "  {what}: {} Bundles, p50 {p50:.2} ms, p95 {:.2} ms, CPU {cpu:.2} ms a Bundle",
            self.took.len(),
            at(0.95)
        );
        self.took.clear();
        self.cpu_ms = 0.0;
        (p50, cpu)
    }
}

struct Bundle {
    json: Value,
    now: Clock,
    /// Identifiers of the patient and the stay: they differ from copy to copy.
    names: BTreeSet<String>,
}

impl Bundle {
    fn read(line: &str, is_inpatient: bool) -> Option<Self> {
        let mut json: Value = serde_json::from_str(line).expect("JSON");
        for entry in json["entry"].as_array_mut().into_iter().flatten().filter(|_| is_inpatient) {
            inpatient(&mut entry["resource"]);
        }
        let entries = json["entry"].as_array()?;
        let of = |rtype: &str| entries.iter().map(|e| &e["resource"]).find(|r| r["resourceType"] == rtype);
        let end: jiff::Timestamp = of("Encounter")?["period"]["end"].as_str()?.parse().expect("a time");
        let now = Clock(end.as_microsecond() + 3_600_000_000);
        let named = [of("Patient"), of("Encounter")].into_iter().flatten();
        let identifiers = named.flat_map(|r| r["identifier"].as_array().into_iter().flatten());
        let names = identifiers.filter_map(|i| i["value"].as_str().map(String::from)).collect();
        Some(Self { json, now, names })
    }

    fn copy(&self, n: usize) -> Vec<u8> {
        let mut json = self.json.clone();
        if n > 0 {
            for entry in json["entry"].as_array_mut().into_iter().flatten() {
                self.rename(entry, n, false);
            }
        }
        serde_json::to_vec(&json).unwrap()
    }

    fn rename(&self, value: &mut Value, n: usize, is_name: bool) {
        match value {
            Value::String(text) if is_name && self.names.contains(text) => *text = format!("{text}-{n}"),
            Value::String(text) if text.contains("identifier=") => {
                if let Some(name) = self.names.iter().find(|name| text.ends_with(&***name)) {
                    *text = text.replace(&**name, &format!("{name}-{n}"));
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.rename(item, n, is_name)),
            Value::Object(members) => {
                for (key, member) in members {
                    self.rename(member, n, is_name && key == "value" || key == "identifier");
                }
            }
            _ => {}
        }
    }
}

/// As a hospital would send it of a stay that is followed up.
fn inpatient(resource: &mut Value) {
    let coding = |system: &str, code: &str| json!({"system": format!("http://terminology.hl7.org/CodeSystem/{system}"), "code": code});
    match resource["resourceType"].as_str() {
        Some("Encounter") => {
            resource["class"] = coding("v3-ActCode", "IMP");
            resource["hospitalization"] =
                json!({"dischargeDisposition": {"coding": [coding("discharge-disposition", "home")]}});
        }
        Some("MedicationRequest") => {
            resource["category"] = json!([{"coding": [coding("medicationrequest-category", "discharge")]}]);
        }
        _ => {}
    }
}

/// User and system time of one process' threads, in ms.
fn ticks(pid: &str) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields: Vec<f64> = stat.rsplit(')').next().unwrap().split(' ').map(|f| f.parse().unwrap_or(0.0)).collect();
    fields.get(12..14).map_or(0.0, |both| both.iter().sum::<f64>() * 10.0)
}

fn cpu_ms(postmaster: Option<u32>) -> f64 {
    let mut all = ticks("self");
    if let Some(pid) = postmaster {
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        all += children.split_whitespace().map(ticks).sum::<f64>();
    }
    all
}

/// Logical id of the Encounter that a transaction's answer names.
fn stay_of(answer: &Value) -> String {
    let mut locations =
        answer["entry"].as_array().into_iter().flatten().filter_map(|e| e["response"]["location"].as_str());
    locations.find_map(|l| l.split("Encounter/").nth(1)?.split('/').next()).expect("a stay").to_string()
}

/// A discharge with 60 different medicines, taken at home and prescribed at discharge with another number of tablets.
fn sixty_lines<'a>(bundles: impl Iterator<Item = &'a Bundle>) -> Bundle {
    let all: Vec<&Bundle> = bundles.collect();
    let medicines = all.iter().flat_map(|b| b.json["entry"].as_array().unwrap());
    let mut names: Vec<Value> = Vec::new();
    for medicine in medicines.map(|e| &e["resource"]["medicationCodeableConcept"]).filter(|m| m.is_object()) {
        if !names.contains(medicine) {
            names.push(medicine.clone());
        }
    }
    // Names that no table has stand for themselves.
    let words = ["aspen", "birch", "cedar", "elder", "hazel", "larch", "maple", "rowan"];
    let made = |n: usize| json!({"text": format!("{}{}in {} MG Oral Tablet", words[n % 8], words[n / 8 % 8], 5 * n)});
    names.extend((0..90).map(made));
    let to = |what: &str| json!({"reference": format!("urn:uuid:00000000-0000-4000-8000-00000000000{what}")});
    let mut entry = vec![
        json!({"fullUrl": to("1")["reference"], "request": {"method": "POST", "url": "Patient"},
            "resource": {"resourceType": "Patient", "birthDate": "1950-01-01", "name": [{"family": "Sixty", "given": ["Lina"]}]}}),
        json!({"fullUrl": to("2")["reference"], "request": {"method": "POST", "url": "Encounter"},
            "resource": {"resourceType": "Encounter", "status": "finished", "subject": to("1"),
                "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP"},
                "period": {"start": "2026-01-02T08:00:00Z", "end": "2026-01-09T08:00:00Z"}}}),
    ];
    // The file's have substances in common: so many make sixty lines.
    for name in names.iter().take(70) {
        for (category, tablets) in [("community", 1), ("discharge", 2)] {
            entry.push(json!({"request": {"method": "POST", "url": "MedicationRequest"}, "resource": {
                "resourceType": "MedicationRequest", "status": "active", "intent": "order", "subject": to("1"),
                "encounter": to("2"), "authoredOn": if tablets == 1 { "2025-12-01" } else { "2026-01-09" },
                "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/medicationrequest-category", "code": category}]}],
                "medicationCodeableConcept": name,
                "dosageInstruction": [{"text": format!("{tablets} tablets every morning")}]}}));
        }
    }
    let json = json!({"resourceType": "Bundle", "type": "transaction", "entry": entry});
    Bundle::read(&json.to_string(), false).expect("a stay")
}

fn lines(file: &str) -> Vec<String> {
    let mut text = String::new();
    flate2::read::GzDecoder::new(std::fs::File::open(file).unwrap()).read_to_string(&mut text).unwrap();
    text.lines().map(String::from).collect()
}

#[tokio::main]
async fn main() {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let postmaster = arguments.last().and_then(|a| a.parse().ok());
    arguments.truncate(arguments.len() - usize::from(postmaster.is_some()));
    let is_inpatient = arguments.iter().any(|a| a == "--inpatient");
    arguments.retain(|a| a != "--inpatient");
    let [on, off, copies, concurrency, directories @ .., file] = arguments.as_slice() else {
        eprintln!(
            "discharges [--inpatient] ON_URL OFF_URL COPIES CONCURRENCY [DIRECTORY.ndjson.gz] DISCHARGES.ndjson.gz [POSTMASTER]"
        );
        std::process::exit(2);
    };
    let (copies, concurrency): (usize, usize) = (copies.parse().unwrap(), concurrency.parse().unwrap());
    let mut with = House::open(on, Programme::On).await;
    let mut without = House::open(off, Programme::Off).await;
    for line in directories.iter().flat_map(|file| lines(file)) {
        for house in [&with, &without] {
            let all = Principal::super_user();
            house.ask_as(all, Verb::Post, "", "", Some(line.clone().into_bytes()), Clock::now()).await;
        }
    }
    let bundles: Vec<Bundle> = lines(file).iter().filter_map(|line| Bundle::read(line, is_inpatient)).collect();

    // Once each: who is followed up, and what comes of it.
    let (mut followed, mut others) = (Vec::new(), Vec::new());
    for bundle in bundles {
        let (_, answer) = with.post(&bundle, 0).await;
        without.post(&bundle, 0).await;
        let stay = stay_of(&answer);
        let query = format!("encounter=Encounter/{stay}&code=decision");
        let decision = with.ask(Verb::Get, "Observation", &query, None, bundle.now).await;
        let decision = &decision["entry"][0]["resource"]["valueCodeableConcept"]["coding"][0]["code"];
        if decision == "followed" { &mut followed } else { &mut others }.push(bundle);
    }
    let sixty = sixty_lines(followed.iter().chain(&others));
    let size = |of: &[Bundle]| of.iter().filter_map(|b| Some(b.json["entry"].as_array()?.len())).sum::<usize>();
    for (what, of) in [("followed up", followed), ("not followed up", others)] {
        if of.is_empty() {
            continue;
        }
        println!("{what}: {} discharges of {:.1} resources", of.len(), size(&of) as f64 / of.len() as f64);
        for copy in 1..=copies {
            // The first ones fill caches.
            if copy == copies.min(10) {
                for house in [&mut with, &mut without] {
                    house.took.clear();
                    house.cpu_ms = 0.0;
                }
            }
            let mut pair = [&mut with, &mut without];
            if copy.is_multiple_of(2) {
                pair.reverse();
            }
            for house in pair {
                house.round(&of, copy, concurrency, postmaster).await;
            }
        }
        let ((p50, cpu), (p50_off, cpu_off)) = (with.told("programme on "), without.told("programme off"));
        println!("  ratio: p50 {:.2}, CPU {:.2}", p50 / p50_off, cpu / cpu_off);
    }
    let count = parse(with.ask(Verb::Get, "Task", "_summary=count", None, Clock::now()).await.to_string().as_bytes());
    println!("Tasks that came of it: {}", count.unwrap()["total"]);
    with.report(&sixty).await;
    with.opened.store.close().await;
    without.opened.store.close().await;
}
