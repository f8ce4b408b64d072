//! Where in a resource an element stands, and what the definitions say of that place.
//!
//! A FHIRPath expression answers with elements of the tree, and [`locate`](crate::fhir::fhirpath::locate) tells the steps that
//! lead to one. An element of an array of primitives has a second half beside it (`given` and `_given`): [`Spot`] changes both.

use crate::fhir::definition::{self, Element, Structure, Type};
use crate::fhir::fhirpath::Place;
use crate::fhir::json::Json;
use crate::fhir::resource::ResourceType;

pub(super) fn get<'a>(root: &'a Json, steps: &[Place]) -> Option<&'a Json> {
    steps.iter().try_fold(root, |here, step| match step {
        Place::Member(key) => here.get(key),
        Place::Item(n) => here.items().get(*n),
    })
}

/// The object at the end of these steps; steps by name make what is not there.
pub(super) fn reach<'a>(root: &'a mut Json, steps: &[Place]) -> Option<&'a mut Json> {
    let mut here = root;
    for step in steps {
        here = match step {
            Place::Member(key) => {
                if here.get(key).is_none() {
                    here.set(key, Json::object());
                }
                here.get_mut(key)?
            }
            Place::Item(n) => here.items_mut().get_mut(*n)?,
        };
    }
    Some(here)
}

/// The structure of the object at the end of these steps; `None` where it has none, such as a primitive.
pub(super) fn structure(root: &Json, steps: &[Place]) -> Option<&'static Structure> {
    let mut here = root;
    let mut of = of_resource(root);
    for step in steps {
        match step {
            Place::Item(n) => {
                here = here.items().get(*n).unwrap_or(&Json::Null);
            }
            Place::Member(key) => {
                here = here.get(key).unwrap_or(&Json::Null);
                of = if key.starts_with('_') {
                    definition::structure("Element")
                } else {
                    match of?.member(key)?.kind {
                        Type::Resource => None, // its type is known when it is reached
                        kind => kind.structure(),
                    }
                };
            }
        }
        // A resource inside: told by its own type.
        if here.get("resourceType").is_some() {
            of = of_resource(here);
        }
    }
    of
}

fn of_resource(json: &Json) -> Option<&'static Structure> {
    definition::of_resource(ResourceType::parse(json["resourceType"].as_str()?)?)
}

/// An element as a member of the object around it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Spot {
    /// Steps to the object around it.
    pub(super) owner: Vec<Place>,
    /// Its JSON name there.
    pub(super) key: Box<str>,
    /// Its place, where the name holds an array.
    pub(super) index: Option<usize>,
}

impl Spot {
    /// Of the steps to an element; `None` for the resource itself. Of a primitive that has a second half only they lead there.
    pub(super) fn of(steps: &[Place]) -> Option<Self> {
        let (owner, key, index) = match steps {
            [owner @ .., Place::Member(key), Place::Item(n)] => (owner, key, Some(*n)),
            [owner @ .., Place::Member(key)] => (owner, key, None),
            _ => return None,
        };
        Some(Self { owner: owner.to_vec(), key: key.strip_prefix('_').unwrap_or(key).into(), index })
    }

    /// The element that the definitions have at this place.
    pub(super) fn element(&self, root: &Json) -> Option<&'static Element> {
        Some(structure(root, &self.owner)?.member(&self.key)?.element)
    }

    /// Steps to the second half of a primitive: where its id and extensions stand.
    pub(super) fn half(&self) -> Vec<Place> {
        let mut steps = self.owner.clone();
        steps.push(Place::Member(half(&self.key)));
        steps.extend(self.index.map(Place::Item));
        steps
    }
}

pub(super) fn half(key: &str) -> Box<str> {
    format!("_{key}").into_boxed_str()
}

/// An element with its second half.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Both {
    pub(super) json: Json,
    pub(super) half: Option<Json>,
}

