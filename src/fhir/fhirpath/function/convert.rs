//! Conversions, and the clock.
//!
//! Source: <http://hl7.org/fhirpath/N1/#conversion>. What cannot be converted is empty; several values are an error.

use super::super::ast::Call;
use super::super::eval::{Frame, Result, Run, fail};
use super::super::moment::{Moment, MomentKind};
use super::super::number::Decimal;
use super::super::quantity::Quantity;
use super::super::value::{Items, Value};
use super::single;

type Convert = for<'a> fn(&Value<'a>) -> Option<Value<'a>>;

fn convert<'a>(call: &Call, input: &Items<'a>, to: Convert) -> Result<Items<'a>> {
    Ok(single(call, input)?.and_then(|value| to(&value)).map_or(Items::None, Items::One))
}

fn converts<'a>(call: &Call, input: &Items<'a>, to: Convert) -> Result<Items<'a>> {
    Ok(single(call, input)?.map(|value| to(&value).is_some()).into())
}

fn boolean<'a>(value: &Value<'a>) -> Option<Value<'a>> {
    let truth = match value {
        Value::Boolean(b) => Some(*b),
        Value::Integer(n) => [(1, true), (0, false)].iter().find(|(of, _)| of == n).map(|(_, b)| *b),
        Value::Decimal(d) => {
            d.to_i64().and_then(|n| [(1, true), (0, false)].iter().find(|(of, _)| *of == n).map(|(_, b)| *b))
        }
        Value::String(text) => match text.to_lowercase().as_str() {
            "true" | "t" | "yes" | "y" | "1" | "1.0" => Some(true),
            "false" | "f" | "no" | "n" | "0" | "0.0" => Some(false),
            _ => None,
        },
        _ => None,
    };
    truth.map(Value::Boolean)
}

fn integer<'a>(value: &Value<'a>) -> Option<Value<'a>> {
    let n = match value {
        Value::Integer(n) => Some(*n),
        Value::Boolean(b) => Some(i64::from(*b)),
        Value::String(text) => text.parse::<i32>().ok().map(i64::from),
        _ => None,
    };
    n.map(Value::Integer)
}

fn decimal<'a>(value: &Value<'a>) -> Option<Value<'a>> {
    let d = match value {
        Value::Integer(n) => Some((*n).into()),
        Value::Decimal(d) => Some(*d),
        Value::Boolean(b) => Some(i64::from(*b).into()),
        Value::String(text) if !text.contains(['e', 'E']) => Decimal::parse(text),
        _ => None,
    };
    d.map(Value::Decimal)
}

fn text<'a>(value: &Value<'a>) -> Option<Value<'a>> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Boolean(b) => b.to_string().into(),
        Value::Integer(n) => n.to_string().into(),
        Value::Decimal(d) => d.to_string().into(),
        Value::Moment(moment) => moment.to_string().into(),
        Value::Quantity(quantity) => quantity.to_string().into(),
        Value::Node(_) | Value::Type(..) | Value::Absent(_) => return None,
    };
    Some(Value::String(text))
}

fn moment<'a>(value: &Value<'a>, kind: MomentKind) -> Option<Value<'a>> {
    let moment = match (kind, value) {
        (MomentKind::Date, Value::String(text)) => Moment::datetime(text).map(Moment::day),
        (MomentKind::DateTime, Value::String(text)) => Moment::datetime(text),
        (MomentKind::Time, Value::String(text)) => Moment::time(text),
        (MomentKind::Date, Value::Moment(m)) if m.kind != MomentKind::Time => Some(m.day()),
        (MomentKind::DateTime, Value::Moment(m)) if m.kind != MomentKind::Time => Some(m.to_datetime()),
        (MomentKind::Time, Value::Moment(m)) if m.kind == MomentKind::Time => Some(*m),
        _ => None,
    };
    moment.map(Value::Moment)
}

fn date<'a>(value: &Value<'a>) -> Option<Value<'a>> {
    moment(value, MomentKind::Date)
}

