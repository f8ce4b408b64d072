//! Life of a drug therapy problem: who reports, who decides, and what a decision needs.
//!
//! For: the guard of every DetectedIssue. Not for: its review Task (`react/dtp.rs`).
//! R4 has no status `mitigated`: what is solved is `final` with mitigation and the extension `resolution`.
//! R4 asks for a status alone; a report that a pharmacist can work with says more, whoever makes it and by whatever door ([`WHOLE`]).
//! Source: <https://hl7.org/fhir/R4/detectedissue.html>; own rules in `profiles/policy/README.md`.

use super::Programme;
use super::build::FINDING;
use super::element::{self, ACT_CODE, extension, own_code, own_identifier};
use super::guard::Findings;
use super::outreach::SKEW_SECONDS;
use crate::access::{Ctx, Role};
use crate::fhir::Json;
use jiff::tz::TimeZone;

/// (from, to). Staying is always allowed; what is not here is not.
const STEPS: [(&str, &str); 12] = [
    ("registered", "preliminary"),
    ("registered", "final"),
    ("registered", "cancelled"),
    ("registered", "entered-in-error"),
    ("preliminary", "final"),
    ("preliminary", "cancelled"),
    ("preliminary", "entered-in-error"),
    ("final", "amended"),
    ("final", "corrected"),
    ("amended", "corrected"),
    ("corrected", "amended"),
    ("unknown", "preliminary"),
];

/// What may change of a decided problem: it says nothing of the problem.
const AROUND: [&str; 4] = ["id", "meta", "language", "text"];

/// Mitigations that say a prescriber was asked, and that the prescriber declined.
const PRESCRIBER: [&str; 2] = ["5", DECLINED];
const DECLINED: &str = "6";

/// Whether a mitigation says that a prescriber was asked.
#[must_use]
pub fn asks_prescriber(mitigation: &Json) -> bool {
    element::codings(&mitigation["action"]).iter().any(|(s, c)| *s == ACT_CODE && PRESCRIBER.contains(c))
}

/// Whether the problem waits for a pharmacist.
#[must_use]
pub fn is_open(issue: &Json) -> bool {
    matches!(issue["status"].text(), "registered" | "preliminary")
}

/// Whether a pharmacist has decided the problem.
#[must_use]
pub fn is_decided(issue: &Json) -> bool {
    matches!(issue["status"].text(), "final" | "amended" | "corrected")
}

/// Judges a create or change of a DetectedIssue.
pub fn judge(ctx: &Ctx, programme: &Programme, before: Option<&Json>, after: &Json, findings: &mut Findings) {
    let imports = before.is_none() && ctx.principal.role == Role::SuperUser && !is_open(after);
    if imports {
        return; // history from elsewhere: it was decided there
    }
    match before {
        None => authorship(ctx, after, findings),
        Some(before) => change(ctx, before, after, findings),
    }
    if is_open(after) {
        undecided(after, findings);
    }
    if is_open(after) || before.is_none() {
        report(before, after, findings);
    }
    let newly = before.is_none_or(|b| b["status"] != after["status"] || b["mitigation"] != after["mitigation"]);
    if is_decided(after) && newly {
        // What a report was shown by shows nothing of what was done about it.
        let reported = before.filter(|b| is_open(b)).map_or(&[][..], |b| b["evidence"].items());
        decision(programme, reported, after, findings);
    }
    mitigations(ctx, before, after, findings);
}

/// What a report needs. A problem of before that lacks something goes on without it; what it says, it keeps saying.
fn report(before: Option<&Json>, after: &Json, findings: &mut Findings) {
    if after["patient"]["reference"].text().is_empty() {
        findings.refuse("DetectedIssue.patient", "a drug therapy problem needs its patient");
    }
    if element::codings(&after["code"]).is_empty() && after["code"]["text"].text().is_empty() {
        findings
            .refuse("DetectedIssue.code", "a drug therapy problem needs a code or a text: what kind of problem it is");
    }
    for (element, says, text) in WHOLE {
        if !says(after) && before.is_none_or(says) {
            findings.refuse(format!("DetectedIssue.{element}"), text);
        }
    }
}

