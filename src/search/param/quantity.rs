//! Quantities: number ranges, once for the bare number, once for its unit or code, once for system and code.
//!
//! `5.4`, `5.4||mg` and `5.4|http://unitsofmeasure.org|mg` are three keys, so each is one seek. Money has its currency as
//! code. Source: <https://hl7.org/fhir/R4/search.html#quantity>.

use super::{Place, Sink, number};
use crate::fhir::Json;
use crate::search::plan::Cond;
use crate::search::query::text::{split, unescape};

const CURRENCY: &str = "urn:iso:std:iso:4217";

/// Number range and unit of a Quantity, Money, Range or SampledData.
pub(super) struct Measured<'a> {
    pub lo: i64,
    pub hi: i64,
    system: &'a str,
    code: &'a str,
    unit: &'a str,
}

pub(super) fn of(value: &Json) -> Option<Measured<'_>> {
    let (low, high) = (&value["low"], &value["high"]);
    if !low.is_null() || !high.is_null() {
        let (lo, hi) = number::of(value)?;
        return Some(measured(if low.is_null() { high } else { low }, lo, hi));
    }
    if !value["origin"].is_null() {
        let limit = |name: &str| value[name].as_number().and_then(number::point);
        return Some(measured(&value["origin"], limit("lowerLimit")?, limit("upperLimit")?));
    }
    let n = number::point(value["value"].as_number()?)?;
    let (lo, hi) = match value["comparator"].as_str() {
        Some("<") => (i64::MIN, n - 1),
        Some("<=") => (i64::MIN, n),
        Some(">") => (n + 1, i64::MAX),
        Some(">=") => (n, i64::MAX),
        _ => (n, n),
    };
    match value["currency"].as_str() {
        Some(currency) => Some(Measured { lo, hi, system: CURRENCY, code: currency, unit: "" }),
        None => Some(measured(value, lo, hi)),
    }
}

fn measured(unit: &Json, lo: i64, hi: i64) -> Measured<'_> {
    Measured { lo, hi, system: unit["system"].text(), code: unit["code"].text(), unit: unit["unit"].text() }
}

impl Measured<'_> {
    /// Calls back with each form (name, parts) in which the unit can be asked for; the bare number is `("", [])`.
    pub(super) fn forms(&self, each: &mut dyn FnMut(&str, &[&str])) {
        each("", &[]);
        if !self.code.is_empty() {
            each("u", &[self.code]);
            if !self.system.is_empty() {
                each("su", &[self.system, self.code]);
            }
        }
        if !self.unit.is_empty() && self.unit != self.code {
            each("u", &[self.unit]);
        }
    }
}

/// Key of a slot and a unit form.
fn key(place: &Place<'_>, form: &str, parts: &[&str]) -> i64 {
    if form.is_empty() { place.key() } else { place.exact(form, parts) }
}

pub(in crate::search) fn extract(value: &Json, sink: &mut Sink<'_>) {
    if let Some(measured) = of(value) {
        let place = sink.place;
        measured.forms(&mut |form, parts| sink.rows.range.push((key(&place, form, parts), measured.lo, measured.hi)));
        sink.found.note_range(measured.lo);
    }
}

/// A value of a query: its number with prefix, and the unit form it asks for.
pub(super) fn parse(value: &str) -> Result<(Vec<super::Bounds>, &'static str, Vec<String>), String> {
    let parts = split(value, '|');
    let bounds = |number: &str| number::bounds(&unescape(number));
    match parts.as_slice() {
        [number] => Ok((bounds(number)?, "", vec![])),
        [number, "", ""] => Ok((bounds(number)?, "", vec![])),
        [number, "", unit] => Ok((bounds(number)?, "u", vec![unescape(unit).into()])),
        [number, system, code] if !code.is_empty() => {
            Ok((bounds(number)?, "su", vec![unescape(system).into(), unescape(code).into()]))
        }
        _ => Err("a quantity is number, number|system|code or number||unit".into()),
    }
}

pub(in crate::search) fn cond(place: &Place<'_>, value: &str) -> Result<Cond, String> {
    let (bounds, form, parts) = parse(value)?;
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    Ok(super::Bounds::cond(bounds, key(place, form, &parts)))
}
