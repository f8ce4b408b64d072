//! Baton as its users meet it: a real server process on loopback, a real database, plain HTTP.
//!
//! `journey` tells the programme as stories, `proof` holds the laws against crowds, crashes and real data, `tidy` the
//! house rules. Every story runs on SQLite and on PostgreSQL; `harness` says where a PostgreSQL comes from.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test ends where things are not as it says"
)]

#[macro_use]
mod harness;
mod attack;
mod audit;
mod check;
mod conformance;
mod guides;
mod journey;
mod proof;
mod rest;
mod search;
mod smart;
mod store;
mod subscription;
mod tidy;
mod worker;
