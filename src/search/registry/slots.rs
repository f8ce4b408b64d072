//! From definitions to slots: what is stored once although several parameters find by it.

use super::table::Definition;
use super::{Entry, Param, ParamType, Part, Slot, Source, Use};
use crate::fhir::definition::{Element, Type};
use crate::fhir::fhirpath::{Expr, Step};
use crate::fhir::primitive::Primitive;
use crate::fhir::{ResourceType, definition};
use crate::search::param::composite::Component;
use crate::search::param::token::Coded;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// Parts of names and addresses that R4 has parameters for.
const PARTS: [&str; 6] = ["family", "given", "city", "state", "postalCode", "country"];

/// Elements whose codes do not tell cases apart: BCP 47 and BCP 13.
const CASELESS: [&str; 4] = ["language", "contentType", "format", "mimeType"];

/// Parameters of AuditEvent that are not kept: of the events that Baton writes they are the same, or nothing.
const ALIKE: [&str; 8] = ["_content", "_text", "altid", "entity-name", "entity-role", "entity-type", "site", "source"];

type Alternative = (ParamType, Expr);

/// Builds the entry of one type from R4's definitions.
pub(super) fn entry(rtype: ResourceType, definitions: &[Definition]) -> Entry {
    let is_left_out = |d: &Definition| rtype.as_str() == "AuditEvent" && ALIKE.contains(&d.code.as_str());
    let own = |d: &&Definition| d.base.iter().any(|b| super::is_base_of(b, rtype)) && !is_left_out(d);
    let mut mine: Vec<(&Definition, Vec<Expr>)> =
        definitions.iter().filter(own).map(|d| (d, d.alternatives_of(rtype))).collect();
    mine.sort_by(|a, b| a.0.code.cmp(&b.0.code));

    let mut entry = Entry { has_url: has_url(rtype), ..Entry::default() };
    let plain = |d: &Definition| d.kind != ParamType::Composite && !is_row_of_its_own(&d.code);
    let mut owners: BTreeMap<Alternative, BTreeSet<&str>> = BTreeMap::new();
    for (d, alternatives) in mine.iter().filter(|(d, _)| plain(d)) {
        for alternative in alternatives {
            owners.entry((d.kind, alternative.clone())).or_default().insert(&d.code);
        }
    }
    // `x.where(resolve() is T)` is seen through `x` where another parameter has `x`.
    let through: BTreeMap<Alternative, (Alternative, ResourceType)> = owners
        .keys()
        .filter_map(|a| {
            let (wide, target) = widened(&a.1)?;
            let wide = (a.0, wide);
            owners.contains_key(&wide).then(|| (a.clone(), (wide, target)))
        })
        .collect();
    let mut groups: BTreeMap<(ParamType, BTreeSet<&str>), Vec<Expr>> = BTreeMap::new();
    for (alternative, codes) in owners.iter().filter(|(a, _)| !through.contains_key(a)) {
        groups.entry((alternative.0, codes.clone())).or_default().push(alternative.1.clone());
    }
    let mut slot_of: HashMap<Alternative, Use> = HashMap::new();
    for ((kind, codes), alternatives) in groups {
        let whole = mine.iter().find(|(d, all)| {
            codes.contains(d.code.as_str())
                && d.kind == kind
                && all.len() == alternatives.len()
                && all.iter().all(|a| alternatives.contains(a))
        });
        let first = codes.iter().next().copied().unwrap_or_default();
        let name: Arc<str> = match whole {
            Some((d, _)) => d.code.as_str().into(),
            None => format!("{first}~{}", entry.slots.len()).into(),
        };
        let systems =
            mine.iter().filter(|(d, _)| codes.contains(d.code.as_str())).flat_map(|(d, _)| d.systems_of(rtype));
        let coded = Arc::new(coded(systems.collect(), &alternatives));
        for alternative in &alternatives {
            let is_single = alternatives.len() == 1 && has_one(rtype, alternative);
            let is_canonical = kind == ParamType::Reference && is_canonical(rtype, alternative);
            let is_coded = kind == ParamType::Token && is_coded(rtype, alternative);
            let (slot, coded) = (name.clone(), coded.clone());
            let seen = Use { slot, restrict: None, is_single, is_canonical, is_coded, coded };
            slot_of.insert((kind, alternative.clone()), seen);
        }
        entry.slots.push(Slot {
            name,
            kind,
            in_facts: false,
            source: Source::Values { alternatives, elsewhere: vec![], coded },
            is_building: false,
        });
    }
    let elsewhere = split_parts(&mut entry.slots);

    for (d, alternatives) in mine {
        let mut uses: Vec<Use> = Vec::new();
        let mut add = |seen: Use| {
            if !uses.iter().any(|u| u.slot == seen.slot && u.restrict == seen.restrict) {
                uses.push(seen);
            }
        };
        for alternative in alternatives.iter().filter(|_| plain(d)) {
            let key = (d.kind, alternative.clone());
            let (key, restrict) = match through.get(&key) {
                Some((wide, target)) => (wide.clone(), Some(*target)),
                None => (key, None),
            };
            if let Some(seen) = slot_of.get(&key) {
                add(Use { restrict, ..seen.clone() });
                for slot in elsewhere.get(&seen.slot).into_iter().flatten() {
                    let slot = slot.clone();
                    add(Use {
                        slot,
                        restrict: None,
                        is_single: false,
                        is_canonical: false,
                        is_coded: false,
                        coded: Arc::default(),
                    });
                }
            }
        }
        let parts = if d.kind == ParamType::Composite {
            composite(rtype, d, &alternatives, definitions, &slot_of, &mut entry.slots)
        } else {
            vec![]
        };
        let first = d.components.first().and_then(|(url, _)| definitions.iter().find(|o| o.url == *url));
        let (first, targets) = (first.map(|d| d.code.clone()), targets(rtype, d, &alternatives));
        entry.params.push(Param { first, targets, ..param(d, uses, parts) });
    }
    for slot in &mut entry.slots {
        slot.in_facts |= entry.params.iter().any(|p| p.kind == slot.kind && p.only_slot() == Some(&slot.name));
    }
    entry
}

