//! `Observation/$lastn`: the latest of each code.
//!
//! Source: <https://hl7.org/fhir/R4/observation-operation-lastn.html>. Observations are of one group when they share a coding (with its system), or, without
//! any, the text of their code. Latest is by `date` (effective), and of one date what was written last. Own rules: groups come in the order of their latest;
//! `_include`, `_revinclude`, `_sort`, `_count` and `_total` have no place here.

use crate::access::{Ctx, Limit};
use crate::error::{Error, Result};
use crate::fhir::Json;
use crate::fhir::resource::known;
use crate::interaction::Engine;
use crate::interaction::answer::Answer;
use crate::interaction::bundle::{Link, Writer};
use crate::interaction::operation::Input;
use crate::interaction::subset::Subset;
use crate::store::Version;
use std::collections::HashMap;

/// Observations that are looked through at most.
const MOST: usize = 20_000;
/// And those of one step.
const STEP: usize = 1_000;
/// Parameters of a search that have no place here.
const REFUSED: [&str; 5] = ["_include", "_revinclude", "_sort", "_count", "_total"];

impl Engine {
    pub(in crate::interaction) async fn lastn(&self, ctx: &Ctx, input: &Input) -> Result<Answer> {
        let (house, rtype) = (self.house(), known("Observation"));
        let max = input.number("max").and_then(|n| usize::try_from(n).ok()).unwrap_or(1);
        let base = |name: &str| name.split([':', '.']).next().unwrap_or_default().to_owned();
        let names: Vec<String> = input.search.iter().map(|(name, _)| base(name)).collect();
        let has = |wanted: &[&str]| names.iter().any(|n| wanted.contains(&n.as_str()));
        if let Some(name) = names.iter().find(|n| REFUSED.contains(&n.as_str())) {
            return Err(Error::invalid(format!("$lastn takes no {name}: it answers the latest of each code at once"))
                .code("not-supported"));
        }
        if !has(&["patient", "subject"]) || !has(&["category", "code", "combo-code"]) {
            let text = "$lastn needs patient or subject, and category or code";
            return Err(Error::invalid(text).code("required"));
        }
        let limit = Limit::of(ctx);
        let mut pairs = input.search.clone();
        pairs.push(("_sort".into(), "-date".into()));
        let query = self.read_search(ctx, rtype, &pairs, &limit).await?;
        let mut plan = query.plan.clone();
        (plan.count, plan.total) = (STEP, false);
        let (mut rows, mut from) = (Vec::new(), None);
        loop {
            let page = house.store.search(&limit, &plan, from.as_ref()).await?;
            rows.extend(page.rows);
            if rows.len() > MOST {
                let text = format!("more than {MOST} observations fit; name codes, or a date such as date=ge2026");
                return Err(Error::too_costly(text));
            }
            from = page.next;
            if from.is_none() {
                break;
            }
        }
        let latest = latest(rows, max)?;
        let most = usize::try_from(house.limits.count_max).unwrap_or(usize::MAX);
        if latest.len() > most {
            return Err(Error::too_costly(format!(
                "the answer has more than {most} observations (limit count-max); ask for a smaller max"
            )));
        }
        let subset = Subset::of(&query);
        let mut asked = input.pairs();
        asked.extend(input.search.iter().cloned());
        let link = Link { relation: "self", path: format!("{rtype}/$lastn"), query: asked };
        let room = latest.iter().map(|v| v.body.len() + 160).sum();
        let mut out = Writer::new(&ctx.base, "searchset", u64::try_from(latest.len()).ok(), &[link], room);
        for version in &latest {
            out.found(version, &subset.apply(version.body.clone())?, "match");
        }
        Ok(Answer::of(out.end()))
    }
}

/// The first `max` of each group, group by group. `rows`: latest first.
fn latest(rows: Vec<Version>, max: usize) -> Result<Vec<Version>> {
    let mut group_of: HashMap<String, usize> = HashMap::new();
    // Groups that turned out to be one point to each other.
    let mut parents: Vec<usize> = Vec::new();
    let mut mine = Vec::with_capacity(rows.len());
    for row in &rows {
        let mut group = parents.len();
        parents.push(group);
        for key in keys(&row.json()?["code"]) {
            let other = root(&parents, *group_of.entry(key).or_insert(group));
            let (low, high) = (root(&parents, group).min(other), root(&parents, group).max(other));
            if let Some(slot) = parents.get_mut(high) {
                *slot = low;
            }
            group = low;
        }
        mine.push(group);
    }
    let mut groups: Vec<(usize, Vec<Version>)> = Vec::new();
    let mut place: HashMap<usize, usize> = HashMap::new();
    for (row, group) in rows.into_iter().zip(mine) {
        let group = root(&parents, group);
        let at = *place.entry(group).or_insert_with(|| {
            groups.push((group, Vec::new()));
            groups.len() - 1
        });
        if let Some((_, list)) = groups.get_mut(at).filter(|(_, list)| list.len() < max) {
            list.push(row);
        }
    }
    Ok(groups.into_iter().flat_map(|(_, list)| list).collect())
}

fn root(parents: &[usize], mut at: usize) -> usize {
    while let Some(up) = parents.get(at).copied().filter(|up| *up != at) {
        at = up;
    }
    at
}

/// What makes observations one group.
fn keys(code: &Json) -> Vec<String> {
    let codings = code["coding"].items().iter();
    let coded = codings.filter_map(|c| Some(format!("{}|{}", c["system"].text(), c["code"].as_str()?)));
    let coded: Vec<String> = coded.collect();
    if coded.is_empty() { vec![format!("text {}", code["text"].text().trim().to_lowercase())] } else { coded }
}
