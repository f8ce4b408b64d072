//! Who refers to what a request deletes: such a delete is refused, unless the site says `delete-referenced = "allow"`.
//!
//! Asked at the end of the transaction, so that a referrer which goes with it, or which no longer refers, is none. Only those
//! that the caller may see count: an answer must not tell of another organisation's. Found is every reference, wherever in a
//! resource it stands, but those of AuditEvents.
//! Source: <https://hl7.org/fhir/R4/http.html#delete> (409 for referential integrity); what is counted is an own rule.

use super::ask::Ask;
use super::faults::Faults;
use crate::access::policy::Decision;
use crate::access::scope::Action;
use crate::access::{Ctx, Limit};
use crate::config::DeleteReferenced;
use crate::error::{Error, Result};
use crate::fhir::{ResourceType, Target};
use crate::interaction::House;
use crate::store::Tx;
use std::collections::{BTreeMap, HashMap};

/// Referrers that an answer names.
const NAMED: usize = 5;
/// Referrers that are looked for.
const COUNTED: usize = 100;
/// Deleted resources that one statement asks for.
const CHUNK: usize = 100;

/// Refuses the request when anything that is left refers to what it deleted.
///
/// # Errors
/// `Conflict` at the entry of each deletion, with who refers.
pub(super) async fn check(
    tx: &mut Tx,
    house: &House,
    ctx: &Ctx,
    limit: &Limit,
    deleted: &[(Target, &Ask)],
) -> Result<()> {
    if deleted.is_empty() || house.delete_referenced == DeleteReferenced::Allow {
        return Ok(());
    }
    let judge = house.policy.judge(&ctx.principal);
    let readable: Vec<ResourceType> = ResourceType::all()
        .filter(|rtype| judge.decide(Action::SearchType, Some(*rtype)) == Decision::Permit)
        .collect();
    let active = house.active();
    let mut faults = Faults::default();
    for chunk in deleted.chunks(CHUNK) {
        let mut of: HashMap<i64, usize> = HashMap::new();
        for (n, (target, _)) in chunk.iter().enumerate() {
            for source in &readable {
                let keys = active.registry.referring_keys(&house.keys, *source, target);
                of.extend(keys.into_iter().map(|key| (key, n)));
            }
        }
        let keys: Vec<i64> = of.keys().copied().collect();
        let mut referrers: BTreeMap<usize, Vec<Target>> = BTreeMap::new();
        for (key, referrer) in tx.referring(limit, &keys, COUNTED).await? {
            if let Some(n) = of.get(&key) {
                let list = referrers.entry(*n).or_default();
                if !list.contains(&referrer) {
                    list.push(referrer);
                }
            }
        }
        for (n, mut referrers) in referrers {
            referrers.sort_unstable();
            let Some((target, ask)) = chunk.get(n) else { continue };
            faults.add(refused(target, &referrers), &ask.place);
        }
    }
    faults.end()
}

fn refused(target: &Target, referrers: &[Target]) -> Error {
    let named: Vec<String> = referrers.iter().take(NAMED).map(ToString::to_string).collect();
    let more = match referrers.len().saturating_sub(NAMED) {
        0 => String::new(),
        _ if referrers.len() >= COUNTED => " and many more".to_owned(),
        n => format!(" and {n} more"),
    };
    let verb = if referrers.len() == 1 { "refers" } else { "refer" };
    let text = format!(
        "{}{more} {verb} to {target}; change or delete them first, or in the same transaction (setting delete-referenced)",
        named.join(", ")
    );
    Error::conflict(text)
}
