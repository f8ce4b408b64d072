//! Which slice an item is in, and what the slices of an element ask.
//!
//! Source: <https://hl7.org/fhir/R4/profiling.html#slicing>.

use super::check::Check;
use super::item::Item;
use super::model::{Node, NodeId, ProfileId, Rules, Slicing, Test};
use super::refer::{Scope, follow, is_a};
use super::terms::Answer;
use super::value::{has_pattern, is_same};
use crate::fhir::Json;
use crate::fhir::path::Path;

/// The slice of what is in no other.
const DEFAULT: &str = "@default";

impl<'a> Check<'a> {
    /// Sorts items into slices and holds them against these. Answers how many items the slices miss.
    pub(super) fn slices(
        &mut self,
        of: ProfileId,
        node: &'a Node,
        items: &[Item<'a>],
        parent: &Path<'_>,
        scope: &Scope<'a>,
    ) -> usize {
        let Some(slicing) = node.slicing.as_ref().filter(|_| !node.slices.is_empty() || !node.members.is_empty())
        else {
            return 0;
        };
        let placed: Vec<Option<usize>> = items
            .iter()
            .map(|item| item.at(parent, |path| self.slice_of(of, node, slicing, item, path, scope)))
            .collect();
        let mut missing = 0;
        for (n, slice) in node.slices.iter().enumerate() {
            let own = |(item, placed): (&Item<'a>, &Option<usize>)| (*placed == Some(n)).then_some(*item);
            let inside: Vec<Item<'a>> = items.iter().zip(&placed).filter_map(own).collect();
            missing += self.group(of, slice.node, Some(&slice.name), &inside, parent, scope);
        }
        let mut last = 0;
        let mut is_after = false;
        for (item, placed) in items.iter().zip(&placed) {
            match placed {
                None if node.members.iter().any(|name| **name == *item.json_key) => {}
                // A type that the element does not have is told of already.
                None if !node.types.is_empty() && !node.types.iter().any(|t| is_a(item.type_name(), &t.code)) => {}
                None if slicing.rules == Rules::Closed => {
                    let names: Vec<&str> =
                        node.members.iter().chain(node.slices.iter().map(|s| &s.name)).map(|n| &**n).collect();
                    let what =
                        format!("found an item that is in no slice, expected one of the slices {}", names.join(", "));
                    item.at(parent, |path| self.error(of, "structure", path, &what));
                }
                None => is_after = true,
                Some(n) => {
                    if is_after && slicing.rules == Rules::OpenAtEnd {
                        let what = "found an item of a slice after one of none; put those of slices first";
                        item.at(parent, |path| self.error(of, "structure", path, what));
                    }
                    if slicing.is_ordered && *n < last {
                        let name = node.slices.get(*n).map_or("", |s| &s.name);
                        let what = format!(
                            "found an item of the slice '{name}' after one of a later slice; put them in order"
                        );
                        item.at(parent, |path| self.error(of, "structure", path, &what));
                    }
                    last = last.max(*n);
                }
            }
        }
        missing
    }

    fn slice_of(
        &mut self,
        of: ProfileId,
        node: &'a Node,
        slicing: &'a Slicing,
        item: &Item<'a>,
        path: &Path<'_>,
        scope: &Scope<'a>,
    ) -> Option<usize> {
        let mut default = None;
        for (n, slice) in node.slices.iter().enumerate() {
            if &*slice.name == DEFAULT {
                default = Some(n);
            } else if self.is_in(of, slicing, &slice.tests, slice.node, item, path, scope) {
                return Some(n);
            }
        }
        default
    }

    #[allow(clippy::too_many_arguments)]
    fn is_in(
        &mut self,
        of: ProfileId,
        slicing: &'a Slicing,
        tests: &'a [Test],
        slice: NodeId,
        item: &Item<'a>,
        path: &Path<'_>,
        scope: &Scope<'a>,
    ) -> bool {
        if tests.iter().all(|t| *t == Test::Silent) {
            return self.fits(of, slice, item, path, scope);
        }
        slicing.discriminators.iter().zip(tests).all(|(told, test)| {
            let values = follow(*item, &told.route.0, scope);
            match test {
                Test::Silent => true,
                Test::Exists(is_there) => values.is_empty() != *is_there,
                test => values.iter().any(|value| self.passes(test, value, path, scope)),
            }
        })
    }

    fn passes(&mut self, test: &'a Test, item: &Item<'a>, path: &Path<'_>, scope: &Scope<'a>) -> bool {
        match test {
            Test::Silent => true,
            Test::Fixed(fixed) => is_same(item.value, fixed),
            Test::Pattern(pattern) => has_pattern(item.value, pattern),
            Test::InSet(set) => {
                coded(item.value).iter().any(|(system, code)| self.profiles.terms.has(set, *system, code) == Answer::In)
            }
            Test::Exists(is_there) => item.value.is_null() != *is_there,
            Test::Types(names) => names.iter().any(|name| is_a(item.type_name(), name)),
            Test::Profiles(urls) => urls.iter().any(|url| match self.profiles.find_id(url) {
                Some(id) if item.named.is_some() => {
                    self.profiles.list.get(id).is_some_and(|p| *p.rtype == *item.type_name())
                }
                Some(id) => self.conforms(id, item, path, scope),
                None => self.profiles.type_of(url).is_some_and(|name| is_a(item.type_name(), &name)),
            }),
            Test::Node(of, node) => self.fits(*of, *node, item, path, scope),
            Test::Any(tests) => tests.iter().any(|test| self.passes(test, item, path, scope)),
        }
    }
}

/// System and code of a coded value: each coding of a CodeableConcept; a code has no system.
pub(super) fn coded(value: &Json) -> Vec<(Option<&str>, &str)> {
    fn one(json: &Json) -> Option<(Option<&str>, &str)> {
        Some((Some(json["system"].text()), json["code"].as_str()?))
    }
    match value {
        Json::String(code) => vec![(None, code)],
        Json::Object(members) => match members.get("coding") {
            Some(codings) => codings.items().iter().filter_map(one).collect(),
            None => Vec::from_iter(one(value)),
        },
        _ => Vec::new(),
    }
}
