//! Dates: every value is an interval of microseconds, as wide as its text is precise.
//!
//! Source: <https://hl7.org/fhir/R4/search.html#date>, <https://hl7.org/fhir/R4/datatypes.html#dateTime>. Texts without a
//! zone are read in the zone of the server. Own rule: `ap` is "overlaps", without widening (the page leaves it to the
//! server).

use super::{Bounds, Prefix, Sink};
use crate::fhir::{Json, date};
use crate::search::Env;
use crate::search::plan::Cond;

/// The interval of a date, Period or Timing; open ends are the ends of time.
#[must_use]
pub fn of(value: &Json, env: &Env) -> Option<(i64, i64)> {
    let ends = |span: date::Span| (span.lo, span.hi.max(span.lo));
    match value {
        Json::String(text) => date::span(text, &env.zone).map(ends),
        Json::Object(object) if object.get("start").is_some() || object.get("end").is_some() => {
            date::period(value, &env.zone).map(ends)
        }
        Json::Object(_) => {
            // Timing: its outer limits.
            let events = value["event"].items().iter().filter_map(|e| of(e, env));
            let bounds = of(&value["repeat"]["boundsPeriod"], env);
            events.chain(bounds).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
        }
        _ => None,
    }
}

pub(in crate::search) fn extract(value: &Json, env: &Env, sink: &mut Sink<'_>) {
    if let Some((lo, hi)) = of(value, env) {
        sink.rows.range.push((sink.place.key(), lo, hi));
        sink.found.note_range(lo, hi);
    }
}

/// Bounds of one value of a query.
pub(in crate::search) fn bounds(value: &str, env: &Env) -> Result<Vec<Bounds>, String> {
    let (prefix, a, b) = parse(value, env)?;
    Ok(Bounds::of(prefix, a, b))
}

/// Prefix, first and last microsecond of one value of a query.
fn parse(value: &str, env: &Env) -> Result<(Prefix, i64, i64), String> {
    let (prefix, text) = Prefix::split(value)?;
    let span = date::search_span(text, &env.zone).ok_or_else(|| {
        let text = crate::fhir::resource::printable(text);
        format!("'{text}' is no date; write YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm[:ss][Z|+hh:mm], with a prefix if you like")
    })?;
    Ok((prefix, span.lo, span.hi))
}

/// `_lastUpdated`: the row is one microsecond.
pub(in crate::search) fn updated(value: &str, env: &Env) -> Result<Cond, String> {
    let (prefix, a, b) = parse(value, env)?;
    let between = |from, to| Cond::Updated { from, to };
    Ok(match prefix {
        Prefix::Eq | Prefix::Ap => between(Some(a), Some(b)),
        Prefix::Ne => Cond::Not(Box::new(between(Some(a), Some(b)))),
        Prefix::Gt | Prefix::Sa => between(b.checked_add(1), None),
        Prefix::Lt | Prefix::Eb => between(None, a.checked_sub(1)),
        Prefix::Ge => between(Some(a), None),
        Prefix::Le => between(None, Some(b)),
    })
}
