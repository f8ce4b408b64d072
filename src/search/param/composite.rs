//! Composites: values that stand in one element, found by one key made of all of them.
//!
//! The first component is a token; the second a token or reference (one `idx` key for each pair of forms), a quantity, date
//! or number (an `idx_range` key that holds the token), or a string (an `idx_text` key). Two numbers after the token
//! (a place on a chromosome) are `lo` and `hi` of one row.
//! Composites of a whole resource (`Observation`) have no rows: there the components are the ordinary parameters.
//! Source: <https://hl7.org/fhir/R4/search.html#composite>.

use super::token::{self, Coded, PLAIN};
use super::{Bounds, Found, Place, Sink, date, number, quantity, reference};
use crate::fhir::fhirpath::{Expr, Item};
use crate::fhir::{Json, ResourceType};
use crate::search::plan::Cond;
use crate::search::query::text::{split, unescape};
use crate::search::{Env, ParamType, Rows};

/// One component: its type and its expression, evaluated on the element.
#[derive(Debug, Clone, PartialEq)]
pub struct Component {
    /// Type of the parameter that defines it.
    pub kind: ParamType,
    /// Where its values are.
    pub expr: Expr,
    /// Systems of its codes.
    pub coded: Coded,
    /// Types a reference may lead to.
    pub targets: Vec<ResourceType>,
}

/// A form of a value: name and parts.
type Form = (String, Vec<String>);

fn key(place: &Place<'_>, first: &Form, second: Option<&Form>) -> i64 {
    let mut parts: Vec<&str> = vec![&first.0];
    parts.extend(first.1.iter().map(String::as_str));
    if let Some((form, more)) = second {
        parts.push("$");
        parts.push(form);
        parts.extend(more.iter().map(String::as_str));
    }
    place.exact("$", &parts)
}

/// Forms of the token values. `system|` alone is not among them: a composite names its code.
fn token_forms<'a>(component: &'a Component, resource: &'a Json, element: &'a Json) -> Vec<Form> {
    let mut out = Vec::new();
    component.expr.each(resource, element, &mut |item| {
        token::codings(item, &component.coded, &mut |coding| {
            token::forms(coding.system, coding.code, PLAIN, &mut |form, parts| {
                if form != "s" {
                    out.push((form.to_string(), parts.iter().map(ToString::to_string).collect()));
                }
            });
        });
    });
    out
}

pub(in crate::search) fn extract(
    components: &[Component],
    resource: &Json,
    element: &Json,
    env: &Env,
    sink: &mut Sink<'_>,
) {
    let [first, others @ ..] = components else { return };
    let tokens = token_forms(first, resource, element);
    if tokens.is_empty() && has_text(first, resource, element) {
        // A code that is said in words alone is a value, which nothing finds: the parameter is not missing.
        let (mut rows, mut found) = (Rows::default(), Found::default());
        let words = ("text".to_string(), Vec::new());
        with(
            &words,
            others,
            resource,
            element,
            env,
            &mut Sink { place: sink.place, rows: &mut rows, found: &mut found },
        );
        sink.found.any |= found.any;
    }
    for token in &tokens {
        with(token, others, resource, element, env, sink);
    }
}

/// Whether a token value stands there as a text without any code.
fn has_text(component: &Component, resource: &Json, element: &Json) -> bool {
    let mut has = false;
    component.expr.each(resource, element, &mut |item| {
        token::codings(item, &component.coded, &mut |coding| has |= !coding.text.is_empty());
    });
    has
}

/// Rows of one token value with the values beside it.
fn with(token: &Form, others: &[Component], resource: &Json, element: &Json, env: &Env, sink: &mut Sink<'_>) {
    if let [low, high] = others {
        let (lo, hi) = (points(low, resource, element), points(high, resource, element));
        let key = key(&sink.place, token, None);
        for lo in &lo {
            hi.iter().for_each(|hi| sink.rows.range.push((key, *lo, *hi)));
        }
        sink.found.any |= !lo.is_empty() && !hi.is_empty();
    } else if let [second] = others {
        pair(token, second, resource, element, env, sink);
    }
}

fn points(component: &Component, resource: &Json, element: &Json) -> Vec<i64> {
    let mut out = Vec::new();
    component.expr.each(resource, element, &mut |item| {
        if let Item::Node { json, .. } = item
            && let Some((lo, _)) = number::of(json)
        {
            out.push(lo);
        }
    });
    out
}

