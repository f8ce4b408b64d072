//! One search parameter of a query: its name with modifier and chain, its values, and the condition they are.
//!
//! Source: <https://hl7.org/fhir/R4/search.html#modifiers>, `#chaining`, `#has`, `#combining`.

use super::chain::{Steps, chained, has};
use super::looked_up::{self, LIST};
use super::text::{escape, nearest, split, unescape};
use super::{House, Refusal, is_built};
use crate::fhir::ResourceType;
use crate::fhir::resource::{is_id, printable};
use crate::search::fulltext;
use crate::search::param::{Bounds, Place, composite, date, near, number, quantity, reference, string, token, uri};
use crate::search::registry::{Part, Use};
use crate::search::terminology::{Known, MAX_CODES, Need};
use crate::search::{Cond, Param, ParamType};

pub(super) type Made<T = Cond> = Result<T, Refusal>;

/// The condition over one type, or over several of a system search.
pub(super) fn over_types(
    house: &House<'_>,
    types: &[ResourceType],
    name: &str,
    value: &str,
    touched: &mut Vec<ResourceType>,
) -> Made {
    if let [rtype] = types {
        return one(house, *rtype, name, value, touched, Steps::default());
    }
    let common = |refusal| match refusal {
        Refusal::Unknown(why) => {
            Refusal::Unknown(format!("{why} A search over several types takes parameters that all of them have."))
        }
        other => other,
    };
    let conds = types.iter().map(|t| Ok((*t, one(house, *t, name, value, touched, Steps::default())?)));
    Ok(united(conds.collect::<Made<Vec<_>>>().map_err(common)?))
}

/// One condition over several types out of one for each, on resources that are of one of them.
pub(super) fn united(conds: Vec<(ResourceType, Cond)>) -> Cond {
    if let [(_, first), rest @ ..] = conds.as_slice()
        && rest.iter().all(|(_, c)| c == first)
    {
        return first.clone();
    }
    if !conds.is_empty() && conds.iter().all(|(_, c)| matches!(c, Cond::Not(_))) {
        let inner = conds.into_iter().map(|(t, c)| if let Cond::Not(inner) = c { (t, *inner) } else { (t, c) });
        return Cond::Not(Box::new(united(inner.collect())));
    }
    // A key names its type, so keys need no type beside them.
    let of_type = |(t, cond)| if is_keyed(&cond) { cond } else { Cond::All(vec![Cond::Type(t), cond]) };
    Cond::any(conds.into_iter().map(of_type).collect())
}

/// Whether the keys of a condition name the type it is for.
fn is_keyed(cond: &Cond) -> bool {
    match cond {
        Cond::Exact(_) | Cond::Range { .. } | Cond::Text { .. } | Cond::Chain { .. } | Cond::Near { .. } => true,
        Cond::Any(list) => list.iter().all(is_keyed),
        Cond::All(list) => list.iter().any(is_keyed),
        _ => false,
    }
}

/// The condition of one parameter on resources of one type. `steps`: those before it.
pub(super) fn one(
    house: &House<'_>,
    rtype: ResourceType,
    name: &str,
    value: &str,
    touched: &mut Vec<ResourceType>,
    steps: Steps,
) -> Made {
    if let Some(rest) = name.strip_prefix("_has:") {
        return has(house, rtype, rest, value, touched, steps);
    }
    if let Some(modifier) = name.strip_prefix(LIST).and_then(|rest| rest.strip_prefix(':')) {
        return Err(Refusal::Unknown(format!("'{LIST}' takes no modifier, so no ':{}'.", printable(modifier))));
    }
    if name == LIST {
        return looked_up::listed(house, rtype, value, touched);
    }
    let (head, chain) = name.split_once('.').map_or((name, None), |(head, chain)| (head, Some(chain)));
    let (code, modifier) = head.split_once(':').map_or((head, None), |(code, modifier)| (code, Some(modifier)));
    let param = find(house, rtype, code)?;
    if matches!(code, "_text" | "_content") {
        return match (modifier, chain) {
            (None, None) => words(house, code == "_text", value),
            (Some("missing"), None) => missing(param, value),
            _ => Err(Refusal::Unknown(format!("'{code}' takes no modifier but ':missing', and nothing follows it."))),
        };
    }
    if let Some(chain) = chain {
        return chained(house, rtype, param, modifier, chain, value, touched, steps);
    }
    if modifier == Some("missing") {
        return missing(param, value);
    }
    plain(house, rtype, param, modifier, value, touched)
}

