//! Discharges: what a stay is, and whether its end is followed up.
//!
//! For: [`decide`], a pure function of the stay, what is known beside it, and the clock. Not for: reading and writing
//! (`react/stay.rs`) or the resources themselves (`build.rs`).
//! Source: `profiles/protocol/README.md`; <https://hl7.org/fhir/R4/encounter.html>.

use super::Programme;
use super::element::{self, ACT_CODE};
use super::guard::Findings;
use crate::access::Ctx;
use crate::clock::Instant;
use crate::fhir::{Json, Target};
use jiff::tz::TimeZone;
use std::borrow::Cow;

/// Seconds that a discharge may lie ahead of the clock: hospitals' clocks differ.
const SKEW_SECONDS: i64 = 600;

/// A stay in hospital, as its Encounter says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stay {
    /// The Encounter.
    pub encounter: Target,
    /// The patient, when it is one of this server.
    pub patient: Option<Target>,
    /// The organisation that discharges: whose system sends the stay, or where nobody's does, [`Stay::site`].
    pub hospital: Option<Target>,
    /// `Encounter.serviceProvider`, when it is one of this server: the hospital or a part of it.
    pub site: Option<Target>,
    /// `Encounter.class`, HL7's code.
    pub class: String,
    /// `Encounter.status`.
    pub status: String,
    /// First moment it may have begun.
    pub start: Option<Instant>,
    /// Last moment it may have ended.
    pub end: Option<Instant>,
    /// `period.end` as written.
    pub end_text: String,
    /// Where the patient went; `None` when the hospital does not say.
    pub destination: Option<String>,
}

impl Stay {
    /// Reads an Encounter; `None` when it is no stay whose end concerns the programme (an office visit, say).
    #[must_use]
    pub fn of(programme: &Programme, encounter: &Json) -> Option<Self> {
        let class = element::codings(&encounter["class"]);
        let (_, class) = class.into_iter().find(|(system, _)| *system == ACT_CODE)?;
        if !programme.criteria.recorded.iter().any(|c| c == class) {
            return None;
        }
        let base = &programme.env.base;
        let period = &encounter["period"];
        let zone = &programme.env.zone;
        Some(Self {
            encounter: element::target_of(encounter)?,
            patient: element::patient_of(encounter, base),
            hospital: element::leads_to_a("Organization", &encounter["serviceProvider"], base),
            site: element::leads_to_a("Organization", &encounter["serviceProvider"], base),
            class: class.into(),
            status: encounter["status"].text().into(),
            start: element::earliest(period["start"].text(), zone),
            end: element::latest(period["end"].text(), zone),
            end_text: period["end"].text().into(),
            destination: programme
                .destinations
                .of(&encounter["hospitalization"]["dischargeDisposition"])
                .map(String::from),
        })
    }

    /// Whether the patient has left.
    #[must_use]
    pub fn is_discharge(&self) -> bool {
        self.status == "finished"
    }

    /// Whether the patient is, or was, in hospital by it.
    #[must_use]
    pub fn is_admission(&self) -> bool {
        matches!(self.status.as_str(), "in-progress" | "onleave" | "finished")
    }

    /// Whether the patient left by dying.
    #[must_use]
    pub fn is_death(&self, programme: &Programme) -> bool {
        self.destination.as_deref().is_some_and(|d| programme.destinations.followed(d).1 == "deceased")
    }

    /// Whether the hospital says that it never was.
    #[must_use]
    pub fn is_void(&self) -> bool {
        matches!(self.status.as_str(), "cancelled" | "entered-in-error")
    }
}

/// What is known beside the stay when it is decided.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// The Patient.
    pub patient: Option<Json>,
    /// Medicines known to be taken after the discharge.
    pub medicines: usize,
    /// The same discharge is followed up under another Encounter.
    pub is_duplicate: bool,
    /// A discharge after this one is followed up.
    pub has_later_stay: bool,
    /// This discharge is followed up already: what has begun does not end because time passes.
    pub is_followed: bool,
    /// The patient does not want to be followed up.
    pub refuses: bool,
    /// Criteria of the site's own that the case surely does not meet.
    pub unmet: Vec<Reason>,
}

