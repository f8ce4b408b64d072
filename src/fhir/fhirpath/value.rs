//! What expressions are about: elements of a resource, and values that were computed.
//!
//! An element knows its type by the structure tables, walked from the root. Its `_x` half (id and extensions of a primitive)
//! comes with it.

use super::moment::Moment;
use super::number::Decimal;
use super::quantity::Quantity;
use crate::fhir::definition::{self, Structure, Type};
use crate::fhir::primitive::Primitive;
use crate::fhir::resource::ResourceType;
use crate::fhir::{Json, json};
use std::borrow::Cow;

/// One value.
#[derive(Debug, Clone)]
pub enum Value<'a> {
    /// An element.
    Node(Node<'a>),
    /// `true`, `false`.
    Boolean(bool),
    /// A whole number of 32 bits.
    Integer(i64),
    /// A decimal.
    Decimal(Decimal),
    /// A text.
    String(Cow<'a, str>),
    /// A date, dateTime or time.
    Moment(Moment),
    /// A quantity.
    Quantity(Box<Quantity>),
    /// What `type()` tells: namespace and name.
    Type(&'static str, Cow<'a, str>),
    /// What `resolve()` knows of a reference whose target is not at hand: the target's type.
    Absent(ResourceType),
}

/// An element of a resource.
#[derive(Debug, Clone, Copy)]
pub struct Node<'a> {
    /// The value; `null` when only its half is there.
    pub json: &'a Json,
    /// The `_x` half of a primitive.
    pub half: Option<&'a Json>,
    /// Its type.
    pub kind: Kind,
}

/// The type of an element.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// A resource, a data type, or the inside of an element.
    Structure(&'static Structure),
    /// A primitive.
    Primitive(Primitive),
    /// `Narrative.div`.
    Xhtml,
    /// Not told by the tables.
    Unknown,
}

static NULL: Json = Json::Null;

impl Kind {
    /// The kind of an element by its definition; of a resource by what it says.
    #[must_use]
    pub fn of(kind: Type, json: &Json) -> Self {
        match kind {
            Type::Primitive(primitive) => Self::Primitive(primitive),
            Type::Xhtml => Self::Xhtml,
            Type::Resource => Self::of_resource(json),
            other => other.structure().map_or(Self::Unknown, Self::Structure),
        }
    }

    fn of_resource(json: &Json) -> Self {
        json.get("resourceType")
            .and_then(Json::as_str)
            .and_then(ResourceType::parse)
            .and_then(definition::of_resource)
            .map_or(Self::Unknown, Self::Structure)
    }
}

impl<'a> Node<'a> {
    /// A resource.
    #[must_use]
    pub fn resource(json: &'a Json) -> Self {
        Self { json, half: None, kind: Kind::of_resource(json) }
    }

    /// An element of a type.
    #[must_use]
    pub fn element(json: &'a Json, kind: Type) -> Self {
        Self { json, half: None, kind: Kind::of(kind, json) }
    }

