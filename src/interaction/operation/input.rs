//! What an operation that reads is given: by the query of a GET, by the Parameters of a POST, or both.
//!
//! Names, number and types are checked against the operation's row, so that every operation refuses alike.
//! Source: <https://hl7.org/fhir/R4/operations.html#request>, `#executing`: simple types may stand in the URL, the only
//! parameter that is a resource may be the body itself. Own rule: a text parameter is taken by any of the text types.

use super::table::{Param, Row};
use crate::error::{Error, Issue, Kind, Result};
use crate::fhir::primitive::Primitive;
use crate::fhir::resource::printable;
use crate::fhir::{Json, ResourceType, json};
use crate::interaction::page::PARAMETER;
use crate::interaction::request::Body;
use crate::search::query;

/// Types whose values are texts, and may come under each other's names.
const TEXTS: [&str; 8] = ["string", "code", "uri", "canonical", "url", "id", "oid", "markdown"];

/// One parameter that was given.
#[derive(Debug)]
struct Given {
    name: String,
    /// `Parameters.parameter[2]`; "" of the URL.
    at: String,
    value: Json,
}

/// All that was given.
#[derive(Debug, Default)]
pub(in crate::interaction) struct Input {
    given: Vec<Given>,
    /// Search parameters, of an operation that takes such.
    pub(in crate::interaction) search: Vec<(String, String)>,
    /// Token of a next link.
    pub(in crate::interaction) page: Option<String>,
}

impl Input {
    /// Reads query and body.
    ///
    /// # Errors
    /// `Invalid`, one issue for each parameter that the operation does not have, that stands too often or too rarely, or
    /// whose value is not of its type.
    pub(super) fn read(row: &Row, body: Body, raw: &str, limits: &json::Limits) -> Result<Self> {
        let mut input = Self::default();
        let mut issues = Vec::new();
        for (name, value) in query::pairs(raw)? {
            match row.takes.iter().find(|p| p.name == name) {
                _ if matches!(name.as_str(), "_format" | "_pretty") => {}
                None if name == PARAMETER && row.takes.iter().any(|p| p.name == "_count") => input.page = Some(value),
                Some(param) => match of_text(param, &value) {
                    Ok(value) => input.given.push(Given { name, at: String::new(), value }),
                    Err(why) => issues.push(Issue::error("value", "", why)),
                },
                None if row.is_search => input.search.push((name, value)),
                None => issues.push(unknown(row, &name, String::new())),
            }
        }
        if !body.is_empty() {
            input.take_body(row, body.json(limits)?, &mut issues)?;
        }
        for param in row.takes {
            let mut all = input.given.iter().filter(|g| g.name == param.name);
            match (all.next(), all.next()) {
                (None, _) if param.min > 0 => {
                    let text = format!("${} needs the parameter {}", row.name, param.name);
                    issues.push(Issue::error("required", "", text));
                }
                (Some(_), Some(second)) if !param.many => {
                    let text = format!("the parameter {} stands once only", param.name);
                    issues.push(Issue::error("invalid", second.at.clone(), text));
                }
                _ => {}
            }
        }
        if issues.is_empty() { Ok(input) } else { Err(Error::with_issues(Kind::Invalid, issues)) }
    }

    fn take_body(&mut self, row: &Row, mut body: Json, issues: &mut Vec<Issue>) -> Result<()> {
        let rtype = body["resourceType"].text();
        let mut whole = row.takes.iter().filter(|p| rtype != "Parameters" && p.kind == rtype);
        if let (Some(param), None) = (whole.next(), whole.next()) {
            crate::fhir::validate::check(&body)?;
            self.given.push(Given { name: param.name.into(), at: param.kind.into(), value: body });
            return Ok(());
        }
        if rtype != "Parameters" {
            return Err(Error::invalid("an operation takes a Parameters resource").at("resourceType"));
        }
        crate::fhir::validate::check(&body)?;
        let Some(Json::Array(list)) = body.remove("parameter") else { return Ok(()) };
        for (n, mut part) in list.into_iter().enumerate() {
            let at = format!("Parameters.parameter[{n}]");
            let name = part["name"].text().to_owned();
            match row.takes.iter().find(|p| p.name == name) {
                Some(param) => match of_part(param, &mut part) {
                    Ok(value) => self.given.push(Given { name, at, value }),
                    Err(why) => issues.push(Issue::error("value", at, why)),
                },
                None if row.is_search => match criterion(&part) {
                    Some(value) => self.search.push((name, value)),
                    None => {
                        let why = format!("a search parameter such as {} is a simple value", printable(&name));
                        issues.push(Issue::error("value", at, why));
                    }
                },
                None => issues.push(unknown(row, &name, format!("{at}.name"))),
            }
        }
        Ok(())
    }

    fn first(&self, name: &str) -> Option<&Given> {
        self.given.iter().find(|g| g.name == name)
    }

    /// A value, of whatever type.
    pub(in crate::interaction) fn get(&self, name: &str) -> Option<&Json> {
        self.first(name).map(|g| &g.value)
    }

    /// All values of a parameter that repeats.
    pub(in crate::interaction) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Json> {
        self.given.iter().filter(move |g| g.name == name).map(|g| &g.value)
    }

    /// What was given as a query has it, in order of the names: for links.
    pub(in crate::interaction) fn pairs(&self) -> Vec<(String, String)> {
        let text = |value: &Json| match value {
            Json::String(text) => Some(text.clone()),
            Json::Bool(truth) => Some(truth.to_string()),
            Json::Number(number) => Some(number.to_string()),
            _ => None,
        };
        let mut out: Vec<_> = self.given.iter().filter_map(|g| Some((g.name.clone(), text(&g.value)?))).collect();
        out.sort();
        out
    }

