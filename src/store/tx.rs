//! The open write transaction of one `Work`: reads see what was put before; puts are buffered and written in a handful
//! of multi-row statements.

use super::audit::Disclosed;
use super::buffer::{AuditRow, Buffer, Mark};
use super::conn::{Arg, Conn, Row, Sql, again};
use super::db::Shared;
use super::dialect::{Dialect, postgres, sqlite};
use super::{Audit, Cursor, Method, Page, Share, Version, loss, read, search};
use crate::access::Limit;
use crate::clock::Instant;
use crate::error::{Error, Result};
use crate::fhir::Target;
use crate::fhir::meta::Stampable;
use crate::search::{Keys, Plan, Rows};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// One version to write.
#[derive(Debug)]
pub struct Put<'a> {
    /// Which resource.
    pub target: Target,
    /// What makes the version.
    pub method: Method,
    /// The resource; `None` for `Delete`.
    pub body: Option<&'a Stampable>,
    /// What it is found by; empty for `Delete`.
    pub rows: Arc<Rows>,
    /// The version it replaces, as read in this transaction (a deletion too); `None` for the first.
    pub before: Option<&'a Version>,
    /// Owner: `Keys::org` of the Organization's logical id; 0 for directory types.
    pub org: i64,
    /// [`Version::labels`]; of a deletion those of `before` count.
    pub labels: i64,
}

/// A resource that is there.
#[derive(Debug, Clone, Copy)]
pub struct Present {
    /// [`Version::labels`].
    pub labels: i64,
    /// The number of its current version.
    pub version: i64,
}

/// The open write transaction of one `Work`.
pub struct Tx {
    pub(super) shared: Arc<Shared>,
    conn: Option<Conn>,
    pub(super) buffer: Buffer,
    /// The last stamp given out.
    pub(super) last: i64,
    /// The last stamp that may be given out.
    end: i64,
    /// Versions of this work: first and last pk, how many.
    made: Option<(i64, i64)>,
    audit: Option<Audit>,
    /// What this work opened to other organisations, by organisation and handoff: for its audit row.
    pub(super) disclosed: BTreeMap<(i64, String), BTreeSet<Target>>,
    /// Where this work's part of the buffer begins.
    mark: Mark,
    /// Works before this one in the same transaction (SQLite).
    before: usize,
    /// This work has written, or may have: its savepoint is open, or it is the first of the transaction.
    has_written: bool,
    /// A statement of this work failed: whatever the work made of it, it cannot be kept.
    is_broken: bool,
    /// Rows of earlier works of the group were lost.
    is_spoiled: bool,
    /// Hashes of what this transaction replaced.
    pub(super) touched: Vec<i64>,
    /// Which search parameters are in force (PostgreSQL).
    generation: i64,
}

impl Tx {
    pub(super) fn new(shared: Arc<Shared>, conn: Conn, last: i64) -> Self {
        Self {
            shared,
            conn: Some(conn),
            buffer: Buffer::default(),
            last,
            end: i64::MAX,
            made: None,
            audit: None,
            disclosed: BTreeMap::new(),
            mark: Mark::default(),
            before: 0,
            has_written: false,
            is_broken: false,
            is_spoiled: false,
            touched: Vec::new(),
            generation: 0,
        }
    }

    /// The database's hash keys.
    #[must_use]
    pub fn keys(&self) -> Keys {
        self.shared.keys
    }

    /// `version.org` and `share.org` of an Organization's logical id.
    #[must_use]
    pub fn org_key(&self, id: &str) -> i64 {
        self.shared.keys.org(id)
    }

    /// Which search parameters are in force for what this transaction writes: see `store/parameter.rs`.
    #[must_use]
    pub fn generation(&self) -> i64 {
        match self.shared.dialect {
            Dialect::Sqlite => self.shared.generation.load(Ordering::Acquire),
            Dialect::Postgres => self.generation,
        }
    }

    /// On SQLite it holds for all works from here on, also if this one is undone: then they look for nothing.
    pub(super) fn set_generation(&mut self, generation: i64) {
        self.generation = generation;
        if self.shared.dialect == Dialect::Sqlite {
            self.shared.generation.store(generation, Ordering::Release);
        }
    }

