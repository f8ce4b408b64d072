//! Search against a brute-force oracle that shares no code with the server.
//!
//! `oracle.rs` says what must match, by looking at every resource; `generate.rs` makes resources and queries out of small
//! pools, so that matches, near misses and missing values are all frequent; `agree.rs` compares. `rules.rs`, `chains.rs`, `canonical.rs`,
//! `order.rs`, `places.rs` and `us_core.rs` are tables.

mod agree;
mod canonical;
mod chains;
mod edges;
mod generate;
mod oracle;
mod order;
mod places;
mod rules;
mod us_core;

use serde_json::Value;

/// The URL of a link of a page.
fn link(page: &Value, relation: &str) -> Option<String> {
    let links = page["link"].as_array()?;
    links.iter().find(|l| l["relation"] == relation)?["url"].as_str().map(str::to_owned)
}
