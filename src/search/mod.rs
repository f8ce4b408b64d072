//! Search: what a resource is found by, and what a query asks for.
//!
//! Two halves that meet in [`Rows`] and [`Cond`]: extraction ([`Registry::extract`]) turns a resource into rows, parsing
//! ([`query::parse`]) turns a query into conditions over those rows; `store/search.rs` turns conditions into SQL.
//! No SQL here, no database.
//! Source: <https://hl7.org/fhir/R4/search.html>.

#[cfg(test)]
mod corpus;
mod extract;
pub mod fold;
pub mod fulltext;
pub mod keys;
pub mod live;
pub mod matches;
pub mod param;
pub mod plan;
pub mod query;
pub mod registry;
pub mod rows;
pub mod terminology;

pub use keys::Keys;
pub use live::{Active, Live};
pub use plan::{Cond, Plan, Sort};
pub use query::Query;
pub use registry::{Param, ParamType, Registry};
pub use rows::Rows;

/// What extraction and parsing need to know about this server.
#[derive(Debug, Clone)]
pub struct Env {
    /// FHIR base without a slash at the end: references to it are relative ones.
    pub base: String,
    /// The zone of dates and times that name none.
    pub zone: jiff::tz::TimeZone,
    /// How much a query may ask for.
    pub caps: Caps,
}

/// How much one query may ask for; over it is 400 `too-costly`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caps {
    /// Rows a page when the query does not say.
    pub count_default: usize,
    /// Rows a page at most.
    pub count_max: usize,
    /// Search parameters.
    pub parameters: usize,
    /// Values (comma) of one parameter.
    pub values: usize,
    /// Steps of a chain.
    pub chain: usize,
    /// `_has` inside each other.
    pub has: usize,
}

impl Default for Caps {
    fn default() -> Self {
        Self { count_default: 50, count_max: 1_000, parameters: 32, values: 100, chain: 3, has: 2 }
    }
}

impl Env {
    /// An environment in UTC.
    #[must_use]
    pub fn utc(base: &str) -> Self {
        Self { base: base.trim_end_matches('/').into(), zone: jiff::tz::TimeZone::UTC, caps: Caps::default() }
    }

    /// The same server with another zone.
    #[must_use]
    pub fn in_zone(&self, zone: jiff::tz::TimeZone) -> Self {
        Self { zone, ..self.clone() }
    }
}
