//! Posted parameters of every type, on resources that were there before: they find what R4's own parameters, or a look at the
//! resources, would find.

use super::*;

fn observation(id: &str, code: &str, value: Value, note: &str) -> Value {
    let mut out = json!({"resourceType": "Observation", "id": id, "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": code}]}, "method": {"coding": [{"system": "http://m", "code": note}]},
        "effectivePeriod": {"start": "2026-01-01T00:00:00Z", "end": format!("2026-01-0{note}T00:00:00Z")},
        "note": [{"text": format!("Note number {note} of a série")}], "specimen": {"reference": format!("Specimen/s{note}")},
        "referenceRange": [{"low": {"value": 1, "unit": "mg", "system": "http://unitsofmeasure.org", "code": "mg"}}],
        "component": [{"code": {"coding": [{"system": "http://parts.example", "code": code}]}, "valueInteger": 5},
            {"code": {"coding": [{"system": "http://loinc.org", "code": "other"}]}}]});
    out["valueQuantity"] = value;
    out
}

fn quantity(value: f64, unit: &str) -> Value {
    json!({"value": value, "unit": unit, "system": "http://unitsofmeasure.org", "code": unit})
}

both_nodes!(a_posted_parameter_of_each_type_finds_what_is_there_and_what_comes);
async fn a_posted_parameter_of_each_type_finds_what_is_there_and_what_comes(settings: Settings) {
    let node = Node::start(&settings).await;
    let fill = [
        observation("o2", "a", quantity(2.0, "mg"), "2"),
        observation("o3", "b", quantity(3.0, "mg"), "3"),
        observation("o4", "a", quantity(4.0, "g"), "4"),
    ];
    for specimen in ["s2", "s3", "s4", "s5"] {
        node.put(&json!({"resourceType": "Specimen", "id": specimen, "accessionIdentifier": {"value": specimen}}))
            .await;
    }
    for (n, resource) in fill.iter().enumerate() {
        node.put(resource).await;
        let assessment = json!({"resourceType": "RiskAssessment", "id": format!("r{n}"), "status": "final",
            "subject": {"reference": "Patient/x"}, "prediction": [{"relativeRisk": f64::from(u32::try_from(n).unwrap()) + 0.5}]});
        let (status, body) = node.ask(Verb::Put, &format!("RiskAssessment/r{n}"), Some(&assessment)).await;
        assert!(status < 300, "{body}");
    }
    let composite = |id: &str, expression: &str, second: (&str, &str)| {
        let url = |name: &str| format!("http://hl7.org/fhir/SearchParameter/{name}");
        let mut out = parameter(id, "Observation", "composite", expression);
        out["component"] = json!([{"definition": url("clinical-code"), "expression": "code"},
            {"definition": url(second.0), "expression": second.1}]);
        out
    };
    let parameters = [
        parameter("x-string", "Observation", "string", "Observation.note.text"),
        parameter("x-token", "Observation", "token", "Observation.component.code"),
        {
            let mut out = parameter("x-reference", "Observation", "reference", "Observation.specimen");
            out["target"] = json!(["Specimen"]);
            out
        },
        parameter("x-date", "Observation", "date", "Observation.effective.as(Period).end"),
        parameter("x-number", "RiskAssessment", "number", "RiskAssessment.prediction.relativeRisk"),
        parameter(
            "x-quantity",
            "Observation",
            "quantity",
            "Observation.value.as(Quantity) | Observation.referenceRange.low",
        ),
        parameter("x-uri", "Observation", "uri", "Observation.method.coding.system"),
        composite("x-pair", "Observation", ("clinical-date", "effective.as(Period).end")),
        composite("x-inner", "Observation.component", ("Observation-value-quantity", "value.as(Quantity)")),
    ];
    for parameter in &parameters {
        node.put(parameter).await;
    }
    // A value that comes while the rows are being made.
    node.put(&observation("o5", "b", quantity(5.0, "mg"), "5")).await;
    node.settle().await;
    node.put(&observation("o6", "a", quantity(6.0, "mg"), "6")).await;
    for (query, ids) in [
        ("Observation?x-string=note%20number", "o2,o3,o4,o5,o6"),
        ("Observation?x-string:contains=SERIE", "o2,o3,o4,o5,o6"),
        ("Observation?x-string:contains=number%203", "o3"),
        ("Observation?x-string:missing=true", ""),
        ("Observation?x-token=http://parts.example|a", "o2,o4,o6"),
        ("Observation?x-token=b", "o3,o5"),
        ("Observation?x-token:not=b", "o2,o4,o6"),
        ("Observation?x-reference=Specimen/s2", "o2"),
        ("Observation?x-reference=s5", "o5"),
        ("Observation?x-reference.accession=s3", "o3"),
        ("Specimen?_has:Observation:x-reference:x-token=a", "s2,s4"),
        ("Observation?x-date=ge2026-01-04", "o4,o5,o6"),
        ("Observation?x-date=2026-01-02", "o2"),
        ("RiskAssessment?x-number=gt1", "r1,r2"),
        ("RiskAssessment?x-number=0.5", "r0"),
        ("Observation?x-quantity=gt2.5|http://unitsofmeasure.org|mg", "o3,o4,o5,o6"),
        ("Observation?x-quantity=1|http://unitsofmeasure.org|mg", "o2,o3,o4,o5,o6"),
        ("Observation?x-uri=http://m", "o2,o3,o4,o5,o6"),
        ("Observation?x-uri:below=http://n", ""),
        ("Observation?x-pair=http://loinc.org|a$gt2026-01-03", "o4,o6"),
        ("Observation?x-pair=b$2026-01-05", "o5"),
        ("Observation?x-inner=a$gt1", ""),
    ] {
        assert_eq!(node.ids(query).await.join(","), ids, "{query}");
    }
    let (_, sorted) =
        node.ask(Verb::Get, "Observation?_sort=-x-date&_revinclude=Observation:x-reference:Specimen", None).await;
    assert!(sorted["text"].as_str().is_some(), "no reverse include leads to an Observation: {sorted}");
    let (_, sorted) = node.ask(Verb::Get, "Observation?_sort=-x-date&_include=Observation:x-reference", None).await;
    let first: Vec<&str> =
        sorted["entry"].as_array().unwrap().iter().filter_map(|e| e["resource"]["id"].as_str()).collect();
    assert_eq!(first[..5], ["o6", "o5", "o4", "o3", "o2"], "{first:?}");
    assert!(first.contains(&"s2"));
    let (_, specimen) = node.ask(Verb::Get, "Specimen?_id=s2&_revinclude=Observation:x-reference", None).await;
    assert!(specimen.to_string().contains("\"id\":\"o2\""), "{specimen}");
    node.stop().await;
}
