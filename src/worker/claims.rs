//! Claims whose work has not begun in time, and offers that a pharmacy has not answered, go back to where they came from.
//!
//! The Tasks are found by `Task?claim-lease`, and given back by `Task/{id}/$release`, as their owner would: what follows from
//! it is the programme's to say. Two nodes may try the same one: the version that it was seen at lets one of them win.

use super::{Did, Worker};
use crate::access::{Ctx, Principal};
use crate::clock::Instant;
use crate::error::{Kind, Result};
use crate::fhir::resource::known;
use crate::fhir::{Json, Target, json};
use crate::interaction::{Body, Request, Verb, Wire, route};
use serde_json::json;

/// Tasks that one step gives back.
const BATCH: usize = 100;

impl Worker {
    pub(super) async fn claims(&self, now: Instant) -> Result<Did> {
        let looked = Instant(self.claims_looked.load(std::sync::atomic::Ordering::Relaxed));
        if !self.looks(looked, now) {
            return Ok(Did::Nothing);
        }
        let ctx = Ctx {
            principal: Principal::rule_engine().into(),
            now,
            request_id: format!("claims-{}", now.0).into(),
            base: self.engine.house().active().env.base.as_str().into(),
            address: None,
        };
        let query =
            format!("claim-lease=lt{}&status=requested,received,accepted&_count={BATCH}", now.to_seconds_text());
        let found = match self.engine.handle(&ctx, route("Task", Wire::new(Verb::Get, &query))?).await {
            // The rows of the parameter are still being made.
            Err(error) if error.kind == Kind::Busy => return Ok(Did::Nothing),
            answer => json::parse(&answer?.body)?,
        };
        let mut did = Did::Nothing;
        for entry in found["entry"].items().iter().filter(|e| e["search"]["mode"].text() == "match") {
            if self.give_back(&ctx, &entry["resource"]).await? {
                did = Did::Something;
            }
        }
        if did == Did::Nothing {
            self.claims_looked.store(now.0, std::sync::atomic::Ordering::Relaxed);
        }
        Ok(did)
    }

    async fn give_back(&self, ctx: &Ctx, task: &Json) -> Result<bool> {
        let at = Target::new(known("Task"), task["id"].text());
        let reason = if task["status"].text() == "requested" { "offer-ended" } else { "lease-ended" };
        let reason = self.engine.programme().coded("task-status-reason", reason);
        let mut parameters = Json::from(json!({"resourceType": "Parameters"}));
        let mut part = Json::from(json!({"name": "reason"}));
        part.set("valueCodeableConcept", reason);
        parameters.push("parameter", part);
        let mut wire = Wire::new(Verb::Post, "");
        wire.body = Body::Raw(parameters.to_bytes().into());
        wire.if_match = Some(format!("W/\"{}\"", task["meta"]["versionId"].text()));
        let request: Request = route(&format!("{at}/$release"), wire)?;
        match self.engine.handle(ctx, request).await {
            Ok(_) => {
                tracing::info!(task.id = %at.id, "a claim whose work had not begun in time is open again");
                Ok(true)
            }
            // Begun, given back or ended meanwhile; what cannot be given back is tried at the next look.
            Err(error) if matches!(error.kind, Kind::VersionMismatch | Kind::BusinessRule | Kind::Conflict) => {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }
}
