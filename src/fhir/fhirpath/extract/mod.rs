//! Paths that a resource is indexed by: a small language of its own inside FHIRPath, evaluated without allocating.
//!
//! For: the expressions of search parameters, which are looked into (what an index holds is known by the form of its path),
//! run for each write, and read `as` as a filter, as R4 means it.
//! Not for: anything else: [`Expression`](super::Expression) is the whole language.
//! Source: <https://hl7.org/fhir/R4/searchparameter-definitions.html#SearchParameter.expression>. `resolve()` never reads a
//! resource: it tells the type that a reference names.

mod eval;
mod lexer;
mod parser;
mod types;

pub use eval::Item;
pub use types::{is_datatype, reference_type};

use super::PathError;
use crate::fhir::Json;

/// A parsed expression.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Expr {
    /// `$this`: what the expression is evaluated on.
    This,
    /// `%resource`: the resource around it.
    Resource,
    /// A type name at the start, `Patient`: the resource when it is one.
    Type(Box<str>),
    /// A literal.
    Literal(Literal),
    /// Steps from what the first part gives.
    Path(Box<Expr>, Vec<Step>),
    /// `a | b`.
    Union(Vec<Expr>),
    /// `a = b` (`true`) or `a != b`.
    Equal(Box<Expr>, Box<Expr>, bool),
    /// `a and b`.
    And(Box<Expr>, Box<Expr>),
    /// `a or b`.
    Or(Box<Expr>, Box<Expr>),
    /// `a is T`.
    Is(Box<Expr>, Box<str>),
}

/// A literal in an expression.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Literal {
    /// `true`, `false`.
    Bool(bool),
    /// `'text'`.
    Text(Box<str>),
    /// `12`, `1.5`.
    Number(Box<str>),
}

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Step {
    /// `.name`: the member, or the choice `name[x]` of any type.
    Member(Box<str>),
    /// `.name` where that is known not to be a choice although the name of another element looks like one
    /// (`Coverage.subscriber` beside `subscriberId`). No syntax makes it; see [`Expr::plain`].
    Own(Box<str>),
    /// `.name as T`: the member name, its JSON name `nameT`, and `T`.
    Choice(Box<str>, Box<str>, Box<str>),
    /// `as T`, `.ofType(T)` after something else than a member.
    As(Box<str>),
    /// `.repeat(name)`: the member, that member of it, and so on.
    Repeat(Box<str>),
    /// `[n]`.
    Index(usize),
    /// `.where(…)`.
    Where(Box<Expr>),
    /// `.exists()`, `.exists(…)`.
    Exists(Option<Box<Expr>>),
    /// `.empty()`.
    Empty,
    /// `.not()`.
    Not,
    /// `.extension('url')`.
    Extension(Box<str>),
    /// `.hasExtension('url')`.
    HasExtension(Box<str>),
    /// `.resolve()`.
    Resolve,
}

impl Step {
    fn names(&self, element: &str) -> bool {
        match self {
            Self::Member(name) | Self::Own(name) | Self::Repeat(name) => **name == *element,
            Self::Choice(name, json, _) => **name == *element || **json == *element,
            Self::Where(inside) | Self::Exists(Some(inside)) => inside.names(element),
            Self::Extension(_) | Self::HasExtension(_) => matches!(element, "extension" | "modifierExtension"),
            Self::As(_) | Self::Index(_) | Self::Exists(None) | Self::Empty | Self::Not | Self::Resolve => false,
        }
    }
}

impl Expr {
    /// Parses an expression.
    ///
    /// # Errors
    /// Names the place and what stands there.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        parser::parse(text)
    }

    /// The parts of a union at the top; one part when there is none.
    #[must_use]
    pub fn alternatives(self) -> Vec<Self> {
        match self {
            Self::Union(parts) => parts.into_iter().flat_map(Self::alternatives).collect(),
            one => vec![one],
        }
    }

    /// The same path with its last member taken as a plain element, never as a choice.
    #[must_use]
    pub fn plain(self) -> Self {
        match self {
            Self::Path(base, mut steps) => {
                if let Some(Step::Member(name)) = steps.last() {
                    let own = Step::Own(name.clone());
                    steps.pop();
                    steps.push(own);
                }
                Self::Path(base, steps)
            }
            other => other,
        }
    }

    /// The type name that a path begins with.
    #[must_use]
    pub fn root(&self) -> Option<&str> {
        match self {
            Self::Type(name) => Some(name),
            Self::Path(base, _) | Self::Is(base, _) | Self::Equal(base, ..) => base.root(),
            Self::And(a, _) | Self::Or(a, _) => a.root(),
            Self::Union(parts) => parts.first().and_then(Self::root),
            Self::This | Self::Resource | Self::Literal(_) => None,
        }
    }

    /// Whether an element of this name is looked at, at any depth.
    #[must_use]
    pub fn names(&self, element: &str) -> bool {
        match self {
            Self::This | Self::Resource | Self::Type(_) | Self::Literal(_) => false,
            Self::Path(base, steps) => base.names(element) || steps.iter().any(|s| s.names(element)),
            Self::Union(parts) => parts.iter().any(|p| p.names(element)),
            Self::Equal(a, b, _) | Self::And(a, b) | Self::Or(a, b) => a.names(element) || b.names(element),
            Self::Is(of, _) => of.names(element),
        }
    }

    /// Calls `found` with each value of the expression on `this` inside `resource`, in order.
    pub fn each<'a>(&'a self, resource: &'a Json, this: &'a Json, found: &mut dyn FnMut(Item<'a>)) {
        eval::each(self, resource, Item::node(this), found);
    }
}

#[cfg(test)]
mod tests;