/// Why a stay is not followed up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// A code of `eligibility`, under `criterion`.
    pub criterion: Cow<'static, str>,
    /// A code of `not-eligible-reason`.
    pub code: String,
}

/// What becomes of a discharge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It is followed up.
    Follow,
    /// It is not.
    Leave {
        /// All that speaks against it, at least one.
        reasons: Vec<Reason>,
    },
}

/// Decides whether a discharge is followed up.
///
/// The same stay and knowledge give the same decision; only the horizon looks at the clock, and only for a discharge that
/// is not followed up yet.
#[must_use]
pub fn decide(programme: &Programme, stay: &Stay, known: &Known, now: Instant) -> Decision {
    let criteria = &programme.criteria;
    let mut reasons = Vec::new();
    let mut because =
        |criterion: &'static str, code: &str| reasons.push(Reason { criterion: criterion.into(), code: code.into() });
    if !criteria.followed.contains(&stay.class) {
        because("stay-class", "class-not-followed");
    }
    let destination = stay.destination.as_deref().unwrap_or(&criteria.absent);
    let (followed, why) = programme.destinations.followed(destination);
    if !followed {
        because("disposition", why);
    }
    match &known.patient {
        None => because("life", "no-patient"),
        Some(patient) => {
            if is_dead(patient, now) && why != "deceased" {
                because("life", "deceased");
            }
            if is_too_young(patient, stay, criteria.min_age) {
                because("age", "too-young");
            }
        }
    }
    let end = stay.end.unwrap_or(now);
    if !known.is_followed {
        if now > end.plus_seconds(criteria.horizon_days.saturating_mul(86_400)) {
            because("horizon", "too-old-discharge");
        }
        if known.is_duplicate {
            because("episode", "duplicate-discharge");
        }
        if known.refuses {
            because("consent", "consent-refused");
        }
        if known.has_later_stay {
            because("episode", "later-stay-known");
        }
        if i64::try_from(known.medicines).unwrap_or(i64::MAX) < criteria.min_medicines {
            because("medicines", "too-few-medicines");
        }
        reasons.extend(known.unmet.iter().cloned());
    }
    if reasons.is_empty() { Decision::Follow } else { Decision::Leave { reasons } }
}

/// Whether the patient has died by `now`.
#[must_use]
pub fn is_dead(patient: &Json, now: Instant) -> bool {
    let at = element::earliest(patient["deceasedDateTime"].text(), &TimeZone::UTC);
    patient["deceasedBoolean"].as_bool() == Some(true) || at.is_some_and(|at| at <= now)
}

/// Whether the patient was surely younger than `years` at the discharge; an unknown birth date proves nothing.
fn is_too_young(patient: &Json, stay: &Stay, years: i64) -> bool {
    let (Some(birth), Some(end)) = (element::earliest(patient["birthDate"].text(), &TimeZone::UTC), stay.end) else {
        return false;
    };
    let day = |at: Instant| at.timestamp().to_zoned(TimeZone::UTC).date();
    let years = i16::try_from(years).unwrap_or(i16::MAX);
    day(birth).checked_add(jiff::Span::new().years(years)).is_ok_and(|adult| day(end) < adult)
}

/// Judges an Encounter: the end of a stay must be a possible one.
pub fn judge(ctx: &Ctx, programme: &Programme, after: &Json, findings: &mut Findings) {
    let mut named = after.clone();
    if named.get("id").is_none() {
        named.set("id", "new"); // a create has no id yet
    }
    let Some(stay) = Stay::of(programme, &named).filter(Stay::is_discharge) else { return };
    match (stay.start, stay.end) {
        (_, None) => {
            findings.refuse("Encounter.period.end", "a finished stay needs the time of its discharge as period.end");
        }
        (_, Some(_)) if starts_after(after, programme, ctx.now.plus_seconds(SKEW_SECONDS)) => {
            findings.refuse("Encounter.period.end", "a discharge cannot lie in the future");
        }
        (Some(start), Some(end)) if end < start => {
            findings.refuse("Encounter.period.end", "the discharge lies before the admission");
        }
        _ => {}
    }
}

fn starts_after(encounter: &Json, programme: &Programme, limit: Instant) -> bool {
    element::earliest(encounter["period"]["end"].text(), &programme.env.zone).is_some_and(|end| end > limit)
}
