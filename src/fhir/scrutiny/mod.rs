//! A closer look than a write takes: what R4 asks in its prose, and what is lawful and yet seldom meant.
//!
//! For: `$validate` and `baton check`. Each rule has a key, and a severity that a site may change
//! (`profiles/policy/profiles.json`); none of them ever stops a write.
//! Not for: structure and constraints of R4 (`fhir::validate`), or what profiles ask (`fhir::profile`).
//!
//! [`element`] ids, attachments, codings, texts, URLs, extensions · [`bundle`] links, results, documents, messages ·
//! [`narrative`] links inside narratives · [`definition`] resources that define something.
//! Source: each rule in [`RULES`] names its page of R4.

mod bundle;
mod definition;
mod element;
mod narrative;
mod operation;
#[cfg(test)]
mod tests;

use super::definition::{Structure, StructureKind, Type, of_resource, structure};
use super::json::{Json, Object};
use super::path::Path;
use super::profile::Profiles;
use super::resource::ResourceType;
use crate::error::{Issue, Severity};
use std::collections::HashSet;

/// Issues after which the look ends.
const MAX_ISSUES: usize = 100;

/// One rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// `narrative-link`.
    pub key: &'static str,
    /// What it asks, in short.
    pub text: &'static str,
    /// How bad it is to break it, where a site says nothing; `None`: not worth a word.
    pub severity: Option<Severity>,
    /// Page of R4, below `http://hl7.org/fhir/R4/`, or another address.
    pub page: &'static str,
}

const ERROR: Option<Severity> = Some(Severity::Error);
const WARNING: Option<Severity> = Some(Severity::Warning);
const REMARK: Option<Severity> = Some(Severity::Information);

const fn rule(key: &'static str, text: &'static str, severity: Option<Severity>, page: &'static str) -> Rule {
    Rule { key, text, severity, page }
}

/// All rules, by key.
pub const RULES: [Rule; 17] = [
    rule(
        "ambiguous-reference",
        "a reference inside a document or message leads to one entry",
        ERROR,
        "bundle.html#references",
    ),
    rule("attachment-size", "the size of an attachment is that of its data", ERROR, "datatypes.html#Attachment"),
    rule(
        "bundle-link",
        "links for paging are for searches and histories, each relation once",
        ERROR,
        "http.html#paging",
    ),
    rule(
        "capability-parameter",
        "a search parameter has the type that its definition gives it",
        ERROR,
        "capabilitystatement-definitions.html#CapabilityStatement.rest.resource.searchParam.type",
    ),
    rule("code-system", "a code system is named by its own absolute URL", ERROR, "datatypes.html#Coding"),
    rule(
        "document-reference",
        "what a Composition or MessageHeader refers to is in the Bundle",
        ERROR,
        "documents.html#bundle",
    ),
    rule("element-id", "ids of elements are unique in their resource", ERROR, "element.html#id"),
    rule("example-url", "URLs of examples stay in examples", REMARK, "http://www.rfc-editor.org/rfc/rfc2606"),
    rule("global-profile", "a profile that a guide declares global is met", ERROR, "implementationguide.html"),
    rule("markup", "a text that is no narrative holds no HTML", WARNING, "security.html#narrative"),
    rule(
        "narrative-link",
        "a link inside a narrative leads to something in the resource",
        WARNING,
        "narrative.html#id",
    ),
    rule(
        "operation-profile",
        "the profile of an operation's parameters agrees with its list of them",
        ERROR,
        "operationdefinition-definitions.html#OperationDefinition.inputProfile",
    ),
    rule("profile-definition", "a profile compiles and narrows its base", ERROR, "profiling.html"),
    rule(
        "search-parameter",
        "a search parameter has parts where it is composite, and agrees with what it is derived from",
        ERROR,
        "searchparameter-definitions.html#SearchParameter.derivedFrom",
    ),
    rule(
        "search-result",
        "what a search found has an id; its outcome is an OperationOutcome",
        ERROR,
        "search.html#entries",
    ),
    rule("unknown-extension", "the definition of an extension is known", None, "extensibility.html"),
    rule(
        "vital-sign",
        "an Observation of a vital sign meets R4's profile of it",
        WARNING,
        "observation-vitalsigns.html",
    ),
];

/// How bad it is to break each rule.
#[derive(Debug, Clone)]
pub struct Rules([Option<Severity>; RULES.len()]);

impl Default for Rules {
    fn default() -> Self {
        Self(RULES.map(|rule| rule.severity))
    }
}

impl Rules {
    /// Changes a rule; `false`: there is none of that key.
    pub fn set(&mut self, key: &str, severity: Option<Severity>) -> bool {
        let slot = RULES.iter().position(|rule| rule.key == key).and_then(|n| self.0.get_mut(n));
        let is_there = slot.is_some();
        if let Some(slot) = slot {
            *slot = severity;
        }
        is_there
    }

    /// How bad it is to break a rule.
    #[must_use]
    pub fn of(&self, key: &str) -> Option<Severity> {
        RULES.iter().position(|rule| rule.key == key).and_then(|n| *self.0.get(n)?)
    }
}

