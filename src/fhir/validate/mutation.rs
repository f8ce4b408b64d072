//! Property: a valid resource with one fault is refused, and the issue names the element that was spoilt.

use super::corpus::lines;
use super::*;
use crate::fhir::definition::{self, Structure, Type};
use crate::fhir::json::parse;
use crate::fhir::primitive::Primitive;
use crate::fhir::resource::ResourceType;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// How to get to a member from the root, and how FHIRPath and JSON name it.
#[derive(Clone, Default)]
struct Place {
    steps: Vec<Step>,
    path: String,
    json_path: String,
    /// Of a choice, another of its names.
    other: String,
}

#[derive(Clone)]
enum Step {
    Member(String),
    Item(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    Dropped,
    WrongType,
    Extra,
    BadCode,
    BadDate,
    BadText,
    EmptyArray,
    Null,
    NoArray,
    Array,
    SecondChoice,
    DoubleKey,
}

impl Place {
    fn root(json: &Json) -> Self {
        let name = json["resourceType"].text().to_owned();
        Self { steps: Vec::new(), path: name.clone(), json_path: name, other: String::new() }
    }

    fn member(&self, key: &str, name: &str) -> Self {
        let mut next = self.clone();
        next.steps.push(Step::Member(key.into()));
        next.path = format!("{}.{name}", self.path);
        next.json_path = format!("{}.{key}", self.json_path);
        next
    }

    fn item(&self, n: usize) -> Self {
        let mut next = self.clone();
        next.steps.push(Step::Item(n));
        next.path = format!("{}[{n}]", self.path);
        next.json_path = format!("{}[{n}]", self.json_path);
        next
    }

    fn find<'a>(steps: &[Step], root: &'a mut Json) -> &'a mut Json {
        steps.iter().fold(root, |here, step| match step {
            Step::Member(name) => here.get_mut(name).unwrap(),
            Step::Item(n) => &mut here.items_mut()[*n],
        })
    }
}

/// Every place where a fault can be put.
fn sites(resource: &Json, place: &Place, found: &mut Vec<(Fault, Place)>) {
    let rtype = ResourceType::parse(resource["resourceType"].text()).unwrap();
    members(resource, definition::of_resource(rtype).unwrap(), place, found);
}

fn members(json: &Json, structure: &'static Structure, place: &Place, found: &mut Vec<(Fault, Place)>) {
    found.push((Fault::Extra, place.member("unheardOf", "unheardOf")));
    for (key, value) in json.as_object().unwrap().iter() {
        let Some(member) = structure.member(key) else { continue };
        let element = member.element;
        let here = place.member(key, if element.choice { element.name } else { key });
        let has_half = json.get(&format!("_{key}")).is_some();
        found.extend([Fault::WrongType, Fault::DoubleKey].map(|fault| (fault, here.clone())));
        if element.min > 0 && !has_half && !element.choice {
            found.push((Fault::Dropped, here.clone()));
        }
        let arrays =
            if element.many { vec![Fault::EmptyArray, Fault::NoArray] } else { vec![Fault::Array, Fault::Null] };
        found.extend(arrays.into_iter().map(|fault| (fault, here.clone())));
        let is_other = |n: &&str| *n != key && structure.member(n).is_some_and(|m| m.position == member.position);
        if let Some(other) = structure.names().find(is_other) {
            found.push((Fault::SecondChoice, Place { other: other.into(), ..here.clone() }));
        }
        let values: Vec<(&Json, Place)> = match value {
            Json::Array(items) => items.iter().enumerate().map(|(n, item)| (item, here.item(n))).collect(),
            one => vec![(one, here)],
        };
        for (value, here) in values.into_iter().filter(|(value, _)| !value.is_null()) {
            if matches!(here.steps.last(), Some(Step::Item(_))) && !has_half {
                found.push((Fault::Null, here.clone()));
            }
            match member.kind {
                Type::Resource => sites(value, &here, found),
                Type::Primitive(Primitive::Code) if element.codes().is_some() => found.push((Fault::BadCode, here)),
                Type::Primitive(Primitive::Date | Primitive::DateTime | Primitive::Instant) => {
                    found.push((Fault::BadDate, here));
                }
                Type::Primitive(primitive) if bad_text(primitive).is_some() => found.push((Fault::BadText, here)),
                kind => {
                    if let Some(inside) = kind.structure() {
                        members(value, inside, &here, found);
                    }
                }
            }
        }
    }
}

/// A value that has the right JSON type and is none of the primitive's.
fn bad_text(primitive: Primitive) -> Option<Json> {
    Some(match primitive {
        Primitive::Base64Binary => "AAA".into(),
        Primitive::Uri | Primitive::Url | Primitive::Canonical => "http://x.example/a b".into(),
        Primitive::Code => " a".into(),
        Primitive::Id => "a_b".into(),
        Primitive::Oid => "urn:oid:1.02".into(),
        Primitive::Uuid => "urn:uuid:1".into(),
        Primitive::String | Primitive::Markdown => "".into(),
        Primitive::Time => "24:30:00".into(),
        Primitive::Integer => Json::Number("1.5".into()),
        Primitive::PositiveInt => Json::Number("0".into()),
        Primitive::UnsignedInt => Json::Number("-1".into()),
        Primitive::Boolean | Primitive::Date | Primitive::DateTime | Primitive::Decimal | Primitive::Instant => {
            return None;
        }
    })
}

