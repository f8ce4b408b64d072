//! `docs/cases.md`: each bad case that the programme must refuse, with the tests that name it.
//!
//! The rows are in `cases.tsv`: (number, what is tried, why nothing can prove it yet). A test names its case in the lines above it:
//! `/// case 12: A claim without If-Match is 428 by every door.`

use super::{Row, collected, is_committed};
use std::collections::BTreeSet;

/// The book of these rules.
pub(super) const BOOK: &str = "case";

const PAGE: &str = "docs/cases.md";
const ROWS: &str = include_str!("cases.tsv");

/// (number, what is tried, why nothing can prove it yet)
fn all() -> impl Iterator<Item = (&'static str, &'static str, Option<&'static str>)> {
    ROWS.lines().map(|line| {
        let mut columns = line.split('\t');
        (columns.next().unwrap_or_default(), columns.next().unwrap_or_default(), columns.next())
    })
}

fn written(rows: &[Row], wrong: &mut Vec<String>) -> String {
    let mut page = "# Bad cases\n\n\
         What must be refused, or must change nothing, by every door that leads to it: PUT, PATCH, an entry of a transaction or batch, a conditional write, an operation, a message.\n\
         Written by `tests/it/conformance/cases.rs` from the lines above the tests (`/// case 12: …`); change those, and run it with `BATON_BLESS=1`. It fails where a case has no test.\n\n\
         | | Case | What the tests say | Proven by | On |\n|---|---|---|---|---|\n"
        .to_owned();
    for (number, title, why) in all() {
        let found: Vec<&Row> = rows.iter().filter(|(rule, _)| rule.book == BOOK && rule.section == number).collect();
        match (found.is_empty(), why) {
            (true, None) => wrong.push(format!("no test names case {number}: {title}")),
            (true, Some(why)) => page.push_str(&format!("| {number} | {title} | *open*: {why} | | |\n")),
            (false, _) => {
                let sentences: Vec<&str> = found.iter().map(|(rule, _)| &*rule.sentence).collect();
                let names: BTreeSet<String> =
                    found.iter().flat_map(|row| row.1.keys()).map(|n| format!("`{n}`")).collect();
                let on: BTreeSet<&str> = found.iter().flat_map(|row| row.1.values()).copied().collect();
                page.push_str(&format!(
                    "| {number} | {title} | {} | {} | {} |\n",
                    sentences.join(" ").replace('|', "\\|"),
                    names.into_iter().collect::<Vec<_>>().join(" "),
                    on.into_iter().collect::<Vec<_>>().join(", ")
                ));
            }
        }
    }
    page
}

#[test]
fn each_bad_case_has_a_test_that_names_it() {
    let (rows, _, mut wrong) = collected();
    let numbers: BTreeSet<&str> = all().map(|(number, ..)| number).collect();
    assert_eq!(numbers.len(), 30, "thirty cases, each once");
    let strange = rows.iter().filter(|(rule, _)| rule.book == BOOK && !numbers.contains(&*rule.section));
    wrong.extend(strange.map(|(rule, _)| format!("cases.tsv has no case '{}'", rule.section)));
    let page = written(&rows, &mut wrong);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    is_committed(PAGE, &page);
}
