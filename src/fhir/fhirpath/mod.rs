//! FHIRPath: expressions over JSON, parsed once and evaluated often.
//!
//! For: invariants, FHIRPath Patch, conditions, profiles: [`Expression`], the whole language of FHIRPath 2.0.0 with what FHIR R4
//! adds. Evaluation is synchronous, borrows from the resource, and is bounded in depth and work: a hostile expression ends with
//! an error. Search parameters use the small language of [`extract`](Expr) instead.
//! Not for: what a value means to a search (`search/param`), or which invariants there are (`validate/invariant.rs`).
//! Source: <http://hl7.org/fhirpath/N1/>, <https://hl7.org/fhir/R4/fhirpath.html>. How far it goes: `docs/validation.md`.
//!
//! ```
//! use baton::fhir::fhirpath::{Env, Expression};
//! let patient = baton::fhir::json::parse(br#"{"resourceType":"Patient","name":[{"given":["Ann"]},{"given":["Bea"]}]}"#).unwrap();
//! let expression = Expression::parse("name.given.where(startsWith('B'))").unwrap();
//! let found = expression.evaluate(&Env::of(&patient)).unwrap();
//! assert_eq!(found.iter().map(|v| v.to_json().to_string()).collect::<Vec<_>>(), ["\"Bea\""]);
//! ```

mod arithmetic;
mod ast;
mod boundary;
mod equality;
mod eval;
mod extract;
mod footprint;
mod function;
mod kinds;
mod lexer;
mod locate;
mod moment;
mod number;
mod parser;
mod quantity;
mod telling;
#[cfg(test)]
mod tests;
mod value;

pub use eval::{Env, Hooks, Resolved};
pub use extract::{Expr, Item, Literal, Step, is_datatype, reference_type};
pub use footprint::Footprint;
pub use locate::{Place, locate};
pub use moment::{Moment, MomentKind};
pub use number::Decimal;
pub use quantity::{Quantity, Unit};
pub use value::{Items, Kind, Node, Value};

use std::fmt;

/// Why an expression cannot be used, or not on this resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathError {
    /// Byte position in the text.
    pub at: usize,
    /// One sentence.
    pub message: String,
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (at character {})", self.message, self.at)
    }
}

/// A parsed expression.
#[derive(Debug)]
pub struct Expression {
    text: Box<str>,
    ast: ast::Ast,
}

impl Expression {
    /// Parses an expression of FHIRPath.
    ///
    /// # Errors
    /// Names the place and what stands there; also what is too long or too deep.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        Ok(Self { text: text.into(), ast: parser::parse(text)? })
    }

    /// As it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What it looks at on its context.
    #[must_use]
    pub fn footprint(&self) -> Footprint<'_> {
        footprint::of(&self.ast)
    }

    /// What a rule of this expression says of an element that breaks it: what was found of that which it looks at, what it asks for in
    /// the words of its definition (`human`), what to do.
    #[must_use]
    pub fn told(&self, key: &str, human: &str, element: Node<'_>) -> String {
        telling::told(&self.footprint(), key, human, element)
    }

    /// What it gives on the context of `env`, in order.
    ///
    /// # Errors
    /// Where FHIRPath asks for one: several values where one is expected, a type that an operator does not take, a variable that
    /// nobody set; and where it takes too much work.
    pub fn evaluate<'a>(&'a self, env: &Env<'a>) -> Result<Items<'a>, PathError> {
        eval::evaluate(&self.ast, env)
    }

    /// As a condition on the context of `env`; `None` when it is empty.
    ///
    /// # Errors
    /// As [`Expression::evaluate`]; also several values.
    pub fn holds<'a>(&'a self, env: &Env<'a>) -> Result<Option<bool>, PathError> {
        let found = self.evaluate(env)?;
        eval::truth(&found)
            .ok_or_else(|| PathError { at: 0, message: "found several values, expected a truth value".into() })
    }
}
