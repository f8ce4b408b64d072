//! Which resource each write of a request is about, and what its references become: pure, from what the criteria found.
//!
//! Source: <https://hl7.org/fhir/R4/http.html#trules>, <https://hl7.org/fhir/R4/bundle.html#references>.

use super::ask::{Ask, Conditional, Where};
use super::criteria::Found;
use super::faults::Faults;
use super::outward::Which;
use crate::clock::Instant;
use crate::error::{Error, Result};
use crate::fhir::bundle::{self, Link};
use crate::fhir::resource::{known, printable};
use crate::fhir::{Json, Target};
use crate::interaction::House;
use crate::interaction::operation::Call;
use crate::search::Plan;
use crate::search::matches::{Doc, matches};
use crate::store::Method;
use std::collections::{HashMap, HashSet};

/// What becomes of one write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fate {
    /// A new resource that cannot exist yet: its id was drawn just now.
    Create(Target),
    /// A version of this resource, which may or may not exist.
    Write(Target),
    /// A conditional create found this one: nothing is written.
    Matched(Target),
    /// A conditional delete found nothing.
    Nothing,
}

impl Fate {
    /// The resource, where there is one.
    pub(super) fn target(&self) -> Option<&Target> {
        match self {
            Self::Create(t) | Self::Write(t) | Self::Matched(t) => Some(t),
            Self::Nothing => None,
        }
    }
}

/// Decides all fates.
///
/// # Errors
/// All entries whose criteria match too many or, for a patch, none; two entries that write the same resource.
pub(super) fn fates(asks: &[Ask], calls: &[Call], found: &Found) -> Result<Vec<Fate>> {
    let mut faults = Faults::default();
    let mut made: HashMap<usize, Target> = HashMap::new();
    let mut fates: Vec<Fate> = Vec::with_capacity(asks.len());
    for ask in asks {
        let fate = fate(ask, found, &mut made);
        fates.push(faults.keep(fate, &ask.place).unwrap_or(Fate::Nothing));
    }
    let mut written = HashSet::new();
    for (ask, fate) in asks.iter().zip(&fates) {
        if let Fate::Create(target) | Fate::Write(target) = fate
            && !written.insert(target)
        {
            let text =
                format!("another entry of this Bundle writes {target}, too; a transaction writes a resource once");
            faults.add(Error::invalid(text).code("duplicate"), &ask.place);
        }
    }
    for call in calls.iter().filter(|call| written.contains(&call.target)) {
        let text = format!("another entry of this Bundle writes {}, too; do both one after the other", call.target);
        faults.add(Error::invalid(text).code("duplicate"), &call.place);
    }
    faults.end().map(|()| fates)
}

fn fate(ask: &Ask, found: &Found, made: &mut HashMap<usize, Target>) -> Result<Fate> {
    Ok(match &ask.at {
        Where::Id(target) => Fate::Write(target.clone()),
        Where::New(rtype, None) => Fate::Create(Target::new(*rtype, &ask.fresh_id)),
        Where::New(rtype, Some(criterion)) => match (found.one(*criterion)?, made.get(criterion)) {
            (Some(target), _) | (None, Some(target)) => Fate::Matched(target.clone()),
            (None, None) => {
                let target = Target::new(*rtype, &ask.fresh_id);
                made.insert(*criterion, target.clone());
                Fate::Create(target)
            }
        },
        Where::Query(rtype, criterion) => match (found.one(*criterion)?, ask.method) {
            (Some(target), Method::Put) if ask.body["id"].as_str().is_some_and(|id| id != target.id) => {
                let text =
                    format!("the criteria match {target} and the body has another id; leave the id out or correct it");
                return Err(Error::invalid(text).at(format!("{rtype}.id")));
            }
            (Some(target), _) => Fate::Write(target.clone()),
            (None, Method::Put) => match ask.body["id"].as_str() {
                Some(id) => Fate::Write(Target::new(*rtype, id)),
                None => Fate::Create(Target::new(*rtype, &ask.fresh_id)),
            },
            (None, Method::Patch) => {
                return Err(Error::not_found("the criteria match no resource that could be patched"));
            }
            (None, _) => Fate::Nothing,
        },
    })
}

/// Where the references of a request's bodies lead.
#[derive(Debug, Default)]
pub(super) struct Links<'a> {
    by_url: HashMap<&'a str, String>,
    by_criteria: HashMap<&'a str, String>,
}

