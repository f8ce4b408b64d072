//! Consent: whether a patient wants to be followed up, and which pharmacies are kept out of it.
//!
//! For: [`refuses`] and [`keeps_out`], and [`lets_through`] of single rows: pure functions of the patient's Consents and the clock.
//! Not for: what follows from them (`react/consent.rs`, `react/withhold.rs`, `records.rs`), or a Consent about other parts of the data.
//! Source: <https://hl7.org/fhir/R4/consent.html>; scopes and purposes as in `profiles/protocol/eligibility.json`; own rules
//! of precedence, written down in `profiles/protocol/README.md`.

use super::Programme;
use super::element::{self, ACT_CODE, codings};
use crate::clock::Instant;
use crate::fhir::{Json, Target};
use jiff::tz::TimeZone;
use std::collections::{BTreeMap, BTreeSet};

/// Elements that narrow a provision to some data: then it does not speak about the follow-up or the hand-off as a whole.
const NARROWING: [&str; 5] = ["securityLabel", "class", "code", "dataPeriod", "data"];

/// HL7's codes of what a provision is about.
const ACTION: &str = "http://terminology.hl7.org/CodeSystem/consentaction";

/// Those that a hand-off is: to correct or to collect data is something else.
const HANDING: [&str; 3] = ["access", "use", "disclose"];

/// An organisation as Consents may name it: its resource, and those of the organisations that it is part of.
#[derive(Debug, Clone, Copy)]
pub struct Party<'a>(pub &'a [Json]);

/// What a Consent says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Word {
    denies: bool,
    /// Of somebody whom it names, not of everybody.
    is_named: bool,
}

/// A word, and when it was given; what has no time is older than all that has one.
struct Said<'a> {
    at: Option<Instant>,
    word: Word,
    consent: &'a Json,
}

/// Whether the patient has refused the follow-up as a whole: the latest of the Consents that are in force at `now` and name
/// nobody denies it - of two of the same time the one that does -, and none lets somebody in all the same.
///
/// `consents`: all of the patient's, in any order.
#[must_use]
pub fn refuses<'a>(programme: &Programme, consents: impl IntoIterator<Item = &'a Json>, now: Instant) -> bool {
    let reader = Reader { programme, now, party: None };
    let consents: Vec<&Json> = consents.into_iter().collect();
    let said = consents.iter().filter_map(|c| reader.said(c));
    let Some(last) = said.max_by_key(|s| (s.at, s.word.denies)).filter(|s| s.word.denies) else { return false };
    let lets_in = |c: &&Json| {
        let is_later = std::ptr::eq(*c, last.consent) || reader.time(c) > last.at;
        is_later && reader.is_in_force(c) && reader.lets_somebody_in(&c["provision"], false)
    };
    !consents.iter().any(lets_in)
}

/// The Consent that keeps an organisation out at `now`; `None`: it may have the hand-off.
///
/// A denial stands until a later Consent permits; a permit that names nobody does not lift a denial that names somebody.
/// Within one Consent the innermost provision that fits counts, of two side by side the one that names, then the denial.
#[must_use]
pub fn keeps_out<'a>(
    programme: &Programme,
    consents: impl IntoIterator<Item = &'a Json>,
    now: Instant,
    party: Party<'_>,
) -> Option<&'a Json> {
    let reader = Reader { programme, now, party: Some(party) };
    let said: Vec<Said<'a>> = consents.into_iter().filter_map(|c| reader.said(c)).collect();
    let lifts = |permit: &Said<'_>, denial: &Said<'_>| {
        !permit.word.denies && permit.at > denial.at && (permit.word.is_named || !denial.word.is_named)
    };
    let stands = |denial: &&Said<'a>| denial.word.denies && !said.iter().any(|p| lifts(p, denial));
    said.iter().filter(stands).max_by_key(|d| d.at).map(|d| d.consent)
}

/// Codes of what 42 CFR Part 2 protects: records of the treatment of substance use disorders.
const PART_2: [&str; 6] = ["42CFRPart2", "ALCOHOL", "ETH", "ETHUD", "OPIOIDUD", "SUD"];

/// Whether a resource is labelled as protected by 42 CFR Part 2, by `meta.security`; the code alone counts, whatever its system.
#[must_use]
pub fn is_part_2(resource: &Json) -> bool {
    names_part_2(&resource["meta"]["security"])
}

fn names_part_2(labels: &Json) -> bool {
    codings(labels).iter().any(|(_, code)| PART_2.contains(code))
}

/// Whether the patient lets an organisation have what 42 CFR Part 2 protects: the latest of the Consents that are in force and
/// speak about it permits it, by a provision with one of these labels. A general permit is none; a denial is one in any case.
#[must_use]
pub fn lets_part_2<'a>(
    programme: &Programme,
    consents: impl IntoIterator<Item = &'a Json>,
    now: Instant,
    party: Party<'_>,
) -> bool {
    let reader = Reader { programme, now, party: Some(party) };
    let said = consents.into_iter().filter(|c| reader.is_in_force(c)).filter_map(|c| {
        let permits = reader.permits_part_2(&c["provision"], false)?;
        Some((reader.time(c), !permits))
    });
    said.max().is_some_and(|(_, denies)| !denies)
}