    /// All of it as Parameters, but for those left out.
    pub(in crate::interaction) fn parameters(&self, row: &Row, without: &[&str]) -> Json {
        let mut out = Json::object();
        out.set("resourceType", "Parameters");
        for given in self.given.iter().filter(|g| !without.contains(&g.name.as_str())) {
            let Some(param) = row.takes.iter().find(|p| p.name == given.name) else { continue };
            let mut part = Json::object();
            part.set("name", param.name);
            part.set(&key_of(param), given.value.clone());
            out.push("parameter", part);
        }
        out
    }

    /// A text.
    pub(in crate::interaction) fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Json::as_str)
    }

    /// Whether a boolean was given as true.
    pub(in crate::interaction) fn is(&self, name: &str) -> bool {
        self.get(name).and_then(Json::as_bool) == Some(true)
    }

    /// A whole number.
    pub(in crate::interaction) fn number(&self, name: &str) -> Option<i64> {
        self.get(name).and_then(Json::as_i64)
    }

    /// Where a parameter stands, for an error.
    pub(in crate::interaction) fn place(&self, name: &str) -> String {
        self.first(name).map(|g| g.at.clone()).unwrap_or_default()
    }

    /// 400 about one parameter.
    pub(in crate::interaction) fn wrong(&self, name: &str, why: impl Into<String>) -> Error {
        Error::invalid(why).code("value").at(self.place(name))
    }
}

fn unknown(row: &Row, name: &str, at: String) -> Issue {
    let names: Vec<&str> = row.takes.iter().map(|p| p.name).collect();
    let hint = match names.as_slice() {
        [] => "it takes none".to_owned(),
        list => format!("it takes {}", list.join(", ")),
    };
    Issue::error("not-supported", at, format!("${} has no parameter '{}' here: {hint}", row.name, printable(name)))
}

/// The element of a Parameters resource that holds a value.
fn key_of(param: &Param) -> String {
    if !param.parts.is_empty() {
        return "part".into();
    }
    if ResourceType::parse(param.kind).is_some() || param.kind == "Resource" {
        return "resource".into();
    }
    let (first, rest) = param.kind.split_at_checked(1).unwrap_or_default();
    format!("value{}{rest}", first.to_ascii_uppercase())
}

/// The value of a parameter in a URL.
fn of_text(param: &Param, text: &str) -> Result<Json, String> {
    let Some(primitive) = Primitive::parse(param.kind) else {
        return Err(format!("{} is a {}: send it by POST, in a Parameters resource", param.name, param.kind));
    };
    let value = match primitive {
        Primitive::Boolean => match text {
            "true" => Json::Bool(true),
            "false" => Json::Bool(false),
            _ => Json::Null,
        },
        Primitive::Integer | Primitive::PositiveInt | Primitive::UnsignedInt | Primitive::Decimal => {
            if text.parse::<f64>().is_ok() { Json::Number(text.into()) } else { Json::Null }
        }
        // The '+' of a time zone arrives as a space where the client forgot to escape it.
        Primitive::Instant | Primitive::DateTime => text.replace(' ', "+").into(),
        _ => text.into(),
    };
    if primitive.accepts(&value) {
        return Ok(value);
    }
    Err(format!("{} is {}, and not '{}'", param.name, primitive.shape(), printable(text)))
}

/// The value of a parameter in a Parameters resource, which has been validated.
fn of_part(param: &Param, part: &mut Json) -> Result<Json, String> {
    if !param.parts.is_empty() {
        return part.remove("part").ok_or_else(|| format!("{} has parts", param.name));
    }
    if ResourceType::parse(param.kind).is_some() || param.kind == "Resource" {
        let resource = part.remove("resource").unwrap_or_default();
        let is_it = param.kind == "Resource" || resource["resourceType"].text() == param.kind;
        return if is_it { Ok(resource) } else { Err(format!("{} is a resource: a {}", param.name, param.kind)) };
    }
    if let Some(value) = part.remove(&key_of(param)) {
        return Ok(value);
    }
    let given = part.as_object().and_then(|o| o.iter().find(|(key, _)| key.starts_with("value")));
    match given {
        // R4's definitions say "string" of what is a reference.
        Some((key, value)) if key == "valueReference" && param.kind == "string" && !value["reference"].is_null() => {
            Ok(value["reference"].clone())
        }
        Some((_, value @ Json::String(_))) if TEXTS.contains(&param.kind) => Ok(value.clone()),
        Some((key, _)) => Err(format!("{} is of type {}, and not {key}", param.name, param.kind)),
        None => Err(format!("{} is of type {} and came without a value", param.name, param.kind)),
    }
}

/// A search parameter's value in a Parameters resource, as a URL has it.
fn criterion(part: &Json) -> Option<String> {
    let (_, value) = part.as_object()?.iter().find(|(key, _)| key.starts_with("value"))?;
    match value {
        Json::String(text) => Some(text.clone()),
        Json::Bool(truth) => Some(truth.to_string()),
        Json::Number(number) => Some(number.to_string()),
        Json::Object(_) => match (value["reference"].as_str(), value["code"].as_str()) {
            (Some(reference), _) => Some(reference.into()),
            (None, Some(code)) => {
                let escape = |t: &str| t.replace('\\', r"\\").replace(',', r"\,").replace('|', r"\|");
                Some(match value["system"].as_str() {
                    Some(system) => format!("{}|{}", escape(system), escape(code)),
                    None => escape(code),
                })
            }
            (None, None) => None,
        },
        _ => None,
    }
}