    /// The value that FHIRPath computes with, of a primitive; `None` for everything else and for a primitive without value.
    pub(super) fn system(&self) -> Option<Value<'a>> {
        let text = |make: fn(&str) -> Option<Moment>| self.json.as_str().and_then(make).map(Value::Moment);
        match (self.kind, self.json) {
            (Kind::Primitive(Primitive::Date), Json::String(_)) => text(Moment::date),
            (Kind::Primitive(Primitive::DateTime | Primitive::Instant), Json::String(_)) => text(Moment::datetime),
            (Kind::Primitive(Primitive::Time), Json::String(_)) => text(Moment::time),
            (_, Json::String(text)) => Some(Value::String(Cow::Borrowed(text))),
            (_, Json::Bool(b)) => Some(Value::Boolean(*b)),
            (
                Kind::Primitive(Primitive::Integer | Primitive::PositiveInt | Primitive::UnsignedInt),
                Json::Number(n),
            ) => n.parse().ok().map(Value::Integer),
            (Kind::Unknown, Json::Number(n)) if !n.contains(['.', 'e', 'E']) => n.parse().ok().map(Value::Integer),
            (_, Json::Number(n)) => Decimal::parse(n).map(Value::Decimal),
            _ => None,
        }
    }

    /// The resource type, of a resource.
    pub(super) fn resource_type(&self) -> Option<&'a str> {
        self.json.get("resourceType").and_then(Json::as_str)
    }

    /// The elements of a member, in order.
    #[must_use]
    pub fn values(&self, name: &str) -> Vec<Node<'a>> {
        let mut found = Vec::new();
        self.member(name, &mut |node| found.push(node));
        found
    }

    /// Shows the elements of a member, in order.
    pub(super) fn member(&self, name: &str, found: &mut dyn FnMut(Node<'a>)) {
        let members = self.json.as_object();
        match self.kind {
            Kind::Structure(structure) => {
                let Some(members) = members else { return };
                if let Some(member) = structure.member(name) {
                    if !member.element.choice {
                        elements(members.get(name), half_of(members, name, member.kind), member.kind, found);
                    }
                    return;
                }
                if !structure.elements.iter().any(|e| e.choice && e.name == name) {
                    return;
                }
                for (key, value) in members.iter() {
                    let (plain, is_half) = match key.strip_prefix('_') {
                        Some(plain) => (plain, true),
                        None => (key, false),
                    };
                    if !plain.starts_with(name) || (is_half && members.get(plain).is_some()) {
                        continue;
                    }
                    let Some(member) = structure.member(plain).filter(|m| m.element.choice && m.element.name == name)
                    else {
                        continue;
                    };
                    let (value, half) =
                        if is_half { (None, Some(value)) } else { (Some(value), half_of(members, plain, member.kind)) };
                    elements(value, half, member.kind, found);
                }
            }
            Kind::Primitive(_) | Kind::Xhtml => {
                let element = definition::structure("Element").and_then(|e| e.member(name));
                if let (Some(half), Some(member)) = (self.half, element) {
                    elements(half.get(name), None, member.kind, found);
                }
            }
            Kind::Unknown => {
                let Some(members) = members else { return };
                if let Some(value) = members.get(name) {
                    return untyped(value, found);
                }
                for (key, value) in members.iter() {
                    if let Some(kind) = key.strip_prefix(name)
                        && super::is_datatype(kind)
                    {
                        untyped(value, found);
                    }
                }
            }
        }
    }

    /// Every element inside, in order.
    pub(super) fn children(&self, found: &mut dyn FnMut(Node<'a>)) {
        match self.kind {
            Kind::Structure(structure) => {
                let Some(members) = self.json.as_object() else { return };
                for (key, value) in members.iter() {
                    if let Some(member) = structure.member(key) {
                        elements(Some(value), half_of(members, key, member.kind), member.kind, found);
                    } else if let Some(plain) = key.strip_prefix('_')
                        && members.get(plain).is_none()
                        && let Some(member) = structure.member(plain)
                    {
                        elements(None, Some(value), member.kind, found);
                    }
                }
            }
            Kind::Primitive(_) | Kind::Xhtml => {
                for name in ["id", "extension"] {
                    self.member(name, found);
                }
            }
            Kind::Unknown => {
                for (key, value) in self.json.as_object().into_iter().flat_map(json::Object::iter) {
                    if key != "resourceType" {
                        untyped(value, found);
                    }
                }
            }
        }
    }
}

fn half_of<'a>(members: &'a json::Object, name: &str, kind: Type) -> Option<&'a Json> {
    if !matches!(kind, Type::Primitive(_)) {
        return None;
    }
    members.iter().find(|(key, _)| key.strip_prefix('_') == Some(name)).map(|(_, half)| half)
}

fn elements<'a>(value: Option<&'a Json>, half: Option<&'a Json>, kind: Type, found: &mut dyn FnMut(Node<'a>)) {
    let mut show = |json: &'a Json, half: Option<&'a Json>| {
        let half = half.filter(|h| !h.is_null());
        if !json.is_null() || half.is_some() {
            found(Node { json, half, kind: Kind::of(kind, json) });
        }
    };
    match (value, half) {
        (Some(Json::Array(items)), half) => {
            let halves = half.map_or(&[][..], Json::items);
            for (n, item) in items.iter().enumerate() {
                show(item, halves.get(n));
            }
        }
        (None, Some(Json::Array(halves))) => halves.iter().for_each(|half| show(&NULL, Some(half))),
        (value, half) => show(value.unwrap_or(&NULL), half),
    }
}

fn untyped<'a>(value: &'a Json, found: &mut dyn FnMut(Node<'a>)) {
    let mut show = |json: &'a Json| {
        if !json.is_null() {
            found(Node::resource(json));
        }
    };
    match value {
        Json::Array(items) => items.iter().for_each(show),
        one => show(one),
    }
}

impl<'a> From<Node<'a>> for Value<'a> {
    fn from(node: Node<'a>) -> Self {
        Self::Node(node)
    }
}

