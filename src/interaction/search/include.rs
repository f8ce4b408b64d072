//! `_include` and `_revinclude`: each resource once, each through the caller's limit, in bounded rounds.
//!
//! Source: <https://hl7.org/fhir/R4/search.html#include>.

use crate::access::Limit;
use crate::access::policy::{Decision, Judge};
use crate::access::scope::Action;
use crate::error::{Error, Result};
use crate::fhir::{ResourceType, Target};
use crate::interaction::House;
use crate::search::Query;
use crate::search::query::Include;
use crate::store::Version;
use std::collections::HashSet;

/// Resources to add to a page of matches.
///
/// # Errors
/// `too-costly` over the limit of included resources.
pub(super) async fn include(
    house: &House,
    limit: &Limit,
    judge: &Judge<'_>,
    query: &Query,
    matches: &[Version],
) -> Result<Vec<Version>> {
    if query.includes.is_empty() && query.revincludes.is_empty() {
        return Ok(Vec::new());
    }
    let most = usize::try_from(house.limits.included_max).unwrap_or(usize::MAX);
    let rounds = house.limits.include_depth;
    let active = house.active();
    let readable = |rtype| judge.decide(Action::SearchType, Some(rtype)) == Decision::Permit;
    let mut seen: HashSet<Target> = matches.iter().map(|v| v.target.clone()).collect();
    let mut found: Vec<Version> = Vec::new();
    let mut from = 0; // versions of `found` that the next round starts from
    for round in 0..=rounds {
        let sources: Vec<&Version> =
            if round == 0 { matches.iter().collect() } else { found.iter().skip(from).collect() };
        let asked = |i: &&Include| round == 0 || i.iterate;
        let includes: Vec<&Include> = query.includes.iter().filter(asked).collect();
        let revincludes: Vec<&Include> = query.revincludes.iter().filter(asked).collect();
        if sources.is_empty() || (includes.is_empty() && revincludes.is_empty()) {
            break;
        }
        let mut wanted = Vec::new();
        for source in &sources {
            let fitting: Vec<&&Include> =
                includes.iter().filter(|i| i.source.is_none_or(|t| t == source.target.rtype)).collect();
            if fitting.is_empty() {
                continue;
            }
            let tree = source.json()?;
            for include in fitting {
                for target in active.registry.references(&tree, &include.param, &active.env) {
                    if include.target.is_none_or(|t| t == target.rtype)
                        && readable(target.rtype)
                        && seen.insert(target.clone())
                    {
                        wanted.push(target);
                    }
                }
            }
        }
        let mut added: Vec<Version> = Vec::new();
        if !wanted.is_empty() {
            let current = house.store.get_many(limit, &wanted).await?;
            added.extend(current.into_iter().flatten().filter(|v| !v.is_deleted()));
        }
        for include in revincludes {
            let owners: Vec<&Target> = sources
                .iter()
                .map(|v| &v.target)
                .filter(|t| include.target.is_none_or(|want| want == t.rtype))
                .collect();
            let types: Vec<ResourceType> = match include.source {
                Some(rtype) => vec![rtype],
                None => ResourceType::all().collect(),
            };
            for rtype in types.into_iter().filter(|t| readable(*t)) {
                let keys: Vec<i64> = owners
                    .iter()
                    .flat_map(|t| active.registry.reference_keys(&house.keys, rtype, &include.param, t))
                    .collect();
                if keys.is_empty() {
                    continue;
                }
                for version in house.store.referring(limit, rtype, &keys, most + 1).await? {
                    if seen.insert(version.target.clone()) {
                        added.push(version);
                    }
                }
            }
        }
        drop(sources);
        from = found.len();
        found.append(&mut added);
        if found.len() > most {
            return Err(Error::too_costly(format!(
                "the includes add more than {most} resources to a page; ask for a smaller _count or fewer includes"
            )));
        }
    }
    Ok(found)
}
