//! What tells a slice: the tests of each slice, made once when all profiles are there.
//!
//! Source: <https://hl7.org/fhir/R4/profiling.html#discriminator>.

use super::Profiles;
use super::build::{R4, implied};
use super::model::{Node, NodeId, ProfileId, ROOT, Telling, Test};
use super::route::Step;
use crate::fhir::Json;

/// Profiles inside profiles that a discriminator is followed into at most.
const MAX_DEPTH: usize = 12;

/// Makes the tests of all slices of all profiles.
pub(super) fn link(profiles: &mut Profiles) {
    let mut made = Vec::new();
    for (profile, tree) in profiles.list.iter().enumerate() {
        for (id, node) in tree.nodes.iter().enumerate().filter(|(_, n)| !n.slices.is_empty()) {
            let slicing = node.slicing.clone().filter(|s| !s.discriminators.is_empty()).unwrap_or_else(|| {
                let of = implied(&node.name);
                node.slicing.as_ref().map_or_else(
                    || of.clone(),
                    |own| super::model::Slicing { discriminators: of.discriminators.clone(), ..own.clone() },
                )
            });
            let tests = node.slices.iter().map(|slice| {
                let of =
                    |d: &super::model::Discriminator| profiles.expected(profile, slice.node, &d.route.0, d.kind, 0);
                slicing.discriminators.iter().map(of).collect::<Vec<_>>()
            });
            made.push((profile, id, slicing.clone(), tests.collect::<Vec<_>>()));
        }
    }
    for (profile, id, slicing, tests) in made {
        let Some(node) = profiles.list.get_mut(profile).and_then(|p| p.nodes.get_mut(id)) else { continue };
        node.slicing = Some(slicing);
        for (slice, tests) in node.slices.iter_mut().zip(tests) {
            slice.tests = tests;
        }
    }
}

impl Profiles {
    fn node(&self, profile: ProfileId, node: NodeId) -> Option<&Node> {
        self.list.get(profile)?.nodes.get(node)
    }

    /// What a discriminator must give, by the definition of the slice at `node`.
    fn expected(&self, profile: ProfileId, at: NodeId, steps: &[Step], kind: Telling, depth: usize) -> Test {
        let Some(node) = self.node(profile, at).filter(|_| depth < MAX_DEPTH) else { return Test::Silent };
        let Some((step, rest)) = steps.split_first() else { return self.end(profile, at, node, kind) };
        if let (Telling::Value, Some(json)) = (kind, node.fixed.as_ref().or(node.pattern.as_ref()))
            && let Some(part) = projected(json, steps)
        {
            return Test::Pattern(part);
        }
        let mut found = match step {
            Step::Member(name) => {
                let name = match rest.first() {
                    Some(Step::OfType(rtype)) => choice(name, rtype),
                    _ => name.to_string(),
                };
                self.below(profile, node, &name, steps, kind, depth)
            }
            Step::Extension(url) => self.in_extension(profile, node, url, rest, kind, depth),
            Step::OfType(_) => self.expected(profile, at, rest, kind, depth + 1),
            Step::Resolve => return self.targets(node, rest, kind, depth),
        };
        if found == Test::Silent {
            let named = node.types.iter().flat_map(|t| t.profiles.iter());
            found = any(named.filter_map(|url| match self.find_id(url) {
                Some(other) => Some(self.expected(other, ROOT, steps, kind, depth + 1)),
                // The URL of an extension is its profile's, also when that is not at hand.
                None if &*node.name == "extension" || &*node.name == "modifierExtension" => match (step, kind) {
                    (Step::Member(name), Telling::Value) if &**name == "url" => {
                        Some(Test::Fixed(super::canonical(url).0.into()))
                    }
                    _ => None,
                },
                None => None,
            }));
        }
        found
    }

    /// Follows a member, also into its slices and through a content reference.
    fn below(&self, profile: ProfileId, node: &Node, name: &str, steps: &[Step], kind: Telling, depth: usize) -> Test {
        let Some((step, mut rest)) = steps.split_first() else { return Test::Silent };
        let Step::Member(plain) = step else { return Test::Silent };
        let by_name = |name: &str| {
            node.children.iter().copied().find(|c| self.node(profile, *c).is_some_and(|n| *n.name == *name))
        };
        let child = by_name(name).inspect(|_| {}).or_else(|| by_name(plain)).or_else(|| {
            // `value` where only `valueQuantity` is defined.
            let one = |c: &NodeId| {
                self.node(profile, *c).is_some_and(|n| {
                    n.name.strip_prefix(&**plain).is_some_and(|r| r.starts_with(|c: char| c.is_ascii_uppercase()))
                })
            };
            node.structure
                .is_none_or(|s| s.element(plain).is_some_and(|e| e.choice))
                .then(|| node.children.iter().copied().find(one))
                .flatten()
        });
        let Some(child) = child else {
            return match node.refers.and_then(|to| self.node(profile, to)) {
                Some(to) => self.below(profile, to, name, steps, kind, depth + 1),
                None => Test::Silent,
            };
        };
        if by_name(name) == Some(child) && name != &**plain {
            rest = rest.split_first().map_or(rest, |(_, rest)| rest); // `ofType` is in the name
        }
        let direct = self.expected(profile, child, rest, kind, depth + 1);
        if direct != Test::Silent {
            return direct;
        }
        let slices = self.node(profile, child).map_or(&[][..], |n| &n.slices);
        any(slices.iter().map(|slice| self.expected(profile, slice.node, rest, kind, depth + 1)))
    }

