//! The registry: every search parameter of every type, R4's and our own.
//!
//! For: looking a parameter up, listing them for the CapabilityStatement, and holding their compiled expressions.
//! Not for: what a query means (`query/`).
//! Source: <https://hl7.org/fhir/R4/searchparameter-registry.html>.

use super::{Env, Keys, Rows};
use crate::error::Result;
use crate::fhir::{Json, ResourceType, Target};

/// `SearchParameter.type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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
}

/// All parameters of all types.
#[derive(Debug, Clone, Default)]
pub struct Registry {}

impl Registry {
    /// R4's parameters and the embedded ones of `profiles/search`.
    #[must_use]
    pub fn builtin() -> Self {
        Self::default()
    }

    /// R4's parameters and these SearchParameter resources in place of the embedded ones.
    ///
    /// # Errors
    /// `Invalid`, one issue for each resource that cannot be used, with the reason.
    pub fn with_profiles(_profiles: &[Json]) -> Result<Self> {
        Ok(Self::default())
    }

    /// The parameter `code` of a type.
    #[must_use]
    pub fn param(&self, _rtype: ResourceType, _code: &str) -> Option<&Param> {
        None
    }

    /// All parameters of a type, by code.
    pub fn params(&self, _rtype: ResourceType) -> impl Iterator<Item = &Param> {
        std::iter::empty()
    }

    /// What a resource is found by: finished rows, sorted, each once.
    ///
    /// A value that is no value of its type (a date that cannot be read) gives no row; it never fails.
    #[must_use]
    pub fn extract(&self, _keys: &Keys, _resource: &Json, _env: &Env) -> Rows {
        Rows::default()
    }

    /// Resources of this server that `resource` refers to by the parameter; `code` `*`: by any reference parameter.
    #[must_use]
    pub fn references(&self, _resource: &Json, _code: &str, _env: &Env) -> Vec<Target> {
        Vec::new()
    }

    /// `idx` keys of resources of type `source` that refer to `target` by the parameter (`*`: any); for `_revinclude`.
    #[must_use]
    pub fn reference_keys(&self, _keys: &Keys, _source: ResourceType, _code: &str, _target: &Target) -> Vec<i64> {
        Vec::new()
    }
}
