//! Random resources out of small pools, from a seed that a failure prints.

mod query;

pub use query::{Path, Search, encoded, search};

use super::oracle::span;
use serde_json::{Value, json};

/// xorshift: the same numbers for the same seed.
pub struct Rng(pub u64);

impl Rng {
    /// A number below `n`.
    pub fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % n
    }

    /// One of them.
    pub fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }

    /// True `n` times out of ten.
    fn chance(&mut self, n: usize) -> bool {
        self.below(10) < n
    }
}

const FAMILIES: &[&str] =
    &["Muller", "Müller", "Mu\u{308}ller", "MÜLLERS", "Mul", "Ångström", "Angstrom", "Zoë", "O'Brien", "Obrien, Jr."];
const GIVEN: &[&str] = &["Ana", "Anaïs", "Bo", "Bob", "bobby", "A|b"];
const DATES: &[&str] = &["2024", "2024-02", "2024-02-29", "2024-12-31", "2025", "2025-01-01", "2023-12", "2016-12-31"];
const TIMES: &[&str] = &[
    "2024-02-29T23:59:59Z",
    "2024-03-01T00:00:00Z",
    "2024-02-29T20:00:00-05:00",
    "2024-12-31T23:30:00Z",
    "2025-01-01T00:30:00+01:00",
    "2024-12-31T23:59:59.999Z",
    "2016-12-31T23:59:60Z",
];
/// The first has a CodeSystem in the world; so has the second, which does not tell cases apart.
const SYSTEMS: &[&str] = &["http://a.example", "http://b.example", ""];
const CODES: &[&str] = &["x", "x1", "X", "y", "a,b", "p|q", "d$e"];
const LABELS: &[&str] = &["Bone pain", "Bone-marrow pain", "Déjà vu", "bone", "Liver"];
const NUMBERS: &[&str] = &["5.4", "5", "100", "99.5", "100.5", "0", "-1.25", "0.05", "0.0054", "5400", "0.1"];
const UNITS: &[&str] = &["mg", "g", "ug", "mL", "L", "{tablet}"];
const UCUM: &str = "http://unitsofmeasure.org";
const URLS: &[&str] =
    &["http://v.example/a", "http://v.example/a/b", "http://v.example/ab", "http://v.example/A", "urn:oid:1.2"];
const GENDERS: &[&str] = &["male", "female", "unknown"];
const IDS: &[&str] = &["X", "X1", "X-1", "x", "Y", "Y.1"];
const ORGS: &[&str] = &["X", "X1"];
const LISTS: &[&str] = &["l0", "l1", "l2"];
/// Value sets over the pool; [`fixed`] makes them.
const SETS: &[&str] = &[
    "http://t.example/list",
    "http://t.example/tree",
    "http://t.example/whole",
    "http://t.example/mixed",
    "http://t.example/less",
];

fn coding(rng: &mut Rng) -> Value {
    let system = rng.pick(SYSTEMS);
    let mut c = json!({"code": rng.pick(CODES)});
    if !system.is_empty() {
        c["system"] = json!(system);
    }
    if rng.chance(3) {
        c["display"] = json!(rng.pick(LABELS));
    }
    c
}

fn concept(rng: &mut Rng) -> Value {
    if rng.chance(1) {
        return json!({"text": rng.pick(LABELS)});
    }
    let codings: Vec<Value> = (0..1 + rng.below(2)).map(|_| coding(rng)).collect();
    let mut out = json!({"coding": codings});
    if rng.chance(2) {
        out["text"] = json!(rng.pick(LABELS));
    }
    out
}

fn period(rng: &mut Rng) -> Value {
    let mut p = json!({});
    let (mut start, mut end) = (rng.pick(TIMES), rng.pick(TIMES));
    if span(start) > span(end) {
        (start, end) = (end, start);
    }
    let open = rng.below(4);
    if open != 1 {
        p["start"] = json!(start);
    }
    if open != 2 {
        p["end"] = json!(end);
    }
    p
}

/// A reference to a patient, now and then to one of another kind.
fn subject(rng: &mut Rng) -> Value {
    let id = rng.pick(IDS);
    match rng.below(12) {
        0 => json!({"reference": format!("Patient/{id}/_history/1")}),
        1 => json!({"reference": format!("http://elsewhere.example/fhir/Patient/{id}")}),
        2 => json!({"type": "Patient", "identifier": {"system": rng.pick(&SYSTEMS[..2]), "value": rng.pick(CODES)}}),
        3 => json!({"reference": format!("Group/{id}")}),
        _ => json!({"reference": format!("Patient/{id}")}),
    }
}

