//! Invariants of profiles: an expression, parsed once, and what it says when it does not hold.
//!
//! Source: <https://hl7.org/fhir/R4/conformance-rules.html#constraints>.

use super::Profiles;
use super::check;
use super::item::Item;
use super::refer::Scope;
use super::slicing::coded;
use super::terms::Answer;
use crate::error::Severity;
use crate::fhir::Json;
use crate::fhir::definition::Type;
use crate::fhir::fhirpath::{Env, Expression, Hooks, Kind, Node, Resolved, Value, reference_type};
use std::sync::Arc;

/// `conformsTo` inside `conformsTo` at most.
const MAX_NESTED: usize = 3;

/// One `constraint`.
#[derive(Debug, Clone)]
pub(super) struct Invariant {
    pub(super) key: Box<str>,
    pub(super) severity: Severity,
    pub(super) human: Box<str>,
    expression: Arc<Expression>,
}

impl Invariant {
    /// Reads a `constraint`. `None` for one without an expression.
    ///
    /// # Errors
    /// Why the expression cannot be used.
    pub(super) fn read(json: &Json) -> Option<Result<Self, String>> {
        let text = json["expression"].as_str()?;
        let severity = if json["severity"].text() == "warning" { Severity::Warning } else { Severity::Error };
        Some(match Expression::parse(text) {
            Ok(expression) => Ok(Self {
                key: json["key"].text().into(),
                severity,
                human: json["human"].text().into(),
                expression: Arc::new(expression),
            }),
            Err(why) => Err(format!("invariant {}: {why}", json["key"].text())),
        })
    }

    /// What it says of an element that breaks it.
    pub(super) fn told(&self, item: &Item<'_>) -> String {
        self.expression.told(&self.key, &self.human, context(item))
    }

    /// Whether a fault of form, at `rest` of the element (`.name[0].given`; "": at itself), may be what breaks it.
    pub(super) fn comes_of(&self, rest: &str, item: &Item<'_>) -> bool {
        let Some(rest) = rest.strip_prefix('.') else { return true };
        let name = rest.split(['.', '[']).next().unwrap_or_default();
        let footprint = self.expression.footprint();
        let is_there = |name: &str| !item.members(name).is_empty();
        let structure = item.structure();
        let kind = structure.and_then(|s| s.member(name)).map(|found| found.kind);
        // What is unknown may be meant for any that is not there.
        let is_unknown = kind.is_none() && structure.is_some_and(|s| s.element(name).is_none());
        // What names nothing may look into whatever has an inside.
        (!footprint.is_named && !matches!(kind, Some(Type::Primitive(_))))
            || footprint.deep.contains(&name)
            || (footprint.members.contains(&name) && !is_there(name))
            || (is_unknown && footprint.members.iter().any(|name| !is_there(name)))
    }

    /// Whether it holds for an element; what it says nothing about holds. `scope`: of what holds the element, or, of a rule of
    /// a resource itself, that resource's own.
    ///
    /// # Errors
    /// Why it cannot be worked out on this element.
    pub(super) fn holds(
        &self,
        profiles: &Profiles,
        item: &Item<'_>,
        scope: &Scope<'_>,
        nested: usize,
    ) -> Result<bool, String> {
        let host = Host { profiles, scope, nested };
        let env = Env { hooks: &host, root: Node::resource(scope.container), ..Env::of(scope.resource) };
        let env = env.on(context(item));
        self.expression.holds(&env).map(|holds| holds.unwrap_or(true)).map_err(|why| why.to_string())
    }
}

fn context<'a>(item: &Item<'a>) -> Node<'a> {
    let half = (!item.extra.is_null()).then_some(item.extra);
    let kind = item.kind.map_or(Kind::Unknown, |kind| Kind::of(kind, item.value));
    Node { json: item.value, half, kind }
}

/// What an invariant may ask beyond its resource: profiles, value sets, entries of the Bundle around.
struct Host<'h, 's> {
    profiles: &'h Profiles,
    scope: &'h Scope<'s>,
    nested: usize,
}

impl<'a, 's: 'a> Hooks<'a> for Host<'_, 's> {
    fn resolve(&self, reference: &str) -> Resolved<'a> {
        match self.scope.resolve(reference) {
            Some(found) => Resolved::Resource(found),
            None => reference_type(reference).map_or(Resolved::Nothing, Resolved::Type),
        }
    }

    fn conforms(&self, node: Node<'a>, profile: &str) -> Option<bool> {
        // An invariant may ask for the profile that it is of.
        self.profiles.find(profile).filter(|_| self.nested < MAX_NESTED)?;
        let issues = check::run(self.profiles, node.json, &[profile], &[], &|_| None, self.nested + 1);
        Some(!issues.iter().any(|i| i.severity == Severity::Error && i.profile.is_some()))
    }

    fn is_member(&self, value: &Value<'a>, value_set: &str) -> Option<bool> {
        let json = value.to_json();
        let answers: Vec<Answer> =
            coded(&json).into_iter().map(|(system, code)| self.profiles.terms.has(value_set, system, code)).collect();
        match answers.contains(&Answer::In) {
            true => Some(true),
            false if answers.contains(&Answer::Unknown) => None,
            false => Some(false),
        }
    }
}
