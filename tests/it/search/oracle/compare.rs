//! Whether one value of a query meets the values of a resource, and what a resource is sorted by.
//!
//! Source: <https://hl7.org/fhir/R4/search.html#prefix>, `#string`, `#token`, `#reference`, `#quantity`, `#uri`, `#sort`.

use super::values::{Quantity, Reference, Token, UNITS, Values};
use super::{Tree, World, leads};
use jiff::civil;
use serde_json::Value;
use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

/// Further than every number.
pub const FAR: i128 = 1 << 100;
/// Before and after all time.
const EVER: i64 = 1 << 62;
/// Decimals that numbers are kept with.
const DECIMALS: i32 = 18;

/// Splits at a sign that no backslash stands before.
fn split(value: &str, at: char) -> Vec<String> {
    let mut out = vec![String::new()];
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        let last = out.last_mut().expect("a part");
        if c == '\\' {
            last.push(c);
            last.extend(chars.next());
        } else if c == at {
            out.push(String::new());
        } else {
            last.push(c);
        }
    }
    out
}

fn unescape(value: &str) -> String {
    let mut out = String::new();
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        out.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    out
}

/// A decimal as a whole number of 10^-18 (of a unit with a power of ten), and half a unit of its last digit.
pub fn scaled(text: &str, power: i32) -> (i128, i128) {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits: i128 = format!("{whole}{fraction}").parse().expect("a number");
    let digits = if whole == "-0" { -digits.abs() } else { digits };
    let one = 10_i128.pow((DECIMALS + power - fraction.len() as i32).try_into().expect("a small fraction"));
    (digits * one, one / 2)
}

/// µs of an instant.
pub fn micros(text: &str) -> Option<i64> {
    text.parse::<jiff::Timestamp>().ok().map(|t| t.as_microsecond())
}

/// The half-open interval (µs, UTC) that a FHIR date means.
pub fn span(date: &str) -> Option<(i64, i64)> {
    let day = |y: i16, m: i8, d: i8| {
        civil::date(y, m, d).to_zoned(jiff::tz::TimeZone::UTC).ok().map(|z| z.timestamp().as_microsecond())
    };
    let part = |a: usize, b: usize| date.get(a..b)?.parse::<i16>().ok();
    match date.len() {
        4 => Some((day(part(0, 4)?, 1, 1)?, day(part(0, 4)? + 1, 1, 1)?)),
        7 => {
            let (y, m) = (part(0, 4)?, part(5, 7)? as i8);
            Some((day(y, m, 1)?, if m == 12 { day(y + 1, 1, 1)? } else { day(y, m + 1, 1)? }))
        }
        10 => day(part(0, 4)?, part(5, 7)? as i8, part(8, 10)? as i8).map(|lo| (lo, lo + 86_400_000_000)),
        _ => {
            let (head, rest) = (date.get(..16)?, date.get(16..)?);
            let has_seconds = rest.starts_with(':');
            let (seconds, zone) =
                rest.split_at(rest.find(['Z', '+']).or_else(|| rest.rfind('-')).unwrap_or(rest.len()));
            let width = match (has_seconds, seconds.split_once('.')) {
                (false, _) => 60_000_000,
                (true, None) => 1_000_000,
                (true, Some((_, fraction))) => 10_i64.pow(6 - fraction.len() as u32),
            };
            let seconds = if has_seconds { seconds.replace(":60", ":59") } else { ":00".into() };
            let zone = if zone.is_empty() { "Z" } else { zone };
            let late = head.ends_with("T24:00");
            let at = micros(&format!("{}{seconds}{zone}", head.replace("T24:00", "T00:00")))?;
            let at = if late { at + 86_400_000_000 } else { at };
            Some((at, at + width))
        }
    }
}

pub fn period(p: &Value) -> (i64, i64) {
    let lo = p["start"].as_str().and_then(span).map_or(-EVER, |s| s.0);
    let hi = p["end"].as_str().and_then(span).map_or(EVER, |s| s.1);
    (lo, hi)
}

/// Lower case, without accents, combining marks and punctuation (but with symbols); single spaces.
pub fn fold(s: &str) -> String {
    let plain: String = s
        .nfd()
        .filter(|c| !is_combining_mark(*c))
        .flat_map(char::to_lowercase)
        .filter(|c| c.is_alphanumeric() || c.is_whitespace() || "+<>=%$^|~".contains(*c))
        .collect();
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Words of a text: what other signs part. An apostrophe joins.
pub fn words(s: &str) -> Vec<String> {
    let plain: String = s.nfd().filter(|c| !is_combining_mark(*c) && *c != '\'').flat_map(char::to_lowercase).collect();
    plain.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).map(str::to_string).collect()
}