/// `_text`, `_content`.
fn words(house: &House<'_>, narrative: bool, value: &str) -> Made {
    let list = values(house, value)?;
    Ok(Cond::any(list.into_iter().map(|v| fulltext::cond(&unescape(v), narrative)).collect::<Result<_, _>>()?))
}

pub(super) fn find<'a>(house: &House<'a>, rtype: ResourceType, code: &str) -> Made<&'a Param> {
    match house.registry.param(rtype, code) {
        Some(param) if param.is_supported() => is_built(param).map(|()| param),
        // R4 leaves both to the server.
        Some(_) => Err(Refusal::Unknown(match code {
            "_filter" => {
                "the language of filters is not carried out here; say it by search parameters, chains and _has.".into()
            }
            "_query" => "there are no named queries here; say it by search parameters.".into(),
            _ => "Baton does not support it yet.".into(),
        })),
        None => {
            let known =
                house.registry.params(rtype).filter(|p| p.is_supported()).map(|p| p.code.as_str()).chain([LIST]);
            let hint = nearest(code, known).map(|n| format!("; did you mean '{n}'?")).unwrap_or_else(|| ".".into());
            Err(Refusal::Unknown(format!("{rtype} has no search parameter '{}'{hint}", printable(code))))
        }
    }
}

/// The type that a modifier names, when the parameter can lead to it.
pub(super) fn target_type(param: &Param, name: &str) -> Made<ResourceType> {
    match ResourceType::parse(name) {
        Some(rtype) if param.targets.contains(&rtype) => Ok(rtype),
        Some(rtype) => Err(Refusal::Unfit(format!("'{}' never leads to {rtype}", param.code))),
        None => Err(unknown_modifier(param, name)),
    }
}

fn unknown_modifier(param: &Param, name: &str) -> Refusal {
    let kind = param.kind;
    if matches!((kind, name), (ParamType::Reference, "above" | "below")) {
        return Refusal::Unknown(format!("the modifier ':{name}' of references is not supported."));
    }
    let own: &[&str] = if param.code == "_id" { &["not"] } else { kind.modifiers() };
    let known = own.iter().copied().chain(["missing"]);
    let list: Vec<String> = known.map(|m| format!("':{m}'")).collect();
    let types = if kind == ParamType::Reference { " and the names of target types" } else { "" };
    Refusal::Unknown(format!(
        "a {} parameter has no modifier ':{}'; it has {}{types}.",
        kind.as_str(),
        printable(name),
        list.join(", ")
    ))
}

/// `:missing=true`, `:missing=false`.
fn missing(param: &Param, value: &str) -> Made {
    let absent = match value {
        "true" => true,
        "false" => false,
        _ => return Err("':missing' is true or false".into()),
    };
    let named = |name: &str| Cond::Present { param: name.into(), present: true };
    let of_param = |param: &Param| match (param.only_slot(), param.uses.as_slice()) {
        (Some(slot), _) => named(slot),
        (None, []) => Cond::Exact(vec![]),
        (None, _) => named(&param.code),
    };
    let here = match (param.code.as_str(), param.parts.as_slice()) {
        ("_id" | "_lastUpdated", _) => Cond::All(vec![]), // every stored resource has them
        (code @ ("_text" | "_content"), _) => named(code),
        (_, []) => of_param(param),
        (_, parts) => Cond::any(
            parts
                .iter()
                .map(|part| match part {
                    Part::Whole(components) => Cond::All(components.iter().map(of_param).collect()),
                    Part::Element { slot, .. } => named(slot),
                })
                .collect(),
        ),
    };
    Ok(match (here, absent) {
        (Cond::Present { param, .. }, absent) => Cond::Present { param, present: !absent },
        (here, true) => Cond::Not(Box::new(here)),
        (here, false) => here,
    })
}

