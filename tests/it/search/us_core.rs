//! The searches of the US Core server's table (SHALL and SHOULD, of types that Baton stores) over US Core's own examples.
//!
//! What each must find is written down by hand from the examples. Beside each example that belongs to Patient/example stands
//! a decoy: the same resource of another patient, which nothing may find.
//! Not here: US Core's own SearchParameters (`asserted-date`, `description`), which a site posts.
//! Source: <https://hl7.org/fhir/us/core/CapabilityStatement-us-core-server.html>, examples of US Core 8.0.0.

use crate::harness::{TestServer, data};
use serde_json::{Value, json};

both_databases!(the_searches_of_us_core_find_what_they_must);

/// (query, logical ids that match, sorted). `P` stands for `patient=Patient/example`.
const TABLE: &[(&str, &[&str])] = &[
    // SHALL
    ("AllergyIntolerance?P", &["example"]),
    ("CareTeam?P&status=active", &["missing-coded-data-example"]),
    ("Condition?P", &["condition-SDOH-example", "encounter-diagnosis-example2"]),
    ("Condition?P&category=problem-list-item", &["condition-SDOH-example"]),
    ("Condition?P&category=encounter-diagnosis", &["encounter-diagnosis-example2"]),
    ("Condition?P&category=http://hl7.org/fhir/us/core/CodeSystem/us-core-category|sdoh", &["condition-SDOH-example"]),
    ("Device?P", &["udi-1"]),
    ("Encounter?_id=example-1", &["example-1"]),
    ("Encounter?P", &["example-1"]),
    ("Encounter?P&date=ge2015-11-01&date=le2015-11-02", &["example-1"]),
    ("Encounter?P&date=gt2015-11-02", &[]),
    ("Goal?P", &["goal-sdoh-2"]),
    ("Location?name=Health", &["hl7east"]),
    ("Location?address=3300", &["hl7east"]),
    ("Medication?_id=uscore-med1", &["uscore-med1"]),
    ("MedicationRequest?P&intent=order", &["medicationrequest-coded-oral-axid"]),
    ("MedicationRequest?P&intent=plan", &["self-tylenol"]),
    ("MedicationRequest?P&intent=order,plan", &["medicationrequest-coded-oral-axid", "self-tylenol"]),
    ("MedicationRequest?P&intent=order&status=active", &["medicationrequest-coded-oral-axid"]),
    ("MedicationRequest?P&intent=order&status=stopped", &[]),
    ("Observation?P&category=survey", &["PRAPARE-panel-example-93042-0", "TAPS-item-example-75889-6"]),
    ("Observation?P&category=sdoh", &["PRAPARE-panel-example-93042-0"]),
    ("Observation?P&category=survey&date=gt2023-01-01", &["TAPS-item-example-75889-6"]),
    ("Observation?P&category=survey&date=lt2023", &["PRAPARE-panel-example-93042-0"]),
    ("Observation?P&code=http://loinc.org|75889-6", &["TAPS-item-example-75889-6"]),
    ("Organization?name=saint", &["saint-luke-w-endpoint"]),
    ("Organization?address=amherst", &["acme-lab", "saint-luke-w-endpoint"]),
    ("Patient?_id=child-example", &["child-example"]),
    ("Patient?identifier=http://example.org/patient/identifiers|1032704", &["child-example"]),
    ("Patient?name=shaw", &["deceased-example", "example"]),
    ("Patient?name=shaw&birthdate=1937-10-21", &["deceased-example"]),
    ("Patient?name=shaw&gender=female", &["example"]),
    ("Practitioner?_id=practitioner-pharmacist", &["practitioner-pharmacist"]),
    ("Practitioner?name=douglas", &["practitioner-pharmacist"]),
    ("Practitioner?identifier=http://hl7.org/fhir/sid/us-npi|3412549073", &["practitioner-pharmacist"]),
    ("Procedure?P", &["rehab"]),
    ("Procedure?P&date=2002-05-23", &["rehab"]),
    ("Procedure?P&date=gt2002-05-23", &[]),
    ("QuestionnaireResponse?P", &["glascow-coma-score", "phq-9-example"]),
    ("QuestionnaireResponse?_id=phq-9-example", &["phq-9-example"]),
    ("ServiceRequest?_id=cbc", &["cbc"]),
    ("ServiceRequest?P", &["cbc", "rehab"]),
    ("ServiceRequest?P&category=http://snomed.info/sct|108252007", &["cbc"]),
    ("ServiceRequest?P&code=http://loinc.org|58410-2", &["cbc"]),
    ("ServiceRequest?P&category=sdoh&authored=ge2021-11-12", &["rehab"]),
    // SHOULD
    (
        "AllergyIntolerance?P&clinical-status=http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical|active",
        &["example"],
    ),
    ("CareTeam?P&participant=Practitioner/practitioner-2", &["missing-coded-data-example"]),
    ("Condition?P&clinical-status=active", &["condition-SDOH-example"]),
    ("Condition?P&category=encounter-diagnosis&encounter=Encounter/delivery", &["encounter-diagnosis-example2"]),
    ("Condition?P&category=problem-list-item&clinical-status=active", &["condition-SDOH-example"]),
    ("Condition?P&code=http://snomed.info/sct|442311008", &["encounter-diagnosis-example2"]),
    ("Condition?P&code=http://hl7.org/fhir/sid/icd-10-cm|Z38.00", &["encounter-diagnosis-example2"]),
    ("Condition?P&recorded-date=2016-08-10", &["condition-SDOH-example", "encounter-diagnosis-example2"]),
    ("Condition?P&onset-date=lt2016", &[]),
    ("Condition?P&abatement-date=gt2000", &[]),
    ("Condition?P&_lastUpdated=gt2001", &["condition-SDOH-example", "encounter-diagnosis-example2"]),
    ("Device?P&type=http://snomed.info/sct|468063009", &["udi-1"]),
    ("Device?P&status=active", &["udi-1"]),
    ("Encounter?P&class=http://terminology.hl7.org/CodeSystem/v3-ActCode|AMB", &["example-1"]),
    ("Encounter?P&type=http://www.ama-assn.org/go/cpt|99211", &["example-1"]),
    ("Encounter?P&status=finished", &["example-1"]),
    ("Encounter?P&location:missing=false", &["example-1"]),
    ("Goal?P&lifecycle-status=active", &["goal-sdoh-2"]),
    ("Goal?P&target-date=2022-02", &["goal-sdoh-2"]),
    ("Goal?P&target-date=gt2022-02-01", &[]),
    ("Location?address-city=amherst", &["hl7east"]),
    ("Location?address-state=MA", &["hl7east"]),
    ("Location?address-postalcode=01002", &["hl7east"]),
    ("MedicationRequest?P&intent=plan&encounter=Encounter/example-1", &["self-tylenol"]),
    ("MedicationRequest?P&intent=order&authoredon=2008-04-05", &["medicationrequest-coded-oral-axid"]),
    ("MedicationRequest?P&intent=order&authoredon=gt2008-04-05", &[]),
    ("Observation?P&category=survey&status=final", &["PRAPARE-panel-example-93042-0", "TAPS-item-example-75889-6"]),
    ("Observation?P&code=http://loinc.org|93042-0&date=2022-03", &["PRAPARE-panel-example-93042-0"]),
    ("Organization?identifier=http://hl7.org/fhir/sid/us-npi|1144221847", &["acme-lab"]),
    ("Patient?family=shaw&birthdate=1987-02-20", &["example"]),
    ("Patient?family=shaw&gender=female", &["example"]),
    ("Patient?family=shaw&death-date=2022-07-22", &["deceased-example"]),
    ("Procedure?P&status=completed", &["rehab"]),
    ("Procedure?P&code=http://snomed.info/sct|24165007&date=lt2003", &["rehab"]),
    ("QuestionnaireResponse?P&status=completed", &["glascow-coma-score", "phq-9-example"]),
    ("QuestionnaireResponse?P&authored=ge2022", &["phq-9-example"]),
    (
        "QuestionnaireResponse?P&questionnaire=http://hl7.org/fhir/us/core/Questionnaire/phq-9-example",
        &["phq-9-example"],
    ),
    ("ServiceRequest?P&status=active", &["cbc", "rehab"]),
    ("ServiceRequest?P&code=http://loinc.org|58410-2&authored=ge2024", &["cbc"]),
];

