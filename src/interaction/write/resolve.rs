//! Which resource each write of a request is about, and what its references become: pure, from what the criteria found.
//!
//! Source: <https://hl7.org/fhir/R4/http.html#trules>, <https://hl7.org/fhir/R4/bundle.html#references>.

use super::ask::{Amiss, Ask, Conditional, Where};
use super::criteria::Found;
use super::faults::Faults;
use super::outward::{Lead, Which};
use super::prepare::Ready;
use crate::clock::Instant;
use crate::error::{Error, Kind, Result};
use crate::fhir::bundle::{self, Link};
use crate::fhir::resource::{known, printable};
use crate::fhir::{Json, Target, validate};
use crate::interaction::House;
use crate::interaction::operation::Call;
use crate::interaction::request::Match;
use crate::search::matches::{Doc, matches};
use crate::search::{Cond, Plan};
use crate::store::Method;
use std::collections::{HashMap, HashSet};

/// What becomes of one write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fate {
    /// A new resource that cannot exist yet: its id was drawn just now.
    Create(Target),
    /// A version of this resource, which may or may not exist.
    Write(Target),
    /// The first version of this resource, or one after its deletion: a conditional update found nothing and names it.
    Make(Target),
    /// A conditional create found this one: nothing is written.
    Matched(Target),
    /// A conditional delete takes these: at least one.
    Delete(Vec<Target>),
    /// A conditional delete found nothing.
    Nothing,
}

impl Fate {
    /// The resource, where there is one; of several that are deleted none.
    pub(super) fn target(&self) -> Option<&Target> {
        match self.all() {
            [one] => Some(one),
            _ => None,
        }
    }

    /// All resources that it is about.
    pub(super) fn all(&self) -> &[Target] {
        match self {
            Self::Create(t) | Self::Write(t) | Self::Make(t) | Self::Matched(t) => std::slice::from_ref(t),
            Self::Delete(all) => all,
            Self::Nothing => &[],
        }
    }

    /// Those that it writes.
    pub(super) fn written(&self) -> &[Target] {
        if matches!(self, Self::Matched(_)) { &[] } else { self.all() }
    }
}

/// Decides all fates. `most`: resources that one conditional delete may take.
///
/// # Errors
/// All entries whose criteria match too many or, for a patch, none; two entries about the same resource, also when one of
/// them only finds it: which of two conditional entries is meant is not for the server to say.
pub(super) fn fates(asks: &[Ask], calls: &[Call], found: &Found, most: usize) -> Result<Vec<Fate>> {
    let mut faults = Faults::default();
    let mut fates: Vec<Fate> = Vec::with_capacity(asks.len());
    // Criteria that matched nothing, by the ask that creates for them.
    let mut made: HashMap<usize, &Ask> = HashMap::new();
    for ask in asks {
        let fate = fate(ask, found, most);
        let makes = match (&fate, &ask.at) {
            (Ok(Fate::Create(_) | Fate::Make(_)), Where::New(_, Some(criterion)) | Where::Query(_, criterion))
                if found.all(*criterion).is_empty() =>
            {
                made.insert(*criterion, ask)
            }
            _ => None,
        };
        if let Some(other) = makes {
            let text = format!("{} has the same criteria; each resource has one entry in a Bundle", named(other));
            faults.add(Error::invalid(text).code("duplicate"), &ask.place);
        }
        fates.push(faults.keep(fate, &ask.place).unwrap_or(Fate::Nothing));
    }
    let mut taken: HashMap<&Target, &Ask> = HashMap::new();
    for (ask, fate) in asks.iter().zip(&fates) {
        for target in fate.all() {
            if let Some(other) = taken.insert(target, ask) {
                let text = format!("{} is about {target}, too; each resource has one entry in a Bundle", named(other));
                faults.add(Error::invalid(text).code("duplicate"), &ask.place);
            }
        }
    }
    let written: HashSet<&Target> = fates.iter().flat_map(Fate::written).collect();
    for call in calls.iter().filter(|call| call.writes_its_target() && written.contains(&call.target)) {
        let text = format!("another entry of this Bundle writes {}, too; do both one after the other", call.target);
        faults.add(Error::invalid(text).code("duplicate"), &call.place);
    }
    faults.end().map(|()| fates)
}

fn named(ask: &Ask) -> &str {
    if ask.place.is_empty() { "another entry" } else { &ask.place }
}

