//! A StructureDefinition as it was read: what of it is compiled, and nothing else, so that a package takes little memory.
//!
//! Source: <https://hl7.org/fhir/R4/structuredefinition.html>, <https://hl7.org/fhir/R4/elementdefinition.html#id>.

use super::model::Context;
use crate::fhir::Json;
use crate::fhir::definition;
use crate::fhir::json::Object;
use crate::fhir::resource::printable;

/// A profile before it is compiled.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) file: Box<str>,
    pub(super) url: Box<str>,
    pub(super) version: Option<Box<str>>,
    pub(super) rtype: Box<str>,
    pub(super) base: Box<str>,
    pub(super) contexts: Vec<Context>,
    pub(super) is_snapshot: bool,
    pub(super) elements: Vec<Element>,
}

/// One ElementDefinition.
#[derive(Debug)]
pub(super) struct Element {
    /// From below the root; none: the root itself.
    pub(super) steps: Vec<Step>,
    /// Its members that are compiled.
    pub(super) json: Json,
}

/// One step to an element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) name: Box<str>,
    pub(super) slice: Option<Box<str>>,
}

/// What a StructureDefinition may be.
pub(super) enum Read {
    /// A profile or an extension.
    Profile(Source),
    /// A base type of R4 or a logical model: not compiled.
    Other,
}

/// Reads a StructureDefinition.
///
/// # Errors
/// One sentence each: what is missing, or not of R4.
pub(super) fn read(file: &str, resource: &Json) -> Result<Read, String> {
    let text = |name: &str| match resource[name].text() {
        "" => Err(format!("{name} is missing")),
        text => Ok(text),
    };
    // Some guides write `specialization` where they narrow a type: what tells a type is that it has the type's URL.
    let own = resource["url"].text().strip_prefix(super::build::R4);
    if resource["kind"].text() == "logical" || own.is_some_and(|name| name == resource["type"].text()) {
        return Ok(Read::Other);
    }
    let (url, rtype, base) = (text("url")?, text("type")?, text("baseDefinition")?);
    if definition::structure(rtype).is_none() && crate::fhir::primitive::Primitive::parse(rtype).is_none() {
        return Err(format!("type: R4 has no type '{}'", printable(rtype)));
    }
    let is_snapshot = !resource["snapshot"]["element"].items().is_empty();
    let part = if is_snapshot { "snapshot" } else { "differential" };
    let list = resource[part]["element"].items();
    if list.is_empty() {
        return Err("neither snapshot nor differential has an element".into());
    }
    let mut elements = Vec::with_capacity(list.len());
    let mut stack: Vec<Step> = Vec::new();
    for (n, json) in list.iter().enumerate() {
        let (path, id) = (json["path"].text(), json["id"].text());
        let Some(names) = split(path, rtype) else {
            return Err(format!("{part}.element[{n}].path: '{}' is no path from {rtype}", printable(path)));
        };
        stack = by_id(id, &names).unwrap_or_else(|| by_order(&stack, &names, json["sliceName"].as_str()));
        elements.push(Element { steps: stack.clone(), json: stripped(json) });
    }
    Ok(Read::Profile(Source {
        file: file.into(),
        url: url.into(),
        version: resource["version"].as_str().map(Into::into),
        rtype: rtype.into(),
        base: base.into(),
        contexts: contexts(resource),
        is_snapshot,
        elements,
    }))
}

/// The names of a path below its type.
fn split<'p>(path: &'p str, rtype: &str) -> Option<Vec<&'p str>> {
    let rest = path.strip_prefix(rtype)?;
    match rest.strip_prefix('.') {
        Some(rest) => Some(rest.split('.').collect()).filter(|names: &Vec<&str>| names.iter().all(|n| !n.is_empty())),
        None => rest.is_empty().then(Vec::new),
    }
}

/// Steps by the element's id, where it says the same as the path.
fn by_id(id: &str, names: &[&str]) -> Option<Vec<Step>> {
    let mut parts = id.split('.');
    parts.next().filter(|root| !root.is_empty() && !root.contains(':'))?;
    let steps: Vec<Step> = parts
        .map(|part| match part.split_once(':') {
            Some((name, slice)) => Step { name: name.into(), slice: Some(slice.into()) },
            None => Step { name: part.into(), slice: None },
        })
        .collect();
    let fits = steps.len() == names.len() && steps.iter().zip(names).all(|(step, name)| *step.name == **name);
    fits.then_some(steps)
}

/// Steps by the order of elements: the slices of the element before hold for what is below it.
fn by_order(before: &[Step], names: &[&str], slice: Option<&str>) -> Vec<Step> {
    let mut is_below = true;
    let mut steps = Vec::with_capacity(names.len());
    for (n, name) in names.iter().enumerate() {
        let mut step = Step { name: (*name).into(), slice: None };
        match before.get(n).filter(|b| is_below && *b.name == **name) {
            Some(same) if n + 1 < names.len() => step.slice.clone_from(&same.slice),
            Some(_) => {}
            None => is_below = false,
        }
        steps.push(step);
    }
    if let Some(last) = steps.last_mut() {
        last.slice = slice.map(Into::into);
    }
    steps
}

/// Where R4's own definitions have extensions whose definitions in 4.0.1 forget the place; a later release names it.
const ALSO: [(&str, &str); 7] = [
    ("http://hl7.org/fhir/StructureDefinition/structuredefinition-normative-version", "CodeSystem"),
    ("http://hl7.org/fhir/StructureDefinition/structuredefinition-normative-version", "ElementDefinition"),
    ("http://hl7.org/fhir/StructureDefinition/structuredefinition-normative-version", "OperationDefinition"),
    ("http://hl7.org/fhir/StructureDefinition/structuredefinition-normative-version", "ValueSet"),
    ("http://hl7.org/fhir/StructureDefinition/regex", "ElementDefinition.type"),
    ("http://hl7.org/fhir/StructureDefinition/regex", "ElementDefinition.type.code"),
    ("http://hl7.org/fhir/StructureDefinition/valueset-concept-comments", "CodeSystem.concept"),
];

fn contexts(resource: &Json) -> Vec<Context> {
    let of = |context: &Json| {
        let expression = context["expression"].text();
        match context["type"].text() {
            "extension" => Context::Extension(expression.into()),
            "element" => Context::Element(expression.into()),
            _ => Context::Expression,
        }
    };
    let url = resource["url"].text();
    let also = ALSO.iter().filter(|(of, _)| *of == url).map(|(_, place)| Context::Element((*place).into()));
    resource["context"].items().iter().map(of).chain(also).collect()
}

/// Members of an ElementDefinition that ask something of data.
fn is_compiled(name: &str) -> bool {
    let value = ["fixed", "pattern", "minValue", "maxValue"]
        .iter()
        .any(|p| name.strip_prefix(p).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase())));
    value
        || matches!(
            name,
            "min" | "max" | "type" | "maxLength" | "binding" | "constraint" | "slicing" | "contentReference"
        )
}

fn stripped(json: &Json) -> Json {
    let members = json.as_object().into_iter().flat_map(Object::iter);
    let kept = members.filter(|(name, _)| is_compiled(name)).map(|(name, value)| {
        let mut value = value.clone();
        if let ("binding", Json::Object(binding)) = (name, &mut value) {
            binding.remove("description");
        }
        (name.into(), value)
    });
    Json::Object(Object(kept.collect()))
}
