//! The walk of a resource along the tree of a profile.

use super::canonical;
use super::invariant::Invariant;
use super::item::Item;
use super::model::{Node, NodeId, ProfileId, ROOT};
use super::refer::{Scope, is_a};
use super::{Profile, Profiles};
use crate::error::{Issue, Severity};
use crate::fhir::Json;
use crate::fhir::definition::Type;
use crate::fhir::path::Path;
use crate::fhir::resource::printable;
use std::collections::{HashMap, HashSet};

/// Issues after which a check ends.
const MAX_ISSUES: usize = 200;
/// Nodes that one check visits at most (own limit): a large discharge takes some thousands.
const MAX_VISITS: usize = 2_000_000;
/// Profiles inside profiles at most.
pub(super) const MAX_DEPTH: usize = 48;

/// The state of one check.
pub(super) struct Check<'a> {
    pub(super) profiles: &'a Profiles,
    pub(super) issues: Vec<Issue>,
    pub(super) unknown: &'a dyn Fn(&str) -> Option<Severity>,
    /// Whether a value conforms to a profile, by their places in memory; `true` while it is being found out.
    known: HashMap<(ProfileId, usize), bool>,
    visits: usize,
    pub(super) depth: usize,
    nested: usize,
    /// Where the resource has faults of form.
    forms: Vec<&'a str>,
}

/// All issues of a resource. `known`: what R4 has against it. `nested`: how many `conformsTo` of invariants are around.
pub(super) fn run(
    profiles: &Profiles,
    resource: &Json,
    asked: &[&str],
    known: &[Issue],
    unknown: &dyn Fn(&str) -> Option<Severity>,
    nested: usize,
) -> Vec<Issue> {
    let name = resource["resourceType"].as_str().filter(|name| name.len() < 64).unwrap_or_default();
    let mut check = Check::new(profiles, unknown, nested);
    let forms = known.iter().filter(|i| i.severity == Severity::Error && i.code != "invariant");
    check.forms = forms.map(|i| i.expression.as_str()).collect();
    check.resource(resource, asked, &Path::root(name), &Scope::of(resource));
    let mut seen = HashSet::new();
    check.issues.retain(|i| seen.insert((i.expression.clone(), i.diagnostics.clone())));
    check.issues
}

impl<'a> Check<'a> {
    pub(super) fn new(profiles: &'a Profiles, unknown: &'a dyn Fn(&str) -> Option<Severity>, nested: usize) -> Self {
        let (known, forms) = (HashMap::new(), Vec::new());
        Self { profiles, issues: Vec::new(), unknown, known, visits: 0, depth: 0, nested, forms }
    }

    /// Adds an issue of a profile.
    pub(super) fn say(&mut self, severity: Severity, of: ProfileId, code: &'static str, path: &Path<'_>, what: &str) {
        self.push(severity, of, Issue::error(code, path.to_string(), what));
    }

    fn push(&mut self, severity: Severity, of: ProfileId, issue: Issue) {
        if self.issues.len() < MAX_ISSUES {
            let profile = self.profiles.list.get(of).map_or(String::new(), Profile::canonical);
            self.issues.push(Issue { severity, ..issue.of_profile(&profile) });
        }
    }

    pub(super) fn error(&mut self, of: ProfileId, code: &'static str, path: &Path<'_>, what: &str) {
        self.say(Severity::Error, of, code, path, what);
    }

    /// A resource by what it claims and what is asked, and all that is inside.
    pub(super) fn resource(&mut self, resource: &'a Json, asked: &[&str], path: &Path<'_>, scope: &Scope<'a>) {
        let claims = resource["meta"]["profile"].items().iter().enumerate();
        for (n, claim) in claims.filter_map(|(n, c)| Some((n, c.as_str()?))) {
            let meta = path.member("meta");
            let list = meta.member("profile");
            self.profile(resource, claim, path, &list.item(n), scope);
        }
        for url in asked.iter().filter(|url| !resource["meta"]["profile"].items().iter().any(|c| c.text() == **url)) {
            self.profile(resource, url, path, path, scope);
        }
        self.extensions(resource, path, scope);
    }

