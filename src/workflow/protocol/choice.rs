//! Which protocol a discharge is followed up by: the first rule that holds.
//!
//! Source: `profiles/protocol/choice.json`, a PlanDefinition of type eca-rule whose actions name protocols (own rule).

use super::read::read_offset;
use super::{Case, Condition};
use crate::clock::Instant;
use crate::fhir::Json;
use crate::workflow::calendar::{Calendar, Offset};
use crate::workflow::element;
use crate::workflow::programme::files::Complaints;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How often a Task comes back, unless the file says.
const RETURNS: i64 = 3;

/// How long after one another, and how often, an overdue close is asked for, unless the file says.
const REMINDERS: (Offset, usize) = (Offset::Clock(7 * 86_400), 2);

/// The rules, in order.
#[derive(Debug, Clone, Default)]
pub struct Choice {
    rules: Vec<Rule>,
    /// How long a claimed Task waits for its work to begin.
    lease: Offset,
    /// How long a pharmacy that is named has to accept or decline.
    offer: Offset,
    /// How often a Task comes back before the hospital hears of it.
    most_returns: i64,
    /// How long after one another, and how often, the close of a follow-up is asked for before the follow-up ends by itself.
    reminders: (Offset, usize),
}

#[derive(Debug, Clone)]
struct Rule {
    title: String,
    conditions: Vec<Condition>,
    plan: String,
}

/// What was chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// The protocol, `url|version`.
    pub plan: String,
    /// The rule's title.
    pub because: String,
}

impl Choice {
    /// Reads the rules. `plans`: the protocols of the files, by `url|version`. Of a protocol that is named without a version the
    /// one of the files is meant; there is one.
    pub fn read(
        file: &str,
        rules: &Json,
        plans: &BTreeMap<String, Arc<super::Plan>>,
        complaints: &mut Complaints,
    ) -> Self {
        let mut out = Vec::new();
        for (n, action) in rules["action"].items().iter().enumerate() {
            let path = format!("PlanDefinition.action[{n}]");
            let named = action["definitionCanonical"].text();
            let matches = |canonical: &&String| {
                *canonical == named || canonical.rsplit_once('|').is_some_and(|(url, _)| url == named)
            };
            let found: Vec<&String> = plans.keys().filter(matches).collect();
            let [plan] = found.as_slice() else {
                let why = match found.len() {
                    0 => format!("no protocol with the canonical '{named}' is among the profiles"),
                    n => format!("{n} versions of '{named}' are among the profiles: say which, as url|version"),
                };
                complaints.add(file, format!("{path}.definitionCanonical"), why);
                continue;
            };
            if plans.get(*plan).is_some_and(|p| p.is_asked_for()) {
                let why = format!("'{named}' counts from when somebody asks for it: no discharge is followed up by it");
                complaints.add(file, format!("{path}.definitionCanonical"), why);
                continue;
            }
            let conditions = action["condition"].items().iter().enumerate();
            let conditions: Vec<Condition> = conditions
                .filter_map(|(m, c)| Condition::read(file, &format!("{path}.condition[{m}]"), c, complaints))
                .collect();
            out.push(Rule { title: action["title"].text().into(), conditions, plan: (*plan).clone() });
        }
        if out.last().is_none_or(|last| !last.conditions.is_empty()) {
            let why = "the last rule stands for all others and has no condition: every discharge needs a protocol";
            complaints.add(file, "PlanDefinition.action", why);
        }
        let part =
            |rule: &'_ Json, name: &str| rule["extension"].items().iter().find(|e| e["url"].text() == name).cloned();
        let lease = |rule: &Json| {
            let count = part(rule, "count").unwrap_or_default();
            read_offset(count["valueCode"].text(), &part(rule, "offset")?["valueDuration"])
        };
        let claim = element::extension(rules, "claim-lease").and_then(lease);
        if claim.is_none() {
            let why = "the extension claim-lease is needed: offset (valueDuration) and, for days, count (days or business-days)";
            complaints.add(file, "PlanDefinition.extension", why);
        }
        let claim = claim.unwrap_or_default();
        let (offer, most_returns) = match element::extension(rules, "offer-lease") {
            None => (claim, RETURNS),
            Some(rule) => {
                let most = part(rule, "most").map_or(Some(RETURNS), |m| m["valueInteger"].as_i64().filter(|n| *n > 0));
                let (Some(offer), Some(most)) = (lease(rule), most) else {
                    let why =
                        "offer-lease needs offset (valueDuration) and, for days, count; most is a whole number from 1";
                    complaints.add(file, "PlanDefinition.extension", why);
                    return Self::default();
                };
                (offer, most)
            }
        };
        let reminders = match element::extension(rules, "close-reminder") {
            None => REMINDERS,
            Some(rule) => {
                let most =
                    part(rule, "most").and_then(|m| m["valueInteger"].as_i64()).and_then(|n| usize::try_from(n).ok());
                let (Some(gap), Some(most)) = (lease(rule).filter(|gap| *gap != Offset::default()), most) else {
                    let why = "close-reminder needs offset (valueDuration, longer than nothing), for days count, and most, a whole \
                               number from 0";
                    complaints.add(file, "PlanDefinition.extension", why);
                    return Self::default();
                };
                (gap, most)
            }
        };
        Self { rules: out, lease: claim, offer, most_returns, reminders }
    }

    /// Until when a Task that is sent to one pharmacy at `now` waits for it to accept or decline.
    #[must_use]
    pub fn offered_until(&self, calendar: &Calendar, now: Instant) -> Instant {
        calendar.after(now, self.offer)
    }

    /// How often a Task comes back before the hospital hears of it.
    #[must_use]
    pub fn most_returns(&self) -> i64 {
        self.most_returns
    }

    /// When the close of a follow-up is asked for again, or the follow-up ends by itself, after it was asked for at `last`.
    #[must_use]
    pub fn reminded_at(&self, calendar: &Calendar, last: Instant) -> Instant {
        calendar.after(last, self.reminders.0)
    }

    /// How often the close of a follow-up is asked for before the follow-up ends by itself.
    #[must_use]
    pub fn most_reminders(&self) -> usize {
        self.reminders.1
    }

    /// Until when a Task that is claimed at `now` waits for its work to begin.
    #[must_use]
    pub fn lease(&self, calendar: &Calendar, now: Instant) -> Instant {
        calendar.after(now, self.lease)
    }

    /// The protocol of all that no other rule is about, `url|version`.
    #[must_use]
    pub fn last(&self) -> Option<&str> {
        self.rules.last().map(|rule| rule.plan.as_str())
    }

    /// The first rule of which everything holds; what an expression cannot say does not hold.
    #[must_use]
    pub fn of(&self, case: &Case<'_>) -> Option<Chosen> {
        let holds = |rule: &&Rule| rule.conditions.iter().all(|c| c.holds(case).unwrap_or(false));
        let rule = self.rules.iter().find(holds).or(self.rules.last())?;
        Some(Chosen { plan: rule.plan.clone(), because: rule.title.clone() })
    }
}
