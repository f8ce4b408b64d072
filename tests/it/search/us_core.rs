//! The searches of the US Core server's table (SHALL and SHOULD, of types that Baton stores) over US Core's own examples.
//!
//! What each must find is written down by hand from the examples, and for types that have none from resources of the test's own. Beside
//! each that belongs to Patient/example stands a decoy: the same resource of another patient, which nothing may find.
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
    // Types without an example of US Core's: SHALL
    ("CarePlan?P&category=http://hl7.org/fhir/us/core/CodeSystem/careplan-category|assess-plan", &["colonoscopy"]),
    ("Coverage?P", &["insurance"]),
    ("DiagnosticReport?P", &["echo", "panel"]),
    ("DiagnosticReport?P&category=http://terminology.hl7.org/CodeSystem/v2-0074|LAB", &["panel"]),
    ("DiagnosticReport?P&code=http://loinc.org|45036-9", &["echo"]),
    ("DiagnosticReport?P&category=LAB&date=ge2024-03-02", &["panel"]),
    ("DiagnosticReport?P&category=LAB&date=gt2024-03-02", &[]),
    ("DocumentReference?_id=old-note", &["old-note"]),
    ("DocumentReference?P", &["episode-summary", "old-note"]),
    ("DocumentReference?P&category=clinical-note", &["episode-summary"]),
    ("DocumentReference?P&category=clinical-note&date=ge2024", &["episode-summary"]),
    ("DocumentReference?P&category=clinical-note&date=lt2024", &[]),
    ("DocumentReference?P&type=http://loinc.org|11506-3", &["old-note"]),
    ("Immunization?P", &["flu", "mmr"]),
    ("MedicationDispense?P", &["dispensed", "prepared"]),
    ("PractitionerRole?practitioner=Practitioner/practitioner-pharmacist", &["pharmacist"]),
    ("PractitionerRole?specialty=http://nucc.org/provider-taxonomy|174M00000X", &["vet"]),
    (
        "PractitionerRole?specialty=183500000X&_include=PractitionerRole:practitioner",
        &["pharmacist", "practitioner-pharmacist"],
    ),
    ("PractitionerRole?practitioner.identifier=http://hl7.org/fhir/sid/us-npi|3412549073", &["pharmacist"]),
    ("RelatedPerson?_id=boris", &["boris"]),
    ("RelatedPerson?P", &["boris", "sarah"]),
    ("Specimen?_id=blood", &["blood"]),
    ("Immunization?_id=flu&_revinclude=Provenance:target", &["flu", "origin"]),
    ("CarePlan?_id=diet&_revinclude=Provenance:target", &["diet", "origin"]),
    ("Immunization?_id=mmr&_revinclude=Provenance:target", &["mmr"]),
    ("Procedure?patient=deceased-example&code=http://snomed.info/sct|73761001&date=2022", &["screening"]),
    // SHOULD
    ("CarePlan?P&category=assess-plan&status=active", &["colonoscopy"]),
    ("CarePlan?P&category=assess-plan&status=completed", &[]),
    ("CarePlan?P&category=diet&date=2020", &["diet"]),
    ("CarePlan?P&category=assess-plan&status=active&date=ge2024-02", &["colonoscopy"]),
    ("DiagnosticReport?P&status=preliminary", &["echo"]),
    ("DiagnosticReport?P&code=http://loinc.org|58410-2&date=2024-03-02", &["panel"]),
    ("DocumentReference?P&status=superseded", &["old-note"]),
    ("DocumentReference?P&type=http://loinc.org|34133-9&period=ge2024", &["episode-summary"]),
    ("Encounter?identifier=http://example.org/visits|v7", &["visit"]),
    ("Immunization?P&status=not-done", &["mmr"]),
    ("Immunization?P&date=ge2024-10", &["flu"]),
    ("MedicationDispense?P&status=preparation", &["prepared"]),
    ("MedicationDispense?P&status=completed&type=FF", &["dispensed"]),
    ("RelatedPerson?P&name=sarah", &["sarah"]),
    ("Specimen?P", &["blood"]),
];

