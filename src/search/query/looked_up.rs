//! Parameters that need another resource to be read first: `_list`, and `:in`, `:not-in`, `:above`, `:below` of tokens.
//!
//! A first reading of a query notes what it needs ([`super::Query::needs`]); once that is known the query is read again.
//! Source: <https://hl7.org/fhir/R4/search.html#list>, <https://hl7.org/fhir/R4/search.html#token>. Own rule: `:not-in` is to
//! `:in` what `:not` is to `=`: it finds resources without a value too.

use super::criterion::{Made, values};
use super::text::unescape;
use super::{House, Refusal};
use crate::fhir::ResourceType;
use crate::fhir::resource::{is_id, known, printable};
use crate::search::param::{Place, token};
use crate::search::terminology::{Known, MAX_CODES, Need};
use crate::search::{Cond, Param};

/// The parameter for members of a List.
pub(super) const LIST: &str = "_list";

/// What a need stands for before it is known.
fn nothing_yet() -> Cond {
    Cond::Exact(Vec::new())
}

/// `_list=id`.
pub(super) fn listed(house: &House<'_>, rtype: ResourceType, value: &str, touched: &mut Vec<ResourceType>) -> Made {
    touched.push(known("List"));
    let mut conds = Vec::new();
    for value in values(house, value)? {
        let text = unescape(value);
        let own = text.strip_prefix(house.env.base.as_str()).and_then(|rest| rest.strip_prefix('/')).unwrap_or(&text);
        let id = own.strip_prefix("List/").unwrap_or(own);
        if id.starts_with('$') {
            return Err(format!(
                "the list '{}' would have to be worked out; Baton knows stored Lists only",
                printable(id)
            )
            .into());
        }
        if !is_id(id) {
            return Err(format!("'{}' is no id of a List", printable(&text)).into());
        }
        conds.push(match house.known(Need::List(id.into()))? {
            Some(Known::Members(members)) => {
                let ids: Vec<String> = members.iter().filter(|t| t.rtype == rtype).map(|t| t.id.clone()).collect();
                if ids.is_empty() { nothing_yet() } else { Cond::Ids(ids) }
            }
            _ => nothing_yet(),
        });
    }
    Ok(Cond::any(conds))
}

/// A token whose values are value sets (`:in`, `:not-in`) or codes with what is above or below them.
pub(super) fn coded(
    house: &House<'_>,
    rtype: ResourceType,
    param: &Param,
    modifier: &str,
    value: &str,
    touched: &mut Vec<ResourceType>,
) -> Made {
    touched.push(known("CodeSystem"));
    let mut conds = Vec::new();
    for value in values(house, value)? {
        let need = match modifier {
            "in" | "not-in" => {
                touched.push(known("ValueSet"));
                Need::ValueSet(address(house, &unescape(value))?)
            }
            _ => match token::parse(value)? {
                (Some(system), code) if !system.is_empty() && !code.is_empty() => match modifier {
                    "below" => Need::Below(system, code),
                    _ => Need::Above(system, code),
                },
                _ => return Err(format!("':{modifier}' takes system|code").into()),
            },
        };
        let Some(Known::Codes(codes)) = house.known(need)? else {
            conds.push(nothing_yet());
            continue;
        };
        for seen in &param.uses {
            let place = Place { keys: house.keys, rtype: rtype.as_str(), slot: &seen.slot };
            conds.push(token::among(&place, codes, &seen.coded));
        }
    }
    let found = Cond::any(conds);
    if size(&found) > 4 * MAX_CODES {
        return Err(Refusal::Costly("its value sets stand for too many codes together".into()));
    }
    Ok(if modifier == "not-in" { Cond::Not(Box::new(found)) } else { found })
}

fn size(cond: &Cond) -> usize {
    match cond {
        Cond::Exact(keys) => keys.len(),
        Cond::Any(list) => list.iter().map(size).sum(),
        _ => 1,
    }
}

/// A value set by canonical URL, or by `ValueSet/id`.
fn address(house: &House<'_>, text: &str) -> Result<String, Refusal> {
    let own = text.strip_prefix(house.env.base.as_str()).and_then(|rest| rest.strip_prefix('/')).unwrap_or(text);
    if let Some(id) = own.strip_prefix("ValueSet/") {
        return if is_id(id) { Ok(own.into()) } else { Err(format!("'{}' is no id", printable(id)).into()) };
    }
    if !text.contains(':') {
        return Err(format!("'{}' is no value set; give its canonical URL or ValueSet/id", printable(text)).into());
    }
    Ok(text.into())
}
