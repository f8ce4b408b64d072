//! Rules of who may change what, as data.
//!
//! Source: `profiles/policy/rules.json`, a CodeSystem whose concepts are the rules; own rules in `profiles/policy/README.md`.

use super::element;
use super::programme::files::Complaints;
use crate::access::{Principal, Role};
use crate::error::Issue;
use crate::fhir::{Json, ResourceType};

/// One rule: conditions on a write, and the roles that may make it.
#[derive(Debug, Clone, Default)]
pub struct Rule {
    /// Its code: what a 403 names.
    pub code: String,
    /// Its sentence.
    pub sentence: String,
    resource: String,
    on: Option<String>,
    programme: bool,
    attempt: bool,
    element: Option<String>,
    to: Vec<String>,
    performer: Option<String>,
    lowers: bool,
    roles: Vec<Role>,
    /// Where alone it holds; everywhere when empty.
    jurisdictions: Vec<String>,
    /// Where it does not.
    except: Vec<String>,
}

/// All rules.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    rules: Vec<Rule>,
}

/// Least urgent first: R4's request-priority, in which asap is above urgent.
pub const PRIORITIES: [&str; 4] = ["routine", "urgent", "asap", "stat"];

/// Least severe first.
pub const SEVERITIES: [&str; 3] = ["low", "moderate", "high"];

/// What a rule's `element` names and is an extension.
const EXTENSIONS: [&str; 4] = ["resolution", "acceptance", "harm-avoided", "urgency"];

impl Policy {
    /// Reads the CodeSystem.
    pub fn read(file: &str, codes: &Json, complaints: &mut Complaints) -> Self {
        let mut rules = Vec::new();
        for (n, concept) in codes["concept"].items().iter().enumerate() {
            let mut rule = Rule {
                code: concept["code"].text().into(),
                sentence: concept["display"].text().into(),
                ..Rule::default()
            };
            for (m, property) in concept["property"].items().iter().enumerate() {
                let path = format!("CodeSystem.concept[{n}].property[{m}]");
                let value = property["valueCode"].text();
                let flag = property["valueBoolean"].as_bool().unwrap_or(false);
                match property["code"].text() {
                    "resource" if ResourceType::parse(value).is_some() => rule.resource = value.into(),
                    "on" if ["create", "update", "delete"].contains(&value) => rule.on = Some(value.into()),
                    "programme" => rule.programme = flag,
                    "attempt" => rule.attempt = flag,
                    "lowers" => rule.lowers = flag,
                    "element" => rule.element = Some(value.into()),
                    "to" => rule.to.push(value.into()),
                    "jurisdiction" if !value.is_empty() => rule.jurisdictions.push(value.into()),
                    "except" if !value.is_empty() => rule.except.push(value.into()),
                    "performer" => rule.performer = Some(value.into()),
                    "role" => match Role::parse(value) {
                        Some(role) => rule.roles.push(role),
                        None => complaints.add(file, path, format!("no role is called '{value}'")),
                    },
                    other => complaints.add(file, path, format!("'{other}' with that value is no property of a rule")),
                }
            }
            if rule.resource.is_empty() || rule.roles.is_empty() {
                let path = format!("CodeSystem.concept[{n}].property");
                complaints.add(file, path, format!("rule '{}' needs a resource and at least one role", rule.code));
            }
            rules.push(rule);
        }
        Self { rules }
    }

    /// All rules that a write breaks, one issue each, by the law of the caller's place. The super-user breaks none.
    #[must_use]
    pub fn breaches(&self, principal: &Principal, before: Option<&Json>, after: Option<&Json>) -> Vec<Issue> {
        let role = principal.role;
        let place = principal.jurisdiction.as_deref();
        let Some(rtype) = after.or(before).map(element::type_of) else { return Vec::new() };
        if role == Role::SuperUser {
            return Vec::new();
        }
        let here = self.rules.iter().filter(|r| r.resource == rtype && r.holds_in(place));
        let broken = here.filter(|r| r.meets(before, after) && !r.roles.contains(&role));
        let issue = |r: &Rule| {
            let at = match (&r.element, r.to.is_empty()) {
                (Some(element), _) if EXTENSIONS.contains(&element.as_str()) => format!("{rtype}.extension"),
                (Some(element), _) => format!("{rtype}.{element}"),
                (None, false) => format!("{rtype}.status"),
                (None, true) => rtype.to_string(),
            };
            let who: Vec<&str> = r.roles.iter().map(|r| r.as_str()).collect();
            let text = format!(
                "{} (rule {}: the role '{}' may not; {} may)",
                r.sentence,
                r.code,
                role.as_str(),
                who.join(", ")
            );
            Issue::error("forbidden", at, text)
        };
        broken.map(issue).collect()
    }
}

impl Rule {
    fn holds_in(&self, place: Option<&str>) -> bool {
        let names = |list: &[String]| place.is_some_and(|place| list.iter().any(|code| code == place));
        (self.jurisdictions.is_empty() || names(&self.jurisdictions)) && !names(&self.except)
    }

