//! References: their form and the type they lead to, and contained resources.
//!
//! Source: <https://hl7.org/fhir/R4/references.html>, <https://hl7.org/fhir/R4/domainresource.html> (dom-2 to dom-5).

use super::walk::Walk;
use crate::error::Issue;
use crate::fhir::definition::Element;
use crate::fhir::json::{Json, Object};
use crate::fhir::path::Path;
use crate::fhir::resource::{ResourceType, is_id, printable};

const FORM: &str = "a reference is Type/id, an absolute URL, urn:uuid:…, urn:oid:… or #id";

/// A contained resource of the resource that is being walked.
pub(super) struct Contained<'j> {
    id: &'j str,
    rtype: Option<ResourceType>,
    /// Somebody refers to it, or it refers to the container.
    linked: bool,
}

/// The contained resources of one container, and in which of them the walk is.
#[derive(Default)]
pub(super) struct Frame<'j> {
    contained: Vec<Contained<'j>>,
    pub(super) inside: Option<usize>,
}

impl<'j> Frame<'j> {
    /// Lists what a resource contains.
    pub(super) fn of(resource: &'j Object) -> Self {
        let list = resource.get("contained").map_or(&[][..], Json::items);
        let contained = list.iter().map(|item| Contained {
            id: item["id"].text(),
            rtype: ResourceType::parse(item["resourceType"].text()),
            linked: false,
        });
        Self { contained: contained.collect(), inside: None }
    }
}

impl Walk<'_> {
    /// What a contained resource may not have (dom-2, dom-4, dom-5).
    pub(super) fn contained(&mut self, members: &Object, path: &Path<'_>) {
        if members.get("contained").is_some() {
            let what = "a contained resource contains another (dom-2); contain both in the outer one";
            self.broken("dom-2: a contained resource contains no other", &path.member("contained"), what);
        }
        for name in ["versionId", "lastUpdated", "security"] {
            if members.get("meta").is_some_and(|meta| meta.get(name).is_some()) {
                let key = if name == "security" { "dom-5" } else { "dom-4" };
                let what = format!(
                    "found {name}; a contained resource has no version, time or security label ({key}); remove it"
                );
                let rule = match name {
                    "security" => "dom-5: a contained resource has no security label",
                    _ => "dom-4: a contained resource has no meta.versionId or meta.lastUpdated",
                };
                self.broken(rule, &path.member("meta").member(name), &what);
            }
        }
    }

    /// After the walk: ids of contained resources are theirs alone, and each is referred to (dom-3).
    pub(super) fn close_frame(&mut self, path: &Path<'_>) {
        let contained = std::mem::take(&mut self.frame.contained);
        let list = path.member("contained");
        for (n, item) in contained.iter().enumerate() {
            let here = list.item(n);
            if item.id.is_empty() {
                self.error(
                    "required",
                    "a contained resource has an id",
                    &here,
                    "found no id; give it one, and refer to it by '#id'",
                );
            } else if contained.iter().take(n).any(|other| other.id == item.id) {
                let what = "found the id of another contained resource; make them differ";
                self.error("duplicate", "contained resources have ids of their own", &here.member("id"), what);
            } else if !item.linked {
                let what = "nothing refers to this contained resource (dom-3); refer to it by '#id', or leave it out";
                self.broken("dom-3: a contained resource is referred to", &here, what);
            }
        }
    }

    /// A `uri`, `url` or `canonical` may lead to a contained resource, too.
    pub(super) fn link(&mut self, text: &str) {
        if let Some(id) = text.strip_prefix('#') {
            self.local(id);
        }
    }

    /// Marks what `#id` means; `None` when there is nothing of that id.
    fn local(&mut self, id: &str) -> Option<Option<ResourceType>> {
        if id.is_empty() {
            let inside = self.frame.inside;
            if let Some(item) = inside.and_then(|n| self.frame.contained.get_mut(n)) {
                item.linked = true;
            }
            return Some(None);
        }
        let item = self.frame.contained.iter_mut().find(|item| item.id == id)?;
        item.linked = true;
        Some(item.rtype)
    }

    /// A Reference: its literal, and the types that it names and leads to.
    pub(super) fn reference(&mut self, element: &Element, reference: &Object, path: &Path<'_>) {
        let literal = reference.get("reference").and_then(Json::as_str);
        let leads = match literal {
            Some(text) => match self.leads(text, &path.member("reference")) {
                Ok(leads) => leads,
                Err(()) => return,
            },
            None => None,
        };
        let named = reference.get("type").and_then(Json::as_str);
        if let Some(misled) = misled(element, named, leads) {
            self.error("value", misled.rule, &path.member(misled.member), misled.what);
        }
    }

    /// The type that a literal reference leads to, where the text or what is around it tells.
    ///
    /// # Errors
    /// When it is no reference: that is told.
    fn leads(&mut self, text: &str, here: &Path<'_>) -> Result<Option<ResourceType>, ()> {
        if let Some(id) = text.strip_prefix('#') {
            return self.local(id).ok_or_else(|| {
                let what = "the resource contains nothing of this id (ref-1); contain it, or correct the reference";
                self.error("not-found", "ref-1: a local reference leads to a contained resource", here, what);
            });
        }
        let Some((name, rest)) = text.split_once(['/', '?']) else {
            if !text.contains(':') {
                self.error("value", FORM, here, form(text));
                return Err(());
            }
            return Ok(self.entries.get(text).copied());
        };
        if name.contains(':') || name.is_empty() {
            // Absolute, or against the root of a host.
            return Ok(restful(text).or_else(|| self.entries.get(text).copied()));
        }
        let Some(rtype) = ResourceType::parse(name) else {
            let what =
                format!("found a reference to '{}', expected a resource type of R4; correct it", printable(name));
            self.error("value", FORM, here, what);
            return Err(());
        };
        let conditional = text.as_bytes().get(name.len()) == Some(&b'?');
        let literal = || {
            let mut parts = rest.split('/');
            let id = parts.next().unwrap_or_default();
            let id = id.split('#').next().unwrap_or_default();
            is_id(id) && (rest.len() == id.len() || rest.contains('#') || version(parts))
        };
        if !conditional && !literal() {
            self.error("value", FORM, here, form(text));
            return Err(());
        }
        Ok(Some(rtype))
    }
}

