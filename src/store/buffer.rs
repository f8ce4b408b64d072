//! What a transaction has put and not yet written: versions, search rows, shares, audit rows.
//!
//! For: writing them out in a handful of multi-row statements, and for reads that see them before that.
//! On SQLite one buffer serves all works of a group commit; a work that fails takes its own part back.

use super::{Audit, Method, Share, Version};
use crate::error::{Error, Result};
use crate::fhir::Target;
use crate::search::rows::Words;
use crate::search::{Keys, Rows};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// `ended` of a current version.
pub const CURRENT: i64 = i64::MAX;

/// A version that waits.
#[derive(Debug)]
pub struct Pending {
    /// The version.
    pub version: Version,
    /// Hash of its target.
    pub self_key: i64,
    /// When it was replaced: [`CURRENT`], or by a later one of this buffer.
    pub ended: i64,
    /// What it is found by.
    pub rows: Arc<Rows>,
    /// What it replaces.
    replaces: Replaces,
}

#[derive(Debug, Clone, Copy)]
enum Replaces {
    Nothing,
    /// A version in the database, by pk.
    Stored(i64),
    /// One of this buffer, by position.
    Pending(usize),
}

/// One `audit` row.
#[derive(Debug, Clone)]
pub struct AuditRow {
    /// Its stamp.
    pub pk: i64,
    /// Who did what.
    pub audit: Audit,
    /// First and last version made; 0 and 0 for none.
    pub versions: (i64, i64),
}

/// See the module.
#[derive(Debug, Default)]
pub struct Buffer {
    /// Versions in the order put.
    pub puts: Vec<Pending>,
    /// What is shared with organisations; with nobody yet (0), a template.
    pub shares: Vec<Share>,
    /// Audit rows.
    pub audits: Vec<AuditRow>,
    /// Where the newest version of a resource stands in `puts`.
    current: HashMap<i64, usize>,
}

/// How long the buffer was at some time.
#[derive(Debug, Clone, Copy, Default)]
pub struct Mark {
    puts: usize,
    shares: usize,
    audits: usize,
}

