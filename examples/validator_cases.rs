//! Runs HL7's published validator cases and says how far Baton agrees: `cargo run --example validator_cases -- CASES DATA [PACKAGES]`.
//!
//! For: `docs/validation.md`. CASES: the folder `validator` of FHIR/fhir-test-cases. DATA: the folder with
//! `r4-definitions/*.ndjson.gz`, whose value sets the reference validator has, too. PACKAGES: a folder with `ID#VERSION.tgz`.
//! Writes the table, then one line for each case that is judged otherwise, tab-separated. Such a case must stand in [`OTHERWISE`], and one
//! that stands there must be judged so: the list is honest both ways, and a run that differs from it fails (not with PACKAGES, which bring
//! more cases).
//! Not for: cases of other FHIR versions, of XML, and those that need a terminology server: each is counted by its reason.

use baton::conformance::package::Budget;
use baton::conformance::{self, package};
use baton::error::{Issue, Severity};
use baton::fhir::profile::{Loader, Profiles};
use baton::fhir::scrutiny::{self, Known, Rules};
use baton::fhir::{Json, json, validate};
use baton::search::Registry;
use std::collections::BTreeMap;
use std::error::Error;
use std::io::Read;
use std::path::{Path, PathBuf};

type Result<T> = std::result::Result<T, Box<dyn Error>>;
const JSON: json::Limits = json::Limits { depth: 120, string_bytes: 32 << 20 };

const ACCEPTED: &str = "accepted, expected invalid";
const ELSEWHERE: &str = "another element";

/// Runs that are judged otherwise than the reference judges them; why each: `docs/validation.md`.
const OTHERWISE: [(&str, &str); 11] = [
    (ACCEPTED, "encounter-period"),
    (ACCEPTED, "ab-list-slicing"),
    (ACCEPTED, "res-inv-example-good (profile)"),
    (ACCEPTED, "parameters-reference-bad"),
    (ELSEWHERE, "bad-json-close"),
    (ELSEWHERE, "bad-json-close-2"),
    (ELSEWHERE, "bad-json-close-3"),
    (ELSEWHERE, "xml-bad-entities-json"),
    (ELSEWHERE, "attachment-tx"),
    (ELSEWHERE, "ext-derived"),
    (ELSEWHERE, "obs-mz"),
];

/// One run of a case: by itself, or against a profile.
struct Run {
    name: String,
    module: String,
    expected: Vec<Expected>,
    found: Vec<Issue>,
}

/// An error that the reference validator reports.
struct Expected {
    expression: String,
    text: String,
}

#[derive(Default)]
struct Tally {
    valid: usize,
    accepted: usize,
    invalid: usize,
    refused: usize,
    named: usize,
}

struct World {
    cases: PathBuf,
    packages: Option<PathBuf>,
    /// R4's value sets and code systems.
    terms: Vec<Json>,
    registry: Registry,
}

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let usage = "usage: validator_cases CASES DATA [PACKAGES]";
    let cases = args.next().ok_or(usage)?;
    let data = args.next().or_else(|| std::env::var("BATON_TEST_DATA").ok()).ok_or(usage)?;
    let world = World {
        cases: cases.into(),
        packages: args.next().map(Into::into),
        terms: terms(Path::new(&data))?,
        registry: Registry::builtin(),
    };
    let manifest = read(&world.cases.join("manifest.json"))?;
    let plain = world.profiles(&[], &[])?;
    let (mut runs, mut left_out) = (Vec::new(), BTreeMap::<&str, usize>::new());
    for case in manifest["test-cases"].items() {
        match world.run(case, &plain)? {
            Ok(mut of_case) => runs.append(&mut of_case),
            Err(reason) => *left_out.entry(reason).or_default() += 1,
        }
    }
    let otherwise = report(&runs, &left_out);
    if world.packages.is_none() {
        held_to_the_list(otherwise)?;
    }
    Ok(())
}

