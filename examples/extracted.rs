//! What resources are indexed by, for comparing with another FHIRPath engine (`tests/clients/extraction.py`).
//!
//!     cargo run --example extracted < resources.ndjson
//!
//! Reads one resource a line from standard input, writes one line each: an object of parameter code → array of the values
//! (JSON) that the parameter is indexed by. Parameters of R4 only; `null` for those that are no index (`_id`, `near`).

#![allow(clippy::expect_used, reason = "a tool: it stops where its input is not what it should be")]

use baton::fhir::json::write_string;
use baton::fhir::{ResourceType, json};
use baton::search::{Env, Registry};
use std::io::{BufRead, Write};

fn main() {
    let (registry, env) = (Registry::builtin(), Env::utc("http://own.example/fhir"));
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for line in std::io::stdin().lock().lines() {
        let resource = json::parse(line.expect("a line").as_bytes()).expect("a resource");
        let rtype = ResourceType::parse(resource["resourceType"].text()).expect("a type of R4");
        let mut text = vec![b'{'];
        for param in registry.params(rtype).filter(|p| p.url.starts_with("http://hl7.org/fhir/")) {
            if text.len() > 1 {
                text.push(b',');
            }
            write_string(&param.code, &mut text);
            match registry.values(&resource, param, &env) {
                Some(values) => text.extend(format!(":[{}]", values.join(",")).as_bytes()),
                None => text.extend(b":null"),
            }
        }
        text.extend(b"}\n");
        out.write_all(&text).expect("written");
    }
}
