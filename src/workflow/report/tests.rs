//! The report of a small world: document, page, PDF and the patient's list say the same, and nothing that was sent breaks them.

use super::{Report, document, page, patient, pdf};
use crate::fhir::{Json, validate};
use crate::workflow::world::*;
use serde_json::{Value, json};

fn world() -> World {
    let mut world = World::new();
    let medicine = |id: &str, text: &str, directions: &str| {
        let mut out = prescription(id, None);
        out["medicationCodeableConcept"]["text"] = text.into();
        out["dosageInstruction"] = json!([{"text": directions}]);
        out
    };
    let mut patient = patient();
    patient["name"] = json!([{"family": "O<script>alert(1)</script>Neil", "given": ["Ana & Co"]}]);
    patient["communication"] =
        json!([{"language": {"coding": [{"system": "urn:ietf:bcp:47", "code": "es-MX"}]}, "preferred": true}]);
    let mut home = home_medicine();
    home["dosage"] = json!([{"text": "1 tablet twice a day"}]);
    let allergy = json!({"resourceType": "AllergyIntolerance", "id": "a", "patient": {"reference": "Patient/p"},
        "clinicalStatus": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical", "code": "active"}]},
        "code": {"text": "Penicillin"}, "reaction": [{"manifestation": [{"text": "rash"}]}]});
    world
        .write(
            "hospital",
            vec![
                patient,
                encounter(),
                home,
                allergy,
                medicine("m", "warfarin sodium 5 MG Oral Tablet", "half a tablet every evening"),
                medicine("n", "metformin 500 MG Oral Tablet", "1 tablet twice a day"),
            ],
        )
        .unwrap();
    world
}

fn report(world: &World) -> Report {
    let all: Vec<Json> = world.memory.held.values().map(|h| h.json.clone()).collect();
    let mut list = world.memory.all("List")[0].clone();
    list.set("meta", Json::from(json!({"versionId": "1", "lastUpdated": "2026-11-25T21:00:00Z"})));
    Report::of(&world.programme, world.json(&target("Encounter/e")).clone(), list, &all)
}

#[test]
fn the_document_is_valid_holds_what_it_names_and_is_the_same_twice() {
    let world = world();
    let bundle = document::bundle(&world.programme, &report(&world));
    let issues = validate::resource(&bundle);
    assert!(issues.is_empty(), "{issues:#?}");
    assert_eq!(bundle, document::bundle(&world.programme, &report(&world)));
    let entries = bundle["entry"].items();
    assert_eq!(entries[0]["resource"]["resourceType"].text(), "Composition");
    let urls: Vec<&str> = entries.iter().map(|e| e["fullUrl"].text()).collect();
    let composition = &entries[0]["resource"];
    let codes: Vec<&str> =
        composition["section"].items().iter().map(|s| s["code"]["coding"][0]["code"].text()).collect();
    for code in ["42346-7", "29549-3", "10183-2", "changes", "open-questions", "48765-2", "11450-4", "18776-5"] {
        assert!(codes.contains(&code), "{code} in {codes:?}");
    }
    for entry in composition["section"].items().iter().flat_map(|s| s["entry"].items()) {
        let at = entry["reference"].text();
        assert!(urls.iter().any(|u| u.ends_with(&format!("/{at}"))), "{at} is in the document");
    }
    let of = |code: &str| {
        let found = composition["section"].items().iter().find(|s| s["code"]["coding"][0]["code"].text() == code);
        found.unwrap()["text"]["div"].text().to_string()
    };
    assert!(of("open-questions").contains("metoprolol tartrate 25 MG Oral Tablet"));
    assert!(of("48765-2").contains("Penicillin") && of("48765-2").contains("rash"));
    assert!(of("10183-2").contains("half a tablet every evening"));
    assert!(of("18776-5").contains("First call"), "{}", of("18776-5"));
}

/// security A51: Script in a patient's name is text in the hand-off report, as a page, a PDF and the patient's list.
#[test]
fn what_was_sent_stays_text_in_page_pdf_and_patients_list() {
    let world = world();
    let report = report(&world);
    let list = patient::html(&world.programme, &report, "en");
    for page in [page::html(&report), list] {
        assert!(!page.contains("<script") && page.contains("O&lt;script&gt;"), "{page}");
        assert!(page.contains("Ana &amp; Co"));
    }
    let pdf = pdf::pdf(&report);
    assert!(pdf.starts_with(b"%PDF-") && pdf.windows(5).any(|w| w == b"%%EOF"));
    assert_eq!(pdf, super::pdf::pdf(&report));
}