impl<'a> Links<'a> {
    /// Collects fullUrls and conditional references.
    ///
    /// # Errors
    /// A fullUrl that stands twice; a conditional reference that matches none (422) or many (412).
    pub(super) fn new(house: &House, asks: &'a [Ask], plans: &[Plan], fates: &[Fate], found: &Found) -> Result<Self> {
        let mut faults = Faults::default();
        let mut links = Self::default();
        let mut brought = None;
        for (ask, fate) in asks.iter().zip(fates) {
            if let (Some(url), Some(target)) = (&ask.full_url, fate.target())
                && links.by_url.insert(url, target.to_string()).is_some()
                && ask.method != Method::Delete
            {
                let text = format!("the fullUrl '{}' stands twice in the Bundle", printable(url));
                faults.add(Error::invalid(text).code("duplicate").at(format!("{}.fullUrl", ask.place)), &ask.place);
            }
        }
        for ask in asks {
            for Conditional { text, criterion, path } in &ask.links {
                if links.by_criteria.contains_key(text.as_str()) {
                    continue;
                }
                let known = found.0.get(*criterion).map_or(&[][..], Vec::as_slice);
                let brought = brought.get_or_insert_with(|| docs(house, asks, fates));
                let all = plans.get(*criterion).map(|plan| after(house, asks, fates, plan, known, brought));
                match all.unwrap_or_default().as_slice() {
                    [target] => {
                        links.by_criteria.insert(text, target.to_string());
                    }
                    [] => {
                        let text = format!("the conditional reference '{}' matches no resource", printable(text));
                        faults.add(Error::unprocessable(text).code("not-found").at(path), &ask.place);
                    }
                    _ => {
                        let text =
                            format!("the conditional reference '{}' matches more than one resource", printable(text));
                        faults.add(Error::many_matches(text).at(path), &ask.place);
                    }
                }
            }
        }
        faults.end().map(|()| links)
    }

    /// Whether any body could need a change.
    pub(super) fn is_empty(&self) -> bool {
        self.by_url.is_empty() && self.by_criteria.is_empty()
    }

    /// Rewrites a body's links, then refuses those that only this Bundle could have resolved. Answers where those of
    /// `which` lead.
    ///
    /// # Errors
    /// `Unprocessable` at each `urn:uuid:` or `urn:oid:` reference that no entry has as fullUrl.
    pub(super) fn apply(&self, house: &House, which: Which, ask: &Ask, body: &mut Json) -> Result<Vec<Target>> {
        if body["resourceType"].text() == known("Bundle").as_str() {
            return Ok(Vec::new()); // a document or collection keeps its own links
        }
        let root = ask.full_url.as_deref().and_then(root_of);
        if !self.is_empty() {
            bundle::rewrite(body, &|text| self.lookup(text, root));
        }
        let in_bundle = !ask.place.is_empty();
        let mut targets = Vec::new();
        if !in_bundle && which == Which::None {
            return Ok(targets);
        }
        let mut faults = Faults::default();
        bundle::each_reference(body, &mut |path, text| {
            if in_bundle && let Link::Urn(urn) = Link::parse(text) {
                let text = format!("no entry of this Bundle has the fullUrl '{}'", printable(urn));
                faults.add(Error::unprocessable(text).code("not-found").at(path.to_string()), "");
            }
            targets.extend(which.target(&house.env.base, text));
        });
        faults.end().map(|()| targets)
    }

    /// Parameters of an operation with their links rewritten.
    pub(super) fn of(&self, params: &Json) -> Json {
        let mut params = params.clone();
        bundle::rewrite(&mut params, &|text| self.lookup(text, None));
        params
    }

    fn lookup(&self, text: &str, root: Option<&str>) -> Option<String> {
        if let Some(new) = self.by_url.get(text).or_else(|| self.by_criteria.get(text)) {
            return Some(new.clone());
        }
        // `urn:uuid:…#part`
        if let Some((url, fragment)) = text.split_once('#') {
            return self.by_url.get(url).map(|new| format!("{new}#{fragment}"));
        }
        // `Patient/1` in an entry of fullUrl `http://elsewhere/fhir/Observation/2` means `http://elsewhere/fhir/Patient/1`.
        let root = root?;
        Target::parse(text)?;
        let absolute = format!("{root}/{text}");
        self.by_url.get(absolute.as_str()).cloned()
    }
}

/// What a Bundle brings, as criteria see it: a conditional reference may name a resource of the same transaction.
fn docs(house: &House, asks: &[Ask], fates: &[Fate]) -> Vec<Doc> {
    let (pk, active) = (Instant::now().0, house.active());
    let doc = |(ask, fate): (&Ask, &Fate)| match (ask.method, fate) {
        (Method::Post | Method::Put, Fate::Create(target) | Fate::Write(target)) => {
            Some(Doc { target: target.clone(), pk, rows: active.registry.extract(&house.keys, &ask.body, &active.env) })
        }
        _ => None,
    };
    asks.iter().zip(fates).filter_map(doc).collect()
}

/// What criteria match after the Bundle: what was there, but for what it deletes, and what it brings. Chains and `_has`
/// see what it brings, too, and nothing else.
fn after(house: &House, asks: &[Ask], fates: &[Fate], plan: &Plan, known: &[Target], brought: &[Doc]) -> Vec<Target> {
    let gone = |target: &Target| {
        let mut deletes = asks.iter().zip(fates).filter(|(ask, _)| ask.method == Method::Delete);
        deletes.any(|(_, fate)| fate.target() == Some(target))
    };
    let mut all: Vec<Target> = known.iter().filter(|t| !gone(t)).cloned().collect();
    for doc in brought {
        if plan.types.contains(&doc.target.rtype)
            && !all.contains(&doc.target)
            && matches(&plan.cond, doc, brought, &house.keys)
        {
            all.push(doc.target.clone());
        }
    }
    all
}

/// `http://elsewhere/fhir` of `http://elsewhere/fhir/Patient/1`.
fn root_of(url: &str) -> Option<&str> {
    if !url.starts_with("http") {
        return None;
    }
    let (rest, _) = url.rsplit_once('/')?;
    rest.rsplit_once('/').map(|(root, _)| root)
}
