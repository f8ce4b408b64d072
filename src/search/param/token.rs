//! Tokens: one key for each form in which a value can be asked for, so that each is one seek.
//!
//! `code`, `system|code`, `|code` (no system), `system|`. A `code` element has one system, implied by its binding: it is
//! stored by its code only, and `system|code` is checked when the query is read ([`Coded::systems`]).
//! Source: <https://hl7.org/fhir/R4/search.html#token>. A ContactPoint has its `system` and its `use` in the place of the
//! system (own rule: servers differ).

use super::{Place, Sink, string};
use crate::fhir::Json;
use crate::fhir::fhirpath::Item;
use crate::search::fold::caseless;
use crate::search::plan::Cond;
use crate::search::query::text::{split, unescape};
use crate::search::terminology::Codes;

/// What is known of the codes of a parameter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coded {
    /// Systems implied by the binding of its `code` elements; empty when it has none.
    pub systems: Vec<Box<str>>,
    /// Its codes do not tell cases apart (languages, media types).
    pub caseless: bool,
}

/// Prefix of the forms: the identifier of a Reference has forms of its own.
pub(super) const PLAIN: [&str; 4] = ["c", "sc", "nc", "s"];
pub(super) const OF_REFERENCE: [&str; 4] = ["ic", "isc", "inc", "is"];

/// Calls back with each form and its parts.
pub(super) fn forms(system: &str, code: &str, names: [&str; 4], each: &mut dyn FnMut(&str, &[&str])) {
    let [by_code, by_both, without_system, by_system] = names;
    if !code.is_empty() {
        each(by_code, &[code]);
        if system.is_empty() {
            each(without_system, &[code]);
        } else {
            each(by_both, &[system, code]);
        }
    }
    if !system.is_empty() {
        each(by_system, &[system]);
    }
}

/// One system and code of a value.
pub(super) struct Coding<'a> {
    pub system: &'a str,
    pub code: &'a str,
    /// Its system is implied: store the code only.
    implied: bool,
    /// Its label.
    pub text: &'a str,
}

/// Calls back with each coding of a value: Coding, CodeableConcept, Identifier, ContactPoint or primitive.
pub(super) fn codings<'a>(item: Item<'a>, coded: &Coded, each: &mut dyn FnMut(Coding<'a>)) {
    let plain = |code| Coding { system: "", code, implied: !coded.systems.is_empty(), text: "" };
    let json = match item {
        Item::Bool(b) => return each(plain(if b { "true" } else { "false" })),
        Item::Text(text) | Item::Number(text) => return each(plain(text)),
        Item::Node { kind: "Quantity" | "Range" | "Reference" | "Attachment", .. } | Item::Resolved(_) => return,
        Item::Node { json, .. } => json,
    };
    match json {
        Json::String(text) => each(plain(text)),
        Json::Bool(b) => each(plain(if *b { "true" } else { "false" })),
        Json::Number(text) => each(plain(text)),
        Json::Object(object) => {
            let coding = |json: &'a Json| Coding {
                system: json["system"].text(),
                code: json["code"].text(),
                implied: false,
                text: json["display"].text(),
            };
            if let Some(value) = object.get("value") {
                let (system, code) = (json["system"].text(), value.text());
                each(Coding { system, code, implied: false, text: json["type"]["text"].text() });
                let usage = json["use"].text();
                if is_contact(json) && !usage.is_empty() {
                    each(Coding { system: usage, code, implied: false, text: "" });
                }
            } else if object.get("coding").is_some() || object.get("text").is_some() {
                json["coding"].items().iter().for_each(|c| each(coding(c)));
                each(Coding { system: "", code: "", implied: false, text: json["text"].text() });
            } else {
                each(coding(json));
            }
        }
        Json::Null | Json::Array(_) => {}
    }
}

/// A ContactPoint, which an Identifier looks like: its system is a code, never a URI.
fn is_contact(json: &Json) -> bool {
    matches!(json["system"].text(), "phone" | "fax" | "email" | "pager" | "url" | "sms" | "other")
}