fn number(rng: &mut Rng) -> Value {
    serde_json::from_str(rng.pick(NUMBERS)).expect("a number")
}

fn quantity(rng: &mut Rng) -> Value {
    let unit = rng.pick(UNITS);
    let mut q = json!({"value": number(rng)});
    match rng.below(8) {
        0 => q["unit"] = json!(unit),
        1 => {
            q["system"] = json!("http://other.example");
            q["code"] = json!(unit);
        }
        _ => {
            q["unit"] = json!(if rng.chance(5) { unit } else { "milligram" });
            q["system"] = json!(UCUM);
            q["code"] = json!(unit);
        }
    }
    if rng.chance(1) {
        q["comparator"] = json!(rng.pick(&["<", "<=", ">", ">="]));
    }
    q
}

/// `meta` with some of what searches look at.
fn meta(rng: &mut Rng, r: &mut Value) {
    let mut meta = json!({});
    if rng.chance(2) {
        meta["tag"] = json!([coding(rng)]);
    }
    if rng.chance(1) {
        meta["security"] = json!([coding(rng)]);
    }
    if rng.chance(1) {
        meta["source"] = json!(rng.pick(URLS));
    }
    if meta.as_object().is_some_and(|m| !m.is_empty()) {
        r["meta"] = meta;
    }
}

fn patient(rng: &mut Rng, id: &str) -> Value {
    let mut r = json!({"resourceType": "Patient", "id": id});
    if rng.chance(8) {
        let names: Vec<Value> = (0..1 + rng.below(2))
            .map(|_| json!({"family": rng.pick(FAMILIES), "given": [rng.pick(GIVEN), rng.pick(GIVEN)]}))
            .collect();
        r["name"] = json!(names);
    }
    if rng.chance(7) {
        r["gender"] = json!(rng.pick(GENDERS));
    }
    if rng.chance(5) {
        r["active"] = json!(rng.chance(5));
    }
    if rng.chance(8) {
        r["birthDate"] = json!(rng.pick(DATES));
    }
    if rng.chance(7) {
        let mut one = json!({"value": rng.pick(CODES)});
        let system = rng.pick(SYSTEMS);
        if !system.is_empty() {
            one["system"] = json!(system);
        }
        if rng.chance(5) {
            one["type"] = json!({"coding": [{"system": "http://id.example", "code": rng.pick(&["MR", "SS"])}], "text": rng.pick(LABELS)});
        }
        r["identifier"] = json!([one]);
    }
    if rng.chance(5) {
        r["managingOrganization"] = json!({"reference": format!("Organization/{}", rng.pick(ORGS))});
    }
    if rng.chance(2) {
        r["link"] = json!([{"other": {"reference": format!("Patient/{}", rng.pick(IDS))}, "type": "seealso"}]);
    }
    r
}

fn observation(rng: &mut Rng, id: &str, n: usize) -> Value {
    let mut r = json!({"resourceType": "Observation", "id": id, "status": rng.pick(&["final", "preliminary", "amended"]), "code": concept(rng)});
    if rng.chance(6) {
        r["category"] = json!([concept(rng)]);
    }
    if rng.chance(8) {
        r["subject"] = subject(rng);
    }
    if rng.chance(3) {
        r["performer"] = json!([{"reference": format!("Organization/{}", rng.pick(ORGS))}, {"reference": format!("Patient/{}", rng.pick(IDS))}]);
    }
    if rng.chance(3) && n > 0 {
        r["hasMember"] = json!([{"reference": format!("Observation/o{}", rng.below(n))}]);
    }
    if rng.chance(3) {
        r["encounter"] = json!({"reference": format!("Encounter/e{}", rng.below(6))});
    }
    match rng.below(7) {
        0 => r["effectiveDateTime"] = json!(rng.pick(DATES)),
        1 => r["effectiveDateTime"] = json!(rng.pick(TIMES)),
        2 => r["effectivePeriod"] = period(rng),
        3 => r["effectiveInstant"] = json!(rng.pick(TIMES)),
        4 => r["effectiveTiming"] = json!({"event": [rng.pick(TIMES), rng.pick(DATES)]}),
        5 => r["effectiveTiming"] = json!({"repeat": {"boundsPeriod": period(rng)}}),
        _ => {}
    }
    match rng.below(4) {
        0 => r["valueCodeableConcept"] = concept(rng),
        1 => {}
        _ => r["valueQuantity"] = quantity(rng),
    }
    if rng.chance(4) {
        let component = |rng: &mut Rng| json!({"code": concept(rng), "valueQuantity": quantity(rng)});
        r["component"] = json!([component(rng), component(rng)]);
    }
    // obs-7: a component that says the same as the whole has the value.
    let codings = |code: &Value| code["coding"].as_array().cloned().unwrap_or_default();
    let (own, parts) = (codings(&r["code"]), r["component"].as_array().cloned().unwrap_or_default());
    if parts.iter().any(|part| codings(&part["code"]).iter().any(|coding| own.contains(coding))) {
        let members = r.as_object_mut().expect("a resource");
        members.retain(|name, _| !name.starts_with("value"));
    }
    r
}

