//! Search: what a resource is found by, and what a query asks for.
//!
//! Two halves that meet in [`Rows`] and [`Cond`]: extraction turns a resource into rows, parsing turns a query into
//! conditions over those rows; `store/search.rs` turns conditions into SQL. No SQL here, no database.
//! Source: <https://hl7.org/fhir/R4/search.html>.

pub mod plan;
pub mod rows;

pub use plan::{Cond, Plan, Sort};
pub use rows::{Keys, Rows};
