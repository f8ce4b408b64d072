//! Random resources and queries out of small pools, from a seed that a failure prints.

#![allow(clippy::explicit_auto_deref, reason = "without the deref the element type of `pick` is not inferred")]

use super::oracle::{Criterion, PARAMS};
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
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    /// True `n` times out of ten.
    fn chance(&mut self, n: usize) -> bool {
        self.below(10) < n
    }
}

const FAMILIES: &[&str] =
    &["Muller", "Müller", "Mu\u{308}ller", "MÜLLERS", "Mul", "Ångström", "Angstrom", "Zoë", "Zoe"];
const GIVEN: &[&str] = &["Ana", "Anaïs", "Bo", "Bob", "bobby"];
const DATES: &[&str] = &["2024", "2024-02", "2024-02-29", "2024-12-31", "2025", "2025-01-01", "2023-12"];
const TIMES: &[&str] = &[
    "2024-02-29T23:59:59Z",
    "2024-03-01T00:00:00Z",
    "2024-02-29T20:00:00-05:00",
    "2024-12-31T23:30:00Z",
    "2025-01-01T00:30:00+01:00",
];
const SYSTEMS: &[&str] = &["http://a.example", "http://b.example", ""];
const CODES: &[&str] = &["x", "x1", "X", "y"];
const NUMBERS: &[&str] = &["5.4", "5.40", "5", "100", "99.5", "100.5", "0", "-1.25", "0.05"];
const UNITS: &[&str] = &["mg", "mL"];
const UCUM: &str = "http://unitsofmeasure.org";
const URLS: &[&str] = &["http://v.example/a", "http://v.example/a/b", "http://v.example/ab", "http://v.example/A"];
const GENDERS: &[&str] = &["male", "female", "unknown"];
const IDS: &[&str] = &["X", "X1", "X-1", "x", "Y", "Y.1"];
const ORGS: &[&str] = &["X", "X1"];

/// Types of the world, each with a maker.
pub const TYPES: &[&str] = &["Patient", "Observation", "Encounter", "RiskAssessment", "Task", "ValueSet"];

fn coding(rng: &mut Rng) -> Value {
    let system = *rng.pick(SYSTEMS);
    let mut c = json!({"code": rng.pick(CODES)});
    if !system.is_empty() {
        c["system"] = json!(system);
    }
    c
}

fn concept(rng: &mut Rng) -> Value {
    let codings: Vec<Value> = (0..1 + rng.below(2)).map(|_| coding(rng)).collect();
    json!({"coding": codings})
}

