//! Conditions of a plan as SQL over a version row.
//!
//! Every `EXISTS` ends in `LIMIT 1 OFFSET 0`, which keeps PostgreSQL from turning it into a join: it stays a seek for each
//! row of the walk, on both databases.

use super::conn::Sql;
use super::dialect::Dialect;
use crate::access::limit::DIRECTORY;
use crate::access::{Glass, Hooks, Layer, Limit, Sieve};
use crate::fhir::ResourceType;
use crate::fhir::resource::known;
use crate::search::plan::Link;
use crate::search::{Cond, Keys};

/// Which versions count as there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum View {
    /// The current ones.
    Current,
    /// Those that were current in a snapshot.
    At(String),
}

/// What the conditions of one query share.
#[derive(Debug, Clone, Copy)]
pub struct Sight<'a> {
    /// Which database.
    pub dialect: Dialect,
    /// The database's hash keys.
    pub keys: Keys,
    /// How far the caller sees.
    pub limit: &'a Limit,
    /// Which versions count.
    pub view: &'a View,
}

/// Where a condition finds the version it is about.
#[derive(Debug, Clone, Copy)]
pub struct At<'a> {
    /// An expression for its pk. Of a list where there is one: what the search rows say is asked before the version is read.
    pub pk: &'a str,
    /// The alias of its row.
    pub v: &'a str,
}

impl At<'static> {
    /// A version alone.
    pub const VERSION: Self = Self { pk: "v.pk", v: "v" };
    /// A version found by the list `d`.
    pub const LISTED: Self = Self { pk: "d.pk", v: "v" };
}

/// Greater than every text that starts with what it is appended to.
const LAST: char = char::MAX;

const ONE: &str = " LIMIT 1 OFFSET 0)";

impl Sql {
    /// ` AND …`: what the caller may see of the versions `v`.
    pub fn limit(&mut self, keys: Keys, limit: &Limit, v: &str) -> &mut Self {
        match limit {
            Limit::Everything => self,
            Limit::Directory => self.push(&format!(" AND {v}.org = 0")),
            Limit::Organization { org: name, hooks, now, sieve } => {
                let org = keys.org(name);
                self.push(&format!(" AND ({v}.org = 0 OR {v}.org = ")).arg(org);
                match hooks {
                    Hooks::None => {}
                    Hooks::Of(client) => {
                        self.push(&format!(" OR {v}.org = ")).arg(keys.hooks(client, name));
                    }
                    Hooks::All => {
                        self.push(" OR ").types(&administered(), &format!("+{v}"));
                    }
                }
                self.push(" OR EXISTS (SELECT 1 FROM share s WHERE s.org = ").arg(org);
                self.push(&format!(" AND s.rtype = {v}.rtype AND s.id = {v}.id AND s.until > ")).arg(now.0);
                self.push(ONE);
                for glass in sieve.iter().flat_map(|s| &s.glass).filter(|g| g.crosses) {
                    self.push(" OR ").of_patient(glass, v);
                }
                self.push(")");
                self.sieve(sieve.as_deref(), v)
            }
        }
    }

    /// The same of versions of any age: a caller who does not see all rows sees an old one only where the newest one that has a
    /// body passes as well. What has moved to another patient, to a kind that the token leaves out, or behind a label, takes its past along.
    pub fn limit_aged(&mut self, keys: Keys, limit: &Limit, v: &str) -> &mut Self {
        self.limit(keys, limit, v);
        let Limit::Organization { sieve: Some(sieve), .. } = limit else { return self };
        self.push(&format!(
            " AND ({v}.ended = 9223372036854775807 OR EXISTS (SELECT 1 FROM version n WHERE n.self_key = {v}.self_key \
             AND n.version = (SELECT max(m.version) FROM version m WHERE m.self_key = {v}.self_key AND m.method <> 3)"
        ));
        self.sieve(Some(&**sieve), "n");
        self.push(ONE).push(")")
    }

