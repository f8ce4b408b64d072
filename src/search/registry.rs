//! The registry: every search parameter of every type, R4's and our own.
//!
//! For: looking a parameter up, listing them for the CapabilityStatement, and holding their compiled expressions.
//! Not for: what a query means (`query/`), what a value gives (`param/`).
//! Source: <https://hl7.org/fhir/R4/searchparameter-registry.html>; `registry/r4.tsv` is made of the official definitions by
//! `examples/search_parameters.rs`.
//!
//! Values are stored in *slots*, not under parameters: the same expression is stored once although several parameters have
//! it (`phonetic` is `name`), a union is its parts (`combo-code` is `code` and `component-code`), and
//! `subject.where(resolve() is Patient)` is `subject` seen through its type. A query looks into each slot of its parameter.

mod added;
mod building;
mod fingerprint;
mod own;
mod slots;
mod table;

use super::param::composite::Component;
use super::param::token::Coded;
use crate::error::{Error, Issue, Kind, Result};
use crate::fhir::fhirpath::Expr;
use crate::fhir::resource::RESOURCE_TYPES;
use crate::fhir::{Json, ResourceType};
use std::sync::{Arc, LazyLock};

pub use building::{Building, Rows4};
pub use own::files;
pub use table::{OWN, sources};

/// `SearchParameter.type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ParamType {
    /// A number without unit.
    Number,
    /// A date, time, period.
    Date,
    /// A text that is found by its beginning.
    String,
    /// A code, identifier, boolean.
    Token,
    /// A reference to a resource.
    Reference,
    /// Two values of one element.
    Composite,
    /// A number with a unit.
    Quantity,
    /// A URI.
    Uri,
    /// Has rules of its own.
    Special,
}

impl ParamType {
    const ALL: [(Self, &'static str); 9] = [
        (Self::Number, "number"),
        (Self::Date, "date"),
        (Self::String, "string"),
        (Self::Token, "token"),
        (Self::Reference, "reference"),
        (Self::Composite, "composite"),
        (Self::Quantity, "quantity"),
        (Self::Uri, "uri"),
        (Self::Special, "special"),
    ];

    /// Reads a code of <http://hl7.org/fhir/search-param-type>.
    #[must_use]
    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, c)| *c == code).map(|(t, _)| *t)
    }

    /// The code.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(t, _)| *t == self).map_or("special", |(_, c)| c)
    }

    /// The modifiers that Baton carries out, besides `:missing` and the type names of references.
    #[must_use]
    pub fn modifiers(self) -> &'static [&'static str] {
        match self {
            Self::String => &["exact", "contains"],
            Self::Token => &["not", "text", "in", "not-in", "above", "below", "of-type"],
            Self::Reference => &["identifier"],
            Self::Uri => &["below", "above"],
            _ => &[],
        }
    }
}

/// One search parameter of one resource type.
#[derive(Debug, Clone)]
pub struct Param {
    /// The name in a query.
    pub code: String,
    /// Its type.
    pub kind: ParamType,
    /// Canonical URL of its definition.
    pub url: String,
    /// Types that a reference may lead to.
    pub targets: Vec<ResourceType>,
    /// Slots that hold its values; none for parameters that are no index (`_id`) or not supported.
    pub(super) uses: Vec<Use>,
    /// Parts of a composite.
    pub(super) parts: Vec<Part>,
    /// Of a composite: code of the parameter that its first component is.
    pub(super) first: Option<String>,
    /// While rows of stored resources are still being made: nothing can be searched by it.
    pub(super) building: Option<Arc<Building>>,
}

impl Param {
    /// Whether Baton can search by it. `_query` and `_filter` are known and not supported.
    #[must_use]
    pub fn is_supported(&self) -> bool {
        matches!(self.code.as_str(), "_id" | "_lastUpdated" | "_text" | "_content")
            || !self.uses.is_empty()
            || !self.parts.is_empty()
    }

    /// How far the rows are, while they are being made.
    #[must_use]
    pub fn building(&self) -> Option<&Building> {
        self.building.as_deref()
    }

    /// The only slot, when it holds the parameter's values and nothing else.
    pub(super) fn only_slot(&self) -> Option<&str> {
        match self.uses.as_slice() {
            [only] if only.restrict.is_none() => Some(&only.slot),
            _ => None,
        }
    }
}

