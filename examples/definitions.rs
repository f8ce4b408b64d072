//! Writes the tables of `src/fhir/definition` from the official R4 4.0.1 definitions.
//!
//! For: whoever changes what the tables hold. `cargo run --example definitions -- DATA [OUT]`, with DATA the folder that
//! has `r4-definitions/*.ndjson.gz` and OUT `src/fhir/definition` unless named. A unit test compares tables and tool.
//! Not for: search parameters.
//!
//! `elements.tsv`: a line `@name<TAB>base` opens a type; each line below is one element of its own (not of its base):
//! path, min..max, types, value set of a required binding, `s` when it is in the summary. Types are parted by spaces;
//! `Reference(A|B)` and `canonical(A|B)` name targets; `#path` is a content reference.
//! `codes.tsv`: value set, code system, codes. Value sets that need a system outside the package (UCUM, LOINC) are not in it,
//! and an element bound to one has no binding; those of BCP 13 and ISO 4217 are in `outside.rs`.
//! `concepts.tsv`: a line `@url<TAB>name<TAB>version<TAB>hierarchy meaning` opens a code system of `codes.tsv`; each line
//! below is one concept: depth, code, display, and marks: `abstract`, `retired`, `>CODE` for a child that stands elsewhere.
//! `profiles.ndjson`: R4's own profiles and extensions, a StructureDefinition a line, of each what `src/fhir/profile`
//! compiles: the differential without its prose and without bindings that are only a hint.
//! `invariants.tsv`: path, key, severity, human text, FHIRPath expression of each constraint, where it is defined: not again on what
//! inherits it, and not on each element of the type that has it.

use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::error::Error;
use std::fmt::Write;
use std::io::Read;
use std::path::Path;

type Result<T> = std::result::Result<T, Box<dyn Error>>;
/// Code system → its codes in order.
type Expansion = BTreeMap<String, Vec<String>>;

/// Value sets of systems outside the package that `src/fhir/definition/outside.rs` knows.
const OUTSIDE: [&str; 4] = ["LL379-9", "currencies", "mimetypes", "ucum-units"];

/// Value sets that the programme asks for although no element is bound to them as required.
const ALSO: [&str; 1] = ["http://hl7.org/fhir/ValueSet/detectedissue-category"];

/// The tables as text.
pub struct Tables {
    /// `elements.tsv`
    pub elements: String,
    /// `codes.tsv`
    pub codes: String,
    /// `concepts.tsv`
    pub concepts: String,
    /// `profiles.ndjson`
    pub profiles: String,
    /// `invariants.tsv`
    pub invariants: String,
}

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let data = args.next().or_else(|| std::env::var("BATON_TEST_DATA").ok()).ok_or("usage: definitions DATA [OUT]")?;
    let out = args.next().unwrap_or_else(|| "src/fhir/definition".into());
    let tables = tables(Path::new(&data))?;
    std::fs::write(Path::new(&out).join("elements.tsv"), tables.elements)?;
    std::fs::write(Path::new(&out).join("codes.tsv"), tables.codes)?;
    std::fs::write(Path::new(&out).join("concepts.tsv"), tables.concepts)?;
    std::fs::write(Path::new(&out).join("profiles.ndjson"), tables.profiles)?;
    std::fs::write(Path::new(&out).join("invariants.tsv"), tables.invariants)?;
    Ok(())
}

/// Reads the definitions below `data` and makes both tables.
pub fn tables(data: &Path) -> Result<Tables> {
    let structures = read(data, "structuredefinitions")?;
    let by_url = |list: Vec<Value>| -> HashMap<String, Value> {
        list.into_iter().map(|v| (text(&v, "url").to_owned(), v)).collect()
    };
    let terms = Terms { sets: by_url(read(data, "valuesets")?), systems: by_url(read(data, "codesystems")?) };
    let mut used = BTreeMap::new();
    for url in ALSO {
        used.insert(set_name(url), terms.expand(url).ok_or(url)?);
    }
    let elements = elements(&structures, &terms, &mut used)?;
    let (mut codes, mut concepts) = (String::new(), String::new());
    let mut systems = BTreeSet::new();
    for (name, expansion) in used {
        for (system, list) in expansion {
            writeln!(codes, "{name}\t{system}\t{}", list.join("\t"))?;
            systems.insert(system);
        }
    }
    for system in systems.iter().filter_map(|url| terms.systems.get(url)) {
        let (url, name, version) = (text(system, "url"), text(system, "name"), text(system, "version"));
        writeln!(concepts, "@{url}\t{name}\t{version}\t{}", text(system, "hierarchyMeaning"))?;
        write_concepts(&mut concepts, list(system, "concept"), 0)?;
    }
    let mut profiles = String::new();
    for definition in read(data, "profiles-extensions")? {
        if let Some(kept) = profile(&definition) {
            writeln!(profiles, "{kept}")?;
        }
    }
    Ok(Tables { elements, codes, concepts, profiles, invariants: invariants(&structures)? })
}

