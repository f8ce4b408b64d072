//! What a node asks of one value: its type, what a reference leads to, fixed and least values, codes.

use super::check::{Check, link};
use super::item::Item;
use super::model::{Binding, Node, ProfileId, ROOT, TypeRef};
use super::refer::{Scope, is_a, resolve};
use super::slicing::coded;
use super::terms::Answer;
use super::value::{compare, differs_at, has_pattern, is_same};
use crate::error::Severity;
use crate::fhir::Json;
use crate::fhir::definition::Type;
use crate::fhir::path::Path;
use crate::fhir::resource::printable;
use std::cmp::Ordering;

impl<'a> Check<'a> {
    /// Types, the profiles of the type, and what a reference leads to. `false`: nothing more is to be asked of the value.
    pub(super) fn types(
        &mut self,
        of: ProfileId,
        node: &'a Node,
        item: &Item<'a>,
        path: &Path<'_>,
        scope: &Scope<'a>,
    ) -> bool {
        let name = item.type_name();
        let fitting: Vec<&'a TypeRef> = node.types.iter().filter(|t| name.is_empty() || is_a(name, &t.code)).collect();
        if fitting.is_empty() {
            let is_open = matches!(item.kind, Some(Type::Complex(id)) if id.get().name.contains('.'));
            if !is_open {
                let names: Vec<&str> = node.types.iter().map(|t| &*t.code).collect();
                let what = format!("found a {}, expected {}", printable(name), names.join(" or "));
                self.error(of, "structure", path, &what);
            }
            return is_open;
        }
        self.type_profiles(of, &fitting, item, path, scope);
        if matches!(item.kind, Some(Type::Reference(_))) {
            self.target(of, &fitting, item, path, scope);
        }
        true
    }

