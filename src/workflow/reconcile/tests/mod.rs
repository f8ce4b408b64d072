//! Outcomes as a table, and the laws of reconciliation as properties.

mod laws;
mod real;

use super::{Kind, Reconciled, Source, reconcile};
use crate::fhir::{Json, Target};
use crate::workflow::Programme;
use crate::workflow::list::{Group, Sent};
use crate::workflow::medicine::{Line, Tables};
use std::sync::{Arc, LazyLock};

fn tables() -> Arc<Tables> {
    static TABLES: LazyLock<Arc<Tables>> = LazyLock::new(|| Programme::for_tests().medicines.clone());
    TABLES.clone()
}

/// `home:`, `stay:`, `discharge:`, `stop:` (a stopped discharge order), `dispensed:`, `told:`, `untold:`; then the medicine,
/// `|` its directions, `|` a note.
fn source(n: usize, text: &str) -> Source {
    let (list, rest) = text.split_once(": ").unwrap();
    let mut parts = rest.split(" | ");
    let medicine = parts.next().unwrap();
    let (group, rtype, is_ended) = match list {
        "home" => (Group::Home, "MedicationStatement", false),
        "stay" => (Group::Stay, "MedicationAdministration", false),
        "discharge" => (Group::Discharge, "MedicationRequest", false),
        "statement" => (Group::Discharge, "MedicationStatement", false),
        "stop" => (Group::Discharge, "MedicationRequest", true),
        "dispensed" => (Group::Dispensed, "MedicationDispense", false),
        "told" => (Group::Told, "MedicationStatement", false),
        "untold" => (Group::Told, "MedicationStatement", true),
        other => panic!("{other}"),
    };
    let mut json = serde_json::json!({"resourceType": rtype, "medicationCodeableConcept": {"text": medicine}});
    if let Some(text) = parts.next().filter(|t| !t.is_empty()) {
        json["dosage"] = serde_json::json!([{"text": text}]);
    }
    if let Some(note) = parts.next() {
        json["note"] = serde_json::json!([{"text": note}]);
    }
    let json: Json = json.into();
    let target = Target::parse(&format!("{rtype}/s{n:02}")).unwrap();
    Source { group, target, is_ended, why: "a test says so".into(), line: Line::of(&tables(), &json, None) }
}

fn sources(texts: &[&str]) -> Vec<Source> {
    texts.iter().enumerate().map(|(n, t)| source(n, t)).collect()
}

/// `changed lisinopril 10 MG Oral Tablet [dose 10 mg → 20 mg]`.
fn told(found: &Reconciled) -> Vec<String> {
    let one = |o: &super::Outcome| {
        let changes: Vec<String> = o.changes.iter().map(|c| format!("{} {} → {}", c.what, c.from, c.to)).collect();
        let changes = if changes.is_empty() { String::new() } else { format!(" [{}]", changes.join("; ")) };
        format!("{} {}{changes}", o.kind.code(), o.name)
    };
    found.outcomes.iter().map(one).collect()
}

/// Found by reading reconciliations by hand: vancomycin, given in a stay that sent no list, was called stopped and settled.
#[test]
fn what_was_given_in_a_stay_that_sent_no_list_is_not_called_stopped() {
    let stay = || sources(&["stay: 150 ML vancomycin 5 MG/ML Injection"]);
    for (sent, kind) in [(Sent::Some, Kind::Stopped), (Sent::NoneKnown, Kind::Stopped), (Sent::Nothing, Kind::Unclear)]
    {
        let found = reconcile(&tables(), stay(), sent);
        assert_eq!(found.outcomes[0].kind, kind, "{sent:?}");
        assert_eq!(found.outcomes[0].is_settled(), sent != Sent::Nothing, "{sent:?}");
    }
}

