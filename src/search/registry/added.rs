//! A parameter that R4 does not have: of `profiles/search`, or posted.
//!
//! Where its expressions are those of a slot of R4, it is stored there. Else its slot is named after all that its rows
//! depend on, so that rows of another definition under the same code are never taken for its own.

use super::slots::{based, coded, implied, is_canonical, is_coded, param};
use super::table::Definition;
use super::{Building, Entry, Param, ParamType, Part, R4, Slot, Source, Use};
use crate::error::Issue;
use crate::fhir::fhirpath::{Expr, Step};
use crate::fhir::{ResourceType, definition};
use crate::search::param::composite::Component;
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// Being added to the parameters of one type.
struct Adding<'a> {
    entry: &'a mut Entry,
    rtype: ResourceType,
    d: &'a Definition,
    /// Its slots carry the plain code: Baton's own embedded ones.
    is_plain: bool,
    is_building: bool,
    /// Slots of R4, the first ones of the entry: only these are shared.
    of_r4: usize,
    /// Names of the slots that were made.
    own: Vec<String>,
}

/// Adds a parameter; answers the names of the slots that it has for itself. `known`: all definitions, for the components of
/// a composite.
pub(super) fn add(
    entry: &mut Entry,
    rtype: ResourceType,
    d: &Definition,
    known: &[Definition],
    is_plain: bool,
    building: Option<&Arc<Building>>,
) -> Result<Vec<String>, Issue> {
    let Err(at) = entry.params.binary_search_by(|p| p.code.cmp(&d.code)) else {
        return Err(refuse(d, "code", format!("{rtype} has a search parameter '{}' already", d.code)));
    };
    let alternatives = d.alternatives_of(rtype);
    if alternatives.is_empty() {
        return Err(refuse(d, "expression", format!("no part of its expression begins with {rtype}")));
    }
    if let Some(path) = alternatives.iter().find_map(|e| unknown_path(e, rtype)) {
        return Err(refuse(d, "expression", format!("R4 has no element {path}")));
    }
    let of_r4 = R4.entry(rtype).map_or(0, |e| e.slots.len());
    let is_building = building.is_some();
    let mut adding = Adding { entry, rtype, d, is_plain, is_building, of_r4, own: Vec::new() };
    let made = if d.kind == ParamType::Composite {
        let parts = adding.composite(&alternatives, known)?;
        param(d, vec![], parts)
    } else {
        let seen = adding.values(&d.code, d.kind, alternatives);
        param(d, vec![seen], vec![])
    };
    let Adding { entry, own, .. } = adding;
    // What R4's rows answer need not be built.
    let building = building.filter(|_| !own.is_empty()).cloned();
    entry.params.insert(at, Param { building, ..made });
    Ok(own)
}

fn refuse(d: &Definition, at: &str, why: String) -> Issue {
    Issue::error("invalid", format!("SearchParameter.{at}"), format!("SearchParameter {}: {why}", d.url))
}

