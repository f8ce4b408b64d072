//! How many requests a client or an address may make: a bucket of tokens for each, filled at the rate that is allowed.
//!
//! A bucket holds ten seconds' worth, so that a burst passes and a flood does not. Buckets are forgotten, the longest unused first,
//! when there are very many. Loopback has no limit by address: what calls from there is a proxy or this machine.
//! Source: own rule; security contract, attack rows 26, 41, 61.

use super::crowd::name_of;
use crate::error::{Error, Kind, Result};
use lru::LruCache;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Buckets that are remembered.
const MOST: usize = 50_000;
/// Seconds' worth that a bucket holds.
const BURST: f64 = 10.0;

/// Buckets by name.
pub(super) struct Throttle {
    /// Requests a second; 0: no limit.
    rate: f64,
    buckets: Mutex<LruCache<String, Bucket>>,
    /// Of whom, and the limit's name: for the refusal.
    what: (&'static str, &'static str),
}

struct Bucket {
    tokens: f64,
    at: Instant,
}

impl Throttle {
    /// By client, `client-rate`.
    pub(super) fn by_client(rate: u64) -> Self {
        Self::new(rate, ("client", "client-rate"))
    }

    /// By address, `address-rate`.
    pub(super) fn by_address(rate: u64) -> Self {
        Self::new(rate, ("address", "address-rate"))
    }

    fn new(rate: u64, what: (&'static str, &'static str)) -> Self {
        let rate = f64::from(u32::try_from(rate).unwrap_or(u32::MAX));
        Self { rate, buckets: Mutex::new(LruCache::new(NonZeroUsize::new(MOST).unwrap_or(NonZeroUsize::MIN))), what }
    }

    /// Takes a token of an address.
    ///
    /// # Errors
    /// `TooMany`.
    pub(super) fn admit_address(&self, address: Option<IpAddr>, now: Instant) -> Result<()> {
        match address {
            Some(ip) if !ip.to_canonical().is_loopback() => self.admit(&name_of(ip), now),
            _ => Ok(()),
        }
    }

    /// Takes a token.
    ///
    /// # Errors
    /// `TooMany`.
    pub(super) fn admit(&self, name: &str, now: Instant) -> Result<()> {
        if self.rate <= 0.0 {
            return Ok(());
        }
        let full = self.rate * BURST;
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = match buckets.get_mut(name) {
            Some(bucket) => bucket,
            None => {
                buckets.put(name.to_owned(), Bucket { tokens: full, at: now });
                match buckets.get_mut(name) {
                    Some(bucket) => bucket,
                    None => return Ok(()),
                }
            }
        };
        let passed = now.saturating_duration_since(bucket.at).as_secs_f64();
        bucket.tokens = (bucket.tokens + passed * self.rate).min(full);
        bucket.at = now;
        if bucket.tokens >= 1.0 {
            bucket.tokens -= 1.0;
            return Ok(());
        }
        let (of, limit) = self.what;
        let text = format!(
            "more than {} requests a second of one {of} (limit {limit}); wait as Retry-After says and send fewer at a time",
            self.rate
        );
        Err(Error::new(Kind::TooMany, text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// security A61: A client or address that asks faster than it may is refused until time has passed; others are not.
    #[test]
    fn a_flood_ends_and_a_burst_passes() {
        let (throttle, start) = (Throttle::by_client(5), Instant::now());
        let passed = |name: &str, at: Instant, n: usize| (0..n).filter(|_| throttle.admit(name, at).is_ok()).count();
        assert_eq!(passed("a", start, 80), 50);
        assert_eq!(passed("b", start, 10), 10, "others go on");
        assert_eq!(passed("a", start + Duration::from_secs(2), 80), 10);
        assert_eq!(throttle.admit("a", start).unwrap_err().kind.status(), 429);
        assert_eq!(passed("a", start + Duration::from_secs(3_600), 80), 50, "no more than a bucket");
        let off = Throttle::by_client(0);
        assert!((0..10_000).all(|_| off.admit("a", start).is_ok()));
    }

    #[test]
    fn an_address_of_version_6_is_its_network_and_loopback_is_free() {
        let (throttle, now) = (Throttle::by_address(1), Instant::now());
        let ask = |text: &str| throttle.admit_address(Some(text.parse().unwrap()), now).is_ok();
        assert_eq!((0..20).filter(|n| ask(&format!("2001:db8:1:2::{n}"))).count(), 10);
        assert!(ask("2001:db8:1:3::1"));
        assert_eq!((0..20).filter(|_| ask("192.0.2.1")).count(), 10);
        assert!(!ask("::ffff:192.0.2.1"), "the same address");
        assert!((0..100).all(|_| ask("127.0.0.1") && ask("::1") && ask("::ffff:127.0.0.1")));
    }
}
