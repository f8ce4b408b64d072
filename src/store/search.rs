//! Searches: a plan becomes SQL, and a page of it.
//!
//! A query walks one index in the order asked for and looks the other conditions up row by row, stopping after the page:
//! the type's own index, or one exact key's. Where a condition names few rows, these are listed and sorted instead. What
//! is few is counted first, up to a cap, in one statement.
//! Source: <https://hl7.org/fhir/R4/search.html>; the order and the paging are own rules.

use super::condition::{Sight, View, is_set, is_whole_set, self_keys};
use super::conn::{Conn, Row, Sql};
use super::db::Shared;
use super::dialect::Dialect;
use super::page::{Place, SortValue};
use super::read::{COLUMNS, version};
use super::{Cursor, Page, Store};
use crate::access::Limit;
use crate::clock::Instant;
use crate::error::{Error, Result};
use crate::fhir::ResourceType;
use crate::search::plan::SortBy;
use crate::search::rows::highest;
use crate::search::{Cond, Plan, Sort};

/// Few enough to be listed without a second look; then the most that is ever listed and sorted.
const CAPS: [i64; 2] = [200, 10_000];

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
            return Ok(Moment(conn.horizon().await?));
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
        (None, Seen::Now, Dialect::Postgres) if mentions_time(&plan.cond) => View::At(conn.horizon().await?),
        (None, Seen::Now, Dialect::Sqlite) => View::At(shared.snapshot().to_string()),
        (None, Seen::Now | Seen::Writing, _) => View::Current,
    };
    let sight = Sight { dialect: shared.dialect, keys: shared.keys, limit, view: &view };
    let driver = choose(conn, sight, plan).await?;
    let query_of = Query { sight, plan, driver, place: place.as_ref() };
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
        Limit::Everything => "*",
        Limit::Directory => "",
        Limit::Organization { org, .. } => org,
    };
    shared.keys.hash(&["page", who, &format!("{plan:?}")])
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
async fn choose<'a>(conn: &mut Conn, sight: Sight<'_>, plan: &'a Plan) -> Result<Driver<'a>> {
    let mut all = Vec::new();
    flatten(&plan.cond, &mut all);
    if let Some(ids) = all.iter().find(|c| matches!(c, Cond::Ids(_))) {
        return Ok(Driver::Listed(ids));
    }
    let candidates: Vec<&Cond> = all.into_iter().filter(|c| is_set(c)).collect();
    match candidates[..] {
        [] => return Ok(Driver::Types),
        [one] if matches!(as_driver(one), Driver::Walk(..)) => return Ok(as_driver(one)),
        _ => {}
    }
    for cap in CAPS {
        let mut sql = Sql::new(sight.dialect);
        sql.push("SELECT ");
        for (n, cond) in candidates.iter().enumerate() {
            sql.push(if n > 0 { ", (SELECT count(*) FROM (" } else { "(SELECT count(*) FROM (" });
            sql.push("SELECT s.pk FROM (");
            sql.set(sight, cond, &plan.types);
            sql.push(&format!(") s LIMIT {cap}) c)"));
        }
        let rows = conn.fetch(sql).await?;
        let row = rows.first().ok_or_else(|| Error::fault("a query for counts answers one row"))?;
        let mut best: Option<(i64, Driver<'a>)> = None;
        for (n, cond) in candidates.iter().enumerate() {
            let found = row.int(n)?;
            if found < cap && best.as_ref().is_none_or(|b| found < b.0) {
                best = Some((found, as_driver(cond)));
            }
        }
        if let Some((_, driver)) = best {
            return Ok(driver);
        }
    }
    let mut walks = candidates.iter().map(|c| as_driver(c)).filter(|d| matches!(d, Driver::Walk(..)));
    Ok(walks.next().unwrap_or(Driver::Types))
}

/// A query whose beginning is chosen.
#[derive(Clone, Copy)]
struct Query<'a> {
    sight: Sight<'a>,
    plan: &'a Plan,
    driver: Driver<'a>,
    place: Option<&'a Place>,
}