/// `_id` and `_lastUpdated` are columns; a filter is a language of its own, which is not built.
fn is_row_of_its_own(code: &str) -> bool {
    matches!(code, "_id" | "_lastUpdated" | "_filter")
}

/// Types that a parameter may lead to in one type of resource: of those in its definition, which may be for several types of
/// resources, those that its elements may lead to: of a canonical, those with a `url`. None where it sees whole resources, as
/// `Bundle.composition` does.
fn targets(rtype: ResourceType, d: &Definition, alternatives: &[Expr]) -> Vec<ResourceType> {
    let mut allowed = Vec::new();
    for alternative in alternatives.iter().filter(|a| !ends_in(rtype, a, &["Resource"])) {
        if let Some((_, only)) = widened(alternative) {
            allowed.push(only);
            continue;
        }
        match last_element(rtype, alternative) {
            Some(element)
                if element.types.iter().all(|t| matches!(t, Type::Reference(_))) && !element.targets.is_empty() =>
            {
                allowed.extend(&element.targets);
            }
            Some(element) if element.types.iter().all(|t| t.name() == "canonical") => {
                allowed.extend(ResourceType::all().filter(|t| has_url(*t)));
            }
            _ => return d.targets.clone(),
        }
    }
    d.targets.iter().copied().filter(|t| allowed.contains(t)).collect()
}

/// The element that a plain path ends at; `None` where it cannot be followed.
fn last_element(rtype: ResourceType, path: &Expr) -> Option<&'static Element> {
    let Expr::Path(start, steps) = path else { return None };
    let Expr::Type(_) = &**start else { return None };
    let (mut here, mut last) = (definition::of_resource(rtype), None);
    for step in steps {
        let name = match step {
            Step::Member(name) | Step::Own(name) => name,
            Step::Where(_) => continue,
            _ => return None,
        };
        let element = here?.element(name)?;
        here = element.types.iter().find_map(Type::structure);
        last = Some(element);
    }
    last
}