    /// The current version (a deletion too); `None` when unknown or not visible. Sees what was put before.
    pub async fn get(&mut self, limit: &Limit, target: &Target) -> Result<Option<Version>> {
        Ok(self.get_many(limit, std::slice::from_ref(target)).await?.pop().flatten())
    }

    /// The same for many, in one statement; answers in the order asked.
    pub async fn get_many(&mut self, limit: &Limit, targets: &[Target]) -> Result<Vec<Option<Version>>> {
        let keys = self.shared.keys;
        // Who sees a waiting version only by a share row has to ask the table.
        let is_unsure = |v: &Version| read::may_see(keys, limit, v).is_none();
        if targets.iter().filter_map(|t| self.waiting(t)).any(is_unsure) {
            self.flush().await?;
        }
        let mut out: Vec<Option<Version>> = targets.iter().map(|t| self.waiting(t).cloned()).collect();
        let asked: Vec<Target> =
            targets.iter().zip(&out).filter(|(_, found)| found.is_none()).map(|(t, _)| t.clone()).collect();
        for slot in &mut out {
            if slot.as_ref().is_some_and(|v| read::may_see(keys, limit, v) != Some(true)) {
                *slot = None;
            }
        }
        if asked.is_empty() {
            return Ok(out);
        }
        let sql = read::current(&self.shared, limit, &asked);
        let found = read::by_target(&self.fetch_sql(sql).await?)?;
        for (target, slot) in targets.iter().zip(&mut out) {
            if slot.is_none() {
                *slot = found.get(target).cloned();
            }
        }
        Ok(out)
    }

    /// Those of these that are there, not deleted, and visible; in one statement. Sees what was put before.
    pub async fn present(&mut self, limit: &Limit, targets: &[Target]) -> Result<HashMap<Target, Present>> {
        let keys = self.shared.keys;
        if targets.iter().filter_map(|t| self.waiting(t)).any(|v| read::may_see(keys, limit, v).is_none()) {
            self.flush().await?;
        }
        let mut found = HashMap::new();
        let mut asked = Vec::new();
        for target in targets {
            match self.waiting(target) {
                Some(v) if !v.is_deleted() && read::may_see(keys, limit, v) == Some(true) => {
                    found.insert(target.clone(), Present { labels: v.labels, version: v.version });
                }
                Some(_) => {}
                None => asked.push(target.clone()),
            }
        }
        if !asked.is_empty() {
            let sql = read::present(&self.shared, limit, &asked);
            for row in self.fetch_sql(sql).await? {
                let here = Present { labels: row.int(2)?, version: row.int(3)? };
                found.insert(read::target(&row, 0, 1)?, here);
            }
        }
        Ok(found)
    }

