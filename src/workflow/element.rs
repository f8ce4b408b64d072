//! Small readers of FHIR elements that the whole programme uses: references, codes, identifiers, times.
//!
//! Not for: judging them (`guard.rs`) or their structure (`fhir::validate`).

use crate::clock::Instant;
use crate::fhir::{Json, ResourceType, Target, date};
use jiff::tz::TimeZone;

/// Base of the canonical URLs and identifier systems that are Baton's own.
pub const BASE: &str = "http://baton.example/fhir";

/// HL7's act codes: classes of stays, kinds of DTPs, mitigations.
pub const ACT_CODE: &str = "http://terminology.hl7.org/CodeSystem/v3-ActCode";

/// An own code system's URL.
#[must_use]
pub fn system(name: &str) -> String {
    format!("{BASE}/CodeSystem/{name}")
}

/// An own identifier system: `task`, `episode`, `plan`, `list`, `decision`.
#[must_use]
pub fn sid(name: &str) -> String {
    format!("{BASE}/sid/{name}")
}

/// An own extension's URL.
#[must_use]
pub fn extension_url(name: &str) -> String {
    format!("{BASE}/StructureDefinition/{name}")
}

/// A CodeableConcept of one coding of an own code system.
#[must_use]
pub fn concept(system_name: &str, code: &str, text: &str) -> Json {
    let mut concept: Json = serde_json::json!({"coding": [{"system": system(system_name), "code": code}]}).into();
    if !text.is_empty() {
        concept.set("text", text);
    }
    concept
}

/// A Reference to a resource of this server.
#[must_use]
pub fn reference(target: &Target) -> Json {
    serde_json::json!({"reference": target.to_string()}).into()
}

/// The type of a resource.
#[must_use]
pub fn type_of(resource: &Json) -> &str {
    resource["resourceType"].text()
}

/// The address of a resource that has an id.
#[must_use]
pub fn target_of(resource: &Json) -> Option<Target> {
    let id = resource["id"].as_str()?;
    Some(Target::new(ResourceType::parse(type_of(resource))?, id))
}

/// Where a Reference leads on this server, versions left out; `None` for what leads elsewhere or nowhere.
#[must_use]
pub fn leads_to(reference: &Json, base: &str) -> Option<Target> {
    let text = reference["reference"].as_str()?;
    let local = text.strip_prefix(base).and_then(|rest| rest.strip_prefix('/')).unwrap_or(text);
    Target::parse(local)
}

/// Where the Reference leads, when it is to a resource of that type.
#[must_use]
pub fn leads_to_a(rtype: &str, reference: &Json, base: &str) -> Option<Target> {
    leads_to(reference, base).filter(|t| t.rtype.as_str() == rtype)
}

/// The patient a resource is about: `patient`, `subject`, `for`, or the Patient itself.
#[must_use]
pub fn patient_of(resource: &Json, base: &str) -> Option<Target> {
    if type_of(resource) == "Patient" {
        return target_of(resource);
    }
    ["patient", "subject", "for"].iter().find_map(|name| leads_to_a("Patient", &resource[*name], base))
}

/// The stay a resource belongs to: `encounter`, or `context` of the medication types.
#[must_use]
pub fn encounter_of(resource: &Json, base: &str) -> Option<Target> {
    ["encounter", "context"].iter().find_map(|name| leads_to_a("Encounter", &resource[*name], base))
}

/// The codings of a CodeableConcept, of a Coding, or of a list of either, as (system, code).
pub fn codings(element: &Json) -> Vec<(&str, &str)> {
    let concepts: Vec<&Json> = match element {
        Json::Array(items) => items.iter().collect(),
        Json::Null => Vec::new(),
        one => vec![one],
    };
    let mut out = Vec::new();
    for concept in concepts {
        if concept["code"].as_str().is_some() {
            out.push((concept["system"].text(), concept["code"].text()));
        }
        out.extend(concept["coding"].items().iter().map(|c| (c["system"].text(), c["code"].text())));
    }
    out
}

/// Whether one of the codings is this one.
#[must_use]
pub fn has_code(element: &Json, system: &str, code: &str) -> bool {
    codings(element).contains(&(system, code))
}

/// The first code of an own code system.
#[must_use]
pub fn own_code<'a>(element: &'a Json, system_name: &str) -> Option<&'a str> {
    let system = system(system_name);
    codings(element).into_iter().find(|(s, _)| *s == system).map(|(_, code)| code)
}

/// The value of the identifier of an own system, when the resource has one: it is the programme's.
#[must_use]
pub fn own_identifier<'a>(resource: &'a Json, name: &str) -> Option<&'a str> {
    let system = sid(name);
    let one = &resource["identifier"];
    let found = std::iter::once(one).chain(one.items()).find(|i| i["system"].text() == system)?;
    found["value"].as_str()
}

/// Whether one of the identifiers is of a system of the programme's.
#[must_use]
pub fn is_of_programme(resource: &Json) -> bool {
    let prefix = format!("{BASE}/sid/");
    // A Composition has one identifier, other types have a list.
    let one = &resource["identifier"];
    std::iter::once(one).chain(one.items()).any(|i| i["system"].text().starts_with(&prefix))
}

/// The first extension of an own URL.
#[must_use]
pub fn extension<'a>(element: &'a Json, name: &str) -> Option<&'a Json> {
    let url = extension_url(name);
    element["extension"].items().iter().find(|e| e["url"].text() == url)
}

/// The last microsecond a date or time may mean, read in `zone` when it names none: a day counts until its end.
#[must_use]
pub fn latest(text: &str, zone: &TimeZone) -> Option<Instant> {
    date::span(text, zone).map(|s| Instant(s.hi))
}

/// The first microsecond a date or time may mean.
#[must_use]
pub fn earliest(text: &str, zone: &TimeZone) -> Option<Instant> {
    date::span(text, zone).map(|s| Instant(s.lo))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_to_the_own_base_is_a_relative_one() {
        let base = "http://b/fhir";
        for (text, leads) in [
            ("Patient/1", Some("Patient/1")),
            ("http://b/fhir/Patient/1/_history/2", Some("Patient/1")),
            ("http://c/fhir/Patient/1", None),
            ("#p", None),
        ] {
            let reference: Json = serde_json::json!({"reference": text}).into();
            assert_eq!(leads_to(&reference, base).map(|t| t.to_string()).as_deref(), leads, "{text}");
        }
    }

    #[test]
    fn codes_are_found_in_codings_concepts_and_lists_of_them() {
        for element in [
            serde_json::json!({"system": "s", "code": "c"}),
            serde_json::json!({"coding": [{"code": "x"}, {"system": "s", "code": "c"}]}),
            serde_json::json!([{"text": "?"}, {"coding": [{"system": "s", "code": "c"}]}]),
        ] {
            assert!(has_code(&element.into(), "s", "c"));
        }
    }
}