/// A parameter's view of a slot.
#[derive(Debug, Clone)]
pub(super) struct Use {
    pub slot: Arc<str>,
    /// Only references to this type.
    pub restrict: Option<ResourceType>,
    /// Whether a resource has one value of it at most.
    pub is_single: bool,
    /// Of references: whether its values may be canonicals.
    pub is_canonical: bool,
    /// Of tokens: whether its values are Codings or CodeableConcepts, so that their system may be a code system.
    pub is_coded: bool,
    pub coded: Arc<Coded>,
}

/// One part of a composite: an alternative of its expression.
#[derive(Debug, Clone)]
pub(super) enum Part {
    /// The whole resource: each component is a parameter of its own.
    Whole(Vec<Param>),
    /// Elements, each with its values together.
    Element { slot: Arc<str>, components: Arc<Vec<Component>> },
}

/// Values that are stored under one name.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    pub name: Arc<str>,
    pub kind: ParamType,
    /// Whether `version.facts` names it: it is all that a parameter (or a part of a composite) sees.
    pub in_facts: bool,
    pub source: Source,
    /// Whether rows of stored resources are still being made.
    pub is_building: bool,
}

#[derive(Debug, Clone)]
pub(super) enum Source {
    /// The values of these expressions.
    Values {
        alternatives: Vec<Expr>,
        /// Parts of a name or address that have a slot of their own.
        elsewhere: Vec<Box<str>>,
        coded: Arc<Coded>,
    },
    /// The elements of an expression, with the components in them.
    Elements { element: Expr, components: Arc<Vec<Component>> },
}

/// Parameters and slots of one type.
#[derive(Debug, Clone, Default)]
pub(super) struct Entry {
    /// By code.
    pub params: Vec<Param>,
    pub slots: Vec<Slot>,
    /// Whether canonicals lead to resources of the type: they have a `url` of their own.
    pub has_url: bool,
}

/// A SearchParameter resource beside R4's own.
#[derive(Debug, Clone)]
pub struct Extra {
    /// What it is called in messages and in the database: `search/x.json`, `SearchParameter/1`.
    pub name: String,
    /// The resource.
    pub resource: Json,
    /// While the rows of stored resources are being made.
    pub building: Option<Arc<Building>>,
}

/// What became of [`Registry::with_extras`].
#[derive(Debug, Clone)]
pub struct Made {
    /// R4's parameters and those that can be used.
    pub registry: Registry,
    /// Position of each that cannot, and why.
    pub refused: Vec<(usize, Issue)>,
    /// The rows that each has of its own, as names that tell one definition from another; none where R4 has the same rows.
    pub slots: Vec<Vec<String>>,
}

/// All parameters of all types. A clone is cheap.
#[derive(Debug, Clone)]
pub struct Registry {
    /// By number of the type.
    entries: Arc<Vec<Entry>>,
}

pub(super) static R4: LazyLock<Registry> = LazyLock::new(|| {
    let definitions = table::r4();
    Registry { entries: Arc::new(ResourceType::all().map(|rtype| slots::entry(rtype, &definitions)).collect()) }
});

impl Registry {
    /// R4's parameters and the embedded ones of `profiles/search`.
    #[must_use]
    pub fn builtin() -> Self {
        // A test holds that the embedded ones are good.
        Self::with_profiles(&own::embedded()).unwrap_or_else(|_| R4.clone())
    }

    /// R4's parameters and these SearchParameter resources in place of the embedded ones.
    ///
    /// # Errors
    /// `Invalid`, one issue for each resource that cannot be used, with the reason.
    pub fn with_profiles(profiles: &[Json]) -> Result<Self> {
        let extra = |resource: &Json| Extra { name: String::new(), resource: resource.clone(), building: None };
        let made = Self::with_extras(&profiles.iter().map(extra).collect::<Vec<_>>());
        let issues: Vec<_> = made.refused.into_iter().map(|(_, issue)| issue).collect();
        if issues.is_empty() { Ok(made.registry) } else { Err(Error::with_issues(Kind::Invalid, issues)) }
    }

    /// R4's parameters and these; what cannot be used is left out and named.
    #[must_use]
    pub fn with_extras(extras: &[Extra]) -> Made {
        let mut registry = R4.clone();
        let entries = Arc::make_mut(&mut registry.entries);
        let mut refused = Vec::new();
        let mut slots = vec![Vec::new(); extras.len()];
        let embedded = own::embedded();
        let mut known = table::r4();
        let mut definitions = Vec::new();
        for (n, extra) in extras.iter().enumerate() {
            match table::definition(&extra.resource) {
                Ok(definition) => {
                    known.push(definition.clone());
                    definitions.push((n, extra, definition));
                }
                Err(issue) => refused.push((n, issue)),
            }
        }
        for (n, extra, definition) in definitions {
            for base in definition.bases() {
                let Some(entry) = entries.get_mut(usize::from(base.0)) else { continue };
                let is_embedded = embedded.contains(&extra.resource);
                match added::add(entry, base, &definition, &known, is_embedded, extra.building.as_ref()) {
                    Ok(own) => {
                        if let Some(list) = slots.get_mut(n) {
                            list.extend(own.into_iter().map(|slot| format!("{base}.{slot}")));
                        }
                    }
                    Err(issue) => refused.push((n, issue)),
                }
            }
        }
        Made { registry, refused, slots }
    }