    /// ` AND …`: what the caller is cleared for, and a token lets through, of the versions `v`.
    fn sieve(&mut self, sieve: Option<&Sieve>, v: &str) -> &mut Self {
        let Some(sieve) = sieve else { return self };
        if sieve.hidden != 0 {
            self.push(&format!(" AND (({v}.labels & ")).arg(sieve.hidden).push(") = 0");
            for glass in &sieve.glass {
                self.push(&format!(" OR ({v}.labels & ")).arg(sieve.hidden & !glass.lifts).push(") = 0 AND ");
                self.of_patient(glass, v);
            }
            self.push(")");
        }
        for layer in &sieve.layers {
            self.layer(layer, v);
        }
        self
    }

    /// ` AND …`: what a token lets through of the versions `v`; the directory always.
    fn layer(&mut self, layer: &Layer, v: &str) {
        self.push(&format!(" AND ({v}.org = 0"));
        if !layer.free.is_empty() {
            let types: Vec<String> = layer.free.iter().map(|t| t.0.to_string()).collect();
            self.push(&format!(" OR +{v}.rtype IN ({})", types.join(",")));
        }
        if let Some(patient) = layer.patient {
            self.push(&format!(" OR +{v}.self_key = ")).arg(patient);
        }
        if !layer.keys.is_empty() {
            self.push(" OR ");
            self.has_key(&layer.keys, v);
        }
        for (rtype, lists) in &layer.granular {
            self.push(&format!(" OR (+{v}.rtype = {}", rtype.0));
            for keys in lists {
                self.push(" AND ");
                self.has_key(keys, v);
            }
            self.push(")");
        }
        self.push(")");
    }

    /// Whether the versions `v` are of a patient.
    fn of_patient(&mut self, glass: &Glass, v: &str) {
        self.push(&format!("(+{v}.self_key = ")).arg(glass.self_key).push(" OR ");
        self.has_key(&glass.keys, v);
        self.push(")");
    }

    fn has_key(&mut self, keys: &[i64], v: &str) {
        self.push(&format!("EXISTS (SELECT 1 FROM idx x WHERE x.pk = {v}.pk AND x.key")).any(keys).push(ONE);
    }

    /// ` AND …`: the versions `v` that the view holds.
    pub fn view(&mut self, view: &View, v: &str) -> &mut Self {
        // A deletion is a version of its type as well, and no resource any more.
        self.push(&format!(" AND {v}.method <> 3"));
        match (view, self.dialect) {
            (View::Current, _) => self.push(&format!(" AND {v}.ended = 9223372036854775807")),
            (View::At(snapshot), Dialect::Sqlite) => {
                let pk: i64 = snapshot.parse().unwrap_or(0);
                self.push(&format!(" AND {v}.pk <= ")).arg(pk).push(&format!(" AND {v}.ended > ")).arg(pk)
            }
            (View::At(snapshot), Dialect::Postgres) => {
                let at = self.snapshot(snapshot);
                self.push(&format!(
                    " AND pg_visible_in_snapshot({v}.xid, {at}) \
                      AND ({v}.ended_xid IS NULL OR NOT pg_visible_in_snapshot({v}.ended_xid, {at}))"
                ))
            }
        }
    }

    /// A snapshot of PostgreSQL as an expression that is evaluated once.
    pub fn snapshot(&mut self, snapshot: &str) -> String {
        self.args.push(snapshot.into());
        format!("(SELECT ${}::text::pg_snapshot)", self.args.len())
    }

