//! Extraction: from a resource to the rows it is found by.
//!
//! Every slot of the type is evaluated once; what its values leave (presence, sort value) then becomes `facts`.

use super::param::{Found, Place, Sink, composite, date, near, number, quantity, reference, string, token, uri};
use super::registry::{Entry, Part, R4, Slot, Source, Use};
use super::rows::Words;
use super::{Env, Keys, Param, ParamType, Registry, Rows};
use crate::fhir::bundle::each_reference;
use crate::fhir::fhirpath::Item;
use crate::fhir::json::write_string;
use crate::fhir::{Json, ResourceType, Target};

/// Texts for people that an audit event has are the same in all of them: they are not searched.
pub(super) const AUDIT: &str = "AuditEvent";

/// In place of a slot: references that no parameter of R4 covers. No slot has such a name.
const UNCOVERED: &str = "*";

impl Registry {
    /// What a resource is found by: finished rows, sorted, each once.
    ///
    /// A value that is no value of its type (a date that cannot be read) gives no row; it never fails.
    #[must_use]
    pub fn extract(&self, keys: &Keys, resource: &Json, env: &Env) -> Rows {
        self.extract_some(keys, resource, env, |_| true)
    }

    /// What its values in some slots, by name, give.
    #[must_use]
    pub fn extract_some(&self, keys: &Keys, resource: &Json, env: &Env, which: impl Fn(&str) -> bool) -> Rows {
        let name = resource["resourceType"].text();
        let mut rows = Rows { facts: "{}".into(), ..Rows::default() };
        rows.exact.push(keys.of_type(name));
        if name != AUDIT {
            rows.words = super::fulltext::words(resource);
        }
        let entry = ResourceType::parse(name).and_then(|rtype| self.entry(rtype));
        if let Some(entry) = entry {
            let found: Vec<Found> = entry
                .slots
                .iter()
                .map(|slot| {
                    let mut found = Found::default();
                    let place = Place { keys, rtype: name, slot: &slot.name };
                    if !which(&slot.name) {
                        return found;
                    }
                    values(slot, resource, env, &mut Sink { place, rows: &mut rows, found: &mut found });
                    found
                })
                .collect();
            if name != AUDIT {
                self.uncovered(keys, resource, env, entry, &found, &mut rows.exact);
            }
            rows.facts = facts(entry, &found, &rows.words);
            // The slot may have the name of another parameter that sees the same: `CodeSystem.system`.
            let of_url =
                |slot: &Slot| entry.params.iter().any(|p| p.code == "url" && p.only_slot() == Some(&slot.name));
            if entry.has_url && entry.slots.iter().any(|s| of_url(s) && which(&s.name)) {
                for canonical in reference::known_by(resource) {
                    let number = keys.canonical(&canonical);
                    rows.range.push((keys.canonicals(), number, number));
                }
            }
        }
        rows.finish();
        rows
    }

    /// A key for each reference to this server that no reference parameter of R4 covers - in extensions, in contained resources,
    /// `Task.reasonReference` -, so that whoever is referred to finds it. Parameters of a site do not count: they come and go.
    fn uncovered(&self, keys: &Keys, resource: &Json, env: &Env, entry: &Entry, found: &[Found], exact: &mut Vec<i64>) {
        let Some((rtype, r4)) =
            ResourceType::parse(resource["resourceType"].text()).and_then(|t| Some((t, R4.entry(t)?)))
        else {
            return;
        };
        // A reindex of a few slots knows too little, and changes nothing of these keys.
        if entry.slots.len() < r4.slots.len() {
            return;
        }
        each_reference(resource, &mut |_, text| {
            let text = text.split_once('#').map_or(text, |(before, _)| before);
            let Some(reference::Lead::Local { target, .. }) = reference::lead(text, env) else { return };
            let leads = |slot: &str| {
                entry.slots.iter().zip(found).any(|(s, f)| {
                    s.kind == ParamType::Reference && *s.name == *slot && f.leads.iter().any(|(_, to)| is(to, &target))
                })
            };
            let covers = |p: &Param| {
                p.kind == ParamType::Reference
                    && p.targets.contains(&target.rtype)
                    && p.uses.iter().any(|u| u.restrict.is_none_or(|t| t == target.rtype) && leads(&u.slot))
            };
            if !r4.params.iter().any(covers) {
                exact.push(keys.reference(rtype.as_str(), UNCOVERED, target.rtype.as_str(), &target.id));
            }
        });
    }

    /// `idx` keys of resources of type `source` that refer to `target`, wherever: by a parameter, or by a reference that none covers.
    #[must_use]
    pub fn referring_keys(&self, keys: &Keys, source: ResourceType, target: &Target) -> Vec<i64> {
        let mut out = self.reference_keys(keys, source, "*", target);
        out.push(keys.reference(source.as_str(), UNCOVERED, target.rtype.as_str(), &target.id));
        out
    }