impl Adding<'_> {
    /// A slot of R4 with just these values, or a new one.
    fn values(&mut self, name: &str, kind: ParamType, alternatives: Vec<Expr>) -> Use {
        let is_canonical = kind == ParamType::Reference && alternatives.iter().any(|a| is_canonical(self.rtype, a));
        let is_coded = kind == ParamType::Token && alternatives.iter().any(|a| is_coded(self.rtype, a));
        let same = |slot: &&Slot| match &slot.source {
            Source::Values { alternatives: has, elsewhere, .. } => {
                slot.kind == kind && slot.in_facts && elsewhere.is_empty() && *has == alternatives
            }
            Source::Elements { .. } => false,
        };
        if let Some(Slot { name, source: Source::Values { coded, .. }, .. }) =
            self.entry.slots.iter().take(self.of_r4).find(same)
        {
            let (slot, coded) = (name.clone(), coded.clone());
            return Use { slot, restrict: None, is_single: false, is_canonical, is_coded, coded };
        }
        let coded = Arc::new(coded(implied(&alternatives), &alternatives));
        let source = Source::Values { alternatives, elsewhere: vec![], coded: coded.clone() };
        let slot = self.push(name, kind, source);
        Use { slot, restrict: None, is_single: false, is_canonical, is_coded, coded }
    }

    fn push(&mut self, name: &str, kind: ParamType, source: Source) -> Arc<str> {
        let name: Arc<str> = if self.is_plain {
            name.into()
        } else {
            let hash = Sha256::digest(format!("{kind:?}{source:?}"));
            let hex: String = hash.iter().take(6).map(|b| format!("{b:02x}")).collect();
            format!("{name}~{hex}").into()
        };
        self.own.push(name.to_string());
        let is_building = self.is_building;
        self.entry.slots.push(Slot { name: name.clone(), kind, in_facts: true, source, is_building });
        name
    }

    fn composite(&mut self, alternatives: &[Expr], known: &[Definition]) -> Result<Vec<Part>, Issue> {
        let d = self.d;
        let mut defining: Vec<(&Definition, &Expr)> = Vec::new();
        for (url, expr) in &d.components {
            let url = url.split('|').next().unwrap_or_default();
            let found = known.iter().find(|k| k.url == url && k.kind != ParamType::Composite);
            let found = found.ok_or_else(|| {
                let why =
                    format!("'{}' is no search parameter that Baton knows", crate::fhir::resource::printable(url));
                refuse(d, "component.definition", why)
            })?;
            defining.push((found, expr));
        }
        let mut parts = Vec::new();
        for alternative in alternatives {
            if matches!(alternative, Expr::Type(_)) {
                let mut components = Vec::new();
                for (n, (of, expr)) in defining.iter().enumerate() {
                    let paths = (*expr).clone().alternatives().into_iter().map(|e| based(alternative, e)).collect();
                    let seen = self.values(&format!("{}.{n}", d.code), of.kind, paths);
                    components.push(param(of, vec![seen], vec![]));
                }
                parts.push(Part::Whole(components));
                continue;
            }
            let kinds: Vec<ParamType> = defining.iter().map(|(of, _)| of.kind).collect();
            if !fits(&kinds) {
                let why = "its first component is a token and its second a token, reference, quantity, date, number or \
                           string; or two numbers follow the token";
                return Err(refuse(d, "component", why.into()));
            }
            let component = |(of, expr): &(&Definition, &Expr)| Component {
                kind: of.kind,
                expr: (*expr).clone(),
                coded: coded_of(of, self.rtype),
                targets: of.targets.clone(),
            };
            let components = Arc::new(defining.iter().map(component).collect::<Vec<_>>());
            let source = Source::Elements { element: alternative.clone(), components: components.clone() };
            let name = if parts.is_empty() { d.code.clone() } else { format!("{}.e{}", d.code, parts.len()) };
            parts.push(Part::Element { slot: self.push(&name, ParamType::Composite, source), components });
        }
        Ok(parts)
    }
}

fn coded_of(d: &Definition, rtype: ResourceType) -> crate::search::param::token::Coded {
    coded(d.systems_of(rtype), &[])
}

/// Whether a composite of one element can have these components, in this order.
fn fits(kinds: &[ParamType]) -> bool {
    use ParamType::{Date, Number, Quantity, Reference, String, Token};
    match kinds {
        [Token, second] => matches!(second, Token | Reference | Quantity | Date | Number | String),
        [Token, Number, Number] => true,
        _ => false,
    }
}

/// The first path in an expression that leads to no element of R4, as far as that can be told: not past a choice.
pub(super) fn unknown_path(expr: &Expr, rtype: ResourceType) -> Option<String> {
    let Expr::Path(base, steps) = expr else { return None };
    let Expr::Type(name) = &**base else { return unknown_path(base, rtype) };
    let root = if matches!(&**name, "Resource" | "DomainResource") { rtype.as_str() } else { name };
    let mut here = definition::structure(root)?;
    let mut path = root.to_string();
    for step in steps {
        let (Step::Member(name) | Step::Own(name) | Step::Repeat(name) | Step::Choice(name, ..)) = step else {
            match step {
                Step::Where(_) | Step::Index(_) => continue,
                _ => return None,
            }
        };
        path = format!("{path}.{name}");
        let Some(element) = here.element(name).or_else(|| here.member(name).map(|f| f.element)) else {
            return Some(path);
        };
        let [only] = element.types.as_slice() else { return None };
        here = only.structure()?;
    }
    None
}