fn spoil(root: &mut Json, fault: Fault, place: &Place) {
    let Some((Step::Member(name), parent)) = place.steps.split_last() else {
        let value = Place::find(&place.steps, root);
        *value = match fault {
            Fault::BadCode => "no-such-code".into(),
            Fault::BadDate => "2023-02-29".into(),
            Fault::BadText => bad_item(value),
            _ => Json::Null,
        };
        return;
    };
    let members = Place::find(parent, root).as_object_mut().unwrap();
    match fault {
        Fault::Dropped => drop(members.remove(name)),
        Fault::Extra => members.set(name, "x"),
        Fault::DoubleKey => {
            let again = members.get(name).unwrap().clone();
            members.0.push((name.as_str().into(), again));
        }
        Fault::SecondChoice => members.set(&place.other, "x"),
        _ => {
            let value = members.get_mut(name).unwrap();
            *value = match (fault, std::mem::take(value)) {
                (Fault::WrongType, Json::Object(_) | Json::Array(_)) => "x".into(),
                (Fault::WrongType, _) => Json::object(),
                (Fault::BadCode, _) => "no-such-code".into(),
                (Fault::BadDate, _) => "2023-02-29".into(),
                (Fault::BadText, was) => bad_item(&was),
                (Fault::EmptyArray, _) => Json::Array(Vec::new()),
                (Fault::NoArray, was) => was.items()[0].clone(),
                (Fault::Array, was) => Json::Array(vec![was]),
                (_, _) => Json::Null,
            };
        }
    }
}

/// One that no text primitive with a rule of its own takes, and no number type.
fn bad_item(was: &Json) -> Json {
    match was {
        Json::Number(_) => Json::Number("-1.5".into()),
        _ => "".into(),
    }
}

/// What is said of a resource with one fault, when it is not said of the element that was spoilt.
fn wrong(json: &Json, fault: Fault, place: &Place) -> Option<String> {
    let mut spoilt = json.clone();
    spoil(&mut spoilt, fault, place);
    let (issues, expected) = match fault {
        Fault::DoubleKey => match parse(spoilt.to_string().as_bytes()) {
            Err(error) => (error.issues, &place.json_path),
            Ok(_) => (Vec::new(), &place.json_path),
        },
        _ => (resource(&spoilt), &place.path),
    };
    // Of an object that lost its only member, the object is to blame.
    let (parent, _) = place.path.rsplit_once('.').unwrap_or_default();
    let fits = |i: &Issue| {
        let at = i.expression.as_str();
        i.severity == Severity::Error && (at == expected || (fault == Fault::Dropped && at == parent))
    };
    (!issues.iter().any(fits)).then(|| format!("{fault:?} at {expected}: {issues:?}"))
}

static VALID: LazyLock<Vec<Json>> = LazyLock::new(|| {
    let mut all = lines("r4-examples").unwrap_or_default();
    all.extend(lines("discharges").unwrap_or_default().into_iter().take(5));
    all.retain(|json| resource(json).iter().all(|i| i.severity != Severity::Error));
    all
});

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]
    /// R4 validation.html: Any one fault in a valid resource is refused at its element, tried at random.
    #[test]
    fn one_fault_in_a_valid_resource_is_refused_where_it_is(which: prop::sample::Index, site: prop::sample::Index) {
        if VALID.is_empty() {
            return Ok(());
        }
        let json = which.get(&VALID);
        let mut found = Vec::new();
        sites(json, &Place::root(json), &mut found);
        let (fault, place) = site.get(&found);
        prop_assert_eq!(wrong(json, *fault, place), None);
    }
}

/// R4 validation.html: Twelve kinds of fault in each official example are refused at their element: dropped, wrong
/// type, extra, bad code, bad date, bad text, null, arrays, second choice, double member.
#[test]
fn each_kind_of_fault_in_each_official_example_is_refused_where_it_is() {
    let mut tried = BTreeMap::new();
    for (n, json) in VALID.iter().enumerate() {
        let mut found = Vec::new();
        sites(json, &Place::root(json), &mut found);
        let mut by_fault: BTreeMap<Fault, Vec<Place>> = BTreeMap::new();
        for (fault, place) in found {
            by_fault.entry(fault).or_default().push(place);
        }
        for (fault, places) in by_fault {
            // The first, and one further in, another one for each example.
            for place in [&places[0], &places[(n * 7 + 1) % places.len()]] {
                assert_eq!(wrong(json, fault, place), None, "{}", json["id"]);
                *tried.entry(fault).or_insert(0) += 1;
            }
        }
    }
    println!("{tried:?}");
    assert!(VALID.is_empty() || tried.len() == 12, "a kind of fault that no example has a place for: {tried:?}");
}
