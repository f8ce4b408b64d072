//! `docs/conformance.md`: the rules that the tests prove, written from the tests.
//!
//! A test names its rules in the lines right above it: `/// R4 http.html#read: A read of what was deleted is 410.` The book
//! (`R4`, `RFC 6902`, `FHIRPath`, `Own` with a page of `docs`, `security` with a row of `security.tsv`, or `case` with a number of `cases.tsv`), the section, a sentence that may go on in the next lines.
//! A rule can so not outlive its test. The test below fails where a rule stands above nothing that runs, where it names a page
//! that is none, and where the page is not what the tests say; with `BATON_BLESS=1` it writes the page instead.
//! `.ci/run` then looks for each test of the page in what has run.

mod cases;
mod security;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

const PAGE: &str = "docs/conformance.md";

/// The sections of the page: (book, pages of the book, title). A page belongs to the first row that fits; `*` fits all.
const SECTIONS: &[(&str, &[&str], &str)] = &[
    ("R4", &["http.html"], "RESTful API"),
    ("R4", &["async.html"], "Asynchronous requests"),
    ("R4", &["bundle.html", "documents.html"], "Bundles"),
    ("R4", &["messaging.html"], "Messages"),
    ("R4", &["fhirpatch.html"], "FHIRPath Patch"),
    ("R4", &["search.html", "searchparameter.html", "compartmentdefinition.html"], "Search"),
    (
        "R4",
        &["json.html", "datatypes.html", "narrative.html", "extensibility.html"],
        "JSON, data types, narrative, extensions",
    ),
    ("R4", &["resource.html", "references.html", "element.html", "provenance.html"], "Resources and references"),
    (
        "R4",
        &["validation.html", "profiling.html", "elementdefinition.html", "structuredefinition.html"],
        "Validation and profiles",
    ),
    ("R4", &["operationoutcome.html"], "Errors"),
    (
        "R4",
        &[
            "operations.html",
            "operationdefinition.html",
            "resource-operation-validate.html",
            "resource-operation-meta.html",
            "resource-operation-meta-add.html",
            "resource-operation-meta-delete.html",
            "patient-operation-everything.html",
            "encounter-operation-everything.html",
            "composition-operation-document.html",
            "observation-operation-lastn.html",
        ],
        "Operations",
    ),
    (
        "R4",
        &[
            "terminologies.html",
            "codesystem.html",
            "valueset.html",
            "valueset-operation-expand.html",
            "valueset-operation-validate-code.html",
            "codesystem-operation-lookup.html",
            "codesystem-operation-subsumes.html",
            "codesystem-operation-validate-code.html",
            "conceptmap-operation-translate.html",
        ],
        "Terminology",
    ),
    (
        "R4",
        &["capabilitystatement.html", "capabilitystatement-operation-versions.html"],
        "What the server says about itself",
    ),
    ("R4", &["security.html"], "Security"),
    ("R4", &["fhirpath.html"], "FHIRPath in FHIR"),
    ("FHIRPath", &["*"], "FHIRPath"),
    ("RFC", &["*"], "RFCs"),
    ("Own", &["*"], "Own rules"),
];

/// A rule as it stands above a test.
#[derive(Clone)]
struct Rule {
    book: String,
    /// `http.html#read`, `section-4.1`, `#math`, `docs/writes.md`.
    section: String,
    sentence: String,
}

