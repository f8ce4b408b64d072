//! What screening finds becomes problems, each with its review; what no longer holds and nobody has touched is withdrawn.
//!
//! It runs whenever the lists of a followed stay are reconciled, and by `$screen`. A finding is one by episode, rule and
//! medicines: found again, it adds nothing; decided, it stays decided.
//! Not for: the conditions (`screen/`), or the reviews themselves (`review.rs`).
//! Source: own rules in `profiles/screening/README.md`.

use super::Round;
use super::opening::Scene;
use crate::access::Ctx;
use crate::error::{Error, Result};
use crate::fhir::resource::known;
use crate::fhir::{Json, Target};
use crate::workflow::build::{self, Addresses};
use crate::workflow::discharge::Stay;
use crate::workflow::dtp::is_open;
use crate::workflow::guard::Findings;
use crate::workflow::reconcile::Reconciled;
use crate::workflow::records::{Ask, Desk, Held, Records};
use crate::workflow::screen::rules::Test;
use crate::workflow::screen::{Facts, Finding, Screened, is_measure, screen as ask_rules};
use crate::workflow::{Change, Programme, element, task};
use serde_json::json;
use std::collections::BTreeMap;

/// What becomes of a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// A problem is opened: the so-manieth of this finding.
    New(usize),
    /// Its problem waits for a decision.
    Open,
    /// Its problem was decided, or withdrawn by a person: it is not raised again.
    Decided,
    /// Too many problems wait already.
    HeldBack,
}

impl State {
    const fn code(&self) -> &'static str {
        match self {
            Self::New(_) => "new",
            Self::Open => "open",
            Self::Decided => "decided",
            Self::HeldBack => "held-back",
        }
    }
}

/// What screening means for the record.
#[derive(Debug, Default)]
struct Planned {
    screened: Screened,
    /// By finding.
    states: Vec<(State, Option<Target>)>,
    /// Open problems of findings that no longer hold.
    gone: Vec<Target>,
    /// Open problems of findings that hold again after they had not.
    back: Vec<Target>,
}

/// Says since when a finding no longer holds.
const ENDED: &str = "stopped-firing";

