//! Values of each parameter type, both sides of a search: the rows that a value of a resource gives, and the condition
//! that a value of a query is. What has to fit together stands in one file.

pub mod composite;
pub mod date;
pub mod near;
pub mod number;
pub mod quantity;
pub mod reference;
pub mod string;
pub mod token;
pub mod uri;

use super::fold::head;
use super::{Keys, Rows};
use crate::fhir::ResourceType;

/// Where the rows of one slot are: the keys of a type and a slot name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub keys: &'a Keys,
    pub rtype: &'a str,
    pub slot: &'a str,
}

impl Place<'_> {
    /// Key of one exact value.
    pub fn exact(&self, form: &str, value: &[&str]) -> i64 {
        self.keys.exact(self.rtype, self.slot, form, value)
    }

    /// Key of the slot as a whole.
    pub fn key(&self) -> i64 {
        self.keys.param(self.rtype, self.slot)
    }
}

/// What the values of one slot leave besides rows.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Whether there was a value.
    pub any: bool,
    /// The lowest and the highest sort value, at most 64 characters each.
    pub sort: Option<(String, String)>,
    /// Types that references lead to, with the sort value of each.
    pub leads: Vec<(ResourceType, String)>,
}

impl Found {
    /// Notes a value that sorts by `text`.
    pub fn note(&mut self, text: &str) {
        self.note_both(text, text);
    }

    fn note_both(&mut self, low: &str, high: &str) {
        self.any = true;
        let (low, high) = (head(low, 64), head(high, 64));
        match &mut self.sort {
            None => self.sort = Some((low.into(), high.into())),
            Some(had) => {
                if low < had.0.as_str() {
                    had.0 = low.into();
                }
                if high > had.1.as_str() {
                    had.1 = high.into();
                }
            }
        }
    }

    /// Notes a range that sorts by its ends: as texts of the same order.
    pub fn note_range(&mut self, lo: i64, hi: i64) {
        let shifted = |n: i64| format!("{:016x}", n.cast_unsigned() ^ (1 << 63));
        self.note_both(&shifted(lo), &shifted(hi));
    }
}

/// A prefix of a date, number or quantity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prefix {
    /// Contained (the default).
    Eq,
    /// Not contained.
    Ne,
    /// Reaches above.
    Gt,
    /// Reaches below.
    Lt,
    /// Reaches into or above.
    Ge,
    /// Reaches into or below.
    Le,
    /// Wholly above.
    Sa,
    /// Wholly below.
    Eb,
    /// Overlaps.
    Ap,
}

impl Prefix {
    const ALL: [(&'static str, Self); 9] = [
        ("eq", Self::Eq),
        ("ne", Self::Ne),
        ("gt", Self::Gt),
        ("lt", Self::Lt),
        ("ge", Self::Ge),
        ("le", Self::Le),
        ("sa", Self::Sa),
        ("eb", Self::Eb),
        ("ap", Self::Ap),
    ];

    /// Takes the prefix off a value.
    ///
    /// # Errors
    /// Two letters that are no prefix.
    pub(super) fn split(value: &str) -> Result<(Self, &str), String> {
        match value.split_at_checked(2) {
            Some((two, rest)) if two.bytes().all(|b| b.is_ascii_lowercase()) => {
                match Self::ALL.iter().find(|(p, _)| *p == two) {
                    Some((_, prefix)) => Ok((*prefix, rest)),
                    None => Err(format!("'{two}' is no prefix; they are eq, ne, gt, lt, ge, le, sa, eb and ap")),
                }
            }
            _ => Ok((Self::Eq, value)),
        }
    }
}

/// Bounds on a row of `idx_range`; see [`super::Cond::Range`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Bounds {
    pub lo: (Option<i64>, Option<i64>),
    pub hi: (Option<i64>, Option<i64>),
}

impl Bounds {
    /// What rows a prefix asks for, given the lowest and highest value (inclusive) that the query's text stands for.
    /// One of the bounds must hold.
    ///
    /// Source: <https://hl7.org/fhir/R4/search.html#prefix>: `ge` is "overlaps the range above the query's, or lies within
    /// the query's"; a row that begins before the query's range and ends inside it is neither. `le` likewise.
    pub fn of(prefix: Prefix, a: i64, b: i64) -> Vec<Self> {
        let lo = |from, to| Self { lo: (from, to), ..Self::default() };
        let hi = |from, to| Self { hi: (from, to), ..Self::default() };
        let within = Self { lo: (Some(a), None), hi: (None, Some(b)) };
        match prefix {
            Prefix::Eq => vec![within],
            Prefix::Ne => {
                below(a).map(|n| lo(None, Some(n))).into_iter().chain(above(b).map(|n| hi(Some(n), None))).collect()
            }
            Prefix::Gt => above(b).map(|n| hi(Some(n), None)).into_iter().collect(),
            Prefix::Lt => below(a).map(|n| lo(None, Some(n))).into_iter().collect(),
            Prefix::Ge => Self::of(Prefix::Gt, a, b).into_iter().chain([within]).collect(),
            Prefix::Le => Self::of(Prefix::Lt, a, b).into_iter().chain([within]).collect(),
            Prefix::Sa => above(b).map(|n| lo(Some(n), None)).into_iter().collect(),
            Prefix::Eb => below(a).map(|n| hi(None, Some(n))).into_iter().collect(),
            Prefix::Ap => vec![Self { lo: (None, Some(b)), hi: (Some(a), None) }],
        }
    }

    /// As condition on the rows of a key.
    pub fn cond(list: Vec<Self>, key: i64) -> super::Cond {
        super::Cond::any(list.into_iter().map(|b| super::Cond::Range { key, lo: b.lo, hi: b.hi }).collect())
    }
}

fn above(n: i64) -> Option<i64> {
    n.checked_add(1)
}

fn below(n: i64) -> Option<i64> {
    n.checked_sub(1)
}

/// Rows and what they leave, the sink of extraction.
pub(super) struct Sink<'a> {
    pub place: Place<'a>,
    pub rows: &'a mut Rows,
    pub found: &'a mut Found,
}

impl Sink<'_> {
    pub fn exact(&mut self, form: &str, value: &[&str]) {
        self.rows.exact.push(self.place.exact(form, value));
    }
}