    pub(super) fn entry(&self, rtype: ResourceType) -> Option<&Entry> {
        self.entries.get(usize::from(rtype.0))
    }

    /// The parameter `code` of a type.
    #[must_use]
    pub fn param(&self, rtype: ResourceType, code: &str) -> Option<&Param> {
        let params = &self.entry(rtype)?.params;
        params.binary_search_by(|p| p.code.as_str().cmp(code)).ok().and_then(|at| params.get(at))
    }

    /// Whether a parameter of a type finds by an element of this name, at the top of the resource or inside.
    #[must_use]
    pub fn reads(&self, rtype: ResourceType, code: &str, element: &str) -> bool {
        let (Some(entry), Some(param)) = (self.entry(rtype), self.param(rtype, code)) else { return false };
        let names = |source: &Source| match source {
            Source::Values { alternatives, .. } => alternatives.iter().any(|a| a.names(element)),
            Source::Elements { element: of, components } => {
                of.names(element) || components.iter().any(|c| c.expr.names(element))
            }
        };
        let reads = |slot: &str| entry.slots.iter().any(|s| *s.name == *slot && names(&s.source));
        let by_part = |part: &Part| match part {
            Part::Whole(params) => params.iter().flat_map(|p| &p.uses).any(|u| reads(&u.slot)),
            Part::Element { slot, .. } => reads(slot),
        };
        param.uses.iter().any(|u| reads(&u.slot)) || param.parts.iter().any(by_part)
    }

    /// The parameter of a canonical URL: its type, and the resource types it is defined on.
    #[must_use]
    pub fn by_url(&self, url: &str) -> Option<(ParamType, Vec<ResourceType>)> {
        let of = |rtype: ResourceType| self.params(rtype).find(|p| p.url == url).map(|p| (p.kind, rtype));
        let found: Vec<(ParamType, ResourceType)> = ResourceType::all().filter_map(of).collect();
        let (kind, _) = found.first()?;
        Some((*kind, found.iter().map(|(_, rtype)| *rtype).collect()))
    }

    /// Whether canonicals lead to resources of a type.
    #[must_use]
    pub fn has_url(&self, rtype: ResourceType) -> bool {
        self.entry(rtype).is_some_and(|entry| entry.has_url)
    }

    /// Whether a type has R4's parameters and no others.
    #[must_use]
    pub fn is_r4(&self, rtype: ResourceType) -> bool {
        let slots = |entry: Option<&Entry>| entry.map_or(0, |e| e.slots.len());
        slots(self.entry(rtype)) == slots(R4.entry(rtype))
    }

    /// All parameters of a type, by code.
    pub fn params(&self, rtype: ResourceType) -> impl Iterator<Item = &Param> {
        self.entry(rtype).into_iter().flat_map(|entry| entry.params.iter())
    }
}

/// Whether a base in a definition takes a type in.
fn is_base_of(base: &str, rtype: ResourceType) -> bool {
    const NO_NARRATIVE: [&str; 3] = ["Binary", "Bundle", "Parameters"];
    match base {
        "Resource" => true,
        "DomainResource" => !NO_NARRATIVE.contains(&rtype.as_str()),
        name => name == rtype.as_str(),
    }
}

/// Types that `SearchParameter.base` stands for.
#[must_use]
pub fn types_of_base(base: &str) -> Vec<ResourceType> {
    types_of(base)
}

/// Types that a name in a definition stands for.
fn types_of(base: &str) -> Vec<ResourceType> {
    match base {
        "Resource" | "DomainResource" => ResourceType::all().filter(|t| is_base_of(base, *t)).collect(),
        name => ResourceType::parse(name).into_iter().collect(),
    }
}

/// All types, in the order of [`RESOURCE_TYPES`].
fn every_type() -> Vec<ResourceType> {
    let all: Vec<ResourceType> = ResourceType::all().collect();
    debug_assert_eq!(all.len(), RESOURCE_TYPES.len());
    all
}

#[cfg(test)]
mod tests;