/// Fails when other cases are judged otherwise than the list says.
fn held_to_the_list(mut found: Vec<(&'static str, String)>) -> Result<()> {
    let mut listed: Vec<(&str, String)> =
        OTHERWISE.iter().map(|(verdict, name)| (*verdict, (*name).to_owned())).collect();
    found.sort();
    listed.sort();
    let wrong: Vec<String> = found
        .iter()
        .filter(|one| !listed.contains(one))
        .map(|(verdict, name)| format!("{name}: {verdict}, and is not listed"))
        .chain(
            listed
                .iter()
                .filter(|one| !found.contains(one))
                .map(|(verdict, name)| format!("{name}: is listed as {verdict}, and is not")),
        )
        .collect();
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n").into()) }
}

fn read(path: &Path) -> Result<Json> {
    let bytes = std::fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let text = bytes.strip_prefix(b"\xef\xbb\xbf".as_slice()).unwrap_or(&bytes);
    json::parse_with(text, &JSON).map_err(|e| format!("{}: {e}", path.display()).into())
}

fn terms(data: &Path) -> Result<Vec<Json>> {
    let mut all = Vec::new();
    for name in ["valuesets", "codesystems"] {
        let file = std::fs::File::open(data.join("r4-definitions").join(format!("{name}.ndjson.gz")))?;
        let mut lines = String::new();
        flate2::read::MultiGzDecoder::new(file).read_to_string(&mut lines)?;
        for line in lines.lines() {
            all.push(json::parse_with(line.as_bytes(), &JSON)?);
        }
    }
    Ok(all)
}

impl World {
    fn profiles(&self, files: &[PathBuf], packages: &[PathBuf]) -> Result<Profiles> {
        let mut loader = Loader::new();
        for file in files {
            let resource = read(file)?;
            loader.add(&file.display().to_string(), &resource);
            for entry in resource["entry"].items() {
                loader.add(&file.display().to_string(), &entry["resource"]);
            }
        }
        let mut budget = Budget::default();
        for path in packages {
            package::read(path, &mut loader, &mut budget).map_err(|c| format!("{}: {}", c.file, c.text))?;
        }
        for term in &self.terms {
            loader.add("R4", term);
        }
        let (profiles, complaints) = loader.compile();
        for complaint in complaints.iter().filter(|c| c.is_fatal) {
            eprintln!("{}: {}", complaint.file, complaint.text);
        }
        Ok(profiles)
    }

    /// The runs of a case, or why it is left out.
    fn run(&self, case: &Json, plain: &Profiles) -> Result<std::result::Result<Vec<Run>, &'static str>> {
        let text = |name: &str| case[name].text();
        let module = text("module");
        if !matches!(text("version"), "4.0" | "4.0.1") {
            return Ok(Err("another FHIR version"));
        }
        if !text("file").ends_with(".json") {
            return Ok(Err("the resource is not JSON"));
        }
        if case["use-test"].as_bool() == Some(false)
            || !case["java"].is_null() && case["java"].as_str().is_none() && case["java"].get("outcome").is_none()
        {
            return Ok(Err("switched off, or without an expected outcome"));
        }
        let reason = match module {
            "cdshooks" | "logical" | "cda" => Some("a logical model (CDS Hooks, CDA)"),
            "shc" | "dsig" => Some("SMART health cards and signatures"),
            "matchetype" => Some("compares files for the reference's own tests (matchetype)"),
            "tx" | "tx-advanced" => Some("a terminology server is asked (modules tx, tx-advanced)"),
            "package-versioning" => Some("which of several versions of a package is meant"),
            "xver" => Some("extensions for elements of other versions"),
            "json5" => Some("JSON with comments"),
            "measure" => Some("a MeasureReport against its Measure"),
            "questionnaire" => Some("a QuestionnaireResponse against its Questionnaire, a Questionnaire's own rules"),
            _ if case.get("logical").is_some() => Some("a logical model (CDS Hooks, CDA)"),
            _ if case.get("fetcher").is_some()
                || case["validateReference"].as_bool() == Some(true)
                || case.get("validateContains").is_some() =>
            {
                Some("references are fetched from elsewhere, or contained resources passed over")
            }
            _ if case.get("ips").is_some() || case.get("supporting5").is_some() => Some("another FHIR version"),
            _ => None,
        };
        if let Some(reason) = reason {
            return Ok(Err(reason));
        }
        let mut packages = Vec::new();
        let named = case["packages"].items().iter().chain(case["profile"]["packages"].items());
        for id in named.map(Json::text) {
            let here = self.cases.join(id);
            let there = self.packages.as_ref().map(|dir| dir.join(format!("{id}.tgz")));
            match [Some(here), there].into_iter().flatten().find(|p| p.is_file()) {
                Some(path) => packages.push(path),
                None => return Ok(Err("a package that is not at hand")),
            }
        }
        let profile = &case["profile"];
        let mut files: Vec<&str> = Vec::new();
        for list in [&case["supporting"], &case["profiles"], &profile["supporting"]] {
            files.extend(list.items().iter().map(Json::text));
        }
        let source = profile["source"].text();
        files.extend(Some(source).filter(|s| !s.is_empty() && !s.starts_with("http")));
        if files.iter().any(|f| !f.ends_with(".json")) {
            return Ok(Err("a profile that is not JSON"));
        }
        let files: Vec<PathBuf> = files.into_iter().map(|f| self.cases.join(f)).filter(|f| f.is_file()).collect();
        // The profile of the second run is there in the first one only where the case lists it for both.
        let listed = case["profiles"].items().iter().any(|f| f.text() == source);
        let is_for_both = |f: &&PathBuf| listed || **f != self.cases.join(source);
        let without: Vec<PathBuf> = files.iter().filter(is_for_both).cloned().collect();
        let base =
            if without.is_empty() && packages.is_empty() { None } else { Some(self.profiles(&without, &packages)?) };
        let own = if files.is_empty() && packages.is_empty() { None } else { Some(self.profiles(&files, &packages)?) };
        let path = self.cases.join(text("file"));
        let mut runs = Vec::new();
        let url = if source.starts_with("http") {
            source.to_owned()
        } else if source.is_empty() {
            String::new()
        } else {
            read(&self.cases.join(source))?["url"].text().to_owned()
        };
        for (suffix, outcome, asked) in
            [("", &case["java"], None), (" (profile)", &profile["java"], Some(url.as_str()))]
        {
            let Some(expected) = self.expected(outcome)? else { continue };
            if expected.iter().any(|e| is_of_terminology(&e.text))
                && expected.iter().all(|e| is_of_terminology(&e.text))
            {
                return Ok(Err("all that is wrong is what a terminology server says"));
            }
            let found = match json::parse_with(&std::fs::read(&path)?, &JSON) {
                Ok(resource) => {
                    if is_of_another(&resource, &expected) {
                        return Ok(Err("the outcome that is named is that of another resource"));
                    }
                    let profiles = if asked.is_some() { own.as_ref() } else { base.as_ref() }.unwrap_or(plain);
                    let asked: Vec<&str> = asked.into_iter().filter(|u| !u.is_empty()).collect();
                    self.validate(&resource, profiles, &asked, &rules(case))
                }
                Err(error) => error.issues,
            };
            runs.push(Run { name: format!("{}{suffix}", text("name")), module: module.into(), expected, found });
        }
        Ok(if runs.is_empty() { Err("switched off, or without an expected outcome") } else { Ok(runs) })
    }

    /// All that `$validate` says.
    fn validate(&self, resource: &Json, profiles: &Profiles, asked: &[&str], rules: &Rules) -> Vec<Issue> {
        let mut found = validate::with_warnings(resource);
        let told = profiles.check_beside(resource, asked, &found, &|_| Some(Severity::Warning));
        found = validate::tidy(found.into_iter().chain(told).collect());
        let parameter = |url: &str| conformance::parameter(&self.registry, url);
        found.extend(scrutiny::resource(resource, &Known { rules, profiles, parameter: &parameter }));
        // The reference has HL7's package of extensions, of which R4's own are at hand here.
        let is_hl7s = |i: &Issue| {
            i.rule.starts_with("unknown-extension")
                && i.diagnostics.contains(" http://hl7.org/fhir/StructureDefinition/")
        };
        found.retain(|i| !is_hl7s(i));
        found
    }

    /// The errors of an outcome; `None`: there is no outcome.
    fn expected(&self, outcome: &Json) -> Result<Option<Vec<Expected>>> {
        let read_one;
        let issues = match outcome {
            Json::String(file) => {
                let path = self.cases.join("outcomes").join(file);
                if !path.is_file() {
                    return Ok(None);
                }
                read_one = read(&path)?;
                &read_one["issue"]
            }
            Json::Object(members) if members.get("outcome").is_some() => &outcome["outcome"]["issue"],
            _ => return Ok(None),
        };
        let of = |issue: &Json| Expected {
            expression: normal(issue["expression"][0].as_str().unwrap_or(issue["location"][0].text())),
            text: issue["details"]["text"].text().to_owned(),
        };
        Ok(Some(issues.items().iter().filter(|i| matches!(i["severity"].text(), "error" | "fatal")).map(of).collect()))
    }
}