/// An element, whether a problem says it, and what to do where it does not.
type Part = (&'static str, fn(&Json) -> bool, &'static str);

/// What every report says beside patient, code and author.
const WHOLE: [Part; 5] = [
    ("severity", |i| !i["severity"].text().is_empty(), "say how bad it is: severity high, moderate or low"),
    (
        "identified",
        |i| !i["identifiedDateTime"].text().is_empty() || !i["identifiedPeriod"]["start"].text().is_empty(),
        "say when it was found: identifiedDateTime, or identifiedPeriod with its start",
    ),
    (
        "implicated",
        names_its_medicine,
        "name in implicated at least one order, statement, dispense or administration of the medicine; where one is missing \
         (dtp-category 'needs-additional'), the Condition that needs it",
    ),
    (
        "evidence",
        |i| i["evidence"].items().iter().flat_map(|e| e["detail"].items()).any(|d| d.get("reference").is_some()),
        "name in evidence.detail what shows it: the answers, a list, a finding, the call",
    ),
    (
        "detail",
        |i| i["detail"].text().trim().chars().count() >= LEAST_DETAIL,
        "write in detail what is wrong, in ten characters or more: condition, medicine, and how they hang together",
    ),
];

/// Characters of the shortest detail that says something.
const LEAST_DETAIL: usize = 10;

/// What a problem can be about.
const MEDICINES: [&str; 4] =
    ["MedicationAdministration", "MedicationDispense", "MedicationRequest", "MedicationStatement"];

fn names_its_medicine(issue: &Json) -> bool {
    let is_missing = element::codings(&issue["code"])
        .iter()
        .any(|(s, c)| *s == element::system("dtp-category") && *c == "needs-additional");
    let fits = |to: &str| {
        let names = |rtype: &str| to.starts_with(&format!("{rtype}/")) || to.contains(&format!("/{rtype}/"));
        MEDICINES.iter().any(|rtype| names(rtype)) || (is_missing && names("Condition"))
    };
    issue["implicated"].items().iter().any(|r| fits(r["reference"].text()))
}

/// What only a decision brings.
fn undecided(after: &Json, findings: &mut Findings) {
    if !after["mitigation"].items().is_empty() {
        let text = "a problem that waits for its review has no mitigation; a pharmacist writes it with status final";
        findings.refuse("DetectedIssue.mitigation", text);
    }
    for name in ["resolution", "acceptance", "harm-avoided"] {
        if extension(after, name).is_some() {
            findings.refuse("DetectedIssue.extension", format!("a problem that waits for its review has no {name}"));
        }
    }
}

fn authorship(ctx: &Ctx, after: &Json, findings: &mut Findings) {
    let author = after["author"]["reference"].text();
    match &ctx.principal.practitioner {
        _ if author.is_empty() && !matches!(ctx.principal.role, Role::SuperUser | Role::RuleEngine) => {
            findings
                .refuse("DetectedIssue.author", "a drug therapy problem needs its author: the person who reports it");
        }
        Some(caller) if caller != author => {
            let text = format!("author must be the caller, {caller} (rule dtp-author)");
            findings.forbid("DetectedIssue.author", text);
        }
        _ => {}
    }
    future("DetectedIssue.identifiedDateTime", &after["identifiedDateTime"], ctx, findings);
    future("DetectedIssue.identifiedPeriod.start", &after["identifiedPeriod"]["start"], ctx, findings);
    if extension(after, "rule-fired").is_some() && !matches!(ctx.principal.role, Role::SuperUser | Role::RuleEngine) {
        findings.refuse(
            "DetectedIssue.extension",
            "the extension rule-fired says that screening found it, and is the programme's",
        );
    }
}

