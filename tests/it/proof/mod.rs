//! The laws against crowds, crashes and real data.

mod durable;
mod exactly_once;
mod laws;
mod lost;
mod property;
mod real_data;
mod reconciled;
mod schema;
