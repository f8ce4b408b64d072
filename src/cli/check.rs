//! `baton check`: what is wrong with resources, Bundles and profile folders, before anything is sent or served.
//!
//! For: people who write resources or profiles, and their CI. The same rules as the server's, profiles among them; no database,
//! no network.
//! Exit codes: 0 nothing is wrong, 1 something is, 2 it could not be checked.

mod files;
mod report;

use crate::access::Policy;
use crate::config::UnknownProfile;
use crate::conformance::Conformance;
use crate::error::{Error, Issue, Kind, Result, Severity};
use crate::fhir::{Json, json, validate};
use crate::search::{Active, Env, Live, Registry, registry};
use crate::workflow::Programme;
use clap::{Args, ValueEnum};
use files::Item;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, LazyLock};

/// Search parameters that definitions refer to.
static PARAMETERS: LazyLock<Registry> = LazyLock::new(Registry::builtin);
/// Could not be checked: a wrong argument, a file that cannot be read.
const UNUSABLE: u8 = 2;

/// Arguments of `baton check`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  baton check discharge.json\n  baton check --format junit exports/ > report.xml\n  \
        baton check --package us-core.tgz --profile \\\n      http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient patients.ndjson\n  \
        baton check profiles            a folder that --profiles could name\n\nWithout --profile a resource is held against R4 and \
        what it claims in meta.profile.\n\nExit codes: 0 nothing is wrong (there may be \
        warnings), 1 something is, 2 it could not be checked."
)]
pub struct Arguments {
    /// Files (.json, .ndjson, also .gz), or folders: all such files below, or a profile folder (it has protocol/ or policy/)
    #[arg(required = true, value_name = "FILE|DIR")]
    paths: Vec<PathBuf>,
    /// Hold every resource against this profile, too: its canonical, with |version where it matters. Repeatable
    #[arg(long, value_name = "CANONICAL")]
    profile: Vec<String>,
    /// Profiles of a package (npm-style .tgz, a folder, a folder of packages), as the server's setting `packages`. Repeatable
    #[arg(long, value_name = "PATH")]
    package: Vec<PathBuf>,
    /// What a claim of a profile is that is not known
    #[arg(long, value_enum, default_value = "error")]
    unknown_profile: UnknownProfile,
    /// How to say it
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// Errors and the last line only
    #[arg(long, short)]
    quiet: bool,
}

/// The shape of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A line an issue, for people and editors: file:line:column
    Text,
    /// One JSON document
    Json,
    /// XML as test reports have it
    Junit,
}

/// One resource, or one profile folder, and what was found about it.
struct Checked {
    /// As the path was given.
    file: String,
    /// `Patient/1`, a type, or what the item is.
    name: String,
    /// Where it starts in the file, from 1.
    line: u32,
    /// Issues; positions are of the file. Those of a folder name their file themselves.
    issues: Vec<(Option<String>, Issue)>,
}

impl Checked {
    fn has_error(&self) -> bool {
        self.issues.iter().any(|(_, i)| i.severity == Severity::Error)
    }
}

/// Checks all of it and prints the report.
#[must_use]
pub fn run(arguments: &Arguments) -> ExitCode {
    let conformance = match in_force(arguments) {
        Ok(conformance) => conformance,
        Err(error) => {
            for issue in &error.issues {
                eprintln!("baton: {}", issue.diagnostics);
            }
            return ExitCode::from(UNUSABLE);
        }
    };
    let mut checked = Vec::new();
    let mut failures = Vec::new();
    for path in &arguments.paths {
        if files::is_profile_folder(path) {
            checked.push(folder(path, arguments));
            continue;
        }
        match files::sources(path) {
            Ok(sources) => {
                for source in sources {
                    if let Err(e) = files::each(&source, &mut |item| {
                        checked.push(item_of(&source, &item, &conformance, &arguments.profile));
                    }) {
                        failures.push(format!("{}: {e}", source.display()));
                    }
                }
            }
            Err(text) => failures.push(text),
        }
    }
    let mut out = std::io::stdout().lock();
    let is_coloured = out.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    let text = match arguments.format {
        Format::Text => report::text(&checked, arguments.quiet, is_coloured),
        Format::Json => report::json(&checked, arguments.quiet),
        Format::Junit => report::junit(&checked, arguments.quiet),
    };
    // A reader that went away (`| head`) has seen enough.
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).ok();
    for failure in &failures {
        eprintln!("baton: {failure}");
    }
    match (failures.is_empty(), checked.iter().any(Checked::has_error)) {
        (false, _) => ExitCode::from(UNUSABLE),
        (true, true) => ExitCode::FAILURE,
        (true, false) => ExitCode::SUCCESS,
    }
}

