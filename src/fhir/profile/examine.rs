//! Definitions that are no profile in force: whether one could be, and what an operation's parameters are by one.
//!
//! For: `$validate` of a StructureDefinition and an OperationDefinition (`fhir::scrutiny`).
//! Source: <https://hl7.org/fhir/R4/profiling.html#constraints>, <https://hl7.org/fhir/R4/profiling.html#discriminator>.

use super::build::Tree;
use super::check::Check;
use super::item::Item;
use super::model::{Node, ROOT};
use super::refer::Scope;
use super::route::{Route, Step};
use super::source::{self, Read, Source};
use super::{Profiles, canonical, is_type};
use crate::error::{Issue, Severity};
use crate::fhir::Json;
use crate::fhir::path::Path;
use crate::fhir::resource::printable;

/// What is wrong with a definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Below the StructureDefinition: `differential.element[2]`; "": the whole.
    pub place: String,
    /// Found, expected, cure.
    pub text: String,
}

/// A parameter of an operation as a profile of `Parameters` has it: one slice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// Name that the slice is told by.
    pub name: Box<str>,
    /// At least so many.
    pub min: usize,
    /// At most so many; `None`: any number.
    pub max: Option<usize>,
    /// Types of its resource or value; none: any.
    pub types: Vec<Box<str>>,
}

impl Profiles {
    /// What is wrong with a StructureDefinition: it could not be compiled on the profiles in force, a discriminator leads nowhere, or it
    /// widens what its base allows. Of one whose base is not known here only the form is judged.
    #[must_use]
    pub fn examine(&self, definition: &Json) -> Vec<Fault> {
        let source = match source::read("", definition) {
            Ok(Read::Profile(source)) => source,
            Ok(Read::Other) => return Vec::new(),
            Err(text) => return vec![Fault { place: String::new(), text }],
        };
        let base = match source.is_snapshot || is_type(canonical(&source.base).0) {
            true => None,
            false => match self.find(&source.base) {
                Some(base) => Some(base.nodes.as_slice()),
                None => return Vec::new(),
            },
        };
        let part = if source.is_snapshot { "snapshot" } else { "differential" };
        let tree = match Tree::build(&source, base) {
            Ok(tree) => tree,
            Err(why) => {
                let name = why.split(": ").next().unwrap_or_default();
                let list = definition[part]["element"].items();
                let at = list.iter().position(|e| e["id"].text() == name || e["path"].text() == name);
                let place = at.map_or(part.to_owned(), |n| format!("{part}.element[{n}]"));
                return vec![Fault { place, text: why }];
            }
        };
        let mut faults = lost_discriminators(&source, &tree, part);
        faults.extend(widened(&source, &tree, base.unwrap_or_default(), part));
        faults
    }

    /// The parameters that a profile of `Parameters` has slices for; `None`: the profile is not known here.
    #[must_use]
    pub fn parameters(&self, url: &str) -> Option<Vec<Slot>> {
        let profile = self.find(url).filter(|p| &*p.rtype == "Parameters")?;
        let below = |node: &Node, name: &str| {
            node.children.iter().filter_map(|id| profile.nodes.get(*id)).find(|n| *n.name == *name).cloned()
        };
        let list = below(profile.nodes.get(ROOT)?, "parameter")?;
        let slot = |node: &Node| {
            let name = below(node, "name")?;
            let name = name.fixed.as_ref().or(name.pattern.as_ref())?.as_str()?.into();
            let kinds = ["resource", "value"].iter().filter_map(|name| below(node, name));
            let types = kinds.flat_map(|n| n.types.iter().map(|t| t.code.clone()).collect::<Vec<_>>()).collect();
            Some(Slot { name, min: node.min, max: node.max, types })
        };
        Some(list.slices.iter().filter_map(|slice| slot(profile.nodes.get(slice.node)?)).collect())
    }

    /// Holds a resource against one profile, whatever it claims.
    #[must_use]
    pub fn against(&self, resource: &Json, url: &str) -> Vec<Issue> {
        let Some(id) = self.find_id(url) else { return Vec::new() };
        let name = resource["resourceType"].as_str().filter(|name| name.len() < 64).unwrap_or_default();
        let unknown = |_: &str| None::<Severity>;
        let mut check = Check::new(self, &unknown, 0);
        check.node(id, ROOT, &Item::resource(resource), &Path::root(name), &Scope::of(resource));
        check.issues
    }
}

/// Discriminators that begin with an element that is not there.
fn lost_discriminators(source: &Source, tree: &Tree, part: &str) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (n, (element, laid)) in source.elements.iter().zip(&tree.laid).enumerate() {
        let Some(structure) = tree.nodes.get(*laid).and_then(|node| node.structure) else { continue };
        for (m, one) in element.json["slicing"]["discriminator"].items().iter().enumerate() {
            let path = one["path"].text();
            let Some(Route(steps)) = Route::parse(path) else { continue };
            if let Some(Step::Member(name)) = steps.first()
                && structure.element(name).is_none()
                && structure.member(name).is_none()
            {
                let text = format!(
                    "found the discriminator '{}', and {} has no element of that name; name one that it has",
                    printable(path),
                    structure.name
                );
                faults.push(Fault { place: format!("{part}.element[{n}].slicing.discriminator[{m}]"), text });
            }
        }
    }
    faults
}

/// Where a profile asks less than its base, or something else.
fn widened(source: &Source, tree: &Tree, base: &[Node], part: &str) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (n, laid) in tree.laid.iter().enumerate() {
        let (Some(node), Some(base)) = (tree.nodes.get(*laid), base.get(*laid)) else { continue };
        let mut add = |text: String| faults.push(Fault { place: format!("{part}.element[{n}]"), text });
        if node.min < base.min {
            add(format!("found min {}, expected at least {}, as {} asks", node.min, base.min, source.base));
        }
        if let Some(max) = base.max.filter(|max| node.max.is_none_or(|own| own > *max)) {
            let own = node.max.map_or("*".to_owned(), |own| own.to_string());
            add(format!("found max {own}, expected at most {max}, as {} allows", source.base));
        }
        if let (Some(own), Some(fixed)) = (&node.fixed, &base.fixed)
            && own != fixed
        {
            let (own, fixed) = (printable(&own.to_string()), printable(&fixed.to_string()));
            add(format!("found the fixed value {own}, expected {fixed}, as {} has fixed it", source.base));
        }
    }
    faults
}