    /// A condition on a version, which is of `types`.
    pub fn cond(&mut self, sight: Sight<'_>, cond: &Cond, at: At<'_>, types: &[ResourceType]) {
        let At { pk, v } = at;
        match cond {
            Cond::Exact(keys) if keys.is_empty() => {
                self.push("FALSE");
            }
            Cond::Exact(keys) => {
                self.push("EXISTS (SELECT 1 FROM idx x WHERE x.key").any(keys);
                self.push(&format!(" AND x.pk = {pk}")).push(ONE);
            }
            Cond::Range { .. } => {
                self.push("EXISTS (SELECT 1 FROM idx_range x WHERE ");
                self.range_bounds(cond);
                self.push(&format!(" AND x.pk = {pk}")).push(ONE);
            }
            Cond::Text { .. } => {
                self.push("EXISTS (SELECT 1 FROM idx_text x WHERE ");
                self.text_bounds(cond);
                self.push(&format!(" AND x.pk = {pk}")).push(ONE);
            }
            Cond::Present { param, present } => {
                let (before, after) = self.dialect.fact();
                self.push(&format!("({v}{before}")).arg(param.as_str()).push(after);
                self.push(if *present { ") IS NOT NULL" } else { ") IS NULL" });
            }
            Cond::Ids(ids) => {
                let keys = self_keys(sight.keys, types, ids);
                if keys.is_empty() {
                    self.push("FALSE");
                } else {
                    self.push(&format!("{v}.self_key")).any(&keys);
                }
            }
            Cond::Updated { from, to } => {
                self.push("(TRUE");
                if let Some(from) = from {
                    self.push(&format!(" AND {pk} >= ")).arg(*from);
                }
                if let Some(to) = to {
                    self.push(&format!(" AND {pk} <= ")).arg(*to);
                }
                self.push(")");
            }
            Cond::Chain { .. } => self.listed(sight, cond, at, types),
            Cond::Has { rtype, param, by, source } => {
                let (s, l, c) = (format!("{v}h"), format!("{v}l"), format!("{v}c"));
                match by {
                    Link::Id => self.push(&format!(
                        "EXISTS (SELECT 1 FROM idx {l} CROSS JOIN version {s} WHERE {l}.key = {v}.self_key + "
                    )),
                    Link::Canonical => {
                        self.push(&format!(
                            "EXISTS (SELECT 1 FROM idx_range {c} CROSS JOIN idx {l} CROSS JOIN version {s} WHERE {c}.key = "
                        ));
                        self.arg(sight.keys.canonicals());
                        self.push(&format!(" AND {c}.pk = {pk} AND {l}.key = {c}.lo + "))
                    }
                };
                self.arg(*param).push(&format!(" AND {s}.pk = {l}.pk AND {s}.rtype = {} AND ", rtype.0));
                self.cond(sight, source, At { pk: &format!("{l}.pk"), v: &s }, &[*rtype]);
                self.view(sight.view, &s).limit(sight.keys, sight.limit, &s);
                self.push(ONE);
            }
            Cond::Type(rtype) => {
                // '+': looked at row by row, never a reason for SQLite to leave the order of a walk.
                self.push(&format!("+{v}.rtype = {}", rtype.0));
            }
            Cond::Words { words, narrative } => {
                let ((before, after), query) = (self.dialect.has_words(), self.dialect.words(words, *narrative));
                self.push(before).arg(query).push(after).push(pk).push(ONE);
            }
            Cond::Near { .. } => {
                self.push("EXISTS (SELECT 1 FROM idx_range x CROSS JOIN idx_range y WHERE ");
                self.near(cond);
                self.push(&format!(" AND x.pk = {pk}")).push(ONE);
            }
            Cond::Not(inner) => {
                self.push("NOT (");
                self.cond(sight, inner, at, types);
                self.push(")");
            }
            Cond::Any(list) => self.joined(sight, list, at, types, " OR ", "FALSE"),
            Cond::All(list) => self.joined(sight, list, at, types, " AND ", "TRUE"),
        }
    }

    /// A condition whose versions are listed once ([`is_whole_set`]). IS TRUE: no join in an order of the planner's own.
    pub fn listed(&mut self, sight: Sight<'_>, cond: &Cond, at: At<'_>, types: &[ResourceType]) {
        self.push(&format!("({} IN (", at.pk));
        self.set(sight, cond, types);
        self.push(")) IS TRUE");
    }

    fn joined(&mut self, sight: Sight<'_>, list: &[Cond], at: At<'_>, types: &[ResourceType], with: &str, none: &str) {
        if list.is_empty() {
            self.push(none);
            return;
        }
        self.push("(");
        for (n, cond) in list.iter().enumerate() {
            if n > 0 {
                self.push(with);
            }
            self.cond(sight, cond, at, types);
        }
        self.push(")");
    }

