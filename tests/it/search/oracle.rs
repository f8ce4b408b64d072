//! What a query must find, worked out slowly from the resources themselves.
//!
//! Sources: <https://hl7.org/fhir/R4/search.html#prefix>, `#string`, `#token`, `#reference`, `#missing`.

use jiff::civil;
use serde_json::Value;
use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

/// The values a parameter sees in one resource.
#[derive(Debug, Clone)]
pub enum Values {
    /// (system, code); system "" when there is none.
    Token(Vec<(String, String)>),
    /// Texts.
    Text(Vec<String>),
    /// Half-open intervals in seconds.
    Date(Vec<(i64, i64)>),
    /// Numbers.
    Number(Vec<f64>),
    /// (number, system, code).
    Quantity(Vec<(f64, String, String)>),
    /// `Type/id`.
    Reference(Vec<String>),
    /// URIs.
    Uri(Vec<String>),
}

/// One parameter the oracle knows: type, code, where its values are.
pub struct Param {
    /// Resource type.
    pub kind: &'static str,
    /// Name in a query.
    pub code: &'static str,
    /// Reads the values.
    pub values: fn(&Value) -> Values,
}

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

fn codings(concepts: Vec<&Value>) -> Values {
    Values::Token(
        concepts.into_iter().flat_map(|c| list(&c["coding"])).map(|c| (text(&c["system"]), text(&c["code"]))).collect(),
    )
}

fn code(v: &Value) -> Values {
    Values::Token(list(v).into_iter().map(|c| (String::new(), text(c))).collect())
}

fn identifiers(v: &Value) -> Values {
    Values::Token(list(v).into_iter().map(|i| (text(&i["system"]), text(&i["value"]))).collect())
}

fn reference(v: &Value) -> Values {
    Values::Reference(list(v).into_iter().filter_map(|r| r["reference"].as_str()).map(str::to_string).collect())
}

fn only(v: Values, kind: &str) -> Values {
    match v {
        Values::Reference(r) => {
            Values::Reference(r.into_iter().filter(|x| x.starts_with(&format!("{kind}/"))).collect())
        }
        other => other,
    }
}

fn names(p: &Value, parts: &[&str]) -> Values {
    texts(list(&p["name"]).into_iter().flat_map(|n| parts.iter().flat_map(|k| list(&n[*k]))).collect())
}

fn number(v: &Value) -> f64 {
    v.as_f64().unwrap_or(f64::NAN)
}

/// All parameters the oracle judges.
pub const PARAMS: &[Param] = &[
    Param { kind: "Patient", code: "family", values: |r| names(r, &["family"]) },
    Param { kind: "Patient", code: "given", values: |r| names(r, &["given"]) },
    Param { kind: "Patient", code: "name", values: |r| names(r, &["family", "given", "prefix", "suffix", "text"]) },
    Param { kind: "Patient", code: "gender", values: |r| code(&r["gender"]) },
    Param {
        kind: "Patient",
        code: "birthdate",
        values: |r| Values::Date(list(&r["birthDate"]).into_iter().filter_map(|d| span(d.as_str()?)).collect()),
    },
    Param { kind: "Patient", code: "identifier", values: |r| identifiers(&r["identifier"]) },
    Param { kind: "Patient", code: "organization", values: |r| reference(&r["managingOrganization"]) },
    Param { kind: "Observation", code: "code", values: |r| codings(list(&r["code"])) },
    Param { kind: "Observation", code: "category", values: |r| codings(list(&r["category"])) },
    Param { kind: "Observation", code: "status", values: |r| code(&r["status"]) },
    Param { kind: "Observation", code: "subject", values: |r| reference(&r["subject"]) },
    Param { kind: "Observation", code: "patient", values: |r| only(reference(&r["subject"]), "Patient") },
    Param {
        kind: "Observation",
        code: "date",
        values: |r| {
            Values::Date(
                list(&r["effectiveDateTime"])
                    .into_iter()
                    .filter_map(|d| span(d.as_str()?))
                    .chain(list(&r["effectivePeriod"]).into_iter().map(period))
                    .collect(),
            )
        },
    },
    Param {
        kind: "Observation",
        code: "value-quantity",
        values: |r| {
            Values::Quantity(
                list(&r["valueQuantity"])
                    .into_iter()
                    .map(|q| (number(&q["value"]), text(&q["system"]), text(&q["code"])))
                    .collect(),
            )
        },
    },
    Param {
        kind: "Encounter",
        code: "date",
        values: |r| Values::Date(list(&r["period"]).into_iter().map(period).collect()),
    },
    Param { kind: "Encounter", code: "status", values: |r| code(&r["status"]) },
    Param { kind: "Encounter", code: "subject", values: |r| reference(&r["subject"]) },
    Param {
        kind: "RiskAssessment",
        code: "probability",
        values: |r| {
            Values::Number(
                list(&r["prediction"])
                    .into_iter()
                    .map(|p| number(&p["probabilityDecimal"]))
                    .filter(|n| !n.is_nan())
                    .collect(),
            )
        },
    },
    Param { kind: "RiskAssessment", code: "subject", values: |r| reference(&r["subject"]) },
    Param { kind: "Task", code: "status", values: |r| code(&r["status"]) },
    Param { kind: "Task", code: "priority", values: |r| code(&r["priority"]) },
    Param { kind: "Task", code: "owner", values: |r| reference(&r["owner"]) },
    Param { kind: "Task", code: "patient", values: |r| only(reference(&r["for"]), "Patient") },
    Param {
        kind: "Task",
        code: "authored-on",
        values: |r| Values::Date(list(&r["authoredOn"]).into_iter().filter_map(|d| span(d.as_str()?)).collect()),
    },
    Param { kind: "ValueSet", code: "url", values: |r| Values::Uri(list(&r["url"]).into_iter().map(text).collect()) },
];

