//! Baton: a FHIR R4 server that carries a patient's medicines from hospital to community pharmacy.

pub mod access;
pub mod auth;
pub mod cli;
pub mod clock;
pub mod config;
pub mod conformance;
pub mod error;
pub mod fhir;
pub mod http;
pub mod interaction;
pub mod outbound;
pub mod search;
pub mod store;
pub mod telemetry;
pub mod worker;
pub mod workflow;
