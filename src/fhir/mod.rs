//! FHIR R4 as data: JSON that loses nothing, types, dates, structure tables, validation, OperationOutcome.
//!
//! Knows no database, no caller and no HTTP.

pub mod bundle;
pub mod date;
pub mod definition;
pub mod fhirpath;
pub mod json;
pub mod meta;
pub mod outcome;
pub mod patch;
pub mod path;
pub mod primitive;
pub mod profile;
pub mod resource;
pub mod scrutiny;
pub mod unit;
pub mod validate;
pub mod xhtml;

pub use json::Json;
pub use resource::{ResourceType, Target};