pub(super) fn param(d: &Definition, uses: Vec<Use>, parts: Vec<Part>) -> Param {
    Param {
        code: d.code.clone(),
        kind: d.kind,
        url: d.url.clone(),
        targets: d.targets.clone(),
        uses,
        parts,
        first: None,
        building: None,
    }
}

pub(super) fn coded(mut systems: Vec<Box<str>>, alternatives: &[Expr]) -> Coded {
    systems.sort();
    systems.dedup();
    let last = |e: &Expr| match e {
        Expr::Path(_, steps) => {
            steps.last().is_some_and(|s| matches!(s, Step::Member(name) if CASELESS.contains(&&**name)))
        }
        _ => false,
    };
    Coded { systems, caseless: alternatives.iter().all(last) }
}

/// `x` and `T` of `x.where(resolve() is T)`.
fn widened(expr: &Expr) -> Option<(Expr, ResourceType)> {
    let Expr::Path(base, steps) = expr else { return None };
    let (Step::Where(test), before) = steps.split_last()? else { return None };
    let Expr::Is(inner, name) = &**test else { return None };
    match &**inner {
        Expr::Path(this, resolve) if **this == Expr::This && **resolve == [Step::Resolve] => {
            Some((Expr::Path(base.clone(), before.to_vec()), ResourceType::parse(name)?))
        }
        _ => None,
    }
}

/// Whether a path leads to one value at most, by the cardinality of each of its elements.
fn has_one(rtype: ResourceType, path: &Expr) -> bool {
    let Expr::Path(start, steps) = path else { return false };
    let mut at = rtype.to_string();
    matches!(&**start, Expr::Type(_))
        && steps.iter().all(|step| {
            let (Step::Member(name) | Step::Own(name)) = step else { return false };
            at = format!("{at}.{name}");
            definition::element(&at).is_some_and(|element| !element.many)
        })
}

/// Whether a type has a canonical URL: its own element `url`, a uri.
fn has_url(rtype: ResourceType) -> bool {
    let url = definition::of_resource(rtype).and_then(|s| s.element("url"));
    url.is_some_and(|e| e.types == [Type::Primitive(Primitive::Uri)])
}

/// Whether a path of references may lead to canonicals, or to URIs that are used as such; not where it cannot be followed.
pub(super) fn is_canonical(rtype: ResourceType, path: &Expr) -> bool {
    ends_in(rtype, path, &["canonical", "uri"])
}

/// Whether a path leads to Codings; not where it cannot be followed.
pub(super) fn is_coded(rtype: ResourceType, path: &Expr) -> bool {
    ends_in(rtype, path, &["CodeableConcept", "Coding"])
}

/// Whether a path may lead to a value of one of these types.
fn ends_in(rtype: ResourceType, path: &Expr, names: &[&str]) -> bool {
    let Expr::Path(start, steps) = path else { return false };
    if !matches!(&**start, Expr::Type(_)) {
        return false;
    }
    let (mut here, mut last) = (definition::of_resource(rtype), false);
    for step in steps {
        let types = match step {
            Step::Member(name) | Step::Own(name) => here.and_then(|s| s.element(name)).map(|e| e.types.as_slice()),
            Step::Choice(_, _, of) => {
                last = names.contains(&&**of);
                continue;
            }
            Step::Where(_) | Step::Index(_) => continue,
            _ => return false,
        };
        let Some(types) = types else { return false };
        last = types.iter().any(|t| names.contains(&t.name()));
        here = types.iter().find_map(Type::structure);
    }
    last
}