    fn type_profiles(
        &mut self,
        of: ProfileId,
        types: &[&'a TypeRef],
        item: &Item<'a>,
        path: &Path<'_>,
        scope: &Scope<'a>,
    ) {
        if types.iter().any(|t| t.profiles.is_empty()) || self.depth >= super::check::MAX_DEPTH {
            return;
        }
        let urls: Vec<&'a str> = types.iter().flat_map(|t| t.profiles.iter()).map(|p| &**p).collect();
        // An extension is held against its definition wherever it stands: see `extension.rs`.
        let is_own = |url: &&str| super::canonical(url).0 == item.value["url"].text();
        if matches!(item.kind, Some(Type::Extension(_))) && urls.iter().any(is_own) {
            return;
        }
        let known: Vec<ProfileId> = urls.iter().filter_map(|url| self.profiles.find_id(url)).collect();
        if known.len() < urls.len() {
            let unknown = urls.iter().find(|url| self.profiles.find_id(url).is_none());
            if let Some(url) = unknown.filter(|url| !super::is_type(super::canonical(url).0)) {
                let what = format!("not held against {}, which is not known here", link(url));
                self.say(Severity::Information, of, "not-found", path, &what);
            }
            return;
        }
        if let [only] = known.as_slice() {
            self.depth += 1;
            self.node(*only, ROOT, item, path, scope);
            self.depth -= 1;
        } else if !known.iter().any(|id| self.conforms(*id, item, path, scope)) {
            let what = format!("found a value that conforms to none of {}", urls.join(", "));
            self.error(of, "structure", path, &what);
        }
    }

    /// What a reference leads to, as far as it is at hand; else the type that it names.
    fn target(&mut self, of: ProfileId, types: &[&'a TypeRef], item: &Item<'a>, path: &Path<'_>, scope: &Scope<'a>) {
        self.aggregation(of, types, item, path, scope);
        let urls: Vec<&'a str> = types.iter().flat_map(|t| t.targets.iter()).map(|t| &**t).collect();
        if urls.is_empty() {
            return;
        }
        let Some(found) = resolve(item, scope) else { return };
        let name = found.type_name().to_owned();
        let fits = |url: &&&str| self.profiles.type_of(url).is_none_or(|rtype| is_a(&name, &rtype));
        let by_type: Vec<&str> = urls.iter().filter(fits).copied().collect();
        if by_type.is_empty() {
            let names: Vec<&str> = urls.iter().map(|url| url.rsplit('/').next().unwrap_or(url)).collect();
            let what = format!("found a reference to a {}, expected one to {}", printable(&name), names.join(" or "));
            return self.error(of, "structure", path, &what);
        }
        if found.named.is_some() {
            return;
        }
        let inner = scope.inside(&found);
        let inner = inner.as_ref().unwrap_or(scope);
        let fits = by_type.iter().any(|url| match self.profiles.find_id(url) {
            Some(id) => self.conforms(id, &found, path, inner),
            None => true,
        });
        if !fits {
            let what = format!(
                "found a reference to a {} that does not conform to {}",
                printable(&name),
                by_type.join(" or ")
            );
            self.error(of, "structure", path, &what);
        }
    }

    /// Whether what a reference leads to is where it may be.
    fn aggregation(
        &mut self,
        of: ProfileId,
        types: &[&'a TypeRef],
        item: &Item<'a>,
        path: &Path<'_>,
        scope: &Scope<'a>,
    ) {
        let Some(text) = item.value["reference"].as_str() else { return };
        let (is_contained, is_here) = (text.starts_with('#'), scope.resolve(text).is_some());
        let fits = |(contained, bundled, referenced): (bool, bool, bool)| match is_contained {
            true => contained && is_here,
            false => referenced || (bundled && is_here),
        };
        if types.iter().all(|t| t.aggregation.is_some_and(|a| !fits(a))) {
            let what = format!("found a reference to {}, expected one to what is sent along with it", link(text));
            self.error(of, "structure", path, &what);
        }
    }

    /// Fixed, pattern, least, most, length, codes.
    pub(super) fn value(&mut self, of: ProfileId, node: &'a Node, item: &Item<'a>, path: &Path<'_>) {
        let value = item.value;
        if let Some(fixed) = node.fixed.as_ref().filter(|fixed| !is_same(value, fixed)) {
            let what = format!("found {}, expected {}; the profile has fixed it", short(value), short(fixed));
            self.error(of, "value", path, &what);
        }
        if let Some(pattern) = node.pattern.as_ref().filter(|pattern| !has_pattern(value, pattern)) {
            let what = format!("found {}, expected what has {} in it", short(value), short(pattern));
            match differs_at(value, pattern) {
                Some(name) => self.error(of, "value", &path.member(name), &what),
                None => self.error(of, "value", path, &what),
            }
        }
        if let Some(least) = node.least.as_ref().filter(|least| compare(value, least) == Some(Ordering::Less)) {
            self.error(of, "value", path, &format!("found {}, expected at least {}", short(value), short(least)));
        }
        if let Some(most) = node.most.as_ref().filter(|most| compare(value, most) == Some(Ordering::Greater)) {
            self.error(of, "value", path, &format!("found {}, expected at most {}", short(value), short(most)));
        }
        if let (Some(max), Some(text)) = (node.max_length, value.as_str()) {
            let length = text.chars().count();
            if length > max {
                self.error(
                    of,
                    "value",
                    path,
                    &format!("found {length} characters, expected at most {max}; shorten it"),
                );
            }
        }
        if let Some(binding) = &node.binding {
            self.binding(of, binding, node.max_set.as_deref(), item, path);
        } else if let Some(set) = &node.max_set {
            self.binding(of, &Binding { is_required: true, set: set.clone() }, None, item, path);
        }
        for binding in &node.additional {
            self.binding(of, binding, None, item, path);
        }
    }

    fn binding(&mut self, of: ProfileId, binding: &Binding, max: Option<&str>, item: &Item<'a>, path: &Path<'_>) {
        let codes = coded(item.value);
        let set = &binding.set;
        if codes.is_empty() {
            // A Quantity without a unit, and a CodeableConcept of words alone where the binding allows that.
            let is_concept = matches!(item.type_name(), "CodeableConcept" | "Coding");
            if is_concept && (binding.is_required || max.is_some()) {
                let what = format!("found no code, expected one of the value set {set}; add a coding");
                self.error(of, "code-invalid", path, &what);
            } else if is_concept {
                let what = format!("found no code, expected one of the value set {set} where one fits");
                self.say(Severity::Warning, of, "code-invalid", path, &what);
            }
            return;
        }
        match self.best(set, &codes) {
            Answer::In => {}
            Answer::Unknown => {
                let what = format!("not held against the value set {set}, which is not (all) known here");
                self.say(Severity::Information, of, "not-found", path, &what);
            }
            Answer::Out => {
                let listed: Vec<String> = codes.iter().take(4).map(|(system, code)| named(*system, code)).collect();
                let what = format!("found {}, expected a code of the value set {set}", listed.join(", "));
                let is_over_max = max.is_some_and(|max| self.best(max, &codes) == Answer::Out);
                let severity = if binding.is_required || is_over_max { Severity::Error } else { Severity::Warning };
                self.say(severity, of, "code-invalid", path, &what);
            }
        }
    }

    /// The best answer of several codings: one in the set is enough.
    fn best(&self, set: &str, codes: &[(Option<&str>, &str)]) -> Answer {
        let answers: Vec<Answer> =
            codes.iter().map(|(system, code)| self.profiles.terms.has(set, *system, code)).collect();
        match answers.contains(&Answer::In) {
            true => Answer::In,
            false if answers.contains(&Answer::Unknown) => Answer::Unknown,
            false => Answer::Out,
        }
    }
}

fn named(system: Option<&str>, code: &str) -> String {
    match system {
        Some(system) if !system.is_empty() => format!("'{}' of {}", printable(code), printable(system)),
        Some(_) => format!("'{}' without a system", printable(code)),
        None => format!("'{}'", printable(code)),
    }
}

/// A value for the sender's eyes, short.
fn short(value: &Json) -> String {
    printable(&value.to_string())
}
