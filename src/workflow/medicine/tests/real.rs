//! Every distinct display of the real data: read in full, or said to be unclear.

use super::tables;
use crate::workflow::medicine::{Gap, read};
use flate2::read::GzDecoder;
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::Read;

fn displays(file: &str) -> Option<BTreeSet<String>> {
    let Some(folder) = std::env::var_os("BATON_TEST_DATA") else {
        let asked = std::env::var("BATON_TEST_REQUIRE").unwrap_or_default();
        assert!(
            !asked.split(',').any(|r| r == "data"),
            "BATON_TEST_REQUIRE asks for data and BATON_TEST_DATA is not set"
        );
        return None;
    };
    let mut text = String::new();
    let packed = std::fs::File::open(std::path::Path::new(&folder).join(file)).unwrap();
    GzDecoder::new(packed).read_to_string(&mut text).unwrap();
    let mut out = BTreeSet::new();
    for line in text.lines() {
        let bundle: Value = serde_json::from_str(line).unwrap();
        for resource in bundle["entry"].as_array().into_iter().flatten().map(|e| &e["resource"]) {
            let medication = resource["resourceType"] == "Medication";
            let concept = &resource[if medication { "code" } else { "medicationCodeableConcept" }];
            let codings = concept["coding"].as_array().into_iter().flatten().map(|c| &c["display"]);
            out.extend(codings.chain([&concept["text"]]).filter_map(Value::as_str).map(String::from));
        }
    }
    Some(out)
}

#[test]
fn every_display_of_the_real_data_is_read_or_said_to_be_unclear() {
    let mut all = BTreeSet::new();
    for file in ["synthea/patients-2019.ndjson.gz", "synthea/patients-2025.ndjson.gz", "discharges.ndjson.gz"] {
        let Some(found) = displays(file) else { return };
        all.extend(found);
    }
    let tables = tables();
    let mut unclear = Vec::new();
    for display in &all {
        let reading = read(&tables, display);
        // Each number of the display is in what was read: nothing is dropped in silence.
        if reading.gaps.is_empty() {
            let medicine = &reading.medicine;
            let sizes = medicine.size.iter().chain(&medicine.lasts).map(|a| a.value.to_string()).collect::<Vec<_>>();
            let shown = format!("{medicine} {sizes:?}");
            let numbers =
                display.split(|c: char| !(c.is_ascii_digit() || c == '.')).filter(|n| n.parse::<f64>().is_ok());
            for number in
                numbers.filter(|n| !display.contains(&format!("NDA{n}")) && !display.contains(&format!("B {n}")))
            {
                let number = crate::workflow::medicine::Decimal::parse(number).unwrap().to_string();
                assert!(shown.contains(&number) || medicine.brand.is_some(), "{display}: {number} in {shown}");
            }
        } else {
            assert!(
                !reading.gaps.iter().any(|g| matches!(g, Gap::Word(_) | Gap::Ingredient)),
                "{display}: {:?}",
                reading.gaps
            );
            unclear.push(display.clone());
        }
    }
    assert!(all.len() >= 100, "{} displays", all.len());
    // Those that have no dose form in the data.
    assert!(unclear.len() * 20 <= all.len(), "{} of {} unclear: {unclear:#?}", unclear.len(), all.len());
}
