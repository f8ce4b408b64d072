//! The REST API's rules, each as one short story over HTTP. The fifteen corners of `fhir-edges` that separate servers.

mod background;
pub mod claims;
mod conditional;
mod edges;
mod envelope;
mod history;
mod includes;
mod lifecycle;
mod limits;
mod meta;
mod operations;
mod pages;
mod patch;
mod prefer;
mod profiles;
mod provenance;
mod reading;
mod references;
mod referrers;
mod remote;
mod terminology;
mod transaction;
mod validate;
mod walls;
mod wire;

use serde_json::{Value, json};

/// A Patient with a business identifier.
fn patient(number: &str) -> Value {
    json!({"resourceType": "Patient", "identifier": [{"system": "http://rest.example/mrn", "value": number}]})
}

/// A Bundle of type transaction.
fn transaction(entries: &[Value]) -> Value {
    json!({"resourceType": "Bundle", "type": "transaction", "entry": entries})
}

/// `response` of an entry.
fn response(bundle: &Value, entry: usize) -> &Value {
    &bundle["entry"][entry]["response"]
}

/// `Type/id` of an entry's location.
fn place(bundle: &Value, entry: usize) -> String {
    let location = response(bundle, entry)["location"].as_str().unwrap_or_else(|| panic!("no location: {bundle:#}"));
    let path = location.split("/_history").next().expect("a path");
    let mut parts = path.rsplit('/');
    let (id, kind) = (parts.next().expect("an id"), parts.next().expect("a type"));
    format!("{kind}/{id}")
}

/// URL of a link of a Bundle.
fn link(bundle: &Value, relation: &str) -> Option<String> {
    let links = bundle["link"].as_array()?;
    links.iter().find(|l| l["relation"] == relation)?["url"].as_str().map(str::to_owned)
}
