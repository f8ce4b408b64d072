//! What each parameter sees in a resource.

use super::compare::{FAR, period, scaled, span};
use serde_json::Value;

/// A code with what belongs to it.
#[derive(Debug, Clone, Default)]
pub struct Token {
    pub system: String,
    pub code: String,
    /// What `:text` looks at.
    pub text: String,
    /// What `:of-type` looks at: system and code of the type.
    pub of_type: Vec<(String, String)>,
    /// Whether it is a Coding: its system may be a code system.
    pub is_coding: bool,
}

/// A number with its unit; numbers are whole, see [`scaled`].
#[derive(Debug, Clone)]
pub struct Quantity {
    pub lo: i128,
    pub hi: i128,
    pub system: String,
    pub code: String,
    pub unit: String,
    /// Base unit, and the range in it.
    pub based: Option<(&'static str, i128, i128)>,
}

/// A reference.
#[derive(Debug, Clone, Default)]
pub struct Reference {
    pub text: String,
    pub kind: String,
    pub identifier: Option<(String, String)>,
}

/// The values a parameter sees in one resource.
#[derive(Debug, Clone)]
pub enum Values {
    Token(Vec<Token>),
    Text(Vec<String>),
    /// Half-open intervals in microseconds.
    Date(Vec<(i64, i64)>),
    /// Closed intervals.
    Number(Vec<(i128, i128)>),
    Quantity(Vec<Quantity>),
    Reference(Vec<Reference>),
    Uri(Vec<String>),
    /// Values of one element each.
    Pair(Vec<(Values, Values)>),
}

impl Values {
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Token(v) => v.is_empty(),
            Self::Text(v) | Self::Uri(v) => v.is_empty(),
            Self::Date(v) => v.is_empty(),
            Self::Number(v) => v.is_empty(),
            Self::Quantity(v) => v.is_empty(),
            Self::Reference(v) => v.is_empty(),
            Self::Pair(v) => !v.iter().any(|(a, b)| !a.is_empty() && !b.is_empty()),
        }
    }
}

/// One parameter the oracle knows: type, code, where its values are.
pub struct Param {
    pub kind: &'static str,
    pub code: &'static str,
    pub values: fn(&Value) -> Values,
}

/// Units of the pool: code, base unit, power of ten.
pub const UNITS: [(&str, &str, i32); 5] =
    [("g", "g", 0), ("mg", "g", -3), ("ug", "g", -6), ("L", "L", 0), ("mL", "L", -3)];

fn list(v: &Value) -> Vec<&Value> {
    match v {
        Value::Null => vec![],
        Value::Array(a) => a.iter().collect(),
        other => vec![other],
    }
}

fn text(v: &Value) -> String {
    v.as_str().unwrap_or_default().to_string()
}

fn texts(vs: Vec<&Value>) -> Values {
    Values::Text(vs.into_iter().filter_map(Value::as_str).map(str::to_string).collect())
}

fn concepts(concepts: Vec<&Value>) -> Values {
    let mut out = Vec::new();
    for concept in concepts {
        out.extend(list(&concept["coding"]).into_iter().map(coding));
        if concept["text"].is_string() {
            out.push(Token { text: text(&concept["text"]), ..Token::default() });
        }
    }
    Values::Token(out)
}

fn coding(c: &Value) -> Token {
    let (system, code, text) = (text(&c["system"]), text(&c["code"]), text(&c["display"]));
    Token { system, code, text, is_coding: true, ..Token::default() }
}

fn code(v: &Value, system: &str) -> Values {
    Values::Token(
        list(v).into_iter().map(|c| Token { system: system.into(), code: text(c), ..Token::default() }).collect(),
    )
}

fn identifiers(v: &Value) -> Values {
    Values::Token(
        list(v)
            .into_iter()
            .map(|i| Token {
                system: text(&i["system"]),
                code: text(&i["value"]),
                text: text(&i["type"]["text"]),
                of_type: list(&i["type"]["coding"])
                    .into_iter()
                    .map(|c| (text(&c["system"]), text(&c["code"])))
                    .collect(),
                is_coding: false,
            })
            .collect(),
    )
}

fn reference(vs: Vec<&Value>) -> Values {
    let one = |r: &Value| {
        let at = if r.is_string() { r } else { &r["reference"] };
        let kind = at.as_str().and_then(|t| t.rsplit('/').nth(1)).map(str::to_string);
        let kind = if text(at).contains("/_history/") { text(at).split('/').next().map(str::to_string) } else { kind };
        let identifier = &r["identifier"];
        Reference {
            text: text(at),
            kind: kind.unwrap_or_else(|| text(&r["type"])),
            identifier: identifier["value"]
                .is_string()
                .then(|| (text(&identifier["system"]), text(&identifier["value"]))),
        }
    };
    Values::Reference(vs.into_iter().map(one).collect())
}

