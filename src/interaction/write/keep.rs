//! A resource that an operation made, stored in the operation's transaction: judged like any create.
//!
//! Not for: what clients send (`ask.rs` and on), or what the programme makes (`workflow/`).

use super::prepare::Ready;
use crate::access::label::passing;
use crate::access::{Ctx, Limit};
use crate::error::Result;
use crate::fhir::{Json, ResourceType, Target, meta};
use crate::interaction::House;
use crate::store::{Method, Put, Tx};
use crate::workflow;
use std::sync::Arc;

/// Stores it as a new resource of the caller's organisation; answers it as stored.
///
/// # Errors
/// What a create of it would be told.
pub(in crate::interaction) async fn keep(
    ctx: &Ctx,
    house: &House,
    tx: &mut Tx,
    mut body: Json,
    target: &Target,
) -> Result<Json> {
    house.conformance.judge(&ctx.principal, &body)?;
    meta::set_id(&mut body, &target.id);
    workflow::guard(ctx, &house.programme, None, Some(&body))?;
    workflow::stamp(ctx, &house.programme, None, &mut body);
    // What is put together of protected rows is protected like them.
    let inside = body["entry"].items().iter().map(|e| &e["resource"]);
    let held = inside
        .clone()
        .filter_map(|r| Some(Target::new(ResourceType::parse(r["resourceType"].text())?, r["id"].as_str()?)));
    let mut named: Vec<Target> =
        held.chain(inside.clone().chain([&body]).flat_map(|r| passing(r, &house.env.base))).collect();
    named.sort_unstable();
    named.dedup();
    let found = tx.get_many(&Limit::of(ctx), &named).await?;
    let labels = found.iter().flatten().fold(0, |set, v| set | v.labels);
    let labels = inside.fold(labels, |set, r| set | tx.labels().of(r));
    let body = tx.labels().put_on(labels, &body).unwrap_or(body);
    let ready = Ready::new(house, body, target);
    let put = Put {
        target: target.clone(),
        method: Method::Post,
        body: Some(&*ready.stampable),
        rows: Arc::clone(&ready.rows),
        before: None,
        labels: tx.labels().of(&ready.json),
        org: house.keys.org(ctx.principal.org.as_deref().unwrap_or_default()),
    };
    let stored = tx.put(put).await?;
    let change = workflow::Change { target: target.clone(), before: None, after: Some((*ready.json).clone()) };
    workflow::react(ctx, tx, &house.programme, &[change]).await?;
    stored.json()
}
