//! search: from a raw query to a searchset.
//!
//! Source: <https://hl7.org/fhir/R4/search.html>, <https://hl7.org/fhir/R4/http.html#search>.

mod include;
pub(super) mod terms;

use super::answer::Answer;
use super::audit::shown;
use super::bundle::{Link, Writer};
use super::change::type_of;
use super::page::{PARAMETER, query_text};
use super::published::{self, Beyond};
use super::request::Scope;
use super::subset::{Subset, no_look_behind, redact};
use super::{Engine, unknown};
use crate::access::scope::Action;
use crate::access::{Ctx, Limit};
use crate::error::{Error, Result};
use crate::fhir::ResourceType;
use crate::search::Cond;
use crate::search::query::{self, Handling, Query, Summary};
use crate::search::terminology::Terms;
use crate::store::{Page, Version};

impl Engine {
    pub(super) async fn search(&self, ctx: &Ctx, of: Scope, raw: &str, lenient: bool) -> Result<Answer> {
        let house = self.house();
        let (pairs, token) = split(raw)?;
        let mut types = self.types(ctx, &of)?;
        let judge = house.policy.judge(&ctx.principal);
        if types.len() > 1 {
            let registry = &house.active().registry;
            types.retain(|t| no_look_behind(&judge, registry, [*t], &pairs).is_ok());
        }
        let mut query = self.query(ctx, &types, &pairs, lenient, &Terms::new())?;
        let limit = Limit::of(ctx);
        let path = path(&of);
        // The link that a token belongs to is made of what was asked, so that the next page asks the same.
        let from = match &token {
            Some(token) => {
                let mut asked = pairs.clone();
                asked.sort();
                Some(house.pages.read(ctx, &format!("{path}?{}", query_text(&asked)), token)?)
            }
            None => None,
        };
        let mut at = None;
        if !query.needs.is_empty() {
            let stored = from.as_ref().filter(|c| Beyond::of(c).is_none());
            let moment = house.store.moment(&query.plan, stored).await?;
            let terms = terms::answer(house, &limit, &query.needs, &moment).await?;
            query = self.query(ctx, &types, &pairs, lenient, &terms)?;
            at = Some(moment);
        }
        query = self.leading(&limit, query).await?;
        if let Scope::Compartment(owner, _) = &of {
            self.in_compartment(ctx, owner, &mut query).await?;
        }
        if query.summary == Summary::Count {
            query.plan.count = 0;
        }
        if query.plan.count == 0 {
            query.plan.total = true;
        }
        let beyond = from.as_ref().and_then(Beyond::of);
        let mut page = match (&at, beyond) {
            (_, Some(beyond)) => Page { total: beyond.total, ..Page::default() },
            (Some(at), None) => house.store.search_at(&limit, &query.plan, from.as_ref(), at).await?,
            (None, None) => house.store.search(&limit, &query.plan, from.as_ref()).await?,
        };
        if page.total.is_none() && page.next.is_none() && from.is_none() {
            page.total = u64::try_from(page.rows.len()).ok();
        }
        if let Scope::Type(rtype) = &of {
            let own = published::matching(house, &limit, *rtype, &query.plan).await?;
            add(&mut page, own, beyond, query.plan.count);
        }
        let mut included = if page.rows.is_empty() {
            Vec::new()
        } else {
            include::include(house, &limit, &judge, &query, &page.rows).await?
        };
        redact(&judge, &mut page.rows)?;
        redact(&judge, &mut included)?;

        let mut used = query.used.clone();
        let mut links = vec![Link { relation: "self", path: path.clone(), query: used.clone() }];
        if let Some(token) = token {
            if let Some(link) = links.first_mut() {
                link.query.push((PARAMETER.into(), token));
            }
            let mut first = used.clone();
            first.retain(|(name, _)| name != PARAMETER);
            links.push(Link { relation: "first", path: path.clone(), query: first });
        }
        if let Some(next) = &page.next {
            let mut asked = used.clone();
            asked.sort();
            let token = house.pages.sign(ctx, &format!("{path}?{}", query_text(&asked)), next);
            used.push((PARAMETER.into(), token));
            links.push(Link { relation: "next", path: path.clone(), query: used });
        }
        let subset = Subset::of(&query);
        let room = page.rows.iter().chain(&included).map(|v| v.body.len() + 160).sum();
        let mut out = Writer::new(&ctx.base, "searchset", page.total, &links, room);
        for (version, mode) in page.rows.iter().map(|v| (v, "match")).chain(included.iter().map(|v| (v, "include"))) {
            if subset.is_whole() {
                out.found(version, &version.body, mode);
            } else {
                out.found(version, &subset.apply(version.body.clone())?, mode);
            }
        }
        if !query.warnings.is_empty() {
            out.warnings(&query.warnings);
        }
        Ok(Answer { seen: shown(page.rows.iter().chain(&included)), ..Answer::of(out.end()) })
    }

    /// Reads the search of an operation, with all that it has to look up.
    ///
    /// # Errors
    /// As the search.
    pub(super) async fn read_search(
        &self,
        ctx: &Ctx,
        rtype: ResourceType,
        pairs: &Pairs,
        limit: &Limit,
    ) -> Result<Query> {
        let types = self.types(ctx, &Scope::Type(rtype))?;
        let mut query = self.query(ctx, &types, pairs, false, &Terms::new())?;
        if !query.needs.is_empty() {
            let moment = self.house().store.moment(&query.plan, None).await?;
            let terms = terms::answer(self.house(), limit, &query.needs, &moment).await?;
            query = self.query(ctx, &types, pairs, false, &terms)?;
        }
        self.leading(limit, query).await
    }

