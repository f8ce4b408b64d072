//! The house rules that a machine can check: which module may name which, who owns a crate, what must never be in the tree.
//!
//! For: `src/` as it stands, and the files that git would commit. Not for: style (rustfmt, clippy) or licences (`deny.toml`).
//! Source: own rules, the levels in `docs/architecture.md`.

use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Lowest first. A module may name modules of earlier rows only, and itself.
const LEVELS: &[&[&str]] = &[
    &["error", "clock"],
    &["config", "telemetry", "outbound", "ui"],
    &["fhir"],
    &["search", "access"],
    &["store"],
    &["workflow", "auth"],
    &["conformance"],
    &["interaction"],
    &["http", "worker", "edge"],
    &["cli"],
    &["lib", "main"],
];

/// (crate as Rust code names it, modules that may).
const OWNERS: &[(&str, &[&str])] = &[
    ("sqlx", &["store"]),
    ("rusqlite", &["store"]),
    ("actix_web", &["http"]),
    ("actix_http", &["http"]),
    ("actix_tls", &["http"]),
    ("jsonwebtoken", &["auth"]),
    ("aws_lc_rs", &["auth"]),
    ("argon2", &["auth"]),
    ("reqwest", &["outbound", "cli"]),
    ("rustls", &["outbound", "cli", "http"]),
    ("clap", &["cli", "main", "config"]),
    ("indicatif", &["cli"]),
    ("toml", &["config"]),
    ("tar", &["conformance"]),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files git knows or would add; without git (a source archive) the folders that hold sources.
fn tree() -> Vec<PathBuf> {
    let git = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output();
    if let Ok(out) = git
        && out.status.success()
    {
        let names = String::from_utf8(out.stdout).expect("file names in UTF-8");
        return names
            .split('\0')
            .filter(|n| !n.is_empty())
            .map(PathBuf::from)
            .filter(|p| root().join(p).is_file())
            .collect();
    }
    let mut found = Vec::new();
    let mut todo =
        ["src", "tests", "profiles", "migrations", "docs", "examples", "benches"].map(PathBuf::from).to_vec();
    while let Some(dir) = todo.pop() {
        for entry in std::fs::read_dir(root().join(&dir)).into_iter().flatten().flatten() {
            let path = dir.join(entry.file_name());
            if entry.path().is_dir() { todo.push(path) } else { found.push(path) }
        }
    }
    found
}

fn sources() -> Vec<(PathBuf, String)> {
    let files = tree().into_iter().filter(|p| p.starts_with("src") && p.extension().is_some_and(|e| e == "rs"));
    let read = files.map(|p| (p.clone(), std::fs::read_to_string(root().join(p)).expect("a source file in UTF-8")));
    read.collect()
}

/// `src/http/fhir.rs` is of `http`; `src/clock.rs` of `clock`.
fn module_of(path: &Path) -> String {
    let first = path.components().nth(1).expect("a path below src").as_os_str().to_string_lossy().into_owned();
    first.trim_end_matches(".rs").to_string()
}

fn level_of(module: &str) -> Option<usize> {
    LEVELS.iter().position(|row| row.contains(&module))
}

/// Takes comments and the insides of string literals out, so that only code is left. Char literals of one character stay.
fn code_only(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < bytes.len() {
        let rest = &text[at..];
        if rest.starts_with("//") {
            at += rest.find('\n').unwrap_or(rest.len());
        } else if rest.starts_with("/*") {
            at += rest.find("*/").map_or(rest.len(), |n| n + 2);
        } else if rest.starts_with("'\"'") || rest.starts_with("'\\\"'") {
            at += if rest.starts_with("'\\") { 4 } else { 3 };
        } else if rest.starts_with("r#\"") || rest.starts_with("r\"") {
            let end = if rest.starts_with("r#") { "\"#" } else { "\"" };
            let open = rest.find('"').expect("just seen") + 1;
            at += rest[open..].find(end).map_or(rest.len(), |n| open + n + end.len());
            out.push_str("\"\"");
        } else if rest.starts_with('"') {
            let mut n = 1;
            while n < rest.len() && rest.as_bytes()[n] != b'"' {
                n += if rest.as_bytes()[n] == b'\\' { 2 } else { 1 };
            }
            at += n + 1;
            out.push_str("\"\"");
        } else {
            let c = rest.chars().next().expect("not at the end");
            out.push(c);
            at += c.len_utf8();
        }
    }
    out
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The first path segments after each `crate::` (and `baton::` where the library is named from `main`).
fn names_after(code: &str, prefix: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices(prefix) {
        if code[..at].chars().next_back().is_some_and(|c| is_word(c) || c == ':') {
            continue;
        }
        let rest = &code[at + prefix.len()..];
        let Some(group) = rest.strip_prefix('{') else {
            found.insert(rest.chars().take_while(|c| is_word(*c)).collect());
            continue;
        };
        let (mut depth, mut starts) = (1, true);
        for (n, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 1 => starts = true,
                c if starts && is_word(c) => {
                    starts = false;
                    found.insert(group[n..].chars().take_while(|c| is_word(*c)).collect());
                }
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
    }
    found.remove("");
    found
}

#[test]
fn every_module_has_a_level_and_names_only_lower_ones() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let module = module_of(&path);
        let Some(level) = level_of(&module) else {
            wrong.push(format!("{}: module `{module}` has no level in tests/it/tidy.rs", path.display()));
            continue;
        };
        let code = code_only(&text);
        let mut named = names_after(&code, "crate::");
        if module == "main" {
            named.extend(names_after(&code, "baton::"));
        }
        for name in named {
            match level_of(&name) {
                Some(other) if other >= level && name != module => {
                    wrong.push(format!(
                        "{}: `{module}` may not name `{name}`: it is not on a lower level",
                        path.display()
                    ));
                }
                _ => {}
            }
        }
        // `super` must not climb out of the module: that would be an import that the rule above does not see.
        let depth = path.components().count() - if path.ends_with("mod.rs") { 2 } else { 1 };
        let production = code.split("mod tests").next().unwrap_or_default();
        if module != "lib" && module != "main" && production.contains(&"super::".repeat(depth)) {
            wrong.push(format!("{}: `super::` climbs out of `{module}`; write `crate::…`", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_crate_is_named_only_by_the_module_that_owns_it() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let (module, code) = (module_of(&path), code_only(&text));
        for (owned, owners) in OWNERS {
            let hits = code
                .match_indices(&format!("{owned}::"))
                .any(|(at, _)| !code[..at].chars().next_back().is_some_and(|c| is_word(c) || c == ':'));
            if hits && !owners.contains(&module.as_str()) {
                wrong.push(format!("{}: `{owned}` belongs to {owners:?}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn sql_is_written_in_the_store_alone() {
    let verbs = ["SELECT ", "INSERT INTO", "DELETE FROM", "UPDATE ", "CREATE TABLE"];
    let sql = |line: &str| verbs.iter().any(|v| line.contains(&format!("\"{v}")));
    let outside = sources().into_iter().filter(|(p, _)| module_of(p) != "store");
    let hits: Vec<_> = outside.filter(|(_, t)| t.lines().any(sql)).map(|(p, _)| p.display().to_string()).collect();
    assert!(hits.is_empty(), "SQL outside src/store: {hits:?}");
}

#[test]
fn every_source_file_says_what_it_is_for_and_nothing_is_left_to_do() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        if !text.starts_with("//!") && !path.ends_with("tests.rs") {
            wrong.push(format!("{}: no `//!` header", path.display()));
        }
        let code = code_only(&text);
        for mark in ["todo!(", "unimplemented!(", "dbg!("] {
            if code.contains(mark) {
                wrong.push(format!("{}: {mark}…)", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The feature is unified over the whole build and changes what numbers are for every crate that reads JSON.
#[test]
fn no_crate_turns_on_arbitrary_precision() {
    // For this platform only: packages of others were never downloaded.
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(rustc).arg("-vV").output().expect("rustc runs");
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    let host = version.lines().find_map(|l| l.strip_prefix("host: ")).expect("rustc names its host");
    let out = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--offline", "--filter-platform", host])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&out.stdout).expect("cargo writes JSON");
    let nodes = metadata["resolve"]["nodes"].as_array().expect("resolved packages");
    let json: Vec<_> = nodes.iter().filter(|n| n["id"].as_str().is_some_and(|id| id.contains("serde_json@"))).collect();
    assert!(!json.is_empty(), "serde_json is among the dependencies");
    for node in json {
        let features = node["features"].as_array().expect("features");
        assert!(features.iter().any(|f| f == "preserve_order"), "the feature list is alive: {features:?}");
        assert!(!features.iter().any(|f| f == "arbitrary_precision"), "serde_json/arbitrary_precision is on");
    }
}

/// security A69: Each build is judged by cargo deny before anything is tested; every dependency is of the registry and pinned by its checksum; jsonwebtoken is one that knows a claim of a wrong type.
#[test]
fn every_dependency_is_pinned_and_judged() {
    let text = |path: &str| std::fs::read_to_string(root().join(path)).expect("a file of the tree");
    let (run, deny) = (text(".ci/run"), text("deny.toml"));
    let judged = run.find("cargo deny --offline check bans licenses sources").expect("the judgement");
    assert!(judged < run.find("cargo test").expect("the tests"), "judged first");
    assert!(run.contains("cargo deny --offline check advisories") && run.starts_with("#!/usr/bin/env bash"));
    assert!(run.contains("set -euo pipefail"), "what fails ends the run");
    for line in ["yanked = \"deny\"", "unknown-registry = \"deny\"", "unknown-git = \"deny\"", "wildcards = \"deny\""] {
        assert!(deny.contains(line), "{line}");
    }
    let lock: toml::Table = text("Cargo.lock").parse().expect("a lock file");
    let packages = lock["package"].as_array().expect("packages");
    let of = |package: &toml::Value, key: &str| package.get(key).and_then(toml::Value::as_str).map(str::to_owned);
    let mut versions = Vec::new();
    for package in packages {
        let name = of(package, "name").expect("a name");
        if name == "baton" {
            continue;
        }
        let source = of(package, "source").unwrap_or_else(|| panic!("{name} is of no registry"));
        assert_eq!(source, "registry+https://github.com/rust-lang/crates.io-index", "{name}");
        assert_eq!(of(package, "checksum").map(|sum| sum.len()), Some(64), "{name} has no checksum");
        if name == "jsonwebtoken" {
            versions.push(of(package, "version").expect("a version"));
        }
    }
    let is_known_good = |version: &String| {
        let mut parts = version.split('.').map(|p| p.parse::<u32>().unwrap_or(0));
        (parts.next(), parts.next()) >= (Some(10), Some(3))
    };
    assert!(!versions.is_empty() && versions.iter().all(is_known_good), "CVE-2026-25537: {versions:?}");
}

#[test]
fn no_path_of_a_machine_stands_in_the_tree() {
    // Put together here, so that this file does not hold them.
    let needles = ["work", "root", "farm", "home", "tmp"].map(|d| format!("/{d}/"));
    let mut wrong = Vec::new();
    for path in tree() {
        let Ok(text) = std::fs::read_to_string(root().join(&path)) else { continue };
        for (n, line) in text.lines().enumerate() {
            let path_like = |needle: &String| {
                line.match_indices(needle.as_str()).any(|(at, _)| {
                    let before = line[..at].chars().next_back();
                    let after = line[at + needle.len()..].chars().next();
                    before.is_none_or(|c| !is_word(c) && !"./-:}>)*".contains(c))
                        && after.is_some_and(|c| c.is_ascii_lowercase())
                })
            };
            if needles.iter().any(path_like) {
                wrong.push(format!("{}:{}: {}", path.display(), n + 1, line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The real data that tests read stay where `BATON_TEST_DATA` says; copies would bring their licences along.
#[test]
fn no_file_of_the_shared_data_is_copied_into_the_tree() {
    let hash = |bytes: &[u8]| Sha256::digest(bytes).to_vec();
    let files = tree();
    let archives: Vec<_> = files.iter().filter(|p| p.to_string_lossy().ends_with(".ndjson.gz")).collect();
    assert!(archives.is_empty(), "{archives:?}");
    let Some(shared) = crate::harness::data::folder() else { return };
    let mut theirs = BTreeMap::new();
    let mut todo = vec![shared];
    while let Some(dir) = todo.pop() {
        for entry in std::fs::read_dir(dir).expect("the data folder can be read").flatten() {
            if entry.path().is_dir() {
                todo.push(entry.path());
            } else if entry.file_name() != "Apache-2.0.txt" {
                theirs.insert(hash(&std::fs::read(entry.path()).expect("a file")), entry.path());
            }
        }
    }
    for path in files {
        let ours = hash(&std::fs::read(root().join(&path)).expect("a file"));
        assert!(!theirs.contains_key(&ours), "{} is a file of the shared data", path.display());
    }
}

#[test]
fn the_scanner_sees_groups_and_passes_over_comments_and_strings() {
    let code = code_only(
        "use crate::{error::{Error, Result}, fhir}; // crate::cli\nlet s = \"crate::http\"; crate::store::x()",
    );
    let found: Vec<_> = names_after(&code, "crate::").into_iter().collect();
    assert_eq!(found, ["error", "fhir", "store"]);
}
