//! Current versions in memory, for reads by id on SQLite, where one process owns the file.
//!
//! Never stale: the writer takes what it replaced out before it answers, and a reader puts in only what no commit
//! touched since it began to read. Not for PostgreSQL: other nodes write there too.

use super::Version;
use lru::LruCache;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

const SHARDS: usize = 16;
const STRIPES: usize = 4096;
/// What an entry costs beside its body, roughly.
const OVERHEAD: usize = 200;

/// A cache by bytes; see the module.
#[derive(Debug)]
pub struct Cache {
    shards: Vec<Mutex<Shard>>,
    /// Counts commits by stripes of keys.
    epochs: Vec<AtomicU32>,
    /// Bytes a shard may hold.
    room: usize,
}

#[derive(Debug)]
struct Shard {
    entries: LruCache<i64, Version>,
    bytes: usize,
}

/// When a read began, as far as one key is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Epoch(u32);

fn weight(version: &Version) -> usize {
    version.body.len() + OVERHEAD
}

impl Cache {
    /// A cache of at most `bytes`; 0 holds nothing.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        let shard = || Mutex::new(Shard { entries: LruCache::unbounded(), bytes: 0 });
        Self {
            shards: (0..SHARDS).map(|_| shard()).collect(),
            epochs: (0..STRIPES).map(|_| AtomicU32::new(0)).collect(),
            room: bytes / SHARDS,
        }
    }

    fn shard(&self, key: i64) -> Option<MutexGuard<'_, Shard>> {
        let at = usize::try_from(key & 0xffff).unwrap_or(0) % SHARDS;
        Some(self.shards.get(at)?.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn stripe(&self, key: i64) -> Option<&AtomicU32> {
        self.epochs.get(usize::try_from((key >> 16) & 0xffff).unwrap_or(0) % STRIPES)
    }

    /// The cached version.
    #[must_use]
    pub fn get(&self, key: i64) -> Option<Version> {
        if self.room == 0 {
            return None;
        }
        self.shard(key)?.entries.get(&key).cloned()
    }

    /// To take before reading what [`Cache::fill`] is given.
    #[must_use]
    pub fn epoch(&self, key: i64) -> Epoch {
        Epoch(self.stripe(key).map_or(0, |e| e.load(Ordering::Acquire)))
    }

    /// Puts in what was read, unless a commit came between.
    pub fn fill(&self, key: i64, since: Epoch, version: &Version) {
        let weight = weight(version);
        if weight > self.room {
            return;
        }
        let Some(mut shard) = self.shard(key) else { return };
        if self.epoch(key) != since {
            return;
        }
        if let Some(old) = shard.entries.put(key, version.clone()) {
            shard.bytes = shard.bytes.saturating_sub(self::weight(&old));
        }
        shard.bytes += weight;
        while shard.bytes > self.room {
            let Some((_, old)) = shard.entries.pop_lru() else { break };
            shard.bytes = shard.bytes.saturating_sub(self::weight(&old));
        }
    }

    /// Takes out what a commit replaced: after the commit, before its answer.
    pub fn forget(&self, keys: &[i64]) {
        for &key in keys {
            if let Some(stripe) = self.stripe(key) {
                stripe.fetch_add(1, Ordering::AcqRel);
            }
            let Some(mut shard) = self.shard(key) else { continue };
            if let Some(old) = shard.entries.pop(&key) {
                shard.bytes = shard.bytes.saturating_sub(weight(&old));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fhir::{Target, resource::known};
    use crate::store::Method;

    fn version(pk: i64, size: usize) -> Version {
        let target = Target::new(known("Task"), "a");
        Version { pk, target, version: 1, method: Method::Put, org: 0, body: vec![b'x'; size].into(), labels: 0 }
    }

    #[test]
    fn a_read_that_began_before_a_commit_does_not_fill() {
        let cache = Cache::new(1 << 20);
        let before = cache.epoch(7);
        cache.forget(&[7]);
        cache.fill(7, before, &version(1, 10));
        assert_eq!(cache.get(7), None);
        cache.fill(7, cache.epoch(7), &version(2, 10));
        assert_eq!(cache.get(7).map(|v| v.pk), Some(2));
        cache.forget(&[7]);
        assert_eq!(cache.get(7), None);
    }

    #[test]
    fn the_longest_unread_goes_first_when_the_room_is_used_up() {
        let cache = Cache::new(SHARDS * 1000);
        for key in [0, 16 * 65536, 32 * 65536] {
            cache.fill(key, cache.epoch(key), &version(key, 300));
            assert!(cache.get(0).is_some());
        }
        assert!(cache.get(0).is_some());
        assert!(cache.get(16 * 65536).is_none());
    }
}
