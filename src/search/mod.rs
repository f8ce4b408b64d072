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
pub mod matches;
pub mod param;
pub mod plan;
pub mod query;
pub mod registry;
pub mod rows;

pub use plan::{Cond, Plan, Sort};
pub use query::Query;
pub use registry::{Param, ParamType, Registry};
pub use rows::{Keys, Rows};

/// What extraction and parsing need to know about this server.
#[derive(Debug, Clone)]
pub struct Env {
    /// FHIR base without a slash at the end: references to it are relative ones.
    pub base: String,
    /// The zone of dates and times that name none.
    pub zone: jiff::tz::TimeZone,
}

impl Env {
    /// An environment in UTC.
    #[must_use]
    pub fn utc(base: &str) -> Self {
        Self { base: base.trim_end_matches('/').into(), zone: jiff::tz::TimeZone::UTC }
    }
}