/// A test with its rules.
struct Proof {
    file: PathBuf,
    /// `rest::patch::a_patch…`, or of the library `fhir::date::tests::a_span…`.
    path: String,
    is_test: bool,
    rules: Vec<Rule>,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The rule that begins on a line of documentation.
fn begun(line: &str) -> Option<Rule> {
    let (head, sentence) = line.split_once(": ")?;
    let (book, section) = match head.split_once(' ')? {
        (book @ security::BOOK, row) => (book, row),
        _ => head.rsplit_once(' ')?,
    };
    let is_number = |n: &str| n.parse::<u16>().is_ok();
    let is_book = match book {
        "R4" => section.contains(".html"),
        "FHIRPath" => section.starts_with('#'),
        "Own" => section.starts_with("docs/"),
        cases::BOOK | security::BOOK => true,
        rfc => rfc.strip_prefix("RFC ").is_some_and(is_number) && section.starts_with("section-"),
    };
    let rule = || Rule { book: book.into(), section: section.into(), sentence: sentence.into() };
    is_book.then(rule)
}

fn rules(docs: &[String]) -> Vec<Rule> {
    let mut found: Vec<Rule> = Vec::new();
    let mut goes_on = false;
    for line in docs {
        match (begun(line), found.last_mut()) {
            (Some(rule), _) => {
                found.push(rule);
                goes_on = true;
            }
            (None, Some(last)) if goes_on && !line.is_empty() => last.sentence = format!("{} {line}", last.sentence),
            _ => goes_on = false,
        }
    }
    found
}

/// The functions of a file that have rules above them; `left` gets the places of rules above anything else.
fn proofs(file: &Path, module: &str, text: &str, left: &mut Vec<String>) -> Vec<Proof> {
    let (mut found, mut docs, mut attributes) = (Vec::new(), Vec::new(), String::new());
    let mut inside: Option<String> = None;
    for (n, line) in text.lines().enumerate() {
        if let Some(name) = line.strip_prefix("mod ").and_then(|l| l.strip_suffix(" {")) {
            inside = Some(name.to_owned());
        } else if line == "}" {
            inside = None;
        }
        let line = line.trim_start();
        if let Some(doc) = line.strip_prefix("///") {
            docs.push(doc.trim().to_owned());
            continue;
        }
        if line.starts_with("#[") {
            attributes.push_str(line);
            continue;
        }
        let above = rules(&std::mem::take(&mut docs));
        let marks = std::mem::take(&mut attributes);
        if above.is_empty() {
            continue;
        }
        let Some((_, after)) = line.split_once("fn ") else {
            left.push(format!("{}:{}: a rule above `{line}`, which is no test", file.display(), n + 1));
            continue;
        };
        let name: String = after.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        let parts = [module, inside.as_deref().unwrap_or_default(), &name];
        let path = parts.into_iter().filter(|p| !p.is_empty()).collect::<Vec<_>>().join("::");
        let is_test = marks.contains("test]") && !marks.contains("ignore") && !marks.contains("cfg");
        found.push(Proof { file: file.to_owned(), path, is_test, rules: above });
    }
    found
}

/// The sources below a folder: (file below the root, its module from that folder).
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let (mut found, mut todo) = (Vec::new(), vec![PathBuf::from(folder)]);
    while let Some(dir) = todo.pop() {
        for entry in std::fs::read_dir(root().join(&dir)).expect("a folder of sources").flatten() {
            let path = dir.join(entry.file_name());
            if entry.path().is_dir() {
                todo.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let below = path.strip_prefix(folder).expect("below it").with_extension("");
                let parts: Vec<_> = below.iter().map(|p| p.to_string_lossy().into_owned()).collect();
                let is_root = |p: &&String| !matches!(p.as_str(), "mod" | "main" | "lib");
                let module = parts.iter().filter(is_root).cloned().collect::<Vec<_>>().join("::");
                found.push((path, module));
            }
        }
    }
    found.sort();
    found
}

/// Whether the crate's root leads to a file by `mod` lines: else nothing of it is compiled.
fn is_declared(module: &str) -> bool {
    let parts: Vec<&str> = module.split("::").collect();
    (0..parts.len()).all(|n| {
        let above = parts[..n].join("/");
        let files = match n {
            0 => vec!["src/lib.rs".to_owned()],
            _ => vec![format!("src/{above}.rs"), format!("src/{above}/mod.rs")],
        };
        let declares = |text: String| {
            text.lines().any(|l| {
                let l =
                    l.trim_start_matches("pub ").trim_start_matches("pub(crate) ").trim_start_matches("pub(super) ");
                l == format!("mod {};", parts[n])
            })
        };
        files.iter().any(|file| std::fs::read_to_string(root().join(file)).is_ok_and(declares))
    })
}

/// The tests of this program that are not passed over, as the program lists them.
fn listed() -> BTreeSet<String> {
    let list = |arguments: &[&str]| {
        let program = std::env::current_exe().expect("this program");
        let out = Command::new(program).args(arguments).output().expect("it runs");
        let text = String::from_utf8(out.stdout).expect("names in UTF-8");
        text.lines().filter_map(|l| l.strip_suffix(": test")).map(str::to_owned).collect::<BTreeSet<_>>()
    };
    let ignored = list(&["--list", "--format=terse", "--ignored"]);
    list(&["--list", "--format=terse"]).difference(&ignored).cloned().collect()
}

/// The databases that end the names of tests.
const DATABASES: [(&str, &str); 3] = [("sqlite", "SQLite"), ("postgresql", "PostgreSQL"), ("postgres", "PostgreSQL")];

/// A test's name without the database: `rest::patch::x::sqlite` and `…x_on_sqlite` are `…x`.
fn plain(test: &str) -> &str {
    let end = |name: &str| test.strip_suffix(&format!("::{name}")).or(test.strip_suffix(&format!("_on_{name}")));
    DATABASES.iter().find_map(|(name, _)| end(name)).unwrap_or(test)
}