/// The profiles in force: R4's, the programme's, the packages'.
///
/// # Errors
/// What cannot be used of the packages; a profile that is asked for and is in none of them.
fn in_force(arguments: &Arguments) -> Result<Conformance> {
    let conformance = Conformance::load(&programme(None)?, &arguments.package, arguments.unknown_profile)?;
    let is_unknown = |profile: &&String| !conformance.profiles().knows(profile);
    let missing = arguments.profile.iter().filter(is_unknown).map(|profile| {
        let text = format!("the profile {profile} is not known here; name its package with --package");
        Issue::error("not-found", "", text)
    });
    let missing: Vec<Issue> = missing.collect();
    if missing.is_empty() { Ok(conformance) } else { Err(Error::with_issues(Kind::Invalid, missing)) }
}

/// Protocol and the like, of a folder or the built-in ones.
fn programme(dir: Option<&Path>) -> Result<Programme> {
    let env = Env::utc("http://localhost/fhir");
    let live = Arc::new(Live::new(Active::new(1, Registry::builtin(), env.clone())));
    Programme::load(dir, live, env, "check")
}

/// One resource of a file. `asked`: canonicals that it is held against, besides those that it claims.
fn item_of(source: &Path, item: &Item, conformance: &Conformance, asked: &[String]) -> Checked {
    let (name, mut issues) = match json::parse(&item.text) {
        Err(error) => ("not JSON".to_owned(), error.issues),
        Ok(resource) => (name_of(&resource), issues_of(&resource, conformance, asked)),
    };
    json::locate(&item.text, "", &mut issues);
    for issue in &mut issues {
        // The reader of JSON names the place in its sentence; here it stands before it, and counts from the file's start.
        if let Some(at) = issue.diagnostics.rfind(" (line ") {
            issue.diagnostics.truncate(at);
        }
        if let Some((line, _)) = &mut issue.position {
            *line += item.line - 1;
        }
    }
    let issues = issues.into_iter().map(|i| (None, i)).collect();
    Checked { file: source.display().to_string(), name, line: item.line, issues }
}

/// What R4 says, what the profiles say, and what a closer look finds: as the server's `$validate`.
fn issues_of(resource: &Json, conformance: &Conformance, asked: &[String]) -> Vec<Issue> {
    let asked: Vec<&str> = asked.iter().map(String::as_str).collect();
    let mut issues = conformance.issues(resource, &asked, validate::with_warnings(resource));
    issues.extend(conformance.scrutiny(&PARAMETERS, resource));
    validate::tidy(issues)
}

/// `Patient/1`, or the type alone.
fn name_of(resource: &Json) -> String {
    let (rtype, id) = (resource["resourceType"].text(), resource["id"].text());
    match (rtype, id) {
        ("", _) => "no resource".to_owned(),
        (rtype, "") => rtype.to_owned(),
        (rtype, id) => format!("{rtype}/{id}"),
    }
}

/// A folder that `--profiles` could name: protocol, policy, codes, profiles and search parameters, read as the server reads them.
fn folder(dir: &Path, arguments: &Arguments) -> Checked {
    let mut issues = Vec::new();
    let mut take = |error: Error| issues.extend(error.issues);
    let loaded =
        programme(Some(dir)).and_then(|p| Conformance::load(&p, &arguments.package, arguments.unknown_profile));
    if let Err(error) = loaded {
        take(error);
    }
    if let Err(error) = Policy::load(Some(dir)) {
        take(error);
    }
    if let Err(error) = registry::files(Some(dir)) {
        take(error);
    }
    let of_file = |mut issue: Issue| {
        // Complaints about profiles begin with the file.
        let file = issue.diagnostics.split_once(": ").filter(|(name, _)| name.ends_with(".json"));
        let below = |name: &str| dir.join(name.strip_prefix("profiles/").unwrap_or(name)).display().to_string();
        let file = file.map(|(name, rest)| (below(name), rest.to_owned()));
        let name = file.map(|(name, rest)| {
            issue.diagnostics = rest;
            name
        });
        if let Some(text) = name.as_ref().and_then(|name| std::fs::read(name).ok())
            && json::parse(&text).is_ok()
        {
            json::locate(&text, "", std::slice::from_mut(&mut issue));
        }
        (name, issue)
    };
    let issues = issues.into_iter().map(of_file).collect();
    Checked { file: dir.display().to_string(), name: "profiles".to_owned(), line: 1, issues }
}
