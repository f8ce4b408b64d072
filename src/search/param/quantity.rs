//! Quantities: number ranges, once for the bare number, once for its unit or code, once for system and code.
//!
//! `5.4`, `5.4||mg` and `5.4|http://unitsofmeasure.org|mg` are three keys, so each is one seek. The last is in base units
//! where the code is UCUM's ([`mod@crate::fhir::unit`]): it finds 0.0054 g too. Money has its currency as code.
//! Source: <https://hl7.org/fhir/R4/search.html#quantity>.

use super::{Place, Sink, number};
use crate::fhir::Json;
use crate::fhir::unit::{self, UCUM};
use crate::search::plan::Cond;
use crate::search::query::text::{split, unescape};
use crate::search::rows::ordered;
use std::sync::Arc;

const CURRENCY: &str = "urn:iso:std:iso:4217";

/// Lowest and highest, inclusive.
type Range = (i64, i64);

/// Number range and unit of a Quantity, Money, Range or SampledData.
pub(super) struct Measured<'a> {
    pub plain: Range,
    /// In base units, and which these are.
    based: Option<(Arc<str>, Range)>,
    system: &'a str,
    code: &'a str,
    unit: &'a str,
}

/// Texts of the lowest and the highest number; `None` where there is no limit.
struct Ends<'a> {
    low: Option<&'a str>,
    high: Option<&'a str>,
    /// The lowest, the highest, is not part of it.
    is_open: bool,
}

impl Ends<'_> {
    fn range(&self, point: &dyn Fn(&str) -> Option<i64>) -> Option<Range> {
        let step = i64::from(self.is_open);
        let low = self.low.map(|text| point(text).map(|n| n + step));
        let high = self.high.map(|text| point(text).map(|n| n - step));
        // A limit that is there and cannot be read makes no range.
        Some((low.unwrap_or(Some(i64::MIN))?, high.unwrap_or(Some(i64::MAX))?))
    }
}

pub(super) fn of(value: &Json) -> Option<Measured<'_>> {
    let (low, high) = (&value["low"], &value["high"]);
    if !low.is_null() || !high.is_null() {
        let ends = Ends { low: low["value"].as_number(), high: high["value"].as_number(), is_open: false };
        if ends.low.is_none() && ends.high.is_none() {
            return None;
        }
        return measured(if low.is_null() { high } else { low }, &ends);
    }
    if !value["origin"].is_null() {
        let limit = |name: &str| value[name].as_number();
        let ends = Ends { low: Some(limit("lowerLimit")?), high: Some(limit("upperLimit")?), is_open: false };
        return measured(&value["origin"], &ends);
    }
    let n = Some(value["value"].as_number()?);
    let (low, high, is_open) = match value["comparator"].as_str() {
        Some("<") => (None, n, true),
        Some("<=") => (None, n, false),
        Some(">") => (n, None, true),
        Some(">=") => (n, None, false),
        _ => (n, n, false),
    };
    let ends = Ends { low, high, is_open };
    match value["currency"].as_str() {
        Some(currency) => {
            let plain = ends.range(&number::point)?;
            Some(Measured { plain, based: None, system: CURRENCY, code: currency, unit: "" })
        }
        None => measured(value, &ends),
    }
}

fn measured<'a>(unit: &'a Json, ends: &Ends<'_>) -> Option<Measured<'a>> {
    let (system, code) = (unit["system"].text(), unit["code"].text());
    let base = if system == UCUM { unit::of(code) } else { None };
    let based = base.and_then(|base| {
        let range = ends.range(&|text| base.in_base(text).map(ordered))?;
        Some((base.base, range))
    });
    Some(Measured { plain: ends.range(&number::point)?, based, system, code, unit: unit["unit"].text() })
}

impl Measured<'_> {
    /// Calls back with each form (name, parts) in which the unit can be asked for, and the range in it; the bare number is
    /// `("", [])`.
    pub(super) fn forms(&self, each: &mut dyn FnMut(&str, &[&str], Range)) {
        each("", &[], self.plain);
        if !self.code.is_empty() {
            each("u", &[self.code], self.plain);
            match &self.based {
                Some((base, range)) => each("base", &[base], *range),
                None if !self.system.is_empty() => each("su", &[self.system, self.code], self.plain),
                None => {}
            }
        }
        if !self.unit.is_empty() && self.unit != self.code {
            each("u", &[self.unit], self.plain);
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
        measured.forms(&mut |form, parts, (lo, hi)| sink.rows.range.push((key(&place, form, parts), lo, hi)));
        sink.found.note_range(measured.plain.0, measured.plain.1);
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
            let (system, code) = (unescape(system), unescape(code));
            if system == UCUM
                && let Some(base) = unit::of(&code)
            {
                let bounds = number::bounds_in(&unescape(number), Some(&base))?;
                return Ok((bounds, "base", vec![base.base.to_string()]));
            }
            Ok((bounds(number)?, "su", vec![system.into(), code.into()]))
        }
        _ => Err("a quantity is number, number|system|code or number||unit".into()),
    }
}

pub(in crate::search) fn cond(place: &Place<'_>, value: &str) -> Result<Cond, String> {
    let (bounds, form, parts) = parse(value)?;
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    Ok(super::Bounds::cond(bounds, key(place, form, &parts)))
}
