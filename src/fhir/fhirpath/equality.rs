//! Equal, equivalent, less: the operators, and the sets that are made by them.
//!
//! Source: <http://hl7.org/fhirpath/N1/#equality>, <http://hl7.org/fhirpath/N1/#comparison>.

use super::ast::Operator;
use super::eval::{Result, Run, fail};
use super::kinds;
use super::number::{Decimal, Rounding};
use super::value::{Items, Value};
use crate::fhir::Json;
use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::HashSet;

/// Whether two collections are equal, in order; `None` when one is empty or precision leaves it open.
pub(super) fn equal<'a>(run: &mut Run<'_, 'a>, a: &Items<'a>, b: &Items<'a>) -> Result<Option<bool>> {
    if a.is_empty() || b.is_empty() {
        return Ok(None);
    }
    if a.len() != b.len() {
        return Ok(Some(false));
    }
    let mut open = false;
    for (x, y) in a.iter().zip(b) {
        match values_equal(run, x, y)? {
            Some(true) => {}
            Some(false) => return Ok(Some(false)),
            None => open = true,
        }
    }
    Ok(if open { None } else { Some(true) })
}

/// Whether two values are equal; `None` when that is open.
pub(super) fn values_equal<'a>(run: &mut Run<'_, 'a>, a: &Value<'a>, b: &Value<'a>) -> Result<Option<bool>> {
    run.spend(1)?;
    Ok(match (a.system(), b.system()) {
        (Value::Boolean(x), Value::Boolean(y)) => Some(x == y),
        (Value::Integer(x), Value::Integer(y)) => Some(x == y),
        (Value::String(x), Value::String(y)) => Some(x == y),
        (Value::Moment(x), Value::Moment(y)) => {
            if !x.is_like(&y) {
                Some(false)
            } else {
                x.compare(&y).map(|order| order == Ordering::Equal)
            }
        }
        (Value::Quantity(x), Value::Quantity(y)) => x.compare(&y).map(|order| order == Ordering::Equal),
        (Value::Type(x, a), Value::Type(y, b)) => Some(x == y && a == b),
        (Value::Node(x), Value::Node(y)) => Some(json_equal(run, x.json, y.json)?),
        (Value::Quantity(q), other) | (other, Value::Quantity(q)) => {
            number(&other).map_or(Some(false), |n| super::Quantity::plain(n).compare(&q).map(|o| o == Ordering::Equal))
        }
        (x, y) => match (number(&x), number(&y)) {
            (Some(x), Some(y)) => Some(x == y),
            _ => Some(false),
        },
    })
}

fn number(value: &Value<'_>) -> Option<Decimal> {
    match value {
        Value::Integer(n) => Some((*n).into()),
        Value::Decimal(d) => Some(*d),
        _ => None,
    }
}

/// Equal, and not open.
fn same<'a>(run: &mut Run<'_, 'a>, a: &Value<'a>, b: &Value<'a>) -> Result<bool> {
    Ok(values_equal(run, a, b)? == Some(true))
}

/// Same members and values, whatever the order of members.
fn json_equal(run: &mut Run<'_, '_>, a: &Json, b: &Json) -> Result<bool> {
    run.spend(1)?;
    Ok(match (a, b) {
        (Json::Object(x), Json::Object(y)) => {
            if x.len() != y.len() {
                return Ok(false);
            }
            for (key, value) in x.iter() {
                match y.get(key) {
                    Some(other) if json_equal(run, value, other)? => {}
                    _ => return Ok(false),
                }
            }
            true
        }
        (Json::Array(x), Json::Array(y)) => {
            if x.len() != y.len() {
                return Ok(false);
            }
            for (x, y) in x.iter().zip(y) {
                if !json_equal(run, x, y)? {
                    return Ok(false);
                }
            }
            true
        }
        (Json::Number(x), Json::Number(y)) => {
            x == y || Decimal::parse(x).zip(Decimal::parse(y)).is_some_and(|(x, y)| x == y)
        }
        (x, y) => x == y,
    })
}

/// Whether two collections are equivalent, in any order.
pub(super) fn equivalent<'a>(run: &mut Run<'_, 'a>, a: &Items<'a>, b: &Items<'a>) -> Result<bool> {
    if a.len() != b.len() {
        return Ok(false);
    }
    let mut taken = vec![false; b.len()];
    'each: for x in a {
        for (y, taken) in b.iter().zip(&mut taken) {
            if !*taken && values_equivalent(run, x, y)? {
                *taken = true;
                continue 'each;
            }
        }
        return Ok(false);
    }
    Ok(true)
}

fn values_equivalent<'a>(run: &mut Run<'_, 'a>, a: &Value<'a>, b: &Value<'a>) -> Result<bool> {
    run.spend(1)?;
    Ok(match (a.system(), b.system()) {
        (Value::String(x), Value::String(y)) => plain(&x) == plain(&y),
        (Value::Moment(x), Value::Moment(y)) => {
            x.is_like(&y) && x.same_precision(&y) && x.compare(&y) == Some(Ordering::Equal)
        }
        (Value::Quantity(x), Value::Quantity(y)) => x.is_equivalent(&y),
        (Value::Node(x), Value::Node(y)) => json_equivalent(run, x.json, y.json)?,
        (x, y) => match (number(&x), number(&y)) {
            (Some(x), Some(y)) => decimals_equivalent(x, y),
            _ => same(run, &x, &y)?,
        },
    })
}

