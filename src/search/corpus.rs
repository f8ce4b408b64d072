//! Extraction over real data: every resource of the official examples and the Synthea patients.

use super::{Env, Keys, Registry};
use crate::fhir::{Json, json};
use flate2::read::GzDecoder;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::time::{Duration, Instant};

fn lines(path: &Path) -> Vec<Json> {
    let file = std::fs::File::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let lines = BufReader::new(GzDecoder::new(file)).lines();
    lines.filter_map(|line| json::parse(line.unwrap().as_bytes()).ok()).collect()
}

#[derive(Default)]
struct Sum {
    resources: usize,
    exact: usize,
    range: usize,
    text: usize,
    facts: usize,
    took: Duration,
}

impl Sum {
    fn print(&self, name: &str) {
        let n = self.resources.max(1);
        let each = |sum: usize| format!("{}.{}", sum / n, sum * 10 / n % 10);
        println!(
            "{name:28} {:6} resources: {:>5} idx {:>4} idx_range {:>4} idx_text rows, {:>4} bytes of facts, {:>5.1} us each",
            self.resources,
            each(self.exact),
            each(self.range),
            each(self.text),
            self.facts / n,
            self.took.as_secs_f64() * 1e6 / f64::from(u32::try_from(n).unwrap())
        );
    }
}

/// Prints rows and time by file and type: `cargo test --lib search::corpus -- --nocapture`.
#[test]
fn real_resources_give_rows() {
    let Some(data) = std::env::var_os("BATON_TEST_DATA") else {
        println!("skipped: BATON_TEST_DATA is not set");
        return;
    };
    let (registry, keys, env) = (Registry::builtin(), Keys(1, 2), Env::utc("http://own.example/fhir"));
    for name in [
        "r4-examples.ndjson.gz",
        "discharges.ndjson.gz",
        "synthea/patients-2019.ndjson.gz",
        "synthea/patients-2025.ndjson.gz",
    ] {
        let mut by_type: BTreeMap<String, Sum> = BTreeMap::new();
        let mut all = Sum::default();
        for top in lines(&Path::new(&data).join(name)) {
            let entries: Vec<&Json> = match top["type"].text() {
                "transaction" => top["entry"].items().iter().map(|e| &e["resource"]).collect(),
                _ => vec![&top],
            };
            for resource in entries {
                let started = Instant::now();
                let rows = registry.extract(&keys, resource, &env);
                let took = started.elapsed();
                assert!(!rows.exact.is_empty());
                assert!(json::parse(rows.facts.as_bytes()).is_ok(), "{} {}", resource["resourceType"], rows.facts);
                assert!(rows.range.iter().all(|(_, lo, hi)| lo <= hi || rows.range.len() > 1));
                for sum in [&mut all, by_type.entry(resource["resourceType"].text().into()).or_default()] {
                    sum.resources += 1;
                    sum.exact += rows.exact.len();
                    sum.range += rows.range.len();
                    sum.text += rows.text.len();
                    sum.facts += rows.facts.len();
                    sum.took += took;
                }
            }
        }
        assert!(all.resources > 0, "{name}");
        all.print(name);
        if !name.starts_with("r4") {
            by_type.iter().for_each(|(rtype, sum)| sum.print(rtype));
        }
    }
}
