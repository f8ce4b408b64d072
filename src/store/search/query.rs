//! The SQL of a search whose beginning is chosen.
//!
//! Search rows are narrow, versions are wide: what the rows tell is asked first, and a version is read when all of that holds.

use super::{Driver, flatten};
use crate::error::Result;
use crate::search::plan::SortBy;
use crate::search::rows::highest;
use crate::search::{Cond, Plan, Sort};
use crate::store::condition::{At, Sight, View, is_of_rows, is_whole_set, self_keys};
use crate::store::conn::{Row, Sql};
use crate::store::dialect::Dialect;
use crate::store::page::{Place, SortValue};
use crate::store::read::COLUMNS;

/// A query whose beginning is chosen.
#[derive(Clone, Copy)]
pub(super) struct Query<'a> {
    pub sight: Sight<'a>,
    pub plan: &'a Plan,
    pub driver: Driver<'a>,
    /// See [`super::Choice`].
    pub sets: &'a [&'a Cond],
    pub place: Option<&'a Place>,
}

impl Query<'_> {
    pub fn is_direct(&self) -> bool {
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

    /// Whether what search rows tell is enough to filter and sort: then the versions, rows many times as wide, are read in
    /// that order, and no further than the page.
    pub fn is_narrow(&self) -> bool {
        !matches!(self.driver, Driver::Types | Driver::Listed(Cond::Ids(_)))
            && self.by_values().iter().all(|s| !matches!(s.by, SortBy::Fact(_)))
    }

    /// `FROM …` and the beginning of `WHERE …`: where the driver finds pks.
    fn list(&self, sql: &mut Sql) {
        match self.driver {
            Driver::Walk(key, _) => sql.push(" FROM idx d WHERE d.key = ").arg(key),
            Driver::Listed(cond) => {
                sql.push(" FROM (SELECT DISTINCT e.pk FROM (");
                sql.set(self.sight, cond, &self.plan.types);
                sql.push(") e) d WHERE TRUE")
            }
            Driver::Types => sql,
        };
    }

    /// `FROM … WHERE …` without paging; answers the column of the order.
    fn source(&self, sql: &mut Sql) -> &'static str {
        let (sight, plan) = (self.sight, self.plan);
        let at = match self.driver {
            Driver::Types => {
                // One type: its index is in order. Several: the versions themselves are.
                sql.push(" FROM version v WHERE ").types(&plan.types, if plan.types.len() == 1 { "v" } else { "+v" });
                At::VERSION
            }
            Driver::Walk(key, _) => {
                sql.push(" FROM idx d CROSS JOIN version v WHERE d.key = ").arg(key).push(" AND v.pk = d.pk AND ");
                sql.types(&plan.types, "+v");
                At::LISTED
            }
            Driver::Listed(Cond::Ids(ids)) => {
                let keys = self_keys(sight.keys, &plan.types, ids);
                sql.push(" FROM version v WHERE v.self_key").any(if keys.is_empty() { &[-1] } else { &keys });
                At::VERSION
            }
            Driver::Listed(cond) => {
                sql.push(" FROM (SELECT DISTINCT e.pk FROM (");
                sql.set(sight, cond, &plan.types);
                sql.push(") e) d CROSS JOIN version v WHERE v.pk = d.pk AND ").types(&plan.types, "+v");
                At::LISTED
            }
        };
        self.bounds(sql, at.pk);
        self.conditions(sql, at, |_| true);
        // Last: what only the version itself tells.
        sql.view(sight.view, "v").limit(sight.keys, sight.limit, "v");
        at.pk
    }

    /// ` AND …`: those of the conditions that the driver has not answered.
    fn conditions(&self, sql: &mut Sql, at: At<'_>, which: impl Fn(&Cond) -> bool) {
        let mut all = Vec::new();
        flatten(&self.plan.cond, &mut all);
        for cond in all.into_iter().filter(|c| which(c)) {
            let is_answered = match self.driver {
                Driver::Types => false,
                Driver::Walk(_, by) => std::ptr::eq(by, cond),
                Driver::Listed(by) => std::ptr::eq(by, cond) && is_whole_set(cond),
            };
            if is_answered {
                continue;
            }
            sql.push(" AND ");
            if !self.is_direct() && self.sets.iter().any(|set| std::ptr::eq(*set, cond)) {
                sql.listed(self.sight, cond, at, &self.plan.types);
            } else {
                sql.cond(self.sight, cond, at, &self.plan.types);
            }
        }
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
    pub fn page(&self) -> Sql {
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
        let is_narrow = self.is_narrow();
        let pk = if is_narrow { At::LISTED.pk } else { At::VERSION.pk };
        let missing: String = (0..sorts.len()).map(|n| format!(", (p.s{n} IS NULL) AS n{n}")).collect();
        sql.push(&columns).push(snapshot).push(" FROM (SELECT p.*").push(&missing);
        sql.push(" FROM (SELECT ").push(pk).push(" AS pk");
        for (n, sort) in sorts.iter().enumerate() {
            sql.push(", ").value(&sort.by, sort.descending, pk, is_narrow).push(&format!(" AS s{n}"));
        }
        if is_narrow {
            self.list(&mut sql);
            self.bounds(&mut sql, pk);
            self.conditions(&mut sql, At::LISTED, is_of_rows);
        } else {
            self.source(&mut sql);
        }
        sql.push(") p");
        if let Some(place) = self.place {
            self.after(&mut sql, place);
        }
        sql.push(" ORDER BY ").push(&self.order_by("p"));
        if !is_narrow {
            sql.push(" LIMIT ").arg(limit);
            sql.push(") q CROSS JOIN version v WHERE v.pk = q.pk ORDER BY ").push(&self.order_by("q"));
            return sql;
        }
        sql.push(self.sight.dialect.kept_order());
        sql.push(") q CROSS JOIN version v WHERE v.pk = q.pk AND ").types(&self.plan.types, "+v");
        self.conditions(&mut sql, At::VERSION, |c| !is_of_rows(c));
        sql.view(self.sight.view, "v").limit(self.sight.keys, self.sight.limit, "v");
        // SQLite reads the list first, as it is told to, and would sort again; PostgreSQL sees that it is sorted.
        if self.sight.dialect == Dialect::Postgres {
            let order: String = sorts.iter().enumerate().map(|(n, s)| format!("q.n{n}, q.s{n}{}, ", way(s))).collect();
            sql.push(" ORDER BY ").push(&order).push("q.pk").push(self.order().0);
        }
        sql.push(" LIMIT ").arg(limit);
        sql
    }

    fn order_by(&self, of: &str) -> String {
        let mut out = String::new();
        for (n, sort) in self.by_values().iter().enumerate() {
            out.push_str(&format!("({of}.s{n} IS NULL), {of}.s{n}{}, ", way(sort)));
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

    pub fn count(&self) -> Sql {
        let mut sql = Sql::new(self.sight.dialect);
        sql.push("SELECT count(*)");
        self.source(&mut sql);
        sql
    }

    pub fn snapshot_column(&self) -> usize {
        8 + if self.is_direct() { 0 } else { self.by_values().len() }
    }

    /// The sort values of a row of [`Query::page`].
    pub fn values(&self, row: &Row) -> Result<Vec<SortValue>> {
        let mut out = Vec::new();
        for (n, sort) in self.by_values().iter().enumerate() {
            out.push(match sort.by {
                SortBy::Range(_) | SortBy::Type => row.opt_int(8 + n)?.map_or(SortValue::Missing, SortValue::Int),
                _ => row.opt_text(8 + n)?.map_or(SortValue::Missing, SortValue::Text),
            });
        }
        Ok(out)
    }
}

fn way(sort: &Sort) -> &'static str {
    if sort.descending { " DESC" } else { " ASC" }
}

impl Sql {
    /// What the version `pk` is sorted by: of several values the lowest when ascending, the highest when descending. Its row is `v`,
    /// unless the list is narrow: then an index tells.
    fn value(&mut self, by: &SortBy, descending: bool, pk: &str, is_narrow: bool) -> &mut Self {
        match by {
            SortBy::Updated => self.push(pk),
            SortBy::Id | SortBy::Type => {
                let of = |row: &str| match by {
                    SortBy::Id => format!("{row}.id"),
                    _ => format!("CAST({row}.rtype AS BIGINT)"),
                };
                if !is_narrow {
                    return self.push(&of("v"));
                }
                let index = self.dialect.by_index();
                self.push(&format!("(SELECT {} FROM version i{index} WHERE i.pk = {pk})", of("i")))
            }
            SortBy::Range(keys) => {
                let value = if descending { "max(x.hi)" } else { "min(x.lo)" };
                self.push(&format!("(SELECT {value} FROM idx_range x WHERE x.key")).any(keys);
                self.push(&format!(" AND x.pk = {pk})"))
            }
            SortBy::Text(keys) => {
                let value = if descending { "max(x.text)" } else { "min(x.text)" };
                self.push(&format!("(SELECT {value} FROM idx_text x WHERE x.key")).any(keys);
                self.push(&format!(" AND x.pk = {pk})"))
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