pub(in crate::search) fn extract(item: Item<'_>, coded: &Coded, sink: &mut Sink<'_>) {
    codings(item, coded, &mut |coding| {
        let code = caseless(coding.code, coded.caseless);
        if coding.implied && !code.is_empty() {
            sink.exact("c", &[&code]);
        } else {
            forms(coding.system, &code, PLAIN, &mut |form, parts| sink.exact(form, parts));
        }
        if !coding.text.is_empty() && sink.place.rtype != crate::search::extract::AUDIT {
            let key = sink.place.exact("text", &[]);
            string::label(coding.text, key, &mut sink.rows.text);
        }
        match (coding.code, coding.text, coding.system) {
            ("", "", "") => {}
            ("", "", other) | ("", other, _) | (other, ..) => sink.found.note(other),
        }
    });
    if let Item::Node { json, .. } = item
        && let Some(value) = json["value"].as_str()
    {
        for kind in json["type"]["coding"].items() {
            sink.exact("of-type", &[kind["system"].text(), kind["code"].text(), value]);
        }
    }
}

/// A value of a query: the system that it names (`Some("")`: none may stand there) and the code.
pub(in crate::search) fn parse(value: &str) -> Result<(Option<String>, String), String> {
    match split(value, '|').as_slice() {
        ["" | " "] => Err("the value is empty".into()),
        [code] => Ok((None, unescape(code).into())),
        ["", ""] => Err("'|' needs a system before it or a code behind it".into()),
        [system, code] => Ok((Some(unescape(system).into()), unescape(code).into())),
        _ => Err(r"a token is code, system|code, |code or system|; a '|' inside a part is written '\|'".into()),
    }
}

/// Form and parts of a value of a query, without what [`Coded::systems`] decides.
pub(super) fn form(system: Option<String>, code: String, names: [&'static str; 4]) -> (&'static str, Vec<String>) {
    let [by_code, by_both, without_system, by_system] = names;
    match system {
        None => (by_code, vec![code]),
        Some(system) if system.is_empty() => (without_system, vec![code]),
        Some(system) if code.is_empty() => (by_system, vec![system]),
        Some(system) => (by_both, vec![system, code]),
    }
}

/// Keys of a value of a query in one slot.
pub(in crate::search) fn keys(place: &Place<'_>, value: &str, coded: &Coded) -> Result<Vec<i64>, String> {
    let (system, code) = parse(value)?;
    let code = caseless(&code, coded.caseless).into_owned();
    let implied = system.as_deref().is_some_and(|s| coded.systems.iter().any(|known| **known == *s));
    let (form, parts) = form(system, code, PLAIN);
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let mut keys = vec![place.exact(form, &parts)];
    if implied && let ("sc", [_, code]) = (form, parts.as_slice()) {
        keys.push(place.exact("c", &[code]));
    }
    Ok(keys)
}

/// Whether a value asks for every code of a system that the binding implies: then all that have a value match.
pub(in crate::search) fn is_whole_system(value: &str, coded: &Coded) -> bool {
    matches!(parse(value), Ok((Some(system), code)) if code.is_empty() && coded.systems.iter().any(|s| **s == *system))
}

/// One of a set of codes.
pub(in crate::search) fn among(place: &Place<'_>, set: &Codes, coded: &Coded) -> Cond {
    let is_implied = |system: &str| coded.systems.iter().any(|known| **known == *system);
    let mut keys = Vec::with_capacity(set.codes.len());
    for (system, code) in &set.codes {
        let code = caseless(code, coded.caseless);
        if system.is_empty() {
            keys.push(place.exact("nc", &[&code]));
            continue;
        }
        keys.push(place.exact("sc", &[system, &code]));
        if is_implied(system) {
            keys.push(place.exact("c", &[&code]));
        }
    }
    keys.extend(set.systems.iter().map(|system| place.exact("s", &[system])));
    let mut conds = vec![Cond::Exact(keys)];
    if set.systems.iter().any(|system| is_implied(system)) {
        conds.push(Cond::Present { param: place.slot.into(), present: true });
    }
    Cond::any(conds)
}

/// `:of-type`, identifiers only: `system|code|value`.
pub(in crate::search) fn of_type(place: &Place<'_>, value: &str) -> Result<Vec<i64>, String> {
    match split(value, '|').as_slice() {
        [system, code, value] if !code.is_empty() && !value.is_empty() => {
            Ok(vec![place.exact("of-type", &[&unescape(system), &unescape(code), &unescape(value)])])
        }
        _ => Err("':of-type' takes type-system|type-code|value".into()),
    }
}

/// `:text`: label or display starts with the value.
pub(in crate::search) fn text(place: &Place<'_>, value: &str) -> Result<Cond, String> {
    string::starts(place.exact("text", &[]), value)
}
