//! Reads of known resources, and how a row becomes a [`Version`].

use super::audit::said;
use super::conn::{Row, Sql};
use super::db::Shared;
use super::{Method, Store, Version};
use crate::access::limit::DIRECTORY;
use crate::access::{Hooks, Limit, Sieve};
use crate::error::{Error, Result};
use crate::fhir::{ResourceType, Target};
use crate::search::Keys;
use std::collections::HashMap;

/// Columns of a version `v`, in the order [`version`] reads them.
pub(super) const COLUMNS: &str = "v.pk, v.rtype, v.id, v.version, v.method, v.org, v.body, v.labels";

impl Store {
    /// The current version (a deletion too); `None` when unknown or not visible.
    pub async fn get(&self, limit: &Limit, target: &Target) -> Result<Option<Version>> {
        let shared = &self.inner.shared;
        let key = shared.keys.target(target.rtype.as_str(), &target.id);
        if let Some(version) = shared.cache.get(key)
            && version.target == *target
            && may_see(shared.keys, limit, &version) == Some(true)
        {
            return Ok(Some(version));
        }
        let epoch = shared.cache.epoch(key);
        let mut reading = self.reading().await?;
        let rows = reading.conn()?.fetch(current(shared, limit, std::slice::from_ref(target))).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let found = version(row)?;
        if found.target != *target {
            return Ok(None);
        }
        shared.cache.fill(key, epoch, &found);
        Ok(Some(found))
    }

    /// One version by number.
    pub async fn get_version(&self, limit: &Limit, target: &Target, number: i64) -> Result<Option<Version>> {
        let shared = &self.inner.shared;
        let mut sql = Sql::new(shared.dialect);
        sql.push("SELECT ").push(COLUMNS).push(" FROM version v WHERE v.self_key = ");
        sql.arg(shared.keys.target(target.rtype.as_str(), &target.id)).push(" AND v.version = ").arg(number);
        sql.limit_aged(shared.keys, limit, "v");
        let rows = self.reading().await?.conn()?.fetch(sql).await?;
        let found = rows.first().map(version).transpose()?;
        Ok(found.filter(|v| v.target == *target))
    }

    /// Current versions of many (for `_include`), in the order asked; `None` where unknown or not visible.
    pub async fn get_many(&self, limit: &Limit, targets: &[Target]) -> Result<Vec<Option<Version>>> {
        if targets.is_empty() {
            return Ok(Vec::new());
        }
        let sql = current(&self.inner.shared, limit, targets);
        let found = by_target(&self.reading().await?.conn()?.fetch(sql).await?)?;
        Ok(targets.iter().map(|t| found.get(t).cloned()).collect())
    }

    /// Current resources of `rtype` that hold one of `keys` (for `_revinclude`, see `Registry::reference_keys`), newest
    /// first, at most `max`.
    pub async fn referring(
        &self,
        limit: &Limit,
        rtype: ResourceType,
        keys: &[i64],
        max: usize,
    ) -> Result<Vec<Version>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let shared = &self.inner.shared;
        let mut sql = Sql::new(shared.dialect);
        sql.push("SELECT ").push(COLUMNS).push(" FROM (SELECT DISTINCT x.pk FROM idx x WHERE x.key").any(keys);
        sql.push(") d CROSS JOIN version v WHERE v.pk = d.pk AND v.ended = 9223372036854775807 AND v.rtype = ");
        sql.arg(i64::from(rtype.0)).limit(shared.keys, limit, "v");
        sql.push(" ORDER BY v.pk DESC LIMIT ").arg(i64::try_from(max).unwrap_or(i64::MAX));
        self.reading().await?.conn()?.fetch(sql).await?.iter().map(version).collect()
    }
}

impl Store {
    /// Current resources that are known by one of these canonicals (numbers of [`Keys::canonical`]), newest first, at most
    /// `max`.
    pub async fn known_by(&self, limit: &Limit, canonicals: &[i64], max: usize) -> Result<Vec<Version>> {
        if canonicals.is_empty() {
            return Ok(Vec::new());
        }
        let sql = known_by(&self.inner.shared, limit, canonicals, max);
        self.reading().await?.conn()?.fetch(sql).await?.iter().map(version).collect()
    }
}