fn change(ctx: &Ctx, before: &Json, after: &Json, findings: &mut Findings) {
    let (from, to) = (before["status"].text(), after["status"].text());
    if from != to && !STEPS.contains(&(from, to)) {
        let next: Vec<&str> = STEPS.iter().filter(|(f, _)| *f == from).map(|(_, t)| *t).collect();
        let next = if next.is_empty() { "nothing".into() } else { next.join(", ") };
        let hint = if is_decided(before) { "; a decided problem is not opened again: report a new one" } else { "" };
        let text = format!("a drug therapy problem does not go from {from} to {to}; after {from} comes {next}{hint}");
        findings.refuse("DetectedIssue.status", text);
    }
    for name in ["patient", "author", "identifiedDateTime", "identifiedPeriod"] {
        if before[name] != after[name] {
            findings.refuse(format!("DetectedIssue.{name}"), format!("{name} of a drug therapy problem never changes"));
        }
    }
    // By these what screening found is known again: without them it would be found anew.
    if own_identifier(before, FINDING) != own_identifier(after, FINDING) {
        findings.refuse("DetectedIssue.identifier", "the identifier by which screening knows a problem never changes");
    }
    for name in ["rule-fired", "episode"] {
        if extension(before, name) != extension(after, name)
            && (extension(before, name).is_some() || name == "rule-fired")
        {
            findings.refuse(
                "DetectedIssue.extension",
                format!("the extension {name} is the programme's and never changes"),
            );
        }
    }
    let (old, new) = (before["mitigation"].items(), after["mitigation"].items());
    // What was amended may be amended again: that it says what more was done tells it from a change in silence.
    let is_more = matches!(to, "amended" | "corrected") && new.len() > old.len();
    if is_decided(before) && from == to && !is_more {
        for name in differing(before, after).filter(|name| !AROUND.contains(name)) {
            let text = format!(
                "{name} of a decided problem changes only with status amended or corrected; where it is amended already, with one \
                 more mitigation"
            );
            findings.refuse(format!("DetectedIssue.{name}"), text);
        }
    }
    if is_decided(before) && !new.starts_with(old) {
        findings.refuse(
            "DetectedIssue.mitigation",
            "what was done stays on record: new mitigations come after the old ones",
        );
    }
    if to == "entered-in-error" && STEPS.contains(&(from, to)) {
        let is_author = ctx.principal.practitioner.as_deref() == Some(before["author"]["reference"].text());
        if !is_author && !matches!(ctx.principal.role, Role::Admin | Role::SuperUser | Role::RuleEngine) {
            findings.forbid(
                "DetectedIssue.status",
                "only the author or an administrator marks a problem as an error (rule dtp-error)",
            );
        }
    }
}

/// Members that two trees do not have alike, each once.
fn differing<'j>(a: &'j Json, b: &'j Json) -> impl Iterator<Item = &'j str> {
    let names = |json: &'j Json| json.as_object().into_iter().flat_map(|o| o.iter().map(|(name, _)| name));
    let lost = names(b).filter(|name| a.get(name).is_none());
    names(a).chain(lost).filter(|name| a[*name] != b[*name])
}

/// What a decision needs. `reported`: the evidence of the report.
fn decision(programme: &Programme, reported: &[Json], after: &Json, findings: &mut Findings) {
    let resolution = extension(after, "resolution").map(|e| &e["valueCodeableConcept"]);
    let code = resolution.and_then(|r| own_code(r, "resolution")).unwrap_or_default();
    let Some(concept) = programme.concept("resolution", code) else {
        let known = programme.code_list("resolution");
        let text = format!("a decision needs the extension resolution with one of these codes: {known}");
        findings.refuse("DetectedIssue.extension", text);
        return;
    };
    let needs = concept.properties.get("needs-mitigation").is_none_or(|v| v == "true");
    if needs && after["mitigation"].items().is_empty() {
        let text = format!("resolution '{code}' needs at least one mitigation: what was done");
        findings.refuse("DetectedIssue.mitigation", text);
    }
    accepted(programme, after, findings);
    shown(programme, reported, after, findings);
}

