//! What becomes of a Subscription that is written: judged, its headers masked, its status the server's, and its row kept beside it.
//!
//! Who asks for delivery sends `requested`, or, of one that is there, what was read; `off` asks for nothing. What is asked for anew is asked with a
//! handshake again. After `error` it goes on where it stopped, after `off` it begins anew.

use super::channel::headers;
use super::wish::{Wish, end};
use crate::access::{Ctx, Role};
use crate::clock::Instant;
use crate::error::{Error, Result};
use crate::fhir::{Json, Target};
use crate::interaction::House;
use crate::interaction::caller::Caller;
use crate::interaction::write::Faults;
use crate::store::Tx;
use crate::store::subscription::Hook;

/// What a client asks by; all else of a Subscription is about it.
const ASKED: [&str; 5] = ["criteria", "_criteria", "channel", "_channel", "end"];

/// Judges what is written of a Subscription and keeps its row; the body as it is stored. `was`: the stored one.
///
/// # Errors
/// `Unprocessable` with an issue for each element that asks for what is not done; `BusinessRule` where the client has too many.
pub(in crate::interaction) async fn keep(
    ctx: &Ctx,
    house: &House,
    tx: &mut Tx,
    target: &Target,
    was: Option<&Json>,
    body: &Json,
) -> Result<Json> {
    let stored = tx.hook(&target.id).await?;
    if ctx.principal.role == Role::RuleEngine {
        if let Some(hook) = stored {
            let status = body["status"].text().to_owned();
            let error = body["error"].text().to_owned();
            tx.put_hook(&Hook { status, error, failures: 0, since: Instant(0), due: Instant(0), ..hook }).await?;
        }
        return Ok(body.clone());
    }
    let mut out = body.clone();
    let mut faults = Faults::default();
    let before = stored.as_ref().map(lines).transpose()?.unwrap_or_default();
    let goes_there = was.is_some_and(|w| w["channel"]["endpoint"] == body["channel"]["endpoint"]);
    let (kept, shown) = headers(body, &before, goes_there, &mut |e| faults.add(e, ""));
    if let Some(channel) = out.get_mut("channel").filter(|_| !shown.is_empty()) {
        channel.set("header", shown.into_iter().map(Json::from).collect::<Vec<_>>());
    }
    let is_over = end(house, body).is_some_and(|end| end <= ctx.now);
    let is_off = body["status"].text() == "off" || is_over;
    // Who may not ask for it may still turn it off.
    let wish = if is_off { None } else { faults.keep(Wish::read(house, &ctx.principal, body), "") };
    faults.end()?;
    let was_status = was.map_or("", |w| w["status"].text());
    let is_same = was.is_some_and(|w| ASKED.iter().all(|name| w[*name] == out[*name])) && kept == before;
    let status = match was_status {
        _ if is_off => "off",
        "active" if is_same => "active",
        _ => "requested",
    };
    out.set("status", status);
    match was.and_then(|w| w.get("error")).filter(|_| status == was_status) {
        Some(error) => out.set("error", error.clone()),
        None => {
            out.remove("error");
        }
    }
    let owner = house.hooks_of(&ctx.principal);
    let is_own = stored.as_ref().is_none_or(|h| h.owner == owner);
    if status != "off" && is_own {
        let most = house.limits.subscriptions;
        if tx.hooks_of(owner, &target.id).await? >= most {
            let text = format!(
                "{most} Subscriptions of this client ask for something (limit subscriptions); turn one off or delete it first"
            );
            return Err(Error::business_rule(text).code("too-costly").at("Subscription.status"));
        }
    }
    let is_kept = stored.is_some() && was.is_some() && was_status != "off";
    let fresh = Hook {
        id: target.id.clone(),
        owner,
        rtype: 0,
        caller: Caller::of(ctx, None).text()?,
        status: status.into(),
        headers: serde_json::to_string(&kept).map_err(|e| Error::fault("texts are JSON").caused_by(e))?,
        seen: tx.begun(),
        events: 0,
        failures: 0,
        since: Instant(0),
        due: Instant(0),
        error: String::new(),
        ends: end(house, body).unwrap_or(Instant(0)),
    };
    let rtype = wish.as_ref().map_or_else(|| stored.as_ref().map_or(0, |h| h.rtype), |w| i64::from(w.rtype.0));
    let hook = match stored {
        // Somebody else who may write everything changes it: it stays its owner's, and is sent as that one.
        Some(old) if is_kept && !is_own => {
            Hook { owner: old.owner, caller: old.caller, seen: old.seen, events: old.events, ..fresh }
        }
        Some(old) if is_kept => Hook { seen: old.seen, events: old.events, ..fresh },
        Some(old) if !is_own => Hook { owner: old.owner, caller: old.caller, ..fresh },
        _ => fresh,
    };
    tx.put_hook(&Hook { rtype, ..hook }).await?;
    Ok(out)
}

/// Lines of headers with their values.
///
/// # Errors
/// `Fault` for what is no list of texts.
pub(super) fn lines(hook: &Hook) -> Result<Vec<String>> {
    serde_json::from_str(&hook.headers).map_err(|e| Error::fault("stored headers are a JSON array").caused_by(e))
}
