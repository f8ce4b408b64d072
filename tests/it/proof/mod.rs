//! The laws against crowds, crashes and real data.

mod durable;
mod exactly_once;
mod lost;
mod real_data;
mod reconciled;
mod schema;
