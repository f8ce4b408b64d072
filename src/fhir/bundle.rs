//! References of a resource: finding them, and rewriting those that a Bundle renames.
//!
//! For: transactions (`urn:uuid`, fullUrl, conditional references become `Type/id`) and reference integrity. Which text is
//! a link is known by its type in the structure tables, never guessed from its looks.
//! Not for: resolving them (`interaction/`).
//! Source: <https://hl7.org/fhir/R4/http.html#trules>, <https://hl7.org/fhir/R4/bundle.html#references>.

use super::definition::{self, Element, Structure, Type};
use super::json::{Json, Object};
use super::path::Path;
use super::primitive::Primitive;
use super::resource::{ResourceType, Target};
use super::xhtml;

/// What a reference text is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link<'a> {
    /// `#id`, or `#` for the container: without the `#`.
    Contained(&'a str),
    /// `Type/id`, with the version of `Type/id/_history/version`.
    Relative(Target, Option<&'a str>),
    /// `Type?criteria`.
    Conditional(ResourceType, &'a str),
    /// `urn:uuid:…` or `urn:oid:…`.
    Urn(&'a str),
    /// `http://…` or another scheme.
    Absolute(&'a str),
    /// None of them.
    Other(&'a str),
}

impl<'a> Link<'a> {
    /// Reads the text of `Reference.reference`.
    #[must_use]
    pub fn parse(text: &'a str) -> Self {
        if let Some(id) = text.strip_prefix('#') {
            return Self::Contained(id);
        }
        if text.starts_with("urn:uuid:") || text.starts_with("urn:oid:") {
            return Self::Urn(text);
        }
        let conditional =
            text.split_once('?').and_then(|(name, criteria)| Some((ResourceType::parse(name)?, criteria)));
        if let Some((rtype, criteria)) = conditional {
            return Self::Conditional(rtype, criteria);
        }
        if let Some(target) = Target::parse(text) {
            return Self::Relative(target, text.split_once("/_history/").map(|(_, version)| version));
        }
        match text.split_once(':') {
            Some((scheme, _)) if !scheme.contains(['/', '?']) => Self::Absolute(text),
            _ => Self::Other(text),
        }
    }
}

/// Replaces links in a resource: `lookup` gets the text of each `Reference.reference`, each element of type uri, url, oid
/// or uuid, and each `href`/`src` of a narrative, and gives what to write instead. Canonicals and other texts stay, and
/// so do the entries of a Bundle: they resolve among themselves. What its type does not take is not written: an oid or uuid
/// stays what it is, as `Type/id` is none. Returns whether anything changed.
pub fn rewrite(resource: &mut Json, lookup: &dyn Fn(&str) -> Option<String>) -> bool {
    let Some(structure) = structure_of(resource) else { return false };
    match resource {
        Json::Object(members) => rewrite_object(members, structure, lookup),
        _ => false,
    }
}

fn structure_of(resource: &Json) -> Option<&'static Structure> {
    definition::of_resource(ResourceType::parse(resource["resourceType"].as_str()?)?)
}

/// What to do with a member.
enum Step {
    /// Its text is a link, and stays of this type.
    Text(Primitive),
    /// Its text is a narrative.
    Narrative,
    /// It holds elements of this structure.
    Inside(&'static Structure),
    /// It holds a resource.
    Resource,
}

fn step(structure: &'static Structure, key: &str, value: &Json) -> Option<Step> {
    let Some(found) = structure.member(key) else {
        // `_x`: a link may stand in an extension of a primitive.
        let is_half = key.starts_with('_') && matches!(value, Json::Object(_) | Json::Array(_));
        return is_half.then(|| definition::structure("Element")).flatten().map(Step::Inside);
    };
    match found.kind {
        Type::Primitive(kind @ Primitive::String) if key == "reference" && structure.name == "Reference" => {
            Some(Step::Text(kind))
        }
        Type::Primitive(kind @ (Primitive::Uri | Primitive::Url | Primitive::Oid | Primitive::Uuid)) => {
            Some(Step::Text(kind))
        }
        Type::Primitive(_) => None,
        Type::Xhtml => Some(Step::Narrative),
        Type::Resource => Some(Step::Resource),
        kind => kind.structure().filter(|inside| inside.name != "Bundle.entry").map(Step::Inside),
    }
}

fn rewrite_object(
    members: &mut Object,
    structure: &'static Structure,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> bool {
    let mut changed = false;
    for (key, value) in &mut members.0 {
        if let Some(step) = step(structure, key, value) {
            changed |= rewrite_value(value, &step, lookup);
        }
    }
    changed
}

fn rewrite_value(value: &mut Json, step: &Step, lookup: &dyn Fn(&str) -> Option<String>) -> bool {
    let new = match (value, step) {
        (Json::Array(items), _) => {
            return items.iter_mut().fold(false, |any, item| rewrite_value(item, step, lookup) | any);
        }
        (Json::Object(members), Step::Inside(structure)) => return rewrite_object(members, structure, lookup),
        (value @ Json::Object(_), Step::Resource) => return rewrite(value, lookup),
        (Json::String(text), Step::Text(kind)) => {
            lookup(text).filter(|new| kind.accepts(&Json::from(new.as_str()))).map(|new| (text, new))
        }
        (Json::String(text), Step::Narrative) => xhtml::rewrite(text, lookup).map(|new| (text, new)),
        _ => None,
    };
    new.map(|(text, new)| *text = new).is_some()
}

/// All `Reference.reference` of a resource with the FHIRPath of the element, such as `Task.for.reference`.
#[must_use]
pub fn references(resource: &Json) -> Vec<(String, String)> {
    let mut found = Vec::new();
    each_reference(resource, &mut |path, text| found.push((path.to_string(), text.to_owned())));
    found
}

/// A literal reference, and the element that holds it.
#[derive(Debug, Clone, Copy)]
pub struct Held<'j> {
    /// `Reference.reference`.
    pub text: &'j str,
    /// `Reference.type`.
    pub named: Option<&'j str>,
    /// The element whose value the Reference is: `Task.for`.
    pub element: Option<&'static Element>,
}

/// Shows each `Reference.reference` of a resource, contained ones too, with its path; those in the entries of a Bundle
/// not. Allocates nothing.
pub fn each_reference<'j>(resource: &'j Json, show: &mut dyn FnMut(&Path<'_>, &'j str)) {
    each_held(resource, &mut |path, held| show(path, held.text));
}

/// The same with what holds it.
pub fn each_held<'j>(resource: &'j Json, show: &mut dyn FnMut(&Path<'_>, Held<'j>)) {
    let name = resource["resourceType"].text();
    show_resource(resource, &Path::root(name), show);
}

fn show_resource<'j>(resource: &'j Json, path: &Path<'_>, show: &mut dyn FnMut(&Path<'_>, Held<'j>)) {
    if let (Some(structure), Json::Object(members)) = (structure_of(resource), resource) {
        show_object(members, structure, None, path, show);
    }
}

fn show_object<'j>(
    members: &'j Object,
    structure: &'static Structure,
    element: Option<&'static Element>,
    path: &Path<'_>,
    show: &mut dyn FnMut(&Path<'_>, Held<'j>),
) {
    for (key, value) in members.iter() {
        if let Json::String(text) = value {
            if key == "reference" && structure.name == "Reference" {
                let named = members.get("type").and_then(Json::as_str);
                show(&path.member(key), Held { text, named, element });
            }
            continue;
        }
        if let Some(step) = step(structure, key, value) {
            let found = structure.member(key).map(|found| found.element);
            let name = found.filter(|element| element.choice).map_or(key, |element| element.name);
            show_value(value, &step, found, &path.member(name), show);
        }
    }
}

