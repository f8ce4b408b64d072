//! The operations that Baton has: one row each, with the parameters that it takes and gives.
//!
//! For: finding the row of a call, reading its parameters (`input.rs`), the OperationDefinitions (`published/`), `metadata`
//! and the OpenAPI document: all of them say what stands here. A new operation is a row here and an arm in `mod.rs`.
//! Not for: what an operation does.
//! Source: <https://hl7.org/fhir/R4/operations.html>; parameters as in R4's OperationDefinitions, as far as they are taken.

mod house;
mod meta;
mod protocol;
mod reading;
mod terminology;

use crate::access::scope::Action;
use crate::fhir::ResourceType;
use crate::interaction::request::Scope;

/// An operation.
#[derive(Debug)]
pub(in crate::interaction) struct Row {
    /// Without `$`.
    pub(in crate::interaction) name: &'static str,
    /// Where it lives.
    pub(in crate::interaction) on: On,
    /// On which levels it is called; at least one.
    pub(in crate::interaction) levels: &'static [Level],
    /// HL7's definition that it carries out; "": Baton's own.
    pub(in crate::interaction) base: &'static str,
    /// All of HL7's definition, by GET and POST: `metadata` names that one.
    pub(in crate::interaction) is_whole: bool,
    /// What it does.
    pub(in crate::interaction) text: &'static str,
    /// What it takes.
    pub(in crate::interaction) takes: &'static [Param],
    /// Also takes the search parameters of its type.
    pub(in crate::interaction) is_search: bool,
    /// What it gives; one parameter `return` is the body itself.
    pub(in crate::interaction) gives: &'static [Param],
    /// Which one it is.
    pub(in crate::interaction) kind: Kind,
}

/// Where an operation lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::interaction) enum On {
    /// The server.
    Server,
    /// One type.
    Type(&'static str),
    /// Any type, and the server where its levels say so.
    Any,
}

/// What an operation is called on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::interaction) enum Level {
    /// `/$name`
    System,
    /// `/Type/$name`
    Type,
    /// `/Type/id/$name`
    Instance,
    /// `/Type/id/_history/n/$name`
    Version,
}

/// A parameter of an operation.
#[derive(Debug)]
pub(in crate::interaction) struct Param {
    pub(in crate::interaction) name: &'static str,
    /// Its type; "" of one that has parts.
    pub(in crate::interaction) kind: &'static str,
    pub(in crate::interaction) min: u8,
    /// More than one may be given.
    pub(in crate::interaction) many: bool,
    pub(in crate::interaction) text: &'static str,
    pub(in crate::interaction) parts: &'static [Param],
}

impl Param {
    /// At most one.
    pub(super) const fn one(name: &'static str, kind: &'static str, text: &'static str) -> Self {
        Self { name, kind, min: 0, many: false, text, parts: &[] }
    }

    /// Any number.
    pub(super) const fn many(name: &'static str, kind: &'static str, text: &'static str) -> Self {
        Self { many: true, ..Self::one(name, kind, text) }
    }

    /// Just one.
    pub(super) const fn must(name: &'static str, kind: &'static str, text: &'static str) -> Self {
        Self { min: 1, ..Self::one(name, kind, text) }
    }

    /// Any number, each with parts.
    pub(super) const fn parts(name: &'static str, parts: &'static [Self], text: &'static str) -> Self {
        Self { parts, ..Self::many(name, "", text) }
    }
}

/// Which operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::interaction) enum Kind {
    /// One that changes something: by POST only, in the transaction of its Bundle.
    Write(Write),
    /// One that reads: by GET and POST; of a transaction it is carried out after the commit, as searches are.
    Read(Read),
}

/// Operations that change something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::interaction) enum Write {
    Claim,
    Release,
    Attempt,
    Resolve,
    Extract,
    /// With `preview` it answers what it would write.
    Reconcile,
    /// A transaction of its own.
    Message,
    /// Nothing that is stored: what the server goes by.
    Reload,
    /// A grant, and no resource.
    BreakGlass,
    /// The end of such a grant.
    EndBreakGlass,
    /// With `preview` it answers what it would find.
    Screen,
    Escalate,
    /// A patch of `meta`.
    MetaAdd,
    /// A patch of `meta`.
    MetaDelete,
}

/// Operations that read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::interaction) enum Read {
    ReindexStatus,
    Meta,
    /// By POST it puts the report on record first.
    Report,
    Timeline,
    AccessReport,
    Apply,
    Populate,
    Simulate,
    RuleReport,
    Versions,
    Expand,
    ValidateInSet,
    Lookup,
    ValidateInSystem,
    Subsumes,
    Translate,
    Everything,
    Document,
    LastN,
    Validate,
    SubscriptionStatus,
}

impl Kind {
    /// What it writes in the name of the caller beside the resource that it is called on: a token needs the scopes for that, too.
    pub(super) const fn writes(self) -> &'static [(Action, &'static str)] {
        match self {
            Self::Write(Write::Attempt) => &[(Action::Create, "Communication")],
            Self::Write(Write::Resolve) => &[(Action::Update, "Task")],
            Self::Write(Write::Extract) => {
                &[(Action::Create, "MedicationStatement"), (Action::Create, "AllergyIntolerance")]
            }
            Self::Write(Write::Reconcile) => &[(Action::Create, "List"), (Action::Update, "List")],
            Self::Write(Write::Screen) => &[(Action::Create, "DetectedIssue"), (Action::Update, "DetectedIssue")],
            Self::Read(Read::Report) => &[(Action::Create, "Composition"), (Action::Update, "Composition")],
            _ => &[],
        }
    }
}

/// All of them, by subject.
const TABLES: [&[Row]; 5] = [house::ROWS, meta::ROWS, protocol::ROWS, reading::ROWS, terminology::ROWS];

/// All operations.
pub(in crate::interaction) fn rows() -> impl Iterator<Item = &'static Row> {
    TABLES.into_iter().flatten()
}

/// The operation of a name and a place.
pub(in crate::interaction) fn find(name: &str, on: &Scope) -> Option<&'static Row> {
    rows().find(|row| row.name == name && row.is_at(on))
}

impl Row {
    /// Whether it is called there.
    fn is_at(&self, on: &Scope) -> bool {
        let (level, rtype) = match on {
            Scope::System => (Level::System, None),
            Scope::Type(rtype) => (Level::Type, Some(*rtype)),
            Scope::Instance(target) => (Level::Instance, Some(target.rtype)),
            Scope::Version(target, _) => (Level::Version, Some(target.rtype)),
            Scope::Compartment(..) => return false,
        };
        self.levels.contains(&level) && rtype.is_none_or(|rtype| self.is_of(rtype))
    }

    /// Whether it belongs to a type.
    pub(in crate::interaction) fn is_of(&self, rtype: ResourceType) -> bool {
        self.on == On::Any || self.on == On::Type(rtype.as_str())
    }

    /// Whether it is called on the server itself.
    pub(in crate::interaction) fn is_of_server(&self) -> bool {
        self.levels.contains(&Level::System)
    }

    /// Whether it changes something.
    pub(in crate::interaction) fn changes(&self) -> bool {
        matches!(self.kind, Kind::Write(_))
    }

    /// Whether it is called by GET, too.
    pub(in crate::interaction) fn takes_get(&self) -> bool {
        matches!(self.kind, Kind::Read(_))
    }

    /// Id of its OperationDefinition.
    pub(in crate::interaction) fn id(&self) -> String {
        match self.on {
            On::Server => self.name.into(),
            On::Any => format!("Resource-{}", self.name),
            On::Type(rtype) => format!("{rtype}-{}", self.name),
        }
    }
}
