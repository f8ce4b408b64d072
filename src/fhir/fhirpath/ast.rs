//! A parsed expression.

use super::function::Row;
use super::kinds::TypeName;
use super::value::Value;
use regex::Regex;
use std::sync::OnceLock;

/// An expression.
#[derive(Debug)]
pub(super) enum Ast {
    /// `$this`, and what a path without a beginning begins at.
    This,
    /// `$index`
    Index,
    /// `$total`
    Total,
    /// `%name`
    Variable(Box<str>, usize),
    /// `{}`
    Empty,
    /// A literal.
    Literal(Value<'static>),
    /// Steps from what the first part gives.
    Path(Box<Ast>, Vec<Step>),
    /// `a | b | c`
    Union(Vec<Ast>),
    /// `a and b and c`
    And(Vec<Ast>),
    /// `a or b or c`
    Or(Vec<Ast>),
    /// Two operands.
    Binary(Operator, Box<Ast>, Box<Ast>, usize),
    /// `-a`
    Minus(Box<Ast>, usize),
    /// `+a`
    Plus(Box<Ast>, usize),
    /// `a is T`
    Is(Box<Ast>, TypeName, usize),
    /// `a as T`
    As(Box<Ast>, TypeName, usize),
}

/// One step of a path.
#[derive(Debug)]
pub(super) enum Step {
    /// `.name`
    Member(Box<str>),
    /// `Patient` at the start: the resource itself, where it is of this type, else its member.
    Start(TypeName),
    /// `.name(…)`
    Call(Box<Call>),
    /// `[…]`
    Index(Ast, usize),
}

/// A call of a function.
#[derive(Debug)]
pub(super) struct Call {
    pub row: &'static Row,
    pub arguments: Vec<Ast>,
    /// Of `is`, `as` and `ofType`.
    pub type_name: Option<TypeName>,
    pub at: usize,
    /// The regular expression of a literal argument.
    pub regex: OnceLock<Option<Regex>>,
}

/// Operators of two operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Implies,
    Xor,
    In,
    Contains,
    Equal,
    NotEqual,
    Equivalent,
    NotEquivalent,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Plus,
    Minus,
    Concatenate,
    Times,
    Over,
    Div,
    Mod,
}