    fn in_extension(
        &self,
        profile: ProfileId,
        node: &Node,
        url: &str,
        rest: &[Step],
        kind: Telling,
        depth: usize,
    ) -> Test {
        for child in &node.children {
            let Some(list) = self.node(profile, *child).filter(|n| &*n.name == "extension") else { continue };
            for slice in &list.slices {
                let of = self.node(profile, slice.node);
                if of.is_some_and(|n| n.types.iter().any(|t| t.profiles.iter().any(|p| super::canonical(p).0 == url))) {
                    return self.expected(profile, slice.node, rest, kind, depth + 1);
                }
            }
        }
        match (self.find_id(url), rest.is_empty()) {
            (Some(other), false) => self.expected(other, ROOT, rest, kind, depth + 1),
            _ => Test::Silent,
        }
    }

    fn targets(&self, node: &Node, rest: &[Step], kind: Telling, depth: usize) -> Test {
        let targets: Vec<&str> = node.types.iter().flat_map(|t| t.targets.iter()).map(|t| &**t).collect();
        if targets.is_empty() {
            return Test::Silent;
        }
        match (rest.is_empty(), kind) {
            (true, Telling::Profile | Telling::Value) => Test::Profiles(targets.into_iter().map(Into::into).collect()),
            (true, Telling::Type) => Test::Types(targets.iter().filter_map(|url| self.type_of(url)).collect()),
            (true, Telling::Exists) => Test::Silent,
            (false, _) => any(targets
                .iter()
                .filter_map(|url| Some(self.expected(self.find_id(url)?, ROOT, rest, kind, depth + 1)))),
        }
    }

    /// The type that a profile is of; of R4's own definitions the name in the URL.
    pub(super) fn type_of(&self, url: &str) -> Option<Box<str>> {
        match self.find(url) {
            Some(profile) => Some(profile.rtype.clone()),
            None => super::canonical(url)
                .0
                .strip_prefix(R4)
                .filter(|n| {
                    crate::fhir::ResourceType::parse(n).is_some() || crate::fhir::definition::structure(n).is_some()
                })
                .map(Into::into),
        }
    }

    fn end(&self, profile: ProfileId, at: NodeId, node: &Node, kind: Telling) -> Test {
        match kind {
            Telling::Value => match (&node.fixed, &node.pattern, &node.binding) {
                (Some(fixed), ..) => Test::Fixed(fixed.clone()),
                (None, Some(pattern), _) => Test::Pattern(pattern.clone()),
                (None, None, Some(binding)) if binding.is_required => Test::InSet(binding.set.clone()),
                _ if !node.children.is_empty() || !node.slices.is_empty() => Test::Node(profile, at),
                _ => match node.types.iter().flat_map(|t| t.profiles.iter()).find_map(|url| self.find_id(url)) {
                    Some(other) => match self.node(other, ROOT) {
                        Some(root) => self.end(other, ROOT, root, kind),
                        None => Test::Silent,
                    },
                    None => Test::Silent,
                },
            },
            Telling::Exists if node.max == Some(0) => Test::Exists(false),
            Telling::Exists if node.min > 0 => Test::Exists(true),
            Telling::Exists => Test::Silent,
            Telling::Type => match node.types.is_empty() {
                true => node.structure.map_or(Test::Silent, |s| Test::Types(vec![s.name.into()])),
                false => Test::Types(node.types.iter().map(|t| t.code.clone()).collect()),
            },
            Telling::Profile => {
                let named: Vec<Box<str>> = node.types.iter().flat_map(|t| t.profiles.iter().cloned()).collect();
                if named.is_empty() { Test::Silent } else { Test::Profiles(named) }
            }
        }
    }
}

fn any(tests: impl Iterator<Item = Test>) -> Test {
    let mut tests: Vec<Test> = tests.filter(|t| *t != Test::Silent).collect();
    match tests.len() {
        0 => Test::Silent,
        1 => tests.swap_remove(0),
        _ => Test::Any(tests),
    }
}

fn choice(name: &str, rtype: &str) -> String {
    let mut chars = rtype.chars();
    let first = chars.next().map(|c| c.to_ascii_uppercase());
    name.chars().chain(first).chain(chars).collect()
}

/// The part of a fixed value or pattern at the end of the steps: the first, of arrays.
fn projected(json: &Json, steps: &[Step]) -> Option<Json> {
    let mut here = json;
    for step in steps {
        let Step::Member(name) = step else { return None };
        while let Json::Array(items) = here {
            here = items.first()?;
        }
        here = here.get(name)?;
    }
    while let Json::Array(items) = here {
        here = items.first()?;
    }
    Some(here.clone())
}
