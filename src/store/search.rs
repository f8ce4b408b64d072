//! Searches: a plan becomes SQL, and a page of it.
//!
//! A query walks one index in the order asked for and looks the other conditions up row by row, stopping after the page:
//! the type's own index, or one exact key's. Where a condition names few rows, these are listed and sorted instead. What
//! is few is counted first, up to a cap, in one statement.
//! Source: <https://hl7.org/fhir/R4/search.html>; the order and the paging are own rules.

use super::condition::{Sight, View, is_set, is_whole_set};
use super::conn::{Conn, Sql};
use super::db::Shared;
use super::dialect::Dialect;
use super::page::Place;
use super::read::version;
use super::{Cursor, Page, Store};
use crate::access::{Limit, Sieve};
use crate::clock::Instant;
use crate::error::{Error, Result};
use crate::fhir::ResourceType;
use crate::search::{Cond, Plan};
use many::Many;
use query::Query;

/// Few enough to be listed without a second look; then the most that is ever listed and sorted.
const CAPS: [i64; 2] = [200, 10_000];

/// How many rows are listed in the time that one is looked up in, about.
const LISTING: i64 = 4;

impl Store {
    /// The first page, or the page at `from` (which belongs to the same plan and limit).
    ///
    /// # Errors
    /// `Invalid` or `Gone` for a cursor that does not hold, `too-costly` when the time limit is reached.
    pub async fn search(&self, limit: &Limit, plan: &Plan, from: Option<&Cursor>) -> Result<Page> {
        let mut reading = self.reading().await?;
        run(reading.conn()?, &self.inner.shared, limit, plan, from, Seen::Now).await
    }

    /// The moment that a search of `plan` sees: of the page at `from`, else the present one. What is read at it before the
    /// search is of the same snapshot.
    ///
    /// # Errors
    /// `Busy` without a connection.
    pub async fn moment(&self, plan: &Plan, from: Option<&Cursor>) -> Result<Moment> {
        let shared = &self.inner.shared;
        if let Some(snapshot) = from.and_then(Place::snapshot_of) {
            return Ok(Moment(snapshot));
        }
        if shared.dialect == Dialect::Sqlite {
            return Ok(Moment(shared.snapshot().to_string()));
        }
        let mut reading = self.reading().await?;
        let conn = reading.conn()?;
        if mentions_time(&plan.cond) {
            return Ok(Moment(conn.settled().await?));
        }
        let rows = conn.fetch(Sql::of(shared.dialect, "SELECT pg_current_snapshot()::text", Vec::new())).await?;
        rows.first().map_or_else(|| Err(Error::fault("a snapshot is one row")), |row| row.text(0)).map(Moment)
    }

    /// As [`Store::search`], at a moment (which is that of `from`, where there is one).
    ///
    /// # Errors
    /// As [`Store::search`].
    pub async fn search_at(&self, limit: &Limit, plan: &Plan, from: Option<&Cursor>, at: &Moment) -> Result<Page> {
        let mut reading = self.reading().await?;
        let seen = Seen::At(at);
        run(reading.conn()?, &self.inner.shared, limit, plan, from, seen).await
    }

    /// How many current resources match.
    ///
    /// # Errors
    /// `too-costly` when the time limit is reached.
    pub async fn count(&self, limit: &Limit, plan: &Plan) -> Result<u64> {
        let plan = Plan { count: 0, ..plan.clone() };
        Ok(self.search(limit, &plan, None).await?.total.unwrap_or(0))
    }
}

/// The type and key of a plan that asks for one exact key and nothing else.
pub fn single_key(plan: &Plan) -> Option<(ResourceType, i64)> {
    let [rtype] = plan.types[..] else { return None };
    let mut cond = &plan.cond;
    while let Cond::All(list) | Cond::Any(list) = cond {
        let [one] = &list[..] else { return None };
        cond = one;
    }
    match cond {
        Cond::Exact(keys) => keys.first().filter(|_| keys.len() == 1).map(|key| (rtype, *key)),
        _ => None,
    }
}