/// The same of another patient; `None` for what belongs to nobody.
fn decoy(resource: &Value) -> Option<Value> {
    let owner = ["subject", "patient"].into_iter().find(|name| resource[*name]["reference"] == "Patient/example")?;
    let mut decoy = resource.clone();
    decoy["id"] = json!(format!("decoy-{}", resource["id"].as_str().expect("an id")));
    decoy[owner] = json!({"reference": "Patient/child-example"});
    Some(decoy)
}

/// R4 search.html: The searches that US Core asks of servers find what they must.
async fn the_searches_of_us_core_find_what_they_must(mut server: TestServer) {
    // The examples claim profiles of packages that are not here.
    server.settings.arguments = ["--unknown-profile", "ignore"].map(String::from).to_vec();
    server.kill();
    server.restart().await;
    let Some(lines) = data::lines("ig/us-core.ndjson.gz") else { return };
    let everyone = server.everyone();
    let amy = json!({"resourceType": "Patient", "id": "example", "gender": "female", "birthDate": "1987-02-20",
        "name": [{"family": "Shaw", "given": ["Amy", "V."]}]});
    let mut all = vec![amy];
    for line in lines {
        let resource: Value = serde_json::from_str(&line).expect("JSON");
        all.extend(decoy(&resource));
        all.push(resource);
    }
    for resource in &all {
        everyone.update(resource).await.ok();
    }
    let mut wrong = Vec::new();
    for (query, expected) in TABLE {
        let asked = query.replace("?P", "?patient=Patient/example").replace('|', "%7C");
        let found = everyone.search(&asked).await;
        let mut ids: Vec<&str> = found.iter().map(|r| r["id"].as_str().expect("an id")).collect();
        ids.retain(|id| !id.starts_with("decoy-") || query.contains("?P"));
        ids.sort_unstable();
        if ids != *expected {
            wrong.push(format!("{query}: expected {expected:?}, found {ids:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {} searches:\n{}", wrong.len(), TABLE.len(), wrong.join("\n"));
    println!("{} searches of US Core over {} resources", TABLE.len(), all.len());
}
