//! The walk over a resource by its structure: one pass, nothing allocated while nothing is wrong.

use super::half::has_extensions;
use super::invariant::{self, Rule};
use super::nearest::nearest;
use super::reference::Frame;
use crate::error::Issue;
use crate::fhir::definition::{self, Found, Structure, StructureKind, Type};
use crate::fhir::fhirpath::{Env, Kind, Node};
use crate::fhir::json::{Json, Object};
use crate::fhir::path::Path;
use crate::fhir::resource::{ResourceType, printable};
use crate::fhir::xhtml;
use std::borrow::Cow;
use std::collections::HashMap;

/// Issues after which the walk ends.
const MAX_ISSUES: usize = 100;

const TYPE: &str = "a resource names its type in resourceType";
const REPEATS: &str = "an element that repeats is an array, any other is none";
const NARRATIVE: &str = "a narrative is XHTML without what runs or calls out (txt-1, txt-2)";

/// Where a resource stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// By itself, or in a Bundle or Parameters.
    Own,
    /// In `contained`.
    Contained(usize),
}

/// The state of one walk.
#[derive(Default)]
pub(super) struct Walk<'j> {
    pub(super) issues: Vec<Issue>,
    pub(super) frame: Frame<'j>,
    /// Also rules that R4 marks as warnings.
    pub(super) warnings: bool,
    /// No constraints: for measuring what they cost.
    pub(super) structure_only: bool,
    /// The resource that is walked, and the one that contains it or is the same.
    pub(super) around: Option<(&'j Json, &'j Json)>,
    /// What the fullUrls of the Bundle that is walked lead to.
    pub(super) entries: HashMap<&'j str, ResourceType>,
    /// Faults of form so far: those that are no broken constraints.
    pub(super) forms: usize,
}

/// The elements of an object, as bits by position.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Seen {
    /// Those that are there.
    there: u128,
    /// Those of them that have a fault of form, themselves or further inside: a constraint that looks into one of them may say
    /// nothing that its fault does not say.
    faulty: u128,
    /// Those that should be there; with an element that is unknown, and may be meant for any that is not there, all of these. A
    /// constraint that names one of them may say no more than that.
    lacking: u128,
}

impl<'j> Walk<'j> {
    /// Adds an issue: code, rule in short, and what was found, expected and how to mend it.
    pub(super) fn error(
        &mut self,
        code: &'static str,
        rule: impl Into<Cow<'static, str>>,
        path: &Path<'_>,
        what: impl Into<String>,
    ) {
        self.forms += 1;
        if self.issues.len() < MAX_ISSUES {
            self.issues.push(Issue::error(code, path.to_string(), what).rule(rule));
        }
    }

    /// A rule of R4 that is broken; `rule` begins with its key.
    pub(super) fn broken(&mut self, rule: &'static str, path: &Path<'_>, what: &str) {
        if self.issues.len() < MAX_ISSUES {
            self.issues.push(Issue::error("invariant", path.to_string(), what).rule(rule));
        }
    }

    /// The constraints of a type on an element, but for those that look at what has another fault.
    fn invariants(&mut self, json: &'j Json, structure: &'static Structure, seen: Seen, path: &Path<'_>) {
        let rules = invariant::rules(structure);
        if (rules.own.is_empty() && rules.inside.is_empty()) || self.structure_only {
            return;
        }
        let Some((resource, root)) = self.around else { return };
        let node = Node { json, half: None, kind: Kind::Structure(structure) };
        let env = Env { root: Node::resource(root), ..Env::of(resource).on(node) };
        for rule in rules.own.iter().filter(|rule| !rule.comes_of(seen.faulty, seen.lacking)) {
            self.rule(rule, seen.there, &env, path);
        }
        let sound = seen.there & !seen.faulty;
        for (position, rules) in rules.inside.iter().filter(|(position, _)| sound & (1 << position) != 0) {
            let Some(element) = structure.elements.get(usize::from(*position)) else { continue };
            let here = path.member(element.name);
            for (n, value) in node.values(element.name).into_iter().enumerate() {
                let item = here.item(n);
                for rule in rules {
                    self.rule(rule, seen.there, &env.on(value), if element.many { &item } else { &here });
                }
            }
        }
    }

    fn rule(&mut self, rule: &Rule, seen: u128, env: &Env<'j>, path: &Path<'_>) {
        let invariant = rule.invariant;
        if (!invariant.is_error && !self.warnings)
            || rule.holds_without(seen)
            || self.issues.len() >= MAX_ISSUES
            || !invariant.is_broken(env)
        {
            return;
        }
        let what = invariant.expression.told(invariant.key, invariant.human, env.context);
        let issue = if invariant.is_error { Issue::error } else { Issue::warning }("invariant", path.to_string(), what);
        self.issues.push(issue.rule(format!("{}: {}", invariant.key, invariant.human)));
    }

