//! References: to a resource of this server by a key that SQL can join, to everything else by its text.
//!
//! `Patient/1` and `http://this.server/fhir/Patient/1` are one; a version (`…/_history/2`) and a canonical's `|version` are
//! extra keys. References into the resource itself (`#p`) are not searched.
//!
//! A canonical is a key that SQL can join as well: with the rows of what it names ([`known_by`]). One without a version
//! leads to every version that is here, one with it to that (own rule; R4 leaves open which one is meant).
//! Source: <https://hl7.org/fhir/R4/search.html#reference>, <https://hl7.org/fhir/R4/references.html#canonical>.

use super::token::{self, OF_REFERENCE};
use super::{Place, Sink};
use crate::fhir::fhirpath::{Item, reference_type};
use crate::fhir::resource::is_id;
use crate::fhir::{Json, ResourceType, Target};
use crate::search::Env;

/// Where a reference leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lead<'a> {
    /// To a resource of this server; `version` when the reference names one.
    Local {
        /// Which.
        target: Target,
        /// `versionId`.
        version: Option<&'a str>,
    },
    /// To something else: a URL, a URN, a canonical.
    Other {
        /// Without `|version` and `/_history/…`.
        url: &'a str,
        /// The whole text, when that is more.
        whole: Option<&'a str>,
    },
}

/// Reads the text of a reference; `None` for `#…` and the empty text.
#[must_use]
pub fn lead<'a>(text: &'a str, env: &Env) -> Option<Lead<'a>> {
    if text.is_empty() || text.starts_with('#') {
        return None;
    }
    let own = text.strip_prefix(env.base.as_str()).and_then(|rest| rest.strip_prefix('/'));
    let relative = own.unwrap_or(text);
    if let Some(target) = Target::parse(relative) {
        return Some(Lead::Local { target, version: relative.split_once("/_history/").map(|(_, version)| version) });
    }
    let url = text.split_once('|').or_else(|| text.split_once("/_history/")).map_or(text, |(url, _)| url);
    Some(Lead::Other { url, whole: (url != text).then_some(text) })
}

/// The text of a Reference, canonical or uri.
fn text(json: &Json) -> Option<&str> {
    json.as_str().or_else(|| json.get("reference").and_then(Json::as_str))
}

/// The resource of this server that a value refers to.
pub(in crate::search) fn target(item: Item<'_>, env: &Env) -> Option<Target> {
    let Item::Node { json, .. } = item else { return None };
    match lead(text(json)?, env)? {
        Lead::Local { target, .. } => Some(target),
        Lead::Other { .. } => None,
    }
}

/// Canonicals that a resource with a `url` is referred to by: `url`, and `url|version`.
#[must_use]
pub fn known_by(resource: &Json) -> Vec<String> {
    let (url, version) = (resource["url"].text(), resource["version"].text());
    match (url, version) {
        ("", _) => Vec::new(),
        (url, "") => vec![url.into()],
        (url, version) => vec![url.into(), format!("{url}|{version}")],
    }
}

/// The canonical that a value is, as it stands there.
pub(in crate::search) fn canonical(item: Item<'_>) -> Option<&str> {
    let Item::Node { json, .. } = item else { return None };
    json.as_str().filter(|text| !text.is_empty() && !text.starts_with('#'))
}

/// Name of a slot form of one target type, for parameters that see only that type.
fn typed(form: &str, rtype: ResourceType) -> String {
    format!("{form}:{rtype}")
}

pub(in crate::search) fn extract(item: Item<'_>, env: &Env, sink: &mut Sink<'_>) {
    let Item::Node { json, kind } = item else { return };
    if matches!(kind, "CodeableConcept" | "Identifier" | "Quantity" | "Attachment") {
        return;
    }
    let text = text(json);
    if let Some(canonical) = canonical(item) {
        sink.rows.exact.push(sink.place.key() + sink.place.keys.canonical(canonical));
    }
    let lead = text.and_then(|text| lead(text, env));
    let mut rtype = ResourceType::parse(json["type"].text());
    match &lead {
        Some(Lead::Local { target, version }) => {
            sink.rows.exact.push(sink.place.key() + sink.place.keys.target(target.rtype.as_str(), &target.id));
            if let Some(version) = version {
                sink.exact("version", &[target.rtype.as_str(), &target.id, version]);
            }
            rtype = Some(target.rtype);
            sink.found.note(&target.to_string());
        }
        Some(Lead::Other { url, whole }) => {
            sink.exact("url", &[url]);
            if let Some(whole) = whole {
                sink.exact("url", &[whole]);
            }
            rtype = reference_type(url).or(rtype);
            sink.found.note(url);
        }
        None => {}
    }
    let identifier = &json["identifier"];
    if let Some(value) = identifier["value"].as_str() {
        token::forms(identifier["system"].text(), value, OF_REFERENCE, &mut |form, parts| {
            sink.exact(form, parts);
            if let Some(rtype) = rtype {
                sink.exact(&typed(form, rtype), parts);
            }
        });
        if lead.is_none() {
            sink.found.note(value);
        }
    }
    if let Some(rtype) = rtype.filter(|_| lead.is_some() || !identifier.is_null()) {
        let sort = match &lead {
            Some(Lead::Local { target, .. }) => target.to_string(),
            Some(Lead::Other { url, .. }) => (*url).to_string(),
            None => identifier["value"].text().to_string(),
        };
        sink.found.leads.push((rtype, sort));
    }
}

/// Keys of a value of a query in one slot. `allowed`: types that the reference may lead to here (by parameter, slot and
/// modifier); `restricted`: whether values of other types stand in the slot too.
pub(in crate::search) fn keys(
    place: &Place<'_>,
    value: &str,
    allowed: &[ResourceType],
    restricted: bool,
    env: &Env,
) -> Result<Vec<i64>, String> {
    let local = |target: &Target| place.key() + place.keys.target(target.rtype.as_str(), &target.id);
    if is_id(value) {
        return Ok(allowed.iter().map(|t| local(&Target::new(*t, value))).collect());
    }
    match lead(value, env) {
        Some(Lead::Local { target, .. }) if !allowed.contains(&target.rtype) => Ok(vec![]),
        Some(Lead::Local { target, version: Some(version) }) => {
            Ok(vec![place.exact("version", &[target.rtype.as_str(), &target.id, version])])
        }
        Some(Lead::Local { target, version: None }) => Ok(vec![local(&target)]),
        Some(Lead::Other { url, whole }) => {
            if !url.contains(':') {
                let text = crate::fhir::resource::printable(value);
                return Err(format!("'{text}' is no reference; write an id, Type/id or an absolute URL"));
            }
            let fits = !restricted || reference_type(url).is_some_and(|t| allowed.contains(&t));
            Ok(if fits { vec![place.exact("url", &[whole.unwrap_or(url)])] } else { vec![] })
        }
        None => Err("a reference is an id, Type/id or an absolute URL".into()),
    }
}

/// `:identifier`: keys of the identifier inside the Reference; `only` when the parameter sees one target type.
pub(in crate::search) fn by_identifier(
    place: &Place<'_>,
    value: &str,
    only: Option<ResourceType>,
) -> Result<Vec<i64>, String> {
    let (system, code) = token::parse(value)?;
    let (form, parts) = token::form(system, code, OF_REFERENCE);
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    Ok(vec![match only {
        Some(rtype) => place.exact(&typed(form, rtype), &parts),
        None => place.exact(form, &parts),
    }])
}
