//! The constraints of R4 on types and elements, each compiled once.
//!
//! For: the walk, which asks for the rules of each element it has been through. Rules that are native code elsewhere in this
//! module are not among them ([`NATIVE`]); expressions of R4 4.0.1 that do not say what their text says are replaced
//! ([`CORRECTED`]). A rule is broken when its expression is false; where it is empty, the
//! rule is not refuted (two dates of which one is a year only).
//! Not for: profiles.
//! Source: <https://hl7.org/fhir/R4/validation.html>, <https://hl7.org/fhir/R4/conformance-rules.html#constraints>.

use crate::error::Issue;
use crate::fhir::Json;
use crate::fhir::definition::{self, Element, Structure, StructureKind, Type};
use crate::fhir::fhirpath::{Env, Expression, Kind, Node};
use std::sync::LazyLock;

/// Rules that have code of their own: `walk.rs`, `reference.rs`, `bundle.rs`, `xhtml`.
pub(super) const NATIVE: [&str; 20] = [
    "bdl-1", "bdl-10", "bdl-11", "bdl-12", "bdl-2", "bdl-3", "bdl-4", "bdl-5", "bdl-7", "bdl-8", "bdl-9", "dom-2",
    "dom-3", "dom-4", "dom-5", "ele-1", "ext-1", "ref-1", "txt-1", "txt-2",
];

/// Path, key, and the expression that says what the text of the rule says. Why each: `docs/validation.md`.
pub(super) const CORRECTED: [(&str, &str, &str); 22] = [
    (
        "Condition",
        "con-3",
        "clinicalStatus.exists() or \
         verificationStatus.coding.where(system='http://terminology.hl7.org/CodeSystem/condition-ver-status' \
         and code = 'entered-in-error').exists() or category.coding.where(code='problem-list-item').empty()",
    ),
    (
        "Consent",
        "ppc-2",
        "patient.exists() or scope.coding.where(system='http://terminology.hl7.org/CodeSystem/consentscope' \
         and code='patient-privacy').empty()",
    ),
    (
        "Consent",
        "ppc-3",
        "patient.exists() or scope.coding.where(system='http://terminology.hl7.org/CodeSystem/consentscope' \
         and code='research').empty()",
    ),
    (
        "Consent",
        "ppc-4",
        "patient.exists() or scope.coding.where(system='http://terminology.hl7.org/CodeSystem/consentscope' \
         and code='adr').empty()",
    ),
    (
        "Consent",
        "ppc-5",
        "patient.exists() or scope.coding.where(system='http://terminology.hl7.org/CodeSystem/consentscope' \
         and code='treatment').empty()",
    ),
    ("Duration", "drt-1", "code.exists() implies (system.exists() and system = %ucum and value.exists())"),
    ("ElementDefinition.max", "eld-3", "$this = '*' or matches('^[0-9]+$')"),
    ("MessageDefinition.focus", "md-1", "max.empty() or max = '*' or max.matches('^[1-9][0-9]*$')"),
    ("OperationDefinition.parameter", "opd-2", "searchType.exists() implies (type.exists() and type = 'string')"),
    (
        "OperationDefinition.parameter",
        "opd-3",
        "targetProfile.exists() implies (type.exists() and (type = 'Reference' or type = 'canonical'))",
    ),
    ("Questionnaire.item", "que-12", "enableWhen.count() > 1 implies enableBehavior.exists()"),
    ("Questionnaire.item", "que-13", "(repeats.exists() and repeats = true) or initial.count() <= 1"),
    ("Questionnaire.item.enableWhen", "que-7", "operator = 'exists' implies (answer is boolean)"),
    (
        "RiskAssessment.prediction.probability[x]",
        "ras-1",
        "(low | high).all(code.exists() and code = '%' and system.exists() and system = %ucum)",
    ),
    (
        "StructureDefinition",
        "sdf-1",
        "(derivation.exists() and derivation = 'constraint') or snapshot.element.select(path).isDistinct()",
    ),
    (
        "StructureDefinition",
        "sdf-5",
        "type != 'Extension' or (derivation.exists() and derivation = 'specialization') or context.exists()",
    ),
    (
        "StructureDefinition",
        "sdf-21",
        "differential.element.defaultValue.exists() implies (derivation.exists() and derivation = \
         'specialization')",
    ),
    (
        "TestScript.setup.action.operation",
        "tst-7",
        "sourceId.exists() or (targetId.count() + url.count() + params.count() = 1) or type.where(code in \
         ('capabilities' | 'search' | 'transaction' | 'history')).exists()",
    ),
    (
        "TestScript.test.action.operation",
        "tst-8",
        "sourceId.exists() or (targetId.count() + url.count() + params.count() = 1) or type.where(code in \
         ('capabilities' | 'search' | 'transaction' | 'history')).exists()",
    ),
    (
        "TestScript.teardown.action.operation",
        "tst-9",
        "sourceId.exists() or (targetId.count() + url.count() + params.count() = 1) or type.where(code in \
         ('capabilities' | 'search' | 'transaction' | 'history')).exists()",
    ),
    (
        "Timing.repeat",
        "tim-9",
        "offset.empty() or (when.exists() and when.where($this in ('C' | 'CM' | 'CD' | 'CV')).empty())",
    ),
    ("ValueSet.expansion.contains", "vsd-9", "code.exists() or (abstract.exists() and abstract = true)"),
];