#[test]
fn the_patients_list_is_in_the_patients_language_with_the_times_of_the_day() {
    let world = world();
    let report = report(&world);
    let language = |asked| patient::language(&world.programme, &report, asked);
    assert_eq!(
        (language(None).as_str(), language(Some("en-US")).as_str(), language(Some("xx")).as_str()),
        ("es", "en", "es")
    );
    let page = patient::html(&world.programme, &report, "es");
    for text in ["Mis medicinas", "Mañana", "Al acostarse", "warfarin 5 mg", "metformin 500 mg"] {
        assert!(page.contains(text), "{text} in {page}");
    }
    // Half a tablet in the evening; one in the morning and one in the evening; what is open is to be asked about.
    let row = |name: &str| page.split("<tr>").find(|r| r.contains(name)).unwrap().to_string();
    let cells = |row: &str| -> Vec<String> {
        row.split("data-t=")
            .skip(1)
            .map(|c| c.split('>').nth(1).unwrap().split('<').next().unwrap().to_string())
            .collect()
    };
    assert_eq!(cells(&row("warfarin")), ["", "", "0.5", ""]);
    assert_eq!(cells(&row("metformin")), ["1", "", "1", ""]);
    assert!(page.split("Pregunte a su farmacéutico antes").nth(1).unwrap().contains("metoprolol"));
}

#[test]
fn a_pharmacist_attests_a_technician_prepares_and_a_changed_list_is_attested_no_more() {
    let mut world = world();
    let at = crate::workflow::element::target_of(world.memory.all("List")[0]).unwrap();
    let stored = world.memory.held.get_mut(&at).unwrap();
    stored.json.set("meta", Json::from(json!({"versionId": "1"})));
    let seen = |world: &World| {
        let mut report = report(world);
        report.list.set("meta", world.memory.all("List")[0]["meta"].clone());
        report
    };
    let prepared = world.prepare_report("mara", &seen(&world.clone()), false).unwrap();
    assert_eq!(
        (prepared["status"].text(), prepared["author"][0]["reference"].text()),
        ("preliminary", "Practitioner/mara")
    );
    let refused = world.prepare_report("mara", &seen(&world.clone()), true).unwrap_err();
    assert_eq!(refused.kind.status(), 403);
    let attested = world.prepare_report("jonas", &seen(&world.clone()), true).unwrap();
    assert_eq!(
        (attested["status"].text(), attested["attester"][0]["party"]["reference"].text()),
        ("final", "Practitioner/jonas")
    );
    let procedures = world.memory.all("Procedure");
    assert_eq!(procedures[0]["code"]["coding"][0]["code"].text(), "430193006");
    let with = |version: &str| {
        let mut report = report(&world);
        report.list.set("meta", Json::from(json!({"versionId": version})));
        Report::of(
            &world.programme,
            report.encounter.clone(),
            report.list.clone(),
            &world.memory.held.values().map(|h| h.json.clone()).collect::<Vec<_>>(),
        )
    };
    let stored = attested["extension"][0]["valueReference"]["reference"].text();
    let version = stored.rsplit('/').next().unwrap();
    assert!(with(version).signature.unwrap().is_current);
    let changed = with("99");
    assert!(!changed.signature.as_ref().unwrap().is_current);
    assert_eq!(document::composition(&world.programme, &changed)["status"].text(), "preliminary");
    assert!(page::html(&changed).contains("has changed since"));
}

#[test]
fn what_was_handed_out_stands_beside_what_was_told() {
    let mut world = world();
    let dispense = json!({"resourceType": "MedicationDispense", "id": "d", "status": "completed",
        "medicationCodeableConcept": {"text": "metformin 500 MG Oral Tablet"}, "subject": {"reference": "Patient/p"},
        "whenHandedOver": "2026-11-26T10:00:00Z", "quantity": {"value": 60, "unit": "tablets"},
        "daysSupply": {"value": 30, "unit": "days"}, "performer": [{"actor": {"reference": "Organization/elm"}}]});
    let told = json!({"resourceType": "MedicationStatement", "id": "t", "status": "active",
        "category": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/medication-statement-category", "code": "patientspecified"}]}, "subject": {"reference": "Patient/p"},
        "medicationCodeableConcept": {"text": "warfarin sodium 5 MG Oral Tablet"}, "dateAsserted": "2026-11-26",
        "informationSource": {"reference": "Patient/p"}, "dosage": [{"text": "1 tablet every evening"}]});
    world.write("hospital", vec![dispense, told]).unwrap();
    let report = report(&world);
    let bundle = document::bundle(&world.programme, &report);
    assert!(validate::resource(&bundle).is_empty(), "{:#?}", validate::resource(&bundle));
    let sections = super::sections(&report);
    let rows = |title: &str| sections.iter().find(|s| s.title == title).unwrap().rows.clone();
    let handed_out = rows("Handed out since");
    assert_eq!(handed_out.len(), 1, "{handed_out:?}");
    assert_eq!(handed_out[0][0], "metformin 500 MG Oral Tablet");
    assert_eq!(handed_out[0][1], "2026-11-26, 60 tablets, for 30 days, by Organization/elm");
    assert_eq!(rows("As told since")[0][..2], ["warfarin sodium 5 MG Oral Tablet", "1 tablet every evening"]);
    assert!(page::html(&report).contains("60 tablets, for 30 days"));
}

