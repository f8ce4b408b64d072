//! The lowest and highest value that a written one may mean: `1.587` means everything from 1.5865 to 1.5875.
//!
//! Source: <http://hl7.org/fhirpath/#lowboundaryprecision-integer-decimal--date--datetime--time>, as the HL7 suite has it.

use super::number::{Decimal, Rounding};
use super::quantity::Quantity;
use super::value::Value;

/// Places that a decimal is written to when nobody says; and the most.
const PLACES: i64 = 8;
const MOST: i64 = 28;

/// The boundary to so many places (of a date: digits); `None` when there is none of that precision.
pub(super) fn boundary<'a>(value: &Value<'a>, places: Option<i64>, low: bool) -> Option<Value<'a>> {
    match value {
        Value::Integer(n) => decimal((*n).into(), places, low).map(Value::Decimal),
        Value::Decimal(d) => decimal(*d, places, low).map(Value::Decimal),
        Value::Quantity(q) => {
            let value = decimal(q.value, places, low)?;
            Some(Value::Quantity(Box::new(Quantity { value, unit: q.unit.clone() })))
        }
        Value::Moment(moment) => moment.boundary(places, low).map(Value::Moment),
        _ => None,
    }
}

fn decimal(value: Decimal, places: Option<i64>, low: bool) -> Option<Decimal> {
    let places = places.unwrap_or(PLACES);
    if !(0..=MOST).contains(&places) {
        return None;
    }
    let half = value.half_unit();
    let (end, how) = if low { (value.sub(half)?, Rounding::Floor) } else { (value.add(half)?, Rounding::Ceiling) };
    end.rounded(i32::try_from(places).ok()?, how)
}