    /// A query whose chains lead to what is published as well.
    async fn leading(&self, limit: &Limit, mut query: Query) -> Result<Query> {
        let cond = std::mem::replace(&mut query.plan.cond, Cond::All(Vec::new()));
        query.plan.cond = published::leading(self.house(), limit, cond).await?;
        Ok(query)
    }

    /// Whether a search would be carried out: rights and parameters, without the search.
    ///
    /// # Errors
    /// As the search.
    pub(super) fn check_search(&self, ctx: &Ctx, of: &Scope, raw: &str, lenient: bool) -> Result<()> {
        let (pairs, _) = split(raw)?;
        let types = self.types(ctx, of)?;
        self.query(ctx, &types, &pairs, lenient, &Terms::new()).map(|_| ())
    }

    /// Reads a query, and judges the types that its chains and includes touch.
    fn query(&self, ctx: &Ctx, types: &[ResourceType], pairs: &Pairs, lenient: bool, terms: &Terms) -> Result<Query> {
        let house = self.house();
        let handling = if lenient { Handling::Lenient } else { Handling::Strict };
        let active = house.active();
        let query = query::parse_knowing(&active.registry, &house.keys, types, pairs, &active.env, handling, terms)?;
        let judge = house.policy.judge(&ctx.principal);
        for touched in &query.touched {
            judge.decide(Action::SearchType, Some(*touched)).ok()?;
        }
        no_look_behind(&judge, &active.registry, types.iter().chain(&query.touched).copied(), pairs)?;
        Ok(query)
    }

    /// The types that a search covers: those of its URL that the caller may search.
    fn types(&self, ctx: &Ctx, of: &Scope) -> Result<Vec<ResourceType>> {
        if let Some(rtype) = type_of(of) {
            self.permit(ctx, Action::SearchType, Some(rtype))?;
            return Ok(vec![rtype]);
        }
        self.permit(ctx, Action::SearchSystem, None)?;
        Ok(self.house().policy.judge(&ctx.principal).readable().collect())
    }

    /// Narrows a search to a compartment. Its owner must be visible; an unknown one is 404, as for a read.
    async fn in_compartment(&self, ctx: &Ctx, owner: &crate::fhir::Target, query: &mut Query) -> Result<()> {
        let house = self.house();
        self.permit(ctx, Action::Read, Some(owner.rtype))?;
        if house.store.get(&Limit::of(ctx), owner).await?.is_none() {
            return Err(unknown(owner));
        }
        let active = house.active();
        let mut any = Vec::new();
        let mut kept = Vec::new();
        for rtype in &query.plan.types {
            query::compartment_is_built(&active.registry, owner.rtype, *rtype)?;
            if let Some(cond) = query::compartment(&active.registry, &house.keys, owner, *rtype) {
                any.push(cond);
                kept.push(*rtype);
            }
        }
        if kept.is_empty() {
            let what = query.plan.types.first().map_or("resource", |t| t.as_str());
            return Err(
                Error::invalid(format!("no {what} is in the compartment of a {}", owner.rtype)).code("not-supported")
            );
        }
        let cond = std::mem::replace(&mut query.plan.cond, Cond::All(Vec::new()));
        query.plan.cond = Cond::All(vec![cond, Cond::Any(any)]);
        query.plan.types = kept;
        Ok(())
    }
}

/// Puts published resources behind the stored ones of a page; `beyond`: where it begins when it holds no stored ones.
fn add(page: &mut Page, own: Vec<Version>, beyond: Option<Beyond>, count: usize) {
    if beyond.is_none() {
        page.total = page.total.map(|n| n + own.len() as u64);
    }
    let start = beyond.map_or(0, |b| b.start);
    if count == 0 || page.next.is_some() {
        return;
    }
    let room = count.saturating_sub(page.rows.len());
    let end = start + room;
    if end < own.len() {
        page.next = Some(Beyond { start: end, total: page.total }.to_cursor());
    }
    page.rows.extend(own.into_iter().skip(start).take(room));
}

/// Names and values, decoded.
type Pairs = Vec<(String, String)>;

/// Parameters without those of the wire, and the page token.
fn split(raw: &str) -> Result<(Pairs, Option<String>)> {
    let mut token = None;
    let mut pairs = query::pairs(raw)?;
    pairs.retain_mut(|(name, value)| match name.as_str() {
        PARAMETER => {
            token = Some(std::mem::take(value));
            false
        }
        "_format" | "_pretty" => false,
        _ => true,
    });
    Ok((pairs, token))
}

fn path(of: &Scope) -> String {
    match of {
        Scope::System => String::new(),
        Scope::Type(rtype) => rtype.to_string(),
        Scope::Instance(target) => target.to_string(),
        Scope::Version(target, version) => format!("{target}/_history/{version}"),
        Scope::Compartment(owner, inner) => format!("{owner}/{}", inner.map_or("*", ResourceType::as_str)),
    }
}
