//! Law 10: symmetric in the order of input, total - each source line in exactly one outcome line - and repeatable.

use super::{source, tables};
use crate::workflow::list::Sent;
use crate::workflow::reconcile::{Reconciled, Source, reconcile};
use proptest::prelude::*;

const MEDICINES: [&str; 14] = [
    "lisinopril 10 MG Oral Tablet",
    "lisinopril 20 MG Oral Tablet",
    "lisinopril",
    "hydrochlorothiazide 12.5 MG / lisinopril 10 MG Oral Tablet",
    "hydrochlorothiazide 25 MG Oral Tablet",
    "metoprolol tartrate 25 MG Oral Tablet",
    "24 HR metoprolol succinate 100 MG Extended Release Oral Tablet",
    "hydrocortisone 10 MG/ML Topical Cream",
    "hydrocortisone 10 MG Oral Tablet",
    "hydrocortisone 10 MG",
    "pantoprazole 40 MG Delayed Release Oral Tablet",
    "insulin glargine 100 UNT/ML Injectable Solution",
    "???",
    "Yaz 28 Day Pack",
];
const LISTS: [&str; 8] = ["home", "stay", "discharge", "statement", "stop", "dispensed", "told", "untold"];
const DIRECTIONS: [&str; 6] =
    ["", "1 tablet daily", "2 tablets twice a day", "10 units at bedtime", "as needed", "as directed"];
const NOTES: [&str; 2] = ["", " | A note."];

fn any_source() -> impl Strategy<Value = String> {
    (0..LISTS.len(), 0..MEDICINES.len(), 0..DIRECTIONS.len(), 0..NOTES.len())
        .prop_map(|(l, m, d, n)| format!("{}: {} | {}{}", LISTS[l], MEDICINES[m], DIRECTIONS[d], NOTES[n]))
}

fn any_sources() -> impl Strategy<Value = Vec<Source>> {
    proptest::collection::vec(any_source(), 0..12)
        .prop_map(|texts| texts.iter().enumerate().map(|(n, t)| source(n, t)).collect())
}

fn sent(n: u8) -> Sent {
    [Sent::Some, Sent::NoneKnown, Sent::Nothing][usize::from(n % 3)]
}

/// Each outcome with the addresses of its sources.
fn shown(found: &Reconciled) -> Vec<String> {
    let sources = |o: &crate::workflow::reconcile::Outcome| {
        o.sources.iter().map(|n| found.sources[*n].target.to_string()).collect::<Vec<_>>().join(",")
    };
    found.outcomes.iter().map(|o| format!("{o:?} {}", sources(o))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn every_source_is_in_exactly_one_outcome(sources in any_sources(), n in any::<u8>()) {
        let count = sources.len();
        let found = reconcile(&tables(), sources, sent(n));
        let mut seen: Vec<usize> = found.outcomes.iter().flat_map(|o| o.sources.iter().copied()).collect();
        seen.sort_unstable();
        prop_assert_eq!(seen, (0..count).collect::<Vec<_>>());
        prop_assert!(found.outcomes.iter().all(|o| !o.sources.is_empty()));
    }

    #[test]
    fn the_order_of_the_input_does_not_matter(
        (sources, other) in any_sources().prop_flat_map(|s| (Just(s.clone()), Just(s).prop_shuffle())),
        n in any::<u8>(),
    ) {
        let (a, b) = (reconcile(&tables(), sources, sent(n)), reconcile(&tables(), other, sent(n)));
        prop_assert_eq!(shown(&a), shown(&b));
    }

    #[test]
    fn a_list_that_did_not_come_leaves_nothing_omitted(sources in any_sources()) {
        let found = reconcile(&tables(), sources, Sent::Nothing);
        prop_assert!(found.outcomes.iter().all(|o| o.kind.code() != "omitted-without-note"));
    }

    #[test]
    fn the_same_lists_before_and_after_are_unchanged(picks in proptest::collection::btree_set(0..MEDICINES.len(), 1..5), d in 1..DIRECTIONS.len()) {
        // One medicine a substance, so that nothing is taken twice.
        let mut texts: Vec<&str> = picks.iter().map(|n| MEDICINES[*n]).collect();
        let head = |m: &str| m.split(' ').find(|w| w.len() > 4).unwrap_or("?").to_lowercase();
        texts.dedup_by_key(|m| head(m));
        texts.retain(|m| !m.contains(" / ") && *m != "hydrocortisone 10 MG" && !m.starts_with("24 HR"));
        let both: Vec<Source> = texts
            .iter()
            .enumerate()
            .flat_map(|(n, m)| [source(2 * n, &format!("home: {m} | {}", DIRECTIONS[d])), source(2 * n + 1, &format!("discharge: {m} | {}", DIRECTIONS[d]))])
            .collect();
        let substances: std::collections::BTreeSet<String> = both.iter().map(|s| s.line.medicine.substances().join("+")).collect();
        prop_assume!(substances.len() == texts.len());
        let found = reconcile(&tables(), both, Sent::Some);
        prop_assert!(found.outcomes.iter().all(|o| o.kind.code() == "unchanged"), "{:#?}", found.outcomes);
        prop_assert_eq!(found.outcomes.len(), texts.len());
    }
}
