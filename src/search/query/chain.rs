//! Criteria about other resources: chains, and `_has`.
//!
//! Source: <https://hl7.org/fhir/R4/search.html#chaining>, `#has`.

use super::criterion::{Made, find, one, target_type, united};
use super::looked_up::LIST;
use super::text::nearest;
use super::{House, Refusal};
use crate::fhir::ResourceType;
use crate::fhir::resource::printable;
use crate::search::plan::Link;
use crate::search::registry::Use;
use crate::search::{Cond, Param, ParamType};

/// The first step of a chain: key of the reference, how it names what it leads to, whether there is one of it at most, what
/// is asked of each target type.
type Along = (i64, Link, bool, Vec<(ResourceType, Cond)>);

/// `subject.name=…`, `subject:Patient.name=…`.
#[allow(clippy::too_many_arguments)] // the parts of one name, taken apart just before
pub(super) fn chained(
    house: &House<'_>,
    rtype: ResourceType,
    param: &Param,
    modifier: Option<&str>,
    chain: &str,
    value: &str,
    touched: &mut Vec<ResourceType>,
    steps: Steps,
) -> Made {
    if param.kind != ParamType::Reference {
        return Err(Refusal::Unfit(format!("'{}' is no reference, so nothing can follow it", param.code)));
    }
    let steps = steps.along(house)?;
    let wanted = modifier.map(|name| target_type(param, name)).transpose()?;
    let mut list: Vec<Along> = Vec::new();
    let mut refusals = Vec::new();
    // An open chain does not lead into the audit, which is an auditor's (docs/audit.md): `item:AuditEvent.agent` does.
    for target in param.targets.iter().filter(|t| wanted.map_or(t.as_str() != "AuditEvent", |w| w == **t)) {
        let uses: Vec<&Use> = param.uses.iter().filter(|u| u.restrict.is_none_or(|r| r == *target)).collect();
        if uses.is_empty() {
            continue;
        }
        match one(house, *target, chain, value, touched, steps) {
            Ok(cond) => {
                touched.push(*target);
                for (seen, by) in uses.iter().flat_map(|seen| links(house, seen, *target).map(move |by| (seen, by))) {
                    let key = house.keys.param(rtype.as_str(), &seen.slot);
                    match list.iter_mut().find(|(k, b, ..)| (*k, *b) == (key, by)) {
                        Some((.., conds)) => conds.push((*target, cond.clone())),
                        // A canonical may lead to several versions.
                        None => {
                            let is_single = seen.is_single && by == Link::Id;
                            list.push((key, by, is_single, vec![(*target, cond.clone())]));
                        }
                    }
                }
            }
            Err(refusal) => refusals.push(refusal),
        }
    }
    // An untyped chain asks those targets that have the parameter; a wrong value is wrong for all that have it.
    if let Some(at) = refusals.iter().position(|r| !matches!(r, Refusal::Unknown(_) | Refusal::Unfit(_))) {
        return Err(refusals.swap_remove(at));
    }
    if list.is_empty() {
        let last = refusals.pop().unwrap_or_else(|| Refusal::Bad(format!("'{}' leads to no such type", param.code)));
        return Err(nowhere(house, param, wanted, chain).unwrap_or(last));
    }
    let chain = |(param, by, is_single, conds): Along| {
        let types = conds.iter().map(|(t, _)| *t).collect();
        Cond::Chain { param, types, by, is_single, target: Box::new(united(conds)) }
    };
    Ok(Cond::any(list.into_iter().map(chain).collect()))
}

/// Of a chain that goes on by a parameter that none of the types has: the nearest that one of them has.
fn nowhere(house: &House<'_>, param: &Param, wanted: Option<ResourceType>, chain: &str) -> Option<Refusal> {
    let code = chain.split(['.', ':']).next()?;
    let types: Vec<ResourceType> = param.targets.iter().copied().filter(|t| wanted.is_none_or(|w| w == *t)).collect();
    if matches!(code, "_has" | LIST) || types.iter().any(|t| house.registry.param(*t, code).is_some()) {
        return None;
    }
    let known = types.iter().flat_map(|t| house.registry.params(*t)).filter(|p| p.is_supported());
    let hint = nearest(code, known.map(|p| p.code.as_str()).chain([LIST]));
    let hint = hint.map(|n| format!("; did you mean '{n}'?")).unwrap_or_else(|| ".".into());
    let named = match types.as_slice() {
        [only] => format!("{only} has"),
        [..] if types.len() > 6 => format!("the types that '{}' leads to have", param.code),
        all => format!("{} have", all.iter().map(|t| t.as_str()).collect::<Vec<_>>().join(", ")),
    };
    Some(Refusal::Unknown(format!("{named} no search parameter '{}'{hint}", printable(code))))
}

/// How references of a slot name resources of a type.
fn links(house: &House<'_>, seen: &Use, target: ResourceType) -> impl Iterator<Item = Link> {
    let canonical = (seen.is_canonical && house.registry.has_url(target)).then_some(Link::Canonical);
    std::iter::once(Link::Id).chain(canonical)
}

/// How far a parameter is from what is searched.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Steps {
    chain: usize,
    has: usize,
}

impl Steps {
    /// One step of a chain more.
    fn along(self, house: &House<'_>) -> Made<Self> {
        let most = house.env.caps.chain;
        if self.chain >= most {
            return Err(Refusal::Costly(format!("a chain has at most {most} steps (limit chain-depth)")));
        }
        Ok(Self { chain: self.chain + 1, ..self })
    }

    /// One `_has` more.
    fn back(self, house: &House<'_>) -> Made<Self> {
        let most = house.env.caps.has;
        if self.has >= most {
            return Err(Refusal::Costly(format!("at most {most} _has stand inside each other (limit has-depth)")));
        }
        Ok(Self { has: self.has + 1, ..self })
    }
}

/// `_has:Observation:patient:code=…`, the rest after `_has:`.
pub(super) fn has(
    house: &House<'_>,
    rtype: ResourceType,
    rest: &str,
    value: &str,
    touched: &mut Vec<ResourceType>,
    steps: Steps,
) -> Made {
    let steps = steps.back(house)?;
    let mut parts = rest.splitn(3, ':');
    let (Some(source), Some(code), Some(inner)) = (parts.next(), parts.next(), parts.next()) else {
        return Err("it is _has:Type:reference-parameter:parameter".into());
    };
    let source =
        ResourceType::parse(source).ok_or_else(|| format!("R4 has no resource type '{}'", printable(source)))?;
    let param = find(house, source, code)?;
    if param.kind != ParamType::Reference || !param.targets.contains(&rtype) {
        return Err(Refusal::Unfit(format!("{source}.{code} is no reference to {rtype}")));
    }
    let cond = one(house, source, inner, value, touched, steps)?;
    touched.push(source);
    let uses = param.uses.iter().filter(|u| u.restrict.is_none_or(|r| r == rtype));
    let has = |(u, by): (&Use, Link)| Cond::Has {
        rtype: source,
        param: house.keys.param(source.as_str(), &u.slot),
        by,
        source: Box::new(cond.clone()),
    };
    Ok(Cond::any(uses.flat_map(|u| links(house, u, rtype).map(move |by| (u, by))).map(has).collect()))
}