fn only(v: Values, kind: &str) -> Values {
    match v {
        Values::Reference(r) => Values::Reference(r.into_iter().filter(|x| x.kind == kind).collect()),
        other => other,
    }
}

fn names(p: &Value, parts: &[&str]) -> Values {
    texts(list(&p["name"]).into_iter().flat_map(|n| parts.iter().flat_map(|k| list(&n[*k]))).collect())
}

fn dates(points: &[&Value], periods: &[&Value], timings: &[&Value]) -> Values {
    let mut out: Vec<(i64, i64)> = points.iter().flat_map(|v| list(v)).filter_map(|d| span(d.as_str()?)).collect();
    out.extend(periods.iter().flat_map(|v| list(v)).map(period));
    for timing in timings.iter().flat_map(|v| list(v)) {
        let events: Vec<_> = list(&timing["event"]).into_iter().filter_map(|d| span(d.as_str()?)).collect();
        let bounds: Vec<_> = list(&timing["repeat"]["boundsPeriod"]).into_iter().map(period).collect();
        let all = events.into_iter().chain(bounds);
        out.extend(all.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))));
    }
    Values::Date(out)
}

fn number(v: &Value, power: i32) -> Option<i128> {
    v.is_number().then(|| scaled(&v.to_string(), power).0)
}

/// A number or Range, with the power of ten of its unit.
fn ends(v: &Value, power: i32) -> Option<(i128, i128)> {
    if v.is_number() {
        return number(v, power).map(|n| (n, n));
    }
    if v.get("low").is_some() || v.get("high").is_some() {
        return Some((
            number(&v["low"]["value"], power).unwrap_or(-FAR),
            number(&v["high"]["value"], power).unwrap_or(FAR),
        ));
    }
    let n = number(&v["value"], power)?;
    Some(match v["comparator"].as_str() {
        Some("<") => (-FAR, n - 1),
        Some("<=") => (-FAR, n),
        Some(">") => (n + 1, FAR),
        Some(">=") => (n, FAR),
        _ => (n, n),
    })
}

fn quantities(vs: Vec<&Value>) -> Values {
    let one = |q: &Value| {
        let (lo, hi) = ends(q, 0)?;
        let unit = UNITS.iter().find(|u| q["system"] == "http://unitsofmeasure.org" && q["code"] == u.0);
        let based = unit.and_then(|u| ends(q, u.2).map(|(lo, hi)| (u.1, lo, hi)));
        Some(Quantity { lo, hi, system: text(&q["system"]), code: text(&q["code"]), unit: text(&q["unit"]), based })
    };
    Values::Quantity(vs.into_iter().filter_map(one).collect())
}

fn uris(v: &Value) -> Values {
    Values::Uri(list(v).into_iter().map(text).collect())
}

/// Strings for people in what the generator makes, besides the narrative.
pub fn human_texts(r: &Value) -> Vec<String> {
    let mut out: Vec<String> = list(&r["note"]).iter().map(|n| text(&n["text"])).collect();
    out.push(text(&r["code"]["text"]));
    out.extend(list(&r["code"]["coding"]).iter().map(|c| text(&c["display"])));
    out
}

const OBSERVATION: &str = "http://hl7.org/fhir/observation-status";
const GENDER: &str = "http://hl7.org/fhir/administrative-gender";

macro_rules! params {
    ($($kind:literal $code:literal $values:expr;)+) => {
        /// All parameters the oracle judges.
        pub const PARAMS: &[Param] = &[$(Param { kind: $kind, code: $code, values: $values },)+];
    };
}

