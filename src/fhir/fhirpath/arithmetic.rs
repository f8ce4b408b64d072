//! `+ - * / div mod &` and the minus sign.
//!
//! Source: <http://hl7.org/fhirpath/N1/#math-1>, <http://hl7.org/fhirpath/N1/#datetime-arithmetic>. A result that does not fit is empty.

use super::ast::Operator;
use super::eval::{Result, fail};
use super::kinds;
use super::moment::{self, Moment};
use super::number::{Decimal, Rounding};
use super::quantity::Quantity;
use super::value::{Items, Value};
use std::borrow::Cow;

/// A whole number of 32 bits, or nothing.
pub(super) fn integer<'a>(n: Option<i64>) -> Items<'a> {
    n.filter(|n| i32::try_from(*n).is_ok()).map_or(Items::None, |n| Value::Integer(n).into())
}

pub(super) fn decimal<'a>(d: Option<Decimal>) -> Items<'a> {
    d.map_or(Items::None, |d| Value::Decimal(d).into())
}

fn quantity<'a>(q: Option<Quantity>) -> Items<'a> {
    q.map_or(Items::None, |q| Value::Quantity(Box::new(q)).into())
}

pub(super) fn negate<'a>(items: &Items<'a>, at: usize) -> Result<Items<'a>> {
    match items.as_slice() {
        [] => Ok(Items::None),
        [one] => match one.system() {
            Value::Integer(n) => Ok(integer(n.checked_neg())),
            Value::Decimal(d) => Ok(Value::Decimal(d.negated()).into()),
            Value::Quantity(q) => Ok(quantity(Some(q.negated()))),
            other => fail(at, format!("a sign stands before a number or quantity, found {}", kinds::of(&other).1)),
        },
        _ => fail(at, "found several values, a sign stands before one"),
    }
}

pub(super) fn calculate<'a>(operator: Operator, a: &Items<'a>, b: &Items<'a>, at: usize) -> Result<Items<'a>> {
    if operator == Operator::Concatenate {
        return concatenate(a, b, at);
    }
    let (x, y) = match (a.as_slice(), b.as_slice()) {
        ([], _) | (_, []) => return Ok(Items::None),
        ([x], [y]) => (x.system(), y.system()),
        _ => return fail(at, "found several values, an operator takes one on each side"),
    };
    match (&x, &y) {
        (Value::Integer(x), Value::Integer(y)) => return Ok(whole(operator, *x, *y)),
        (Value::String(x), Value::String(y)) if operator == Operator::Plus => {
            return Ok(Value::String(Cow::Owned(format!("{x}{y}"))).into());
        }
        (Value::Moment(moment), Value::Quantity(by)) if matches!(operator, Operator::Plus | Operator::Minus) => {
            return shifted(*moment, by, operator == Operator::Minus, at);
        }
        (Value::Quantity(x), Value::Quantity(y)) => return measured(operator, x, y, at),
        (Value::Quantity(x), other) | (other, Value::Quantity(x)) => {
            if let Some(n) = number(other) {
                let plain = Quantity::plain(n);
                let is_first = matches!(y, Value::Quantity(_));
                return if is_first { measured(operator, &plain, x, at) } else { measured(operator, x, &plain, at) };
            }
        }
        _ => {}
    }
    match (number(&x), number(&y)) {
        (Some(x), Some(y)) => Ok(match operator {
            Operator::Plus => decimal(x.add(y)),
            Operator::Minus => decimal(x.sub(y)),
            Operator::Times => decimal(x.mul(y)),
            Operator::Over => decimal(x.div(y)),
            Operator::Div => integer(x.whole_div(y).and_then(Decimal::to_i64)),
            _ => decimal(x.rest(y)),
        }),
        _ => fail(at, format!("{} and {} cannot be calculated with here", kinds::of(&x).1, kinds::of(&y).1)),
    }
}

fn number(value: &Value<'_>) -> Option<Decimal> {
    match value {
        Value::Integer(n) => Some((*n).into()),
        Value::Decimal(d) => Some(*d),
        _ => None,
    }
}

fn whole<'a>(operator: Operator, x: i64, y: i64) -> Items<'a> {
    match operator {
        Operator::Plus => integer(x.checked_add(y)),
        Operator::Minus => integer(x.checked_sub(y)),
        Operator::Times => integer(x.checked_mul(y)),
        Operator::Over => decimal(Decimal::from(x).div(y.into())),
        Operator::Div => integer(x.checked_div(y)),
        _ => integer(x.checked_rem(y)),
    }
}

fn measured<'a>(operator: Operator, x: &Quantity, y: &Quantity, at: usize) -> Result<Items<'a>> {
    Ok(match operator {
        Operator::Plus => quantity(x.plus(y)),
        Operator::Minus => quantity(x.plus(&y.negated())),
        Operator::Times => quantity(x.times(y)),
        Operator::Over => quantity(x.over(y)),
        _ => return fail(at, "div and mod take numbers"),
    })
}

/// Of a date and a time: what its precision does not reach, is left out, and fractions too.
fn shifted<'a>(moment: Moment, by: &Quantity, back: bool, at: usize) -> Result<Items<'a>> {
    let Some(step) = by.unit.step() else {
        return fail(
            at,
            format!("a date or time cannot be moved by {by}; use a word of the calendar, such as 1 month"),
        );
    };
    let finest = moment.finest();
    let (count, step) = if step > finest {
        (moment::coarsen(by.value, step, finest), finest)
    } else {
        (by.value.rounded(0, Rounding::Down), step)
    };
    let count = count.and_then(Decimal::to_i64).map(|n| if back { -n } else { n });
    Ok(count.and_then(|n| moment.plus(n, step)).map_or(Items::None, |m| Value::Moment(m).into()))
}

/// `&`: a missing side is no text.
fn concatenate<'a>(a: &Items<'a>, b: &Items<'a>, at: usize) -> Result<Items<'a>> {
    let mut out = String::new();
    for side in [a, b] {
        match side.as_slice() {
            [] => {}
            [one] => match one.system() {
                Value::String(text) => out.push_str(&text),
                other => return fail(at, format!("'&' joins texts, found {}", kinds::of(&other).1)),
            },
            _ => return fail(at, "found several values, '&' joins two texts"),
        }
    }
    Ok(Value::String(out.into()).into())
}
