//! One value of an element, and how the values of an element are found in an object.

use crate::fhir::definition::{self, Structure, Type};
use crate::fhir::json::{Json, Object};
use crate::fhir::path::Path;
use crate::fhir::resource::ResourceType;

static NULL: Json = Json::Null;

/// A value where it stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Item<'a> {
    /// Its FHIRPath name: of a choice `value`, whatever its type.
    pub(super) key: &'a str,
    /// Its JSON name: `valueString`.
    pub(super) json_key: &'a str,
    /// Its place in an array.
    pub(super) index: Option<usize>,
    /// `null` of a primitive that has extensions alone.
    pub(super) value: &'a Json,
    /// The `_x` half of a primitive.
    pub(super) extra: &'a Json,
    pub(super) kind: Option<Type>,
    /// Of a reference that could not be followed: the type it names.
    pub(super) named: Option<ResourceType>,
}

impl<'a> Item<'a> {
    /// A resource by itself.
    pub(super) fn resource(value: &'a Json) -> Self {
        Self { key: "", json_key: "", index: None, value, extra: &NULL, kind: Some(Type::Resource), named: None }
    }

    /// What a reference names that could not be followed.
    pub(super) fn named(rtype: ResourceType) -> Self {
        Self { named: Some(rtype), ..Self::resource(&NULL) }
    }

    /// The elements inside.
    pub(super) fn structure(&self) -> Option<&'static Structure> {
        match self.kind? {
            Type::Resource => ResourceType::parse(self.value["resourceType"].text()).and_then(definition::of_resource),
            kind => kind.structure(),
        }
    }

    /// The name of its type; "" when it is not known.
    pub(super) fn type_name(&self) -> &str {
        match (self.named, self.kind) {
            (Some(named), _) => named.as_str(),
            (None, Some(Type::Resource)) => self.value["resourceType"].text(),
            (None, Some(kind)) => kind.name(),
            (None, None) => "",
        }
    }

    /// The values of a member: `name`, of a choice `name[x]` of any type, or the JSON name of one type.
    pub(super) fn members(&self, name: &str) -> Vec<Item<'a>> {
        match (self.value, self.extra) {
            (Json::Object(object), _) => members(object, self.structure(), name),
            // A primitive: its value, and what its other half has.
            (value, extra) => match (name, extra) {
                ("value", _) if !value.is_null() => {
                    vec![Item {
                        key: "value",
                        json_key: "value",
                        index: None,
                        value,
                        extra: &NULL,
                        kind: self.kind,
                        named: None,
                    }]
                }
                (_, Json::Object(object)) => members(object, definition::structure("Element"), name),
                _ => Vec::new(),
            },
        }
    }

    /// Shows the path of the item in what it stands in.
    pub(super) fn at<R>(&self, parent: &Path<'_>, show: impl FnOnce(&Path<'_>) -> R) -> R {
        let member = parent.member(self.key);
        match self.index {
            Some(n) => show(&member.item(n)),
            None => show(&member),
        }
    }
}

fn members<'a>(object: &'a Object, structure: Option<&'static Structure>, name: &str) -> Vec<Item<'a>> {
    let mut items = Vec::new();
    for (key, value) in object.iter() {
        if key == "resourceType" {
            continue;
        }
        let plain = key.strip_prefix('_').unwrap_or(key);
        if !plain.starts_with(name) {
            continue;
        }
        let found = structure.and_then(|s| s.member(plain));
        if plain != name && !found.is_some_and(|f| f.element.choice && f.element.name == name) {
            continue;
        }
        let kind = found.map(|f| f.kind);
        let (value, extra) = if plain.len() == key.len() {
            let is_half = |(other, _): &(&str, &Json)| other.strip_prefix('_') == Some(key);
            let extra = match kind {
                Some(Type::Primitive(_)) | None => object.iter().find(is_half).map_or(&NULL, |(_, extra)| extra),
                _ => &NULL,
            };
            (value, extra)
        } else if object.get(plain).is_some() {
            continue;
        } else {
            (&NULL, value)
        };
        let key = found.filter(|f| f.element.choice).map_or(plain, |f| f.element.name);
        let item = |index, value, extra| Item { key, json_key: plain, index, value, extra, kind, named: None };
        match (value, extra) {
            (Json::Array(values), _) => {
                items.extend(values.iter().enumerate().map(|(n, value)| item(Some(n), value, &extra[n])));
            }
            (_, Json::Array(extras)) => {
                items.extend(extras.iter().enumerate().map(|(n, extra)| item(Some(n), &NULL, extra)));
            }
            _ => items.push(item(None, value, extra)),
        }
    }
    items
}
