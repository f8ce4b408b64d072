//! Functions about numbers, quantities and precision.

use super::super::arithmetic::{decimal, integer};
use super::super::ast::Call;
use super::super::boundary::boundary;
use super::super::eval::{Frame, Result, Run, fail};
use super::super::kinds;
use super::super::number::{Decimal, Rounding};
use super::super::quantity::Quantity;
use super::super::value::{Items, Value};
use super::{argument, integer_argument, single};

/// The input as a number; `None` when it is empty.
fn number(call: &Call, input: &Items<'_>) -> Result<Option<Decimal>> {
    match single(call, input)? {
        None => Ok(None),
        Some(Value::Integer(n)) => Ok(Some(n.into())),
        Some(Value::Decimal(d)) => Ok(Some(d)),
        Some(other) => fail(call.at, format!("'{}' takes a number, found {}", call.row.name, kinds::of(&other).1)),
    }
}

pub(super) fn abs<'a>(_: &mut Run<'_, 'a>, call: &'a Call, input: Items<'a>, _: Frame<'_, 'a>) -> Result<Items<'a>> {
    Ok(match single(call, &input)? {
        Some(Value::Integer(n)) => integer(n.checked_abs()),
        Some(Value::Quantity(q)) => {
            let value = if q.value.digits < 0 { q.value.negated() } else { q.value };
            Value::Quantity(Box::new(Quantity { value, unit: q.unit })).into()
        }
        _ => decimal(number(call, &input)?.map(|d| if d.digits < 0 { d.negated() } else { d })),
    })
}

fn to_whole<'a>(call: &Call, input: &Items<'a>, how: Rounding) -> Result<Items<'a>> {
    Ok(integer(number(call, input)?.and_then(|d| d.rounded(0, how)).and_then(Decimal::to_i64)))
}

pub(super) fn ceiling<'a>(
    _: &mut Run<'_, 'a>,
    call: &'a Call,
    input: Items<'a>,
    _: Frame<'_, 'a>,
) -> Result<Items<'a>> {
    to_whole(call, &input, Rounding::Ceiling)
}

pub(super) fn floor<'a>(_: &mut Run<'_, 'a>, call: &'a Call, input: Items<'a>, _: Frame<'_, 'a>) -> Result<Items<'a>> {
    to_whole(call, &input, Rounding::Floor)
}

pub(super) fn truncate<'a>(
    _: &mut Run<'_, 'a>,
    call: &'a Call,
    input: Items<'a>,
    _: Frame<'_, 'a>,
) -> Result<Items<'a>> {
    to_whole(call, &input, Rounding::Down)
}

pub(super) fn round<'a>(
    run: &mut Run<'_, 'a>,
    call: &'a Call,
    input: Items<'a>,
    frame: Frame<'_, 'a>,
) -> Result<Items<'a>> {
    let places = integer_argument(run, call, 0, frame)?.unwrap_or(0);
    let Some(places) = i32::try_from(places).ok().filter(|n| (0..=38).contains(n)) else {
        return fail(call.at, "'round' takes 0 to 38 places");
    };
    let value = number(call, &input)?;
    Ok(decimal(value.and_then(|d| if d.scale <= places { Some(d) } else { d.rounded(places, Rounding::HalfUp) })))
}

fn double<'a>(call: &Call, input: &Items<'a>, by: impl Fn(f64) -> f64) -> Result<Items<'a>> {
    Ok(decimal(number(call, input)?.and_then(|d| Decimal::from_f64(by(d.to_f64())))))
}

pub(super) fn exp<'a>(_: &mut Run<'_, 'a>, call: &'a Call, input: Items<'a>, _: Frame<'_, 'a>) -> Result<Items<'a>> {
    double(call, &input, f64::exp)
}

pub(super) fn ln<'a>(_: &mut Run<'_, 'a>, call: &'a Call, input: Items<'a>, _: Frame<'_, 'a>) -> Result<Items<'a>> {
    double(call, &input, f64::ln)
}

