//! Writes `src/search/registry/r4.tsv` and `compartments.tsv` from the official R4 definitions.
//!
//!     BATON_TEST_DATA=… cargo run --example search_parameters [OUT_DIR]
//!
//! Columns of `r4.tsv`: base types, code, type, canonical URL (after `http://hl7.org/fhir/SearchParameter/`), expression,
//! target types (`*`: all), components of a composite (`expression` of each with the parameter it is defined by), and the
//! code systems of `code` elements by base type (`*`: each), whose system is implied by a required binding. Facts only, no prose.
//! Columns of `compartments.tsv`: compartment type, resource type, parameters.
//! Prints each path that the R4 structure does not have.

// A tool: it stops where the definitions are not what they should be.
#![allow(clippy::expect_used, clippy::panic)]

use baton::fhir::fhirpath::{Expr, Step};
use baton::fhir::resource::RESOURCE_TYPES;
use flate2::read::GzDecoder;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{BufRead, BufReader};
use std::path::Path;

const PREFIX: &str = "http://hl7.org/fhir/SearchParameter/";

fn main() {
    let Ok(data) = std::env::var("BATON_TEST_DATA") else {
        eprintln!("BATON_TEST_DATA names no directory");
        std::process::exit(2);
    };
    let out = std::env::args().nth(1).unwrap_or_else(|| "src/search/registry".into());
    let source = Path::new(&data).join("r4-definitions");
    std::fs::write(Path::new(&out).join("r4.tsv"), parameters(&source)).expect("r4.tsv is written");
    std::fs::write(Path::new(&out).join("compartments.tsv"), compartments(&source))
        .expect("compartments.tsv is written");
}

fn read(path: &Path) -> Vec<Value> {
    let file = std::fs::File::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let lines = BufReader::new(GzDecoder::new(file)).lines();
    lines.map(|line| serde_json::from_str(&line.expect("a line")).expect("JSON")).collect()
}