/// One statement for many keys: key, self_key, type, id of at most two (PostgreSQL, SQLite) current matches each.
pub fn matches(shared: &Shared, limit: &Limit, simple: &[(usize, ResourceType, i64)]) -> Sql {
    let mut keys: Vec<i64> = simple.iter().map(|s| s.2).collect();
    keys.sort_unstable();
    keys.dedup();
    let mut sql = Sql::new(shared.dialect);
    let inner = |sql: &mut Sql, key: &str, columns: &str| {
        sql.push(&format!("SELECT {columns} FROM idx x CROSS JOIN version w WHERE x.key = {key} AND w.pk = x.pk"));
        sql.push(" AND w.ended = 9223372036854775807").limit(shared.keys, limit, "w");
        sql.push(" ORDER BY x.pk DESC LIMIT 2");
    };
    match shared.dialect {
        Dialect::Sqlite => {
            sql.push("SELECT j.value, v.self_key, v.rtype, v.id FROM json_each(").arg(keys);
            sql.push(") j CROSS JOIN version v WHERE v.pk IN (");
            inner(&mut sql, "j.value", "x.pk");
            sql.push(")");
        }
        Dialect::Postgres => {
            sql.push("SELECT j.key, m.self_key, m.rtype, m.id FROM UNNEST(").arg(keys);
            sql.push(") j (key) CROSS JOIN LATERAL (");
            inner(&mut sql, "j.key", "w.self_key, w.rtype, w.id");
            sql.push(") m");
        }
    }
    sql
}

/// A snapshot of the database that several reads share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment(String);

impl Moment {
    pub(super) fn text(&self) -> &str {
        &self.0
    }
}

/// What a search sees when it has no page to go on from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen<'a> {
    /// What is committed.
    Now,
    /// What was committed at a moment.
    At(&'a Moment),
    /// What is committed and the rows of the write that asks; it has no pages.
    Writing,
}

/// Where a query begins.
#[derive(Debug, Clone, Copy)]
enum Driver<'a> {
    /// All of the types, in order.
    Types,
    /// One exact key, in order; the condition it answers.
    Walk(i64, &'a Cond),
    /// A list, to be sorted.
    Listed(&'a Cond),
}

/// How a query goes about it.
struct Choice<'a> {
    driver: Driver<'a>,
    /// Conditions that are listed whole once, where the driver's rows are all looked at: cheaper than to look each up.
    sets: Vec<&'a Cond>,
}

impl<'a> From<Driver<'a>> for Choice<'a> {
    fn from(driver: Driver<'a>) -> Self {
        Self { driver, sets: Vec::new() }
    }
}

/// Runs a search.
pub async fn run(
    conn: &mut Conn,
    shared: &Shared,
    limit: &Limit,
    plan: &Plan,
    from: Option<&Cursor>,
    seen: Seen<'_>,
) -> Result<Page> {
    let query = fingerprint(shared, limit, plan);
    let place = from.map(|c| Place::of(c, query, Instant::now().0, shared.settings.page_seconds)).transpose()?;
    let view = match (&place, seen, shared.dialect) {
        (Some(place), ..) => View::At(place.snapshot.clone()),
        (None, Seen::At(moment), _) => View::At(moment.0.clone()),
        (None, Seen::Now, Dialect::Postgres) if mentions_time(&plan.cond) => View::At(conn.settled().await?),
        (None, Seen::Now, Dialect::Sqlite) => View::At(shared.snapshot().to_string()),
        (None, Seen::Now | Seen::Writing, _) => View::Current,
    };
    let sight = Sight { dialect: shared.dialect, keys: shared.keys, limit, view: &view };
    let Choice { driver, sets } = choose(conn, &shared.many, sight, plan).await?;
    let query_of = Query { sight, plan, driver, sets: &sets, place: place.as_ref() };
    if plan.count == 0 {
        let total = count(conn, query_of).await?;
        return Ok(Page { rows: Vec::new(), total: Some(total), next: None });
    }
    let rows = conn.fetch(query_of.page()).await?;
    let mut page = Page { total: place.as_ref().and_then(|p| p.total), ..Page::default() };
    for row in rows.iter().take(plan.count) {
        page.rows.push(version(row)?);
    }
    let has_more = rows.len() > plan.count;
    let snapshot = match &view {
        View::At(snapshot) => Some(snapshot.clone()),
        View::Current if shared.dialect == Dialect::Postgres => {
            rows.first().map(|row| row.opt_text(query_of.snapshot_column())).transpose()?.flatten()
        }
        // A write on SQLite: it has no pages, and no column for a snapshot.
        View::Current => None,
    };
    if place.is_none() && !has_more {
        page.total = Some(page.rows.len() as u64);
    } else if plan.total && page.total.is_none() {
        let view = snapshot.clone().map_or(View::Current, View::At);
        page.total = Some(count(conn, Query { sight: Sight { view: &view, ..sight }, ..query_of }).await?);
    }
    if has_more && let (Some(last), Some(snapshot)) = (rows.get(plan.count - 1), snapshot) {
        let made = place.as_ref().map_or_else(|| Instant::now().0, |p| p.made);
        let after = query_of.values(last)?;
        page.next = Some(Place { query, made, snapshot, total: page.total, after, pk: last.int(0)? }.to_cursor());
    }
    Ok(page)
}

