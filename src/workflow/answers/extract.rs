//! What is made of answers: medicines as told, and allergies that somebody has to confirm.
//!
//! Pure: the same answers give the same resources under the same ids, so that amended answers change them and add none.
//! What a medicine as told means - not taken, an unwanted effect, costs - is found by screening (`screen/told.rs`).
//! Source: marks of the form's items (`extract`, `element`); own rules in `profiles/questionnaire/README.md`.

use super::check::value_of;
use super::mark;
use crate::fhir::resource::known;
use crate::fhir::{Json, Target};
use crate::workflow::Programme;
use crate::workflow::element;
use serde_json::{Value, json};

/// End of the linkId of the question whether the patient could say the directions back, and the extension that tells it.
const TEACH_BACK: &str = "teach-back";

/// US Core's extension, and what it says of an answer whether a medicine is taken (SNOMED's codes as US Core prints them). What is taken
/// otherwise than written is neither: the statement's own directions tell it.
const US_CORE_ADHERENCE: &str = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-medication-adherence";
const ADHERENCE: [(&str, &str, &str); 2] = [
    ("as-written", "1156699004", "Complies with drug therapy"),
    ("not-taking", "715036001", "Does not take medication"),
];

/// What is said in one repetition of a group.
#[derive(Default)]
struct Said<'a> {
    values: Vec<(&'a str, &'a Json)>,
}

impl<'a> Said<'a> {
    fn of(group: &'a Json, item: &'a Json) -> Self {
        let mut values = Vec::new();
        for question in group["item"].items() {
            let link = question["linkId"].text();
            let element = match mark(question, "element") {
                "" if link.ends_with(TEACH_BACK) => TEACH_BACK,
                element => element,
            };
            for given in item["item"].items().iter().filter(|i| i["linkId"].text() == link && !element.is_empty()) {
                values.extend(given["answer"].items().iter().filter_map(value_of).map(|(_, v)| (element, v)));
            }
        }
        Self { values }
    }

    fn all(&self, name: &str) -> impl Iterator<Item = &'a Json> {
        self.values.iter().filter(move |(n, _)| *n == name).map(|(_, v)| *v)
    }

    fn text(&self, name: &str) -> &'a str {
        self.all(name).next().map_or("", Json::text)
    }

    fn code(&self, name: &str) -> &'a str {
        self.all(name).next().map_or("", |v| v["code"].text())
    }

    fn is(&self, name: &str) -> Option<bool> {
        self.all(name).next().and_then(Json::as_bool)
    }
}

/// Where a response's resource is: by what it names, so that the order of repetitions means nothing.
fn address(programme: &Programme, rtype: &'static str, response: &str, key: &str, nth: usize) -> Target {
    Target::new(known(rtype), programme.id(&["answers", response, rtype, key, &nth.to_string()]))
}

/// MedicationStatements and AllergyIntolerances of a response with an id. `resource`: what a reference of the response leads to.
#[must_use]
pub fn extract<'a>(
    programme: &Programme,
    form: &Json,
    response: &Json,
    resource: impl Fn(&Json) -> Option<&'a Json>,
) -> Vec<Json> {
    let mut out: Vec<(Target, Json)> = Vec::new();
    for group in form["item"].items() {
        let link = group["linkId"].text();
        for item in response["item"].items().iter().filter(|i| i["linkId"].text() == link) {
            let said = Said::of(group, item);
            let made = match mark(group, "extract") {
                "medication-statement" => {
                    let named = said.all("resource").next();
                    let key = named.map_or(said.text("name"), |r| r["reference"].text());
                    (key.to_lowercase(), statement(response, &said, named.and_then(&resource)))
                }
                "allergy" => (said.text("name").to_lowercase(), allergy(response, &said)),
                _ => continue,
            };
            let (key, mut json) = made;
            let rtype = if mark(group, "extract") == "allergy" { "AllergyIntolerance" } else { "MedicationStatement" };
            let nth = (0..)
                .find(|n| out.iter().all(|(t, _)| *t != address(programme, rtype, response["id"].text(), &key, *n)));
            let at = address(programme, rtype, response["id"].text(), &key, nth.unwrap_or_default());
            crate::fhir::meta::set_id(&mut json, &at.id);
            out.push((at, json));
        }
    }
    out.into_iter().map(|(_, json)| json).collect()
}