/// Rows that the patient lets the follow-up look at although security labels keep them back: what a provision that permits, and names
/// nobody, names one by one (`data` with `meaning` `instance`). Of several Consents the latest that names a row counts, then the denial;
/// within one the innermost provision.
#[must_use]
pub fn lets_through<'a>(
    programme: &Programme,
    consents: impl IntoIterator<Item = &'a Json>,
    now: Instant,
) -> BTreeSet<Target> {
    let reader = Reader { programme, now, party: None };
    let mut said: BTreeMap<Target, (Option<Instant>, bool)> = BTreeMap::new();
    for consent in consents.into_iter().filter(|c| reader.is_in_force(c)) {
        let mut within: BTreeMap<Target, (usize, bool)> = BTreeMap::new();
        reader.rows(&consent["provision"], &[], 0, &mut |row, word| {
            let last = within.entry(row.clone()).or_insert(word);
            *last = (*last).max(word);
        });
        for (row, (_, denies)) in within {
            let word = (reader.time(consent), denies);
            let last = said.entry(row).or_insert(word);
            *last = (*last).max(word);
        }
    }
    said.into_iter().filter(|(_, (_, denies))| !denies).map(|(row, _)| row).collect()
}

/// Whether a Consent names rows one by one.
#[must_use]
pub fn names_rows(consent: &Json) -> bool {
    fn in_provision(provision: &Json) -> bool {
        !provision["data"].items().is_empty() || provision["provision"].items().iter().any(in_provision)
    }
    element::type_of(consent) == "Consent" && in_provision(&consent["provision"])
}

/// Whether a provision of a Consent, or one inside it, begins or ends after `since` and up to `now`: what it says is another then.
#[must_use]
pub fn turns(programme: &Programme, consent: &Json, since: Instant, now: Instant) -> bool {
    fn turns(provision: &Json, zone: &TimeZone, since: Instant, now: Instant) -> bool {
        let period = &provision["period"];
        let within = |at: Option<Instant>| at.is_some_and(|at| since <= at && at <= now);
        within(element::earliest(period["start"].text(), zone))
            || within(element::latest(period["end"].text(), zone))
            || provision["provision"].items().iter().any(|inner| turns(inner, zone, since, now))
    }
    turns(&consent["provision"], &programme.env.zone, since, now)
}

/// Whether a Consent names whom it is about: who that is, is nobody's business but the hospital's.
#[must_use]
pub fn names_somebody(consent: &Json) -> bool {
    fn in_provision(provision: &Json) -> bool {
        !provision["actor"].items().is_empty() || provision["provision"].items().iter().any(in_provision)
    }
    in_provision(&consent["provision"])
}

/// Reads Consents at one time, for one organisation or for the follow-up as a whole.
#[derive(Clone, Copy)]
struct Reader<'a> {
    programme: &'a Programme,
    now: Instant,
    party: Option<Party<'a>>,
}