fn encounter(rng: &mut Rng, id: &str) -> Value {
    // An office visit: the programme has nothing to do with it.
    let mut r = json!({"resourceType": "Encounter", "id": id, "status": rng.pick(&["planned", "finished"]),
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"}});
    if rng.chance(7) {
        r["period"] = period(rng);
    }
    if rng.chance(8) {
        r["subject"] = json!({"reference": format!("Patient/{}", rng.pick(IDS))});
    }
    r
}

fn risk(rng: &mut Rng, id: &str) -> Value {
    let prediction = match rng.below(4) {
        0 => json!({"probabilityRange": {"low": {"value": number(rng), "unit": "%", "system": UCUM, "code": "%"}}}),
        _ => {
            let chance = number(rng);
            // ras-2: a decimal is at most 100.
            if chance.as_f64().is_some_and(|n| n > 100.0) {
                json!({"relativeRisk": 1})
            } else {
                json!({"probabilityDecimal": chance})
            }
        }
    };
    json!({"resourceType": "RiskAssessment", "id": id, "status": "final", "subject": subject(rng), "prediction": [prediction]})
}

fn task(rng: &mut Rng, id: &str) -> Value {
    let mut r = json!({"resourceType": "Task", "id": id, "status": rng.pick(&["draft", "requested", "completed"]), "intent": "order"});
    if rng.chance(5) {
        r["priority"] = json!(rng.pick(&["routine", "urgent"]));
    }
    if rng.chance(7) {
        r["for"] = subject(rng);
    }
    if rng.chance(5) {
        r["focus"] = json!({"reference": format!("Observation/o{}", rng.below(14))});
    }
    if rng.chance(5) {
        r["owner"] = json!({"reference": format!("Organization/{}", rng.pick(ORGS))});
    }
    if rng.chance(7) {
        r["authoredOn"] = json!(rng.pick(TIMES));
    }
    if rng.chance(4) {
        r["restriction"] = json!({"period": {"end": rng.pick(TIMES)}});
    }
    r
}

fn condition(rng: &mut Rng, id: &str) -> Value {
    let mut r =
        json!({"resourceType": "Condition", "id": id, "subject": {"reference": format!("Patient/{}", rng.pick(IDS))}});
    if rng.chance(9) {
        r["code"] = concept(rng);
    }
    if rng.chance(4) {
        r["note"] = json!([{"text": rng.pick(LABELS)}]);
    }
    if rng.chance(4) {
        r["text"] = json!({"status": "additional",
            "div": format!("<div xmlns=\"http://www.w3.org/1999/xhtml\"><p>{}</p><b>{}</b></div>", rng.pick(LABELS), rng.pick(LABELS))});
    }
    if rng.chance(3) {
        r["asserter"] = json!({"reference": format!("Patient/{}", rng.pick(IDS))});
    }
    match rng.below(3) {
        0 => r["onsetDateTime"] = json!(rng.pick(DATES)),
        1 => r["onsetPeriod"] = period(rng),
        _ => {}
    }
    r
}

fn response(rng: &mut Rng, id: &str) -> Value {
    let version = rng.pick(&["", "|1", "|2"]);
    json!({"resourceType": "QuestionnaireResponse", "id": id, "status": "completed", "subject": subject(rng),
        "questionnaire": format!("http://q.example/Questionnaire/{}{version}", rng.pick(&["a", "ab"])),
        "author": {"reference": format!("Patient/{}", rng.pick(IDS))}})
}

/// What responses name, with and without a version.
fn form(rng: &mut Rng, n: usize) -> Value {
    let (url, version) = [("a", "1"), ("a", "2"), ("ab", "1"), ("ab", "")][n];
    let mut r = json!({"resourceType": "Questionnaire", "id": format!("f{n}"), "status": rng.pick(&["draft", "active"]),
        "url": format!("http://q.example/Questionnaire/{url}"), "title": rng.pick(LABELS)});
    if !version.is_empty() {
        r["version"] = json!(version);
    }
    r
}

fn list(rng: &mut Rng, id: &str) -> Value {
    let items: Vec<Value> = (0..4)
        .map(|_| {
            let (kind, from) = rng.pick(&[("Patient", IDS), ("Organization", ORGS), ("Task", &["t0", "t1"][..])]);
            let mut e = json!({"item": {"reference": format!("{kind}/{}", rng.pick(from))}});
            if rng.chance(2) {
                e["deleted"] = json!(true);
            }
            e
        })
        .collect();
    json!({"resourceType": "List", "id": id, "status": "current", "mode": "changes", "subject": subject(rng), "entry": items})
}

/// The code system of the pool, and value sets over it: two lists, a tree with what is under one code, a mixture.
fn fixed(rng: &mut Rng) -> Vec<Value> {
    let set = |id: &str, url: &str, compose: Value| json!({"resourceType": "ValueSet", "id": id, "status": "active", "url": url, "compose": compose});
    let listed = |rng: &mut Rng| json!({"system": rng.pick(&SYSTEMS[..2]), "concept": [{"code": rng.pick(CODES)}, {"code": rng.pick(CODES)}]});
    let op = rng.pick(&["is-a", "descendent-of", "is-not-a", "generalizes", "="]);
    let tree = json!({"system": SYSTEMS[0], "filter": [{"property": "concept", "op": op, "value": rng.pick(&["x", "x1", "y"])}]});
    vec![
        json!({"resourceType": "CodeSystem", "id": "a", "url": SYSTEMS[0], "status": "active", "content": "complete", "concept": [
            {"code": "x", "concept": [{"code": "x1", "concept": [{"code": "a,b"}]}, {"code": "X"}]}, {"code": "y"}, {"code": "p|q"}, {"code": "d$e"}]}),
        json!({"resourceType": "CodeSystem", "id": "b", "url": SYSTEMS[1], "status": "active", "content": "not-present",
            "caseSensitive": false}),
        set("s0", SETS[0], json!({"include": [listed(rng), listed(rng)]})),
        set("s1", SETS[1], json!({"include": [tree]})),
        set("s2", SETS[2], json!({"include": [{"system": rng.pick(&SYSTEMS[..2])}]})),
        set(
            "s3",
            SETS[3],
            json!({"include": [{"valueSet": [SETS[1]]}, listed(rng), {"valueSet": [SETS[0], SETS[2]]}]}),
        ),
        set(
            "s4",
            SETS[4],
            json!({"include": [{"system": SYSTEMS[0]}, {"valueSet": [SETS[0]]}], "exclude": [{"valueSet": [SETS[1]]}, listed(rng)]}),
        ),
    ]
}

/// A world of resources.
pub fn world(rng: &mut Rng) -> Vec<Value> {
    let mut all: Vec<Value> = ORGS
        .iter()
        .map(|id| json!({"resourceType": "Organization", "id": id, "name": rng.pick(FAMILIES), "partOf": {"reference": format!("Organization/{}", rng.pick(ORGS))}}))
        .collect();
    all.extend(fixed(rng));
    all.extend(IDS.iter().map(|id| patient(rng, id)));
    for n in 0..14 {
        all.push(observation(rng, &format!("o{n}"), n));
        if n < 6 {
            all.push(encounter(rng, &format!("e{n}")));
            all.push(risk(rng, &format!("r{n}")));
            let version = rng.pick(&["1", "2"]);
            all.push(json!({"resourceType": "ValueSet", "id": format!("v{n}"), "status": "active", "url": rng.pick(URLS), "version": version}));
        }
        if n < 9 {
            all.push(task(rng, &format!("t{n}")));
            all.push(condition(rng, &format!("c{n}")));
        }
        if n < 4 {
            all.push(response(rng, &format!("q{n}")));
            all.push(form(rng, n));
        }
    }
    all.extend(LISTS.iter().map(|id| list(rng, id)));
    all.iter_mut().for_each(|r| meta(rng, r));
    all
}
