//! Law 10 over the lists of the real discharges: whatever order the resources of a Bundle come in, each line is in one outcome, and
//! the outcomes are the same.

use super::tables;
use crate::fhir::Json;
use crate::workflow::Programme;
use crate::workflow::discharge::Stay;
use crate::workflow::element::{target_of, type_of};
use crate::workflow::list;
use crate::workflow::medicine::Line;
use crate::workflow::reconcile::{Reconciled, Source, reconcile};
use flate2::read::GzDecoder;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use std::io::Read;

/// The resources of each discharge, links between entries made addresses.
fn discharges() -> Option<Vec<Vec<Json>>> {
    let Some(folder) = std::env::var_os("BATON_TEST_DATA") else {
        let asked = std::env::var("BATON_TEST_REQUIRE").unwrap_or_default();
        assert!(
            !asked.split(',').any(|r| r == "data"),
            "BATON_TEST_REQUIRE asks for data and BATON_TEST_DATA is not set"
        );
        return None;
    };
    let packed = std::fs::File::open(std::path::Path::new(&folder).join("discharges.ndjson.gz")).unwrap();
    let mut text = String::new();
    GzDecoder::new(packed).read_to_string(&mut text).unwrap();
    let bundle = |line: &str| {
        let read: serde_json::Value = serde_json::from_str(line).unwrap();
        let mut line = line.to_owned();
        for entry in read["entry"].as_array().unwrap() {
            let (kind, id) = (entry["resource"]["resourceType"].as_str(), entry["resource"]["id"].as_str());
            let address = format!("\"reference\":\"{}/{}\"", kind.unwrap(), id.unwrap());
            let link = format!("\"reference\":\"{}\"", entry["fullUrl"].as_str().unwrap());
            line = line.replace(&link, &address).replace(&link.replace("\":\"", "\": \""), &address);
        }
        let read: serde_json::Value = serde_json::from_str(&line).unwrap();
        read["entry"].as_array().unwrap().iter().map(|e| e["resource"].clone().into()).collect()
    };
    Some(text.lines().map(bundle).collect())
}

fn reconciled(programme: &Programme, resources: &[Json]) -> Option<Reconciled> {
    let stay = resources.iter().find(|r| type_of(r) == "Encounter")?;
    let stay = Stay::of(programme, stay)?;
    let lines = list::lines(programme, &stay, &resources.iter().collect::<Vec<_>>());
    let source = |entry: &list::Entry| {
        let json = resources.iter().find(|r| target_of(r).as_ref() == Some(&entry.target))?;
        Some(Source {
            group: entry.group,
            target: entry.target.clone(),
            is_ended: entry.is_ended,
            why: entry.why.into(),
            line: Line::of(&tables(), json, None),
        })
    };
    Some(reconcile(&tables(), lines.lines.iter().filter_map(source).collect(), lines.sent))
}

#[test]
fn the_order_of_the_resources_of_a_real_discharge_does_not_matter() {
    let Some(all) = discharges() else { return };
    let programme = Programme::for_tests();
    let mut lines = 0;
    for resources in all {
        let Some(expected) = reconciled(&programme, &resources) else { continue };
        let mut seen: Vec<usize> = expected.outcomes.iter().flat_map(|o| o.sources.iter().copied()).collect();
        seen.sort_unstable();
        assert_eq!(seen, (0..expected.sources.len()).collect::<Vec<_>>(), "each line in one outcome");
        lines += seen.len();
        let mut runner = TestRunner::deterministic();
        let orders = Just(resources).prop_shuffle();
        for _ in 0..6 {
            let order = orders.new_tree(&mut runner).unwrap().current();
            assert_eq!(reconciled(&programme, &order).as_ref(), Some(&expected));
        }
    }
    assert!(lines > 50, "{lines}");
}
