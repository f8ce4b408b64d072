//! Search against a brute-force oracle that shares no code with the server.
//!
//! `oracle.rs` says what must match, by looking at every resource; `generate.rs` makes resources and queries out of small
//! pools, so that matches, near misses and missing values are all frequent.

mod agree;
mod generate;
mod oracle;
