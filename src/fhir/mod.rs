//! FHIR R4 as data: JSON that loses nothing, types, dates, structure tables, validation, OperationOutcome.
//!
//! Knows no database, no caller and no HTTP.

pub mod json;
pub mod resource;

pub use json::Json;
pub use resource::{ResourceType, Target};
