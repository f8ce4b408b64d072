//! Where in a resource a found element stands.
//!
//! For: FHIRPath Patch and issues, which need the place of what an expression found. Evaluation itself keeps no places: the
//! element is found again by its address in memory.

use super::Node;
use crate::fhir::Json;

/// One step from the root to an element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A member of an object.
    Member(Box<str>),
    /// An item of an array.
    Item(usize),
}

/// The way from `root` to a found element; `None` when it is no part of this very tree.
#[must_use]
pub fn locate(root: &Json, node: &Node<'_>) -> Option<Vec<Place>> {
    let wanted = if node.json.is_null() { node.half? } else { node.json };
    let mut way = Vec::new();
    descend(root, wanted, &mut way).then_some(way)
}

fn descend(here: &Json, wanted: &Json, way: &mut Vec<Place>) -> bool {
    if std::ptr::eq(here, wanted) {
        return true;
    }
    match here {
        Json::Array(items) => items.iter().enumerate().any(|(n, item)| {
            way.push(Place::Item(n));
            descend(item, wanted, way) || way.pop().is_none()
        }),
        Json::Object(members) => members.iter().any(|(key, value)| {
            way.push(Place::Member(key.into()));
            descend(value, wanted, way) || way.pop().is_none()
        }),
        _ => false,
    }
}