/// Equal when both are rounded to the places of the less precise one.
pub(super) fn decimals_equivalent(a: Decimal, b: Decimal) -> bool {
    let (a, b) = (a.trimmed(), b.trimmed());
    let scale = a.scale.min(b.scale);
    a.rounded(scale, Rounding::HalfUp).zip(b.rounded(scale, Rounding::HalfUp)).is_some_and(|(a, b)| a == b)
}

/// Small letters, white space as one space.
fn plain(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

fn json_equivalent(run: &mut Run<'_, '_>, a: &Json, b: &Json) -> Result<bool> {
    run.spend(1)?;
    Ok(match (a, b) {
        (Json::Object(x), Json::Object(y)) => {
            let count = |o: &crate::fhir::json::Object| o.iter().filter(|(key, _)| *key != "id").count();
            if count(x) != count(y) {
                return Ok(false);
            }
            for (key, value) in x.iter().filter(|(key, _)| *key != "id") {
                match y.get(key) {
                    Some(other) if json_equivalent(run, value, other)? => {}
                    _ => return Ok(false),
                }
            }
            true
        }
        (Json::Array(x), Json::Array(y)) => {
            if x.len() != y.len() {
                return Ok(false);
            }
            let mut taken = vec![false; y.len()];
            'each: for x in x {
                for (y, taken) in y.iter().zip(&mut taken) {
                    if !*taken && json_equivalent(run, x, y)? {
                        *taken = true;
                        continue 'each;
                    }
                }
                return Ok(false);
            }
            true
        }
        (Json::String(x), Json::String(y)) => plain(x) == plain(y),
        (Json::Number(x), Json::Number(y)) => {
            Decimal::parse(x).zip(Decimal::parse(y)).map_or(x == y, |(x, y)| decimals_equivalent(x, y))
        }
        (x, y) => x == y,
    })
}

/// `a in b`
pub(super) fn member<'a>(run: &mut Run<'_, 'a>, a: &Items<'a>, b: &Items<'a>, at: usize) -> Result<Items<'a>> {
    match a.as_slice() {
        [] => Ok(Items::None),
        [one] => Ok(holds(run, b, one)?.into()),
        many => fail(at, format!("found {} values, expected one to look for", many.len())),
    }
}

/// Whether a collection has a value.
pub(super) fn holds<'a>(run: &mut Run<'_, 'a>, items: &Items<'a>, value: &Value<'a>) -> Result<bool> {
    for item in items {
        if same(run, item, value)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Each value once, where it came first.
pub(super) fn distinct<'a>(run: &mut Run<'_, 'a>, items: Items<'a>) -> Result<Items<'a>> {
    let Items::Many(values) = items else { return Ok(items) };
    // Texts alone, as many as there may be, in one pass.
    let texts: Option<Vec<Cow<'a, str>>> = values
        .iter()
        .map(|value| match value.system() {
            Value::String(text) => Some(text),
            _ => None,
        })
        .collect();
    if let Some(texts) = texts {
        run.spend(texts.len())?;
        let mut seen = HashSet::new();
        return Ok(values.into_iter().zip(texts).filter_map(|(v, text)| seen.insert(text).then_some(v)).collect());
    }
    let mut out = Items::None;
    for value in values {
        if !holds(run, &out, &value)? {
            out.push(value);
        }
    }
    Ok(out)
}

/// `<`, `<=`, `>`, `>=`; empty when one side is, or precision leaves it open.
pub(super) fn compare<'a>(operator: Operator, a: &Items<'a>, b: &Items<'a>, at: usize) -> Result<Items<'a>> {
    let (x, y) = match (a.as_slice(), b.as_slice()) {
        ([], _) | (_, []) => return Ok(Items::None),
        ([x], [y]) => (x.system(), y.system()),
        _ => return fail(at, "found several values, a comparison takes one on each side"),
    };
    let Some(order) = order(&x, &y) else {
        let (a, b) = (kinds::of(&x).1, kinds::of(&y).1);
        return fail(at, format!("{a} and {b} do not compare"));
    };
    let holds = |order: Ordering| match operator {
        Operator::Less => order.is_lt(),
        Operator::LessOrEqual => order.is_le(),
        Operator::Greater => order.is_gt(),
        _ => order.is_ge(),
    };
    Ok(order.map(holds).into())
}

/// How two values compare; the inner `None` when that is open, the outer when they are of kinds that do not compare.
#[allow(clippy::option_option, reason = "open and impossible are two answers")]
pub(super) fn order(x: &Value<'_>, y: &Value<'_>) -> Option<Option<Ordering>> {
    match (x, y) {
        (Value::String(x), Value::String(y)) => Some(Some(x.cmp(y))),
        (Value::Moment(x), Value::Moment(y)) => x.is_like(y).then(|| x.compare(y)),
        (Value::Quantity(x), Value::Quantity(y)) => Some(x.compare(y)),
        (Value::Quantity(q), other) => number(other).map(|n| q.compare(&super::Quantity::plain(n))),
        (other, Value::Quantity(q)) => number(other).map(|n| super::Quantity::plain(n).compare(q)),
        _ => number(x).zip(number(y)).map(|(x, y)| Some(x.cmp(&y))),
    }
}
