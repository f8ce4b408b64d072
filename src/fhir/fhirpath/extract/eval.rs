//! Evaluation: walks the JSON, calling back with each value.

use super::types::same_type;
use super::{Expr, Literal, Step, is_datatype, reference_type};
use crate::fhir::{Json, ResourceType};

/// One value of an expression.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Item<'a> {
    /// An element. `kind` is the type by which a choice was found (`Quantity` of `valueQuantity`), else empty.
    Node {
        /// The element.
        json: &'a Json,
        /// Its type where a choice tells it.
        kind: &'a str,
    },
    /// A computed truth value.
    Bool(bool),
    /// A text literal.
    Text(&'a str),
    /// A number literal.
    Number(&'a str),
    /// What `resolve()` knows of a reference: the type of its target.
    Resolved(ResourceType),
}

impl<'a> Item<'a> {
    /// An element of unknown type.
    #[must_use]
    pub fn node(json: &'a Json) -> Self {
        Self::Node { json, kind: "" }
    }

    fn as_bool(self) -> Option<bool> {
        match self {
            Self::Bool(b) => Some(b),
            Self::Node { json, .. } => json.as_bool(),
            _ => None,
        }
    }

    fn equals(self, other: Self) -> bool {
        let text = |item: Self| match item {
            Item::Text(t) => Some(t),
            Item::Node { json, .. } => json.as_str(),
            _ => None,
        };
        let number = |item: Self| match item {
            Item::Number(n) => n.parse::<f64>().ok(),
            Item::Node { json, .. } => json.as_number().and_then(|n| n.parse().ok()),
            _ => None,
        };
        if let (Some(a), Some(b)) = (self.as_bool(), other.as_bool()) {
            return a == b;
        }
        if let (Some(a), Some(b)) = (text(self), text(other)) {
            return a == b;
        }
        if let (Some(a), Some(b)) = (number(self), number(other)) {
            return a == b;
        }
        matches!((self, other), (Item::Node { json: a, .. }, Item::Node { json: b, .. }) if a == b)
    }
}

type Found<'f, 'a> = &'f mut dyn FnMut(Item<'a>);

pub(super) fn each<'a>(expr: &'a Expr, resource: &'a Json, this: Item<'a>, found: Found<'_, 'a>) {
    match expr {
        Expr::This => found(this),
        Expr::Resource => found(Item::node(resource)),
        Expr::Type(name) => {
            if let Item::Node { json, .. } = this
                && is_resource(json, name)
            {
                found(this);
            }
        }
        Expr::Literal(Literal::Bool(b)) => found(Item::Bool(*b)),
        Expr::Literal(Literal::Text(t)) => found(Item::Text(t)),
        Expr::Literal(Literal::Number(n)) => found(Item::Number(n)),
        Expr::Path(base, steps) => path(base, steps, resource, this, found),
        Expr::Union(parts) => parts.iter().for_each(|part| each(part, resource, this, found)),
        Expr::Equal(a, b, wanted) => {
            let (a, b) = (first(a, resource, this), first(b, resource, this));
            if let (Some(a), Some(b)) = (a, b) {
                found(Item::Bool(a.equals(b) == *wanted));
            }
        }
        Expr::And(a, b) => match (truth(a, resource, this), truth(b, resource, this)) {
            (Some(false), _) | (_, Some(false)) => found(Item::Bool(false)),
            (Some(true), Some(true)) => found(Item::Bool(true)),
            _ => {}
        },
        Expr::Or(a, b) => match (truth(a, resource, this), truth(b, resource, this)) {
            (Some(true), _) | (_, Some(true)) => found(Item::Bool(true)),
            (Some(false), Some(false)) => found(Item::Bool(false)),
            _ => {}
        },
        Expr::Is(inner, name) => {
            each(inner, resource, this, &mut |item| found(Item::Bool(is(item, name))));
        }
    }
}

/// The truth of an expression; `None` when it is empty or no truth value.
fn truth<'a>(expr: &'a Expr, resource: &'a Json, this: Item<'a>) -> Option<bool> {
    first(expr, resource, this).and_then(Item::as_bool)
}

fn first<'a>(expr: &'a Expr, resource: &'a Json, this: Item<'a>) -> Option<Item<'a>> {
    let mut got = None;
    each(expr, resource, this, &mut |item| got = got.or(Some(item)));
    got
}

/// Walks the steps. The last step that looks at all values at once (`[n]`, `exists()`) splits the path in two.
fn path<'a>(base: &'a Expr, steps: &'a [Step], resource: &'a Json, this: Item<'a>, found: Found<'_, 'a>) {
    let whole = steps.iter().rposition(|s| matches!(s, Step::Index(_) | Step::Exists(_) | Step::Empty));
    let Some((at, (before, rest))) = whole.and_then(|at| Some((at, steps.split_at_checked(at)?))) else {
        each(base, resource, this, &mut |item| walk(steps, resource, item, found));
        return;
    };
    let after = rest.get(1..).unwrap_or_default();
    let mut seen = 0_usize;
    let mut picked = None;
    path(base, before, resource, this, &mut |item| {
        match steps.get(at) {
            Some(Step::Index(n)) if *n == seen => picked = Some(item),
            Some(Step::Exists(Some(test))) if truth(test, resource, item) != Some(true) => return,
            _ => {}
        }
        seen += 1;
    });
    match steps.get(at) {
        Some(Step::Exists(_)) => picked = Some(Item::Bool(seen > 0)),
        Some(Step::Empty) => picked = Some(Item::Bool(seen == 0)),
        _ => {}
    }
    if let Some(item) = picked {
        walk(after, resource, item, found);
    }
}