    /// Bounds on a row `x` of `idx_range`.
    fn range_bounds(&mut self, cond: &Cond) {
        let Cond::Range { key, lo, hi } = cond else { return };
        self.push("x.key = ").arg(*key);
        for (column, at_least, bound) in
            [("lo", true, lo.0), ("lo", false, lo.1), ("hi", true, hi.0), ("hi", false, hi.1)]
        {
            if let Some(bound) = bound {
                self.push(&format!(" AND x.{column} {} ", if at_least { ">=" } else { "<=" })).arg(bound);
            }
        }
    }

    /// Bounds on a row `x` of `idx_text`.
    fn text_bounds(&mut self, cond: &Cond) {
        let Cond::Text { key, text, anywhere } = cond else { return };
        self.push("x.key = ").arg(*key);
        if *anywhere {
            self.push(&format!(" AND {}(x.text, ", self.dialect.position())).arg(text.as_str()).push(") > 0");
        } else {
            self.push(" AND x.text >= ").arg(text.as_str()).push(" AND x.text < ").arg(format!("{text}{LAST}"));
        }
    }

    /// Of rows `x` and `y` of `idx_range` of one version: a box of the index, and in it the exact distance.
    fn near(&mut self, cond: &Cond) {
        let Cond::Near { keys, at: [px, py, pz], chord } = cond else { return };
        self.push("x.key = ").arg(keys.0);
        for (column, at) in [("x.lo", pz), ("x.hi", px)] {
            self.push(&format!(" AND {column} >= "))
                .arg(at - chord)
                .push(&format!(" AND {column} <= "))
                .arg(at + chord);
        }
        self.push(" AND y.key = ").arg(keys.1).push(" AND y.pk = x.pk AND ");
        for (column, at) in [("x.lo", pz), ("x.hi", px), ("y.lo", py)] {
            self.push(&format!("({column} - ")).arg(*at).push(&format!(") * ({column} - ")).arg(*at);
            self.push(if column == "y.lo" { ") <= " } else { ") + " });
        }
        self.arg(chord.saturating_mul(*chord));
    }

    /// A query for the pks of versions that meet a condition for which [`is_set`] holds, or (where [`is_whole_set`] does
    /// not hold) of more than those. A pk may come twice.
    pub fn set(&mut self, sight: Sight<'_>, cond: &Cond, types: &[ResourceType]) {
        match cond {
            Cond::Exact(keys) if keys.is_empty() => {
                self.push("SELECT x.pk FROM idx x WHERE FALSE");
            }
            Cond::Exact(keys) => {
                self.push("SELECT x.pk FROM idx x WHERE x.key").any(keys);
            }
            Cond::Range { .. } => {
                self.push("SELECT x.pk FROM idx_range x WHERE ");
                self.range_bounds(cond);
            }
            Cond::Text { .. } => {
                self.push("SELECT x.pk FROM idx_text x WHERE ");
                self.text_bounds(cond);
            }
            Cond::Near { .. } => {
                self.push("SELECT x.pk FROM idx_range x CROSS JOIN idx_range y WHERE ");
                self.near(cond);
            }
            Cond::Ids(ids) => {
                let keys = self_keys(sight.keys, types, ids);
                self.push("SELECT i.pk FROM version i WHERE i.self_key").any(if keys.is_empty() {
                    &[-1]
                } else {
                    &keys
                });
            }
            Cond::Chain { param, types, by, target, .. } => {
                self.push("SELECT x.pk FROM ");
                self.targets(sight, target, types, *by);
                self.push(" CROSS JOIN idx x WHERE x.key = t.self_key + ").arg(*param);
            }
            Cond::Any(list) => {
                for (n, cond) in list.iter().enumerate() {
                    if n > 0 {
                        self.push(" UNION ALL ");
                    }
                    self.set(sight, cond, types);
                }
            }
            Cond::All(list) => {
                if let Some(one) = list.iter().filter(|c| is_set(c)).min_by_key(|c| !matches!(c, Cond::Exact(_))) {
                    self.set(sight, one, types);
                }
            }
            Cond::Words { words, narrative } => {
                let ((before, after), query) = (self.dialect.found_by_words(), self.dialect.words(words, *narrative));
                self.push(before).arg(query).push(after);
            }
            Cond::Present { .. } | Cond::Updated { .. } | Cond::Has { .. } | Cond::Not(_) | Cond::Type(_) => {}
        }
    }