    /// Current resources that the caller may see and that hold one of these keys of references, with the key; at most
    /// `max` rows. Sees what was put before; writes it out first.
    pub async fn referring(&mut self, limit: &Limit, keys: &[i64], max: usize) -> Result<Vec<(i64, Target)>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        self.flush().await?;
        let rows = self.fetch_sql(read::referring(&self.shared, limit, keys, max)).await?;
        rows.iter().map(|row| Ok((row.int(0)?, read::target(row, 1, 2)?))).collect()
    }

    fn waiting(&self, target: &Target) -> Option<&Version> {
        let key = self.shared.keys.target(target.rtype.as_str(), &target.id);
        self.buffer.get(key).filter(|v| v.target == *target)
    }

    /// A search that sees what was put before. Writes the buffer out first.
    pub async fn search(&mut self, limit: &Limit, plan: &Plan, from: Option<&Cursor>) -> Result<Page> {
        self.flush().await?;
        let shared = Arc::clone(&self.shared);
        let conn = self.conn()?;
        let page = search::run(conn, &shared, limit, plan, from, search::Seen::Writing).await;
        self.is_broken |= page.as_ref().is_err_and(|e| e.source.is_some());
        page
    }

    /// Per criterion the current, visible matches, at most `count` of its plan and at least two: enough to tell none, one and
    /// many. Criteria of one exact key each are answered together in one statement and without writing the buffer out.
    pub async fn find(&mut self, limit: &Limit, criteria: &[Plan]) -> Result<Vec<Vec<Target>>> {
        let mut out = vec![Vec::new(); criteria.len()];
        let mut simple = Vec::new();
        let mut others = Vec::new();
        for (n, plan) in criteria.iter().enumerate() {
            match search::single_key(plan).filter(|_| plan.count <= 2) {
                Some((rtype, key)) => simple.push((n, rtype, key)),
                None => others.push((n, plan)),
            }
        }
        if !simple.is_empty() {
            let keys = self.shared.keys;
            let waits = |key: i64| self.buffer.holding(key);
            if simple.iter().any(|s| waits(s.2).any(|v| read::may_see(keys, limit, v).is_none())) {
                self.flush().await?;
            }
            let rows = self.fetch_sql(search::matches(&self.shared, limit, &simple)).await?;
            let mut found = Vec::with_capacity(rows.len());
            for row in &rows {
                found.push((row.int(0)?, row.int(1)?, read::target(row, 2, 3)?));
            }
            if found.iter().any(|(_, self_key, _)| self.buffer.replaces(*self_key)) {
                // A match that is replaced here may hide another: let the database judge.
                self.flush().await?;
                return Box::pin(self.find(limit, criteria)).await;
            }
            for (n, rtype, key) in simple {
                let Some(slot) = out.get_mut(n) else { continue };
                slot.extend(found.iter().filter(|f| f.0 == key && f.2.rtype == rtype).map(|f| f.2.clone()));
                let seen = |v: &&Version| v.target.rtype == rtype && read::may_see(keys, limit, v) == Some(true);
                slot.extend(self.buffer.holding(key).filter(seen).map(|v| v.target.clone()));
                slot.truncate(2);
            }
        }
        for (n, plan) in others {
            let plan = Plan { count: plan.count.max(2), total: false, ..plan.clone() };
            let page = self.search(limit, &plan, None).await?;
            if let Some(slot) = out.get_mut(n) {
                slot.extend(page.rows.into_iter().map(|v| v.target));
            }
        }
        Ok(out)
    }

    /// Adds a version: stamps its body at once and buffers it. The same resource may be put twice; both versions stay.
    ///
    /// # Errors
    /// `Fault` when `before` is not the current version as this transaction knows it.
    pub async fn put(&mut self, put: Put<'_>) -> Result<Version> {
        let pk = self.stamp()?;
        if put.before.is_some_and(|before| before.pk >= pk) {
            // Its writer took its stamps after this transaction did and was faster: newer stamps are needed.
            return Err(again("a later stamp is on the version to be replaced", None));
        }
        let version = put.before.map_or(1, |before| before.version + 1);
        let body = put.body.map(|b| b.stamp(version, Instant(pk))).unwrap_or_default();
        let labels = match (put.method, put.before) {
            (Method::Delete, Some(before)) => before.labels,
            // The directory is everybody's.
            _ if put.org == 0 => 0,
            _ => put.labels,
        };
        let made = Version { pk, target: put.target, version, method: put.method, org: put.org, body, labels };
        self.keep(made.clone(), put.before, put.rows)?;
        Ok(made)
    }

    /// Adds an AuditEvent, in the form that is stored ([`super::audit::said`]); answers its `pk`. Nobody reads it in this
    /// transaction.
    ///
    /// # Errors
    /// As [`Tx::put`].
    pub fn put_event(&mut self, target: Target, body: bytes::Bytes, rows: Arc<Rows>, org: i64) -> Result<i64> {
        let pk = self.stamp()?;
        self.keep(Version { pk, target, version: 1, method: Method::Post, org, body, labels: 0 }, None, rows)?;
        Ok(pk)
    }

    fn keep(&mut self, made: Version, before: Option<&Version>, rows: Arc<Rows>) -> Result<()> {
        let self_key = self.shared.keys.target(made.target.rtype.as_str(), &made.target.id);
        let pk = made.pk;
        self.buffer.put(made, self_key, before, rows)?;
        self.touched.push(self_key);
        self.made = Some((self.made.map_or(pk, |m| m.0), pk));
        Ok(())
    }

    fn stamp(&mut self) -> Result<i64> {
        if self.last >= self.end {
            let used = self.made.map_or(64, |m| m.1 - m.0 + 64);
            return Err(again("the work writes more than it said", usize::try_from(used * 4).ok()));
        }
        self.last += 1;
        Ok(self.last)
    }

    /// Lets an organisation see a resource until a time; a second call for the same handoff moves the time.
    pub async fn share(&mut self, share: Share) -> Result<()> {
        self.disclose(share.org, &share.handoff, [share.target.clone()]);
        self.buffer.shares.push(share);
        Ok(())
    }

    /// The write's audit row; one a transaction, the last call wins.
    pub fn audit(&mut self, audit: Audit) {
        self.audit = Some(audit);
    }

    /// Audit rows that belong to no write.
    pub(super) fn record(&mut self, rows: &[Audit]) -> Result<()> {
        for audit in rows {
            let pk = self.stamp()?;
            self.buffer.audits.push(AuditRow { pk, audit: audit.clone(), versions: (0, 0) });
        }
        Ok(())
    }

    /// Serialises with others on more keys than `Work::locks` knew (PostgreSQL; a lost race of order is retried).
    pub async fn lock(&mut self, keys: &[i64]) -> Result<()> {
        if keys.is_empty() {
            return Ok(());
        }
        match self.conn()? {
            Conn::Sqlite(_) | Conn::Writer(_) => Ok(()),
            Conn::Postgres(conn) => {
                let done = loss::within(conn.patience, postgres::lock(conn.raw(), keys)).await;
                let done = conn.judge(done);
                self.is_broken |= done.is_err();
                done
            }
        }
    }

    /// SQL that both databases take; sees what was put before.
    pub(super) async fn fetch(&mut self, text: &str, args: Vec<Arg>) -> Result<Vec<Row>> {
        self.flush().await?;
        self.fetch_sql(Sql::of(self.shared.dialect, text, args)).await
    }

    /// A statement that changes rows of small tables; what was put before is written first.
    pub(super) async fn execute(&mut self, text: &str, args: Vec<Arg>) -> Result<u64> {
        self.flush().await?;
        self.open_savepoint().await?;
        let sql = Sql::of(self.shared.dialect, text, args);
        let done = self.conn()?.execute(sql).await;
        self.is_broken |= done.is_err();
        done
    }

    pub(super) async fn fetch_sql(&mut self, sql: Sql) -> Result<Vec<Row>> {
        let rows = self.conn()?.fetch(sql).await;
        self.is_broken |= rows.is_err();
        rows
    }

    fn conn(&mut self) -> Result<&mut Conn> {
        self.conn.as_mut().ok_or_else(|| Error::fault("a transaction has its connection until its end"))
    }

    /// Writes out what waits.
    pub(super) async fn flush(&mut self) -> Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let done = self.flush_inner().await;
        self.is_broken |= done.is_err();
        done
    }

    async fn flush_inner(&mut self) -> Result<()> {
        let keys = self.shared.keys;
        if self.shared.dialect == Dialect::Sqlite && self.before > 0 && !self.has_written {
            // What earlier works left must not fall with this one: it goes before the savepoint.
            let own = self.buffer.split_at(self.mark);
            let earlier = std::mem::replace(&mut self.buffer, own);
            let Some(Conn::Writer(conn)) = self.conn.as_mut() else { return Ok(()) };
            let mut earlier = earlier;
            self.is_spoiled = true;
            sqlite::flush(conn, &mut earlier, keys)?;
            self.is_spoiled = false;
            self.mark = Mark::default();
        }
        if self.buffer.is_empty() {
            return Ok(());
        }
        self.open_savepoint().await?;
        match self.conn.as_mut() {
            Some(Conn::Writer(conn)) => sqlite::flush(conn, &mut self.buffer, keys),
            Some(Conn::Sqlite(_)) => Err(Error::fault("SQLite's readers do not write")),
            Some(Conn::Postgres(conn)) => {
                let done = loss::within(conn.patience, postgres::flush(conn.raw(), &mut self.buffer, keys)).await;
                conn.judge(done)
            }
            None => Err(Error::fault("a transaction has its connection until its end")),
        }
    }

    /// From here on this work's statements can be undone without those of its neighbours.
    async fn open_savepoint(&mut self) -> Result<()> {
        if self.has_written {
            return Ok(());
        }
        if self.shared.dialect == Dialect::Sqlite && self.before > 0 {
            self.statement("SAVEPOINT work").await?;
        }
        self.has_written = true;
        Ok(())
    }

    async fn statement(&mut self, text: &'static str) -> Result<()> {
        let sql = Sql::of(self.shared.dialect, text, Vec::new());
        self.conn()?.execute(sql).await.map(|_| ())
    }

    /// The end of a work: its audit row; on PostgreSQL everything is written.
    pub(super) async fn finish(&mut self) -> Result<()> {
        if let Some(mut audit) = self.audit.take() {
            let row = |((org, handoff), what): ((i64, String), BTreeSet<Target>)| {
                Disclosed(org, handoff, what.iter().map(ToString::to_string).collect())
            };
            audit.detail.disclosed = std::mem::take(&mut self.disclosed).into_iter().map(row).collect();
            let pk = self.stamp()?;
            self.buffer.audits.push(AuditRow { pk, audit, versions: self.made.unwrap_or((0, 0)) });
        }
        if self.shared.dialect == Dialect::Postgres {
            self.flush().await?;
        }
        if self.is_broken {
            return Err(Error::fault("a statement of this write failed and the write went on"));
        }
        Ok(())
    }
}