/// The values of a parameter, still escaped, none of them empty.
pub(super) fn values<'v>(house: &House<'_>, value: &'v str) -> Made<Vec<&'v str>> {
    let values = split(value, ',');
    let most = house.env.caps.values;
    if values.len() > most {
        let found = values.len();
        return Err(Refusal::Costly(format!(
            "it has {found} values; at most {most} are allowed (limit search-values)"
        )));
    }
    if values.iter().any(|v| v.trim().is_empty()) {
        return Err("a value is empty".into());
    }
    Ok(values)
}

/// A parameter with its values (comma: one of them).
fn plain(
    house: &House<'_>,
    rtype: ResourceType,
    param: &Param,
    modifier: Option<&str>,
    value: &str,
    touched: &mut Vec<ResourceType>,
) -> Made {
    let has_it = |m: &str| match param.code.as_str() {
        "_id" => m == "not",
        _ => param.kind == ParamType::Reference || param.kind.modifiers().contains(&m),
    };
    if let Some(unknown) = modifier.filter(|m| !has_it(m)) {
        return Err(unknown_modifier(param, unknown));
    }
    if let (ParamType::Token, Some(modifier @ ("in" | "not-in" | "above" | "below"))) = (param.kind, modifier) {
        return looked_up::coded(house, rtype, param, modifier, value, touched);
    }
    let values = values(house, value)?;
    if matches!((param.kind, modifier), (ParamType::Token, Some("not"))) {
        let list = values.into_iter().map(|v| value_of(house, rtype, param, None, v)).collect::<Made<Vec<_>>>()?;
        return Ok(Cond::Not(Box::new(Cond::any(list))));
    }
    Ok(Cond::any(values.into_iter().map(|v| value_of(house, rtype, param, modifier, v)).collect::<Made<Vec<_>>>()?))
}

/// The condition of one value in all slots of a parameter.
fn value_of(house: &House<'_>, rtype: ResourceType, param: &Param, modifier: Option<&str>, value: &str) -> Made {
    match (param.code.as_str(), modifier) {
        ("_id", None) => {
            let id = unescape(value);
            let bare = id.strip_prefix(rtype.as_str()).and_then(|rest| rest.strip_prefix('/')).unwrap_or(&id);
            if !is_id(bare) {
                return Err(format!("'{}' is no logical id", printable(&id)).into());
            }
            return Ok(Cond::Ids(vec![bare.to_string()]));
        }
        ("_lastUpdated", None) => return Ok(date::updated(&unescape(value), house.env)?),
        _ => {}
    }
    if param.kind == ParamType::Composite {
        return composite_value(house, rtype, param, modifier, value);
    }
    let list = param.uses.iter().map(|u| in_slot(house, rtype, param, u, modifier, value)).collect::<Made<Vec<_>>>()?;
    Ok(Cond::any(list))
}

fn composite_value(house: &House<'_>, rtype: ResourceType, param: &Param, modifier: Option<&str>, value: &str) -> Made {
    if let Some(modifier) = modifier {
        return Err(unknown_modifier(param, modifier));
    }
    let mut list = Vec::new();
    for part in &param.parts {
        list.push(match part {
            Part::Whole(components) => {
                let texts = composite::parts(value, components.len())?;
                let each = components.iter().zip(texts).map(|(c, text)| value_of(house, rtype, c, None, text));
                Cond::All(each.collect::<Made<Vec<_>>>()?)
            }
            Part::Element { slot, components } => {
                let place = Place { keys: house.keys, rtype: rtype.as_str(), slot };
                let mut all = vec![String::new()];
                for (component, text) in components.iter().zip(composite::parts(value, components.len())?) {
                    let forms = spelled(house, component.kind == ParamType::Token, text)?;
                    let with = |start: &String| {
                        let joined =
                            |form: &String| if start.is_empty() { form.clone() } else { format!("{start}${form}") };
                        forms.iter().map(joined).collect::<Vec<_>>()
                    };
                    all = all.iter().flat_map(with).collect();
                }
                if all.len() > MAX_CODES {
                    return Err(Refusal::Costly("its codes may be spelt in too many ways together".into()));
                }
                let each = all.iter().map(|text| composite::cond(&place, components, text, house.env));
                Cond::any(each.collect::<Result<_, _>>()?)
            }
        });
    }
    Ok(Cond::any(list))
}