/// A rule.
#[derive(Debug)]
pub(super) struct Invariant {
    pub key: &'static str,
    pub is_error: bool,
    /// What it asks for, in R4's words.
    pub human: &'static str,
    pub expression: Expression,
}

/// A rule on a structure.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rule {
    pub invariant: &'static Invariant,
    /// Where none of these elements is there, it holds.
    pub needs: Option<u128>,
    /// The elements that it names, and those of them into which it looks.
    pub names: u128,
    pub reads: u128,
}

/// The rules of a structure.
#[derive(Debug, Default)]
pub(super) struct Rules {
    /// On the element itself.
    pub own: Vec<Rule>,
    /// On elements inside, by position.
    pub inside: Vec<(u8, Vec<Rule>)>,
}

static TABLE: LazyLock<Vec<Rules>> = LazyLock::new(compile);
static NONE: Rules = Rules { own: Vec::new(), inside: Vec::new() };

/// The rules of a structure.
pub(super) fn rules(structure: &Structure) -> &'static Rules {
    TABLE.get(usize::from(structure.number)).unwrap_or(&NONE)
}

/// Whether an issue is a broken constraint of the table.
pub(super) fn is_told_by(issue: &Issue) -> bool {
    let key = issue.rule.split(':').next().unwrap_or_default();
    issue.code == "invariant" && !key.is_empty() && key != "sqty-1" && !NATIVE.contains(&key)
}

impl Rule {
    /// Whether what is wrong with these members may be what breaks it.
    pub(super) fn comes_of(&self, faulty: u128, lacking: u128) -> bool {
        self.reads & faulty != 0 || self.names & lacking != 0
    }

    /// Whether it cannot be broken by an element that has these members.
    pub(super) fn holds_without(&self, seen: u128) -> bool {
        self.needs.is_some_and(|needs| needs & seen == 0)
    }
}

impl Invariant {
    /// Whether it is broken. What cannot be evaluated is not broken: R4's own expressions fail only on numbers beyond 38 digits and on
    /// resources so large that a rule would take too much work.
    pub(super) fn is_broken(&'static self, env: &Env<'_>) -> bool {
        matches!(self.expression.holds(env), Ok(Some(false)))
    }
}

/// One line of the table.
fn invariant(line: &'static str) -> Option<(&'static str, &'static Invariant)> {
    let mut columns = line.split('\t');
    let mut column = || columns.next();
    let (path, key, severity, human, expression) = (column()?, column()?, column()?, column()?, column()?);
    if NATIVE.contains(&key) {
        return None;
    }
    let corrected = CORRECTED.iter().find(|(of, rule, _)| *of == path && *rule == key);
    let expression = Expression::parse(corrected.map_or(expression, |(.., better)| better)).ok()?;
    let made = Invariant { key, is_error: severity == "error", human, expression };
    Some((path, Box::leak(Box::new(made))))
}