#[test]
fn the_patients_list_says_directions_in_spanish_or_marks_them() {
    let world = world();
    let mut report = report(&world);
    let page = patient::html(&world.programme, &report, "es");
    assert!(page.contains("<small>media tableta cada tarde</small>"), "{page}");
    assert!(page.contains("<small>1 tableta dos veces al día</small>") && !page.contains("[en]"), "{page}");
    for resource in &mut report.medication {
        let dosage = Json::from(json!([{"text": "1 tablet twice a day unless dizzy"}]));
        resource.set("dosageInstruction", dosage);
    }
    let page = patient::html(&world.programme, &report, "es");
    let mark = "Como lo escribió el hospital, en inglés: <span lang=\"en\">1 tablet twice a day unless dizzy</span>";
    assert!(page.contains(mark), "{page}");
    assert!(
        patient::html(&world.programme, &report, "fr").contains("[en] Take these:"),
        "no word of it is passed off as French"
    );
    assert!(!patient::html(&world.programme, &report, "en").contains("As the hospital wrote it"));
}

#[test]
fn a_report_of_nothing_says_so() {
    let programme = crate::workflow::Programme::for_tests();
    let list: Value = json!({"resourceType": "List", "id": "l", "mode": "working", "status": "current"});
    let report = Report::of(&programme, encounter().into(), list.into(), &[]);
    let page = page::html(&report);
    assert!(page.contains("No discharge medicines are known here.") && page.contains("That does not mean none."));
    assert!(validate::resource(&document::bundle(&programme, &report)).is_empty());
    assert!(patient::html(&programme, &report, "en").contains("No list of medicines has come"));
    assert!(pdf::pdf(&report).len() > 500);
}

#[test]
fn no_medicines_is_an_answer_and_where_home_is_not_known_nothing_is_new() {
    let mut world = World::new();
    let none = json!({"resourceType": "List", "id": "none", "status": "current", "mode": "snapshot",
        "code": {"coding": [{"system": "http://loinc.org", "code": "10183-2"}]}, "subject": {"reference": "Patient/p"},
        "encounter": {"reference": "Encounter/e"},
        "emptyReason": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/list-empty-reason", "code": "nilknown"}]}});
    world.write("hospital", vec![patient(), encounter(), none]).unwrap();
    let of_none = report(&world);
    let sheet = patient::html(&world.programme, &of_none, "en");
    assert!(sheet.contains("you need no medicines now") && !sheet.contains("No list of medicines"), "{sheet}");
    assert!(patient::html(&world.programme, &of_none, "es").contains("ahora no necesita medicinas"));
    let bundle = document::bundle(&world.programme, &of_none);
    let section = |code: &str| {
        let sections = bundle["entry"][0]["resource"]["section"].items();
        sections.iter().find(|s| s["code"]["coding"][0]["code"].text() == code).unwrap().clone()
    };
    assert_eq!(section("10183-2")["emptyReason"]["coding"][0]["code"].text(), "nilknown");
    assert!(section("10183-2")["text"]["div"].text().contains("went home without medicines"));
    assert!(!section("open-questions")["text"]["div"].text().contains("without medicines"), "an answer is no question");

    for knows_home in [false, true] {
        let mut world = World::new();
        let mut all = vec![patient(), encounter(), prescription("m", None)];
        if knows_home {
            let mut home = home_medicine();
            home["medicationCodeableConcept"] = json!({"text": "metformin 500 MG Oral Tablet"});
            all.push(home);
        }
        world.write("hospital", all).unwrap();
        let sheet = patient::html(&world.programme, &report(&world), "en");
        assert_eq!(sheet.contains("New."), knows_home, "{sheet}");
    }
}