    fn meets(&self, before: Option<&Json>, after: Option<&Json>) -> bool {
        let kind = match (before, after) {
            (None, Some(_)) => "create",
            (Some(_), Some(_)) => "update",
            _ => "delete",
        };
        let either = |test: &dyn Fn(&Json) -> bool| before.is_some_and(test) || after.is_some_and(test);
        self.on.as_ref().is_none_or(|on| on == kind)
            && (!self.programme || either(&element::is_of_programme))
            && (!self.attempt || either(&super::outreach::is_attempt))
            && (self.to.is_empty() || self.reaches(before, after))
            && self.performer.as_ref().is_none_or(|p| either(&|r| asks_for(r, p)))
            && self.element.as_ref().is_none_or(|e| self.changes(e, before, after))
    }

    /// The status becomes one of `to`.
    fn reaches(&self, before: Option<&Json>, after: Option<&Json>) -> bool {
        let Some(after) = after.map(|a| a["status"].text()) else { return false };
        before.is_none_or(|b| b["status"].text() != after) && self.to.iter().any(|t| t == after)
    }

    fn changes(&self, element: &str, before: Option<&Json>, after: Option<&Json>) -> bool {
        let Some(after) = after else { return true };
        if matches!(element, "resolution" | "acceptance" | "harm-avoided") {
            let of = |r: &Json| super::element::extension(r, element).cloned();
            return before.and_then(of) != of(after);
        }
        if element == "urgency" {
            let of =
                |r: &Json| super::element::extension(r, "urgency").map_or("", |e| e["valueCode"].text()).to_string();
            let (old, new) = (before.map(of).unwrap_or_default(), of(after));
            return old != new && (!self.lowers || lowered("priority", &old, &new));
        }
        let of = |r: &Json| r.get(element).cloned().unwrap_or_default();
        let (old, new) = (before.map(of).unwrap_or_default(), of(after));
        old != new && (!self.lowers || lowered(element, old.text(), new.text()))
    }
}

/// Whether a step down (or away) on the ladder of the element.
fn lowered(element: &str, old: &str, new: &str) -> bool {
    let ladder: &[&str] = if element == "priority" { &PRIORITIES } else { &SEVERITIES };
    let rank = |value: &str| ladder.iter().position(|v| *v == value);
    match (rank(old), rank(new)) {
        (Some(old), Some(new)) => new < old,
        (Some(_), None) => true,
        (None, _) => false,
    }
}

/// NUCC codes of `Task.performerType`, and the role that each asks for.
const PERFORMERS: [(&str, &str); 2] = [("183500000X", "pharmacist"), ("183700000X", "technician")];

/// Whether a role is one that Tasks can ask for.
#[must_use]
pub fn is_performer(role: &Json) -> bool {
    element::codings(role).iter().any(|(_, code)| PERFORMERS.iter().any(|(known, _)| known == code))
}

fn asks_for(task: &Json, role: &str) -> bool {
    let codings = element::codings(&task["performerType"]);
    let asked: Vec<&str> =
        PERFORMERS.iter().filter(|(code, _)| codings.iter().any(|(_, c)| c == code)).map(|(_, r)| *r).collect();
    asked.contains(&role)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_rule_holds_where_it_says_and_not_where_it_does_not() {
        let rule = |code: &str, more: &[(&str, &str)]| {
            let mut properties = vec![
                json!({"code": "resource", "valueCode": "Procedure"}),
                json!({"code": "role", "valueCode": "pharmacist"}),
            ];
            properties.extend(more.iter().map(|(name, value)| json!({"code": name, "valueCode": value})));
            json!({"code": code, "display": code, "property": properties})
        };
        let codes = json!({"concept": [
            rule("everywhere", &[]), rule("but-there", &[("except", "US-ZZ")]), rule("there", &[("jurisdiction", "US-ZZ")]),
        ]});
        let mut complaints = Complaints::default();
        let policy = Policy::read("rules.json", &codes.into(), &mut complaints);
        let procedure: Json = json!({"resourceType": "Procedure"}).into();
        for (place, broken) in [
            (None, ["everywhere", "but-there"]),
            (Some("US-DC"), ["everywhere", "but-there"]),
            (Some("US-ZZ"), ["everywhere", "there"]),
        ] {
            let principal =
                Principal { role: Role::Technician, jurisdiction: place.map(Into::into), ..Principal::super_user() };
            let issues = policy.breaches(&principal, None, Some(&procedure));
            let found: Vec<String> = issues.iter().map(|i| i.diagnostics.clone()).collect();
            assert_eq!(issues.len(), 2, "{found:?}");
            for rule in broken {
                assert!(found.iter().any(|i| i.contains(&format!("(rule {rule}:"))), "{place:?} {rule}: {found:?}");
            }
        }
    }
}