impl<R: Records> Round<'_, R> {
    /// Screens a followed stay and does what follows. Answers what is new.
    pub(super) async fn screened(
        &mut self,
        stay: &Stay,
        at: &Addresses,
        scene: &Scene,
        reconciled: &Reconciled,
    ) -> Result<()> {
        let planned = self.planned(stay, at, scene, reconciled).await?;
        self.carry_out(stay, at, scene, &planned).await
    }

    async fn planned(
        &mut self,
        stay: &Stay,
        at: &Addresses,
        scene: &Scene,
        reconciled: &Reconciled,
    ) -> Result<Planned> {
        let programme = self.programme;
        if !programme.screening.rules.iter().any(|r| r.is_on) {
            return Ok(Planned::default());
        }
        let found = self.more_facts(scene, reconciled).await?;
        let resources = self.facts_of(scene, reconciled, &found);
        let hospital = stay.hospital.as_ref().map(|h| h.id.as_str());
        let facts = Facts {
            tables: &programme.medicines,
            reconciled,
            resources: &resources,
            patient: &scene.patient,
            hospital,
            admitted_at: stay.start,
            discharged_at: stay.end,
            now: self.now(),
            base: self.base(),
        };
        let screened = ask_rules(&programme.screening, &facts);
        let earlier = self.earlier(at, scene).await?;
        let mut planned = plan(programme, at, screened, &earlier);
        let back = |t: &&Target| self.desk.peek(t).is_some_and(|i| element::extension(i, ENDED).is_some());
        planned.back = planned.states.iter().filter_map(|(_, t)| t.as_ref()).filter(back).cloned().collect();
        Ok(planned)
    }

    /// Answers and measures, where a rule in force asks for them: they are on the desk, or came with this transaction.
    async fn more_facts(&mut self, scene: &Scene, reconciled: &Reconciled) -> Result<Vec<Target>> {
        let rules = &self.programme.screening;
        let on = |test: fn(&Test) -> bool| rules.rules.iter().any(|r| r.is_on && test(&r.test));
        let substances = reconciled.sources.iter().flat_map(|s| s.line.medicine.substances());
        let renal = on(|t| matches!(t, Test::Renal { .. }))
            && substances.into_iter().any(|s| rules.classes.renal.contains_key(s));
        let answers = on(|t| matches!(t, Test::Answer { .. }));
        let asks: Vec<Ask> = [("Observation", renal), ("QuestionnaireResponse", answers)]
            .into_iter()
            .filter(|(_, asked)| *asked)
            .map(|(rtype, _)| (rtype, "patient", scene.at_patient.clone()))
            .collect();
        if !scene.is_new {
            return self.desk.referring(&asks).await;
        }
        let asked = |c: &&Change| asks.iter().any(|(rtype, ..)| *rtype == c.target.rtype.as_str());
        let of = |r: &Json| element::patient_of(r, self.base()).as_ref() == Some(&scene.at_patient);
        let changes = self.changes.iter().filter(asked).filter(|c| c.after.as_ref().is_some_and(of));
        Ok(changes.map(|c| c.target.clone()).collect())
    }

    /// What the rules look at: what the lists are made of, and what [`Self::more_facts`] found.
    fn facts_of<'s>(
        &'s self,
        scene: &'s Scene,
        reconciled: &Reconciled,
        found: &[Target],
    ) -> BTreeMap<Target, &'s Json> {
        let mut out: BTreeMap<Target, &Json> =
            scene.resources.iter().filter_map(|r| Some((element::target_of(r)?, r))).collect();
        for source in &reconciled.sources {
            if let Some(json) = self.desk.peek(&source.target) {
                out.entry(source.target.clone()).or_insert(json);
            }
        }
        for at in found {
            let of_change = || self.changes.iter().find(|c| c.target == *at).and_then(|c| c.after.as_ref());
            let json = if scene.is_new { of_change() } else { self.desk.peek(at).filter(|r| is_fact(r)) };
            out.extend(json.map(|json| (at.clone(), json)));
        }
        out
    }

    /// Problems that screening has found for an episode, by finding, in the order of their number.
    async fn earlier(&mut self, at: &Addresses, scene: &Scene) -> Result<Earlier> {
        let mut out = Earlier::new();
        if scene.is_new {
            return Ok(out);
        }
        for issue in self.desk.referring(&[("DetectedIssue", "patient", scene.at_patient.clone())]).await? {
            let Some(json) = self.desk.peek(&issue) else { continue };
            if let Some((episode, key, nth)) = found_as(json)
                && episode == at.episode.id
            {
                out.entry(key.to_string()).or_default().push((nth, issue.clone(), json.clone()));
            }
        }
        for problems in out.values_mut() {
            problems.sort_by_key(|(nth, ..)| *nth);
        }
        Ok(out)
    }

    async fn carry_out(&mut self, stay: &Stay, at: &Addresses, scene: &Scene, planned: &Planned) -> Result<()> {
        let programme = self.programme;
        let org = self.desk.org(&at.episode).unwrap_or_default();
        let tasks = self.tasks_of(&at.plan).await?;
        let holder = self.holders(&tasks).into_iter().next().map(|id| Target::new(known("Organization"), id));
        let owner = holder.or_else(|| scene.owner.clone());
        let candidates = if owner.is_some() { Vec::new() } else { scene.candidates.clone() };
        let new: Vec<(&Finding, usize, &Target)> = planned
            .screened
            .findings
            .iter()
            .zip(&planned.states)
            .filter_map(|(f, (state, t))| match (state, t) {
                (State::New(nth), Some(target)) => Some((f, *nth, target)),
                _ => None,
            })
            .collect();
        let mut shown: Vec<Target> = Vec::new();
        let reviews: Vec<Target> = new.iter().map(|(.., target)| self.review_at(target, 0)).collect();
        let mut all: Vec<Target> = new.iter().map(|(.., t)| (*t).clone()).chain(reviews.iter().cloned()).collect();
        all.push(self.high_risk_at(at));
        if scene.is_new {
            self.desk.assume_absent(&all);
        } else {
            self.desk.load(&all).await?;
        }
        for ((finding, nth, target), review) in new.into_iter().zip(reviews) {
            let Some(rule) = programme.screening.get(&finding.rule) else { continue };
            let issue = build::finding(at, &scene.at_patient, (rule, finding), nth, self.now());
            self.write(target, issue.clone(), org).await?;
            self.review_opened(&review, target, &issue, Some(&at.episode), owner.as_ref(), &candidates).await?;
            shown.extend([target.clone(), review]);
            shown.extend(finding.evidence.iter().cloned());
        }
        shown.extend(self.flagged(stay, at, scene, planned, org).await?);
        let now = self.now().to_seconds_text();
        for target in &planned.gone {
            self.no_longer_holds(target, &now).await?;
        }
        for target in &planned.back {
            self.desk.edit(target, |issue| drop_extension(issue, ENDED));
        }
        for (finding, (state, target)) in planned.screened.findings.iter().zip(&planned.states) {
            if let (State::Open, Some(target)) = (state, target)
                && self.said_anew(at, finding, target).await?
            {
                shown.extend(finding.evidence.iter().cloned());
            }
        }
        if shown.is_empty() {
            return Ok(());
        }
        let episode = self.desk.get(&at.episode).await?.unwrap_or_default();
        self.share_care(&episode, &at.episode.id, &tasks, &shown).await
    }

    fn high_risk_at(&self, at: &Addresses) -> Target {
        Target::new(known("Flag"), self.programme.id(&["high-risk", &at.episode.id]))
    }

    /// The Flag of high-risk medicines follows what is taken. Answers where it is, when it changed.
    async fn flagged(
        &mut self,
        stay: &Stay,
        at: &Addresses,
        scene: &Scene,
        planned: &Planned,
        org: i64,
    ) -> Result<Option<Target>> {
        let target = self.high_risk_at(at);
        let before = self.desk.get(&target).await?;
        let taken = &planned.screened.high_risk;
        if taken.is_empty() {
            self.desk.edit(&target, |f| f.set("status", "inactive"));
            return Ok(None);
        }
        let (encounter, patient) = (&stay.encounter, &scene.at_patient);
        let mut flag = build::high_risk(self.programme, at, encounter, patient, taken, self.now());
        if let Some(before) = before {
            flag.set("period", before["period"].clone());
        }
        self.write(&target, flag, org).await?;
        Ok(Some(target))
    }

    /// A finding that waits goes by the lists as they are now, as long as nobody has looked into it. Answers whether it says
    /// something else than before.
    async fn said_anew(&mut self, at: &Addresses, finding: &Finding, dtp: &Target) -> Result<bool> {
        let Some(rule) = self.programme.screening.get(&finding.rule) else { return Ok(false) };
        let Some(issue) = self.desk.get(dtp).await? else { return Ok(false) };
        let now = build::finding(at, dtp, (rule, finding), 0, self.now());
        if issue["detail"] == now["detail"] && issue["implicated"] == now["implicated"] {
            return Ok(false);
        }
        let review = self.open_review(dtp).await?.ok();
        let is_touched = self.is_touched(dtp, &issue, review.as_ref()).await?;
        if !is_touched {
            self.desk.edit(dtp, |i| {
                for name in ["detail", "implicated", "evidence"] {
                    match now.get(name) {
                        Some(value) => i.set(name, value.clone()),
                        None => drop(i.remove(name)),
                    }
                }
            });
        }
        Ok(!is_touched)
    }

    /// Whether somebody has begun to review a problem, or acted about it.
    async fn is_touched(&mut self, dtp: &Target, issue: &Json, review: Option<&Target>) -> Result<bool> {
        let begun = review.and_then(|r| self.desk.peek(r)).is_some_and(task::is_started);
        Ok(begun || !self.acts_about(dtp, issue, review.map_or(&[][..], std::slice::from_ref)).await?.is_empty())
    }

    /// A finding no longer holds. Untouched, its problem is withdrawn; where somebody has begun, it says so and stays theirs.
    async fn no_longer_holds(&mut self, dtp: &Target, now: &str) -> Result<()> {
        let Some(issue) = self.desk.get(dtp).await? else { return Ok(()) };
        let review = self.open_review(dtp).await?.ok();
        let touched = self.is_touched(dtp, &issue, review.as_ref()).await?;
        self.ended(dtp, now);
        if !touched {
            self.withdrawn(dtp, review.as_ref()).await?;
        }
        Ok(())
    }

    /// Marks a problem of a finding that no longer holds: should it hold again, it is raised again.
    fn ended(&mut self, dtp: &Target, now: &str) {
        if self.desk.peek(dtp).is_some_and(|i| element::extension(i, ENDED).is_none()) {
            let url = element::extension_url(ENDED);
            self.desk.edit(dtp, |i| i.push("extension", Json::from(json!({"url": url, "valueDateTime": now}))));
        }
    }

    /// Withdraws a problem that nobody has begun to review, and its review.
    async fn withdrawn(&mut self, dtp: &Target, review: Option<&Target>) -> Result<()> {
        let (programme, now) = (self.programme, self.now());
        self.desk.edit(dtp, |i| i.set("status", "cancelled"));
        if let Some(review) = review {
            self.desk.edit(review, |t| build::end_task(programme, t, "cancelled", "problem-withdrawn", now));
            self.desk.records.unshare(&build::offer(review), None).await?;
        }
        Ok(())
    }

    /// An episode is over before its time: what was found for it, and nobody has begun to review, is withdrawn.
    pub(super) async fn withdraw_findings(&mut self, episode: &Target, patient: &Target) -> Result<()> {
        let now = self.now().to_seconds_text();
        for dtp in self.desk.referring(&[("DetectedIssue", "patient", patient.clone())]).await? {
            let of = |i: &Json| is_open(i) && found_as(i).is_some_and(|(e, ..)| e == episode.id);
            if !self.desk.peek(&dtp).is_some_and(of) {
                continue;
            }
            let review = self.open_review(&dtp).await?.ok();
            let begun = review.as_ref().and_then(|r| self.desk.peek(r)).is_some_and(task::is_started);
            if !begun {
                self.ended(&dtp, &now);
                self.withdrawn(&dtp, review.as_ref()).await?;
            }
        }
        Ok(())
    }
}