/// What the SQLite writer does with its one transaction after another.
impl Tx {
    pub(super) async fn begin_group(&mut self) -> Result<()> {
        self.before = 0;
        self.is_spoiled = false;
        self.touched.clear();
        self.statement("BEGIN IMMEDIATE").await
    }

    /// `end`: the last stamp reserved (PostgreSQL).
    pub(super) fn begin_work(&mut self, end: i64) {
        if self.shared.dialect == Dialect::Sqlite {
            self.last = self.last.max(Instant::now().0 - 1);
            self.end = i64::MAX;
        } else {
            self.end = end;
        }
        self.made = None;
        self.audit = None;
        self.disclosed.clear();
        self.mark = self.buffer.mark();
        self.has_written = false;
        self.is_broken = false;
    }

    /// The work is part of the group.
    pub(super) async fn keep_work(&mut self) -> Result<()> {
        if self.has_written && self.before > 0 {
            self.statement("RELEASE work").await?;
        }
        self.before += 1;
        Ok(())
    }

    /// Takes the work out of the group.
    ///
    /// # Errors
    /// When that is not possible: the whole group must run again.
    pub(super) async fn undo_work(&mut self) -> Result<()> {
        if self.is_spoiled {
            return Err(Error::fault("the rows of earlier works could not be written"));
        }
        if !self.has_written {
            self.buffer.back_to(self.mark);
            return Ok(());
        }
        self.buffer.clear();
        if self.before > 0 {
            self.statement("ROLLBACK TO work").await?;
            return self.statement("RELEASE work").await;
        }
        self.statement("ROLLBACK").await?;
        self.statement("BEGIN IMMEDIATE").await
    }