/// Resources of types that US Core has no example of in the data; each also has its decoy.
fn own() -> Vec<Value> {
    let me = json!({"reference": "Patient/example"});
    let coded = |system: &str, code: &str| json!({"coding": [{"system": system, "code": code}]});
    let (loinc, snomed) = ("http://loinc.org", "http://snomed.info/sct");
    let note = json!([{"attachment": {"contentType": "text/plain", "data": "eA=="}}]);
    vec![
        json!({"resourceType": "Immunization", "id": "flu", "status": "completed", "patient": me, "occurrenceDateTime": "2024-10-05",
            "vaccineCode": coded("http://hl7.org/fhir/sid/cvx", "158")}),
        json!({"resourceType": "Immunization", "id": "mmr", "status": "not-done", "patient": me, "occurrenceDateTime": "2020-01-08",
            "vaccineCode": coded("http://hl7.org/fhir/sid/cvx", "03")}),
        json!({"resourceType": "DiagnosticReport", "id": "panel", "status": "final", "subject": me, "effectiveDateTime": "2024-03-02",
            "category": [coded("http://terminology.hl7.org/CodeSystem/v2-0074", "LAB")], "code": coded(loinc, "58410-2")}),
        json!({"resourceType": "DiagnosticReport", "id": "echo", "status": "preliminary", "subject": me, "effectiveDateTime": "2024-05-02",
            "category": [coded(loinc, "LP29708-2")], "code": coded(loinc, "45036-9")}),
        json!({"resourceType": "DocumentReference", "id": "episode-summary", "status": "current", "subject": me, "date": "2024-03-02T09:00:00Z",
            "type": coded(loinc, "34133-9"), "content": note, "context": {"period": {"start": "2024-03-01", "end": "2024-03-02"}},
            "category": [coded("http://hl7.org/fhir/us/core/CodeSystem/us-core-documentreference-category", "clinical-note")]}),
        json!({"resourceType": "DocumentReference", "id": "old-note", "status": "superseded", "subject": me, "date": "2019-03-02T09:00:00Z",
            "type": coded(loinc, "11506-3"), "content": note, "context": {"period": {"start": "2019-03-01", "end": "2019-03-02"}}}),
        json!({"resourceType": "CarePlan", "id": "colonoscopy", "status": "active", "intent": "plan", "subject": me, "period": {"start": "2024-01-01"},
            "category": [coded("http://hl7.org/fhir/us/core/CodeSystem/careplan-category", "assess-plan")]}),
        json!({"resourceType": "CarePlan", "id": "diet", "status": "completed", "intent": "plan", "subject": me,
            "period": {"start": "2020-01-01", "end": "2020-06-30"}, "category": [coded("http://example.org/care", "diet")]}),
        json!({"resourceType": "Coverage", "id": "insurance", "status": "active", "beneficiary": me, "payor": [{"reference": "Organization/acme-lab"}]}),
        json!({"resourceType": "MedicationDispense", "id": "dispensed", "status": "completed", "subject": me, "whenHandedOver": "2024-02-02T10:00:00Z",
            "medicationCodeableConcept": coded("http://www.nlm.nih.gov/research/umls/rxnorm", "1049221"),
            "type": coded("http://terminology.hl7.org/CodeSystem/v3-ActCode", "FF")}),
        json!({"resourceType": "MedicationDispense", "id": "prepared", "status": "preparation", "subject": me,
            "medicationCodeableConcept": coded("http://www.nlm.nih.gov/research/umls/rxnorm", "617314")}),
        json!({"resourceType": "PractitionerRole", "id": "pharmacist", "practitioner": {"reference": "Practitioner/practitioner-pharmacist"},
            "organization": {"reference": "Organization/saint-luke-w-endpoint"}, "specialty": [coded("http://nucc.org/provider-taxonomy", "183500000X")]}),
        json!({"resourceType": "PractitionerRole", "id": "vet", "specialty": [coded("http://nucc.org/provider-taxonomy", "174M00000X")]}),
        json!({"resourceType": "RelatedPerson", "id": "sarah", "active": true, "patient": me, "name": [{"family": "van Putten", "given": ["Sarah"]}]}),
        json!({"resourceType": "RelatedPerson", "id": "boris", "active": true, "patient": me, "name": [{"family": "Klein"}]}),
        json!({"resourceType": "Specimen", "id": "blood", "subject": me, "type": coded(snomed, "122555007")}),
        json!({"resourceType": "Procedure", "id": "screening", "status": "in-progress", "subject": json!({"reference": "Patient/deceased-example"}),
            "code": coded(snomed, "73761001"), "performedDateTime": "2022-01-01"}),
        json!({"resourceType": "Encounter", "id": "visit", "status": "finished", "class": {"code": "AMB"}, "period": {"start": "2019-04-01", "end": "2019-04-02"},
            "subject": {"reference": "Patient/deceased-example"}, "identifier": [{"system": "http://example.org/visits", "value": "v7"}]}),
        json!({"resourceType": "Provenance", "id": "origin", "target": [{"reference": "Immunization/flu"}, {"reference": "CarePlan/diet"}],
            "recorded": "2024-10-05T10:00:00Z", "agent": [{"who": {"reference": "Organization/acme-lab"}}]}),
    ]
}

/// The same of another patient; `None` for what belongs to nobody.
fn decoy(resource: &Value) -> Option<Value> {
    let owner = ["subject", "patient", "beneficiary"]
        .into_iter()
        .find(|name| resource[*name]["reference"] == "Patient/example")?;
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
    for resource in own() {
        all.extend(decoy(&resource));
        all.push(resource);
    }
    for resource in &all {
        everyone.update(resource).await.ok();
    }
    let mut wrong = Vec::new();
    for (query, expected) in TABLE {
        let asked = query.replace("?P", "?patient=Patient/example").replace('|', "%7C");
        let page = everyone.read(&asked).await.ok().body;
        let found = page["entry"].as_array().into_iter().flatten().map(|e| &e["resource"]["id"]);
        let mut ids: Vec<&str> = found.map(|id| id.as_str().expect("an id")).collect();
        ids.retain(|id| !id.starts_with("decoy-") || query.contains("?P"));
        ids.sort_unstable();
        if ids != *expected {
            wrong.push(format!("{query}: expected {expected:?}, found {ids:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {} searches:\n{}", wrong.len(), TABLE.len(), wrong.join("\n"));
    println!("{} searches of US Core over {} resources", TABLE.len(), all.len());
}
