//! `_include` and `_revinclude`: each resource once, each through the caller's limit, in bounded rounds.
//!
//! Source: <https://hl7.org/fhir/R4/search.html#include>.

use crate::access::Limit;
use crate::access::policy::{Decision, Judge};
use crate::access::scope::Action;
use crate::error::{Error, Result};
use crate::fhir::{Json, ResourceType, Target};
use crate::interaction::{House, published};
use crate::search::Query;
use crate::search::param::reference;
use crate::search::query::Include;
use crate::store::Version;
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// Canonicals, each with the types that it may lead to.
type Named = BTreeMap<String, BTreeSet<ResourceType>>;

/// Resources that canonicals lead to: stored ones, and those that are published where none is stored under their id.
async fn known_by(house: &House, limit: &Limit, named: &Named, most: usize) -> Result<Vec<Version>> {
    let numbers: Vec<i64> = named.keys().map(|text| house.keys.canonical(text)).collect();
    let leads = |json: &Json, rtype: ResourceType| {
        reference::known_by(json).iter().any(|text| named.get(text).is_some_and(|types| types.contains(&rtype)))
    };
    let mut found = Vec::new();
    for version in house.store.known_by(limit, &numbers, most).await? {
        if leads(&version.json()?, version.target.rtype) {
            found.push(version);
        }
    }
    found.extend(published::such(house, limit, |p| leads(&p.json, p.doc.target.rtype)).await?);
    Ok(found)
}

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
        let (mut wanted, mut named) = (Vec::new(), Named::new());
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
                for (canonical, types) in active.registry.canonicals(&tree, &include.param) {
                    named
                        .entry(canonical)
                        .or_default()
                        .extend(types.into_iter().filter(|t| include.target.is_none_or(|want| want == *t)));
                }
            }
        }
        let mut added: Vec<Version> = Vec::new();
        if !wanted.is_empty() {
            let current = house.store.get_many(limit, &wanted).await?;
            added.extend(current.into_iter().flatten().filter(|v| !v.is_deleted()));
        }
        if !named.is_empty() {
            let found = known_by(house, limit, &named, most + 1).await?;
            added.extend(found.into_iter().filter(|v| readable(v.target.rtype) && seen.insert(v.target.clone())));
        }
        for include in revincludes {
            let fitting = || sources.iter().filter(|v| include.target.is_none_or(|want| want == v.target.rtype));
            let owners: Vec<&Target> = fitting().map(|v| &v.target).collect();
            let has_url = fitting().filter(|v| active.registry.has_url(v.target.rtype));
            let known: Vec<Json> = has_url.map(|v| v.json()).collect::<Result<_>>()?;
            let types: Vec<ResourceType> = match include.source {
                Some(rtype) => vec![rtype],
                None => ResourceType::all().collect(),
            };
            for rtype in types.into_iter().filter(|t| readable(*t)) {
                let (registry, param) = (&active.registry, include.param.as_str());
                let by_id = owners.iter().flat_map(|t| registry.reference_keys(&house.keys, rtype, param, t));
                let by_url = known.iter().flat_map(|json| registry.canonical_keys(&house.keys, rtype, param, json));
                let keys: Vec<i64> = by_id.chain(by_url).collect();
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
