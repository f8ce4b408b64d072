//! Each kind of invariant, broken: refused, naming the key and the element.

use super::*;
use crate::error::Severity;
use crate::fhir::json::parse;

/// Key and element of each issue.
fn broken(text: &str) -> Vec<String> {
    let json = parse(text.as_bytes()).unwrap_or_else(|e| panic!("{text}: {e:?}"));
    let issues = with_warnings(&json).into_iter().filter(|i| !i.rule.starts_with("dom-6"));
    let key = |rule: &str| rule.split(':').next().unwrap_or_default().to_owned();
    issues.map(|i| format!("{} {}", key(&i.rule), i.expression)).collect()
}

/// R4 validation.html: Invariants of resources and data types are held, contained ones too, with key and element (45
/// kinds broken).
#[test]
fn a_broken_rule_is_refused_with_its_key_and_its_element() {
    let mut missed = Vec::new();
    for (body, wanted) in [
        (r#""Patient","contact":[{"gender":"male"}]"#, "pat-1 Patient.contact[0]"),
        (r#""Patient","name":[{"period":{"start":"2024-02","end":"2024-01"}}]"#, "per-1 Patient.name[0].period"),
        (r#""Patient","telecom":[{"value":"1"}]"#, "cpt-2 Patient.telecom[0]"),
        (r#""Patient","photo":[{"data":"AAAA"}]"#, "att-1 Patient.photo[0]"),
        (r#""Organization","active":true"#, "org-1 Organization"),
        (r#""Organization","name":"x","address":[{"use":"work"},{"use":"home"}]"#, "org-2 Organization.address[1]"),
        (r#""Organization","name":"x","telecom":[{"use":"home"}]"#, "org-3 Organization.telecom[0]"),
        (
            r#""Observation","status":"final","code":{"text":"x"},"valueQuantity":{"value":1,"code":"mg"}"#,
            "qty-3 Observation.value",
        ),
        (
            r#""Observation","status":"final","code":{"text":"x"},"valueString":"x","dataAbsentReason":{"text":"x"}"#,
            "obs-6 Observation",
        ),
        (
            r#""Observation","status":"final","code":{"coding":[{"code":"a"}]},"valueString":"x","component":[{"code":{"coding":[{"code":"a"}]}}]"#,
            "obs-7 Observation",
        ),
        (
            r#""Observation","status":"final","code":{"text":"x"},"referenceRange":[{"type":{"text":"x"}}]"#,
            "obs-3 Observation.referenceRange[0]",
        ),
        (
            r#""Observation","status":"final","code":{"text":"x"},"valueRange":{"low":{"value":5},"high":{"value":4.9}}"#,
            "rng-2 Observation.value",
        ),
        (
            r#""Observation","status":"final","code":{"text":"x"},"valueRatio":{"numerator":{"value":5}}"#,
            "rat-1 Observation.value",
        ),
        (r#""Condition","subject":{"display":"x"},"abatementString":"x""#, "con-4 Condition"),
        (
            r#""Condition","subject":{"display":"x"},"clinicalStatus":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/condition-clinical","code":"active"}]},"verificationStatus":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/condition-ver-status","code":"entered-in-error"}]}"#,
            "con-5 Condition",
        ),
        (
            r#""Condition","subject":{"display":"x"},"category":[{"coding":[{"code":"problem-list-item"}]}]"#,
            "con-3 Condition",
        ),
        (r#""AllergyIntolerance","patient":{"display":"x"}"#, "ait-1 AllergyIntolerance"),
        (
            r#""Task","status":"draft","intent":"order","authoredOn":"2024-02-02","lastModified":"2024-02-01""#,
            "inv-1 Task",
        ),
        (
            r#""MedicationDispense","status":"completed","medicationReference":{"display":"x"},"whenPrepared":"2024-02-02","whenHandedOver":"2024-02-01""#,
            "mdd-1 MedicationDispense",
        ),
        (
            r#""MedicationRequest","status":"active","intent":"order","subject":{"display":"x"},"medicationReference":{"display":"x"},"dosageInstruction":[{"timing":{"repeat":{"period":-1,"periodUnit":"d"}}}]"#,
            "tim-5 MedicationRequest.dosageInstruction[0].timing.repeat",
        ),
        (
            r#""MedicationRequest","status":"active","intent":"order","subject":{"display":"x"},"medicationReference":{"display":"x"},"dosageInstruction":[{"timing":{"repeat":{"offset":5,"when":["CM","HS"]}}}]"#,
            "tim-9 MedicationRequest.dosageInstruction[0].timing.repeat",
        ),
        (
            r#""List","status":"current","mode":"snapshot","entry":[{"date":"2024","item":{"display":"x"}}]"#,
            "lst-3 List",
        ),
        (r#""Questionnaire","status":"draft","item":[{"linkId":"1","type":"group"}]"#, "que-1 Questionnaire.item[0]"),
        (
            r#""Questionnaire","status":"draft","item":[{"linkId":"1","type":"group","item":[{"linkId":"1","type":"string"}]}]"#,
            "que-2 Questionnaire",
        ),
        (
            r#""Questionnaire","status":"draft","item":[{"linkId":"1","type":"string","enableWhen":[{"question":"2","operator":"exists","answerString":"x"}]}]"#,
            "que-7 Questionnaire.item[0].enableWhen[0]",
        ),
        (r#""Questionnaire","status":"draft","name":"not for machines""#, "que-0 Questionnaire"),
        (r#""Parameters","parameter":[{"name":"a"}]"#, "inv-1 Parameters.parameter[0]"),
        (
            r#""Composition","status":"final","type":{"text":"x"},"date":"2024","author":[{"display":"x"}],"title":"x","section":[{"title":"x"}]"#,
            "cmp-1 Composition.section[0]",
        ),
        (r#""Consent","status":"active","scope":{"text":"x"},"category":[{"text":"x"}]"#, "ppc-1 Consent"),
        (
            r#""Consent","status":"active","scope":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/consentscope","code":"patient-privacy"}]},"category":[{"text":"x"}],"policyRule":{"text":"x"}"#,
            "ppc-2 Consent",
        ),
        (
            r#""RiskAssessment","status":"final","subject":{"display":"x"},"prediction":[{"probabilityDecimal":101}]"#,
            "ras-2 RiskAssessment.prediction[0]",
        ),
        (
            r#""RiskAssessment","status":"final","subject":{"display":"x"},"prediction":[{"probabilityRange":{"low":{"value":1,"code":"mg","system":"http://unitsofmeasure.org"}}}]"#,
            "ras-1 RiskAssessment.prediction[0].probability",
        ),
        (
            r#""FamilyMemberHistory","status":"completed","patient":{"display":"x"},"relationship":{"text":"x"},"ageAge":{"value":0,"code":"a","system":"http://unitsofmeasure.org"}"#,
            "age-1 FamilyMemberHistory.age",
        ),
        (
            r#""CareTeam","participant":[{"member":{"reference":"Patient/1"},"onBehalfOf":{"display":"x"}}]"#,
            "ctm-1 CareTeam.participant[0]",
        ),
        (
            r#""StructureDefinition","url":"http://x/a","name":"A","status":"draft","kind":"resource","abstract":false,"type":"Patient","baseDefinition":"http://x/b","derivation":"constraint","differential":{"element":[{"id":"Patient","path":"Patient","max":"x"}]}"#,
            "eld-3 StructureDefinition.differential.element[0].max",
        ),
        (
            r##""Patient","contained":[{"resourceType":"Observation","id":"o","status":"final","code":{"text":"x"},"valueString":"x","dataAbsentReason":{"text":"x"}}],"link":[{"other":{"reference":"#o"},"type":"refer"}]"##,
            "obs-6 Patient.contained[0]",
        ),
        (
            r#""Patient","text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\"> </div>"}"#,
            "txt-2 Patient.text.div",
        ),
        (
            r#""Patient","text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\"><form>a</form></div>"}"#,
            "txt-1 Patient.text.div",
        ),
        (r#""Patient","extension":[{"url":"http://x"}]"#, "ext-1 Patient.extension[0]"),
        (r#""Patient","name":[{"id":"a"}]"#, "ele-1 Patient.name[0]"),
        (
            r#""Patient","contained":[{"resourceType":"Basic","id":"b","code":{"text":"x"}}]"#,
            "dom-3 Patient.contained[0]",
        ),
        (
            r##""Patient","contained":[{"resourceType":"Organization","id":"o","name":"x","meta":{"security":[{"code":"R"}]}}],"managingOrganization":{"reference":"#o"}"##,
            "dom-5 Patient.contained[0].meta.security",
        ),
    ] {
        let text = format!("{{\"resourceType\":{body}}}");
        let found = broken(&text);
        if !found.iter().any(|i| i == wanted) {
            missed.push(format!("{wanted}: {found:?}"));
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

/// R4 bundle.html: The rules of Bundles by type: bdl-1 to bdl-12.
#[test]
fn a_bundle_is_what_its_type_says() {
    let patient = r#"{"resourceType":"Patient","id":"1"}"#;
    for (body, wanted) in [
        (r#""collection","total":1"#, "bdl-1 Bundle.total"),
        (r#""collection","entry":[{"search":{"mode":"match"},"resource":P}]"#, "bdl-2 Bundle.entry[0].search"),
        (r#""batch","entry":[{"resource":P}]"#, "bdl-3 Bundle.entry[0].request"),
        (
            r#""collection","entry":[{"resource":P},{"request":{"method":"GET","url":"Patient/1"},"resource":P}]"#,
            "bdl-3 Bundle.entry[1].request",
        ),
        (r#""transaction-response","entry":[{"resource":P}]"#, "bdl-4 Bundle.entry[0].response"),
        (r#""collection","entry":[{"fullUrl":"urn:uuid:1"}]"#, "bdl-5 Bundle.entry[0]"),
        (
            r#""collection","entry":[{"fullUrl":"urn:uuid:1","resource":P},{"fullUrl":"urn:uuid:1","resource":P}]"#,
            "bdl-7 Bundle.entry[1].fullUrl",
        ),
        (
            r#""collection","entry":[{"fullUrl":"http://x/Patient/1/_history/2","resource":P}]"#,
            "bdl-8 Bundle.entry[0].fullUrl",
        ),
        (
            r#""document","timestamp":"2024-01-01T00:00:00Z","identifier":{"system":"http://x"},"entry":[{"resource":P}]"#,
            "bdl-9 Bundle.identifier",
        ),
        (
            r#""document","identifier":{"system":"http://x","value":"1"},"entry":[{"resource":P}]"#,
            "bdl-10 Bundle.timestamp",
        ),
        (r#""document","entry":[{"resource":P}]"#, "bdl-11 Bundle.entry[0].resource"),
        (r#""message","entry":[{"resource":P}]"#, "bdl-12 Bundle.entry[0].resource"),
        (
            r#""collection","entry":[{"fullUrl":"http://x/Patient/2","resource":P}]"#,
            "fullUrl is an absolute URL that agrees with the id of the resource Bundle.entry[0].fullUrl",
        ),
        (
            r#""collection","entry":[{"fullUrl":"Patient/1","resource":P}]"#,
            "fullUrl is an absolute URL that agrees with the id of the resource Bundle.entry[0].fullUrl",
        ),
    ] {
        let text = format!("{{\"resourceType\":\"Bundle\",\"type\":{}}}", body.replace(":P", &format!(":{patient}")));
        let found = broken(&text);
        assert!(found.iter().any(|i| i == wanted), "{wanted}: {found:?}");
    }
    let good = format!(
        r#"{{"resourceType":"Bundle","type":"history","total":2,"entry":[{{"fullUrl":"http://x/Patient/1","resource":{patient},
        "request":{{"method":"PUT","url":"Patient/1"}},"response":{{"status":"200"}}}},{{"fullUrl":"http://x/Patient/1",
        "request":{{"method":"DELETE","url":"Patient/1"}},"response":{{"status":"204"}}}}]}}"#
    );
    assert_eq!(broken(&good), Vec::<String>::new());
}

/// R4 validation.html: Rules of severity warning never block.
#[test]
fn a_warning_is_told_when_asked_for_and_never_blocks() {
    let json = parse(br#"{"resourceType":"ValueSet","name":"not for machines","status":"draft"}"#).unwrap();
    let warned = with_warnings(&json);
    assert_eq!(warned.iter().map(|i| i.rule.split(':').next()).collect::<Vec<_>>(), [Some("vsd-0"), Some("dom-6")]);
    assert!(warned.iter().all(|i| i.severity == Severity::Warning));
    assert!(check(&json).is_ok() && resource(&json).is_empty());
}

/// R4 operationoutcome.html: An issue of an invariant says R4's words, what was found and what to do.
#[test]
fn a_message_says_what_was_found_and_what_to_do() {
    let json = parse(br#"{"resourceType":"Patient","name":[{"period":{"start":"2024-02","end":"2024-01"}}]}"#).unwrap();
    assert_eq!(check(&json).unwrap_err().kind, Kind::BusinessRule);
    assert_eq!(
        resource(&json)[0].diagnostics,
        "found start \"2024-02\", end \"2024-01\"; expected: If present, start SHALL have a lower value than end (per-1); \
         change the element so that this holds"
    );
    // Where precision leaves it open, nobody is refused.
    let open =
        parse(br#"{"resourceType":"Patient","name":[{"period":{"start":"2024-02-03T10:00:00Z","end":"2024-02-03"}}]}"#)
            .unwrap();
    assert!(resource(&open).is_empty());
}