fn walk<'a>(steps: &'a [Step], resource: &'a Json, item: Item<'a>, found: Found<'_, 'a>) {
    let Some((step, rest)) = steps.split_first() else { return found(item) };
    match step {
        Step::Member(name) => members(item, name, &mut |item| walk(rest, resource, item, found)),
        Step::Own(name) => {
            if let Item::Node { json: Json::Object(object), .. } = item
                && let Some(value) = object.get(name)
            {
                elements(value, "", &mut |item| walk(rest, resource, item, found));
            }
        }
        // As deep as the JSON goes, which has an end.
        Step::Repeat(name) => members(item, name, &mut |inner| {
            walk(rest, resource, inner, found);
            walk(steps, resource, inner, found);
        }),
        Step::Choice(name, json_name, rtype) => {
            let Item::Node { json, .. } = item else { return };
            if let Some(value) = json.get(json_name) {
                elements(value, rtype, &mut |item| walk(rest, resource, item, found));
            } else if let Some(value) = json.get(name) {
                elements(value, "", &mut |item| {
                    if is(item, rtype) {
                        walk(rest, resource, item, found);
                    }
                });
            }
        }
        Step::As(name) => {
            if is(item, name) {
                walk(rest, resource, item, found);
            }
        }
        Step::Where(test) => {
            if truth(test, resource, item) == Some(true) {
                walk(rest, resource, item, found);
            }
        }
        Step::Not => {
            if let Some(b) = item.as_bool() {
                walk(rest, resource, Item::Bool(!b), found);
            }
        }
        Step::Extension(url) => {
            let Item::Node { json, .. } = item else { return };
            for extension in json["extension"].items().iter().filter(|e| e["url"].as_str() == Some(url)) {
                walk(rest, resource, Item::node(extension), found);
            }
        }
        Step::HasExtension(url) => {
            let Item::Node { json, .. } = item else { return };
            let has = json["extension"].items().iter().any(|e| e["url"].as_str() == Some(url));
            walk(rest, resource, Item::Bool(has), found);
        }
        Step::Resolve => {
            if let Some(rtype) = resolve(item, resource) {
                walk(rest, resource, Item::Resolved(rtype), found);
            }
        }
        // `path` takes these out before it walks.
        Step::Index(_) | Step::Exists(_) | Step::Empty => {}
    }
}

/// The elements of a member, or of the choice that begins with its name.
fn members<'a>(item: Item<'a>, name: &'a str, found: Found<'_, 'a>) {
    let Item::Node { json: Json::Object(object), .. } = item else { return };
    if let Some(value) = object.get(name) {
        return elements(value, "", found);
    }
    for (key, value) in object.iter() {
        if let Some(kind) = key.strip_prefix(name)
            && is_datatype(kind)
        {
            elements(value, kind, found);
        }
    }
}

/// Each of an array, without the nulls that pad primitive extensions; anything else is itself.
fn elements<'a>(value: &'a Json, kind: &'a str, found: Found<'_, 'a>) {
    match value {
        Json::Array(items) => {
            items.iter().filter(|json| !json.is_null()).for_each(|json| found(Item::Node { json, kind }));
        }
        Json::Null => {}
        json => found(Item::Node { json, kind }),
    }
}

fn is_resource(json: &Json, name: &str) -> bool {
    match json.get("resourceType").and_then(Json::as_str) {
        Some(rtype) => rtype == name || name == "Resource" || name == "DomainResource",
        None => false,
    }
}

/// Whether a value is of a type: by what a choice or reference tells, else by its resource type or its JSON shape.
fn is(item: Item<'_>, name: &str) -> bool {
    match item {
        Item::Bool(_) => same_type(name, "boolean"),
        Item::Text(_) => same_type(name, "string"),
        Item::Number(_) => same_type(name, "decimal") || same_type(name, "integer"),
        Item::Resolved(rtype) => rtype.as_str() == name || name == "Resource",
        Item::Node { kind, .. } if !kind.is_empty() => same_type(kind, name),
        Item::Node { json, .. } => match json {
            Json::Object(_) if json.get("resourceType").is_some() => is_resource(json, name),
            Json::Object(_) => {
                name.starts_with(|c: char| c.is_ascii_uppercase()) && ResourceType::parse(name).is_none()
            }
            Json::Bool(_) => same_type(name, "boolean"),
            Json::Number(_) => ["decimal", "integer", "positiveInt", "unsignedInt"].iter().any(|n| same_type(n, name)),
            Json::String(_) => name.starts_with(|c: char| c.is_ascii_lowercase()) && !same_type(name, "boolean"),
            Json::Null | Json::Array(_) => false,
        },
    }
}

/// The type of what a Reference or canonical leads to, by its text, its `type`, or the contained resource.
fn resolve(item: Item<'_>, resource: &Json) -> Option<ResourceType> {
    let Item::Node { json, .. } = item else { return None };
    let text = json.as_str().or_else(|| json.get("reference").and_then(Json::as_str));
    if let Some(id) = text.and_then(|t| t.strip_prefix('#')) {
        let held = resource["contained"].items().iter().find(|c| c["id"].as_str() == Some(id))?;
        return ResourceType::parse(held["resourceType"].text());
    }
    text.and_then(reference_type).or_else(|| ResourceType::parse(json["type"].text()))
}