#[test]
fn outcomes_as_a_table() {
    let cases: &[(&[&str], &[&str])] = &[
        (
            &[
                "home: lisinopril 10 MG Oral Tablet | 1 tablet daily",
                "discharge: lisinopril 10 MG Oral Tablet | 1 tablet every day",
            ],
            &["unchanged lisinopril 10 MG Oral Tablet"],
        ),
        // The strength is another, what is taken the same; and the other way round.
        (
            &[
                "home: lisinopril 10 MG Oral Tablet | 2 tablets daily",
                "discharge: lisinopril 20 MG Oral Tablet | 1 tablet daily",
            ],
            &["changed lisinopril 20 MG Oral Tablet [strength 10 mg → 20 mg]"],
        ),
        (
            &[
                "home: warfarin 5 MG Oral Tablet | 1 tablet every evening",
                "discharge: warfarin 5 MG Oral Tablet | half a tablet every evening",
            ],
            &["changed warfarin 5 MG Oral Tablet [dose 1 tablet (5 mg) → 0.5 tablet (2.5 mg)]"],
        ),
        (
            &[
                "home: metformin 500 MG Oral Tablet | 1 tablet daily",
                "discharge: metformin 500 MG Oral Tablet | 1 tablet twice a day",
            ],
            &["changed metformin 500 MG Oral Tablet [frequency once a day → 2 times a day]"],
        ),
        (
            &[
                "home: oxycodone 5 MG Oral Tablet | 1 tablet every 6 hours",
                "discharge: oxycodone 5 MG Oral Tablet | 1 tablet every 6 hours as needed",
            ],
            &["changed oxycodone 5 MG Oral Tablet [when needed every 6 hours → when needed]"],
        ),
        (
            &[
                "home: metoprolol tartrate 50 MG Oral Tablet | 1 tablet twice a day",
                "discharge: 24 HR metoprolol succinate 100 MG Extended Release Oral Tablet | 1 tablet daily",
            ],
            &[
                "changed 24 HR metoprolol succinate 100 MG Extended Release Oral Tablet [strength 50 mg → 100 mg; salt tartrate → succinate; form tablet → extended release tablet; dose 1 tablet (50 mg) → 1 tablet (100 mg); frequency 2 times a day → once a day]",
            ],
        ),
        (&["discharge: apixaban 5 MG Oral Tablet | 1 tablet twice a day"], &["new apixaban 5 MG Oral Tablet"]),
        (
            &["home: simvastatin 20 MG Oral Tablet | 1 tablet at bedtime"],
            &["omitted-without-note simvastatin 20 MG Oral Tablet"],
        ),
        (
            &[
                "home: simvastatin 20 MG Oral Tablet | 1 tablet at bedtime",
                "stop: simvastatin 20 MG Oral Tablet | | Replaced.",
            ],
            &["stopped simvastatin 20 MG Oral Tablet"],
        ),
        (&["stay: ceftriaxone 1000 MG Injection"], &["stopped ceftriaxone 1000 MG Injection"]),
        (
            &[
                "stay: pantoprazole 40 MG Delayed Release Oral Tablet",
                "discharge: pantoprazole 40 MG Delayed Release Oral Tablet | 1 tablet daily",
            ],
            &["inpatient-only-continued pantoprazole 40 MG Delayed Release Oral Tablet"],
        ),
        (
            &[
                "home: pantoprazole 40 MG Delayed Release Oral Tablet | 1 tablet daily",
                "stay: pantoprazole 40 MG Injection",
                "discharge: pantoprazole 40 MG Delayed Release Oral Tablet | 1 tablet daily",
            ],
            &["unchanged pantoprazole 40 MG Delayed Release Oral Tablet"],
        ),
        (
            &[
                "discharge: metoprolol tartrate 25 MG Oral Tablet | 1 tablet twice a day",
                "discharge: 24 HR metoprolol succinate 100 MG Extended Release Oral Tablet | 1 tablet daily",
            ],
            &["duplicate 24 HR metoprolol succinate 100 MG Extended Release Oral Tablet"],
        ),
        (
            &[
                "discharge: hydrochlorothiazide 25 MG Oral Tablet | 1 tablet daily",
                "discharge: hydrochlorothiazide 12.5 MG / lisinopril 10 MG Oral Tablet | 1 tablet daily",
            ],
            &["duplicate hydrochlorothiazide 12.5 MG / lisinopril 10 MG Oral Tablet"],
        ),
        // The same line in two types is one line.
        (
            &[
                "discharge: lisinopril 10 MG Oral Tablet | 1 tablet daily",
                "statement: lisinopril 10 MG Oral Tablet | 1 tablet daily",
            ],
            &["new lisinopril 10 MG Oral Tablet"],
        ),
        (
            &[
                "discharge: lisinopril 10 MG Oral Tablet | 1 tablet daily",
                "discharge: lisinopril 10 MG Oral Tablet | 1 tablet daily",
            ],
            &["duplicate lisinopril 10 MG Oral Tablet"],
        ),
        // A tablet and a cream of one substance are two medicines.
        (
            &[
                "home: hydrocortisone 10 MG/ML Topical Cream | twice a day",
                "discharge: hydrocortisone 10 MG/ML Topical Cream | twice a day",
                "discharge: hydrocortisone 10 MG Oral Tablet | 1 tablet daily",
            ],
            &["new hydrocortisone 10 MG Oral Tablet", "unchanged hydrocortisone 10 MG/ML Topical Cream"],
        ),
        // Two tablets become one.
        (
            &[
                "home: hydrochlorothiazide 12.5 MG Oral Tablet | 1 tablet daily",
                "home: lisinopril 10 MG Oral Tablet | 1 tablet daily",
                "discharge: hydrochlorothiazide 12.5 MG / lisinopril 10 MG Oral Tablet | 1 tablet daily",
            ],
            &[
                "changed hydrochlorothiazide 12.5 MG / lisinopril 10 MG Oral Tablet [substances hydrochlorothiazide; lisinopril → hydrochlorothiazide + lisinopril]",
            ],
        ),
        // One home list has two strengths; one goes on.
        (
            &[
                "home: warfarin 5 MG Oral Tablet | 1 tablet daily",
                "home: warfarin 2 MG Oral Tablet | 1 tablet daily",
                "discharge: warfarin 5 MG Oral Tablet | 1 tablet daily",
            ],
            &["omitted-without-note warfarin 2 MG Oral Tablet", "unchanged warfarin 5 MG Oral Tablet"],
        ),
        // Another was stopped by name, and this one begun.
        (
            &[
                "home: metoprolol tartrate 25 MG Oral Tablet | 1 tablet twice a day",
                "stop: metoprolol tartrate 25 MG Oral Tablet",
                "discharge: 24 HR metoprolol succinate 100 MG Extended Release Oral Tablet | 1 tablet daily",
            ],
            &[
                "new 24 HR metoprolol succinate 100 MG Extended Release Oral Tablet",
                "stopped metoprolol tartrate 25 MG Oral Tablet",
            ],
        ),
        // What one list does not say is not known to be unchanged.
        (
            &["home: lisinopril 10 MG Oral Tablet", "discharge: lisinopril 10 MG Oral Tablet | 1 tablet daily"],
            &["unclear lisinopril 10 MG Oral Tablet"],
        ),
        (
            &["home: lisinopril", "discharge: lisinopril 10 MG Oral Tablet | 1 tablet daily"],
            &["unclear lisinopril 10 MG Oral Tablet"],
        ),
        (
            &["home: lisinopril 10 MG Oral Tablet", "discharge: lisinopril 10 MG Oral Tablet"],
            &["unchanged lisinopril 10 MG Oral Tablet"],
        ),
        // Told and handed out.
        (&["told: ibuprofen 400 MG Oral Tablet | 1 tablet as needed"], &["unclear ibuprofen 400 MG Oral Tablet"]),
        (&["dispensed: ibuprofen 400 MG Oral Tablet"], &["unclear ibuprofen 400 MG Oral Tablet"]),
        (
            &[
                "discharge: apixaban 5 MG Oral Tablet | 1 tablet twice a day",
                "dispensed: apixaban 5 MG Oral Tablet | 1 tablet twice a day",
                "told: apixaban 5 MG Oral Tablet | 1 tablet daily",
            ],
            &["new apixaban 5 MG Oral Tablet"],
        ),
        (&["home: ???", "discharge: ???"], &["unchanged ???"]),
        (&["discharge: ???"], &["unclear ???"]),
    ];
    for (texts, hand) in cases {
        let found = reconcile(&tables(), sources(texts), Sent::Some);
        assert_eq!(told(&found), *hand, "{texts:#?}\n{:#?}", found.outcomes);
    }
}