/// A narrative of the generator without its tags.
pub fn without_tags(div: &str) -> String {
    let mut out = String::new();
    let mut is_tag = false;
    for c in div.chars() {
        match c {
            '<' => is_tag = true,
            '>' => {
                is_tag = false;
                out.push(' ');
            }
            c if !is_tag => out.push(c),
            _ => {}
        }
    }
    out
}

/// Whether words meet a full text query.
pub fn holds(tree: &Tree, words: &[String]) -> bool {
    match tree {
        Tree::Word(word, false) => words.contains(word),
        Tree::Word(word, true) => words.iter().any(|w| w.starts_with(word)),
        Tree::And(a, b) => holds(a, words) && holds(b, words),
        Tree::Or(a, b) => holds(a, words) || holds(b, words),
        Tree::Not(a) => !holds(a, words),
    }
}

/// Prefix and rest.
fn prefix(value: &str) -> (&str, &str) {
    match value.get(..2) {
        Some(two) if two.chars().all(|c| c.is_ascii_lowercase()) => value.split_at(2),
        _ => ("eq", value),
    }
}

/// Half-open intervals.
fn intervals(prefix: &str, (vlo, vhi): (i64, i64), (qlo, qhi): (i64, i64)) -> bool {
    let inside = qlo <= vlo && vhi <= qhi;
    match prefix {
        "eq" => inside,
        "ne" => !inside,
        "gt" => vhi > qhi,
        "lt" => vlo < qlo,
        "ge" => vhi > qhi || inside,
        "le" => vlo < qlo || inside,
        "sa" => vlo >= qhi,
        "eb" => vhi <= qlo,
        "ap" => vlo < qhi && qlo < vhi,
        other => panic!("no prefix {other}"),
    }
}

/// Closed intervals against a number as precise as it was written.
fn numbers(prefix: &str, (vlo, vhi): (i128, i128), (q, half): (i128, i128)) -> bool {
    let inside = q - half <= vlo && vhi < q + half;
    match prefix {
        "eq" => inside,
        "ne" => !inside,
        "gt" => vhi > q,
        "lt" => vlo < q,
        "ge" => vhi > q || (vlo, vhi) == (q, q),
        "le" => vlo < q || (vlo, vhi) == (q, q),
        "sa" => vlo > q,
        "eb" => vhi < q,
        "ap" => {
            let about = half.max(q.abs() / 10);
            vlo <= q + about && vhi >= q - about
        }
        other => panic!("no prefix {other}"),
    }
}

fn token(world: &World, t: &Token, modifier: &str, value: &str) -> bool {
    let parts: Vec<String> = split(value, '|').iter().map(|p| unescape(p)).collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    match (modifier, &parts[..]) {
        ("text", _) => !t.text.is_empty() && fold(&t.text).starts_with(&fold(&unescape(value))),
        ("of-type", [system, code, value]) => {
            t.code == *value && t.of_type.iter().any(|(s, c)| s == system && c == code)
        }
        ("in" | "not-in", _) => !t.code.is_empty() && world.is_in(&unescape(value), &t.system, &t.code),
        ("below", [system, code]) => t.system == *system && world.is_below(system, code, &t.code),
        ("above", [system, code]) => t.system == *system && world.is_below(system, &t.code, code),
        (_, [code]) => t.code == *code,
        (_, ["", code]) => t.system.is_empty() && t.code == *code,
        (_, [system, ""]) => t.system == *system,
        (_, [system, code]) if t.is_coding && world.is_caseless(system) => {
            t.system == *system && t.code.eq_ignore_ascii_case(code)
        }
        (_, [system, code]) => t.system == *system && t.code == *code,
        other => panic!("no token {other:?}"),
    }
}

fn quantity(q: &Quantity, value: &str) -> bool {
    let parts: Vec<String> = split(value, '|').iter().map(|p| unescape(p)).collect();
    let (prefix, n) = prefix(&parts[0]);
    let plain = |ok: bool| ok && numbers(prefix, (q.lo, q.hi), scaled(n, 0));
    match (parts.get(1).map(String::as_str), parts.get(2).map(String::as_str)) {
        (None, None) | (Some(""), Some("")) => plain(true),
        (Some(""), Some(unit)) => plain(q.code == unit || q.unit == unit),
        (Some(system), Some(code)) => match UNITS.iter().find(|u| system == "http://unitsofmeasure.org" && u.0 == code)
        {
            Some((_, base, power)) => {
                q.based.is_some_and(|(b, lo, hi)| b == *base && numbers(prefix, (lo, hi), scaled(n, *power)))
            }
            None => plain(q.system == system && q.code == code),
        },
        other => panic!("no quantity {other:?}"),
    }
}

