//! `QuestionnaireResponse/{id}/$extract`: medicines as told, and allergies to be confirmed.

use super::params::Params;
use super::{behind_locks, run_staged};
use crate::access::Ctx;
use crate::error::{Error, Result};
use crate::fhir::resource::known;
use crate::fhir::{Json, Target};
use crate::workflow::records::Records;
use crate::workflow::{Change, Programme, answers, element};
use serde_json::json;
use std::collections::BTreeMap;

pub async fn extract_in<R: Records>(
    ctx: &Ctx,
    records: &mut R,
    programme: &Programme,
    id: &str,
    params: Option<&Json>,
) -> Result<Json> {
    Params::read(params, &[])?;
    let held = behind_locks(records, programme, &Target::new(known("QuestionnaireResponse"), id)).await?;
    let Some(form) = answers::form(programme, &held.json) else {
        return Err(Error::business_rule("these are answers to no form of the programme")
            .at("QuestionnaireResponse.questionnaire"));
    };
    let is_error = held.json["status"].text() == "entered-in-error";
    if !answers::is_whole(&held.json) && !is_error {
        let text = format!("the answers are {}: complete them first", held.json["status"].text());
        return Err(Error::business_rule(text).at("QuestionnaireResponse.status"));
    }
    let base = programme.env.base.as_str();
    let mut named = Vec::new();
    references(&held.json["item"], base, &mut named);
    let found = records.fetch(&named).await?;
    let patient = element::patient_of(&held.json, base);
    // Another patient's prescription tells nothing about this one.
    let resources: BTreeMap<Target, Json> = found
        .into_iter()
        .flatten()
        .filter(|h| element::patient_of(&h.json, base) == patient)
        .map(|h| (h.target, h.json))
        .collect();
    let mut response = held.json.clone();
    crate::fhir::meta::set_id(&mut response, id);
    let made = match is_error {
        true => Vec::new(),
        false => answers::extract(programme, form, &response, |r| resources.get(&element::leads_to(r, base)?)),
    };
    let mut targets: Vec<Target> = made.iter().filter_map(element::target_of).collect();
    let befores = records.fetch(&targets).await?;
    let mut changes = Vec::new();
    for ((json, target), before) in made.into_iter().zip(&targets).zip(befores) {
        let before = before.map(|b| b.json);
        if before.as_ref().is_some_and(|b| is_same(b, &json)) {
            continue;
        }
        changes.push((Change { target: target.clone(), before, after: Some(json) }, held.org));
    }
    // What the answers said before and say no more was an error.
    if let Some(patient) = &patient {
        let asks =
            [("MedicationStatement", "patient", patient.clone()), ("AllergyIntolerance", "patient", patient.clone())];
        for old in records.referring(&asks).await? {
            let is_ours = element::own_identifier(&old.json, "answers") == Some(id);
            if is_ours && !targets.contains(&old.target) && !is_void(&old.json) {
                let mut after = old.json.clone();
                void(&mut after);
                targets.push(old.target.clone());
                changes.push((Change { target: old.target, before: Some(old.json), after: Some(after) }, old.org));
            }
        }
    }
    run_staged(ctx, records, programme, &changes).await?;
    let mut bundle = Json::from(json!({"resourceType": "Bundle", "type": "collection"}));
    for stored in records.fetch(&targets).await?.into_iter().flatten() {
        let mut entry = Json::from(json!({"fullUrl": format!("{base}/{}", stored.target)}));
        entry.set("resource", stored.json);
        bundle.push("entry", entry);
    }
    Ok(bundle)
}

/// Where the answers lead.
fn references(items: &Json, base: &str, out: &mut Vec<Target>) {
    for item in items.items() {
        for answer in item["answer"].items() {
            out.extend(element::leads_to(&answer["valueReference"], base));
            references(&answer["item"], base, out);
        }
        references(&item["item"], base, out);
    }
}

fn is_void(resource: &Json) -> bool {
    resource["status"].text() == "entered-in-error"
        || element::codings(&resource["verificationStatus"]).iter().any(|(_, c)| *c == "entered-in-error")
}

fn void(resource: &mut Json) {
    if element::type_of(resource) == "MedicationStatement" {
        resource.set("status", "entered-in-error");
    } else {
        // ait-2: what was an error has no clinical status.
        resource.remove("clinicalStatus");
        let system = "http://terminology.hl7.org/CodeSystem/allergyintolerance-verification";
        let status = json!({"coding": [{"system": system, "code": "entered-in-error"}]});
        resource.set("verificationStatus", Json::from(status));
    }
}

fn is_same(a: &Json, b: &Json) -> bool {
    let bare = |json: &Json| {
        let mut json = json.clone();
        crate::fhir::meta::clear(&mut json);
        json.remove("id");
        json
    };
    bare(a) == bare(b)
}