    fn profile(&mut self, resource: &'a Json, url: &str, path: &Path<'_>, claim: &Path<'_>, scope: &Scope<'a>) {
        let rtype = resource["resourceType"].text();
        if let Some(id) = self.profiles.find_id(url) {
            let of = self.profiles.list.get(id).map_or("", |p| &p.rtype);
            if !is_a(rtype, of) {
                let what = format!("found a profile of {of} on a {}; name one of its own type", printable(rtype));
                return self.error(id, "structure", claim, &what);
            }
            return self.node(id, ROOT, &Item::resource(resource), path, scope);
        }
        let (plain, version) = canonical(url);
        if super::is_type(plain) {
            if !plain.rsplit('/').next().is_some_and(|name| is_a(rtype, name)) {
                let what = format!("found the profile {} on a {}", link(plain), printable(rtype));
                self.issues.push(Issue::error("structure", claim.to_string(), what));
            }
            return;
        }
        let Some(severity) = (self.unknown)(url) else { return };
        let others = self.profiles.versions(plain);
        let what = match version {
            Some(_) if !others.is_empty() => {
                format!(
                    "found the profile {}, which is known here as version {} only; claim one of these",
                    link(url),
                    others.join(", ")
                )
            }
            _ => format!(
                "found the profile {}, which is not known here; load the package that has it (setting packages), or do not claim it",
                link(url)
            ),
        };
        self.issues.push(Issue { severity, ..Issue::error("not-found", claim.to_string(), what) });
    }

