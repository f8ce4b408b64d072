//! `_summary` and `_elements`: a part of a resource, marked as such.
//!
//! Source: <https://hl7.org/fhir/R4/search.html#summary>, `#elements`.

use crate::access::policy::Judge;
use crate::error::{Error, Result};
use crate::fhir::definition::{self, Structure};
use crate::fhir::resource::printable;
use crate::fhir::{Json, ResourceType, json};
use crate::search::Registry;
use crate::search::query::{self, Summary};
use crate::store::Version;
use bytes::Bytes;

/// Which part of a resource is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Subset {
    summary: Summary,
    elements: Vec<String>,
}

impl Subset {
    /// From a parsed search.
    pub(super) fn of(query: &query::Query) -> Self {
        Self { summary: query.summary, elements: query.elements.clone() }
    }

    /// From the query of a read.
    ///
    /// # Errors
    /// `Invalid` for a parameter that a read does not take.
    pub(super) fn of_query(raw: &str) -> Result<Self> {
        Self::of_pairs(query::pairs(raw)?)
    }

    /// The same, decoded.
    ///
    /// # Errors
    /// As [`Subset::of_query`].
    pub(super) fn of_pairs(pairs: Vec<(String, String)>) -> Result<Self> {
        let mut subset = Self::default();
        for (name, value) in pairs {
            match (name.as_str(), value.as_str()) {
                ("_format" | "_pretty", _) | ("_summary", "false") => {}
                ("_summary", "true") => subset.summary = Summary::True,
                ("_summary", "text") => subset.summary = Summary::Text,
                ("_summary", "data") => subset.summary = Summary::Data,
                ("_summary", _) => {
                    return Err(Error::invalid("a read takes _summary=true, text, data or false"));
                }
                ("_elements", list) => {
                    let any: Vec<ResourceType> = ResourceType::all().collect();
                    let is_known = |name: &&str| name.is_empty() || query::has_element(&any, name);
                    if let Some(name) = list.split(',').map(str::trim).find(|name| !is_known(name)) {
                        let name = printable(name);
                        return Err(Error::invalid(format!(
                            "no resource has an element '{name}' at its top (_elements)"
                        )));
                    }
                    subset.elements.extend(list.split(',').map(|e| e.trim().to_owned()).filter(|e| !e.is_empty()));
                }
                (other, _) => {
                    return Err(Error::invalid(format!("a read takes no parameter '{}'", printable(other))));
                }
            }
        }
        Ok(subset)
    }

    /// Whether it is all of a resource.
    pub(super) fn is_whole(&self) -> bool {
        matches!(self.summary, Summary::False | Summary::Count) && self.elements.is_empty()
    }

    /// The part of a stored resource.
    ///
    /// # Errors
    /// `Fault`: what is stored was parsed before.
    pub(super) fn apply(&self, body: Bytes) -> Result<Bytes> {
        if self.is_whole() {
            return Ok(body);
        }
        let mut tree = json::parse_with(&body, &json::Limits::STORED)
            .map_err(|e| Error::fault("a stored body does not parse").caused_by(e))?;
        let Some(structure) = ResourceType::parse(tree["resourceType"].text()).and_then(definition::of_resource) else {
            return Ok(body);
        };
        if let Some(members) = tree.as_object_mut() {
            members.0.retain(|(key, _)| self.keeps(structure, key.trim_start_matches('_')));
        }
        tag(&mut tree);
        Ok(tree.to_bytes().into())
    }

    fn keeps(&self, structure: &'static Structure, key: &str) -> bool {
        if matches!(key, "resourceType" | "id" | "meta") {
            return true;
        }
        let element = structure.member(key).map(|found| found.element);
        let is_mandatory = element.is_some_and(|e| e.min > 0);
        if !self.elements.is_empty() {
            return is_mandatory || self.elements.iter().any(|e| e == key || element.is_some_and(|x| x.name == e));
        }
        match self.summary {
            Summary::True => is_mandatory || element.is_some_and(|e| e.summary),
            Summary::Text => is_mandatory || key == "text",
            Summary::Data => key != "text",
            Summary::False | Summary::Count => true,
        }
    }
}

/// Versions as the caller's role sees them: without the elements that the matrix keeps from it, and marked so whether there were any.
///
/// # Errors
/// `Fault`: what is stored was parsed before.
pub(super) fn redact(judge: &Judge<'_>, versions: &mut [Version]) -> Result<()> {
    for version in versions.iter_mut().filter(|v| !v.is_deleted()) {
        let hidden = judge.hides(version.target.rtype);
        if hidden.is_empty() {
            continue;
        }
        let mut tree = version.json()?;
        if let Some(members) = tree.as_object_mut() {
            members.0.retain(|(key, _)| !hidden.iter().any(|h| h == key.trim_start_matches('_')));
        }
        tag(&mut tree);
        version.body = tree.to_bytes().into();
    }
    Ok(())
}

/// Refuses a search by what the caller's role does not see of these types.
///
/// # Errors
/// `Forbidden`.
pub(super) fn no_look_behind(
    judge: &Judge<'_>,
    registry: &Registry,
    types: impl IntoIterator<Item = ResourceType>,
    pairs: &[(String, String)],
) -> Result<()> {
    for rtype in types {
        let hidden = judge.hides(rtype);
        if hidden.is_empty() {
            continue;
        }
        for (name, value) in pairs {
            let sorted = if name == "_sort" { value.as_str() } else { "" };
            for code in name.split(['.', ':']).chain(sorted.split(',').map(|s| s.trim_start_matches('-'))) {
                let is_words = matches!(code, "_content" | "_text");
                let element = hidden.iter().find(|h| registry.reads(rtype, code, h));
                if is_words || element.is_some() {
                    let text = format!(
                        "the role reads a {rtype} without {}, and finds none by it: leave '{code}' out",
                        hidden.join(", ")
                    );
                    return Err(Error::forbidden(text));
                }
            }
        }
    }
    Ok(())
}

/// Marks a resource as incomplete, so that nobody stores it back.
fn tag(tree: &mut Json) {
    let mark: Json = serde_json::json!({
        "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"
    })
    .into();
    match tree.get_mut("meta") {
        Some(meta) => meta.push("tag", mark),
        None => {
            let mut meta = Json::object();
            meta.push("tag", mark);
            tree.set("meta", meta);
        }
    }
}
