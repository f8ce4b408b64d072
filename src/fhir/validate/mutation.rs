//! Property: a valid resource with one fault is refused, and the issue names the element that was spoilt.

use super::corpus::lines;
use super::*;
use crate::fhir::definition::{self, Structure, Type};
use crate::fhir::primitive::Primitive;
use crate::fhir::resource::ResourceType;
use proptest::prelude::*;
use std::sync::LazyLock;

/// How to get to a member from the root, and how FHIRPath names it.
#[derive(Clone, Default)]
struct Place {
    steps: Vec<Step>,
    path: String,
}

#[derive(Clone)]
enum Step {
    Member(String),
    Item(usize),
}

#[derive(Clone, Copy, Debug)]
enum Fault {
    Dropped,
    WrongType,
    Extra,
    BadCode,
    BadDate,
}

impl Place {
    fn member(&self, name: &str) -> Self {
        let mut next = self.clone();
        next.steps.push(Step::Member(name.into()));
        next.path = format!("{}.{name}", self.path);
        next
    }

    fn item(&self, n: usize) -> Self {
        let mut next = self.clone();
        next.steps.push(Step::Item(n));
        next.path = format!("{}[{n}]", self.path);
        next
    }

    fn find<'a>(&self, root: &'a mut Json) -> &'a mut Json {
        self.steps.iter().fold(root, |here, step| match step {
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
    found.push((Fault::Extra, place.member("unheardOf")));
    for (key, value) in json.as_object().unwrap().iter() {
        let Some(member) = structure.member(key) else { continue };
        let here = place.member(key);
        found.push((Fault::WrongType, here.clone()));
        let has_half = json.get(&format!("_{key}")).is_some();
        if member.element.min > 0 && !has_half && !member.element.choice {
            found.push((Fault::Dropped, here.clone()));
        }
        let values: Vec<(&Json, Place)> = match value {
            Json::Array(items) => items.iter().enumerate().map(|(n, item)| (item, here.item(n))).collect(),
            one => vec![(one, here)],
        };
        for (value, here) in values.into_iter().filter(|(value, _)| !value.is_null()) {
            match member.kind {
                Type::Resource => sites(value, &here, found),
                Type::Primitive(Primitive::Code) if member.element.codes().is_some() => {
                    found.push((Fault::BadCode, here));
                }
                Type::Primitive(Primitive::Date | Primitive::DateTime | Primitive::Instant) => {
                    found.push((Fault::BadDate, here));
                }
                kind => {
                    if let Some(inside) = kind.structure() {
                        members(value, inside, &here, found);
                    }
                }
            }
        }
    }
}

fn spoil(root: &mut Json, fault: Fault, place: &Place) {
    match fault {
        Fault::Dropped | Fault::Extra => {
            let (Some(Step::Member(name)), parent) = (place.steps.last(), &place.steps[..place.steps.len() - 1]) else {
                unreachable!()
            };
            let parent = Place { steps: parent.to_vec(), path: String::new() }.find(root);
            match fault {
                Fault::Extra => parent.set(name, "x"),
                _ => {
                    parent.remove(name);
                }
            }
        }
        Fault::WrongType => {
            let value = place.find(root);
            *value = match value {
                Json::Object(_) | Json::Array(_) => "x".into(),
                _ => Json::object(),
            };
        }
        Fault::BadCode => *place.find(root) = "no-such-code".into(),
        Fault::BadDate => *place.find(root) = "2023-02-29".into(),
    }
}

static VALID: LazyLock<Vec<Json>> = LazyLock::new(|| {
    let mut all = lines("r4-examples").unwrap_or_default();
    all.extend(lines("discharges").unwrap_or_default().into_iter().take(5));
    all.retain(|json| resource(json).is_empty());
    all
});

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn one_fault_in_a_valid_resource_is_refused_where_it_is(which: prop::sample::Index, site: prop::sample::Index) {
        if VALID.is_empty() {
            return Ok(());
        }
        let mut json = which.get(&VALID).clone();
        let mut found = Vec::new();
        sites(&json, &Place { path: json["resourceType"].text().into(), ..Place::default() }, &mut found);
        let (fault, place) = site.get(&found);
        spoil(&mut json, *fault, place);
        let issues = resource(&json);
        // Of an object that lost its only member, the object is to blame.
        let (parent, _) = place.path.rsplit_once('.').unwrap_or_default();
        let fits = |at: &str| at == place.path || (matches!(fault, Fault::Dropped) && at == parent);
        prop_assert!(issues.iter().any(|i| fits(&i.expression)), "{fault:?} at {}: {issues:?}", place.path);
    }
}