    /// What a node asks of the number of its items, of each, and by its slices. `slice`: the name of the slice that it is. Answers
    /// how many items are missing.
    pub(super) fn group(
        &mut self,
        of: ProfileId,
        id: NodeId,
        slice: Option<&str>,
        items: &[Item<'a>],
        parent: &Path<'_>,
        scope: &Scope<'a>,
    ) -> usize {
        let Some(node) = self.profiles.list.get(of).and_then(|p| p.nodes.get(id)) else { return 0 };
        let count = items.len();
        let which = slice.map_or(String::new(), |name| format!(" of the slice '{name}'"));
        let key = node.choice.unwrap_or(&node.name);
        match (node.max, items.first()) {
            (Some(0), Some(first)) => {
                let what = format!("found '{}'{which}, which may not be here; leave it out", printable(first.json_key));
                first.at(parent, |path| self.error(of, "structure", path, &what));
                return 0;
            }
            (Some(max), Some(_)) if count > max => {
                let what = format!("found {count}{which}, expected at most {max}; leave some out");
                self.error(of, "structure", &parent.member(key), &what);
            }
            _ => {}
        }
        for item in items {
            item.at(parent, |path| self.node(of, id, item, path, scope));
        }
        let told = self.slices(of, node, items, parent, scope);
        let missing = node.min.saturating_sub(count);
        // The slices say it better, where what they miss is all that is missing.
        if missing > told {
            let what = match (node.min, count) {
                (1, 0) => format!("'{}'{which} is missing; add it", node.name),
                (min, count) => format!("found {count}{which}, expected at least {min}; add what is missing"),
            };
            self.error(of, "required", &parent.member(key), &what);
        }
        missing.max(told)
    }

    /// What a node asks of one item, but for slices.
    pub(super) fn node(&mut self, of: ProfileId, id: NodeId, item: &Item<'a>, path: &Path<'_>, scope: &Scope<'a>) {
        let Some(node) = self.profiles.list.get(of).and_then(|p| p.nodes.get(id)) else { return };
        self.visits += 1;
        if self.visits > MAX_VISITS || self.issues.len() >= MAX_ISSUES {
            return;
        }
        if !node.types.is_empty() && !self.types(of, node, item, path, scope) {
            return;
        }
        if !item.value.is_null() {
            self.value(of, node, item, path);
        }
        // A rule on `Bundle.entry.resource` is of the Bundle, a rule on a resource as such of that resource.
        let own = if id == ROOT && !node.invariants.is_empty() { scope.inside(item) } else { None };
        for invariant in &node.invariants {
            match invariant.holds(self.profiles, item, own.as_ref().unwrap_or(scope), self.nested) {
                Ok(true) => {}
                Ok(false) => self.broken(of, invariant, item, path),
                Err(why) => {
                    let what = format!("the invariant {} could not be worked out: {why}", invariant.key);
                    self.say(Severity::Information, of, "invariant", path, &what);
                }
            }
        }
        self.inside(of, node, item, path, scope);
        if let Some(to) = node.refers.and_then(|to| self.profiles.list.get(of)?.nodes.get(to)) {
            self.inside(of, to, item, path, scope);
        }
    }

    /// An invariant that does not hold: unless a fault of form that is told already may be why.
    fn broken(&mut self, of: ProfileId, invariant: &Invariant, item: &Item<'a>, path: &Path<'_>) {
        let here = path.to_string();
        if self.forms.iter().filter_map(|form| rest(form, &here)).any(|rest| invariant.comes_of(rest, item)) {
            return;
        }
        let rule = format!("{}: {}", invariant.key, invariant.human.trim());
        self.push(invariant.severity, of, Issue::error("invariant", here, invariant.told(item)).rule(rule));
    }

    fn inside(&mut self, of: ProfileId, node: &'a Node, item: &Item<'a>, path: &Path<'_>, scope: &Scope<'a>) {
        if node.children.is_empty() {
            return;
        }
        let own = scope.inside(item);
        let scope = own.as_ref().unwrap_or(scope);
        for id in &node.children {
            let Some(child) = self.profiles.list.get(of).and_then(|p| p.nodes.get(*id)) else { continue };
            let items = item.members(&child.name);
            self.group(of, *id, None, &items, path, scope);
        }
    }

    /// Whether an item is all that a node asks, without a word.
    pub(super) fn fits(
        &mut self,
        of: ProfileId,
        id: NodeId,
        item: &Item<'a>,
        path: &Path<'_>,
        scope: &Scope<'a>,
    ) -> bool {
        if self.depth >= MAX_DEPTH {
            return true;
        }
        self.depth += 1;
        let before = std::mem::take(&mut self.issues);
        self.node(of, id, item, path, scope);
        let fits = !self.issues.iter().any(|i| i.severity == Severity::Error);
        self.issues = before;
        self.depth -= 1;
        fits
    }

    /// Whether a value conforms to a profile, found out once.
    pub(super) fn conforms(&mut self, profile: ProfileId, item: &Item<'a>, path: &Path<'_>, scope: &Scope<'a>) -> bool {
        let rtype = self.profiles.list.get(profile).map_or("", |p| &p.rtype);
        if item.kind == Some(Type::Resource) && !is_a(item.type_name(), rtype) {
            return false;
        }
        let key = (profile, std::ptr::from_ref(item.value).addr());
        if let Some(known) = self.known.get(&key) {
            return *known;
        }
        self.known.insert(key, true);
        let fits = self.fits(profile, ROOT, item, path, scope);
        self.known.insert(key, fits);
        fits
    }
}

/// What follows in the path of an element inside another, or the same: `.given` of `Patient.name[0].given` in `Patient.name[0]`.
fn rest<'p>(inner: &'p str, outer: &str) -> Option<&'p str> {
    inner.strip_prefix(outer).filter(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// At most 200 characters of a client's URL.
pub(super) fn link(url: &str) -> String {
    url.chars().filter(|c| !c.is_control()).take(200).collect()
}
