//! What the server publishes about itself under its own FHIR base, besides `metadata`: its compartments, operations and
//! search parameters, and the code systems, value sets, maps, profiles, extensions, protocols, activities and forms of the programme,
//! and an ImplementationGuide that lists them.
//!
//! They are read and searched like any resource and are not stored; one stored under the same id takes their place. In a
//! search of their type they come after the stored ones, by URL.
//! Not for: what they say (`compartment`, `operation`, `profiles/`).
//! Source: own rule; <https://hl7.org/fhir/R4/compartmentdefinition.html>, <https://hl7.org/fhir/R4/operationdefinition.html>.

mod compartment;
mod guide;
mod operation;

use super::House;
use crate::access::Limit;
use crate::clock::Instant;
use crate::error::Result;
use crate::fhir::{Json, ResourceType, Target};
use crate::search::live::Published;
use crate::search::matches::{Doc, matches};
use crate::search::plan::Link;
use crate::search::{Active, Cond, Keys, Plan};
use crate::store::{Cursor, Method, Version};
use std::sync::Arc;

pub(super) use compartment::{has_compartment, urls as compartments};
pub(super) use operation::definition;

/// Where Baton's own definitions are named.
pub(super) const BASE: &str = "http://baton.example/fhir";
/// Date of these definitions.
pub(super) const DATED: &str = "2026-11-28";
/// What a cursor begins with that leads to published resources; one of the store begins with a bracket, in base64.
const CURSOR: &str = "published-";

/// All of them, by type and URL; made once for each set of search parameters.
fn all<'a>(house: &House, active: &'a Active) -> &'a [Published] {
    active.published.get_or_make(house.number, &|| {
        let terms = house.programme.terms().iter().map(|t| Json::clone(t));
        let structures = house.programme.structures().map(Json::clone);
        let own = compartment::all().chain(operation::all()).chain(active.own.iter().cloned());
        let mut list: Vec<Json> = own.chain(terms).chain(structures).collect();
        // Of several versions the one in force: an id stands once.
        for artifact in house.programme.artifacts() {
            let is_same = |j: &&Json| j["resourceType"] == artifact["resourceType"] && j["id"] == artifact["id"];
            if !list.iter().any(|j| is_same(&j)) {
                list.push(Json::clone(artifact));
            }
        }
        list.sort_by(|a, b| {
            (a["resourceType"].text(), a["url"].text()).cmp(&(b["resourceType"].text(), b["url"].text()))
        });
        let before = list.partition_point(|j| j["resourceType"].text() < "ImplementationGuide");
        list.insert(before, guide::of(&list));
        list.into_iter().filter_map(|json| published(house, active, json)).collect()
    })
}

fn published(house: &House, active: &Active, mut json: Json) -> Option<Published> {
    let updated = format!("{DATED}T00:00:00.000Z");
    let target = Target::new(ResourceType::parse(json["resourceType"].text())?, json["id"].as_str()?);
    let meta = serde_json::json!({"versionId": "1", "lastUpdated": updated});
    json.as_object_mut()?.insert_at(2, "meta", meta);
    let rows = active.registry.extract(&house.keys, &json, &active.env);
    let doc = Doc { target, pk: Instant::parse(&updated)?.0, rows };
    Some(Published { doc, body: json.to_bytes().into(), json: Arc::new(json) })
}

/// The published resources of a type.
pub(super) fn of_type<'a>(
    house: &House,
    active: &'a Active,
    rtype: ResourceType,
) -> impl Iterator<Item = &'a Published> {
    all(house, active).iter().filter(move |p| p.doc.target.rtype == rtype)
}

/// The published resource at an address.
pub(super) fn at<'a>(house: &House, active: &'a Active, target: &Target) -> Option<&'a Published> {
    of_type(house, active, target.rtype).find(|p| p.doc.target == *target)
}

/// The published resources of a type that a search finds, apart from those that are stored under the same id.
///
/// # Errors
/// Those of the store.
pub(super) async fn matching(house: &House, limit: &Limit, rtype: ResourceType, plan: &Plan) -> Result<Vec<Version>> {
    such(house, limit, |p| p.doc.target.rtype == rtype && matches(&plan.cond, &p.doc, &[], &house.keys)).await
}