#[test]
fn without_a_discharge_list_nothing_is_called_omitted() {
    let home = sources(&["home: simvastatin 20 MG Oral Tablet | 1 tablet at bedtime"]);
    assert_eq!(told(&reconcile(&tables(), home.clone(), Sent::Nothing)), ["unclear simvastatin 20 MG Oral Tablet"]);
    assert_eq!(
        told(&reconcile(&tables(), home, Sent::NoneKnown)),
        ["omitted-without-note simvastatin 20 MG Oral Tablet"]
    );
}

#[test]
fn what_is_said_beside_the_lists_is_remarked() {
    let remarks = |texts: &[&str]| reconcile(&tables(), sources(texts), Sent::Some).outcomes.remove(0).remarks;
    for (texts, part) in [
        (
            &[
                "discharge: apixaban 5 MG Oral Tablet | 1 tablet twice a day",
                "told: apixaban 5 MG Oral Tablet | 1 tablet daily",
            ][..],
            "the patient takes it otherwise than prescribed: frequency once a day for 2 times a day",
        ),
        (
            &["discharge: apixaban 5 MG Oral Tablet | 1 tablet twice a day", "untold: apixaban 5 MG Oral Tablet"],
            "the patient says that it is not taken",
        ),
        (
            &[
                "home: simvastatin 20 MG Oral Tablet",
                "stop: simvastatin 20 MG Oral Tablet",
                "told: simvastatin 20 MG Oral Tablet",
            ],
            "stopped, but the patient says that it is taken",
        ),
        (&["discharge: apixaban 5 MG Oral Tablet"], "the discharge does not say the dose"),
        (
            &["home: lisinopril 10 MG Oral Tablet", "discharge: lisinopril 10 MG Oral Tablet | 1 tablet daily"],
            "the home list does not say the directions",
        ),
    ] {
        let found = remarks(texts);
        assert!(found.iter().any(|r| r == part), "{texts:?}: {found:?}");
    }
}

#[test]
fn a_change_is_settled_by_a_note() {
    let settled = |note: &str| {
        let after = format!("discharge: warfarin 5 MG Oral Tablet | half a tablet daily{note}");
        let found =
            reconcile(&tables(), sources(&["home: warfarin 5 MG Oral Tablet | 1 tablet daily", &after]), Sent::Some);
        (found.outcomes[0].kind, found.outcomes[0].is_settled())
    };
    assert_eq!(settled(" | INR 5.2"), (Kind::Changed, true));
    assert_eq!(settled(""), (Kind::Changed, false));
}