/// What a prescriber said is a code, of a prescriber who was asked, and agrees with what was done.
fn accepted(programme: &Programme, after: &Json, findings: &mut Findings) {
    let at = "DetectedIssue.extension";
    let Some(said) = extension(after, "acceptance").map(|e| &e["valueCodeableConcept"]) else { return };
    let code = own_code(said, "acceptance").unwrap_or_default();
    let Some(concept) = programme.concept("acceptance", code) else {
        let known = programme.code_list("acceptance");
        findings.refuse(at, format!("the extension acceptance has one of these codes: {known}"));
        return;
    };
    let mitigations = after["mitigation"].items();
    if !mitigations.iter().any(asks_prescriber) {
        let text = "acceptance is what a prescriber said: a mitigation says that one was asked (5 or 6)";
        findings.refuse(at, text);
    }
    let declined = |m: &&Json| element::codings(&m["action"]).iter().any(|(s, c)| *s == ACT_CODE && *c == DECLINED);
    let changes = concept.properties.get("changes").is_some_and(|v| v == "true");
    if changes && mitigations.iter().rfind(|m| asks_prescriber(m)).iter().any(declined) {
        let text = format!("acceptance '{code}' contradicts the mitigation that the prescriber declined (6)");
        findings.refuse(at, text);
    }
}

/// What was done is shown: each mitigation of `mitigation-evidence` has a resource of one of its types in `evidence.detail`.
fn shown(programme: &Programme, reported: &[Json], after: &Json, findings: &mut Findings) {
    let all = after["evidence"].items();
    let added = if all.starts_with(reported) { all.get(reported.len()..).unwrap_or_default() } else { all };
    let details = || added.iter().flat_map(|e| e["detail"].items());
    for (n, mitigation) in after["mitigation"].items().iter().enumerate() {
        for (_, code) in element::codings(&mitigation["action"]).into_iter().filter(|(s, _)| *s == ACT_CODE) {
            let Some(concept) = programme.concept("mitigation-evidence", code) else { continue };
            let of = |name: &str| concept.properties.get(name).map_or("", String::as_str);
            let is_shown = of("evidence").split(',').map(str::trim).any(|rtype| {
                details().any(|d| {
                    let to = d["reference"].text();
                    to.starts_with(&format!("{rtype}/")) || to.contains(&format!("/{rtype}/"))
                })
            });
            if !is_shown {
                let text = format!(
                    "mitigation {code} ({}) needs in evidence.detail what shows it: {}",
                    concept.display,
                    of("says")
                );
                findings.refuse(format!("DetectedIssue.mitigation[{n}]"), text);
            }
        }
    }
}

/// Mitigations that are new with this write: their author is the caller, a person, and their date is possible.
fn mitigations(ctx: &Ctx, before: Option<&Json>, after: &Json, findings: &mut Findings) {
    let old: &[Json] = before.map_or(&[], |b| b["mitigation"].items());
    let identified = element::earliest(after["identifiedDateTime"].text(), &TimeZone::UTC);
    for (n, mitigation) in after["mitigation"].items().iter().enumerate().filter(|(_, m)| !old.contains(m)) {
        let at = format!("DetectedIssue.mitigation[{n}]");
        let author = mitigation["author"]["reference"].text();
        if !["Practitioner/", "PractitionerRole/"].iter().any(|p| author.starts_with(p)) {
            findings.refuse(format!("{at}.author"), "a mitigation needs its author, a Practitioner");
        } else if ctx.principal.practitioner.as_deref().is_some_and(|caller| caller != author) {
            findings.forbid(format!("{at}.author"), "the author of a mitigation is the caller (rule dtp-author)");
        }
        future(&format!("{at}.date"), &mitigation["date"], ctx, findings);
        let date = element::latest(mitigation["date"].text(), &TimeZone::UTC);
        if let (Some(date), Some(identified)) = (date, identified)
            && date < identified
        {
            findings.refuse(format!("{at}.date"), "a mitigation cannot lie before the problem was identified");
        }
    }
}

fn future(at: &str, date: &Json, ctx: &Ctx, findings: &mut Findings) {
    let date = element::earliest(date.text(), &TimeZone::UTC);
    if date.is_some_and(|d| d > ctx.now.plus_seconds(SKEW_SECONDS)) {
        findings.refuse(at, "the time cannot lie in the future");
    }
}

#[cfg(test)]
mod tests;
