//! Fixed values, patterns, and least and most values.
//!
//! Source: <https://hl7.org/fhir/R4/elementdefinition-definitions.html#ElementDefinition.fixed_x_>, `pattern_x_`,
//! `minValue_x_`.

use crate::fhir::date;
use crate::fhir::json::{Json, Object};
use crate::fhir::unit;
use jiff::tz::TimeZone;
use std::cmp::Ordering;

/// Whether a value is exactly the fixed one: the same members, in any order.
pub(super) fn is_same(value: &Json, fixed: &Json) -> bool {
    match (value, fixed) {
        (Json::Object(a), Json::Object(b)) => {
            a.len() == b.len() && b.iter().all(|(name, want)| a.get(name).is_some_and(|found| is_same(found, want)))
        }
        (Json::Array(a), Json::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_same(a, b)),
        _ => is_equal(value, fixed),
    }
}

/// Whether a value has all of the pattern in it: members by name, each item of an array in some item.
pub(super) fn has_pattern(value: &Json, pattern: &Json) -> bool {
    match (value, pattern) {
        (Json::Object(found), Json::Object(wanted)) => {
            wanted.iter().all(|(name, want)| found.get(name).is_some_and(|found| has_pattern(found, want)))
        }
        (Json::Array(found), Json::Array(wanted)) => {
            wanted.iter().all(|want| found.iter().any(|found| has_pattern(found, want)))
        }
        _ => is_equal(value, pattern),
    }
}

/// The first member, by its path, in which a value differs from a pattern; `None` when it is the value as a whole.
pub(super) fn differs_at<'p>(value: &Json, pattern: &'p Json) -> Option<&'p str> {
    let (Json::Object(found), Json::Object(wanted)) = (value, pattern) else { return None };
    let off = |(name, want): &(&'p str, &Json)| !found.get(name).is_some_and(|found| has_pattern(found, want));
    wanted.iter().find(off).map(|(name, _)| name)
}

fn is_equal(a: &Json, b: &Json) -> bool {
    match (a, b) {
        (Json::Number(a), Json::Number(b)) => a == b || number(a).zip(number(b)).is_some_and(|(a, b)| a == b),
        _ => a == b,
    }
}

fn number(text: &str) -> Option<f64> {
    text.parse().ok()
}

/// How a value stands to a limit; `None` when they cannot be compared, or may be the same.
pub(super) fn compare(value: &Json, limit: &Json) -> Option<Ordering> {
    match (value, limit) {
        (Json::Number(a), Json::Number(b)) => number(a)?.partial_cmp(&number(b)?),
        (Json::String(a), Json::String(b)) => {
            let span = |text: &str| date::span(text, &TimeZone::UTC).or_else(|| date::time_of_day(text));
            let (a, b) = (span(a)?, span(b)?);
            match (a.hi < b.lo, a.lo > b.hi) {
                (true, _) => Some(Ordering::Less),
                (_, true) => Some(Ordering::Greater),
                _ => None,
            }
        }
        (Json::Object(a), Json::Object(b)) => {
            let same_unit = ["system", "code"].iter().all(|n| b.get(n).is_none() || a.get(n) == b.get(n));
            let (a_value, b_value) = (a.get("value")?, b.get("value")?);
            if same_unit { compare(a_value, b_value) } else { by_ucum(a, a_value, b, b_value) }
        }
        _ => None,
    }
}

/// The order of two quantities of one dimension, in UCUM.
fn by_ucum(a: &Object, a_value: &Json, b: &Object, b_value: &Json) -> Option<Ordering> {
    let of = |quantity: &Object| {
        let is_ucum = quantity.get("system").is_some_and(|s| s.text() == unit::UCUM);
        is_ucum.then(|| unit::of(quantity.get("code")?.text())).flatten()
    };
    let (a_unit, b_unit) = (of(a)?, of(b)?);
    (a_unit.base == b_unit.base)
        .then(|| a_unit.in_base(a_value.as_number()?)?.partial_cmp(&b_unit.in_base(b_value.as_number()?)?))
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn of(value: Value) -> Json {
        value.into()
    }

    /// R4 elementdefinition.html: A fixed value is the whole value, a pattern a part of it.
    #[test]
    fn a_fixed_value_is_all_and_a_pattern_is_a_part() {
        for (value, other, same, part) in [
            (json!("a"), json!("a"), true, true),
            (json!({"a": 1, "b": 2}), json!({"b": 2, "a": 1}), true, true),
            (json!({"a": 1, "b": 2}), json!({"a": 1}), false, true),
            (json!({"a": 1}), json!({"a": 1, "b": 2}), false, false),
            (json!([{"c": 1, "d": 2}, {"c": 3}]), json!([{"c": 3}]), false, true),
            (json!([{"c": 1}]), json!([{"c": 3}]), false, false),
            (json!(1.0), json!(1.00), true, true),
        ] {
            let (a, b) = (of(value), of(other));
            assert_eq!((is_same(&a, &b), has_pattern(&a, &b)), (same, part), "{a} {b}");
        }
    }

    #[test]
    fn values_are_compared_with_limits() {
        for (value, limit, order) in [
            (json!(2), json!(3), Some(Ordering::Less)),
            (json!(2.5), json!(2.5), Some(Ordering::Equal)),
            (json!("2024"), json!("2024-05"), None),
            (json!("2023"), json!("2024-05"), Some(Ordering::Less)),
            (json!("12:00:00"), json!("11:59:59"), Some(Ordering::Greater)),
            (json!({"value": 5, "code": "mg"}), json!({"value": 4, "code": "mg"}), Some(Ordering::Greater)),
            (json!({"value": 5, "code": "g"}), json!({"value": 4, "code": "mg"}), None),
            (
                json!({"value": 5, "system": "http://unitsofmeasure.org", "code": "g"}),
                json!({"value": 0.1, "system": "http://unitsofmeasure.org", "code": "kg"}),
                Some(Ordering::Less),
            ),
        ] {
            assert_eq!(compare(&of(value.clone()), &of(limit.clone())), order, "{value} {limit}");
        }
    }
}