/// Why a Reference may not lead where it leads.
#[derive(Debug)]
pub struct Misled {
    /// The member of the Reference that is to blame.
    pub member: &'static str,
    /// The rule.
    pub rule: &'static str,
    /// What was found, what was expected, and the cure.
    pub what: String,
}

impl Misled {
    /// As an issue about a Reference whose literal stands at `path` (`Task.for.reference`).
    #[must_use]
    pub fn at(self, path: &str) -> Issue {
        let reference = path.strip_suffix("reference").unwrap_or(path);
        Issue::error("value", format!("{reference}{}", self.member), self.what).rule(self.rule)
    }
}

/// Holds the type that a Reference leads to (`leads`, where that is known) and the one that it names (`Reference.type`) against
/// those that the element allows, and against each other.
///
/// Source: <https://hl7.org/fhir/R4/references-definitions.html#Reference.type>: both SHALL be consistent.
#[must_use]
pub fn misled(element: &Element, named: Option<&str>, leads: Option<ResourceType>) -> Option<Misled> {
    const ALLOWED: &str = "a reference leads to a type that the element allows";
    let allows = |rtype: ResourceType| element.targets.is_empty() || element.targets.contains(&rtype);
    let allowed = || element.targets.iter().map(|t| t.as_str()).collect::<Vec<_>>().join(" or ");
    if let Some(rtype) = leads.filter(|rtype| !allows(*rtype)) {
        let what = format!("found a reference to {rtype}, expected {}; refer to one of these", allowed());
        return Some(Misled { member: "reference", rule: ALLOWED, what });
    }
    let text = named?;
    let wrong = |rule, what| Some(Misled { member: "type", rule, what });
    let name = text.strip_prefix("http://hl7.org/fhir/StructureDefinition/").unwrap_or(text);
    let Some(rtype) = ResourceType::parse(name) else {
        if ["Resource", "DomainResource"].contains(&name) {
            return None; // true of whatever it leads to
        }
        let what = format!("found '{}', expected a resource type of R4; correct it, or leave it out", printable(text));
        return wrong("Reference.type is a type of resource", what);
    };
    match leads {
        Some(leads) if leads != rtype => {
            let what =
                format!("found type {rtype} beside a reference to {leads}, expected the same; correct one of them");
            wrong("Reference.type is consistent with Reference.reference", what)
        }
        None if !allows(rtype) => {
            let what = format!("found type {rtype}, expected {}; refer to one of these", allowed());
            wrong(ALLOWED, what)
        }
        _ => None,
    }
}

/// The type in a URL of RESTful form: `http://elsewhere/fhir/Patient/1`, with or without a version.
fn restful(url: &str) -> Option<ResourceType> {
    if !url.starts_with("http://") && !url.starts_with("https://") {
        return None;
    }
    let path = url.split_once("/_history/").map_or(url, |(path, _)| path);
    let (rest, id) = path.rsplit_once('/')?;
    let (_, name) = rest.rsplit_once('/')?;
    ResourceType::parse(name).filter(|_| is_id(id))
}

/// `_history/n`
fn version<'a>(mut rest: impl Iterator<Item = &'a str>) -> bool {
    rest.next() == Some("_history") && rest.next().is_some_and(is_id) && rest.next().is_none()
}

fn form(text: &str) -> String {
    format!("found '{}', expected Type/id, an absolute URL, urn:uuid:…, or #id; correct the reference", printable(text))
}