impl Buffer {
    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.puts.is_empty() && self.shares.is_empty() && self.audits.is_empty()
    }

    /// The present length.
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark { puts: self.puts.len(), shares: self.shares.len(), audits: self.audits.len() }
    }

    /// Takes back what came after the mark.
    pub fn back_to(&mut self, mark: Mark) {
        while self.puts.len() > mark.puts {
            let Some(last) = self.puts.pop() else { break };
            match last.replaces {
                Replaces::Pending(at) => {
                    if let Some(old) = self.puts.get_mut(at) {
                        old.ended = CURRENT;
                    }
                    self.current.insert(last.self_key, at);
                }
                Replaces::Nothing | Replaces::Stored(_) => {
                    self.current.remove(&last.self_key);
                }
            }
        }
        self.shares.truncate(mark.shares);
        self.audits.truncate(mark.audits);
    }

    /// Cuts off what came after the mark, as a buffer of its own. What it replaces of the first part counts as stored.
    pub fn split_at(&mut self, mark: Mark) -> Self {
        let mut rest = Self {
            puts: self.puts.split_off(mark.puts.min(self.puts.len())),
            shares: self.shares.split_off(mark.shares.min(self.shares.len())),
            audits: self.audits.split_off(mark.audits.min(self.audits.len())),
            current: HashMap::new(),
        };
        for (n, p) in rest.puts.iter_mut().enumerate() {
            if let Replaces::Pending(at) = p.replaces {
                p.replaces = match at.checked_sub(mark.puts) {
                    Some(at) => Replaces::Pending(at),
                    None => self.puts.get_mut(at).map_or(Replaces::Nothing, |old| {
                        old.ended = CURRENT;
                        Replaces::Stored(old.version.pk)
                    }),
                };
            }
            rest.current.insert(p.self_key, n);
        }
        rest
    }

    /// Empties the buffer: all is written.
    pub fn clear(&mut self) {
        self.puts.clear();
        self.shares.clear();
        self.audits.clear();
        self.current.clear();
    }

    /// The newest version of a resource, if it waits here.
    #[must_use]
    pub fn get(&self, self_key: i64) -> Option<&Version> {
        self.current.get(&self_key).and_then(|at| self.puts.get(*at)).map(|p| &p.version)
    }

    /// Current versions here that hold the exact key.
    pub fn holding(&self, key: i64) -> impl Iterator<Item = &Version> {
        self.puts.iter().filter(move |p| p.ended == CURRENT && p.rows.exact.contains(&key)).map(|p| &p.version)
    }

    /// Whether a newer version of the resource waits here.
    #[must_use]
    pub fn replaces(&self, self_key: i64) -> bool {
        self.current.contains_key(&self_key)
    }

    /// Adds a version.
    ///
    /// # Errors
    /// `Fault` when `before` is not the newest version that this transaction knows.
    pub fn put(&mut self, version: Version, self_key: i64, before: Option<&Version>, rows: Arc<Rows>) -> Result<()> {
        let known = self.current.get(&self_key).copied();
        let replaces = match (known, before) {
            (None, None) => Replaces::Nothing,
            (None, Some(before)) => Replaces::Stored(before.pk),
            (Some(at), Some(before)) if self.puts.get(at).is_some_and(|p| p.version.pk == before.pk) => {
                Replaces::Pending(at)
            }
            (Some(_), _) => return Err(Error::fault("a put names a version that is not the current one")),
        };
        if let (Replaces::Pending(at), pk) = (replaces, version.pk)
            && let Some(old) = self.puts.get_mut(at)
        {
            old.ended = pk;
        }
        self.current.insert(self_key, self.puts.len());
        self.puts.push(Pending { version, self_key, ended: CURRENT, rows, replaces });
        Ok(())
    }

    /// Stored versions that end, and when.
    #[must_use]
    pub fn ended(&self) -> Vec<(i64, i64)> {
        let stored = |p: &Pending| match p.replaces {
            Replaces::Stored(pk) => Some((pk, p.version.pk)),
            Replaces::Nothing | Replaces::Pending(_) => None,
        };
        self.puts.iter().filter_map(stored).collect()
    }

    /// `idx` rows in key order, without `skip`, the keys of types (`version_type` answers for them).
    #[must_use]
    pub fn exact(&self, skip: impl Fn(&Version) -> i64) -> Vec<(i64, i64)> {
        let mut out = Vec::with_capacity(self.puts.len() * 16);
        for p in &self.puts {
            let type_key = skip(&p.version);
            out.extend(p.rows.exact.iter().filter(|key| **key != type_key).map(|key| (*key, p.version.pk)));
        }
        out.sort_unstable();
        out.dedup();
        out
    }

    /// `idx_range` rows in key order.
    #[must_use]
    pub fn range(&self) -> Vec<(i64, i64, i64, i64)> {
        let mut out: Vec<_> = self
            .puts
            .iter()
            .flat_map(|p| p.rows.range.iter().map(|(k, lo, hi)| (*k, p.version.pk, *lo, *hi)))
            .collect();
        out.sort_unstable();
        out.dedup();
        out
    }

    /// `idx_text` rows in key order.
    #[must_use]
    pub fn text(&self) -> Vec<(i64, i64, &str)> {
        let mut out: Vec<_> =
            self.puts.iter().flat_map(|p| p.rows.text.iter().map(|(k, t)| (*k, p.version.pk, t.as_str()))).collect();
        out.sort_unstable();
        out.dedup();
        out
    }

    /// `fulltext` rows: pk and words, in order of pk; none for versions without words.
    pub fn words(&self) -> impl Iterator<Item = (i64, &Words)> {
        self.puts.iter().filter(|p| !p.rows.words.is_empty()).map(|p| (p.version.pk, &p.rows.words))
    }

    /// `template` rows: handoff, hash of the row, and the targets.
    #[must_use]
    pub fn templates(&self, keys: Keys) -> Vec<(&str, i64, String)> {
        let mut of: BTreeMap<&str, BTreeSet<&Target>> = BTreeMap::new();
        for share in self.shares.iter().filter(|s| s.org == 0) {
            of.entry(&share.handoff).or_default().insert(&share.target);
        }
        let row = |(handoff, targets): (_, BTreeSet<&Target>)| {
            let targets = targets.iter().map(ToString::to_string).collect::<Vec<String>>().join(" ");
            (handoff, keys.hash(&["template", handoff, &targets]), targets)
        };
        of.into_iter().map(row).collect()
    }

    /// Share rows of organisations, each key once, the last one wins.
    #[must_use]
    pub fn shares(&self) -> Vec<&Share> {
        let mut out = BTreeMap::new();
        for share in self.shares.iter().filter(|s| s.org != 0) {
            out.insert((share.org, &share.target, &share.handoff), share);
        }
        out.into_values().collect()
    }
}

/// `version.facts` as stored: never the empty text, which is no JSON.
#[must_use]
pub fn facts(rows: &Rows) -> &str {
    if rows.facts.is_empty() { "{}" } else { &rows.facts }
}

impl Method {
    /// As stored.
    #[must_use]
    pub(super) const fn code(self) -> i64 {
        match self {
            Self::Post => 0,
            Self::Put => 1,
            Self::Patch => 2,
            Self::Delete => 3,
        }
    }

    /// From what is stored.
    #[must_use]
    pub(super) const fn of_code(code: i64) -> Self {
        match code {
            0 => Self::Post,
            1 => Self::Put,
            2 => Self::Patch,
            _ => Self::Delete,
        }
    }
}