type Earlier = BTreeMap<String, Vec<(usize, Target, Json)>>;

/// Whether rules look at it: of observations only at measures.
fn is_fact(resource: &Json) -> bool {
    element::type_of(resource) != "Observation" || is_measure(resource)
}

/// (episode, finding, number) of a problem that screening has found.
pub(super) fn found_as(issue: &Json) -> Option<(&str, &str, usize)> {
    let (episode, rest) = element::own_identifier(issue, build::FINDING)?.split_once('/')?;
    let (key, nth) = rest.rsplit_once('/')?;
    Some((episode, key, nth.parse().ok()?))
}

fn drop_extension(resource: &mut Json, name: &str) {
    let url = element::extension_url(name);
    let kept: Vec<Json> = resource["extension"].items().iter().filter(|e| e["url"].text() != url).cloned().collect();
    resource.set("extension", Json::Array(kept));
}

/// What becomes of each finding. The most severe ones come first and are never held back.
fn plan(programme: &Programme, at: &Addresses, screened: Screened, earlier: &Earlier) -> Planned {
    let rules = &programme.screening;
    let last = |key: &str| earlier.get(key).and_then(|all| all.last());
    let holds = |key: &str| screened.findings.iter().any(|f| f.key() == key);
    let open = |key: &String| last(key).filter(|(_, _, issue)| is_open(issue));
    let gone = earlier.keys().filter(|key| !holds(key)).filter_map(open).map(|(_, t, _)| t.clone()).collect();
    let mut waiting = screened.findings.iter().filter(|f| open(&f.key()).is_some()).count();
    let mut by_drug: BTreeMap<String, usize> = BTreeMap::new();
    for finding in screened.findings.iter().filter(|f| open(&f.key()).is_some()) {
        for drug in &finding.drugs {
            *by_drug.entry(drug.clone()).or_default() += 1;
        }
    }
    let mut states = Vec::new();
    for finding in &screened.findings {
        let key = finding.key();
        let nth = match last(&key) {
            None => 0,
            Some((_, target, issue)) if is_open(issue) => {
                states.push((State::Open, Some(target.clone())));
                continue;
            }
            // Withdrawn because it did not hold any more; now it does again.
            Some((nth, _, issue))
                if issue["status"].text() == "cancelled" && element::extension(issue, ENDED).is_some() =>
            {
                nth + 1
            }
            Some((_, target, _)) => {
                states.push((State::Decided, Some(target.clone())));
                continue;
            }
        };
        let full = waiting >= rules.per_patient
            || finding.drugs.iter().any(|d| by_drug.get(d).is_some_and(|n| *n >= rules.per_medicine));
        if full && finding.severity != "high" && !finding.is_stat {
            states.push((State::HeldBack, None));
            continue;
        }
        waiting += 1;
        for drug in &finding.drugs {
            *by_drug.entry(drug.clone()).or_default() += 1;
        }
        states.push((State::New(nth), Some(build::finding_at(programme, &at.episode, &key, nth))));
    }
    Planned { screened, states, gone, back: Vec::new() }
}

