//! Extensions, wherever they stand: where their definition lets them stand, and what it asks of them.
//!
//! An unknown extension is let pass; an unknown modifier extension is refused, since it may turn the meaning of the rest.
//! Source: <https://hl7.org/fhir/R4/extensibility.html>, <https://hl7.org/fhir/R4/defining-extensions.html#context>.

use super::build::R4;
use super::check::{Check, link};
use super::item::Item;
use super::model::{Context, ROOT};
use super::refer::{Scope, is_a};
use crate::error::Issue;
use crate::fhir::definition::{self, Element, Structure, Type};
use crate::fhir::json::{Json, Object};
use crate::fhir::path::Path;
use crate::fhir::resource::ResourceType;

/// What an extension stands on.
#[derive(Clone, Copy)]
struct Place<'p> {
    /// The structure that has the element, and the element; `None`: a resource itself.
    element: Option<(&'static Structure, &'static Element)>,
    /// The type of what stands there.
    rtype: &'p str,
    /// URL of the extension around.
    outer: Option<&'p str>,
}

impl<'a> Check<'a> {
    /// All extensions of a resource; and the resources inside, by what they claim.
    pub(super) fn extensions(&mut self, resource: &'a Json, path: &Path<'_>, scope: &Scope<'a>) {
        let rtype = resource["resourceType"].text();
        let structure = ResourceType::parse(rtype).and_then(definition::of_resource);
        if let (Some(structure), Json::Object(members)) = (structure, resource) {
            self.each(members, structure, &Place { element: None, rtype, outer: None }, path, scope);
        }
    }

    fn each(
        &mut self,
        members: &'a Object,
        structure: &'static Structure,
        place: &Place<'_>,
        path: &Path<'_>,
        scope: &Scope<'a>,
    ) {
        for (key, value) in members.iter() {
            let here = path.member(key.strip_prefix('_').unwrap_or(key));
            if matches!(key, "extension" | "modifierExtension") {
                for (n, item) in value.items().iter().enumerate() {
                    self.extension(item, key, n, place, &here.item(n), path, scope);
                }
                continue;
            }
            let (plain, is_half) = key.strip_prefix('_').map_or((key, false), |plain| (plain, true));
            let Some(found) = structure.member(plain) else { continue };
            let (inner, rtype) = match found.kind {
                Type::Primitive(p) if is_half => (definition::structure("Element"), p.as_str()),
                Type::Primitive(_) | Type::Xhtml => continue,
                Type::Resource => (None, ""),
                kind => (kind.structure(), kind.name()),
            };
            let place = Place { element: Some((structure, found.element)), rtype, outer: place.outer };
            match value {
                Json::Array(items) => {
                    for (n, item) in items.iter().enumerate() {
                        self.one(item, key, inner, &place, &here.item(n), scope);
                    }
                }
                one => self.one(one, key, inner, &place, &here, scope),
            }
        }
    }

    fn one(
        &mut self,
        value: &'a Json,
        key: &'a str,
        inner: Option<&'static Structure>,
        place: &Place<'_>,
        path: &Path<'_>,
        scope: &Scope<'a>,
    ) {
        let Json::Object(members) = value else { return };
        let item = Item { key, ..Item::resource(value) };
        match inner {
            Some(structure) if key == "entry" => {
                let own = scope.inside(&Item { kind: None, ..item });
                self.each(members, structure, place, path, own.as_ref().unwrap_or(scope));
            }
            Some(structure) => self.each(members, structure, place, path, scope),
            None => {
                let own = scope.inside(&item);
                self.resource(value, &[], path, own.as_ref().unwrap_or(scope));
            }
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn extension(
        &mut self,
        value: &'a Json,
        key: &'a str,
        n: usize,
        place: &Place<'_>,
        path: &Path<'_>,
        owner: &Path<'_>,
        scope: &Scope<'a>,
    ) {
        let url = value["url"].text();
        let Some(structure) = definition::structure("Extension") else { return };
        match self.profiles.find_id(url) {
            Some(id) if self.profiles.list.get(id).is_some_and(|p| &*p.rtype == "Extension") => {
                let contexts = self.profiles.list.get(id).map_or(&[][..], |p| &p.contexts);
                if !contexts.is_empty() && !contexts.iter().any(|c| stands(c, place, owner)) {
                    let allowed: Vec<&str> = contexts.iter().map(named).collect();
                    let what = format!(
                        "found the extension {} where it may not stand, expected on {}",
                        link(url),
                        allowed.join(", ")
                    );
                    self.error(id, "structure", path, &what);
                }
                let item = Item { key, index: Some(n), kind: structure_kind(), ..Item::resource(value) };
                self.node(id, ROOT, &item, path, scope);
            }
            Some(_) => {
                let what = format!("found {}, which is no extension; name the URL of one", link(url));
                self.issues.push(Issue::error("structure", path.member("url").to_string(), what));
            }
            None if key == "modifierExtension" && place.outer.is_none() => {
                let Some(severity) = (self.unknown)(url) else { return };
                let what = format!(
                    "found the modifier extension {}, which is not known here and may turn the meaning of the rest; load the package that has it, or leave it out",
                    link(url)
                );
                self.issues.push(Issue { severity, ..Issue::error("extension", path.to_string(), what) });
            }
            None => {}
        }
        if let Json::Object(members) = value {
            let outer = if url.contains(':') { Some(url) } else { place.outer };
            let place = Place { element: None, rtype: "Extension", outer };
            self.each(members, structure, &place, path, scope);
        }
    }
}

fn structure_kind() -> Option<Type> {
    definition::structure("Element").and_then(|e| e.member("extension")).map(|f| f.kind)
}

fn named(context: &Context) -> &str {
    match context {
        Context::Element(text) | Context::Extension(text) => text,
        Context::Expression => "what an expression names",
    }
}

/// Whether a context of use is the place.
fn stands(context: &Context, place: &Place<'_>, owner: &Path<'_>) -> bool {
    let text = match context {
        Context::Expression => return true,
        Context::Extension(url) => return place.outer.is_some_and(|outer| is_same_extension(url, outer)),
        Context::Element(text) => text.strip_prefix(R4).unwrap_or(text),
    };
    if text == "Element" || is_a(place.rtype, text) {
        return true;
    }
    let bare = |text: &str| text.trim_end_matches("[x]").to_owned();
    let text = bare(text);
    if let Some((structure, element)) = place.element {
        let inside = text.strip_prefix(structure.name).and_then(|rest| rest.strip_prefix('.'));
        if inside == Some(element.name) || element.types.iter().any(|t| t.name() == text) {
            return true;
        }
    }
    text.contains('.') && without_places(&owner.to_string()) == text
}

fn is_same_extension(url: &str, outer: &str) -> bool {
    super::canonical(url).0.split_once('#').map_or(url, |(url, _)| url) == outer
}

/// `Patient.contact[0].name` → `Patient.contact.name`
fn without_places(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    let mut is_in = false;
    for c in path.chars() {
        match c {
            '[' => is_in = true,
            ']' => is_in = false,
            c if !is_in => out.push(c),
            _ => {}
        }
    }
    out
}
