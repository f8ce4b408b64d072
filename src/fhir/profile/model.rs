//! A profile compiled: what it asks beyond the base type, as a tree of elements. Elements that ask nothing are not in it.

use super::invariant::Invariant;
use super::route::Route;
use crate::fhir::Json;
use crate::fhir::definition::Structure;

/// Position of a node in its tree.
pub(super) type NodeId = usize;
/// Position of a profile in its library.
pub(super) type ProfileId = usize;

/// The root of every tree.
pub(super) const ROOT: NodeId = 0;

/// One StructureDefinition, compiled.
#[derive(Debug, Clone)]
pub struct Profile {
    /// Canonical URL.
    pub url: Box<str>,
    /// Business version.
    pub version: Option<Box<str>>,
    /// `Patient`, `Quantity`, `Extension`.
    pub rtype: Box<str>,
    /// Where it was read: package and file.
    pub file: Box<str>,
    /// Of an extension: where it may stand.
    pub(super) contexts: Vec<Context>,
    pub(super) nodes: Vec<Node>,
}

impl Profile {
    /// `url|version`, or the URL alone.
    #[must_use]
    pub fn canonical(&self) -> String {
        match &self.version {
            Some(version) => format!("{}|{version}", self.url),
            None => self.url.to_string(),
        }
    }
}

/// One context of use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Context {
    /// A path of the base definitions, a type, `Element`, `Resource`.
    Element(Box<str>),
    /// Inside another extension.
    Extension(Box<str>),
    /// Where an expression leads: not judged.
    Expression,
}

/// What is asked of one element, or of one slice of it.
#[derive(Debug, Clone, Default)]
pub(super) struct Node {
    /// `status`, of a choice `value`, of one type of a choice `valueQuantity`.
    pub(super) name: Box<str>,
    /// Of one type of a choice: the choice, by which FHIRPath names it.
    pub(super) choice: Option<&'static str>,
    /// Its elements, where the type is one alone.
    pub(super) structure: Option<&'static Structure>,
    pub(super) min: usize,
    /// `None`: as in the base.
    pub(super) max: Option<usize>,
    /// Empty: as in the base.
    pub(super) types: Vec<TypeRef>,
    pub(super) fixed: Option<Json>,
    pub(super) pattern: Option<Json>,
    pub(super) least: Option<Json>,
    pub(super) most: Option<Json>,
    pub(super) max_length: Option<usize>,
    pub(super) binding: Option<Binding>,
    /// The largest set that a derived binding may have: extension `elementdefinition-maxValueSet`.
    pub(super) max_set: Option<Box<str>>,
    /// Bindings beside that one: an extension of R5's making.
    pub(super) additional: Vec<Binding>,
    pub(super) invariants: Vec<Invariant>,
    pub(super) slicing: Option<Slicing>,
    pub(super) slices: Vec<Slice>,
    /// Of a choice: slices that are one type of it by its JSON name (`valueQuantity`). What is asked of one is asked of that member.
    pub(super) members: Vec<Box<str>>,
    pub(super) children: Vec<NodeId>,
    /// `contentReference`: the children of that node are asked for here, too.
    pub(super) refers: Option<NodeId>,
}

impl Node {
    /// Whether it asks nothing by itself.
    pub(super) fn is_idle(&self) -> bool {
        self.min == 0
            && self.max.is_none()
            && self.types.is_empty()
            && self.fixed.is_none()
            && self.pattern.is_none()
            && self.least.is_none()
            && self.most.is_none()
            && self.max_length.is_none()
            && self.binding.is_none()
            && self.max_set.is_none()
            && self.additional.is_empty()
            && self.invariants.is_empty()
            && self.slices.is_empty()
            && self.children.is_empty()
            && self.refers.is_none()
            && self.slicing.as_ref().is_none_or(|s| s.rules == Rules::Open)
    }
}

/// A type that an element may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TypeRef {
    pub(super) code: Box<str>,
    /// The value conforms to one of them; none: no profile is asked.
    pub(super) profiles: Vec<Box<str>>,
    /// What a Reference leads to conforms to one of them.
    pub(super) targets: Vec<Box<str>>,
    /// Where what a Reference leads to may be: contained, in the Bundle, elsewhere. `None`: anywhere.
    pub(super) aggregation: Option<(bool, bool, bool)>,
}

/// A binding that is checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Binding {
    pub(super) is_required: bool,
    pub(super) set: Box<str>,
}

/// How the items of an element are told apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Slicing {
    pub(super) discriminators: Vec<Discriminator>,
    pub(super) rules: Rules,
    pub(super) is_ordered: bool,
}

/// Which items may be in no slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rules {
    /// Any.
    Open,
    /// None.
    Closed,
    /// Any, after those that are in slices.
    OpenAtEnd,
}

/// What tells slices apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Discriminator {
    pub(super) kind: Telling,
    pub(super) route: Route,
}

/// By what of an element a slice is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Telling {
    /// `value` and `pattern`.
    Value,
    /// Whether it is there.
    Exists,
    /// Its type.
    Type,
    /// A profile that it conforms to.
    Profile,
}

/// One slice.
#[derive(Debug, Clone)]
pub(super) struct Slice {
    /// `mrn`, of a slice inside a slice `mrn/old`.
    pub(super) name: Box<str>,
    pub(super) node: NodeId,
    /// One each discriminator; made when all profiles are there.
    pub(super) tests: Vec<Test>,
}

/// What a discriminator must give for an item to be in a slice.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Test {
    /// The definition says nothing about it.
    Silent,
    /// This value.
    Fixed(Json),
    /// A value with all of this in it.
    Pattern(Json),
    /// A code of the set.
    InSet(Box<str>),
    /// It is there, or not.
    Exists(bool),
    /// One of the types.
    Types(Vec<Box<str>>),
    /// It conforms to one of the profiles.
    Profiles(Vec<Box<str>>),
    /// It conforms to a node of a profile.
    Node(ProfileId, NodeId),
    /// One of the tests.
    Any(Vec<Test>),
}
