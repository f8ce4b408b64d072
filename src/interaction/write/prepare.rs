//! Everything about a write that costs time and needs no transaction: rewriting, extraction, serialisation.

use super::ask::{Amiss, Ask};
use super::criteria::Found;
use super::outward::{Lead, Which};
use super::resolve::{self, Fate, Links};
use crate::access::{Ctx, Limit};
use crate::config::Limits;
use crate::error::{Error, Issue, Result};
use crate::fhir::meta::{self, Stampable};
use crate::fhir::{Json, Target};
use crate::interaction::House;
use crate::interaction::operation::Call;
use crate::search::{Plan, Rows};
use crate::store::{Method, Version};
use crate::workflow;
use std::sync::Arc;

/// A resource ready to be stamped and stored.
#[derive(Debug, Clone)]
pub(super) struct Ready {
    /// The tree, with its id.
    pub(super) json: Arc<Json>,
    /// Its bytes.
    pub(super) stampable: Arc<Stampable>,
    /// What it is found by.
    pub(super) rows: Arc<Rows>,
    /// Where its references lead that are to be judged.
    pub(super) refs: Vec<Lead>,
    /// Of a patch: what the validation of the result noticed that blocks nothing.
    pub(super) noticed: Vec<Issue>,
    /// Of a patch: the version (`pk`) that it was applied to.
    pub(super) base: Option<i64>,
}

/// Fates and bodies under the assumption that the criteria find `found`.
#[derive(Debug)]
pub(super) struct Prepared {
    /// What it was prepared for.
    pub(super) found: Found,
    /// By which search parameters it was extracted.
    pub(super) generation: i64,
    /// One each ask.
    pub(super) fates: Vec<Fate>,
    /// What links inside the request become.
    pub(super) links: Links,
    /// One each operation: its parameters, links inside the Bundle resolved.
    pub(super) params: Vec<Option<Json>>,
    /// One each ask; `None` where there is no body or, for a patch, where it must wait for the transaction.
    pub(super) ready: Vec<Option<Ready>>,
}

impl Prepared {
    /// Prepares all asks but patches. `amiss`: what is wrong with them already; what else is wrong is found all the same, so that
    /// all of it is told at once.
    ///
    /// # Errors
    /// All failures of all entries.
    pub(super) fn new(
        ctx: &Ctx,
        house: &House,
        asks: &[Ask],
        calls: &[Call],
        plans: &[Plan],
        found: Found,
        mut amiss: Amiss,
    ) -> Result<Self> {
        let generation = house.active().generation;
        let fates = match resolve::fates(asks, calls, &found, Limits::size(house.limits.delete_max)) {
            Ok(fates) => fates,
            Err(error) => {
                amiss.faults.add(error, "");
                return Err(amiss.faults.error());
            }
        };
        let links = Links::new(house, asks, plans, &fates, &found, &mut amiss);
        let faults = &mut amiss.faults;
        let which = Which::of(house, &Limit::of(ctx));
        let mut ready = Vec::with_capacity(asks.len());
        for (ask, fate) in asks.iter().zip(&fates) {
            let body = match (ask.method, fate) {
                (Method::Post | Method::Put, Fate::Create(target) | Fate::Write(target) | Fate::Make(target)) => {
                    let mut body = ask.body.clone();
                    let applied = links.apply(house, which, ask, &mut body, None).and_then(|refs| {
                        if !ask.is_sound {
                            return Ok(None);
                        }
                        meta::set_id(&mut body, &target.id);
                        // What cannot exist yet is judged here; the rest when the version it replaces is known.
                        if matches!(fate, Fate::Create(_)) {
                            workflow::guard(ctx, &house.programme, None, Some(&body))?;
                            workflow::stamp(ctx, &house.programme, None, &mut body);
                        }
                        Ok(Some(refs))
                    });
                    let refs = faults.keep(applied, &ask.place).flatten();
                    refs.map(|refs| Ready { refs, ..Ready::new(house, body, target) })
                }
                _ => None,
            };
            ready.push(body);
        }
        resolve::doubles(house, asks, plans, &fates, &ready, faults);
        let params = calls.iter().map(|call| call.params.as_ref().map(|params| links.of(params))).collect();
        amiss.faults.end().map(|()| Self { found, generation, fates, links, params, ready })
    }

    /// Applies patches to what is there now, so that the transaction need not, unless another writer comes between.
    pub(super) async fn patches(&mut self, ctx: &Ctx, house: &House, asks: &[Ask], limit: &Limit) -> Result<()> {
        let links = &self.links;
        for ((ask, fate), slot) in asks.iter().zip(&self.fates).zip(&mut self.ready) {
            if let (Method::Patch, Some(target)) = (ask.method, fate.target())
                && let Some(before) = house.store.get(limit, target).await?
                && !before.is_deleted()
                // A failure is judged inside the transaction, where a stale If-Match goes first.
                && let Ok(ready) = patched(ctx, house, Which::of(house, limit), links, ask, &before)
            {
                *slot = Some(ready);
            }
        }
        Ok(())
    }
}

/// The resource after a patch.
///
/// # Errors
/// A patch that does not apply, a result that is no valid resource or another one.
pub(super) fn patched(
    ctx: &Ctx,
    house: &House,
    which: Which,
    links: &Links,
    ask: &Ask,
    before: &Version,
) -> Result<Ready> {
    let stored = before.json()?;
    let patch = ask.patch.as_ref().ok_or_else(|| Error::fault("a PATCH without a patch"))?;
    let mut after = patch.apply(&stored)?;
    for fixed in ["resourceType", "id"] {
        if after[fixed] != stored[fixed] {
            let text = format!("a patch may not change '{fixed}'");
            return Err(Error::unprocessable(text).at(format!("{}.{fixed}", before.target.rtype)));
        }
    }
    if after.depth() > house.json.depth {
        let most = house.json.depth;
        let text = format!("the result has more than {most} objects and arrays inside each other (limit json-depth)");
        return Err(Error::unprocessable(text));
    }
    // What the patch made of the resource is not what the client wrote: 422, not 400.
    let noticed = house
        .conformance
        .judge(&ctx.principal, &after)
        .map_err(|e| Error { kind: crate::error::Kind::Unprocessable, ..e })?;
    let refs = links.apply(house, which, ask, &mut after, Some(&stored))?;
    let ready = Ready::new(house, after, &before.target);
    Ok(Ready { refs, noticed, base: Some(before.pk), ..ready })
}

impl Ready {
    /// Serialises and extracts.
    pub(super) fn new(house: &House, body: Json, target: &Target) -> Self {
        let stampable = Stampable::new(&body, &target.id);
        let active = house.active();
        let rows = active.registry.extract(&house.keys, &body, &active.env);
        Self {
            json: Arc::new(body),
            stampable: Arc::new(stampable),
            rows: Arc::new(rows),
            refs: Vec::new(),
            noticed: Vec::new(),
            base: None,
        }
    }
}