    /// The values of the resource that a parameter is indexed by, as JSON texts: what [`Registry::extract`] makes rows of.
    /// `None`: a parameter that is no index (`_id`, `_filter`). For comparing with other engines.
    #[must_use]
    pub fn values(&self, resource: &Json, param: &Param, env: &Env) -> Option<Vec<String>> {
        let rtype = ResourceType::parse(resource["resourceType"].text())?;
        let mut out = Vec::new();
        let text = |item: Item<'_>| match item {
            Item::Node { json, .. } => String::from_utf8(json.to_bytes()).unwrap_or_default(),
            Item::Bool(truth) => truth.to_string(),
            Item::Text(text) | Item::Number(text) => text.to_string(),
            Item::Resolved(rtype) => rtype.to_string(),
        };
        for (seen, slot) in self.slots_of(rtype, param) {
            let Source::Values { alternatives, .. } = &slot.source else { continue };
            for alternative in alternatives {
                alternative.each(resource, resource, &mut |item| {
                    let leads = |only| reference::target(item, env).is_some_and(|target| target.rtype == only);
                    if seen.restrict.is_none_or(leads) {
                        out.push(text(item));
                    }
                });
            }
        }
        for part in &param.parts {
            match part {
                Part::Whole(_) => out.push("{}".into()),
                Part::Element { slot, .. } => {
                    let slot = self.entry(rtype).and_then(|e| e.slots.iter().find(|s| s.name == *slot));
                    if let Some(Slot { source: Source::Elements { element, .. }, .. }) = slot {
                        element.each(resource, resource, &mut |item| out.push(text(item)));
                    }
                }
            }
        }
        (!param.uses.is_empty() || !param.parts.is_empty()).then_some(out)
    }

    /// Resources of this server that `resource` refers to by the parameter; `code` `*`: by any reference parameter.
    #[must_use]
    pub fn references(&self, resource: &Json, code: &str, env: &Env) -> Vec<Target> {
        let mut out: Vec<Target> = Vec::new();
        let Some(rtype) = ResourceType::parse(resource["resourceType"].text()) else { return out };
        for param in self.params(rtype).filter(|p| p.kind == ParamType::Reference && (code == "*" || p.code == code)) {
            for (seen, slot) in self.slots_of(rtype, param) {
                let Source::Values { alternatives, .. } = &slot.source else { continue };
                for alternative in alternatives {
                    alternative.each(resource, resource, &mut |item| {
                        if let Some(target) = reference::target(item, env)
                            && seen.restrict.is_none_or(|t| t == target.rtype)
                            && !out.contains(&target)
                        {
                            out.push(target);
                        }
                    });
                }
            }
        }
        out
    }

    /// `idx` keys of resources of type `source` that refer to `target` by the parameter (`*`: any); for `_revinclude`.
    #[must_use]
    pub fn reference_keys(&self, keys: &Keys, source: ResourceType, code: &str, target: &Target) -> Vec<i64> {
        let mut out = Vec::new();
        let leads = |p: &&Param| p.kind == ParamType::Reference && p.targets.contains(&target.rtype);
        for param in self.params(source).filter(leads).filter(|p| code == "*" || p.code == code) {
            for seen in param.uses.iter().filter(|u| u.restrict.is_none_or(|t| t == target.rtype)) {
                out.push(keys.reference(source.as_str(), &seen.slot, target.rtype.as_str(), &target.id));
            }
        }
        out.sort_unstable();
        out.dedup();
        out
    }

    /// Canonicals in `resource` by the parameter (`*`: by any), each with the types that it may lead to.
    #[must_use]
    pub fn canonicals(&self, resource: &Json, code: &str) -> Vec<(String, Vec<ResourceType>)> {
        let mut out = Vec::new();
        let Some(rtype) = ResourceType::parse(resource["resourceType"].text()) else { return out };
        for param in self.params(rtype).filter(|p| p.kind == ParamType::Reference && (code == "*" || p.code == code)) {
            for (_, slot) in self.slots_of(rtype, param).filter(|(seen, _)| seen.is_canonical) {
                let Source::Values { alternatives, .. } = &slot.source else { continue };
                for alternative in alternatives {
                    alternative.each(resource, resource, &mut |item| {
                        let types = || param.targets.iter().copied().filter(|t| self.has_url(*t)).collect();
                        out.extend(reference::canonical(item).map(|text| (text.to_owned(), types())));
                    });
                }
            }
        }
        out
    }

    /// `idx` keys of resources of type `source` that refer to `target`, a resource of type `rtype`, by its canonical.
    #[must_use]
    pub fn canonical_keys(&self, keys: &Keys, source: ResourceType, code: &str, target: &Json) -> Vec<i64> {
        let Some(rtype) = ResourceType::parse(target["resourceType"].text()).filter(|t| self.has_url(*t)) else {
            return Vec::new();
        };
        let known_by = reference::known_by(target);
        let leads = |p: &&Param| p.kind == ParamType::Reference && p.targets.contains(&rtype);
        let params = self.params(source).filter(leads).filter(|p| code == "*" || p.code == code);
        let uses = params.flat_map(|p| &p.uses).filter(|seen| seen.is_canonical);
        uses.flat_map(|seen| {
            let param = keys.param(source.as_str(), &seen.slot);
            known_by.iter().map(move |text| param + keys.canonical(text))
        })
        .collect()
    }

    fn slots_of<'a>(&'a self, rtype: ResourceType, param: &'a Param) -> impl Iterator<Item = (&'a Use, &'a Slot)> {
        let slots = self.entry(rtype).map_or(&[][..], |e| &e.slots);
        param
            .uses
            .iter()
            .filter_map(move |u| Some((u, slots.iter().find(|s| s.name == u.slot && s.kind == param.kind)?)))
    }
}

