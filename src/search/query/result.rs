//! Result parameters: order, pages, what comes along and how much of it is shown.
//!
//! Source: <https://hl7.org/fhir/R4/search.html#return>.

use super::text::{nearest, split};
use super::{Handling, House, Include, Query, Refusal, Summary, Total, is_built};
use crate::fhir::resource::printable;
use crate::fhir::{ResourceType, definition};
use crate::search::ParamType;
use crate::search::plan::{Sort, SortBy};

const NAMES: [&str; 14] = [
    "_sort",
    "_count",
    "_include",
    "_revinclude",
    "_summary",
    "_total",
    "_elements",
    "_contained",
    "_containedType",
    "_type",
    "_format",
    "_pretty",
    "_score",
    "_maxresults",
];

/// Whether a name (with modifier) is a result parameter's.
pub fn is_result(name: &str) -> bool {
    NAMES.contains(&base(name))
}

/// Names a query may hold once.
pub(super) fn is_once(name: &str) -> bool {
    matches!(name, "_sort" | "_count" | "_summary" | "_total" | "_type" | "_contained")
}

/// Parameters of the transport: read by `http`, no part of the search.
pub(super) fn is_silent(name: &str) -> bool {
    matches!(name, "_format" | "_pretty")
}

fn base(name: &str) -> &str {
    name.split_once(':').map_or(name, |(base, _)| base)
}

/// Types of a search: what `_type` leaves of them.
pub(super) fn types(types: &[ResourceType], pairs: &[(String, String)]) -> Result<Vec<ResourceType>, String> {
    let Some((_, list)) = pairs.iter().find(|(name, _)| name == "_type") else { return Ok(types.to_vec()) };
    let mut out = Vec::new();
    for name in list.split(',') {
        let found = ResourceType::parse(name).ok_or_else(|| {
            let near = nearest(name, crate::fhir::resource::RESOURCE_TYPES.iter().copied());
            let hint = near.map(|n| format!("; did you mean '{n}'?")).unwrap_or_default();
            format!("R4 has no resource type '{}'{hint}", printable(name))
        })?;
        if !types.contains(&found) {
            return Err(format!("'{found}' is not among the types that are searched here"));
        }
        if !out.contains(&found) {
            out.push(found);
        }
    }
    Ok(out)
}

/// Reads one result parameter into the query.
pub(super) fn read(house: &House<'_>, query: &mut Query, name: &str, value: &str) -> Result<(), Refusal> {
    let modifier = name.split_once(':').map(|(_, modifier)| modifier);
    if modifier.is_some() && !matches!(base(name), "_include" | "_revinclude") {
        return Err(Refusal::Unknown("it takes no modifier".into()));
    }
    match base(name) {
        "_format" | "_pretty" | "_type" => {}
        "_count" => {
            let most = house.env.caps.count_max;
            let count = value.parse().ok().filter(|n: &usize| *n <= most && !value.starts_with('+'));
            query.plan.count = count.ok_or_else(|| {
                let value = printable(value);
                format!("'{value}' is no number of rows a page; give a whole number from 0 to {most} (limit count-max)")
            })?;
        }
        "_summary" => {
            query.summary = match value {
                "true" => Summary::True,
                "false" => Summary::False,
                "text" => Summary::Text,
                "data" => Summary::Data,
                "count" => Summary::Count,
                _ => return Err("it is true, false, text, data or count".into()),
            };
        }
        "_total" => {
            query.total = match value {
                "none" => Total::None,
                "estimate" => Total::Estimate,
                "accurate" => Total::Accurate,
                _ => return Err("it is none, estimate or accurate".into()),
            };
        }
        "_elements" => {
            for element in value.split(',') {
                let element = element.trim();
                let name = element
                    .split_once('.')
                    .map_or(element, |(rtype, rest)| if ResourceType::parse(rtype).is_some() { rest } else { element });
                if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric()) {
                    return Err(
                        format!("'{}' is no name of an element at the top of a resource", printable(element)).into()
                    );
                }
                if !query.elements.iter().any(|e| e == name) {
                    query.elements.push(name.into());
                }
            }
        }
        "_contained" if value == "false" => {}
        "_contained" => return Err("only 'false' is supported: contained resources are not searched".into()),
        "_include" => {
            let include = include(house, query, modifier, value, false)?;
            query.includes.push(include);
        }
        "_revinclude" => {
            let include = include(house, query, modifier, value, true)?;
            query.revincludes.push(include);
        }
        "_sort" => query.plan.sort = sort(house, &query.plan.types, value)?,
        _ => return Err(Refusal::Unknown("Baton does not support it".into())),
    }
    Ok(())
}