/// A token value in the spellings that its code may have, still escaped: several where its system does not tell cases apart.
fn spelled(house: &House<'_>, is_coded: bool, value: &str) -> Made<Vec<String>> {
    if is_coded
        && let (Some(system), code) = token::parse(value)?
        && !system.trim().is_empty()
        && code.chars().any(char::is_alphabetic)
        && let Some(Known::Codes(found)) = house.known(Need::Spelled(system, code))?
        && found.codes.len() > 1
    {
        return Ok(found.codes.iter().map(|(system, code)| format!("{}|{}", escape(system), escape(code))).collect());
    }
    Ok(vec![value.to_string()])
}

/// The condition of one value in one slot.
fn in_slot(
    house: &House<'_>,
    rtype: ResourceType,
    param: &Param,
    seen: &Use,
    modifier: Option<&str>,
    value: &str,
) -> Made {
    let place = Place { keys: house.keys, rtype: rtype.as_str(), slot: &seen.slot };
    let plain = unescape(value);
    Ok(match (param.kind, modifier) {
        (ParamType::Token, None) if token::is_whole_system(value, &seen.coded) => {
            let own = token::keys(&place, value, &seen.coded)?;
            Cond::any(vec![Cond::Exact(own), Cond::Present { param: seen.slot.to_string(), present: true }])
        }
        (ParamType::Token, None) => {
            let mut keys = Vec::new();
            for text in spelled(house, seen.is_coded, value)? {
                keys.extend(token::keys(&place, &text, &seen.coded)?);
            }
            Cond::Exact(keys)
        }
        (ParamType::Token, Some("text")) if rtype.as_str() == crate::search::extract::AUDIT => {
            return Err(Refusal::Unknown("the texts of codes are alike in all AuditEvents; ask for the code.".into()));
        }
        (ParamType::Token, Some("text")) => token::text(&place, &plain)?,
        (ParamType::Token, Some("of-type")) => Cond::Exact(token::of_type(&place, value)?),
        (ParamType::String, None) => string::starts(place.key(), &plain)?,
        (ParamType::String, Some("contains")) => string::contains(&place, &plain)?,
        (ParamType::String, Some("exact")) => string::exact(&place, &plain),
        (ParamType::Date, None) => Bounds::cond(date::bounds(&plain, house.env)?, place.key()),
        (ParamType::Number, None) => Bounds::cond(number::bounds(&plain)?, place.key()),
        (ParamType::Quantity, None) => quantity::cond(&place, value)?,
        (ParamType::Uri, None) => Cond::Exact(uri::equal(&place, &plain)),
        (ParamType::Uri, Some("below")) => uri::below(&place, &plain)?,
        (ParamType::Uri, Some("above")) => Cond::Exact(uri::above(&place, &plain)),
        (ParamType::Reference, Some("identifier")) => {
            Cond::Exact(reference::by_identifier(&place, value, seen.restrict)?)
        }
        (ParamType::Reference, modifier) => {
            let wanted = modifier.map(|name| target_type(param, name)).transpose()?;
            let fits = |t: &ResourceType| wanted.is_none_or(|w| w == *t) && seen.restrict.is_none_or(|r| r == *t);
            let allowed: Vec<ResourceType> = param.targets.iter().copied().filter(fits).collect();
            let restricted = wanted.is_some() || seen.restrict.is_some();
            Cond::Exact(reference::keys(&place, &plain, &allowed, restricted, house.env)?)
        }
        (ParamType::Special, None) => near::cond(&place, value)?,
        (_, Some(modifier)) => return Err(unknown_modifier(param, modifier)),
        (ParamType::Composite, None) => return Err("Baton does not support it yet".into()),
    })
}