pub(super) fn sqrt<'a>(_: &mut Run<'_, 'a>, call: &'a Call, input: Items<'a>, _: Frame<'_, 'a>) -> Result<Items<'a>> {
    double(call, &input, f64::sqrt)
}

pub(super) fn log<'a>(
    run: &mut Run<'_, 'a>,
    call: &'a Call,
    input: Items<'a>,
    frame: Frame<'_, 'a>,
) -> Result<Items<'a>> {
    let base = argument(run, call, 0, frame)?;
    let (Some(value), Some(base)) = (number(call, &input)?, number(call, &base)?) else { return Ok(Items::None) };
    let (value, base) = (value.to_f64(), base.to_f64());
    // By the functions that are exact for whole powers, where there is one.
    let out = if base == 2.0 {
        value.log2()
    } else if base == 10.0 {
        value.log10()
    } else {
        value.log(base)
    };
    Ok(decimal(Decimal::from_f64(out)))
}

pub(super) fn power<'a>(
    run: &mut Run<'_, 'a>,
    call: &'a Call,
    input: Items<'a>,
    frame: Frame<'_, 'a>,
) -> Result<Items<'a>> {
    let exponent = argument(run, call, 0, frame)?;
    let whole = matches!((single(call, &input)?, single(call, &exponent)?), (Some(Value::Integer(_)), Some(Value::Integer(n))) if n >= 0);
    let (Some(base), Some(exponent)) = (number(call, &input)?, number(call, &exponent)?) else {
        return Ok(Items::None);
    };
    Ok(match exponent.to_i64() {
        Some(n) if whole => integer(base.power(n).and_then(Decimal::to_i64)),
        Some(n) => decimal(base.power(n)),
        None => decimal(Decimal::from_f64(base.to_f64().powf(exponent.to_f64()))),
    })
}

pub(super) fn low_boundary<'a>(
    run: &mut Run<'_, 'a>,
    call: &'a Call,
    input: Items<'a>,
    frame: Frame<'_, 'a>,
) -> Result<Items<'a>> {
    let places = integer_argument(run, call, 0, frame)?;
    Ok(single(call, &input)?.and_then(|value| boundary(&value, places, true)).map_or(Items::None, Items::One))
}

pub(super) fn high_boundary<'a>(
    run: &mut Run<'_, 'a>,
    call: &'a Call,
    input: Items<'a>,
    frame: Frame<'_, 'a>,
) -> Result<Items<'a>> {
    let places = integer_argument(run, call, 0, frame)?;
    Ok(single(call, &input)?.and_then(|value| boundary(&value, places, false)).map_or(Items::None, Items::One))
}

pub(super) fn precision<'a>(
    _: &mut Run<'_, 'a>,
    call: &'a Call,
    input: Items<'a>,
    _: Frame<'_, 'a>,
) -> Result<Items<'a>> {
    Ok(match single(call, &input)? {
        None => Items::None,
        Some(Value::Integer(_)) => integer(Some(0)),
        Some(Value::Decimal(d)) => integer(Some(d.places().into())),
        Some(Value::Quantity(q)) => integer(Some(q.value.places().into())),
        Some(Value::Moment(moment)) => integer(Some(moment.digits())),
        Some(other) => return fail(call.at, format!("{} has no precision", kinds::of(&other).1)),
    })
}

pub(super) fn comparable<'a>(
    run: &mut Run<'_, 'a>,
    call: &'a Call,
    input: Items<'a>,
    frame: Frame<'_, 'a>,
) -> Result<Items<'a>> {
    let other = argument(run, call, 0, frame)?;
    Ok(match (single(call, &input)?, single(call, &other)?) {
        (Some(Value::Quantity(a)), Some(Value::Quantity(b))) => a.is_comparable(&b).into(),
        (None, _) | (_, None) => Items::None,
        _ => return fail(call.at, "'comparable' takes quantities"),
    })
}