/// Severities as the reference has them in its runs: it refuses extensions that it does not know, and by the manifest it refuses URLs
/// of examples, and texts that look like HTML.
fn rules(case: &Json) -> Rules {
    let mut rules = Rules::default();
    let mut refuse = |key: &str| assert!(rules.set(key, Some(Severity::Error)), "there is no rule {key}");
    refuse("unknown-extension");
    if case["examples"].as_bool() == Some(false) {
        refuse("example-url");
    }
    if ["security-checks", "noHtmlInMarkdown"].iter().any(|name| case[*name].as_bool() == Some(true)) {
        refuse("markup");
    }
    rules
}

/// Whether an outcome speaks of a resource of another type than the one that is judged.
fn is_of_another(resource: &Json, expected: &[Expected]) -> bool {
    let rtype = resource["resourceType"].text();
    let root = |e: &Expected| e.expression.split(['.', '[']).next().unwrap_or_default().to_owned();
    let is_other = |name: String| baton::fhir::ResourceType::parse(&name).is_some() && name != rtype;
    !expected.is_empty() && expected.iter().all(|e| is_other(root(e)))
}

/// What only a terminology server or a display text can tell.
fn is_of_terminology(text: &str) -> bool {
    [
        "Wrong Display",
        "Unknown code",
        "Unknown Code",
        "terminology server",
        "could not be found, so the code",
        "is not valid in the system",
        "SNOMED",
        "LOINC",
        // A value set that the terminology server cannot handle.
        "Cannot process resource",
    ]
    .iter()
    .any(|part| text.contains(part))
}