/// What only all result parameters together tell: name and refusal of those that do not fit. Where handling is lenient they are
/// left out.
///
/// Source: <https://hl7.org/fhir/R4/search.html#summary>: includes and `_summary=text` cannot be mixed. `#elements`.
pub(super) fn unfit(query: &mut Query, handling: Handling) -> Vec<(&'static str, Refusal)> {
    let mut out = Vec::new();
    let brings = !query.includes.is_empty() || !query.revincludes.is_empty();
    let types: Vec<ResourceType> = if brings { ResourceType::all().collect() } else { query.plan.types.clone() };
    let unknown: Vec<String> = query.elements.iter().filter(|e| !has_element(&types, e)).cloned().collect();
    for name in &unknown {
        let names = types.iter().filter_map(|t| definition::of_resource(*t)).flat_map(|s| s.names());
        let hint = nearest(name, names).map(|n| format!("; did you mean '{n}'?")).unwrap_or_else(|| ".".into());
        let why = format!("no resource that is searched has an element '{}' at its top{hint}", printable(name));
        out.push(("_elements", Refusal::Unknown(why)));
    }
    if !unknown.is_empty() && handling == Handling::Lenient {
        query.elements.retain(|e| !unknown.contains(e));
        query.used.retain(|(name, _)| name != "_elements");
        if !query.elements.is_empty() {
            query.used.push(("_elements".into(), query.elements.join(",")));
        }
    }
    if query.summary == Summary::Text && brings {
        let name = if query.includes.is_empty() { "_revinclude" } else { "_include" };
        let why = "R4 does not let it be mixed with _summary=text; leave one of the two out.";
        out.push((name, Refusal::Unknown(why.into())));
        if handling == Handling::Lenient {
            query.includes.clear();
            query.revincludes.clear();
            query.used.retain(|(name, _)| !matches!(base(name), "_include" | "_revinclude"));
        }
    }
    out
}

/// Whether resources of one of the types may have an element of that name at their top.
pub fn has_element(types: &[ResourceType], name: &str) -> bool {
    let mut all = types.iter().filter_map(|t| definition::of_resource(*t));
    name == "resourceType" || all.any(|s| s.element(name).is_some() || s.member(name).is_some())
}

/// `Type:param[:target]`, `Type:*` or `*`.
fn include(
    house: &House<'_>,
    query: &mut Query,
    modifier: Option<&str>,
    value: &str,
    reverse: bool,
) -> Result<Include, Refusal> {
    let iterate = match modifier {
        None => false,
        Some("iterate") => true,
        Some(other) => {
            return Err(Refusal::Unknown(format!("':{}' is no modifier of it; ':iterate' is", printable(other))));
        }
    };
    let rtype =
        |name: &str| ResourceType::parse(name).ok_or_else(|| format!("R4 has no resource type '{}'", printable(name)));
    if value == "*" {
        return Ok(Include { source: None, param: "*".into(), target: None, iterate });
    }
    let mut parts = value.split(':');
    let (source, param) = match (parts.next(), parts.next()) {
        (Some(source), Some(param)) if !param.is_empty() => (rtype(source)?, param),
        _ => return Err("it is Type:param, Type:param:TargetType, Type:* or *".into()),
    };
    let target = parts.next().map(rtype).transpose()?;
    if parts.next().is_some() {
        return Err("it is Type:param or Type:param:TargetType".into());
    }
    if !reverse && !iterate && !query.plan.types.contains(&source) {
        return Err(
            format!("{source} is not what is searched; use ':iterate' to include from included resources").into()
        );
    }
    if param != "*" {
        let found = house.registry.param(source, param).filter(|p| p.kind == ParamType::Reference);
        let found = found.ok_or_else(|| {
            let known =
                house.registry.params(source).filter(|p| p.kind == ParamType::Reference).map(|p| p.code.as_str());
            let hint = nearest(param, known).map(|n| format!("; did you mean '{n}'?")).unwrap_or_default();
            format!("{source} has no reference parameter '{}'{hint}", printable(param))
        })?;
        if let Some(target) = target
            && !found.targets.contains(&target)
        {
            return Err(format!("{source}.{param} never leads to {target}").into());
        }
        if found.targets.is_empty() {
            return Err(format!("{source}.{param} is a resource in the {source} itself, and leads to no other").into());
        }
        if reverse && !iterate && !query.plan.types.iter().any(|t| found.targets.contains(t)) {
            return Err(format!("{source}.{param} never leads to what is searched").into());
        }
    }
    if reverse {
        // Found by rows, unlike what an _include reads out of the resource itself.
        let asked = house.registry.params(source).filter(|p| param == "*" || p.code == param);
        asked.filter(|p| p.kind == ParamType::Reference).try_for_each(is_built)?;
    }
    touch(house, query, source, param, target, reverse);
    Ok(Include { source: Some(source), param: param.into(), target, iterate })
}