    /// `(…) t`: numbers of the resources that a chain may lead to.
    fn targets(&mut self, sight: Sight<'_>, cond: &Cond, types: &[ResourceType], by: Link) {
        let (number, beside) = match by {
            Link::Id => ("v.self_key", ""),
            Link::Canonical => ("c.lo AS self_key", " CROSS JOIN idx_range c"),
        };
        self.push("(SELECT ").push(number).push(" FROM ");
        if is_set(cond) {
            self.push("(SELECT DISTINCT e.pk FROM (");
            self.set(sight, cond, types);
            self.push(") e) d CROSS JOIN version v").push(beside).push(" WHERE v.pk = d.pk AND ").types(types, "+v");
        } else {
            self.push("version v").push(beside).push(" WHERE ").types(types, "v");
        }
        if by == Link::Canonical {
            self.push(" AND c.key = ").arg(sight.keys.canonicals()).push(" AND c.pk = v.pk");
        }
        let at = if is_set(cond) { At::LISTED } else { At::VERSION };
        if is_set(cond) && is_whole_set(cond) {
            self.view(sight.view, "v").limit(sight.keys, sight.limit, "v");
        } else {
            self.push(" AND ");
            self.cond(sight, cond, at, types);
            self.view(sight.view, "v").limit(sight.keys, sight.limit, "v");
        }
        self.push(") t");
    }

    /// The versions `v` are of one of the types. `+v` keeps SQLite from walking the type's index for it.
    pub fn types(&mut self, types: &[ResourceType], v: &str) -> &mut Self {
        match types {
            [one] => self.push(&format!("{v}.rtype = {}", one.0)),
            many => {
                let list: Vec<String> = many.iter().map(|t| t.0.to_string()).collect();
                self.push(&format!("{v}.rtype IN ({})", if list.is_empty() { "-1".into() } else { list.join(",") }))
            }
        }
    }
}

/// Types of which an administrator sees all rows.
fn administered() -> Vec<ResourceType> {
    DIRECTORY.iter().map(|name| known(name)).chain([known("Subscription")]).collect()
}

/// Hashes of all these ids in all these types.
pub fn self_keys(keys: Keys, types: &[ResourceType], ids: &[String]) -> Vec<i64> {
    types.iter().flat_map(|t| ids.iter().map(|id| keys.target(t.as_str(), id))).collect()
}

/// Whether [`Sql::set`] can list versions for the condition without looking at all of a type.
pub fn is_set(cond: &Cond) -> bool {
    match cond {
        Cond::Exact(_)
        | Cond::Range { .. }
        | Cond::Text { .. }
        | Cond::Words { .. }
        | Cond::Near { .. }
        | Cond::Ids(_)
        | Cond::Chain { .. } => true,
        Cond::Any(list) => !list.is_empty() && list.iter().all(is_set),
        Cond::All(list) => list.iter().any(is_set),
        Cond::Present { .. } | Cond::Updated { .. } | Cond::Has { .. } | Cond::Not(_) | Cond::Type(_) => false,
    }
}

/// Whether search rows alone answer the condition, without a look at the version.
pub fn is_of_rows(cond: &Cond) -> bool {
    match cond {
        Cond::Exact(_)
        | Cond::Range { .. }
        | Cond::Text { .. }
        | Cond::Words { .. }
        | Cond::Near { .. }
        | Cond::Chain { .. }
        | Cond::Updated { .. } => true,
        Cond::Not(inner) => is_of_rows(inner),
        Cond::Any(list) | Cond::All(list) => list.iter().all(is_of_rows),
        Cond::Present { .. } | Cond::Ids(_) | Cond::Has { .. } | Cond::Type(_) => false,
    }
}

/// Whether that list is exact.
pub fn is_whole_set(cond: &Cond) -> bool {
    match cond {
        Cond::Any(list) => list.iter().all(is_whole_set),
        Cond::All(list) => list.len() == 1 && list.iter().all(is_whole_set),
        other => is_set(other),
    }
}