fn list(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

fn parameters(source: &Path) -> String {
    let structures = Structures::read(source);
    let mut rows: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    for sp in read(&source.join("searchparameters.ndjson.gz")) {
        let bases = list(&sp["base"]);
        let url = sp["url"].as_str().unwrap_or_default();
        // Ten parameters of CodeSystem and ValueSet have no base and no expression, and `Resource-id` and
        // `Condition-subject` come a second time from examples: neither can be meant.
        if bases.is_empty() || !url.starts_with(PREFIX) {
            eprintln!("left out: {url} {} {}", sp["code"], sp["expression"]);
            continue;
        }
        let expression = sp["expression"].as_str().unwrap_or_default().replace("DateTime", "dateTime");
        let mut targets = list(&sp["target"]);
        if targets.len() >= RESOURCE_TYPES.len() - 2 {
            targets = vec!["*"];
        }
        let components = sp["component"].as_array().into_iter().flatten().map(|c| {
            let definition = c["definition"].as_str().unwrap_or_default().trim_start_matches(PREFIX);
            format!("{definition}={}", c["expression"].as_str().unwrap_or_default().replace("DateTime", "dateTime"))
        });
        let components = components.collect::<Vec<_>>().join(";");
        let mut systems = Vec::new();
        for base in &bases {
            let found = structures.check(base, &expression, url);
            if sp["type"] == "token" && !found.is_empty() {
                systems.push((*base, found.into_iter().collect::<Vec<_>>().join(",")));
            }
        }
        let same = systems.len() == bases.len() && systems.windows(2).all(|w| w[0].1 == w[1].1);
        systems.truncate(if same { 1 } else { usize::MAX });
        let systems = systems.into_iter().map(|(base, list)| format!("{}={list}", if same { "*" } else { base }));
        let code = sp["code"].as_str().unwrap_or_default();
        let cells = vec![
            bases.join(","),
            code.into(),
            sp["type"].as_str().unwrap_or_default().into(),
            url.trim_start_matches(PREFIX).into(),
            expression,
            targets.join(","),
            components,
            systems.collect::<Vec<_>>().join(";"),
        ];
        let key = (code.to_string(), bases.join(","));
        if let Some(had) = rows.get(&key) {
            eprintln!("twice: {had:?} {cells:?}");
            continue;
        }
        rows.insert(key, cells);
    }
    let mut out = String::new();
    for cells in rows.values() {
        assert!(!cells.iter().any(|cell| cell.contains(['\t', '\n'])), "{cells:?}");
        out.push_str(&cells.join("\t"));
        out.push('\n');
    }
    out
}

fn compartments(source: &Path) -> String {
    let mut out = String::new();
    for definition in read(&source.join("compartmentdefinitions.ndjson.gz")) {
        let owner = definition["code"].as_str().unwrap_or_default();
        if definition["url"] != format!("http://hl7.org/fhir/CompartmentDefinition/{}", owner.to_lowercase()) {
            continue; // an example
        }
        for resource in definition["resource"].as_array().into_iter().flatten() {
            let params = list(&resource["param"]);
            if !params.is_empty() {
                let rtype = resource["code"].as_str().unwrap_or_default();
                out.push_str(&format!("{owner}\t{rtype}\t{}\n", params.join(",")));
            }
        }
    }
    out
}

/// Elements of all types, and the systems of all value sets.
struct Structures {
    elements: HashMap<String, Value>,
    value_sets: HashMap<String, Value>,
}

impl Structures {
    fn read(source: &Path) -> Self {
        let mut elements = HashMap::new();
        for sd in read(&source.join("structuredefinitions.ndjson.gz")) {
            if sd["derivation"] == "constraint" {
                continue;
            }
            for element in sd["snapshot"]["element"].as_array().into_iter().flatten() {
                elements.insert(element["path"].as_str().unwrap_or_default().to_string(), element.clone());
            }
        }
        let value_sets = read(&source.join("valuesets.ndjson.gz"));
        let value_sets =
            value_sets.into_iter().map(|v| (v["url"].as_str().unwrap_or_default().to_string(), v)).collect();
        Self { elements, value_sets }
    }

    /// Checks the paths of `expression` that begin with `base`; gives the systems of its `code` elements.
    fn check(&self, base: &str, expression: &str, url: &str) -> BTreeSet<String> {
        let mut systems = BTreeSet::new();
        if expression.is_empty() {
            return systems;
        }
        let parts = match Expr::parse(expression) {
            Ok(expr) => expr.alternatives(),
            Err(e) => panic!("{url}: {e}: {expression}"),
        };
        for part in parts.iter().filter(|p| p.root() == Some(base)) {
            let Expr::Path(_, steps) = part else { continue };
            let mut at = base.to_string();
            for step in steps {
                let (name, rtype) = match step {
                    Step::Member(name) => (name, None),
                    Step::Choice(name, _, rtype) => (name, Some(rtype)),
                    Step::Extension(_) => break,
                    _ => continue,
                };
                match self.child(&at, name) {
                    Some(path) => {
                        let types = self.types(&path);
                        if let Some(rtype) = rtype
                            && !types.iter().any(|t| t.eq_ignore_ascii_case(rtype))
                        {
                            eprintln!("no such choice: {url}: {path} as {rtype}, has {types:?}");
                        }
                        self.beware(&at, name, &path);
                        at = path;
                    }
                    None => eprintln!("no such path: {url}: {at}.{name}"),
                }
            }
            let element = &self.elements[&at];
            if self.types(&at).iter().any(|t| t == "code") && element["binding"]["strength"] == "required" {
                let set = element["binding"]["valueSet"].as_str().unwrap_or_default();
                self.systems(set.split('|').next().unwrap_or_default(), &mut systems);
            }
        }
        systems
    }

    /// A plain element must not be taken for a choice when it is absent: `status` beside `statusCode`.
    fn beware(&self, at: &str, name: &str, path: &str) {
        if path.ends_with("[x]") {
            return;
        }
        let parent = path.rsplit_once('.').map_or(at, |(parent, _)| parent);
        let prefix = format!("{parent}.{name}");
        for other in self.elements.keys() {
            if let Some(suffix) = other.strip_prefix(&prefix)
                && baton::fhir::fhirpath::is_datatype(suffix)
            {
                eprintln!("looks like a choice: {prefix} and {other}");
            }
        }
    }

    fn types(&self, path: &str) -> Vec<String> {
        let types = self.elements[path]["type"].as_array();
        types.into_iter().flatten().filter_map(|t| t["code"].as_str().map(Into::into)).collect()
    }

    /// The path of a child: in the type itself, behind a content reference, or in the datatype.
    fn child(&self, at: &str, name: &str) -> Option<String> {
        let mut parents = vec![at.to_string()];
        if let Some(element) = self.elements.get(at) {
            parents.extend(element["contentReference"].as_str().map(|r| r.trim_start_matches('#').to_string()));
            parents.extend(self.types(at));
        }
        parents
            .iter()
            .flat_map(|p| [format!("{p}.{name}"), format!("{p}.{name}[x]")])
            .find(|p| self.elements.contains_key(p))
    }

    fn systems(&self, set: &str, out: &mut BTreeSet<String>) {
        let Some(set) = self.value_sets.get(set) else { return eprintln!("unknown value set: {set}") };
        for include in set["compose"]["include"].as_array().into_iter().flatten() {
            out.extend(include["system"].as_str().map(Into::into));
            for inner in list(&include["valueSet"]) {
                self.systems(inner, out);
            }
        }
    }
}
