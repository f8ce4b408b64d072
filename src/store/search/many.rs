//! Which exact keys were found to have more rows than are ever listed, so that not every search counts them again.
//!
//! Counting ten thousand rows takes longer than the page of a worklist. Only *many* is remembered, and for a minute: taken
//! for many when it has become few, a condition is looked up row by row for that long; the other way round a list of millions
//! would be sorted.

use lru::LruCache;
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a count holds.
const HOLDS: Duration = Duration::from_secs(60);

/// Sets of keys that are remembered.
const ROOM: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1023);

/// See the module.
#[derive(Debug)]
pub struct Many(Mutex<LruCache<Vec<i64>, Instant>>);

impl Many {
    /// Nothing is known.
    pub fn new() -> Self {
        Self(Mutex::new(LruCache::new(ROOM)))
    }

    /// Whether these keys had many rows at a count that still holds at `now`.
    pub fn has(&self, keys: &[i64], now: Instant) -> bool {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(keys).is_some_and(|counted| now.duration_since(*counted) < HOLDS)
    }

    /// Remembers that these keys have many rows.
    pub fn learn(&self, keys: &[i64], now: Instant) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).put(keys.to_vec(), now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_many_is_so_for_a_minute_and_for_these_keys_alone() {
        let (many, now) = (Many::new(), Instant::now());
        assert!(!many.has(&[1, 2], now));
        many.learn(&[1, 2], now);
        assert!(many.has(&[1, 2], now + Duration::from_secs(59)));
        assert!(!many.has(&[1], now), "another set of keys");
        assert!(!many.has(&[1, 2], now + HOLDS), "counted too long ago");
    }
}