fn period(rng: &mut Rng) -> Value {
    let mut p = json!({});
    let (mut start, mut end) = (*rng.pick(TIMES), *rng.pick(TIMES));
    if super::oracle::span(start) > super::oracle::span(end) {
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

fn patient_ref(rng: &mut Rng) -> Value {
    json!({"reference": format!("Patient/{}", rng.pick(IDS))})
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
    if rng.chance(8) {
        r["birthDate"] = json!(rng.pick(DATES));
    }
    if rng.chance(7) {
        let (system, value) = (*rng.pick(SYSTEMS), *rng.pick(CODES));
        r["identifier"] =
            if system.is_empty() { json!([{"value": value}]) } else { json!([{"system": system, "value": value}]) };
    }
    if rng.chance(5) {
        r["managingOrganization"] = json!({"reference": format!("Organization/{}", rng.pick(ORGS))});
    }
    r
}

fn observation(rng: &mut Rng, id: &str) -> Value {
    let mut r = json!({"resourceType": "Observation", "id": id, "status": rng.pick(&["final", "preliminary", "amended"]), "code": concept(rng)});
    if rng.chance(6) {
        r["category"] = json!([concept(rng)]);
    }
    if rng.chance(8) {
        r["subject"] = patient_ref(rng);
    }
    match rng.below(4) {
        0 => r["effectiveDateTime"] = json!(rng.pick(DATES)),
        1 => r["effectiveDateTime"] = json!(rng.pick(TIMES)),
        2 => r["effectivePeriod"] = period(rng),
        _ => {}
    }
    if rng.chance(7) {
        let n: Value = serde_json::from_str(*rng.pick(NUMBERS)).expect("a number");
        let unit = rng.pick(UNITS);
        r["valueQuantity"] = json!({"value": n, "unit": unit, "system": UCUM, "code": unit});
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
        r["subject"] = patient_ref(rng);
    }
    if r.get("period").is_some_and(|p| p.as_object().is_some_and(serde_json::Map::is_empty)) {
        r.as_object_mut().expect("an object").remove("period");
    }
    r
}

fn risk(rng: &mut Rng, id: &str) -> Value {
    let n: Value = serde_json::from_str(*rng.pick(NUMBERS)).expect("a number");
    json!({"resourceType": "RiskAssessment", "id": id, "status": "final", "subject": patient_ref(rng), "prediction": [{"probabilityDecimal": n}]})
}

fn task(rng: &mut Rng, id: &str) -> Value {
    let mut r = json!({"resourceType": "Task", "id": id, "status": rng.pick(&["draft", "requested", "completed"]), "intent": "order"});
    if rng.chance(5) {
        r["priority"] = json!(rng.pick(&["routine", "urgent"]));
    }
    if rng.chance(7) {
        r["for"] = patient_ref(rng);
    }
    if rng.chance(5) {
        r["owner"] = json!({"reference": format!("Organization/{}", rng.pick(ORGS))});
    }
    if rng.chance(7) {
        r["authoredOn"] = json!(rng.pick(TIMES));
    }
    r
}

fn value_set(rng: &mut Rng, id: &str) -> Value {
    json!({"resourceType": "ValueSet", "id": id, "status": "active", "url": rng.pick(URLS)})
}

/// A world of resources: organisations and patients first, so that references lead somewhere.
pub fn world(rng: &mut Rng) -> Vec<Value> {
    let mut all: Vec<Value> =
        ORGS.iter().map(|id| json!({"resourceType": "Organization", "id": id, "name": id})).collect();
    all.extend(IDS.iter().map(|id| patient(rng, id)));
    for n in 0..14 {
        all.push(observation(rng, &format!("o{n}")));
        if n < 6 {
            all.push(encounter(rng, &format!("e{n}")));
            all.push(risk(rng, &format!("r{n}")));
            all.push(value_set(rng, &format!("v{n}")));
        }
        if n < 9 {
            all.push(task(rng, &format!("t{n}")));
        }
    }
    all
}

fn value(rng: &mut Rng, kind: &str, code: &str) -> (String, String) {
    let plain = |v: &str| (String::new(), v.to_string());
    let prefixed = |rng: &mut Rng, v: &str| {
        ((*rng.pick(&["", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb"])).to_string(), v.to_string())
    };
    match (kind, code) {
        (_, "family" | "given" | "name") => {
            let whole: Vec<char> =
                (if rng.chance(5) { *rng.pick(FAMILIES) } else { *rng.pick(GIVEN) }).chars().collect();
            let part: String = whole[..1 + rng.below(whole.len())].iter().collect();
            plain(&part)
        }
        (_, "gender") => plain(*rng.pick(GENDERS)),
        (_, "status") => {
            plain(*rng.pick(&["final", "preliminary", "finished", "planned", "draft", "requested", "completed"]))
        }
        (_, "priority") => plain(*rng.pick(&["routine", "urgent", "stat"])),
        (_, "identifier" | "code" | "category") => {
            let (s, c) = (*rng.pick(&SYSTEMS[..2]), *rng.pick(CODES));
            plain(&match rng.below(4) {
                0 => c.to_string(),
                1 => format!("|{c}"),
                2 => format!("{s}|"),
                _ => format!("{s}|{c}"),
            })
        }
        (_, "organization" | "owner") => plain(&if rng.chance(5) {
            (*rng.pick(ORGS)).to_string()
        } else {
            format!("Organization/{}", rng.pick(ORGS))
        }),
        (_, "subject" | "patient") => {
            plain(&if rng.chance(5) { (*rng.pick(IDS)).to_string() } else { format!("Patient/{}", rng.pick(IDS)) })
        }
        (_, "birthdate" | "date" | "authored-on") => {
            let v = if rng.chance(6) { *rng.pick(DATES) } else { *rng.pick(TIMES) };
            prefixed(rng, v)
        }
        (_, "probability") => {
            let v = *rng.pick(NUMBERS);
            prefixed(rng, v)
        }
        (_, "value-quantity") => {
            let n = *rng.pick(NUMBERS);
            let (p, n) = prefixed(rng, n);
            let unit = *rng.pick(UNITS);
            match rng.below(3) {
                0 => (p, n),
                1 => (p, format!("{n}|{UCUM}|{unit}")),
                _ => (p, format!("{n}||{unit}")),
            }
        }
        (_, "url") => plain(*rng.pick(URLS)),
        other => panic!("no values for {other:?}"),
    }
}

/// A criterion on a type; `depth` allows chains.
pub fn criterion(rng: &mut Rng, kind: &str, depth: usize) -> Criterion {
    let codes: Vec<&str> = PARAMS.iter().filter(|p| p.kind == kind).map(|p| p.code).collect();
    let code = *rng.pick(&codes);
    if depth > 0 && rng.chance(2) {
        if matches!(code, "subject" | "patient") {
            let then = Box::new(criterion(rng, "Patient", 0));
            return Criterion::Chain { code: code.into(), kind: "Patient".into(), then };
        }
        if kind == "Patient" {
            let (source, by) = *rng.pick(&[
                ("Observation", "subject"),
                ("Observation", "patient"),
                ("Task", "patient"),
                ("Encounter", "subject"),
            ]);
            return Criterion::Has { kind: source.into(), code: by.into(), then: Box::new(criterion(rng, source, 0)) };
        }
    }
    if rng.chance(1) {
        return Criterion::Missing { code: code.into(), missing: rng.chance(5) };
    }
    let modifier = match code {
        "family" | "given" | "name" => *rng.pick(&["", "", "exact", "contains"]),
        "gender" | "status" | "priority" | "identifier" | "code" | "category" => *rng.pick(&["", "", "", "not"]),
        "subject" | "patient" => *rng.pick(&["", "", "Patient"]),
        "url" => *rng.pick(&["", "below"]),
        _ => "",
    };
    let mut values: Vec<(String, String)> = (0..1 + rng.below(2)).map(|_| value(rng, kind, code)).collect();
    if modifier == "Patient" {
        for v in &mut values {
            v.1 = v.1.rsplit('/').next().unwrap_or_default().to_string();
        }
    }
    if modifier == "below" {
        // `:below` of a whole path segment only: what lies between is told differently by different readers.
        values = vec![(String::new(), "http://v.example/".to_string())];
    }
    Criterion::Plain { code: code.into(), modifier: modifier.into(), values }
}

/// The text of a criterion in a query: (name, value), unescaped.
pub fn spell(criterion: &Criterion) -> (String, String) {
    match criterion {
        Criterion::Plain { code, modifier, values } => {
            let name = if modifier.is_empty() { code.clone() } else { format!("{code}:{modifier}") };
            let values: Vec<String> = values.iter().map(|(p, v)| format!("{p}{v}")).collect();
            (name, values.join(","))
        }
        Criterion::Missing { code, missing } => (format!("{code}:missing"), missing.to_string()),
        Criterion::Chain { code, kind, then } => {
            let (name, value) = spell(then);
            (format!("{code}:{kind}.{name}"), value)
        }
        Criterion::Has { kind, code, then } => {
            let (name, value) = spell(then);
            (format!("_has:{kind}:{code}:{name}"), value)
        }
    }
}