fn pair(token: &Form, second: &Component, resource: &Json, element: &Json, env: &Env, sink: &mut Sink<'_>) {
    let place = sink.place;
    match second.kind {
        ParamType::Token => {
            for form in token_forms(second, resource, element) {
                sink.rows.exact.push(key(&place, token, Some(&form)));
                sink.found.any = true;
            }
        }
        ParamType::Reference => second.expr.each(resource, element, &mut |item| {
            if let Some(target) = reference::target(item, env) {
                let form = ("r".to_string(), vec![target.to_string()]);
                sink.rows.exact.push(key(&place, token, Some(&form)));
                sink.found.any = true;
            }
        }),
        ParamType::Quantity => second.expr.each(resource, element, &mut |item| {
            let Item::Node { json, .. } = item else { return };
            let Some(measured) = quantity::of(json) else { return };
            measured.forms(&mut |name, parts, (lo, hi)| {
                let form = (name.to_string(), parts.iter().map(ToString::to_string).collect());
                sink.rows.range.push((key(&place, token, Some(&form)), lo, hi));
            });
            sink.found.any = true;
        }),
        ParamType::Date | ParamType::Number => second.expr.each(resource, element, &mut |item| {
            let Item::Node { json, .. } = item else { return };
            let range = if second.kind == ParamType::Date { date::of(json, env) } else { number::of(json) };
            if let Some((lo, hi)) = range {
                sink.rows.range.push((key(&place, token, None), lo, hi));
                sink.found.any = true;
            }
        }),
        _ => second.expr.each(resource, element, &mut |item| {
            if let Item::Node { json: Json::String(text), .. } = item {
                super::string::label(text, key(&place, token, None), &mut sink.rows.text);
                sink.found.any = true;
            }
        }),
    }
}

/// Splits a value of a query into its components.
pub(in crate::search) fn parts(value: &str, wanted: usize) -> Result<Vec<&str>, String> {
    let parts = split(value, '$');
    if parts.len() == wanted && parts.iter().all(|p| !p.is_empty()) {
        Ok(parts)
    } else {
        Err(format!("a value of this composite parameter has {wanted} parts, joined by '$'"))
    }
}

/// The condition of one value of a query on a composite of elements.
pub(in crate::search) fn cond(
    place: &Place<'_>,
    components: &[Component],
    value: &str,
    env: &Env,
) -> Result<Cond, String> {
    let texts = parts(value, components.len())?;
    let ([first, others @ ..], [token, texts @ ..]) = (components, texts.as_slice()) else {
        return Err("this composite parameter has no components".into());
    };
    let tokens = query_token(token, &first.coded)?;
    let each = |make: &dyn Fn(&Form) -> Cond| Cond::any(tokens.iter().map(make).collect());
    match (others, texts) {
        ([_, _], [low, high]) => {
            let (low, high) = (number::bounds(&unescape(low))?, number::bounds(&unescape(high))?);
            // Both rows are points: what is asked of a point's `hi` is asked of `lo` as well.
            let merge = |b: &Bounds| (b.lo.0.or(b.hi.0), b.hi.1.or(b.lo.1));
            let pairs = low.iter().flat_map(|l| high.iter().map(move |h| Bounds { lo: merge(l), hi: merge(h) }));
            let pairs: Vec<Bounds> = pairs.collect();
            Ok(each(&|t| Bounds::cond(pairs.clone(), key(place, t, None))))
        }
        ([second], [text]) => match second.kind {
            ParamType::Token => {
                let seconds = query_token(text, &second.coded)?;
                let keys = tokens.iter().flat_map(|t| seconds.iter().map(move |s| key(place, t, Some(s))));
                Ok(Cond::Exact(keys.collect()))
            }
            ParamType::Reference => {
                let value = unescape(text);
                let targets: Vec<String> = match reference::lead(&value, env) {
                    Some(reference::Lead::Local { target, version: None }) => vec![target.to_string()],
                    _ if crate::fhir::resource::is_id(&value) => {
                        second.targets.iter().map(|t| format!("{t}/{value}")).collect()
                    }
                    _ => return Err("the reference in a composite is an id or Type/id".into()),
                };
                let keys = tokens.iter().flat_map(|t| {
                    targets.iter().map(move |target| key(place, t, Some(&("r".to_string(), vec![target.clone()]))))
                });
                Ok(Cond::Exact(keys.collect()))
            }
            ParamType::Quantity => {
                let (bounds, name, parts) = quantity::parse(text)?;
                let form = (name.to_string(), parts);
                Ok(each(&|t| Bounds::cond(bounds.clone(), key(place, t, Some(&form)))))
            }
            ParamType::Date => {
                let bounds = date::bounds(&unescape(text), env)?;
                Ok(each(&|t| Bounds::cond(bounds.clone(), key(place, t, None))))
            }
            ParamType::Number => {
                let bounds = number::bounds(&unescape(text))?;
                Ok(each(&|t| Bounds::cond(bounds.clone(), key(place, t, None))))
            }
            _ => {
                let text = unescape(text);
                let all: Result<Vec<Cond>, String> =
                    tokens.iter().map(|t| super::string::starts(key(place, t, None), &text)).collect();
                Ok(Cond::any(all?))
            }
        },
        _ => Err("this composite parameter is not supported".into()),
    }
}

/// Forms that match the token part of a value.
fn query_token(value: &str, coded: &Coded) -> Result<Vec<Form>, String> {
    let (system, code) = token::parse(value)?;
    if code.is_empty() {
        return Err("a composite names the code, not only its system".into());
    }
    let implied = system.as_deref().is_some_and(|s| coded.systems.iter().any(|known| **known == *s));
    let (form, parts) = token::form(system, code.clone(), PLAIN);
    let mut out = vec![(form.to_string(), parts)];
    if implied {
        out.push(("c".into(), vec![code]));
    }
    Ok(out)
}