/// How many elements a member holds, counting those that have a second half only.
pub(super) fn count(object: &Json, key: &str) -> usize {
    object[key].items().len().max(object[&*half(key)].items().len())
}

/// Sets a member that does not repeat. `at`: its place among the members where it is new.
pub(super) fn set(object: &mut Json, key: &str, at: Option<usize>, both: Both) {
    let name = half(key);
    object.remove(&name);
    let Some(members) = object.as_object_mut() else { return };
    let at = at.unwrap_or(members.len());
    if both.json.is_null() {
        members.remove(key);
    } else {
        members.insert_at(at, key, both.json);
    }
    if let Some(half) = both.half {
        let after = members.iter().position(|(k, _)| k == key).map_or(at, |n| n + 1);
        members.insert_at(after, &name, half);
    }
}

/// Puts an element into an array member at `index`, making the array.
pub(super) fn insert(object: &mut Json, key: &str, index: usize, both: Both) {
    let name = half(key);
    let len = count(object, key);
    let is_primitive = !matches!(both.json, Json::Object(_));
    put(object, key, len, index, both.json);
    if is_primitive && (both.half.is_some() || object.get(&name).is_some()) {
        put(object, &name, len, index, both.half.unwrap_or_default());
    }
}

fn put(object: &mut Json, key: &str, len: usize, index: usize, value: Json) {
    if object.get(key).is_none() {
        object.set(key, Vec::new());
    }
    if let Some(Json::Array(items)) = object.get_mut(key) {
        items.resize(len.max(items.len()), Json::Null);
        items.insert(index.min(items.len()), value);
    }
}

/// Takes an element of an array member out.
pub(super) fn take(object: &mut Json, key: &str, index: usize) -> Both {
    let name = half(key);
    let mut out = |key: &str| match object.get_mut(key) {
        Some(Json::Array(items)) if index < items.len() => Some(items.remove(index)),
        _ => None,
    };
    let both = Both { json: out(key).unwrap_or_default(), half: out(&name).filter(|h| !h.is_null()) };
    for key in [key, &*name] {
        if object[key].items().iter().all(Json::is_null) {
            let left = object[key].items().len();
            let other = if key == &*name { 0 } else { object[&*name].items().len() };
            // Nulls alone say nothing, but those that keep places for second halves stay.
            if left == 0 || other == 0 {
                object.remove(key);
            }
        }
    }
    both
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn names() -> Json {
        json!({"given": ["A", "B"], "_given": [null, {"id": "b"}]}).into()
    }

    /// R4 json.html#primitive: Values and extensions of a list of primitives move together.
    #[test]
    fn both_halves_of_a_list_move_together() {
        let mut name = names();
        let b = take(&mut name, "given", 1);
        assert_eq!(name.to_string(), r#"{"given":["A"]}"#);
        insert(&mut name, "given", 0, b);
        assert_eq!(name.to_string(), r#"{"given":["B","A"],"_given":[{"id":"b"},null]}"#);
        let mut name = names();
        take(&mut name, "given", 0);
        assert_eq!(name.to_string(), r#"{"given":["B"],"_given":[{"id":"b"}]}"#);
        insert(&mut name, "given", 1, Both { json: "C".into(), half: None });
        assert_eq!(name.to_string(), r#"{"given":["B","C"],"_given":[{"id":"b"},null]}"#);
    }

    #[test]
    fn a_place_knows_its_structure_and_its_second_half() {
        let tree: Json = json!({"resourceType": "Patient", "name": [{"family": "x"}, {"_family": {"id": "f"}}]}).into();
        let name = [Place::Member("name".into()), Place::Item(1)];
        assert_eq!(structure(&tree, &name).map(|s| s.name), Some("HumanName"));
        let half = [&name[..], &[Place::Member("_family".into())]].concat();
        let spot = Spot::of(&half).unwrap();
        assert_eq!((&*spot.key, spot.half()), ("family", half));
        assert_eq!(spot.element(&tree).map(|e| e.name), Some("family"));
    }
}