/// Such published resources, apart from those that are stored under the same id.
///
/// # Errors
/// Those of the store.
pub(super) async fn such(house: &House, limit: &Limit, which: impl Fn(&Published) -> bool) -> Result<Vec<Version>> {
    let active = house.active();
    let found = alone(house, limit, &active, which).await?;
    Ok(found.into_iter().map(version).collect())
}

/// A condition whose chains along canonicals lead to published resources as well: rows of the database do not know them.
///
/// # Errors
/// Those of the store.
pub(super) async fn leading(house: &House, limit: &Limit, cond: Cond) -> Result<Cond> {
    let (mut types, active) = (Vec::new(), house.active());
    chained(&cond, &mut types);
    if types.is_empty() {
        return Ok(cond);
    }
    let known = alone(house, limit, &active, |p| types.contains(&p.doc.target.rtype)).await?;
    Ok(led(cond, &known, &house.keys))
}

/// Types that a condition's chains along canonicals lead to.
fn chained(cond: &Cond, out: &mut Vec<ResourceType>) {
    match cond {
        Cond::Chain { types, by, target, .. } => {
            out.extend(types.iter().filter(|_| *by == Link::Canonical));
            chained(target, out);
        }
        Cond::Has { source: inner, .. } | Cond::Not(inner) => chained(inner, out),
        Cond::Any(list) | Cond::All(list) => list.iter().for_each(|c| chained(c, out)),
        _ => {}
    }
}

fn led(cond: Cond, known: &[&Published], keys: &Keys) -> Cond {
    let inner = |cond: Box<Cond>| Box::new(led(*cond, known, keys));
    match cond {
        Cond::Chain { param, types, by, is_single, target } => {
            let meets = |p: &&&Published| {
                by == Link::Canonical && types.contains(&p.doc.target.rtype) && matches(&target, &p.doc, &[], keys)
            };
            let numbers = known.iter().filter(meets).flat_map(|p| p.doc.canonicals(keys));
            let there: Vec<i64> = numbers.map(|number| param + number).collect();
            let chain = Cond::Chain { param, types, by, is_single, target: inner(target) };
            if there.is_empty() { chain } else { Cond::any(vec![chain, Cond::Exact(there)]) }
        }
        Cond::Has { rtype, param, by, source } => Cond::Has { rtype, param, by, source: inner(source) },
        Cond::Not(of) => Cond::Not(inner(of)),
        Cond::Any(list) => Cond::Any(list.into_iter().map(|c| led(c, known, keys)).collect()),
        Cond::All(list) => Cond::All(list.into_iter().map(|c| led(c, known, keys)).collect()),
        other => other,
    }
}

/// Such published resources, apart from those that are stored under the same id.
async fn alone<'a>(
    house: &House,
    limit: &Limit,
    active: &'a Active,
    which: impl Fn(&Published) -> bool,
) -> Result<Vec<&'a Published>> {
    let found: Vec<&Published> = all(house, active).iter().filter(|p| which(p)).collect();
    let targets: Vec<Target> = found.iter().map(|p| p.doc.target.clone()).collect();
    let stored = house.store.get_many(limit, &targets).await?;
    Ok(found.into_iter().zip(stored).filter(|(_, stored)| stored.is_none()).map(|(p, _)| p).collect())
}

/// As a version of a resource.
pub(super) fn version(published: &Published) -> Version {
    Version {
        pk: published.doc.pk,
        target: published.doc.target.clone(),
        version: 1,
        method: Method::Put,
        org: 0,
        body: published.body.clone(),
        labels: 0,
    }
}

/// A page that holds published resources only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Beyond {
    /// The first of them that it shows.
    pub(super) start: usize,
    /// All matches, stored ones too, when the first page counted them.
    pub(super) total: Option<u64>,
}

impl Beyond {
    /// Of a cursor; `None` of one of the store.
    pub(super) fn of(cursor: &Cursor) -> Option<Self> {
        let (start, total) = cursor.0.strip_prefix(CURSOR)?.split_once('-')?;
        Some(Self { start: start.parse().ok()?, total: total.parse().ok() })
    }

    /// As a cursor.
    pub(super) fn to_cursor(self) -> Cursor {
        let total = self.total.map(|n| n.to_string()).unwrap_or_default();
        Cursor(format!("{CURSOR}{}-{total}", self.start))
    }
}