fn fate(ask: &Ask, found: &Found, most: usize) -> Result<Fate> {
    Ok(match &ask.at {
        Where::Id(target) => Fate::Write(target.clone()),
        Where::New(rtype, None) => Fate::Create(Target::new(*rtype, &ask.fresh_id)),
        Where::New(rtype, Some(criterion)) => match found.one(*criterion)? {
            Some(target) if ask.when.if_none => {
                let text = format!("the criteria match {target}, and If-None-Match: * asks that there is none");
                return Err(Error::version_mismatch(text));
            }
            Some(target) => Fate::Matched(target.clone()),
            None => Fate::Create(Target::new(*rtype, &ask.fresh_id)),
        },
        Where::Query(_, criterion) if ask.method == Method::Delete => match found.all(*criterion) {
            [] => Fate::Nothing,
            [_, _, ..] if matches!(ask.when.if_match, Some(Match::Version(_))) => {
                let text =
                    "If-Match names the version of one resource and the criteria match several; make them name one";
                return Err(Error::many_matches(text));
            }
            all if all.len() > most => {
                let text = if most == 1 {
                    "the criteria match more than one resource; make them name one".to_owned()
                } else {
                    format!(
                        "the criteria match more than {most} resources (limit delete-max) and nothing was deleted; make \
                         them name fewer"
                    )
                };
                return Err(Error::many_matches(text));
            }
            all => Fate::Delete(all.to_vec()),
        },
        Where::Query(rtype, criterion) => match (found.one(*criterion)?, ask.method) {
            (Some(target), Method::Put) if ask.body["id"].as_str().is_some_and(|id| id != target.id) => {
                let text =
                    format!("the criteria match {target} and the body has another id; leave the id out or correct it");
                return Err(Error::invalid(text).at(format!("{rtype}.id")));
            }
            (Some(target), _) => Fate::Write(target.clone()),
            (None, Method::Patch) => {
                return Err(Error::not_found("the criteria match no resource that could be patched"));
            }
            (None, _) => match ask.body["id"].as_str() {
                Some(id) => Fate::Make(Target::new(*rtype, id)),
                None => Fate::Create(Target::new(*rtype, &ask.fresh_id)),
            },
        },
    })
}

/// Refuses an entry whose criteria ask for what another entry of the Bundle brings: it would make the second of two.
pub(super) fn doubles(
    house: &House,
    asks: &[Ask],
    plans: &[Plan],
    fates: &[Fate],
    ready: &[Option<Ready>],
    faults: &mut Faults,
) {
    let makes = |n: usize| match (asks.get(n).map(|ask| (&ask.at, ask.method)), fates.get(n)) {
        (
            Some((Where::New(_, Some(criterion)), _) | (Where::Query(_, criterion), Method::Put)),
            Some(Fate::Create(_) | Fate::Make(_)),
        ) => Some(*criterion),
        _ => None,
    };
    let mut simple: HashMap<i64, usize> = HashMap::new();
    let mut others: Vec<(usize, &Plan)> = Vec::new();
    for n in 0..asks.len() {
        let Some(plan) = makes(n).and_then(|criterion| plans.get(criterion)) else { continue };
        match key_of(&plan.cond) {
            Some(key) => {
                simple.insert(key, n);
            }
            None => others.push((n, plan)),
        }
    }
    if asks.len() < 2 || (simple.is_empty() && others.is_empty()) {
        return;
    }
    let mut refuse = |n: usize, other: usize| {
        if let (Some(ask), Some(other)) = (asks.get(n), asks.get(other)) {
            let text =
                format!("{} brings what the criteria of this entry ask for; leave one of them out", named(other));
            faults.add(Error::invalid(text).code("duplicate"), &ask.place);
        }
    };
    for (other, (fate, ready)) in fates.iter().zip(ready).enumerate() {
        let (Some(target), Some(ready)) = (fate.target(), ready) else { continue };
        let is_of_type = |n: &usize| *n != other && asks.get(*n).is_some_and(|ask| ask.rtype() == target.rtype);
        for n in ready.rows.exact.iter().filter_map(|key| simple.get(key)).filter(|n| is_of_type(n)) {
            refuse(*n, other);
        }
        for (n, plan) in others.iter().filter(|(n, _)| is_of_type(n)) {
            let doc = Doc { target: target.clone(), pk: Instant::now().0, rows: (*ready.rows).clone() };
            if matches(&plan.cond, &doc, &[], &house.keys) {
                refuse(*n, other);
            }
        }
    }
}

/// The one key that a condition asks for, where it asks for nothing else.
fn key_of(cond: &Cond) -> Option<i64> {
    match cond {
        Cond::All(list) | Cond::Any(list) => match list.as_slice() {
            [one] => key_of(one),
            _ => None,
        },
        Cond::Exact(keys) => keys.first().copied().filter(|_| keys.len() == 1),
        _ => None,
    }
}

/// Where the references of a request's bodies lead.
#[derive(Debug, Default)]
pub(super) struct Links {
    by_url: HashMap<String, String>,
    by_criteria: HashMap<String, String>,
    /// fullUrls of entries that could not be read.
    unread: Vec<String>,
}