fn write_concepts(out: &mut String, concepts: &[Value], depth: usize) -> Result<()> {
    for concept in concepts {
        let mut marks = Vec::new();
        for property in list(concept, "property") {
            match text(property, "code") {
                "notSelectable" if property["valueBoolean"] == true => marks.push("abstract".to_owned()),
                "status" if text(property, "valueCode") == "retired" => marks.push("retired".to_owned()),
                "child" => marks.push(format!(">{}", text(property, "valueCode"))),
                _ => {}
            }
        }
        let display = text(concept, "display").split_whitespace().collect::<Vec<_>>().join(" ");
        writeln!(out, "{depth}\t{}\t{display}\t{}", text(concept, "code"), marks.join(" "))?;
        write_concepts(out, list(concept, "concept"), depth + 1)?;
    }
    Ok(())
}

/// What is kept of a profile or extension; `None` for one that narrows nothing.
fn profile(definition: &Value) -> Option<Value> {
    if text(definition, "derivation") != "constraint" {
        return None;
    }
    let elements: Vec<Value> = list(&definition["differential"], "element").iter().map(element_kept).collect();
    let mut kept = json!({"resourceType": "StructureDefinition"});
    for name in ["url", "version", "kind", "type", "baseDefinition", "derivation", "context"] {
        if !definition[name].is_null() {
            kept[name] = definition[name].clone();
        }
    }
    // R4's own definitions have it on the type itself; its context was mended after R4.
    if text(definition, "url") == "http://hl7.org/fhir/StructureDefinition/structuredefinition-fhir-type" {
        kept["context"] = json!([{"type": "element", "expression": "ElementDefinition.type"}]);
    }
    kept["differential"] = json!({ "element": elements });
    Some(kept)
}

fn element_kept(element: &Value) -> Value {
    let values = ["fixed", "pattern", "minValue", "maxValue"];
    let mut kept = json!({});
    for (name, value) in element.as_object().into_iter().flatten() {
        let is_kept = matches!(name.as_str(), "id" | "path" | "sliceName" | "min" | "max" | "type" | "maxLength")
            || values.iter().any(|v| name.starts_with(v));
        if is_kept {
            kept[name] = value.clone();
        }
        match name.as_str() {
            "binding" if matches!(text(value, "strength"), "required" | "extensible") => {
                kept[name] = json!({"strength": value["strength"], "valueSet": value["valueSet"]});
            }
            "slicing" => {
                kept[name] = value.clone();
                if let Some(slicing) = kept[name].as_object_mut() {
                    slicing.remove("description");
                }
            }
            "constraint" => {
                let one = |c: &Value| json!({"key": c["key"], "severity": c["severity"], "human": c["human"], "expression": c["expression"]});
                kept[name] = value.as_array().into_iter().flatten().map(one).collect();
            }
            _ => {}
        }
    }
    kept
}

/// Constraints by the path that they are defined on, in order of types; each once.
fn invariants(structures: &[Value]) -> Result<String> {
    let own: BTreeMap<&str, &Value> = structures
        .iter()
        .filter(|s| matches!(text(s, "kind"), "resource" | "complex-type") && text(s, "derivation") != "constraint")
        .map(|s| (text(s, "name"), s))
        .collect();
    let of = |structure: &Value| -> Vec<(String, [String; 4])> {
        let mut found = Vec::new();
        for element in list(&structure["snapshot"], "element") {
            let path = text(element, "path");
            let below = path.split_once('.').map_or("", |(_, below)| below).to_owned();
            for c in list(element, "constraint") {
                let column = |name: &str| text(c, name).split_whitespace().collect::<Vec<_>>().join(" ");
                found.push((below.clone(), ["key", "severity", "human", "expression"].map(column)));
            }
        }
        found
    };
    let mut out = String::new();
    for (name, structure) in &own {
        let inherited = own.get(last(text(structure, "baseDefinition"))).map(|base| of(base)).unwrap_or_default();
        for (below, columns) in of(structure) {
            // Every element says again what Element (and an extension what Extension) has at its root.
            let repeated = matches!((columns[0].as_str(), below.as_str()), ("ele-1" | "ext-1", below) if !below.is_empty())
                || columns[3].is_empty()
                || inherited.iter().any(|(path, other)| *path == below && other == &columns);
            if !repeated {
                let path = if below.is_empty() { (*name).to_owned() } else { format!("{name}.{below}") };
                writeln!(out, "{path}\t{}", columns.join("\t"))?;
            }
        }
    }
    Ok(out)
}