fn reference(r: &Reference, modifier: &str, value: &str) -> bool {
    if modifier == "identifier" {
        let Some((system, code)) = &r.identifier else { return false };
        let held = Token { system: system.clone(), code: code.clone(), ..Token::default() };
        let nowhere = World { items: vec![] };
        return token(&nowhere, &held, "", value);
    }
    let value = unescape(value);
    let value = value.strip_prefix("@base/").unwrap_or(&value);
    let is_kind = modifier.is_empty() || r.kind == modifier;
    let is_local = !r.text.contains(':');
    let hit = if value.contains("/_history/") {
        r.text == value
    } else if value.contains(':') {
        r.text == value || r.text.split('|').next() == Some(value)
    } else if value.contains('/') {
        is_local && leads(r) == value
    } else {
        is_local && leads(r).split('/').nth(1) == Some(value)
    };
    is_kind && hit
}

/// One value of a query against one resource's values.
pub fn one(world: &World, values: &Values, modifier: &str, value: &str) -> bool {
    match values {
        Values::Token(tokens) => tokens.iter().any(|t| token(world, t, modifier, value)),
        Values::Text(texts) => texts.iter().any(|t| match modifier {
            "exact" => *t == unescape(value),
            "contains" => fold(t).contains(&fold(&unescape(value))),
            _ => fold(t).starts_with(&fold(&unescape(value))),
        }),
        Values::Date(spans) => {
            let (prefix, date) = prefix(value);
            let q = span(date).expect("a date");
            spans.iter().any(|v| intervals(prefix, *v, q))
        }
        Values::Number(ns) => {
            let (prefix, n) = prefix(value);
            ns.iter().any(|v| numbers(prefix, *v, scaled(n, 0)))
        }
        Values::Quantity(qs) => qs.iter().any(|q| quantity(q, value)),
        Values::Reference(refs) => refs.iter().any(|r| reference(r, modifier, value)),
        Values::Uri(uris) => {
            let value = unescape(value);
            let within = |whole: &str, part: &str| {
                let part = part.trim_end_matches('/');
                whole == part || whole.starts_with(&format!("{part}/"))
            };
            uris.iter().any(|u| match modifier {
                "below" => *u == value || within(u, &value),
                "above" => *u == value || within(&value, u),
                _ => *u == value,
            })
        }
        Values::Pair(pairs) => {
            let parts = split(value, '$');
            pairs.iter().any(|(a, b)| one(world, a, "", &parts[0]) && one(world, b, "", &parts[1]))
        }
    }
}

/// What a resource is sorted by: of several values the one that comes first in that order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    Text(String),
    Number(i128),
}

pub fn sort_key(values: &Values, descending: bool) -> Option<Key> {
    let texts = |list: Vec<String>| list.into_iter().filter(|t| !t.is_empty()).map(Key::Text).collect::<Vec<_>>();
    let ends = |list: Vec<(i128, i128)>| {
        list.into_iter().map(|(lo, hi)| Key::Number(if descending { hi } else { lo })).collect::<Vec<_>>()
    };
    let all = match values {
        Values::Token(v) => texts(
            v.iter()
                .map(|t| [&t.code, &t.text, &t.system].into_iter().find(|x| !x.is_empty()).cloned().unwrap_or_default())
                .collect(),
        ),
        Values::Text(v) => texts(v.iter().map(|t| fold(t)).collect()),
        Values::Uri(v) => texts(v.clone()),
        Values::Date(v) => ends(v.iter().map(|(lo, hi)| (i128::from(*lo), i128::from(*hi))).collect()),
        Values::Number(v) => ends(v.clone()),
        Values::Quantity(v) => ends(v.iter().map(|q| (q.lo, q.hi)).collect()),
        Values::Reference(v) => texts(
            v.iter()
                .map(|r| match (r.text.as_str(), &r.identifier) {
                    ("", Some((_, value))) => value.clone(),
                    _ => leads(r).split('|').next().unwrap_or_default().to_string(),
                })
                .collect(),
        ),
        Values::Pair(_) => vec![],
    };
    if descending { all.into_iter().max() } else { all.into_iter().min() }
}