impl Query<'_> {
    fn is_direct(&self) -> bool {
        self.by_values().is_empty() && !matches!(self.driver, Driver::Listed(_))
    }

    /// The sort criteria before the first that every row has its own value of.
    fn by_values(&self) -> &[Sort] {
        let until = self.plan.sort.iter().position(|s| s.by == SortBy::Updated);
        self.plan.sort.get(..until.unwrap_or(self.plan.sort.len())).unwrap_or_default()
    }

    /// Whether `pk`, the last criterion, counts upwards.
    fn is_oldest_first(&self) -> bool {
        self.plan.sort.iter().find(|s| s.by == SortBy::Updated).is_some_and(|s| !s.descending)
    }

    /// `FROM … WHERE …` without paging; answers the column of the order.
    fn source(&self, sql: &mut Sql) -> &'static str {
        let (sight, plan) = (self.sight, self.plan);
        let pk = match self.driver {
            Driver::Types => {
                // One type: its index is in order. Several: the versions themselves are.
                sql.push(" FROM version v WHERE ").types(&plan.types, if plan.types.len() == 1 { "v" } else { "+v" });
                "v.pk"
            }
            Driver::Walk(key, _) => {
                sql.push(" FROM idx d CROSS JOIN version v WHERE d.key = ").arg(key).push(" AND v.pk = d.pk AND ");
                sql.types(&plan.types, "+v");
                "d.pk"
            }
            Driver::Listed(Cond::Ids(ids)) => {
                let keys = self_keys(sight.keys, &plan.types, ids);
                sql.push(" FROM version v WHERE v.self_key").any(if keys.is_empty() { &[-1] } else { &keys });
                "v.pk"
            }
            Driver::Listed(cond) => {
                sql.push(" FROM (SELECT DISTINCT e.pk FROM (");
                sql.set(sight, cond, &plan.types);
                sql.push(") e) d CROSS JOIN version v WHERE v.pk = d.pk AND ").types(&plan.types, "+v");
                "d.pk"
            }
        };
        self.bounds(sql, pk);
        sql.view(sight.view, "v").limit(sight.keys, sight.limit, "v");
        let mut all = Vec::new();
        flatten(&plan.cond, &mut all);
        for cond in all {
            let is_answered = match self.driver {
                Driver::Types => false,
                Driver::Walk(_, by) => std::ptr::eq(by, cond),
                Driver::Listed(by) => std::ptr::eq(by, cond) && is_whole_set(cond),
            };
            if !is_answered {
                sql.push(" AND ");
                sql.cond(sight, cond, "v", &plan.types);
            }
        }
        pk
    }

    /// Bounds of `pk` on the column that is walked: the walk begins and ends there.
    fn bounds(&self, sql: &mut Sql, pk: &str) {
        let mut all = Vec::new();
        flatten(&self.plan.cond, &mut all);
        for cond in all {
            let Cond::Updated { from, to } = cond else { continue };
            if let Some(from) = from {
                sql.push(&format!(" AND {pk} >= ")).arg(*from);
            }
            if let Some(to) = to {
                sql.push(&format!(" AND {pk} <= ")).arg(*to);
            }
        }
        if let (View::At(snapshot), Dialect::Sqlite) = (self.sight.view, sql.dialect)
            && pk == "d.pk"
        {
            sql.push(" AND d.pk <= ").arg(snapshot.parse::<i64>().unwrap_or(0));
        }
    }

    fn order(&self) -> (&'static str, &'static str) {
        if self.is_oldest_first() { (" ASC", " > ") } else { (" DESC", " < ") }
    }

    /// One page and one row more.
    fn page(&self) -> Sql {
        let mut sql = Sql::new(self.sight.dialect);
        let (order, after) = self.order();
        let limit = i64::try_from(self.plan.count).unwrap_or(i64::MAX - 1) + 1;
        let snapshot = match (self.sight.dialect, self.sight.view) {
            (Dialect::Postgres, View::Current) => ", (SELECT pg_current_snapshot()::text)",
            _ => "",
        };
        sql.push("SELECT ").push(COLUMNS);
        if self.is_direct() {
            sql.push(snapshot);
            let pk = self.source(&mut sql);
            if let Some(place) = self.place {
                sql.push(&format!(" AND {pk}{after}")).arg(place.pk);
            }
            sql.push(&format!(" ORDER BY {pk}{order} LIMIT ")).arg(limit);
            return sql;
        }
        let sorts = self.by_values();
        let columns: String = (0..sorts.len()).map(|n| format!(", q.s{n}")).collect();
        sql.push(&columns).push(snapshot).push(" FROM (SELECT p.*").push(" FROM (SELECT v.pk");
        for (n, sort) in sorts.iter().enumerate() {
            sql.push(", ").value(&sort.by, sort.descending).push(&format!(" AS s{n}"));
        }
        self.source(&mut sql);
        sql.push(") p");
        if let Some(place) = self.place {
            self.after(&mut sql, place);
        }
        sql.push(" ORDER BY ").push(&self.order_by("p")).push(" LIMIT ").arg(limit);
        sql.push(") q CROSS JOIN version v WHERE v.pk = q.pk ORDER BY ").push(&self.order_by("q"));
        sql
    }

    fn order_by(&self, of: &str) -> String {
        let mut out = String::new();
        for (n, sort) in self.by_values().iter().enumerate() {
            let way = if sort.descending { "DESC" } else { "ASC" };
            out.push_str(&format!("({of}.s{n} IS NULL), {of}.s{n} {way}, "));
        }
        out + &format!("{of}.pk{}", self.order().0)
    }

    /// ` WHERE …`: rows after the place, in the order of [`Query::order_by`]; a missing value comes last.
    fn after(&self, sql: &mut Sql, place: &Place) {
        sql.push(" WHERE (");
        let mut same = String::new();
        for (n, (sort, value)) in self.by_values().iter().zip(&place.after).enumerate() {
            let (way, column) = (if sort.descending { "<" } else { ">" }, format!("p.s{n}"));
            let arg = match value {
                SortValue::Missing => {
                    same.push_str(&format!("{column} IS NULL AND "));
                    continue;
                }
                SortValue::Int(n) => (*n).into(),
                SortValue::Text(s) => s.as_str().into(),
            };
            sql.args.push(arg);
            let arg = format!("${}", sql.args.len());
            sql.push(&format!("({same}({column} {way} {arg} OR {column} IS NULL)) OR "));
            same.push_str(&format!("{column} = {arg} AND "));
        }
        sql.push(&format!("({same}p.pk{}", self.order().1)).arg(place.pk).push("))");
    }

    fn count(&self) -> Sql {
        let mut sql = Sql::new(self.sight.dialect);
        sql.push("SELECT count(*)");
        self.source(&mut sql);
        sql
    }

    fn snapshot_column(&self) -> usize {
        7 + if self.is_direct() { 0 } else { self.by_values().len() }
    }

    /// The sort values of a row of [`Query::page`].
    fn values(&self, row: &Row) -> Result<Vec<SortValue>> {
        let mut out = Vec::new();
        for (n, sort) in self.by_values().iter().enumerate() {
            out.push(match sort.by {
                SortBy::Range(_) => row.opt_int(7 + n)?.map_or(SortValue::Missing, SortValue::Int),
                _ => row.opt_text(7 + n)?.map_or(SortValue::Missing, SortValue::Text),
            });
        }
        Ok(out)
    }
}