fn show_value<'j>(
    value: &'j Json,
    step: &Step,
    element: Option<&'static Element>,
    path: &Path<'_>,
    show: &mut dyn FnMut(&Path<'_>, Held<'j>),
) {
    match (value, step) {
        (Json::Array(items), _) => {
            for (n, item) in items.iter().enumerate().filter(|(_, item)| !matches!(item, Json::String(_))) {
                show_value(item, step, element, &path.item(n), show);
            }
        }
        (Json::Object(members), Step::Inside(structure)) => show_object(members, structure, element, path, show),
        (Json::Object(_), Step::Resource) => show_resource(value, path, show),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fhir::json::parse;

    const OLD: &str = "urn:uuid:c757873d-ec9a-4326-a141-556f43239520";

    fn rename(text: &str) -> Option<String> {
        (text == OLD).then(|| "Binary/b".to_owned())
    }

    /// R4 http.html#trules: Links are rewritten by the type of their element: references, uri, url, `src` and `href`;
    /// canonicals and texts stay, and so does a uuid, which `Type/id` is not.
    #[test]
    fn links_are_rewritten_by_their_type_and_nothing_else_is() {
        let before = r##"{"resourceType":"Composition","text":{"div":"<div>OLD <img src=\"OLD\"/><a href='OLD'>OLD</a></div>"},
            "contained":[{"resourceType":"DocumentReference","id":"d","content":[{"attachment":{"url":"OLD","title":"OLD"}}],
              "meta":{"profile":["OLD"],"source":"OLD"}}],
            "subject":{"reference":"OLD","display":"OLD"},"title":"OLD","_title":{"extension":[{"url":"x","valueUri":"OLD"},
              {"url":"x","valueReference":{"reference":"OLD"}},{"url":"x","valueCanonical":"OLD"},{"url":"x","valueString":"OLD"},{"url":"x","valueUuid":"OLD"}]},
            "author":[{"reference":"#d"},{"reference":"OLD"}],"identifier":{"system":"OLD","value":"OLD"},"reference":"OLD"}"##;
        let after = before
            .replace(r#"src=\"OLD\""#, r#"src=\"NEW\""#)
            .replace("href='OLD'", "href='NEW'")
            .replace(r#""url":"OLD""#, r#""url":"NEW""#)
            .replace(r#""source":"OLD""#, r#""source":"NEW""#)
            .replace(r#"{"reference":"OLD""#, r#"{"reference":"NEW""#)
            .replace(r#""valueUri":"OLD""#, r#""valueUri":"NEW""#)
            .replace(r#""system":"OLD""#, r#""system":"NEW""#);
        let read = |text: &str| parse(text.replace("OLD", OLD).replace("NEW", "Binary/b").as_bytes()).unwrap();
        let mut tree = read(before);
        assert!(rewrite(&mut tree, &rename));
        assert_eq!(tree.to_string(), read(&after).to_string());
        assert!(!rewrite(&mut tree, &rename));
    }

    #[test]
    fn references_come_with_their_path_and_entries_of_a_bundle_are_their_own() {
        let task = r##"{"resourceType":"Task","for":{"reference":"Patient/1"},"reasonReference":{"display":"x"},
            "contained":[{"resourceType":"Basic","id":"b","subject":{"reference":"#"}}],
            "input":[{"valueReference":{"reference":"urn:uuid:2"},"valueString":"reference"}]}"##;
        let found = references(&parse(task.as_bytes()).unwrap());
        let found: Vec<(&str, &str)> = found.iter().map(|(p, t)| (p.as_str(), t.as_str())).collect();
        assert_eq!(
            found,
            [
                ("Task.for.reference", "Patient/1"),
                ("Task.contained[0].subject.reference", "#"),
                ("Task.input[0].value.reference", "urn:uuid:2"),
            ]
        );
        let bundle = format!(r#"{{"resourceType":"Bundle","entry":[{{"fullUrl":"{OLD}","resource":{task}}}]}}"#);
        let mut bundle = parse(bundle.as_bytes()).unwrap();
        assert!(references(&bundle).is_empty() && !rewrite(&mut bundle, &rename));
    }

    /// R4 references.html#literal: A reference is a fragment, relative, of a version, conditional, a URN or absolute.
    #[test]
    fn a_reference_text_is_one_of_six() {
        let target = |text| Target::parse(text).unwrap();
        for (text, link) in [
            ("#a", Link::Contained("a")),
            ("Patient/1", Link::Relative(target("Patient/1"), None)),
            ("Patient/1/_history/3", Link::Relative(target("Patient/1"), Some("3"))),
            ("Patient?identifier=a|b/c", Link::Conditional(target("Patient/1").rtype, "identifier=a|b/c")),
            ("urn:oid:1.2", Link::Urn("urn:oid:1.2")),
            ("http://a/Patient/1", Link::Absolute("http://a/Patient/1")),
            ("Patien/1", Link::Other("Patien/1")),
        ] {
            assert_eq!(Link::parse(text), link);
        }
    }
}