/// The parameter of that type and name.
pub fn param(kind: &str, code: &str) -> &'static Param {
    PARAMS.iter().find(|p| p.kind == kind && p.code == code).expect("a parameter of the oracle")
}

const FAR: i64 = 1 << 50;

/// The half-open interval (seconds since 1970, UTC) that a FHIR date means.
pub fn span(date: &str) -> Option<(i64, i64)> {
    let day = |y: i16, m: i8, d: i8| {
        civil::date(y, m, d).to_zoned(jiff::tz::TimeZone::UTC).ok().map(|z| z.timestamp().as_second())
    };
    let part = |a: usize, b: usize| date.get(a..b)?.parse::<i16>().ok();
    match date.len() {
        4 => Some((day(part(0, 4)?, 1, 1)?, day(part(0, 4)? + 1, 1, 1)?)),
        7 => {
            let (y, m) = (part(0, 4)?, part(5, 7)? as i8);
            Some((day(y, m, 1)?, if m == 12 { day(y + 1, 1, 1)? } else { day(y, m + 1, 1)? }))
        }
        10 => day(part(0, 4)?, part(5, 7)? as i8, part(8, 10)? as i8).map(|lo| (lo, lo + 86_400)),
        _ => {
            let at = date.parse::<jiff::Timestamp>().ok()?.as_second();
            Some((at, at + 1))
        }
    }
}

fn period(p: &Value) -> (i64, i64) {
    let lo = p["start"].as_str().and_then(span).map_or(-FAR, |s| s.0);
    let hi = p["end"].as_str().and_then(span).map_or(FAR, |s| s.1);
    (lo, hi)
}

/// Lower case, without accents and combining marks.
pub fn fold(s: &str) -> String {
    s.nfd().filter(|c| !is_combining_mark(*c)).flat_map(char::to_lowercase).collect()
}

fn intervals(prefix: &str, (vlo, vhi): (i64, i64), (qlo, qhi): (i64, i64)) -> bool {
    let inside = qlo <= vlo && vhi <= qhi;
    match prefix {
        "" | "eq" => inside,
        "ne" => !inside,
        "gt" => vhi > qhi,
        "lt" => vlo < qlo,
        "ge" => vhi > qhi || inside,
        "le" => vlo < qlo || inside,
        "sa" => vlo >= qhi,
        "eb" => vhi <= qlo,
        other => panic!("no prefix {other}"),
    }
}

/// Half the last digit's weight: `100` means [99.5, 100.5).
fn precision(n: &str) -> f64 {
    let decimals = n.split_once('.').map_or(0, |(_, f)| f.len());
    0.5 * 10f64.powi(-(decimals as i32))
}

