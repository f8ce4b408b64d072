//! Loads packages of profiles and holds resources against what they claim: `cargo run --release --example profiles --
//! PACKAGE… -- RESOURCES…`. RESOURCES: `.ndjson.gz`, `.json`, or a `.tgz` whose `package/example` is meant.
//!
//! For: what a guide costs in time and memory, and whether its own examples conform to it (`docs/validation.md`).

use baton::conformance::package::{self, Budget};
use baton::error::Severity;
use baton::fhir::profile::Loader;
use baton::fhir::{Json, json, validate};
use std::collections::BTreeMap;
use std::error::Error;
use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant};

const JSON: json::Limits = json::Limits { depth: 120, string_bytes: 32 << 20 };

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let cut = args.iter().position(|a| a == "--").unwrap_or(args.len());
    let (before, started) = (resident(), Instant::now());
    let mut loader = Loader::new();
    let mut budget = Budget::default();
    for path in args.iter().take(cut) {
        package::read(Path::new(path), &mut loader, &mut budget).map_err(|c| format!("{}: {}", c.file, c.text))?;
    }
    let read = started.elapsed();
    let (profiles, complaints) = loader.compile();
    let (sets, systems) = profiles.terms();
    println!(
        "{} profiles, {sets} value sets, {systems} code systems: read in {read:?}, compiled in {:?}; {} KiB more in memory",
        profiles.all().count(),
        started.elapsed() - read,
        resident().saturating_sub(before)
    );
    for complaint in &complaints {
        println!("{}{}: {}", if complaint.is_fatal { "REFUSED " } else { "note " }, complaint.file, complaint.text);
    }
    let (mut count, mut claims, mut good, mut time) = (0, 0, 0, (Duration::ZERO, Duration::ZERO));
    let mut reasons: BTreeMap<String, (usize, String)> = BTreeMap::new();
    for path in args.iter().skip(cut + 1) {
        for (name, text) in resources(Path::new(path))? {
            let Ok(resource) = json::parse_with(text.as_bytes(), &JSON) else { continue };
            let start = Instant::now();
            let mut issues = validate::resource(&resource);
            time.0 += start.elapsed();
            let start = Instant::now();
            issues.extend(profiles.check(&resource, &[], &|_| Some(Severity::Error)));
            time.1 += start.elapsed();
            count += 1;
            claims += usize::from(has_claim(&resource));
            let mut is_good = true;
            for issue in issues.iter().filter(|i| i.severity == Severity::Error) {
                is_good = false;
                let bare: String = issue.expression.chars().filter(|c| !c.is_ascii_digit()).collect();
                let what = format!("{bare}: {}", issue.diagnostics);
                reasons.entry(what).or_insert_with(|| (0, name.clone())).0 += 1;
            }
            good += usize::from(is_good);
        }
    }
    println!(
        "{count} resources, {claims} with claims, {good} without an error; R4 {:?}, profiles {:?} each",
        each(time.0, count),
        each(time.1, count)
    );
    for (what, (count, name)) in reasons {
        println!("{count} x {what} [{name}]");
    }
    Ok(())
}

fn each(time: Duration, count: u32) -> Duration {
    time / count.max(1)
}

fn has_claim(json: &Json) -> bool {
    !json["meta"]["profile"].items().is_empty() || json["entry"].items().iter().any(|e| has_claim(&e["resource"]))
}

/// KiB in memory.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().unwrap_or(0)
}

fn resources(path: &Path) -> Result<Vec<(String, String)>, Box<dyn Error>> {
    let name = path.display().to_string();
    let file = std::fs::File::open(path).map_err(|e| format!("{name}: {e}"))?;
    let mut found = Vec::new();
    if name.ends_with(".tgz") {
        for entry in tar::Archive::new(flate2::read::GzDecoder::new(file)).entries()? {
            let mut entry = entry?;
            let inside = entry.path()?.display().to_string();
            if inside.starts_with("package/example/") && inside.ends_with(".json") {
                let mut text = String::new();
                entry.read_to_string(&mut text)?;
                found.push((inside, text));
            }
        }
    } else if name.ends_with(".gz") {
        let mut lines = String::new();
        flate2::read::MultiGzDecoder::new(file).read_to_string(&mut lines)?;
        found.extend(lines.lines().enumerate().map(|(n, line)| (format!("{name}:{}", n + 1), line.to_owned())));
    } else {
        found.push((name, std::fs::read_to_string(path)?));
    }
    Ok(found)
}
