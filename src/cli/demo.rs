//! `baton demo`: the whole product on loopback, with a story that plays itself.

mod api;
mod samples;
mod story;
mod transcript;

pub use samples::{DISCHARGES, Discharge, SEED};