fn compile() -> Vec<Rules> {
    let all: Vec<(&str, &'static Invariant)> = definition::INVARIANTS.lines().filter_map(invariant).collect();
    let of = |structure: &'static Structure| {
        let mut rules = Rules::default();
        let mut here = Some(structure);
        while let Some(base) = here {
            let mine = all.iter().filter(|(path, _)| *path == base.name);
            rules.own.extend(mine.map(|(_, invariant)| rule(invariant, structure)));
            here = definition::structure(base.base);
        }
        for (position, element) in (0..).zip(&structure.elements) {
            let on = |path: &str| {
                path.strip_prefix(structure.name)
                    .and_then(|rest| rest.strip_prefix('.'))
                    .map(|rest| rest.trim_end_matches("[x]"))
                    == Some(element.name)
            };
            // The inside of a backbone element is a structure of that name.
            let mine = all.iter().filter(|(path, _)| on(path) && definition::structure(path).is_none());
            let mine: Vec<Rule> =
                mine.map(|(_, invariant)| Rule { invariant, needs: None, names: 0, reads: 0 }).collect();
            if !mine.is_empty() {
                rules.inside.push((position, mine));
            }
        }
        rules
    };
    definition::structures().iter().map(of).collect()
}

fn rule(invariant: &'static Invariant, structure: &'static Structure) -> Rule {
    let footprint = invariant.expression.footprint();
    let bits = |list: &[&str]| {
        let named = (0_u32..).zip(&structure.elements).filter(|(_, element)| list.contains(&element.name));
        named.fold(0_u128, |mask, (bit, _)| mask | 1 << bit)
    };
    let mask = bits(&footprint.members);
    let nothing = Json::object();
    let node = Node { json: &nothing, half: None, kind: Kind::Structure(structure) };
    let env = Env::of(&nothing).on(node);
    let is_quiet = footprint.is_all && !matches!(invariant.expression.holds(&env), Ok(Some(false)));
    let mut reads = bits(&footprint.deep);
    let is_known = footprint.is_all || (footprint.is_named && structure.kind == StructureKind::Resource);
    if !is_known {
        // It may look into whatever has an inside.
        let is_complex = |element: &Element| element.types.iter().any(|t| !matches!(t, Type::Primitive(_)));
        let complex = (0_u32..).zip(&structure.elements).filter(|(_, element)| is_complex(element));
        reads |= complex.fold(0, |mask, (bit, _)| mask | 1 << bit);
    }
    Rule { invariant, needs: is_quiet.then_some(mask), names: mask, reads }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R4 validation.html: All 239 constraints of R4 are held, natively or by FHIRPath.
    #[test]
    fn every_constraint_of_r4_is_native_or_compiles_and_is_asked_somewhere() {
        let mut asked = std::collections::BTreeSet::new();
        for rules in TABLE.iter() {
            let inside = rules.inside.iter().flat_map(|(_, rules)| rules);
            asked.extend(rules.own.iter().chain(inside).map(|rule| std::ptr::from_ref(rule.invariant)));
        }
        let mut native = std::collections::BTreeSet::new();
        let mut count = 0;
        for line in definition::INVARIANTS.lines() {
            let columns: Vec<&str> = line.split('\t').collect();
            assert!(matches!(columns[..], [_, _, "error" | "warning", _, _]), "{line}");
            if NATIVE.contains(&columns[1]) {
                native.insert(columns[1]);
            } else {
                Expression::parse(columns[4]).unwrap_or_else(|e| panic!("{line}: {e}"));
                count += 1;
            }
        }
        assert_eq!((asked.len(), native.len()), (count, NATIVE.len()));
        for (path, key, expression) in CORRECTED {
            assert!(definition::INVARIANTS.lines().any(|l| l.starts_with(&format!("{path}\t{key}\t"))), "{key}");
            Expression::parse(expression).unwrap();
        }
    }
}
