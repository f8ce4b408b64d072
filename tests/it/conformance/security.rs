//! `docs/security.md`: each requirement, attack, leak path and kind of audit record, with the tests that name it.
//!
//! The rows are in `security.tsv`: (row, title, why it is open). A test names them in the lines above it: `/// security A11: An
//! assertion is used once, in a race and after a restart.`

use super::{Row, collected, is_committed};
use std::collections::{BTreeMap, BTreeSet};

/// The book of these rules.
pub(super) const BOOK: &str = "security";

const PAGE: &str = "docs/security.md";
const ROWS: &str = include_str!("security.tsv");
/// What rows begin with, and the title of their table.
const SECTIONS: [(&str, &str); 4] = [
    ("R", "Requirements of SMART App Launch, OAuth and the resource server"),
    ("A", "Attacks and bad input"),
    ("leak ", "Ways by which one organisation could learn of another's"),
    ("audit ", "What is on record"),
];

/// (row, title, why nothing proves it yet)
fn all() -> impl Iterator<Item = (&'static str, &'static str, Option<&'static str>)> {
    ROWS.lines().map(|line| {
        let mut columns = line.split('\t');
        (columns.next().unwrap_or_default(), columns.next().unwrap_or_default(), columns.next())
    })
}

fn is_row(name: &str) -> bool {
    all().any(|(row, ..)| row == name)
}

fn written(rows: &[Row]) -> String {
    let mut proven: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
    for row in rows.iter().filter(|(rule, _)| rule.book == BOOK) {
        proven.entry(&row.0.section).or_default().push(row);
    }
    let tests: BTreeSet<&String> = proven.values().flatten().flat_map(|row| row.1.keys()).collect();
    let mut page = format!(
        "# Security: what is proven\n\n\
         Written by `tests/it/conformance/security.rs` from the lines above the tests (`/// security A11: …`); change those, and run it with `BATON_BLESS=1`.\n\
         {} of {} rows have tests, {} in all; *open* is what none proves yet. Who attacks and what protects: [SECURITY.md](../SECURITY.md); who may do what: [access.md](access.md).\n",
        proven.len(),
        all().count(),
        tests.len()
    );
    for (start, title) in SECTIONS {
        page.push_str(&format!(
            "\n## {title}\n\n| | Row | What the tests say | Proven by | On |\n|---|---|---|---|---|\n"
        ));
        for (row, title, why) in all().filter(|(row, ..)| is_of(row, start)) {
            let short = row.strip_prefix(start).filter(|_| start.ends_with(' ')).unwrap_or(row);
            let Some(found) = proven.get(row) else {
                let why = why.map_or("*open*".to_owned(), |why| format!("*open*: {why}"));
                page.push_str(&format!("| {short} | {title} | {why} | | |\n"));
                continue;
            };
            let sentences: Vec<&str> = found.iter().map(|(rule, _)| &*rule.sentence).collect();
            let names: BTreeSet<String> = found.iter().flat_map(|row| row.1.keys()).map(|n| format!("`{n}`")).collect();
            let on: BTreeSet<&str> = found.iter().flat_map(|row| row.1.values()).copied().collect();
            page.push_str(&format!(
                "| {short} | {title} | {} | {} | {} |\n",
                sentences.join(" ").replace('|', "\\|"),
                names.into_iter().collect::<Vec<_>>().join(" "),
                on.into_iter().collect::<Vec<_>>().join(", ")
            ));
        }
    }
    page
}

/// `R14` is of `R`, `leak 4` of `leak `; `audit read` is not of `A`.
fn is_of(row: &str, start: &str) -> bool {
    row.strip_prefix(start).is_some_and(|rest| start.ends_with(' ') || rest.parse::<u8>().is_ok())
}

#[test]
fn the_page_on_security_is_what_the_tests_prove() {
    let (rows, _, mut wrong) = collected();
    let strange = rows.iter().filter(|(rule, _)| rule.book == BOOK && !is_row(&rule.section));
    wrong.extend(strange.map(|(rule, _)| format!("security.tsv has no row '{}'", rule.section)));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    is_committed(PAGE, &written(&rows));
}

#[test]
fn each_row_is_of_one_table_and_stands_once() {
    let mut seen = BTreeSet::new();
    for (row, title, why) in all() {
        assert!(seen.insert(row), "{row} stands twice");
        assert!(!title.is_empty() && why != Some(""), "{row}");
        assert_eq!(SECTIONS.iter().filter(|(start, _)| is_of(row, start)).count(), 1, "{row}");
    }
}