impl Sql {
    /// What a version `v` is sorted by: of several values the lowest when ascending, the highest when descending.
    fn value(&mut self, by: &SortBy, descending: bool) -> &mut Self {
        match by {
            SortBy::Updated => self.push("v.pk"),
            SortBy::Id => self.push("v.id"),
            SortBy::Range(key) => {
                let value = if descending { "max(x.hi)" } else { "min(x.lo)" };
                self.push(&format!("(SELECT {value} FROM idx_range x WHERE x.key = ")).arg(*key);
                self.push(" AND x.pk = v.pk)")
            }
            SortBy::Text(key) => {
                let value = if descending { "max(x.text)" } else { "min(x.text)" };
                self.push(&format!("(SELECT {value} FROM idx_text x WHERE x.key = ")).arg(*key);
                self.push(" AND x.pk = v.pk)")
            }
            SortBy::Fact(param) => {
                let (before, after) = self.dialect.fact();
                let collation = self.dialect.by_bytes();
                if descending {
                    self.push(&format!("coalesce(v{before}")).arg(highest(param)).push(&format!("{after}, v{before}"));
                } else {
                    self.push(&format!("(v{before}"));
                }
                self.arg(param.as_str()).push(&format!("{after}){collation}"))
            }
        }
    }
}

#[cfg(test)]
mod tests;