/// Name on the page → the databases it runs on, of the tests of this program.
fn by_name(listed: &BTreeSet<String>) -> BTreeMap<String, BTreeSet<&'static str>> {
    let mut found: BTreeMap<String, BTreeSet<&'static str>> = BTreeMap::new();
    for test in listed {
        let databases = found.entry(plain(test).to_owned()).or_default();
        if plain(test) != test {
            let named = DATABASES.iter().find(|(name, _)| test.ends_with(name));
            databases.extend(named.map(|(_, database)| *database));
        }
    }
    found
}

/// The name under which the function of a rule runs: its own, or that of a corner in `edges` that took it over.
fn runs_as(proof: &Proof, tests: &BTreeMap<String, BTreeSet<&'static str>>) -> Option<String> {
    let own = plain(&proof.path);
    if tests.contains_key(own) {
        return Some(own.to_owned());
    }
    let (room, name) = (own.split("::").next()?, own.rsplit("::").next()?);
    let is_it =
        |test: &&String| test.starts_with(&format!("{room}::edges::edge_")) && test.ends_with(&format!("::{name}"));
    tests.keys().find(is_it).cloned()
}

/// A line of a table: the rule, and the tests that prove it with what they run on.
type Row = (Rule, BTreeMap<String, &'static str>);

/// Everything that the tests say, and what is wrong with it.
fn collected() -> (Vec<Row>, BTreeSet<String>, Vec<String>) {
    let listed = listed();
    let tests = by_name(&listed);
    let (mut wrong, mut rows) = (Vec::new(), Vec::<Row>::new());
    for folder in ["tests/it", "src"] {
        for (file, module) in sources(folder) {
            let text = std::fs::read_to_string(root().join(&file)).expect("a source in UTF-8");
            for proof in proofs(&file, &module, &text, &mut wrong) {
                let (name, on) = if folder == "src" {
                    let runs = proof.is_test && is_declared(&module);
                    (runs.then(|| proof.path.clone()), "–")
                } else {
                    let name = runs_as(&proof, &tests);
                    let databases: Vec<_> = name.iter().flat_map(|n| &tests[n]).copied().collect();
                    (
                        name,
                        match databases[..] {
                            [] => "–",
                            [one] => one,
                            _ => "both",
                        },
                    )
                };
                let Some(name) = name else {
                    wrong.push(format!(
                        "{}: rules above {}, which is no test that runs",
                        proof.file.display(),
                        proof.path
                    ));
                    continue;
                };
                for rule in proof.rules {
                    let is_same = |row: &&mut Row| row.0.sentence == rule.sentence && row.0.section == rule.section;
                    match rows.iter_mut().find(is_same) {
                        Some(row) => drop(row.1.insert(name.clone(), on)),
                        None => rows.push((rule, BTreeMap::from([(name.clone(), on)]))),
                    }
                }
            }
        }
    }
    (rows, listed, wrong)
}

/// Where a rule's section is; `None` when there is no such page.
fn link(rule: &Rule) -> Option<String> {
    let Rule { book, section, .. } = rule;
    Some(match book.as_str() {
        "R4" => format!("[{section}](https://hl7.org/fhir/R4/{section})"),
        "FHIRPath" => format!("[FHIRPath](https://hl7.org/fhirpath/N1/{section})"),
        "Own" => {
            let file = section.strip_prefix("docs/").filter(|_| root().join(section).is_file())?;
            format!("[{file}]({file})")
        }
        rfc => {
            let number = rfc.strip_prefix("RFC ")?;
            format!(
                "[{rfc} {}](https://www.rfc-editor.org/rfc/rfc{number}#{section})",
                section.strip_prefix("section-")?
            )
        }
    })
}

/// The row of [`SECTIONS`] a rule belongs to.
fn section_of(rule: &Rule) -> Option<usize> {
    let page = rule.section.split('#').next().unwrap_or_default();
    let book = rule.book.split(' ').next().unwrap_or_default();
    SECTIONS.iter().position(|(of, pages, _)| *of == book && (pages.contains(&"*") || pages.contains(&page)))
}

fn written(rows: &[Row], listed: &BTreeSet<String>, wrong: &mut Vec<String>) -> String {
    let tests: BTreeSet<&String> = rows.iter().flat_map(|row| row.1.keys()).collect();
    let mut page = format!(
        "# Conformance\n\n\
         Written by `tests/it/conformance.rs` from the lines above the tests (`/// R4 http.html#read: …`); change those, and run it with `BATON_BLESS=1`.\n\
         {} rules, {} tests. A rule is here because a test that is compiled, and is not passed over, stands under it; `.ci/run` fails when one of them fails, and when\n\
         one of them has not run. On: the databases that it runs against; – where none is needed.\n\n\
         What others' suites say is in [validation.md](validation.md) (FHIRPath, the published validator cases) and [writes.md](writes.md) (patches); what is not built in [the README](../README.md).\n",
        rows.len(),
        tests.len()
    );
    for (n, (_, pages, title)) in SECTIONS.iter().enumerate() {
        let mut mine: Vec<&Row> = rows.iter().filter(|(rule, _)| section_of(rule) == Some(n)).collect();
        if mine.is_empty() {
            continue;
        }
        let place = |rule: &Rule| pages.iter().position(|p| rule.section.starts_with(p)).unwrap_or_default();
        mine.sort_by_key(|(rule, _)| (place(rule), rule.book.clone(), rule.section.clone()));
        page.push_str(&format!("\n## {title}\n\n| Rule | Section | Proven by | On | |\n|---|---|---|---|---|\n"));
        for (rule, proven) in mine {
            let Some(link) = link(rule) else {
                wrong.push(format!("no such section: {} {}", rule.book, rule.section));
                continue;
            };
            let names: Vec<String> = proven.keys().map(|name| format!("`{name}`")).collect();
            let on: BTreeSet<&str> = proven.values().copied().collect();
            let sentence = rule.sentence.replace('|', "\\|");
            let on = on.into_iter().collect::<Vec<_>>().join(", ");
            page.push_str(&format!("| {sentence} | {link} | {} | {on} | pass |\n", names.join(" ")));
        }
    }
    wrong.extend(
        rows.iter()
            .filter(|(r, _)| section_of(r).is_none())
            .map(|(r, _)| format!("{} {}: no section of the page is for it; add it to SECTIONS", r.book, r.section)),
    );
    page.push_str("\n## The fifteen corners\n\nWhere FHIR servers differ; `cargo test --test it edge_03`.\n\n| | Corner | Tests |\n|---|---|---|\n");
    for n in 1..=15 {
        let mark = format!("edge_{n:02}_");
        let mine: BTreeSet<&str> = listed.iter().filter(|t| t.contains(&mark)).map(|t| plain(t)).collect();
        let title = mine.first().and_then(|t| t.split("::").find_map(|part| part.strip_prefix(&mark)));
        match title {
            Some(title) => page.push_str(&format!("| {n} | {} | {} |\n", title.replace('_', " "), mine.len())),
            None => wrong.push(format!("no test is named after corner {n}")),
        }
    }
    page
}

#[test]
fn the_page_on_conformance_is_what_the_tests_prove() {
    let (mut rows, listed, mut wrong) = collected();
    rows.retain(|(rule, _)| ![cases::BOOK, security::BOOK].contains(&&*rule.book));
    let page = written(&rows, &listed, &mut wrong);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    is_committed(PAGE, &page);
}

/// Whether a page is what the tests say; with `BATON_BLESS=1` it is written instead.
fn is_committed(name: &str, page: &str) {
    let place = root().join(name);
    if std::env::var_os("BATON_BLESS").is_some() {
        std::fs::write(&place, page).expect("the page is written");
    }
    let committed = std::fs::read_to_string(&place).unwrap_or_default();
    let first = page.lines().zip(committed.lines()).find(|(now, then)| now != then);
    assert!(committed == page, "{name} is not what the tests say; write it with BATON_BLESS=1. First: {first:?}");
}

#[test]
fn a_rule_above_no_test_is_seen() {
    // Not written out: these lines are in no test's documentation.
    let text = "§ R4 http.html#read: A rule\n§ that goes on.\n§\n§ A remark: none.\n#[test]\nfn a_test() {}\n\n\
                § R4 http.html#read: Lost.\nconst X: u8 = 1;\n\nmod tests {\n    § Own docs/writes.md: Mine.\n    #[test]\n    \
                #[ignore]\n    fn other() {}\n}\n"
        .replace('§', "///");
    let mut left = Vec::new();
    let found = proofs(Path::new("src/x.rs"), "x", &text, &mut left);
    let seen: Vec<_> = found.iter().map(|p| (p.path.as_str(), p.is_test, p.rules[0].sentence.as_str())).collect();
    assert_eq!(seen, [("x::a_test", true, "A rule that goes on."), ("x::tests::other", false, "Mine.")]);
    assert_eq!(left, ["src/x.rs:9: a rule above `const X: u8 = 1;`, which is no test"]);
    assert!(is_declared("fhir::date") && !is_declared("fhir::nowhere"));
    let lost = Proof { file: "x".into(), path: "rest::patch::never".into(), is_test: true, rules: Vec::new() };
    assert_eq!(runs_as(&lost, &by_name(&listed())), None);
}