/// Notes the types that an include names. What a wildcard brings, or a parameter that leads to several types (`Task:focus`
/// leads to any), is judged row by row: who may not read one of them can include the others.
fn touch(
    house: &House<'_>,
    query: &mut Query,
    source: ResourceType,
    param: &str,
    target: Option<ResourceType>,
    reverse: bool,
) {
    if reverse {
        query.touched.push(source);
    } else if let Some(target) = target {
        query.touched.push(target);
    } else if let Some(found) = house.registry.param(source, param)
        && let [only] = found.targets.as_slice()
    {
        query.touched.push(*only);
    }
}

fn sort(house: &House<'_>, types: &[ResourceType], value: &str) -> Result<Vec<Sort>, Refusal> {
    let parts = split(value, ',');
    if parts.len() > 8 {
        return Err(Refusal::Costly("at most 8 sort parameters".into()));
    }
    let mut out = Vec::new();
    for part in parts {
        let (code, descending) = part.strip_prefix('-').map_or((part, false), |code| (code, true));
        let by = match (code, types) {
            ("_lastUpdated", _) => SortBy::Updated,
            ("_id", _) => SortBy::Id,
            (_, types) => {
                let each = types.iter().map(|rtype| sort_by(house, *rtype, code)).collect::<Result<Vec<_>, _>>()?;
                together(each).ok_or_else(|| {
                    let code = printable(code);
                    format!("'{code}' has values of different kinds in the types that are searched; sort fewer types")
                })?
            }
        };
        out.push(Sort { by, descending });
    }
    ties(&mut out, types);
    Ok(out)
}

/// What sorts alike is in the order of the ids, which no write changes: own rule, R4 leaves it open. Without `_sort` the newest
/// comes first, and `_lastUpdated` is of one resource alone.
fn ties(sorts: &mut Vec<Sort>, types: &[ResourceType]) {
    if sorts.iter().any(|s| s.by == SortBy::Updated) {
        return;
    }
    let last = |by| Sort { by, descending: false };
    if sorts.iter().all(|s| s.by != SortBy::Id) {
        sorts.push(last(SortBy::Id));
    }
    if types.len() > 1 {
        sorts.push(last(SortBy::Type));
    }
}

/// One order out of one for each type: a key names its type, so that a resource has rows of its own key alone.
fn together(each: Vec<SortBy>) -> Option<SortBy> {
    let mut each = each.into_iter();
    let mut all = each.next()?;
    for next in each {
        match (&mut all, next) {
            (SortBy::Range(keys), SortBy::Range(more)) | (SortBy::Text(keys), SortBy::Text(more)) => keys.extend(more),
            (SortBy::Fact(one), SortBy::Fact(other)) if *one == other => {}
            _ => return None,
        }
    }
    Some(all)
}

fn sort_by(house: &House<'_>, rtype: ResourceType, code: &str) -> Result<SortBy, Refusal> {
    let Some(param) = house.registry.param(rtype, code) else {
        let hint = nearest(code, house.registry.params(rtype).map(|p| p.code.as_str()));
        let hint = hint.map(|n| format!("; did you mean '{n}'?")).unwrap_or_default();
        return Err(Refusal::Bad(format!("{rtype} has no search parameter '{}'{hint}", printable(code))));
    };
    // Own rule: R4 leaves open by what of it a composite sorts.
    if let Some(first) = param.first.as_deref().filter(|first| *first != code && !param.parts.is_empty()) {
        return sort_by(house, rtype, first);
    }
    if param.uses.is_empty() || param.kind == ParamType::Special {
        let why = match code {
            "_text" | "_content" => ": its words have no order",
            "near" => ": places have no order",
            _ => "",
        };
        return Err(format!("'{code}' is no parameter to sort by{why}").into());
    }
    is_built(param)?;
    Ok(match (param.only_slot(), param.kind) {
        (Some(slot), ParamType::Date | ParamType::Number | ParamType::Quantity) => {
            SortBy::Range(vec![house.keys.param(rtype.as_str(), slot)])
        }
        (Some(slot), ParamType::String) => SortBy::Text(vec![house.keys.param(rtype.as_str(), slot)]),
        (Some(slot), _) => SortBy::Fact(slot.to_string()),
        (None, _) => SortBy::Fact(code.to_string()),
    })
}
