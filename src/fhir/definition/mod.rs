//! The structure of R4 4.0.1 as data: elements of every resource and data type, and the codes of required bindings.
//!
//! For: validation, reference rewriting, and whoever asks what type an element has.
//! Not for: profiles, or prose. The tables are made by `examples/definitions.rs` from the official definitions.
//! Source: <https://hl7.org/fhir/R4/downloads.html>.

mod load;
mod outside;
mod term;
#[cfg(test)]
mod tests;

use super::primitive::Primitive;
use super::resource::ResourceType;
use std::collections::HashMap;
use std::sync::LazyLock;

pub use term::{code_system, value_set};

/// The constraints of R4: path, key, severity, human text, FHIRPath expression; made by `examples/definitions.rs`.
pub(super) const INVARIANTS: &str = include_str!("invariants.tsv");

static DEFINITIONS: LazyLock<Definitions> = LazyLock::new(load::definitions);

/// All structures and code sets.
pub(super) struct Definitions {
    structures: Vec<Structure>,
    by_name: HashMap<&'static str, StructureId>,
    sets: Vec<CodeSet>,
    /// Position in `RESOURCE_TYPES` → structure.
    resources: Vec<StructureId>,
}

/// Names a [`Structure`]; two bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StructureId(u16);

impl StructureId {
    /// The structure.
    #[must_use]
    pub fn get(self) -> &'static Structure {
        DEFINITIONS.structures.get(usize::from(self.0)).unwrap_or(&NOTHING)
    }
}

static NOTHING: Structure = Structure {
    name: "",
    number: u16::MAX,
    base: "",
    kind: StructureKind::Backbone,
    elements: Vec::new(),
    members: Vec::new(),
    required: 0,
};

/// What a [`Structure`] describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StructureKind {
    /// `Patient`
    Resource,
    /// `HumanName`
    Datatype,
    /// `Patient.contact`
    Backbone,
}

/// A resource type, a data type, or the inside of an element such as `Patient.contact`.
#[derive(Debug)]
pub struct Structure {
    /// `Patient`, `HumanName`, `Patient.contact`.
    pub name: &'static str,
    /// Its place in the table: small, and the same as long as the program runs.
    pub(super) number: u16,
    /// `DomainResource`, `Element`, `BackboneElement`; empty for `Resource` and `Element`.
    pub base: &'static str,
    /// Which of the three.
    pub kind: StructureKind,
    /// Elements in the order of the definition, those of the base first. At most 128.
    pub elements: Vec<Element>,
    /// Sorted by length, then name.
    members: Vec<Member>,
    /// Bit n: element n must be there.
    pub(super) required: u128,
}

#[derive(Debug)]
struct Member {
    name: Box<str>,
    element: u8,
    choice: u8,
}

/// One element of a structure.
#[derive(Debug)]
pub struct Element {
    /// `status`; of a choice the part before `[x]`: `value`.
    pub name: &'static str,
    /// At least so many.
    pub min: u8,
    /// More than one: an array in JSON.
    pub many: bool,
    /// `value[x]`: the type is part of the JSON name.
    pub choice: bool,
    /// What it may be; more than one only of a choice.
    pub types: Vec<Type>,
    /// Where a Reference among the types may lead; empty: anywhere.
    pub targets: Vec<ResourceType>,
    /// Whether `_summary=true` shows it.
    pub summary: bool,
    set: Option<u16>,
}

/// The type of an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// A JSON string, number or boolean.
    Primitive(Primitive),
    /// `Narrative.div`.
    Xhtml,
    /// An object of these elements.
    Complex(StructureId),
    /// A Reference; targets are with the element.
    Reference(StructureId),
    /// An Extension.
    Extension(StructureId),
    /// A Quantity without comparator.
    SimpleQuantity(StructureId),
    /// Any resource.
    Resource,
}

/// An element as found by its JSON name.
#[derive(Debug, Clone, Copy)]
pub struct Found {
    /// The element.
    pub element: &'static Element,
    /// Its position in the structure.
    pub position: u8,
    /// Its type: of a choice the one that the name says.
    pub kind: Type,
}

impl Structure {
    /// Finds an element by its JSON name (`valueQuantity`, without a leading `_`).
    #[must_use]
    pub fn member(&'static self, name: &str) -> Option<Found> {
        let at = self.members.binary_search_by(|m| (m.name.len(), &*m.name).cmp(&(name.len(), name))).ok()?;
        let member = self.members.get(at)?;
        let element = self.elements.get(usize::from(member.element))?;
        Some(Found { element, position: member.element, kind: *element.types.get(usize::from(member.choice))? })
    }

