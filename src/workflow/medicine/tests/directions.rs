//! Directions: structure first, text where it says more.

use super::tables;
use crate::fhir::Json;
use crate::workflow::medicine::Line;
use serde_json::{Value, json};

fn line(medicine: &str, dosage: Value) -> Line {
    let json: Json = json!({"resourceType": "MedicationRequest", "medicationCodeableConcept": {"text": medicine}, "dosageInstruction": [dosage]}).into();
    Line::of(&tables(), &json, None)
}

fn read(dosage: Value) -> String {
    let line = line("lisinopril 10 MG Oral Tablet", dosage);
    let d = line.regimen.directions.first().cloned().unwrap_or_default();
    let mut out: Vec<String> = Vec::new();
    out.extend(d.quantity.map(|q| q.to_string()));
    out.extend(d.frequency.map(|f| f.to_string()));
    if !d.when.is_empty() {
        out.push(d.when.join("+"));
    }
    if d.is_needed {
        out.push("needed".into());
    }
    if d.is_once {
        out.push("once".into());
    }
    out.extend(d.lasts.map(|l| format!("for {l}")));
    if d.is_contradictory {
        out.push("contradictory".into());
    }
    out.join(", ")
}

#[test]
fn directions_are_read_as_a_table() {
    let text = |t: &str| json!({"text": t});
    for (dosage, hand) in [
        (text("1 tablet every morning"), "1 tablet, once a day, MORN"),
        (text("1 tablet twice a day"), "1 tablet, 2 times a day"),
        (text("half a tablet (2.5 mg) every evening"), "0.5 tablet, once a day, EVE"),
        (text("take two tablets by mouth three times daily"), "2 tablet, 3 times a day"),
        (text("8 tablets every morning for 5 days"), "8 tablet, once a day, MORN, for 5 d"),
        (text("1 tablet every 8 hours for 5 days"), "1 tablet, every 8 hours, for 5 d"),
        (text("1 tablet every 5 hours"), "1 tablet, every 5 hours"),
        (text("2 puffs when short of breath"), "2 puff, needed"),
        (text("1 tab PO BID PRN"), "1 tablet, 2 times a day, needed"),
        (text("10mg qhs"), "10 mg, once a day, HS"),
        (text("1 tablet with breakfast and dinner"), "1 tablet, 2 times a day, EVE+MORN"),
        (text("1 tablet every other day"), "1 tablet, every 2 days"),
        (text("one tablet every 4 to 6 hours as needed for pain"), "1 tablet, every 4 to 6 hours, needed"),
        (text("5 mL q6h"), "5 mL, 4 times a day"),
        (text("10 units at bedtime"), "10 units, once a day, HS"),
        (text("1 tablet once a week"), "1 tablet, once a week"),
        (text("as directed"), ""),
        (text("see attached"), ""),
        (
            json!({"timing": {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}}, "doseAndRate": [{"doseQuantity": {"value": 1}}]}),
            "1 tablet, once a day",
        ),
        (
            json!({"timing": {"repeat": {"frequency": 2, "period": 1.0, "periodUnit": "d"}}, "doseAndRate": [{"doseQuantity": {"value": 20, "unit": "mg", "code": "mg"}}]}),
            "20 mg, 2 times a day",
        ),
        (json!({"timing": {"repeat": {"when": ["MORN", "HS"]}}}), "2 times a day, HS+MORN"),
        (
            json!({"timing": {"repeat": {"timeOfDay": ["08:00:00", "20:00:00"], "frequency": 2, "period": 1, "periodUnit": "d"}}}),
            "2 times a day, 08:00+20:00",
        ),
        (json!({"timing": {"repeat": {"dayOfWeek": ["mon", "wed", "fri"]}}}), "3 times a week"),
        (json!({"timing": {"code": {"coding": [{"code": "BID"}]}}}), "2 times a day"),
        (json!({"timing": {"code": {"text": "Q4H"}}, "asNeededBoolean": true}), "every 4 hours, needed"),
        (
            json!({"timing": {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d", "boundsDuration": {"value": 7, "unit": "d", "code": "d"}}}}),
            "once a day, for 7 d",
        ),
        (
            json!({"doseAndRate": [{"doseRange": {"low": {"value": 1, "unit": "tablet"}, "high": {"value": 2, "unit": "tablet"}}}]}),
            "1 to 2 tablet",
        ),
        (
            json!({"text": "1 tablet three times a day", "timing": {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}}}),
            "1 tablet, once a day, contradictory",
        ),
        (json!({"timing": {"repeat": {"frequency": 1, "period": 0, "periodUnit": "d"}}}), ""),
    ] {
        assert_eq!(read(dosage.clone()), hand, "{dosage}");
    }
}

#[test]
fn a_dose_without_a_unit_counts_pieces_only_where_the_form_is_taken_whole() {
    let dose = json!({"doseAndRate": [{"doseQuantity": {"value": 2.50}}]});
    for (medicine, hand) in
        [("lisinopril 10 MG Oral Tablet", "2.5 tablet"), ("amoxicillin 50 MG/ML Oral Suspension", "2.5 (no unit)")]
    {
        let line = line(medicine, dose.clone());
        assert_eq!(line.regimen.directions[0].quantity.as_ref().unwrap().to_string(), hand);
    }
}

#[test]
fn the_text_that_says_most_is_taken_and_a_contradiction_is_said() {
    let concept = |coding: Value, text: &str| -> Json {
        json!({"resourceType": "MedicationRequest", "medicationCodeableConcept": {"coding": coding, "text": text}})
            .into()
    };
    let rxnorm = "http://www.nlm.nih.gov/research/umls/rxnorm";
    let of = |json: &Json| Line::of(&tables(), json, None);
    let bare = of(&concept(json!([{"system": rxnorm, "code": "314076"}]), ""));
    assert_eq!(bare.medicine.to_string(), "lisinopril 10 mg, tablet, oral");
    let both =
        of(&concept(json!([{"system": rxnorm, "code": "x", "display": "lisinopril 10 MG Oral Tablet"}]), "Lisinopril"));
    assert_eq!((both.medicine.to_string().as_str(), both.gaps.len()), ("lisinopril 10 mg, tablet, oral", 0));
    assert_eq!(both.display, "Lisinopril");
    let odd = of(&concept(
        json!([{"system": rxnorm, "code": "x", "display": "lisinopril 10 MG Oral Tablet"}]),
        "warfarin 5 MG Oral Tablet",
    ));
    assert!(
        odd.gaps.iter().any(|g| g.to_string().starts_with("code and text name different medicines")),
        "{:?}",
        odd.gaps
    );
    let unknown = of(&concept(json!([{"system": rxnorm, "code": "999"}]), ""));
    assert_eq!(unknown.name(), "code 999");
    assert!(!unknown.gaps.is_empty());
}
