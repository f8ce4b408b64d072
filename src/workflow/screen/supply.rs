//! Conditions on what pharmacies handed out: not at all, otherwise than prescribed, too long ago.

use super::{Facts, Hit};
use crate::clock::Instant;
use crate::fhir::{Json, Target};
use crate::workflow::element;
use crate::workflow::list::Group;
use crate::workflow::medicine::Line;
use crate::workflow::reconcile::{Source, compare};
use jiff::tz::TimeZone;

fn handed_over(dispense: &Json) -> Option<Instant> {
    element::earliest(dispense["whenHandedOver"].text(), &TimeZone::UTC)
}

/// Whether a dispense was handed over after the patient had left; without a time it counts as not.
pub fn is_after_discharge(facts: &Facts<'_>, dispense: &Target) -> bool {
    let at = facts.resources.get(dispense).and_then(|d| handed_over(d));
    matches!((at, facts.discharged_at), (Some(at), Some(left)) if at >= left)
}

/// Dispenses of the patient that were handed over: (address, resource, when, what), the oldest first.
fn dispenses<'a>(facts: &'a Facts<'_>) -> Vec<(&'a Target, &'a Json, Instant, Line)> {
    let done = facts.of_type("MedicationDispense").filter(|(_, d)| d["status"].text() == "completed");
    let mut all: Vec<_> = done
        .filter_map(|(t, d)| {
            let known = facts.reconciled.sources.iter().find(|s| s.target == *t);
            let line = known.map_or_else(|| Line::of(facts.tables, d, None), |s| s.line.clone());
            Some((t, d, handed_over(d)?, line))
        })
        .collect();
    all.sort_by(|a, b| (a.2, a.0).cmp(&(b.2, b.0)));
    all
}

fn is_of(line: &Line, source: &Source) -> bool {
    let (x, y) = (line.medicine.substances(), source.line.medicine.substances());
    if x.is_empty() || y.is_empty() {
        return !line.codes.is_disjoint(&source.line.codes) || line.display == source.line.display;
    }
    x == y
}

fn prescribed<'a>(facts: &'a Facts<'_>) -> impl Iterator<Item = &'a Source> {
    let is = |s: &&Source| s.group == Group::Discharge && !s.is_ended && s.target.rtype.as_str() == "MedicationRequest";
    facts.reconciled.sources.iter().filter(is)
}

/// Prescriptions of the discharge that nobody has handed out in time.
pub fn not_dispensed(facts: &Facts<'_>, hours: i64, when_none: bool) -> Vec<Hit> {
    let Some(left) = facts.discharged_at.filter(|left| left.plus_seconds(hours * 3_600) <= facts.now) else {
        return Vec::new();
    };
    let all = dispenses(facts);
    // Where no pharmacy's records come in, nothing handed out says nothing.
    if !when_none && !all.iter().any(|(.., at, _)| *at >= left) {
        return Vec::new();
    }
    let since = facts.admitted_at.unwrap_or(left);
    let missing = prescribed(facts).filter(|s| !all.iter().any(|(.., at, line)| *at >= since && is_of(line, s)));
    missing.map(|s| Hit::of(s).says("hours", hours.to_string())).collect()
}

/// What was handed out after the discharge otherwise than it was prescribed.
pub fn differs(facts: &Facts<'_>, what: &[String]) -> Vec<Hit> {
    let mut out = Vec::new();
    for outcome in &facts.reconciled.outcomes {
        let of: Vec<&Source> = facts.sources(&outcome.sources).collect();
        let Some(ordered) = of.iter().find(|s| s.group == Group::Discharge && !s.is_ended) else { continue };
        let handed = of.iter().filter(|s| s.group == Group::Dispensed && is_after_discharge(facts, &s.target));
        for dispense in handed {
            let changes = compare(&ordered.line, &dispense.line).changes;
            let said = changes.iter().filter(|c| what.iter().any(|w| w == c.what));
            let said: Vec<String> = said.map(|c| format!("{} {} for {}", c.what, c.to, c.from)).collect();
            if !said.is_empty() {
                let mut hit = Hit::of(ordered).says("changes", said.join("; "));
                hit.implicated.insert(dispense.target.clone());
                out.push(hit);
            }
        }
    }
    out
}

/// Medicines that go on, and whose supply has run out so many days ago. The days of the stay do not count: the hospital had
/// its own.
pub fn late(facts: &Facts<'_>, days: i64) -> Vec<Hit> {
    let all = dispenses(facts);
    let stay = match (facts.admitted_at, facts.discharged_at) {
        (Some(from), Some(to)) => (to.0 - from.0).max(0) / 1_000_000,
        _ => 0,
    };
    let mut out = Vec::new();
    for source in facts.current().into_iter().filter(|s| s.group != Group::Told) {
        let last = all.iter().rfind(|(.., line)| is_of(line, source));
        let Some((at, dispense, when, _)) = last else { continue };
        let supply = &dispense["daysSupply"];
        let unit = supply["code"].as_str().or(supply["unit"].as_str()).unwrap_or("d");
        let lasts = supply["value"].as_number().and_then(|v| v.parse::<f64>().ok());
        let Some(lasts) = lasts.filter(|l| *l > 0.0 && *l < 3_650.0 && matches!(unit, "d" | "day" | "days")) else {
            continue;
        };
        #[allow(clippy::cast_possible_truncation, reason = "less than ten years in seconds")]
        let mut ends = when.plus_seconds((lasts * 86_400.0) as i64);
        if facts.admitted_at.is_some_and(|from| *when < from && ends > from) {
            ends = ends.plus_seconds(stay);
        }
        if ends.plus_seconds(days * 86_400) <= facts.now {
            let date = ends.timestamp().strftime("%Y-%m-%d").to_string();
            let mut hit = Hit::of(source).says("date", date).says("days", days.to_string());
            hit.evidence.insert((*at).clone());
            out.push(hit);
        }
    }
    out
}