/// Takes out of each name and address what has a slot of its own; gives those slots.
fn split_parts(slots: &mut [Slot]) -> HashMap<Arc<str>, Vec<Arc<str>>> {
    let single = |slot: &Slot| match &slot.source {
        Source::Values { alternatives, .. } if slot.kind == ParamType::String => match alternatives.as_slice() {
            [Expr::Path(base, steps)] => Some((base.clone(), steps.clone(), slot.name.clone())),
            _ => None,
        },
        _ => None,
    };
    let known: Vec<_> = slots.iter().filter_map(single).collect();
    let mut out: HashMap<Arc<str>, Vec<Arc<str>>> = HashMap::new();
    for slot in slots {
        let Some((base, steps, name)) = single(slot) else { continue };
        for part in PARTS {
            let mut longer = steps.clone();
            longer.push(Step::Member(part.into()));
            if let Some((_, _, other)) = known.iter().find(|(b, s, _)| *b == base && *s == longer)
                && let Source::Values { elsewhere, .. } = &mut slot.source
            {
                elsewhere.push(part.into());
                out.entry(name.clone()).or_default().push(other.clone());
            }
        }
    }
    out
}

/// The parts of a composite: for the whole resource its components as parameters, for elements a slot.
fn composite(
    rtype: ResourceType,
    d: &Definition,
    alternatives: &[Expr],
    definitions: &[Definition],
    slot_of: &HashMap<Alternative, Use>,
    slots: &mut Vec<Slot>,
) -> Vec<Part> {
    let defining: Vec<(&Definition, &Expr)> =
        d.components.iter().filter_map(|(url, e)| Some((definitions.iter().find(|o| o.url == *url)?, e))).collect();
    if defining.len() != d.components.len() {
        return vec![];
    }
    let mut parts = Vec::new();
    for alternative in alternatives {
        if let Expr::Type(_) = alternative {
            let as_param = |(o, expr): &(&Definition, &Expr)| {
                let uses = (*expr).clone().alternatives().into_iter();
                let uses = uses.filter_map(|e| slot_of.get(&(o.kind, based(alternative, e))).cloned()).collect();
                param(o, uses, vec![])
            };
            parts.push(Part::Whole(defining.iter().map(as_param).collect()));
            continue;
        }
        let component = |(o, expr): &(&Definition, &Expr)| {
            let coded = Coded { systems: o.systems_of(rtype), caseless: false };
            Component { kind: o.kind, expr: (*expr).clone(), coded, targets: o.targets.clone() }
        };
        let made: Vec<Component> = defining.iter().map(component).collect();
        let same = |slot: &&Slot| matches!(&slot.source, Source::Elements { element, components } if element == alternative && **components == made);
        if let Some(Slot { name, source: Source::Elements { components, .. }, .. }) = slots.iter().find(same) {
            parts.push(Part::Element { slot: name.clone(), components: components.clone() });
            continue;
        }
        let (name, components): (Arc<str>, _) = (d.code.as_str().into(), Arc::new(made));
        let source = Source::Elements { element: alternative.clone(), components: components.clone() };
        slots.push(Slot { name: name.clone(), kind: ParamType::Composite, in_facts: true, source, is_building: false });
        parts.push(Part::Element { slot: name, components });
    }
    parts
}

/// The path of a component from the resource: `value.as(Quantity)` of `Observation`.
pub(super) fn based(root: &Expr, component: Expr) -> Expr {
    match component {
        Expr::Path(base, steps) if *base == Expr::This => Expr::Path(Box::new(root.clone()), steps),
        other => other,
    }
}

/// Systems that the structure tables imply for plain paths: `DetectedIssue.status`.
pub(super) fn implied(alternatives: &[Expr]) -> Vec<Box<str>> {
    let path = |expr: &Expr| {
        let Expr::Path(base, steps) = expr else { return None };
        let Expr::Type(rtype) = &**base else { return None };
        steps.iter().try_fold(rtype.to_string(), |path, step| match step {
            Step::Member(name) => Some(format!("{path}.{name}")),
            _ => None,
        })
    };
    alternatives.iter().filter_map(path).filter_map(|p| definition::implicit_system(&p)).map(Into::into).collect()
}