    /// Walks a resource.
    pub(super) fn resource(&mut self, json: &'j Json, path: &Path<'_>, place: Place) {
        let Json::Object(members) = json else {
            return self.error(
                "structure",
                "a resource is an object",
                path,
                format!("found {}, expected a resource", describe(json)),
            );
        };
        let structure = match members.get("resourceType") {
            Some(Json::String(name)) => match ResourceType::parse(name).and_then(definition::of_resource) {
                Some(structure) => structure,
                None => {
                    let near = nearest(name, crate::fhir::resource::RESOURCE_TYPES.into_iter());
                    let hint = near.map_or(String::new(), |near| format!("; '{near}' may be meant"));
                    let what = format!("found resourceType '{}', which R4 does not have{hint}", printable(name));
                    return self.error("structure", TYPE, &path.member("resourceType"), what);
                }
            },
            Some(other) => {
                let what = format!("found {}, expected the name of a resource type", describe(other));
                return self.error("structure", TYPE, &path.member("resourceType"), what);
            }
            None => return self.error("structure", TYPE, path, "found no resourceType; name one that R4 has"),
        };
        match place {
            Place::Own => {
                let outer = std::mem::replace(&mut self.frame, Frame::of(members));
                let around = self.around.replace((json, json));
                let is_bundle = structure.name == "Bundle";
                let entries = is_bundle.then(|| std::mem::replace(&mut self.entries, entries_of(members)));
                let seen = self.object(members, structure, path);
                self.invariants(json, structure, seen, path);
                if let Some(outer) = entries {
                    self.bundle(members, path);
                    self.entries = outer;
                }
                self.close_frame(path);
                self.frame = outer;
                self.around = around;
            }
            Place::Contained(n) => {
                let outer = self.frame.inside.replace(n);
                let around = self.around;
                self.around = around.map(|(_, root)| (json, root));
                let seen = self.object(members, structure, path);
                self.invariants(json, structure, seen, path);
                self.around = around;
                self.frame.inside = outer;
                self.contained(members, path);
            }
        }
    }

    /// Walks the members of an object.
    fn object(&mut self, members: &'j Object, structure: &'static Structure, path: &Path<'_>) -> Seen {
        let mut seen = Seen::default();
        let mut has_unknown = false;
        for (key, value) in members.iter() {
            if self.issues.len() >= MAX_ISSUES {
                return seen;
            }
            let before = self.forms;
            if let Some(found) = structure.member(key) {
                // FHIRPath's name of a choice is the part before `[x]`.
                let here = path.member(if found.element.choice { found.element.name } else { key });
                let bit = 1_u128 << found.position;
                if seen.there & bit != 0 && found.element.choice {
                    self.choice(members, structure, key, found, &here);
                }
                self.member(members, key, value, found, &here);
                seen.add(bit, self.forms != before);
                continue;
            }
            match key.strip_prefix('_').and_then(|plain| Some((plain, structure.member(plain)?))) {
                Some((plain, found))
                    if matches!(found.kind, Type::Primitive(_)) && has_extensions(structure, plain) =>
                {
                    let here = path.member(if found.element.choice { found.element.name } else { plain });
                    let bit = 1_u128 << found.position;
                    if seen.there & bit != 0 && found.element.choice {
                        self.choice(members, structure, plain, found, &here);
                    }
                    self.extensions(members.get(plain), value, found.element, &here);
                    seen.add(bit, self.forms != before);
                }
                _ if key == "resourceType" && structure.kind == StructureKind::Resource => {}
                _ => {
                    self.unknown(key, structure, &path.member(key));
                    has_unknown = true;
                }
            }
        }
        let mut missing = structure.required & !seen.there;
        seen.lacking = if has_unknown { !seen.there } else { missing };
        while missing != 0 {
            let position = missing.trailing_zeros();
            missing &= missing - 1;
            if let Some(element) = structure.elements.get(position as usize) {
                let name = if element.choice { format!("{}[x]", element.name) } else { element.name.to_owned() };
                let kinds: Vec<&str> = element.types.iter().take(8).map(Type::name).collect();
                let what = format!("'{name}' is missing, expected {}; add it", kinds.join(" or "));
                self.error("required", "an element with a minimum of 1 is present", &path.member(element.name), what);
            }
        }
        seen
    }

    /// A second member of one choice: fine when it is the `_` half of the first.
    fn choice(&mut self, members: &Object, structure: &'static Structure, key: &str, found: Found, path: &Path<'_>) {
        let other = members
            .iter()
            .map(|(name, _)| name.strip_prefix('_').unwrap_or(name))
            .find(|name| *name != key && structure.member(name).is_some_and(|other| other.position == found.position));
        if let Some(other) = other {
            let what = format!("found '{key}' beside '{}', expected one of them; send one only", printable(other));
            self.error("structure", "of a choice one type is given", path, what);
        }
    }

    fn unknown(&mut self, key: &str, structure: &'static Structure, path: &Path<'_>) {
        let plain = key.strip_prefix('_').unwrap_or(key);
        let near = nearest(plain, structure.names());
        let hint =
            near.map_or("remove it, or send it as an extension".to_owned(), |near| format!("'{near}' may be meant"));
        let what = format!("found '{}', which {} does not have; {hint}", printable(key), structure.name);
        self.error("structure", "a resource holds only elements that its definition has", path, what);
    }