/// Screens a stay on demand: an Encounter, or an episode's. Answers Parameters, by medicine; unless `writes`, nothing is stored.
///
/// # Errors
/// `BusinessRule` when it is no stay of the programme, or, for writing, when nobody follows it up.
pub async fn screen<R: Records>(
    ctx: &Ctx,
    records: &mut R,
    programme: &Programme,
    on: &Held,
    writes: bool,
) -> Result<Json> {
    let mut round = Round { ctx, programme, desk: Desk::new(records), changes: &[], findings: Findings::default() };
    let base = programme.env.base.clone();
    let of_type = element::type_of(&on.json).to_string();
    let no_stay = |at: &str| Error::business_rule("only a stay with an admission class is screened").at(at.to_string());
    round.desk.load(std::slice::from_ref(&on.target)).await?;
    let stay = if of_type == "EpisodeOfCare" {
        round.stay_of(&on.json).await?.ok_or_else(|| no_stay("EpisodeOfCare.extension"))?
    } else {
        Stay::of(programme, &on.json).ok_or_else(|| no_stay("Encounter.class"))?
    };
    let nobody = || Error::business_rule("the stay is about no patient").at("Encounter.subject");
    let patient = stay.patient.clone().ok_or_else(nobody)?;
    round.desk.load(std::slice::from_ref(&patient)).await?;
    let record = round.desk.peek(&patient).cloned().unwrap_or_default();
    let episodes = round.episodes(&patient).await?;
    let of_stay = |e: &&Target| {
        let json = round.desk.peek(e);
        json.and_then(|e| build::index_encounter(e, &base)).as_ref() == Some(&stay.encounter)
    };
    let own: Vec<Target> = episodes.iter().filter(of_stay).cloned().collect();
    let chosen = own.iter().find(|e| round.is_live(e)).or(own.last()).cloned();
    let live = chosen.as_ref().is_some_and(|e| round.is_live(e));
    if writes && !live {
        let text = "nobody follows this stay up (any more): GET tells what screening would find";
        return Err(Error::business_rule(text).at(format!("{of_type}.status")));
    }
    let at = chosen.map_or_else(|| Addresses::of_stay(programme, &stay.encounter, 0), |e| round.addresses(&e));
    let scene = round.scene(&stay, &patient, &record, false).await?;
    let reconciled = round.reconciled(&scene).await?;
    let planned = round.planned(&stay, &at, &scene, &reconciled).await?;
    if writes {
        round.carry_out(&stay, &at, &scene, &planned).await?;
        round.desk.flush().await?;
    }
    Ok(told(&planned, writes))
}

