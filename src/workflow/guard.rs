//! The judge: whether a caller may make a change at all, and whether the state of the resource lets it.
//!
//! For: every create, update, patch and delete, by whatever door. Pure: it sees the caller, what was and what would be.
//! Not for: rules that need other resources (`react/`), or which rows a caller sees (`access`).
//! Source: `profiles/policy/rules.json` for roles; own rules in `task.rs`, `dtp.rs`, `outreach.rs`, `discharge.rs`.

use super::element::{self, is_of_programme};
use super::{Programme, answers, discharge, dtp, list, medication, outreach, task};
use crate::access::Ctx;
use crate::error::{Error, Issue, Kind, Result};
use crate::fhir::Json;

/// What a judgement found, by kind.
#[derive(Debug, Default)]
pub struct Findings {
    forbidden: Vec<Issue>,
    conflicts: Vec<Issue>,
    refused: Vec<Issue>,
}

impl Findings {
    /// 403: this caller may not.
    pub fn forbid(&mut self, at: impl Into<String>, why: impl Into<String>) {
        self.forbidden.push(Issue::error("forbidden", at, why));
    }

    /// 409: somebody else was first.
    pub fn conflict(&mut self, at: impl Into<String>, why: impl Into<String>) {
        self.conflicts.push(Issue::error("conflict", at, why));
    }

    /// 422: nobody may.
    pub fn refuse(&mut self, at: impl Into<String>, why: impl Into<String>) {
        self.refused.push(Issue::error("business-rule", at, why));
    }

    /// Whether nothing was found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.forbidden.is_empty() && self.conflicts.is_empty() && self.refused.is_empty()
    }

    /// The verdict.
    ///
    /// # Errors
    /// `Forbidden` when anything is forbidden, else `Conflict`, else `BusinessRule`; all issues in that order.
    pub fn settle(self) -> Result<()> {
        let kind = match (self.forbidden.is_empty(), self.conflicts.is_empty(), self.refused.is_empty()) {
            (true, true, true) => return Ok(()),
            (false, ..) => Kind::Forbidden,
            (_, false, _) => Kind::Conflict,
            _ => Kind::BusinessRule,
        };
        let issues = self.forbidden.into_iter().chain(self.conflicts).chain(self.refused).collect();
        Err(Error::with_issues(kind, issues))
    }
}

/// Types that the programme makes and nobody deletes.
const KEPT: [&str; 8] =
    ["CarePlan", "Consent", "EpisodeOfCare", "Flag", "List", "Observation", "RiskAssessment", "Task"];

/// Refuses a write that the caller's role may not make, or that the state of the resource forbids. Pure.
///
/// To be asked for every create (`before` is `None`), update, patch and delete (`after` is `None`), before [`stamp`].
///
/// # Errors
/// `Forbidden` naming the rule of `profiles/policy` when the role may not; else `Conflict` when another holds the Task;
/// else `BusinessRule`; all issues at once.
pub fn guard(ctx: &Ctx, programme: &Programme, before: Option<&Json>, after: Option<&Json>) -> Result<()> {
    let forbidden = programme.policy.breaches(&ctx.principal, before, after);
    let mut findings = Findings { forbidden, ..Findings::default() };
    match (before, after) {
        (Some(before), None) => deletion(before, &mut findings),
        (before, Some(after)) => match element::type_of(after) {
            "Task" => task::judge(ctx, before, after, &mut findings),
            "DetectedIssue" => dtp::judge(ctx, programme, before, after, &mut findings),
            "Communication" => outreach::judge(ctx, before, after, &mut findings),
            "List" => list::judge(after, &mut findings),
            "QuestionnaireResponse" => answers::judge(ctx, programme, before, after, &mut findings),
            "MedicationRequest" | "MedicationStatement" | "MedicationAdministration" | "MedicationDispense" => {
                medication::judge(ctx, programme, before, after, &mut findings);
            }
            "Encounter" => discharge::judge(ctx, programme, after, &mut findings),
            _ => {}
        },
        (None, None) => {}
    }
    findings.settle()
}

/// What a plain write, by whatever door, must say by `If-Match` of the version that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// Nothing.
    None,
    /// That there is one, at least: `*` will do.
    Any,
    /// Which it is.
    Version,
}

/// The condition of a change. A Task of the programme is in several hands, and none of them may overwrite what it has not seen; of two
/// who claim one only one may win. Pure.
#[must_use]
pub fn condition(ctx: &Ctx, before: &Json, after: &Json) -> Condition {
    match element::type_of(after) {
        "Task" if task::is_claim(ctx, before, after) => Condition::Version,
        "Task" if task::is_handoff(before) => Condition::Any,
        _ => Condition::None,
    }
}

fn deletion(before: &Json, findings: &mut Findings) {
    let rtype = element::type_of(before);
    if rtype == "DetectedIssue" {
        let text =
            "a drug therapy problem is never deleted; while nothing was done about it, set it to entered-in-error";
        findings.refuse("DetectedIssue", text);
    } else if KEPT.contains(&rtype) && is_of_programme(before) {
        findings.refuse(rtype, format!("this {rtype} is part of an episode's record and is never deleted"));
    } else if rtype == "Communication" && outreach::is_attempt(before) {
        findings.refuse(rtype, "a recorded attempt is never deleted; set it to entered-in-error");
    }
}

/// Fills in what the server alone writes: `Task.lastModified`, the ends of `Task.executionPeriod`, and, where the client
/// says nothing new, `Task.businessStatus`. Pure.
pub fn stamp(ctx: &Ctx, programme: &Programme, before: Option<&Json>, after: &mut Json) {
    if element::type_of(after) == "Task" && task::is_handoff(after) {
        task::stamp(ctx, programme, before, after);
    }
}