    /// Writes the group out; afterwards it is on disk.
    pub(super) async fn commit_group(&mut self) -> Result<()> {
        self.begin_flush();
        self.flush().await?;
        self.statement("COMMIT").await?;
        self.shared.committed.store(self.last, Ordering::Release);
        self.shared.cache.forget(&self.touched);
        Ok(())
    }

    /// The rest belongs to all works: no savepoint.
    fn begin_flush(&mut self) {
        self.before = 0;
        self.has_written = true;
    }

    /// After a failure: nothing of the group stays.
    pub(super) async fn abandon_group(&mut self) {
        self.buffer.clear();
        self.statement("ROLLBACK").await.ok(); // SQLite may have rolled back by itself
    }
}

/// PostgreSQL: one transaction a work.
impl Tx {
    pub(super) async fn commit(&mut self) -> Result<()> {
        self.statement("COMMIT").await
    }

    /// `pk` of a version that it made, if it made any.
    pub(super) fn a_version(&self) -> Option<i64> {
        self.made.map(|made| made.0)
    }

    /// Undoes everything; a connection that does not answer is not given to others.
    pub(super) async fn roll_back(mut self) {
        let is_lost = matches!(&self.conn, Some(Conn::Postgres(conn)) if conn.is_lost);
        if !is_lost
            && self.statement("ROLLBACK").await.is_err()
            && let Some(Conn::Postgres(conn)) = self.conn.as_mut()
        {
            conn.discard();
        }
    }
}