fn numbers(prefix: &str, v: f64, n: &str) -> bool {
    let q: f64 = n.parse().expect("a number");
    // Both ends as decimal text, so that 5.4 ± 0.05 is what a reader computes on paper.
    let round = |x: f64| format!("{x:.6}").parse::<f64>().expect("a number");
    let (lo, hi) = (round(q - precision(n)), round(q + precision(n)));
    match prefix {
        "" | "eq" => lo <= v && v < hi,
        "ne" => !(lo <= v && v < hi),
        "gt" | "sa" => v > q,
        "lt" | "eb" => v < q,
        "ge" => v >= q,
        "le" => v <= q,
        other => panic!("no prefix {other}"),
    }
}

/// One value of a query against one resource's values.
fn one(values: &Values, modifier: &str, prefix: &str, value: &str) -> bool {
    match values {
        Values::Token(tokens) => tokens.iter().any(|(system, code)| match value.split_once('|') {
            None => code == value,
            Some(("", c)) => system.is_empty() && code == c,
            Some((s, "")) => system == s,
            Some((s, c)) => system == s && code == c,
        }),
        Values::Text(texts) => texts.iter().any(|t| match modifier {
            "exact" => t == value,
            "contains" => fold(t).contains(&fold(value)),
            _ => fold(t).starts_with(&fold(value)),
        }),
        Values::Date(spans) => {
            let q = span(value).expect("a date");
            spans.iter().any(|v| intervals(prefix, *v, q))
        }
        Values::Number(ns) => ns.iter().any(|v| numbers(prefix, *v, value)),
        Values::Quantity(qs) => {
            let mut parts = value.split('|');
            let n = parts.next().expect("a number");
            let (system, code) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
            qs.iter().any(|(v, s, c)| {
                numbers(prefix, *v, n) && (system.is_empty() || s == system) && (code.is_empty() || c == code)
            })
        }
        Values::Reference(refs) => refs.iter().any(|r| match (value.contains('/'), modifier) {
            (true, _) => r == value,
            (false, "") => r.split('/').nth(1) == Some(value),
            (false, kind) => *r == format!("{kind}/{value}"),
        }),
        Values::Uri(uris) => uris.iter().any(|u| match modifier {
            "below" => u.starts_with(value),
            _ => u == value,
        }),
    }
}

fn is_empty(values: &Values) -> bool {
    match values {
        Values::Token(v) => v.is_empty(),
        Values::Text(v) => v.is_empty(),
        Values::Date(v) => v.is_empty(),
        Values::Number(v) => v.is_empty(),
        Values::Quantity(v) => v.is_empty(),
        Values::Reference(v) | Values::Uri(v) => v.is_empty(),
    }
}

/// One criterion of a query.
#[derive(Debug, Clone)]
pub enum Criterion {
    /// `code:modifier=prefix value, …`
    Plain { code: String, modifier: String, values: Vec<(String, String)> },
    /// `code:missing=true|false`
    Missing { code: String, missing: bool },
    /// `reference:Type.criterion`
    Chain { code: String, kind: String, then: Box<Criterion> },
    /// `_has:Type:reference:criterion`
    Has { kind: String, code: String, then: Box<Criterion> },
}

/// Whether a resource of the world meets a criterion.
pub fn meets(world: &[Value], resource: &Value, criterion: &Criterion) -> bool {
    let kind = resource["resourceType"].as_str().expect("resourceType");
    let me = format!("{kind}/{}", resource["id"].as_str().expect("id"));
    match criterion {
        Criterion::Plain { code, modifier, values } => {
            let seen = (param(kind, code).values)(resource);
            let any = values.iter().any(|(prefix, value)| one(&seen, modifier, prefix, value));
            if modifier == "not" { !any } else { any }
        }
        Criterion::Missing { code, missing } => is_empty(&(param(kind, code).values)(resource)) == *missing,
        Criterion::Chain { code, kind: target, then } => {
            let Values::Reference(refs) = (param(kind, code).values)(resource) else { return false };
            world.iter().any(|other| {
                let name =
                    format!("{}/{}", other["resourceType"].as_str().unwrap_or(""), other["id"].as_str().unwrap_or(""));
                other["resourceType"] == *target && refs.contains(&name) && meets(world, other, then)
            })
        }
        Criterion::Has { kind: source, code, then } => world.iter().any(|other| {
            other["resourceType"] == *source
                && matches!((param(source, code).values)(other), Values::Reference(refs) if refs.contains(&me))
                && meets(world, other, then)
        }),
    }
}