impl Links {
    /// Collects fullUrls and conditional references. Faults: a fullUrl that stands twice; a conditional reference that matches
    /// none (422), unless something of that type is amiss and might be it, or many (412).
    pub(super) fn new(
        house: &House,
        asks: &[Ask],
        plans: &[Plan],
        fates: &[Fate],
        found: &Found,
        amiss: &mut Amiss,
    ) -> Self {
        let mut links = Self { unread: std::mem::take(&mut amiss.unread), ..Self::default() };
        let (is_partial, faults) = (amiss.is_partial, &mut amiss.faults);
        let may_bring = |plan: Option<&Plan>| {
            let is_amiss = |ask: &Ask| !ask.is_sound && plan.is_some_and(|plan| plan.types.contains(&ask.rtype()));
            is_partial || asks.iter().any(is_amiss)
        };
        let mut brought = None;
        for (ask, fate) in asks.iter().zip(fates) {
            if let (Some(url), Some(target)) = (&ask.full_url, fate.target())
                && links.by_url.insert(url.clone(), target.to_string()).is_some()
                && ask.method != Method::Delete
            {
                let text = format!("the fullUrl '{}' stands twice in the Bundle", printable(url));
                faults.add(Error::invalid(text).code("duplicate").at(format!("{}.fullUrl", ask.place)), "");
            }
        }
        for ask in asks {
            for Conditional { text, criterion, path } in &ask.links {
                if links.by_criteria.contains_key(text.as_str()) {
                    continue;
                }
                let known = found.0.get(*criterion).map_or(&[][..], Vec::as_slice);
                let brought = brought.get_or_insert_with(|| docs(house, asks, fates));
                let plan = plans.get(*criterion);
                let all = plan.map(|plan| after(house, asks, fates, plan, known, brought));
                match all.unwrap_or_default().as_slice() {
                    [target] => {
                        links.by_criteria.insert(text.clone(), target.to_string());
                    }
                    [] if may_bring(plan) => {}
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
        links
    }

    /// Whether any body could need a change.
    pub(super) fn is_empty(&self) -> bool {
        self.by_url.is_empty() && self.by_criteria.is_empty()
    }

    /// Rewrites a body's links, then refuses those that only this Bundle could have resolved, unless the stored version
    /// (`was`, of a patch) has them already. Answers where those of `which` lead.
    ///
    /// # Errors
    /// `Unprocessable` at each `urn:uuid:` or `urn:oid:` reference that no entry has as fullUrl; `Invalid` at each that leads to a
    /// type which its element does not allow.
    pub(super) fn apply(
        &self,
        house: &House,
        which: Which,
        ask: &Ask,
        body: &mut Json,
        was: Option<&Json>,
    ) -> Result<Vec<Lead>> {
        if body["resourceType"].text() == known("Bundle").as_str() {
            return Ok(Vec::new()); // a document or collection keeps its own links
        }
        let root = ask.full_url.as_deref().and_then(root_of);
        if !self.is_empty() {
            bundle::rewrite(body, &|text| self.lookup(text, root));
        }
        let mut faults = Faults::default();
        let mut leads = Vec::new();
        let mut old = Vec::new();
        if let Some(was) = was {
            bundle::each_reference(was, &mut |_, text| old.push(text));
        }
        bundle::each_held(body, &mut |path, held| {
            match Link::parse(held.text) {
                Link::Urn(urn) if !old.contains(&held.text) && !self.unread.iter().any(|url| is_part(urn, url)) => {
                    let cure = if ask.place.is_empty() {
                        "send both in one transaction, or refer to what is stored"
                    } else {
                        "add that entry, or correct the reference"
                    };
                    let text = format!("no entry of this request has the fullUrl '{}'; {cure}", printable(urn));
                    faults.add(Error::unprocessable(text).code("not-found").at(path.to_string()), "");
                }
                // What a link has become was not there when the body was validated.
                Link::Relative(target, _) if !self.is_empty() => {
                    let misled = held.element.and_then(|e| validate::misled(e, held.named, Some(target.rtype)));
                    if let Some(misled) = misled {
                        faults.add(Error::with_issues(Kind::Invalid, vec![misled.at(&path.to_string())]), "");
                    }
                }
                _ => {}
            }
            leads.extend(which.lead(&house.env.base, held.text));
        });
        faults.end().map(|()| leads)
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
        _ if !ask.is_sound => None,
        (Method::Post | Method::Put, Fate::Create(target) | Fate::Write(target) | Fate::Make(target)) => {
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
        deletes.any(|(_, fate)| fate.all().contains(target))
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

/// Whether a link is a fullUrl, or leads into what it names: `urn:uuid:…#part`.
fn is_part(link: &str, url: &str) -> bool {
    link.strip_prefix(url).is_some_and(|rest| rest.is_empty() || rest.starts_with('#'))
}

/// `http://elsewhere/fhir` of `http://elsewhere/fhir/Patient/1`.
fn root_of(url: &str) -> Option<&str> {
    if !url.starts_with("http") {
        return None;
    }
    let (rest, _) = url.rsplit_once('/')?;
    rest.rsplit_once('/').map(|(root, _)| root)
}
