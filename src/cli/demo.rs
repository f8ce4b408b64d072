//! `baton demo`: the whole product on loopback, with a story that plays itself.

mod samples;
mod transcript;

pub use samples::{DISCHARGES, Discharge, SEED};
