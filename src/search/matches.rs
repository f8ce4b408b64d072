//! Conditions evaluated in memory: slow, plain and obviously right.
//!
//! For: subscriptions (does this resource match those criteria?), and checking what the SQL does.
//! Not for: answering searches.

use super::plan::Link;
use super::{Cond, Keys, Rows};
use crate::fhir::{Json, Target};

/// One current resource as the conditions see it.
#[derive(Debug, Clone)]
pub struct Doc {
    /// Its address.
    pub target: Target,
    /// `meta.lastUpdated` in microseconds.
    pub pk: i64,
    /// What it is found by.
    pub rows: Rows,
}

impl Doc {
    /// Numbers of the canonicals that it is known by.
    pub fn canonicals(&self, keys: &Keys) -> impl Iterator<Item = i64> {
        let key = keys.canonicals();
        self.rows.range.iter().filter(move |(k, ..)| *k == key).map(|(_, number, _)| *number)
    }
}

/// Whether `doc` meets the condition; chains and `_has` look into `world`.
#[must_use]
pub fn matches(cond: &Cond, doc: &Doc, world: &[Doc], keys: &Keys) -> bool {
    let within =
        |n: i64, (from, to): (Option<i64>, Option<i64>)| from.is_none_or(|f| n >= f) && to.is_none_or(|t| n <= t);
    // Whether `from` refers to `to` by the parameter.
    let refers = |from: &Doc, param: &i64, by: Link, to: &Doc| match by {
        Link::Id => from.rows.exact.contains(&(param + keys.target(to.target.rtype.as_str(), &to.target.id))),
        Link::Canonical => to.canonicals(keys).any(|number| from.rows.exact.contains(&(param + number))),
    };
    match cond {
        Cond::Exact(any) => any.iter().any(|key| doc.rows.exact.contains(key)),
        Cond::Range { key, lo, hi } => {
            doc.rows.range.iter().any(|(k, l, h)| k == key && within(*l, *lo) && within(*h, *hi))
        }
        Cond::Text { key, text, anywhere } => {
            doc.rows.text.iter().any(|(k, t)| {
                k == key && if *anywhere { t.contains(text.as_str()) } else { t.starts_with(text.as_str()) }
            })
        }
        Cond::Present { param, present } => has_fact(&doc.rows.facts, param) == *present,
        Cond::Ids(ids) => ids.contains(&doc.target.id),
        Cond::Updated { from, to } => within(doc.pk, (*from, *to)),
        Cond::Chain { param, types, by, target, .. } => world.iter().any(|other| {
            types.contains(&other.target.rtype) && refers(doc, param, *by, other) && matches(target, other, world, keys)
        }),
        Cond::Has { rtype, param, by, source } => world.iter().any(|other| {
            other.target.rtype == *rtype && refers(other, param, *by, doc) && matches(source, other, world, keys)
        }),
        Cond::Type(rtype) => doc.target.rtype == *rtype,
        Cond::Words { words, narrative } => {
            let all = if *narrative { [&doc.rows.words.narrative, ""] } else { doc.rows.words.both() };
            let has = |(word, begins): &(String, bool)| {
                let mut there = all.iter().flat_map(|text| text.split(' '));
                there.any(|w| if *begins { w.starts_with(word.as_str()) } else { w == word })
            };
            words.iter().all(has)
        }
        Cond::Near { keys: (first, second), at: [x, y, z], chord } => {
            let of = |key: i64| doc.rows.range.iter().filter(move |(k, ..)| *k == key);
            let square = |n: &i64, m: &i64| n.abs_diff(*m).saturating_pow(2);
            of(*first).any(|(_, c, a)| {
                of(*second).any(|(_, b, _)| {
                    square(a, x).saturating_add(square(b, y)).saturating_add(square(c, z)) <= square(chord, &0)
                })
            })
        }
        Cond::Not(inner) => !matches(inner, doc, world, keys),
        Cond::Any(list) => list.iter().any(|c| matches(c, doc, world, keys)),
        Cond::All(list) => list.iter().all(|c| matches(c, doc, world, keys)),
    }
}

fn has_fact(facts: &str, name: &str) -> bool {
    crate::fhir::json::parse(facts.as_bytes()).is_ok_and(|json: Json| json.get(name).is_some())
}