/// A search parameter as `CapabilityStatement`s and other parameters refer to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// `token`.
    pub kind: &'static str,
    /// Types it is defined on.
    pub bases: Vec<ResourceType>,
}

/// What a look needs to know.
#[derive(Clone, Copy)]
pub struct Known<'k> {
    /// Severities.
    pub rules: &'k Rules,
    /// Profiles and extensions in force.
    pub profiles: &'k Profiles,
    /// The search parameter of a canonical URL.
    pub parameter: &'k dyn Fn(&str) -> Option<Parameter>,
}

/// All issues of a resource, also of those inside; at most a hundred. Malformed resources are none of its business: what is not of
/// the form that R4 gives it is passed over.
#[must_use]
pub fn resource(resource: &Json, known: &Known<'_>) -> Vec<Issue> {
    let name = resource["resourceType"].as_str().filter(|name| name.len() < 64).unwrap_or_default();
    let mut look = Look {
        known: *known,
        issues: Vec::new(),
        ids: HashSet::new(),
        links: narrative::Links::default(),
        entries: None,
    };
    look.resource(resource, &Path::root(name));
    look.lost_links();
    look.issues
}

/// The state of one look.
struct Look<'k, 'j> {
    known: Known<'k>,
    issues: Vec<Issue>,
    /// Ids of elements of the resource that is being looked at.
    ids: HashSet<&'j str>,
    links: narrative::Links<'j>,
    /// Of the document or message around.
    entries: Option<bundle::Entries<'j>>,
}

impl<'j> Look<'_, 'j> {
    /// Adds an issue of a rule, as bad as the rule says.
    fn say(&mut self, key: &'static str, code: &'static str, path: &Path<'_>, what: impl Into<String>) {
        self.say_at(key, code, path.to_string(), what);
    }

    fn say_at(&mut self, key: &'static str, code: &'static str, path: String, what: impl Into<String>) {
        let (Some(severity), Some(rule)) = (self.known.rules.of(key), RULES.iter().find(|rule| rule.key == key)) else {
            return;
        };
        if self.issues.len() < MAX_ISSUES {
            let issue = Issue::error(code, path, what).rule(format!("{}: {}", rule.key, rule.text));
            self.issues.push(Issue { severity, ..issue });
        }
    }

    fn resource(&mut self, json: &'j Json, path: &Path<'_>) {
        let rtype = json["resourceType"].text();
        let Some(structure) = ResourceType::parse(rtype).and_then(of_resource) else { return };
        let Json::Object(members) = json else { return };
        let outer = std::mem::take(&mut self.ids);
        let around = if rtype == "Bundle" { self.entries.take() } else { None };
        if let Some(id) = members.get("id").and_then(Json::as_str) {
            self.links.anchor(id);
        }
        if rtype == "Bundle" {
            self.bundle(json, path);
        } else {
            self.definition(rtype, json, path);
            self.beyond(rtype, json, path);
        }
        self.inside(members, structure, path);
        self.ids = outer;
        if rtype == "Bundle" {
            self.entries = around;
        }
    }

    /// The members of a resource, of a data type, or of what is inside an element.
    fn inside(&mut self, members: &'j Object, structure: &'static Structure, path: &Path<'_>) {
        if structure.kind != StructureKind::Resource
            && let Some(id) = members.get("id").and_then(Json::as_str)
        {
            self.id(id, structure, path);
        }
        if let (Some(entries), "Bundle.entry") = (&mut self.entries, structure.name) {
            entries.here = members.get("fullUrl").map_or("", Json::text);
        }
        self.datatype(members, structure, path);
        for (key, value) in members.iter() {
            let (plain, is_half) = key.strip_prefix('_').map_or((key, false), |plain| (plain, true));
            let Some(found) = structure.member(plain) else { continue };
            let name = if found.element.choice { found.element.name } else { plain };
            let kind = match found.kind {
                Type::Primitive(_) if is_half => None,
                kind => Some(kind),
            };
            let here = path.member(name);
            match value {
                Json::Array(items) => {
                    for (n, item) in items.iter().enumerate() {
                        self.value(item, kind, &here.item(n));
                    }
                }
                one => self.value(one, kind, &here),
            }
        }
    }

    /// One value; `kind`: `None` of the `_` half of a primitive.
    fn value(&mut self, value: &'j Json, kind: Option<Type>, path: &Path<'_>) {
        match (kind, value) {
            (Some(Type::Primitive(primitive)), Json::String(text)) => self.text(primitive, text, path),
            (Some(Type::Xhtml), Json::String(div)) => self.narrative(div, path),
            (Some(Type::Resource), resource) => self.resource(resource, path),
            (Some(kind), Json::Object(members)) => {
                if let Type::Reference(_) = kind {
                    self.reference(members, path);
                }
                if let Some(structure) = kind.structure() {
                    self.inside(members, structure, path);
                }
            }
            (None, Json::Object(members)) => {
                if let Some(structure) = structure("Element") {
                    self.inside(members, structure, path);
                }
            }
            _ => {}
        }
    }
}