params! {
    "Patient" "family" |r| names(r, &["family"]);
    "Patient" "given" |r| names(r, &["given"]);
    "Patient" "name" |r| names(r, &["family", "given", "prefix", "suffix", "text"]);
    "Patient" "gender" |r| code(&r["gender"], GENDER);
    "Patient" "active" |r| Values::Token(list(&r["active"]).into_iter().map(|b| Token { code: b.to_string(), ..Token::default() }).collect());
    "Patient" "birthdate" |r| dates(&[&r["birthDate"]], &[], &[]);
    "Patient" "identifier" |r| identifiers(&r["identifier"]);
    "Patient" "organization" |r| reference(list(&r["managingOrganization"]));
    "Patient" "link" |r| reference(list(&r["link"]).into_iter().map(|l| &l["other"]).collect());
    "Organization" "name" |r| texts(list(&r["name"]));
    "Organization" "partof" |r| reference(list(&r["partOf"]));
    "Observation" "code" |r| concepts(list(&r["code"]));
    "Observation" "category" |r| concepts(list(&r["category"]));
    "Observation" "status" |r| code(&r["status"], OBSERVATION);
    "Observation" "subject" |r| reference(list(&r["subject"]));
    "Observation" "patient" |r| only(reference(list(&r["subject"])), "Patient");
    "Observation" "performer" |r| reference(list(&r["performer"]));
    "Observation" "has-member" |r| reference(list(&r["hasMember"]));
    "Observation" "encounter" |r| reference(list(&r["encounter"]));
    "Observation" "date" |r| dates(&[&r["effectiveDateTime"], &r["effectiveInstant"]], &[&r["effectivePeriod"]], &[&r["effectiveTiming"]]);
    "Observation" "value-quantity" |r| quantities(list(&r["valueQuantity"]));
    "Observation" "value-concept" |r| concepts(list(&r["valueCodeableConcept"]));
    "Observation" "component-code" |r| concepts(list(&r["component"]).into_iter().map(|c| &c["code"]).collect());
    "Observation" "combo-code" |r| concepts(list(&r["code"]).into_iter().chain(list(&r["component"]).into_iter().map(|c| &c["code"])).collect());
    "Observation" "component-code-value-quantity" |r| Values::Pair(list(&r["component"]).into_iter()
        .map(|c| (concepts(list(&c["code"])), quantities(list(&c["valueQuantity"])))).collect());
    "Observation" "code-value-quantity" |r| Values::Pair(vec![(concepts(list(&r["code"])), quantities(list(&r["valueQuantity"])))]);
    "Observation" "code-value-concept" |r| Values::Pair(vec![(concepts(list(&r["code"])), concepts(list(&r["valueCodeableConcept"])))]);
    "Encounter" "date" |r| dates(&[], &[&r["period"]], &[]);
    "Encounter" "status" |r| code(&r["status"], "http://hl7.org/fhir/encounter-status");
    "Encounter" "class" |r| Values::Token(list(&r["class"]).into_iter().map(coding).collect());
    "Encounter" "subject" |r| reference(list(&r["subject"]));
    "Encounter" "patient" |r| only(reference(list(&r["subject"])), "Patient");
    "RiskAssessment" "probability" |r| Values::Number(list(&r["prediction"]).into_iter()
        .flat_map(|p| [&p["probabilityDecimal"], &p["probabilityRange"]]).filter_map(|v| ends(v, 0)).collect());
    "RiskAssessment" "subject" |r| reference(list(&r["subject"]));
    "Task" "status" |r| code(&r["status"], "http://hl7.org/fhir/task-status");
    "Task" "priority" |r| code(&r["priority"], "http://hl7.org/fhir/request-priority");
    "Task" "owner" |r| reference(list(&r["owner"]));
    "Task" "focus" |r| reference(list(&r["focus"]));
    "Task" "subject" |r| reference(list(&r["for"]));
    "Task" "patient" |r| only(reference(list(&r["for"])), "Patient");
    "Task" "authored-on" |r| dates(&[&r["authoredOn"]], &[], &[]);
    "Task" "due" |r| dates(&[&r["restriction"]["period"]["end"]], &[], &[]);
    "Condition" "code" |r| concepts(list(&r["code"]));
    "Condition" "subject" |r| reference(list(&r["subject"]));
    "Condition" "patient" |r| only(reference(list(&r["subject"])), "Patient");
    "Condition" "asserter" |r| reference(list(&r["asserter"]));
    "Condition" "onset-date" |r| dates(&[&r["onsetDateTime"]], &[&r["onsetPeriod"]], &[]);
    "ValueSet" "url" |r| uris(&r["url"]);
    "ValueSet" "version" |r| code(&r["version"], "");
    "QuestionnaireResponse" "questionnaire" |r| reference(list(&r["questionnaire"]));
    "QuestionnaireResponse" "subject" |r| reference(list(&r["subject"]));
    "QuestionnaireResponse" "author" |r| reference(list(&r["author"]));
    "Questionnaire" "title" |r| texts(list(&r["title"]));
    "Questionnaire" "status" |r| code(&r["status"], "http://hl7.org/fhir/publication-status");
    "Questionnaire" "version" |r| code(&r["version"], "");
    "List" "item" |r| reference(list(&r["entry"]).into_iter().map(|e| &e["item"]).collect());
    "List" "subject" |r| reference(list(&r["subject"]));
    "List" "source" |r| reference(list(&r["source"]));
}

/// Parameters of every type.
const COMMON: &[Param] = &[
    Param { kind: "", code: "_id", values: |r| code(&r["id"], "") },
    Param {
        kind: "",
        code: "_tag",
        values: |r| Values::Token(list(&r["meta"]["tag"]).into_iter().map(coding).collect()),
    },
    Param {
        kind: "",
        code: "_security",
        values: |r| Values::Token(list(&r["meta"]["security"]).into_iter().map(coding).collect()),
    },
    Param { kind: "", code: "_profile", values: |r| uris(&r["meta"]["profile"]) },
    Param { kind: "", code: "_source", values: |r| uris(&r["meta"]["source"]) },
    Param { kind: "", code: "_lastUpdated", values: |r| dates(&[&r["meta"]["lastUpdated"]], &[], &[]) },
];

/// All parameters of a type.
pub fn params(kind: &str) -> impl Iterator<Item = &'static Param> {
    PARAMS.iter().filter(move |p| p.kind == kind).chain(COMMON)
}