/// `Bundle.entry[0].resource/*Patient/1*/.value.ofType(Quantity)` → `Bundle.entry[0].resource.valueQuantity`
fn normal(expression: &str) -> String {
    let mut text = String::new();
    let mut rest = expression;
    while let Some((before, after)) = rest.split_once("/*") {
        text.push_str(before);
        rest = after.split_once("*/").map_or("", |(_, after)| after);
    }
    text.push_str(rest);
    while let Some(at) = text.find(".ofType(") {
        let end = text[at..].find(')').map_or(text.len(), |n| at + n);
        let name = text[at + 8..end].to_owned();
        let mut chars = name.chars();
        let name: String = chars.next().map(|c| c.to_ascii_uppercase()).into_iter().chain(chars).collect();
        text.replace_range(at..(end + 1).min(text.len()), &name);
    }
    text.replace("[x]", "")
}

/// Whether two paths name the same element, or one the element right inside the other.
fn is_near(ours: &str, theirs: &str) -> bool {
    let step = |outer: &str, inner: &str| {
        inner.strip_prefix(outer).is_some_and(|rest| {
            let rest = rest.strip_prefix('.').unwrap_or(rest);
            rest.split('.').count() <= 1
        })
    };
    let ours = normal(ours);
    !ours.is_empty() && (step(theirs, &ours) || step(&ours, theirs))
}

/// Writes the table; answers verdict and name of each run that is judged otherwise.
fn report(runs: &[Run], left_out: &BTreeMap<&str, usize>) -> Vec<(&'static str, String)> {
    let mut otherwise = Vec::new();
    let mut by_module: BTreeMap<&str, Tally> = BTreeMap::new();
    let mut lines = Vec::new();
    for run in runs {
        let errors: Vec<&Issue> = run.found.iter().filter(|i| i.severity == Severity::Error).collect();
        let tally = by_module.entry(if run.module.is_empty() { "(none)" } else { &run.module }).or_default();
        let mut line = |verdict: &'static str| {
            otherwise.push((verdict, run.name.clone()));
            let first = errors.first().map_or(String::new(), |i| format!("{}: {}", i.expression, i.diagnostics));
            let theirs = run.expected.first().map_or(String::new(), |e| format!("{}: {}", e.expression, e.text));
            lines.push(format!("{verdict}\t{}\t{}\t{first}\t{theirs}", run.module, run.name));
        };
        if run.expected.is_empty() {
            tally.valid += 1;
            if errors.is_empty() {
                tally.accepted += 1;
            } else {
                line("refused, expected valid");
            }
            continue;
        }
        tally.invalid += 1;
        if errors.is_empty() {
            line(ACCEPTED);
            continue;
        }
        tally.refused += 1;
        let is_named = errors.iter().any(|i| run.expected.iter().any(|e| is_near(&i.expression, &e.expression)));
        if is_named { tally.named += 1 } else { line(ELSEWHERE) }
    }
    println!("| Module | Valid | accepted | Invalid | refused | element named |\n|---|---|---|---|---|---|");
    let mut all = Tally::default();
    for (module, t) in &by_module {
        println!("| {module} | {} | {} | {} | {} | {} |", t.valid, t.accepted, t.invalid, t.refused, t.named);
        all.valid += t.valid;
        all.accepted += t.accepted;
        all.invalid += t.invalid;
        all.refused += t.refused;
        all.named += t.named;
    }
    let share = |part: usize, of: usize| 100.0 * part as f64 / of.max(1) as f64;
    println!(
        "| all | {} | {} ({:.1} %) | {} | {} ({:.1} %) | {} ({:.1} % of those refused) |",
        all.valid,
        all.accepted,
        share(all.accepted, all.valid),
        all.invalid,
        all.refused,
        share(all.refused, all.invalid),
        all.named,
        share(all.named, all.refused)
    );
    println!("\n| Left out | cases |\n|---|---|");
    for (reason, count) in left_out {
        println!("| {reason} | {count} |");
    }
    println!();
    lines.sort();
    for line in lines {
        println!("{line}");
    }
    otherwise
}
