//! From the text of a query to a [`Plan`].
//!
//! For: search by GET and POST, conditional interactions, Bundle entries: all the same code.
//! Source: <https://hl7.org/fhir/R4/search.html>.

use super::{Cond, Env, Keys, Plan, Registry};
use crate::error::{Error, Issue, Result};
use crate::fhir::{ResourceType, Target};

/// `Prefer: handling=…`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Handling {
    /// An unknown parameter or modifier is an error. The default.
    #[default]
    Strict,
    /// It is left out with a warning.
    Lenient,
}

/// `_summary`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Summary {
    /// Whole resources.
    #[default]
    False,
    /// Elements marked as summary.
    True,
    /// Narrative and mandatory elements.
    Text,
    /// Without narrative.
    Data,
    /// Only the number of matches.
    Count,
}

/// `_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Total {
    /// Not asked for.
    #[default]
    None,
    /// A guess is enough.
    Estimate,
    /// Counted.
    Accurate,
}

/// One `_include` or `_revinclude`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Include {
    /// Type that holds the reference; `None` for `*`: any type.
    pub source: Option<ResourceType>,
    /// Code of its reference parameter, or `*`.
    pub param: String,
    /// Type it must lead to.
    pub target: Option<ResourceType>,
    /// `:iterate`: also from included resources.
    pub iterate: bool,
}

/// A parsed search.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// What the store does.
    pub plan: Plan,
    /// `_include`.
    pub includes: Vec<Include>,
    /// `_revinclude`.
    pub revincludes: Vec<Include>,
    /// `_summary`.
    pub summary: Summary,
    /// `_elements`; empty: all.
    pub elements: Vec<String>,
    /// `_total`.
    pub total: Total,
    /// Parameters that were processed, for the self link.
    pub used: Vec<(String, String)>,
    /// Parameters left out (lenient), one issue each.
    pub warnings: Vec<Issue>,
    /// Other types that chains, `_has` and includes read: the caller must be allowed to search them.
    pub touched: Vec<ResourceType>,
}

/// Splits and decodes a raw query string or form body.
///
/// # Errors
/// `Invalid` when a `%` escape is broken or the text is no UTF-8.
pub fn pairs(_raw: &str) -> Result<Vec<(String, String)>> {
    Ok(Vec::new())
}

/// Reads a search. `types`: one, or several for a system search (`_type` narrows them).
///
/// # Errors
/// `Invalid` with one issue for each bad parameter; 422 `too-costly` over a limit.
pub fn parse(
    _registry: &Registry,
    _keys: &Keys,
    _types: &[ResourceType],
    _pairs: &[(String, String)],
    _env: &Env,
    _handling: Handling,
) -> Result<Query> {
    Err(Error::fault("search is not built"))
}

/// Reads the criteria of a conditional interaction: search parameters only, at least one, always strict.
///
/// # Errors
/// As [`parse`].
pub fn criteria(
    _registry: &Registry,
    _keys: &Keys,
    _rtype: ResourceType,
    _pairs: &[(String, String)],
    _env: &Env,
) -> Result<Cond> {
    Err(Error::fault("search is not built"))
}

/// What restricts a search to the compartment of `owner`, for resources of `rtype`; `None` when R4 (and Baton's own rule
/// for `Task.for`) puts no resource of that type there.
#[must_use]
pub fn compartment(_registry: &Registry, _keys: &Keys, _owner: &Target, _rtype: ResourceType) -> Option<Cond> {
    None
}