async fn count(conn: &mut Conn, query: Query<'_>) -> Result<u64> {
    let rows = conn.fetch(query.count()).await?;
    let total = rows.first().map_or(Ok(0), |row| row.int(0))?;
    Ok(u64::try_from(total).unwrap_or(0))
}

/// What a cursor is bound to: the query and the caller's organisation.
fn fingerprint(shared: &Shared, limit: &Limit, plan: &Plan) -> i64 {
    let who = match limit {
        Limit::Everything => "*".to_owned(),
        Limit::Directory => String::new(),
        Limit::Organization { org, hooks, sieve, .. } => format!("{org}{hooks:?}{}", Sieve::print(sieve.as_ref())),
    };
    shared.keys.hash(&["page", &who, &format!("{plan:?}")])
}

/// Whether a condition asks for `_lastUpdated`: a poller, whom nothing may overtake.
fn mentions_time(cond: &Cond) -> bool {
    match cond {
        Cond::Updated { .. } => true,
        Cond::Not(inner) => mentions_time(inner),
        Cond::Any(list) | Cond::All(list) => list.iter().any(mentions_time),
        _ => false,
    }
}

/// Conditions that must all hold.
fn flatten<'a>(cond: &'a Cond, out: &mut Vec<&'a Cond>) {
    match cond {
        Cond::All(list) => list.iter().for_each(|c| flatten(c, out)),
        Cond::Any(list) if list.len() == 1 => list.iter().for_each(|c| flatten(c, out)),
        other => out.push(other),
    }
}

fn as_driver(cond: &Cond) -> Driver<'_> {
    match cond {
        Cond::Exact(keys) => match keys[..] {
            [key] => Driver::Walk(key, cond),
            _ => Driver::Listed(cond),
        },
        other => Driver::Listed(other),
    }
}

/// Picks the condition with the fewest rows.
async fn choose<'a>(conn: &mut Conn, many: &Many, sight: Sight<'_>, plan: &'a Plan) -> Result<Choice<'a>> {
    let mut all = Vec::new();
    flatten(&plan.cond, &mut all);
    if let Some(ids) = all.iter().find(|c| matches!(c, Cond::Ids(_))) {
        return Ok(Driver::Listed(ids).into());
    }
    let candidates: Vec<&Cond> = all.into_iter().filter(|c| is_set(c)).collect();
    let now = std::time::Instant::now();
    let is_many = |cond: &Cond| matches!(cond, Cond::Exact(keys) if many.has(keys, now));
    let countable: Vec<&Cond> = candidates.iter().copied().filter(|c| !is_many(c)).collect();
    match countable[..] {
        [] if candidates.is_empty() => return Ok(Driver::Types.into()),
        // However many rows it has: the others have no fewer, or it is alone.
        [one] if matches!(as_driver(one), Driver::Walk(..)) => return Ok(as_driver(one).into()),
        _ => {}
    }
    for cap in CAPS {
        if countable.is_empty() {
            break;
        }
        let mut sql = Sql::new(sight.dialect);
        sql.push("SELECT ");
        for (n, cond) in countable.iter().enumerate() {
            sql.push(if n > 0 { ", (SELECT count(*) FROM (" } else { "(SELECT count(*) FROM (" });
            sql.push("SELECT s.pk FROM (");
            sql.set(sight, cond, &plan.types);
            sql.push(&format!(") s LIMIT {cap}) c)"));
        }
        let rows = conn.fetch(sql).await?;
        let row = rows.first().ok_or_else(|| Error::fault("a query for counts answers one row"))?;
        let found: Vec<i64> = (0..countable.len()).map(|n| row.int(n)).collect::<Result<_>>()?;
        for (cond, found) in countable.iter().zip(&found) {
            if let Cond::Exact(keys) = cond
                && *found >= CAPS[1]
            {
                many.learn(keys, now);
            }
        }
        let counted = || countable.iter().zip(&found).filter(|(_, found)| **found < cap);
        let Some((best, fewest)) = counted().min_by_key(|(_, found)| **found) else { continue };
        let worth = |(cond, found): &(&&'a Cond, &i64)| {
            !std::ptr::eq(**cond, *best) && **found < fewest.saturating_mul(LISTING) && is_whole_set(cond)
        };
        // Of few rows each is looked up.
        let sets =
            if *fewest < CAPS[0] { Vec::new() } else { counted().filter(worth).map(|(cond, _)| *cond).collect() };
        return Ok(Choice { driver: as_driver(best), sets });
    }
    let mut walks = candidates.iter().map(|c| as_driver(c)).filter(|d| matches!(d, Driver::Walk(..)));
    Ok(walks.next().unwrap_or(Driver::Types).into())
}

pub(super) mod many;
mod query;
#[cfg(test)]
mod tests;
