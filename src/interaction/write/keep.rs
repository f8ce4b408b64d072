//! A resource that an operation made, stored in the operation's transaction: judged like any create.
//!
//! Not for: what clients send (`ask.rs` and on), or what the programme makes (`workflow/`).

use super::prepare::Ready;
use crate::access::Ctx;
use crate::error::Result;
use crate::fhir::{Json, Target, meta};
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
    let ready = Ready::new(house, body, target);
    let put = Put {
        target: target.clone(),
        method: Method::Post,
        body: Some(&*ready.stampable),
        rows: Arc::clone(&ready.rows),
        before: None,
        org: house.keys.org(ctx.principal.org.as_deref().unwrap_or_default()),
    };
    let stored = tx.put(put).await?;
    let change = workflow::Change { target: target.clone(), before: None, after: Some((*ready.json).clone()) };
    workflow::react(ctx, tx, &house.programme, &[change]).await?;
    stored.json()
}