    /// Finds an element by the name of its definition: `status`, `value[x]` or `value`.
    #[must_use]
    pub fn element(&self, name: &str) -> Option<&Element> {
        let name = name.strip_suffix("[x]").unwrap_or(name);
        self.elements.iter().find(|e| e.name == name)
    }

    /// All JSON names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.members.iter().map(|m| &*m.name)
    }
}

impl Element {
    /// The codes of a required binding.
    #[must_use]
    pub fn codes(&self) -> Option<&'static CodeSet> {
        self.set.and_then(|n| DEFINITIONS.sets.get(usize::from(n)))
    }
}

/// The codes of a value set, by system.
#[derive(Debug)]
pub struct CodeSet {
    /// `task-status`.
    pub name: &'static str,
    /// Code system and its codes, sorted; at least one system.
    pub systems: Vec<(&'static str, Vec<&'static str>)>,
    /// What a code looks like, where no list of all codes can be (media types, units).
    form: Option<fn(&str) -> bool>,
}

impl CodeSet {
    /// Whether a code of any system.
    #[must_use]
    pub fn has(&self, code: &str) -> bool {
        match self.form {
            Some(fits) => fits(code),
            None => self.systems.iter().any(|(_, codes)| codes.binary_search(&code).is_ok()),
        }
    }

    /// Whether a code of this system.
    #[must_use]
    pub fn has_coding(&self, system: &str, code: &str) -> bool {
        self.systems.iter().any(|(s, _)| *s == system)
            && match self.form {
                Some(fits) => fits(code),
                None => self.systems.iter().any(|(s, codes)| *s == system && codes.binary_search(&code).is_ok()),
            }
    }

    /// The system, where there is just one and its codes are listed.
    #[must_use]
    pub fn only_system(&self) -> Option<&'static str> {
        match self.systems.as_slice() {
            [(system, codes)] if !codes.is_empty() => Some(system),
            _ => None,
        }
    }

    /// All codes.
    pub fn codes(&self) -> impl Iterator<Item = &'static str> {
        self.systems.iter().flat_map(|(_, codes)| codes.iter().copied())
    }
}

/// All structures, each at the place of its number.
pub(super) fn structures() -> &'static [Structure] {
    &DEFINITIONS.structures
}

/// A structure by name: `Patient`, `HumanName`, `Patient.contact`.
#[must_use]
pub fn structure(name: &str) -> Option<&'static Structure> {
    DEFINITIONS.by_name.get(name).map(|id| id.get())
}

/// The structure of a resource type.
#[must_use]
pub fn of_resource(rtype: ResourceType) -> Option<&'static Structure> {
    DEFINITIONS.resources.get(usize::from(rtype.0)).map(|id| id.get())
}

/// An element by its path from a type: `Task.status`, `Patient.contact.name`, `Observation.value[x]`, and on through data
/// types: `Patient.name.given`.
#[must_use]
pub fn element(path: &str) -> Option<&'static Element> {
    let (root, rest) = path.split_once('.')?;
    let mut here = structure(root)?;
    let mut names = rest.split('.').peekable();
    while let Some(name) = names.next() {
        let element = here.element(name)?;
        if names.peek().is_none() {
            return Some(element);
        }
        here = element.types.iter().find_map(Type::structure)?;
    }
    None
}

impl Type {
    /// The elements inside, of a type that has such.
    #[must_use]
    pub fn structure(&self) -> Option<&'static Structure> {
        match self {
            Self::Complex(id) | Self::Reference(id) | Self::Extension(id) | Self::SimpleQuantity(id) => Some(id.get()),
            Self::Primitive(_) | Self::Xhtml | Self::Resource => None,
        }
    }

    /// The type's name: `Quantity`, `dateTime`, `Patient.contact`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Primitive(p) => p.as_str(),
            Self::Xhtml => "xhtml",
            Self::Resource => "Resource",
            _ => self.structure().map_or("", |s| s.name),
        }
    }
}

/// The code system that codes of an element belong to without saying so: a `code` with a required binding to one system.
#[must_use]
pub fn implicit_system(path: &str) -> Option<&'static str> {
    let element = element(path)?;
    element.types.contains(&Type::Primitive(Primitive::Code)).then(|| element.codes()?.only_system()).flatten()
}

/// A value set of the tables: those of required bindings, and `detectedissue-category`.
#[must_use]
pub fn code_set(name: &str) -> Option<&'static CodeSet> {
    DEFINITIONS.sets.iter().find(|set| set.name == name)
}

/// The code systems that codes of the tables are of, each once.
pub fn code_systems() -> impl Iterator<Item = &'static str> {
    let all: std::collections::BTreeSet<&str> = DEFINITIONS
        .sets
        .iter()
        .filter(|set| !outside::holds(set))
        .flat_map(|set| set.systems.iter().map(|(system, _)| *system))
        .collect();
    all.into_iter()
}
