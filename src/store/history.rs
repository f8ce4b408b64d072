//! History of an instance, a type, or everything: versions newest first, deletions as rows.
//!
//! Source: <https://hl7.org/fhir/R4/http.html#history>.

use super::conn::Sql;
use super::dialect::Dialect;
use super::page::Place;
use super::read::{COLUMNS, version};
use super::{Cursor, Page, Store};
use crate::access::{Limit, Sieve};
use crate::clock::Instant;
use crate::error::Result;
use crate::fhir::resource::known;
use crate::fhir::{ResourceType, Target};

/// Whose history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// `[type]/[id]/_history`.
    Instance(Target),
    /// `[type]/_history`.
    Type(ResourceType),
    /// `_history`.
    System,
}

/// A history request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryQuery {
    /// Whose.
    pub scope: Scope,
    /// Of the system's history only these types; `None`: all.
    pub types: Option<Vec<ResourceType>>,
    /// `_since`: only versions of this instant (microseconds) or later.
    pub since: Option<i64>,
    /// `_at`: only versions that were current at some time in these bounds (microseconds, inclusive).
    pub at: Option<(i64, i64)>,
    /// Rows a page; 0 asks for the count only.
    pub count: usize,
    /// Whether to count all.
    pub total: bool,
    /// The page to continue.
    pub from: Option<Cursor>,
}

impl Store {
    /// Versions newest first. Each is judged by the limit for itself, and of a narrowed token by the newest one as well.
    ///
    /// On PostgreSQL the history of a type, of everything, or since a time ends before the oldest write that still runs:
    /// who asks again from the last version seen misses none.
    ///
    /// # Errors
    /// `Invalid` or `Gone` for a cursor that does not hold.
    pub async fn history(&self, limit: &Limit, query: &HistoryQuery) -> Result<Page> {
        let shared = &self.inner.shared;
        let who = match limit {
            Limit::Everything => "*".to_owned(),
            Limit::Directory => String::new(),
            Limit::Organization { org, hooks, sieve, .. } => format!("{org}{hooks:?}{}", Sieve::print(sieve.as_ref())),
        };
        let asked = HistoryQuery { from: None, ..query.clone() };
        let print = shared.keys.hash(&["history", &who, &format!("{asked:?}")]);
        let now = Instant::now().0;
        let place = query.from.as_ref().map(|c| Place::of(c, print, now, shared.settings.page_seconds)).transpose()?;
        let mut reading = self.reading().await?;
        // A poller's mark must not pass a write that is still under way; one resource's history is in order by itself.
        let is_polled = query.since.is_some() || !matches!(query.scope, Scope::Instance(_));
        let snapshot = match (&place, shared.dialect) {
            (Some(place), _) => Some(place.snapshot.clone()),
            (None, Dialect::Sqlite) => Some(shared.snapshot().to_string()),
            (None, Dialect::Postgres) if is_polled => Some(reading.conn()?.settled().await?),
            (None, Dialect::Postgres) => None,
        };
        let mut page = Page { total: place.as_ref().and_then(|p| p.total), ..Page::default() };
        let mut seen = snapshot.clone();
        if query.count > 0 {
            let sql = self.history_sql(limit, query, snapshot.as_deref(), place.as_ref().map(|p| p.pk), false);
            let rows = reading.conn()?.fetch(sql).await?;
            if seen.is_none() {
                seen = rows.first().map(|row| row.opt_text(8)).transpose()?.flatten();
            }
            for row in rows.iter().take(query.count) {
                page.rows.push(version(row)?);
            }
            let has_more = rows.len() > query.count;
            if place.is_none() && !has_more {
                page.total = Some(page.rows.len() as u64);
            }
            if has_more && let (Some(last), Some(snapshot)) = (page.rows.last(), &seen) {
                let made = place.as_ref().map_or(now, |p| p.made);
                page.next = Some(
                    Place {
                        query: print,
                        made,
                        snapshot: snapshot.clone(),
                        total: None,
                        after: Vec::new(),
                        pk: last.pk,
                    }
                    .to_cursor(),
                );
            }
        }
        if (query.total || query.count == 0) && page.total.is_none() {
            let sql = self.history_sql(limit, query, seen.as_deref(), None, true);
            let rows = reading.conn()?.fetch(sql).await?;
            let total = rows.first().map_or(Ok(0), |row| row.int(0))?;
            page.total = u64::try_from(total).ok();
        }
        Ok(page)
    }

    fn history_sql(
        &self,
        limit: &Limit,
        query: &HistoryQuery,
        snapshot: Option<&str>,
        after: Option<i64>,
        is_count: bool,
    ) -> Sql {
        let shared = &self.inner.shared;
        let mut sql = Sql::new(shared.dialect);
        if is_count {
            sql.push("SELECT count(*)");
        } else {
            sql.push("SELECT ").push(COLUMNS);
            if shared.dialect == Dialect::Postgres {
                sql.push(", (SELECT pg_current_snapshot()::text)");
            }
        }
        sql.push(" FROM version v WHERE ");
        match &query.scope {
            Scope::Instance(target) => {
                let key = shared.keys.target(target.rtype.as_str(), &target.id);
                sql.push("v.self_key = ").arg(key).push(" AND v.id = ").arg(target.id.as_str());
            }
            Scope::Type(rtype) => {
                sql.types(&[*rtype], "v");
            }
            Scope::System => match &query.types {
                Some(types) => {
                    sql.types(types, "+v");
                }
                // The audit is read by nobody who does not name it.
                None => {
                    sql.push(&format!("+v.rtype <> {}", known("AuditEvent").0));
                }
            },
        }
        if let Some(since) = query.since {
            sql.push(" AND v.pk >= ").arg(since);
        }
        if let Some((from, to)) = query.at {
            sql.push(" AND v.pk <= ").arg(to).push(" AND v.ended > ").arg(from);
        }
        if let Some(after) = after {
            sql.push(" AND v.pk < ").arg(after);
        }
        match (shared.dialect, snapshot) {
            (Dialect::Sqlite, Some(pk)) => {
                sql.push(" AND v.pk <= ").arg(pk.parse::<i64>().unwrap_or(0));
            }
            (Dialect::Postgres, Some(snapshot)) => {
                let at = sql.snapshot(snapshot);
                sql.push(&format!(" AND pg_visible_in_snapshot(v.xid, {at})"));
            }
            (_, None) => {}
        }
        sql.limit_aged(shared.keys, limit, "v");
        if !is_count {
            // Of one resource, numbers and times have the same order, and the index is by number.
            let order = if matches!(query.scope, Scope::Instance(_)) { "v.version" } else { "v.pk" };
            sql.push(&format!(" ORDER BY {order} DESC LIMIT "));
            sql.arg(i64::try_from(query.count).unwrap_or(i64::MAX - 1) + 1);
        }
        sql
    }
}