impl Reader<'_> {
    fn said<'c>(&self, consent: &'c Json) -> Option<Said<'c>> {
        Some(Said { at: self.time(consent), word: self.word(consent)?, consent })
    }

    fn time(&self, consent: &Json) -> Option<Instant> {
        element::earliest(consent["dateTime"].text(), &self.programme.env.zone)
    }

    /// Whether a Consent counts at all: active, of a scope that the programme heeds, its root about the follow-up now.
    fn is_in_force(&self, consent: &Json) -> bool {
        consent["status"].text() == "active"
            && among(&consent["scope"], &self.programme.criteria.consent_scopes)
            && self.is_about(&consent["provision"])
    }

    /// `None`: it is about something else, or not in force.
    fn word(&self, consent: &Json) -> Option<Word> {
        if !self.is_in_force(consent) {
            return None;
        }
        let provision = &consent["provision"];
        let rule = |code: &str| element::has_code(&consent["policyRule"], ACT_CODE, code);
        let is_plain = provision["type"].is_null() && provision["actor"].items().is_empty() && !is_narrowed(provision);
        let base = match (rule("OPTOUT"), rule("OPTIN") || is_plain) {
            (true, _) => Some(true),
            (false, true) => Some(false),
            (false, false) => None,
        };
        let base = base.map(|denies| Word { denies, is_named: false });
        self.judged(provision, base, false).unwrap_or(base)
    }

    /// What a provision and those inside it say; `None`: it does not fit. `above`: what holds around it.
    fn judged(&self, provision: &Json, above: Option<Word>, is_named: bool) -> Option<Option<Word>> {
        if !self.is_about(provision) || is_narrowed(provision) || !self.fits(provision) {
            return None;
        }
        let is_named = is_named || !provision["actor"].items().is_empty();
        let own = match provision["type"].text() {
            "deny" => Some(Word { denies: true, is_named }),
            "permit" => Some(Word { denies: false, is_named }),
            _ => above,
        };
        let inner = provision["provision"].items().iter().filter_map(|p| self.judged(p, own, is_named)).flatten();
        Some(inner.max_by_key(|w| (w.is_named, w.denies)).or(own))
    }

    /// What a provision and those inside it say about what 42 CFR Part 2 protects; `None`: nothing.
    fn permits_part_2(&self, provision: &Json, is_labelled: bool) -> Option<bool> {
        let labels = &provision["securityLabel"];
        let is_about = labels.items().is_empty() || names_part_2(labels);
        let is_narrowed = NARROWING.iter().any(|n| *n != "securityLabel" && provision.get(n).is_some());
        if !is_about || is_narrowed || !self.is_about(provision) || !self.fits(provision) {
            return None;
        }
        let is_labelled = is_labelled || !labels.items().is_empty();
        let own = match provision["type"].text() {
            "deny" => Some(false),
            "permit" if is_labelled => Some(true),
            _ => None,
        };
        let inner = provision["provision"].items().iter().filter_map(|p| self.permits_part_2(p, is_labelled));
        inner.min().or(own)
    }

    /// Rows that a provision and those inside it name, with how deep that is said, and whether it denies. `around`: what the one
    /// around it names.
    fn rows(&self, provision: &Json, around: &[Target], depth: usize, found: &mut dyn FnMut(&Target, (usize, bool))) {
        let is_narrowed = NARROWING.iter().any(|n| *n != "data" && provision.get(n).is_some());
        if is_narrowed || !self.is_about(provision) || !self.fits(provision) {
            return;
        }
        let data = provision["data"].items();
        let named = data.iter().filter(|d| d["meaning"].text() == "instance");
        let named: Vec<Target> =
            named.filter_map(|d| element::leads_to(&d["reference"], &self.programme.env.base)).collect();
        let rows = if data.is_empty() { around } else { &named };
        if let denies @ ("deny" | "permit") = provision["type"].text() {
            rows.iter().for_each(|row| found(row, (depth, denies == "deny")));
        }
        for inner in provision["provision"].items() {
            self.rows(inner, rows, depth + 1, found);
        }
    }

    /// Whether a provision is of now and about handing on for treatment.
    fn is_about(&self, provision: &Json) -> bool {
        let zone = &self.programme.env.zone;
        let period = &provision["period"];
        let begun = element::earliest(period["start"].text(), zone).is_none_or(|start| start <= self.now);
        let ended = element::latest(period["end"].text(), zone).is_some_and(|end| end < self.now);
        let purposes = &provision["purpose"];
        let for_it = purposes.items().is_empty() || among(purposes, &self.programme.criteria.consent_purposes);
        let mut actions = provision["action"].items().iter().peekable();
        let hands =
            actions.peek().is_none() || actions.any(|a| HANDING.iter().any(|c| element::has_code(a, ACTION, c)));
        begun && !ended && for_it && hands
    }

    /// Whether a provision is about whom this is asked for.
    fn fits(&self, provision: &Json) -> bool {
        let actors = provision["actor"].items();
        let base = &self.programme.env.base;
        actors.is_empty() || self.party.is_some_and(|p| actors.iter().any(|a| p.is_named(&a["reference"], base)))
    }

    /// Whether some provision permits to somebody whom it names.
    fn lets_somebody_in(&self, provision: &Json, is_named: bool) -> bool {
        if !self.is_about(provision) || is_narrowed(provision) {
            return false;
        }
        let is_named = is_named || !provision["actor"].items().is_empty();
        (is_named && provision["type"].text() == "permit")
            || provision["provision"].items().iter().any(|p| self.lets_somebody_in(p, is_named))
    }
}

impl Party<'_> {
    /// By address, or by an identifier that the directory knows it by.
    fn is_named(&self, reference: &Json, base: &str) -> bool {
        let at = element::leads_to_a("Organization", reference, base);
        let identifier = &reference["identifier"];
        let (system, value) = (&identifier["system"], identifier["value"].text());
        self.0.iter().any(|org| match &at {
            Some(at) => element::target_of(org).as_ref() == Some(at),
            None => {
                let is_it = |i: &&Json| i["system"] == *system && i["value"].text() == value;
                !value.is_empty() && org["identifier"].items().iter().any(|i| is_it(&i))
            }
        })
    }
}

fn is_narrowed(provision: &Json) -> bool {
    NARROWING.iter().any(|name| provision.get(name).is_some())
}

fn among(element: &Json, known: &[(String, String)]) -> bool {
    codings(element).iter().any(|(s, c)| known.iter().any(|(system, code)| s == system && c == code))
}

#[cfg(test)]
mod tests;