fn read(data: &Path, name: &str) -> Result<Vec<Value>> {
    let path = data.join("r4-definitions").join(format!("{name}.ndjson.gz"));
    let mut lines = String::new();
    flate2::read::MultiGzDecoder::new(std::fs::File::open(&path)?).read_to_string(&mut lines)?;
    lines.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

/// `http://hl7.org/fhir/ValueSet/task-status|4.0.1` → `task-status`.
fn set_name(url: &str) -> String {
    last(url.split('|').next().unwrap_or(url)).to_owned()
}

fn last(url: &str) -> &str {
    url.rsplit('/').next().unwrap_or(url)
}

fn elements(structures: &[Value], terms: &Terms, used: &mut BTreeMap<String, Expansion>) -> Result<String> {
    let own: BTreeMap<&str, &Value> = structures
        .iter()
        .filter(|s| matches!(text(s, "kind"), "resource" | "complex-type"))
        .map(|s| (text(s, "name"), s))
        .collect();
    let mut out = String::new();
    for (name, structure) in &own {
        let base = last(text(structure, "baseDefinition"));
        writeln!(out, "@{name}\t{base}")?;
        // What the base says already, by path below the type; also for elements inside backbone elements.
        let inherited = |base: &str| -> BTreeSet<String> {
            own.get(base)
                .map(|b| rows(b, terms, &mut BTreeMap::new()))
                .unwrap_or_default()
                .into_iter()
                .map(|r| r.1)
                .collect()
        };
        let (of_type, of_backbone) = (inherited(base), inherited("BackboneElement"));
        for (path, row) in rows(structure, terms, used) {
            // `x.id`, `x.extension`, `x.modifierExtension` come with the type of `x`.
            let inner = path.rsplit_once('.').map(|(_, name)| row.replacen(&path, name, 1));
            if of_type.contains(&row) || inner.is_some_and(|row| of_backbone.contains(&row)) {
                continue;
            }
            writeln!(out, "{row}")?;
        }
    }
    Ok(out)
}

/// Path and line of each element but the first, which is the type itself.
fn rows(structure: &Value, terms: &Terms, used: &mut BTreeMap<String, Expansion>) -> Vec<(String, String)> {
    let mut rows = Vec::new();
    for element in list(&structure["snapshot"], "element") {
        let Some((_, path)) = text(element, "path").split_once('.') else { continue };
        let mut types: Vec<String> = list(element, "type").iter().map(|t| type_name(path, t)).collect();
        if let Some(reference) = element["contentReference"].as_str() {
            types.push(reference.to_owned());
        }
        let binding = &element["binding"];
        let mut set = String::new();
        if text(binding, "strength") == "required" {
            let name = set_name(text(binding, "valueSet"));
            if let Some(expansion) = terms.expand(text(binding, "valueSet")) {
                used.insert(name.clone(), expansion);
                set = name;
            } else if OUTSIDE.contains(&name.as_str()) {
                set = name;
            }
        }
        let summary = if element["isSummary"] == true { "s" } else { "" };
        let (min, max) = (&element["min"], text(element, "max"));
        let row = format!("{path}\t{min}..{max}\t{}\t{set}\t{summary}", types.join(" "));
        rows.push((path.to_owned(), row.trim_end().to_owned()));
    }
    rows
}

fn type_name(path: &str, t: &Value) -> String {
    let code = text(t, "code");
    let targets: BTreeSet<&str> =
        list(t, "targetProfile").iter().filter_map(Value::as_str).map(last).filter(|n| *n != "Resource").collect();
    let targets: Vec<&str> = targets.into_iter().collect();
    match code {
        // A FHIRPath type: id of resources (declared string, an id in fact), id of elements, url of extensions.
        "http://hl7.org/fhirpath/System.String" if path == "url" => "uri".into(),
        "http://hl7.org/fhirpath/System.String" => "string".into(),
        "Quantity" if list(t, "profile").iter().any(|p| p.as_str().is_some_and(|p| p.ends_with("/SimpleQuantity"))) => {
            "SimpleQuantity".into()
        }
        _ if targets.is_empty() => code.to_owned(),
        _ => format!("{code}({})", targets.join("|")),
    }
}

struct Terms {
    sets: HashMap<String, Value>,
    systems: HashMap<String, Value>,
}

impl Terms {
    /// All codes of a value set; `None` when that takes a code system outside the package.
    fn expand(&self, url: &str) -> Option<Expansion> {
        let compose = &self.sets.get(url.split('|').next()?)?["compose"];
        let mut all = Expansion::new();
        for include in list(compose, "include") {
            for (system, codes) in self.part(include)? {
                let into = all.entry(system).or_default();
                for code in codes {
                    if !into.contains(&code) {
                        into.push(code);
                    }
                }
            }
        }
        for exclude in list(compose, "exclude") {
            for (system, codes) in self.part(exclude)? {
                all.entry(system).or_default().retain(|code| !codes.contains(code));
            }
        }
        all.retain(|_, codes| !codes.is_empty());
        (!all.is_empty()).then_some(all)
    }

    /// What one include (or exclude) names: the codes that its system part and each of its value sets have in common.
    fn part(&self, include: &Value) -> Option<Expansion> {
        let mut parts = Vec::new();
        if let Some(system) = include["system"].as_str() {
            parts.push(Expansion::from([(system.to_owned(), self.of_system(system, include)?)]));
        }
        for set in list(include, "valueSet") {
            parts.push(self.expand(set.as_str()?)?);
        }
        let mut parts = parts.into_iter();
        let mut common = parts.next()?;
        for other in parts {
            common.retain(|system, codes| {
                codes.retain(|code| other.get(system).is_some_and(|o| o.contains(code)));
                !codes.is_empty()
            });
        }
        Some(common)
    }

    fn of_system(&self, system: &str, include: &Value) -> Option<Vec<String>> {
        let named = list(include, "concept");
        if !named.is_empty() {
            return Some(named.iter().map(|c| text(c, "code").to_owned()).collect());
        }
        let tree = Tree::of(self.systems.get(system).filter(|s| text(s, "content") == "complete")?);
        let mut codes = tree.codes.clone();
        for filter in list(include, "filter") {
            let (property, op, value) = (text(filter, "property"), text(filter, "op"), text(filter, "value"));
            let below = match (property, op) {
                ("concept", "is-a") => tree.below(value, true),
                ("concept", "descendent-of") => tree.below(value, false),
                ("concept", "is-not-a") => {
                    let not = tree.below(value, true);
                    tree.codes.iter().filter(|c| !not.contains(*c)).cloned().collect()
                }
                _ => return None,
            };
            codes.retain(|code| below.contains(code));
        }
        Some(codes)
    }
}

/// A code system's codes in order and who is below whom. The v3 tables are polyhierarchies: a concept stands nested under
/// one parent, and further parents name it by the property `child`, or it names them by `subsumedBy` or `parent`.
struct Tree {
    codes: Vec<String>,
    children: HashMap<String, BTreeSet<String>>,
}

impl Tree {
    fn of(system: &Value) -> Self {
        let mut tree = Self { codes: Vec::new(), children: HashMap::new() };
        tree.add(list(system, "concept"), None);
        tree
    }

    fn add(&mut self, concepts: &[Value], parent: Option<&str>) {
        for concept in concepts {
            let code = text(concept, "code").to_owned();
            self.codes.push(code.clone());
            if let Some(parent) = parent {
                self.children.entry(parent.to_owned()).or_default().insert(code.clone());
            }
            for property in list(concept, "property") {
                let Some(value) = property["valueCode"].as_str().or(property["valueString"].as_str()) else { continue };
                let (above, under) = match text(property, "code") {
                    "child" => (code.clone(), value.to_owned()),
                    "subsumedBy" | "parent" => (value.to_owned(), code.clone()),
                    _ => continue,
                };
                self.children.entry(above).or_default().insert(under);
            }
            self.add(list(concept, "concept"), Some(&code));
        }
    }

    fn below(&self, code: &str, itself: bool) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut open = vec![code.to_owned()];
        while let Some(code) = open.pop() {
            for child in self.children.get(&code).into_iter().flatten() {
                if found.insert(child.clone()) {
                    open.push(child.clone());
                }
            }
        }
        if itself {
            found.insert(code.to_owned());
        }
        found
    }
}
