//! `$attempt`: one attempt to reach the patient.

use super::params::Params;
use super::{carry_out, judged, task_of};
use crate::access::Ctx;
use crate::error::Result;
use crate::fhir::resource::known;
use crate::fhir::{Json, Target};
use crate::workflow::element::{self, patient_of, reference};
use crate::workflow::outreach::{MODE, NOT_DONE};
use crate::workflow::records::Records;
use crate::workflow::task;
use crate::workflow::{Change, Programme, guard};
use serde_json::json;

pub async fn attempt_in<R: Records>(
    ctx: &Ctx,
    records: &mut R,
    programme: &Programme,
    id: &str,
    params: Option<&Json>,
    if_match: Option<i64>,
) -> Result<Json> {
    let params = Params::read(params, &["outcome", "sent", "medium", "recipient", "note"])?;
    let code = params.code("outcome").unwrap_or_default();
    let Some(outcome) = programme.concept("attempt-outcome", &code) else {
        let known = programme.code_list("attempt-outcome");
        return Err(params.wrong("outcome", &format!("outcome is one of: {known}")));
    };
    let property = |name: &str| outcome.properties.get(name).map_or("", String::as_str);
    let held = task_of(ctx, records, programme, id, if_match).await?;
    let given = params.text("sent");
    let sent = given.clone().unwrap_or_else(|| ctx.now.to_seconds_text());
    let own = ctx.principal.practitioner.clone();
    let sender = own.unwrap_or_else(|| task::owner(&held.json).to_string());
    let patient = patient_of(&held.json, &programme.env.base);
    let name = if given.is_some() { sent.clone() } else { format!("{}/{}", ctx.now.0, ctx.request_id) };
    let at = Target::new(known("Communication"), programme.id(&["attempt", id, &name, &sender]));
    if let Some(done) = records.fetch(std::slice::from_ref(&at)).await?.into_iter().flatten().next() {
        return Ok(done.json);
    }
    let mut communication = Json::from(json!({
        "resourceType": "Communication",
        "id": at.id,
        "basedOn": [{"reference": held.target.to_string()}],
        "status": property("status"),
        "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/communication-category", "code": "notification"}]}],
        "medium": [{"coding": [{"system": MODE, "code": params.code("medium").unwrap_or_else(|| "PHONE".into())}]}],
        "topic": {
            "coding": [
                {"system": "http://terminology.hl7.org/CodeSystem/communication-topic", "code": "phone-consult"},
                {"system": element::system("attempt-outcome"), "code": code},
            ],
            "text": outcome.display,
        },
        "sent": sent,
    }));
    if !property("reason").is_empty() {
        let reason = json!({"coding": [{"system": NOT_DONE, "code": property("reason")}], "text": outcome.display});
        communication.set("statusReason", Json::from(reason));
    }
    if let Some(patient) = &patient {
        communication.set("subject", reference(patient));
        let recipient = params.reference("recipient").unwrap_or_else(|| patient.to_string());
        communication.set("recipient", Json::from(json!([{"reference": recipient}])));
    }
    if held.json.get("encounter").is_some() {
        communication.set("encounter", held.json["encounter"].clone());
    }
    if !sender.is_empty() {
        communication.set("sender", Json::from(json!({"reference": sender})));
    }
    if let Some(note) = params.text("note") {
        communication.set("note", Json::from(json!([{"time": sent, "text": note}])));
    }
    guard(ctx, programme, None, Some(&communication))?;
    let mut changes = Vec::new();
    let mut task = held.json.clone();
    if task["status"].text() == "accepted" {
        task.set("status", "in-progress");
    }
    let (change, org) = if task == held.json {
        (Change { target: held.target.clone(), before: Some(held.json.clone()), after: Some(task) }, held.org)
    } else {
        judged(ctx, programme, &held, task)?
    };
    if let Some(mut task) = change.after.clone().filter(|t| t["status"].text() == "in-progress") {
        task.set("businessStatus", programme.coded("business-status", property("business-status")));
        task.set("lastModified", ctx.now.to_seconds_text());
        changes.push((Change { after: Some(task), ..change }, org));
    }
    let org = records.keys().org(ctx.principal.org.as_deref().unwrap_or_default());
    changes.push((Change { target: at.clone(), before: None, after: Some(communication) }, org));
    carry_out(ctx, records, programme, changes, &at).await
}