impl<'a> Value<'a> {
    /// The value to compute with: of a primitive element its value, of a Quantity element the quantity, else the same.
    pub(super) fn system(&self) -> Value<'a> {
        match self {
            Self::Node(node) => node.system().or_else(|| quantity(*node)).unwrap_or_else(|| self.clone()),
            other => other.clone(),
        }
    }

    /// The element.
    #[must_use]
    pub fn node(&self) -> Option<Node<'a>> {
        match self {
            Self::Node(node) => Some(*node),
            _ => None,
        }
    }

    /// As a truth value, of a boolean.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Boolean(b) => Some(*b),
            Self::Node(node) => node.json.as_bool(),
            _ => None,
        }
    }

    /// As JSON: an element as it stands, a computed value as the primitive that holds it.
    #[must_use]
    pub fn to_json(&self) -> Json {
        match self {
            Self::Node(node) => node.json.clone(),
            Self::Boolean(b) => (*b).into(),
            Self::Integer(n) => (*n).into(),
            Self::Decimal(d) => Json::Number(d.to_string().into()),
            Self::String(text) => text.as_ref().into(),
            Self::Moment(moment) => moment.to_string().into(),
            Self::Quantity(quantity) => quantity.to_string().into(),
            Self::Type(_, name) => name.as_ref().into(),
            Self::Absent(rtype) => rtype.as_str().into(),
        }
    }
}

fn quantity<'a>(node: Node<'a>) -> Option<Value<'a>> {
    match node.kind {
        Kind::Structure(structure) if structure.name == "Quantity" || structure.base == "Quantity" => {
            Quantity::of(node.json).map(|q| Value::Quantity(Box::new(q)))
        }
        _ => None,
    }
}

/// Any number of values; none and one without a heap.
#[derive(Debug, Clone, Default)]
pub enum Items<'a> {
    /// `{}`
    #[default]
    None,
    /// One value.
    One(Value<'a>),
    /// Several, in order.
    Many(Vec<Value<'a>>),
}

impl<'a> Items<'a> {
    /// The values in order.
    #[must_use]
    pub fn as_slice(&self) -> &[Value<'a>] {
        match self {
            Self::None => &[],
            Self::One(value) => std::slice::from_ref(value),
            Self::Many(values) => values,
        }
    }

    /// The values in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Value<'a>> {
        self.as_slice().iter()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.as_slice().is_empty()
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.as_slice().len()
    }

    pub(super) fn push(&mut self, value: Value<'a>) {
        *self = match std::mem::take(self) {
            Self::None => Self::One(value),
            Self::One(first) => Self::Many(vec![first, value]),
            Self::Many(mut values) => {
                values.push(value);
                Self::Many(values)
            }
        };
    }

    pub(super) fn extend(&mut self, other: Self) {
        match (&*self, other) {
            (_, Self::None) => {}
            (Self::None, other) => *self = other,
            (_, Self::One(value)) => self.push(value),
            (_, Self::Many(values)) => values.into_iter().for_each(|value| self.push(value)),
        }
    }
}

impl<'a> IntoIterator for Items<'a> {
    type Item = Value<'a>;
    type IntoIter = std::vec::IntoIter<Value<'a>>;

    fn into_iter(self) -> Self::IntoIter {
        match self {
            Self::None => Vec::new().into_iter(),
            Self::One(value) => vec![value].into_iter(),
            Self::Many(values) => values.into_iter(),
        }
    }
}

impl<'i, 'a> IntoIterator for &'i Items<'a> {
    type Item = &'i Value<'a>;
    type IntoIter = std::slice::Iter<'i, Value<'a>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'a> FromIterator<Value<'a>> for Items<'a> {
    fn from_iter<T: IntoIterator<Item = Value<'a>>>(iter: T) -> Self {
        let mut out = Self::None;
        iter.into_iter().for_each(|value| out.push(value));
        out
    }
}

impl<'a> From<Value<'a>> for Items<'a> {
    fn from(value: Value<'a>) -> Self {
        Self::One(value)
    }
}

impl<'a> From<Node<'a>> for Items<'a> {
    fn from(node: Node<'a>) -> Self {
        Self::One(Value::Node(node))
    }
}

impl From<bool> for Items<'_> {
    fn from(b: bool) -> Self {
        Self::One(Value::Boolean(b))
    }
}

impl From<Option<bool>> for Items<'_> {
    fn from(b: Option<bool>) -> Self {
        b.map_or(Self::None, Self::from)
    }
}