    fn member(&mut self, members: &'j Object, key: &str, value: &'j Json, found: Found, path: &Path<'_>) {
        if !found.element.many {
            if let Json::Array(_) = value {
                let what = "found an array, expected one value; this element does not repeat";
                return self.error("structure", REPEATS, path, what);
            }
            return self.value(value, found, path, None);
        }
        let Json::Array(items) = value else {
            let what =
                format!("found {}, expected an array; this element repeats, write [ ] around it", describe(value));
            return self.error("structure", REPEATS, path, what);
        };
        if items.is_empty() {
            return self.error("structure", "no array is empty", path, "found an empty array; leave the element out");
        }
        for (n, item) in items.iter().enumerate() {
            let here = path.item(n);
            if item.is_null() && matches!(found.kind, Type::Primitive(_)) {
                let partner = members.iter().find(|(name, _)| name.strip_prefix('_') == Some(key)).map(|(_, v)| v);
                if partner.and_then(|p| p.items().get(n)).is_some_and(|p| !p.is_null()) {
                    continue;
                }
            }
            self.value(item, found, &here, Some(n));
        }
    }

    fn value(&mut self, value: &'j Json, found: Found, path: &Path<'_>, item: Option<usize>) {
        let element = found.element;
        match found.kind {
            Type::Primitive(primitive) => self.primitive(value, primitive, element, path),
            Type::Complex(id) => {
                let structure = id.get();
                self.complex(value, structure, path);
                if let (Some(set), Json::Object(members)) = (element.codes(), value) {
                    self.coded(structure.name, members, set, path);
                }
            }
            Type::Reference(id) => {
                self.complex(value, id.get(), path);
                if let Json::Object(members) = value {
                    self.reference(element, members, path);
                }
            }
            Type::Extension(id) => {
                self.complex(value, id.get(), path);
                if let Json::Object(members) = value {
                    self.extension(members, path);
                }
            }
            Type::SimpleQuantity(id) => {
                self.complex(value, id.get(), path);
                if value.get("comparator").is_some() {
                    let what = "a comparator may not stand here (sqty-1); remove it";
                    self.broken("sqty-1: a simple quantity has no comparator", &path.member("comparator"), what);
                }
            }
            Type::Xhtml => match value {
                Json::String(div) => {
                    for problem in xhtml::problems(div) {
                        match problem {
                            xhtml::Problem::Form(what) => self.narrative("invalid", path, &what),
                            xhtml::Problem::Forbidden(what) => self.narrative(super::FORBIDDEN, path, &what),
                        }
                    }
                }
                other => {
                    self.error(
                        "structure",
                        NARRATIVE,
                        path,
                        format!("found {}, expected XHTML as a string", describe(other)),
                    );
                }
            },
            Type::Resource => {
                let place = match (element.name, item) {
                    ("contained", Some(n)) => Place::Contained(n),
                    _ => Place::Own,
                };
                self.resource(value, path, place);
            }
        }
    }

    /// A fault of a narrative: txt-2 when it says nothing, else txt-1.
    fn narrative(&mut self, code: &'static str, path: &Path<'_>, what: &str) {
        let rule = if what == xhtml::EMPTY {
            "txt-2: a narrative has some text or an image"
        } else {
            "txt-1: a narrative is XHTML of basic formatting, links and images only"
        };
        self.error(code, rule, path, what);
    }

    pub(super) fn complex(&mut self, value: &'j Json, structure: &'static Structure, path: &Path<'_>) {
        let Json::Object(members) = value else {
            let what = format!("found {}, expected an object of type {}", describe(value), structure.name);
            return self.error("structure", format!("{} is an object", structure.name), path, what);
        };
        match members.0.as_slice() {
            [] => self.error("structure", "no object is empty", path, "found an empty object; leave the element out"),
            [(only, _)] if &**only == "id" => {
                let what = "found an element with nothing but an id (ele-1); give it content, or leave it out";
                self.broken("ele-1: an element has a value or children", path, what);
            }
            _ => {
                let seen = self.object(members, structure, path);
                self.invariants(value, structure, seen, path);
            }
        }
    }
}

impl Seen {
    fn add(&mut self, bit: u128, is_faulty: bool) {
        self.there |= bit;
        if is_faulty {
            self.faulty |= bit;
        }
    }
}

/// What the fullUrls of a Bundle lead to.
fn entries_of(bundle: &Object) -> HashMap<&str, ResourceType> {
    let entry = |entry| {
        let entry: &Json = entry;
        Some((entry["fullUrl"].as_str()?, ResourceType::parse(entry["resource"]["resourceType"].as_str()?)?))
    };
    bundle.get("entry").map_or(&[][..], Json::items).iter().filter_map(entry).collect()
}

/// A value for the sender's eyes, short.
pub(super) fn describe(value: &Json) -> String {
    match value {
        Json::Null => "null".into(),
        Json::Bool(b) => b.to_string(),
        Json::Number(n) => printable(n),
        Json::String(s) if s.is_empty() => "an empty string".into(),
        Json::String(s) => format!("\"{}\"", printable(s)),
        Json::Array(_) => "an array".into(),
        Json::Object(_) => "an object".into(),
    }
}