fn datetime<'a>(value: &Value<'a>) -> Option<Value<'a>> {
    moment(value, MomentKind::DateTime)
}

fn time<'a>(value: &Value<'a>) -> Option<Value<'a>> {
    moment(value, MomentKind::Time)
}

fn quantity<'a>(value: &Value<'a>) -> Option<Value<'a>> {
    let quantity = match value {
        Value::Quantity(quantity) => return Some(Value::Quantity(quantity.clone())),
        Value::Integer(n) => Some(Quantity::plain((*n).into())),
        Value::Decimal(d) => Some(Quantity::plain(*d)),
        Value::Boolean(b) => Some(Quantity::plain(i64::from(*b).into())),
        Value::String(text) => Quantity::parse(text),
        _ => None,
    };
    quantity.map(|q| Value::Quantity(Box::new(q)))
}

macro_rules! conversions {
    ($($to:ident, $converts:ident, $by:ident;)*) => {
        $(
            pub(super) fn $to<'a>(_: &mut Run<'_, 'a>, call: &'a Call, input: Items<'a>, _: Frame<'_, 'a>) -> Result<Items<'a>> {
                convert(call, &input, $by)
            }

            pub(super) fn $converts<'a>(_: &mut Run<'_, 'a>, call: &'a Call, input: Items<'a>, _: Frame<'_, 'a>) -> Result<Items<'a>> {
                converts(call, &input, $by)
            }
        )*
    };
}

conversions! {
    to_boolean, converts_to_boolean, boolean;
    to_integer, converts_to_integer, integer;
    to_decimal, converts_to_decimal, decimal;
    to_string, converts_to_string, text;
    to_date, converts_to_date, date;
    to_datetime, converts_to_datetime, datetime;
    to_time, converts_to_time, time;
}

/// The quantity in the unit that is asked for; empty when its unit is not comparable with that.
pub(super) fn to_quantity<'a>(
    run: &mut Run<'_, 'a>,
    call: &'a Call,
    input: Items<'a>,
    frame: Frame<'_, 'a>,
) -> Result<Items<'a>> {
    let unit = super::text_argument(run, call, 0, frame)?;
    let found = convert(call, &input, quantity)?;
    let (Some(unit), Items::One(Value::Quantity(found))) = (unit, &found) else { return Ok(found) };
    let zero = Quantity { value: 0.into(), unit: super::super::quantity::Unit::of_text(&unit) };
    Ok(zero.plus(found).map_or(Items::None, |q| Value::Quantity(Box::new(q)).into()))
}

pub(super) fn converts_to_quantity<'a>(
    run: &mut Run<'_, 'a>,
    call: &'a Call,
    input: Items<'a>,
    frame: Frame<'_, 'a>,
) -> Result<Items<'a>> {
    if input.is_empty() {
        return Ok(Items::None);
    }
    Ok((!to_quantity(run, call, input, frame)?.is_empty()).into())
}

fn clock(run: &Run<'_, '_>, call: &Call) -> Result<Moment> {
    let now = run.env.now.unwrap_or_else(jiff::Timestamp::now);
    match Moment::at(now) {
        Some(moment) => Ok(moment),
        None => fail(call.at, "the clock stands outside the years 1 to 9999"),
    }
}

pub(super) fn now<'a>(run: &mut Run<'_, 'a>, call: &'a Call, _: Items<'a>, _: Frame<'_, 'a>) -> Result<Items<'a>> {
    Ok(Value::Moment(clock(run, call)?).into())
}

pub(super) fn today<'a>(run: &mut Run<'_, 'a>, call: &'a Call, _: Items<'a>, _: Frame<'_, 'a>) -> Result<Items<'a>> {
    Ok(Value::Moment(clock(run, call)?.day()).into())
}

pub(super) fn time_of_day<'a>(
    run: &mut Run<'_, 'a>,
    call: &'a Call,
    _: Items<'a>,
    _: Frame<'_, 'a>,
) -> Result<Items<'a>> {
    Ok(Value::Moment(clock(run, call)?.time_of_day()).into())
}
