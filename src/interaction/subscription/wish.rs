//! What a Subscription asks for, judged as its owner may ask for it now: when it is written, and again at each try.

use super::channel::{Channel, FILTER, backported, refuse};
use crate::access::Principal;
use crate::access::policy::Judge;
use crate::access::scope::Action;
use crate::clock::Instant;
use crate::error::{Error, Kind, Result};
use crate::fhir::resource::printable;
use crate::fhir::{Json, ResourceType, date};
use crate::interaction::House;
use crate::interaction::write::Faults;
use crate::search::query::{self, Handling, is_result};

/// Names and values, decoded.
type Pairs = Vec<(String, String)>;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wish {
    /// The type that is searched.
    pub(super) rtype: ResourceType,
    /// And how.
    pub(super) pairs: Pairs,
    /// Address of the topic, where one is named.
    pub(super) topic: Option<String>,
    pub(super) channel: Channel,
    /// When it ends.
    pub(super) end: Option<Instant>,
}

/// `Subscription.end`.
pub(super) fn end(house: &House, body: &Json) -> Option<Instant> {
    let text = body.get("end")?.text();
    date::search_span(text, &house.active().env.zone).map(|s| Instant(s.lo))
}

impl Wish {
    /// Reads and judges it.
    ///
    /// # Errors
    /// `Forbidden` where the owner may not search that; `Unprocessable` with an issue for each element that asks for what is not done; `Busy` while the rows
    /// of a search parameter are being made.
    pub(super) fn read(house: &House, owner: &Principal, body: &Json) -> Result<Self> {
        let mut faults = Faults::default();
        let channel =
            Channel::read(body, house.reach, house.topics.sends_whole(&owner.client), &mut |e| faults.add(e, ""));
        let criteria = faults.keep(criteria(house, owner, body), "");
        faults.end()?;
        let (topic, rtype, pairs) = criteria.ok_or_else(|| Error::fault("criteria without a fault are there"))?;
        Ok(Self { rtype, pairs, topic, channel, end: end(house, body) })
    }
}

/// Topic, type and query of the criteria.
fn criteria(house: &House, owner: &Principal, body: &Json) -> Result<(Option<String>, ResourceType, Pairs)> {
    const AT: &str = "criteria";
    let text = body["criteria"].text();
    let filters: Vec<&Json> =
        backported(&body["_criteria"]).filter(|(name, _)| *name == FILTER).map(|(_, e)| e).collect();
    if let Some((name, _)) = backported(&body["_criteria"]).find(|(name, _)| *name != FILTER) {
        return Err(refuse(
            "not-supported",
            "criteria.extension",
            format!("the extension {name} is not taken here; leave it out"),
        ));
    }
    let judge = house.policy.judge(owner);
    if !text.starts_with("http://") && !text.starts_with("https://") {
        if !filters.is_empty() {
            let text = "backport-filter-criteria narrows a topic; write what narrows a search into the criteria";
            return Err(refuse("not-supported", "criteria.extension", text));
        }
        let (rtype, pairs) = search(house, &judge, text, AT)?;
        return Ok((None, rtype, pairs));
    }
    let Some(topic) = house.topics.at(text) else {
        let all: Vec<String> = house.topics.addresses().collect();
        let text = format!(
            "there is no such topic; there are {}, and criteria that are a search: Task?status=requested",
            all.join(", ")
        );
        return Err(refuse("not-supported", AT, text));
    };
    let Some(mut all) = topic.criteria(owner.org.as_deref()) else {
        return Err(refuse("not-supported", AT, "this topic is for callers of an organisation"));
    };
    for filter in filters {
        const AT: &str = "criteria.extension";
        let (rtype, raw) = filter["valueString"].text().split_once('?').unwrap_or_default();
        let Ok(pairs) = query::pairs(raw) else { return Err(refuse("value", AT, "a filter is Type?parameter=value")) };
        if !all.starts_with(&format!("{rtype}?")) || pairs.is_empty() {
            let of = all.split('?').next().unwrap_or_default();
            return Err(refuse("value", AT, format!("a filter of this topic is {of}?parameter=value")));
        }
        if let Some((name, _)) = pairs.iter().find(|(name, _)| !topic.takes(name)) {
            let text = format!("this topic is not filtered by '{}'; it is by {}", printable(name), topic.filters());
            return Err(refuse("not-supported", AT, text));
        }
        all.push('&');
        all.push_str(raw);
    }
    let (rtype, pairs) = search(house, &judge, &all, AT)?;
    Ok((Some(text.to_owned()), rtype, pairs))
}

/// A search as criteria have it, by who may carry it out.
fn search(house: &House, judge: &Judge<'_>, text: &str, at: &str) -> Result<(ResourceType, Pairs)> {
    let (name, raw) = text.split_once('?').unwrap_or((text, ""));
    let Some(rtype) = ResourceType::parse(name) else {
        let text = format!(
            "criteria are Type?query, such as Task?status=requested, or the address of a topic; '{}' is no type of R4",
            printable(name)
        );
        return Err(refuse("value", at, text));
    };
    let of_criteria = |e: Error| match e.kind {
        Kind::Busy => e,
        _ => Error { kind: Kind::Unprocessable, ..e }.at(format!("Subscription.{at}")),
    };
    let pairs = query::pairs(raw).map_err(of_criteria)?;
    if let Some((name, _)) = pairs.iter().find(|(name, _)| is_result(name)) {
        let text = format!(
            "'{}' does not restrict what matches, so it has no place in criteria; leave it out",
            printable(name)
        );
        return Err(refuse("not-supported", at, text));
    }
    for action in [Action::SearchType, Action::Read] {
        judge.decide(action, Some(rtype)).ok()?;
    }
    let active = house.active();
    let read = query::parse(&active.registry, &house.keys, &[rtype], &pairs, &active.env, Handling::Strict)
        .map_err(of_criteria)?;
    for touched in &read.touched {
        judge.decide(Action::SearchType, Some(*touched)).ok()?;
    }
    Ok((rtype, pairs))
}