/// See [`Store::known_by`].
pub(super) fn known_by(shared: &Shared, limit: &Limit, canonicals: &[i64], max: usize) -> Sql {
    let mut sql = Sql::new(shared.dialect);
    sql.push("SELECT ").push(COLUMNS).push(" FROM (SELECT DISTINCT x.pk FROM idx_range x WHERE x.key = ");
    sql.arg(shared.keys.canonicals()).push(" AND x.lo").any(canonicals);
    sql.push(") d CROSS JOIN version v WHERE v.pk = d.pk AND v.ended = 9223372036854775807 AND v.method <> 3");
    sql.limit(shared.keys, limit, "v").push(" ORDER BY v.pk DESC LIMIT ");
    sql.arg(i64::try_from(max).unwrap_or(i64::MAX));
    sql
}

/// Whether a caller may see a version; `None`: the database knows, by share rows and search rows.
pub(super) fn may_see(keys: Keys, limit: &Limit, version: &Version) -> Option<bool> {
    match limit {
        Limit::Everything => Some(true),
        Limit::Directory => Some(version.org == 0),
        Limit::Organization { sieve, .. } if version.org == 0 => Some(Sieve::clears(sieve.as_ref(), version.labels)),
        Limit::Organization { sieve, .. } if !Sieve::clears(sieve.as_ref(), version.labels) => {
            if Sieve::may_lift(sieve.as_ref()) { None } else { Some(false) }
        }
        Limit::Organization { sieve: Some(sieve), .. } if !sieve.layers.is_empty() => None,
        Limit::Organization { org, hooks, .. } => {
            let is_seen = match hooks {
                Hooks::None => false,
                Hooks::Of(client) => keys.hooks(client, org) == version.org,
                Hooks::All => {
                    let rtype = version.target.rtype.as_str();
                    rtype == "Subscription" || DIRECTORY.contains(&rtype)
                }
            };
            (is_seen || keys.org(org) == version.org).then_some(true)
        }
    }
}

/// Current versions of these.
pub(super) fn current(shared: &Shared, limit: &Limit, targets: &[Target]) -> Sql {
    let keys: Vec<i64> = targets.iter().map(|t| shared.keys.target(t.rtype.as_str(), &t.id)).collect();
    let mut sql = Sql::new(shared.dialect);
    sql.push("SELECT ").push(COLUMNS).push(" FROM version v WHERE v.self_key").any(&keys);
    // The newest by number, not by `ended`: one seek however long the history is.
    sql.push(" AND v.version = (SELECT max(m.version) FROM version m WHERE m.self_key = v.self_key)");
    sql.limit(shared.keys, limit, "v");
    sql
}

/// Type, id and labels of those that are there and not deleted.
pub(super) fn present(shared: &Shared, limit: &Limit, targets: &[Target]) -> Sql {
    let keys: Vec<i64> = targets.iter().map(|t| shared.keys.target(t.rtype.as_str(), &t.id)).collect();
    let mut sql = Sql::new(shared.dialect);
    sql.push("SELECT v.rtype, v.id, v.labels, v.version FROM version v WHERE v.self_key").any(&keys);
    sql.push(" AND v.version = (SELECT max(m.version) FROM version m WHERE m.self_key = v.self_key) AND v.method <> 3");
    sql.limit(shared.keys, limit, "v");
    sql
}

/// Key, type and id of current versions that hold one of these keys.
pub(super) fn referring(shared: &Shared, limit: &Limit, keys: &[i64], max: usize) -> Sql {
    let mut sql = Sql::new(shared.dialect);
    sql.push("SELECT x.key, v.rtype, v.id FROM idx x CROSS JOIN version v WHERE x.key").any(keys);
    sql.push(" AND v.pk = x.pk AND v.ended = 9223372036854775807").limit(shared.keys, limit, "v");
    // Unordered: an order by pk would tempt a planner to walk all versions.
    sql.push(" LIMIT ").arg(i64::try_from(max).unwrap_or(i64::MAX));
    sql
}

/// Reads [`COLUMNS`].
pub(super) fn version(row: &Row) -> Result<Version> {
    let (pk, target, version) = (row.int(0)?, target(row, 1, 2)?, row.int(3)?);
    let body = said::read(row.bytes(6)?, &target, version, pk)?;
    let (method, org, labels) = (Method::of_code(row.small(4)?), row.int(5)?, row.int(7)?);
    Ok(Version { pk, target, version, method, org, body, labels })
}

/// Reads a type and an id.
pub(super) fn target(row: &Row, rtype: usize, id: usize) -> Result<Target> {
    let rtype =
        u16::try_from(row.small(rtype)?).map_err(|e| Error::fault("a stored type is one of R4's").caused_by(e))?;
    Ok(Target::new(ResourceType(rtype), row.text(id)?))
}

/// By address.
pub(super) fn by_target(rows: &[Row]) -> Result<HashMap<Target, Version>> {
    rows.iter().map(|row| version(row).map(|v| (v.target.clone(), v))).collect()
}