/// Whether a text is `Type/id` of a target.
fn is(text: &str, target: &Target) -> bool {
    text.strip_prefix(target.rtype.as_str()).and_then(|rest| rest.strip_prefix('/')) == Some(&*target.id)
}

fn values(slot: &Slot, resource: &Json, env: &Env, sink: &mut Sink<'_>) {
    match &slot.source {
        Source::Values { alternatives, elsewhere, coded } => {
            for alternative in alternatives {
                alternative.each(resource, resource, &mut |item| match (slot.kind, item) {
                    (ParamType::Token, item) => token::extract(item, coded, sink),
                    (ParamType::Reference, item) => reference::extract(item, env, sink),
                    (ParamType::String, Item::Node { json, .. }) => string::extract(json, elsewhere, sink),
                    (ParamType::Date, Item::Node { json, .. }) => date::extract(json, env, sink),
                    (ParamType::Number, Item::Node { json, .. }) => number::extract(json, sink),
                    (ParamType::Quantity, Item::Node { json, .. }) => quantity::extract(json, sink),
                    (ParamType::Uri, Item::Node { json, .. }) => uri::extract(json, sink),
                    // The one special parameter that has values of its own: `near`.
                    (ParamType::Special, Item::Node { json, .. }) => near::extract(json, sink),
                    _ => {}
                });
            }
        }
        Source::Elements { element, components } => element.each(resource, resource, &mut |item| {
            if let Item::Node { json, .. } = item {
                composite::extract(components, resource, json, env, sink);
            }
        }),
    }
}

/// `version.facts`: whether there are words, each slot with a value by its name, and each parameter that no single slot stands for by its code.
fn facts(entry: &Entry, found: &[Found], words: &Words) -> String {
    let mut out = vec![b'{'];
    let mut put = |name: &str, sort: &str| {
        if out.len() > 1 {
            out.push(b',');
        }
        write_string(name, &mut out);
        out.push(b':');
        write_string(sort, &mut out);
    };
    // The highest of several has a member of its own: see [`super::rows::highest`].
    let mut put_both = |name: &str, low: &str, high: &str| {
        put(name, low);
        if high != low {
            put(&super::rows::highest(name), high);
        }
    };
    // For `_text:missing` and `_content:missing`.
    for (name, has_words) in [("_text", !words.narrative.is_empty()), ("_content", !words.is_empty())] {
        if has_words {
            put_both(name, "", "");
        }
    }
    for (slot, found) in entry.slots.iter().zip(found).filter(|(s, f)| s.in_facts && f.any) {
        let by_rows =
            matches!(slot.kind, ParamType::Date | ParamType::Number | ParamType::Quantity | ParamType::String);
        match &found.sort {
            Some((low, high)) if !by_rows => put_both(&slot.name, low, high),
            _ => put_both(&slot.name, "", ""),
        }
    }
    for param in entry.params.iter().filter(|p| p.only_slot().is_none() && !p.uses.is_empty()) {
        let seen = param.uses.iter().flat_map(|u| {
            let found = entry.slots.iter().zip(found).find(|(s, _)| s.name == u.slot && s.kind == param.kind);
            match (found, u.restrict) {
                (Some((_, found)), None) if found.any => match &found.sort {
                    Some((low, high)) => vec![low.as_str(), high.as_str()],
                    None => vec![""],
                },
                (Some((_, found)), Some(only)) => {
                    found.leads.iter().filter(|(t, _)| *t == only).map(|(_, sort)| sort.as_str()).collect()
                }
                _ => vec![],
            }
        });
        let seen: Vec<&str> = seen.collect();
        if let (Some(low), Some(high)) = (seen.iter().min(), seen.iter().max()) {
            put_both(&param.code, super::fold::head(low, 64), super::fold::head(high, 64));
        }
    }
    out.push(b'}');
    String::from_utf8(out).unwrap_or_else(|_| "{}".into())
}