/// The findings as Parameters, those of one medicine together.
fn told(planned: &Planned, writes: bool) -> Json {
    let mut groups: BTreeMap<String, Vec<serde_json::Value>> = BTreeMap::new();
    for (finding, (state, target)) in planned.screened.findings.iter().zip(&planned.states) {
        let mut part = vec![
            json!({"name": "rule", "valueCode": finding.rule}),
            json!({"name": "version", "valueString": finding.version}),
            json!({"name": "severity", "valueCode": finding.severity}),
            json!({"name": "why", "valueString": finding.why}),
            json!({"name": "state", "valueCode": state.code()}),
        ];
        if let Some(target) = target.as_ref().filter(|_| writes || !matches!(state, State::New(_))) {
            part.push(json!({"name": "issue", "valueReference": {"reference": target.to_string()}}));
        }
        let name = match finding.names.as_slice() {
            [name] | [name, _] => name.clone(),
            _ => "several medicines".to_string(),
        };
        groups.entry(name).or_default().push(json!({"name": "finding", "part": part}));
    }
    let medicine = |(name, findings): (String, Vec<serde_json::Value>)| {
        let parts: Vec<_> = std::iter::once(json!({"name": "name", "valueString": name})).chain(findings).collect();
        json!({"name": "medicine", "part": parts})
    };
    let mut parameters: Vec<serde_json::Value> = groups.into_iter().map(medicine).collect();
    parameters.extend(planned.screened.unjudged.iter().map(|u| json!({"name": "unjudged", "valueString": u})));
    let mut out = json!({"resourceType": "Parameters"});
    if !parameters.is_empty() {
        out["parameter"] = json!(parameters);
    }
    out.into()
}