fn statement(response: &Json, said: &Said<'_>, named: Option<&Json>) -> Json {
    let taking = said.code("taking");
    let have = said.is("have");
    let is_taken = match said.is("still") {
        Some(still) => still,
        None => taking != "not-taking" && have != Some(false),
    };
    let mut reasons: Vec<Value> = Vec::new();
    let mut because = |code: &str| {
        let reason = json!({"coding": [{"system": element::system("dtp-rationale"), "code": code}]});
        if !reasons.contains(&reason) {
            reasons.push(reason);
        }
    };
    for reason in said.all("reason") {
        because(reason["code"].text());
    }
    if have == Some(false) && taking != "not-taking" {
        because("supply");
    }
    if said.is("side-effect") == Some(true) {
        because("side-effect");
    }
    let category = json!({"coding": [{
        "system": "http://terminology.hl7.org/CodeSystem/medication-statement-category", "code": "patientspecified"
    }]});
    let mut out = Json::from(json!({
        "resourceType": "MedicationStatement",
        "identifier": [{"system": element::sid("answers"), "value": response["id"].text()}],
        "status": if is_taken { "active" } else { "not-taken" },
        "category": category,
    }));
    if !reasons.is_empty() {
        out.set("statusReason", Json::from(Value::Array(reasons)));
    }
    if let Some(result) = said.all(TEACH_BACK).next() {
        let mut extension = Json::from(json!({"url": element::extension_url(TEACH_BACK)}));
        let mut concept = Json::object();
        concept.push("coding", result.clone());
        extension.set("valueCodeableConcept", concept);
        out.push("extension", extension);
    }
    let adherence = ADHERENCE.iter().find(|(said, ..)| *said == taking);
    if let (Some((_, code, display)), Some(asserted)) = (adherence, response["authored"].as_str()) {
        let concept = json!({"coding": [{"system": "http://snomed.info/sct", "code": code, "display": display}]});
        let parts = json!([{"url": "medicationAdherence", "valueCodeableConcept": concept}, {"url": "dateAsserted", "valueDateTime": asserted}]);
        out.push("extension", Json::from(json!({"extension": parts, "url": US_CORE_ADHERENCE})));
    }
    let coded = named
        .and_then(|n| ["medicationCodeableConcept", "medicationReference"].iter().find_map(|k| Some((*k, n.get(k)?))));
    match coded {
        // What is contained there is not contained here.
        Some((name, value)) if !value["reference"].text().starts_with('#') => out.set(name, value.clone()),
        _ => out.set("medicationCodeableConcept", Json::from(json!({"text": said.text("name")}))),
    }
    about(&mut out, response, "subject", "context");
    for name in ["effectiveDateTime", "dateAsserted"] {
        out.set(name, response["authored"].clone());
    }
    let source = if response.get("source").is_some() { &response["source"] } else { &response["subject"] };
    out.set("informationSource", source.clone());
    out.push("derivedFrom", derived(response));
    if !said.text("note").is_empty() {
        out.push("note", Json::from(json!({"text": said.text("note")})));
    }
    let how = [said.text("how"), if taking == "differently" { "" } else { said.text("directions") }];
    if let Some(how) = how.into_iter().find(|h| !h.is_empty()).filter(|_| is_taken) {
        out.push("dosage", Json::from(json!({"text": how})));
    }
    out
}

fn allergy(response: &Json, said: &Said<'_>) -> Json {
    let system = |name: &str| format!("http://terminology.hl7.org/CodeSystem/allergyintolerance-{name}");
    let mut out = Json::from(json!({
        "resourceType": "AllergyIntolerance",
        "identifier": [{"system": element::sid("answers"), "value": response["id"].text()}],
        "clinicalStatus": {"coding": [{"system": system("clinical"), "code": "active"}]},
        "verificationStatus": {"coding": [{"system": system("verification"), "code": "unconfirmed"}]},
        "category": ["medication"],
        "code": {"text": said.text("name")},
    }));
    about(&mut out, response, "patient", "encounter");
    out.set("recordedDate", response["authored"].clone());
    if response["author"]["reference"].text().contains("Practitioner") {
        out.set("recorder", response["author"].clone());
    }
    out.set("asserter", response["subject"].clone());
    if !said.text("note").is_empty() {
        let reaction = json!({"manifestation": [{"text": said.text("note")}]});
        out.push("reaction", Json::from(reaction));
    }
    out
}

fn about(out: &mut Json, response: &Json, patient: &str, stay: &str) {
    out.set(patient, response["subject"].clone());
    if response.get("encounter").is_some() {
        out.set(stay, response["encounter"].clone());
    }
}

fn derived(response: &Json) -> Json {
    json!({"reference": format!("QuestionnaireResponse/{}", response["id"].text())}).into()
}
