//! Keys that a client publishes at an address of its own.
//!
//! Kept no longer than the answer's `Cache-Control` allows: a day at most, five minutes where it says nothing. A key that is not
//! among them makes us ask again, and so does an address that did not answer: once in thirty seconds, whatever comes in between.
//! Source: <https://hl7.org/fhir/smart-app-launch/STU2.2/client-confidential-asymmetric.html>; own limits.

use crate::clock::Instant;
use crate::error::Result;
use crate::outbound::fetch::{Fetcher, Reach};
use lru::LruCache;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

/// Seconds that keys are kept without `Cache-Control`, and at most.
const SILENT: i64 = 300;
const LONGEST: i64 = 86_400;
/// Seconds between two questions that a caller made up.
const PAUSE: i64 = 30;
/// Addresses that are remembered, of 64 kB at most each.
const MOST: usize = 256;

/// What an address said last.
#[derive(Debug, Clone)]
struct Kept {
    /// `None`: nothing that reads.
    jwks: Option<Arc<str>>,
    asked: Instant,
    until: Instant,
}

/// One address; who asks it holds it, and others wait for the answer.
type Place = Arc<tokio::sync::Mutex<Option<Kept>>>;

/// The keys of all clients that publish them.
#[derive(Debug)]
pub struct RemoteKeys {
    reach: Reach,
    /// Made when it is first needed: most servers have no such client, and the system's certificates take time to read.
    fetcher: Mutex<Option<Fetcher>>,
    places: Mutex<LruCache<String, Place>>,
}

impl RemoteKeys {
    /// Asks so far and no further.
    #[must_use]
    pub fn new(reach: Reach) -> Self {
        let places = LruCache::new(NonZeroUsize::new(MOST).unwrap_or(NonZeroUsize::MIN));
        Self { reach, fetcher: Mutex::default(), places: Mutex::new(places) }
    }

    /// The keys at an address. `has`: whether such a set holds the one that is looked for.
    pub async fn of(&self, url: &str, now: Instant, has: impl Fn(&str) -> bool) -> Option<Arc<str>> {
        self.get(url, now, is_set, has).await
    }

    /// A document at an address, kept in the same way. `is_good`: whether it is one.
    pub async fn document(&self, url: &str, now: Instant, is_good: impl Fn(&str) -> bool) -> Option<Arc<str>> {
        self.get(url, now, &is_good, |_| true).await
    }

    async fn get(
        &self,
        url: &str,
        now: Instant,
        is_good: impl Fn(&str) -> bool,
        has: impl Fn(&str) -> bool,
    ) -> Option<Arc<str>> {
        let place = {
            let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(places.get_or_insert(url.to_owned(), Place::default))
        };
        let mut kept = place.lock().await;
        if let Some(kept) = kept.as_ref() {
            let is_known = kept.jwks.as_deref().is_some_and(&has);
            let is_good = kept.until > now;
            if is_known && is_good {
                return kept.jwks.clone();
            }
            // A key that was there is looked up again as soon as its time is over; all else has to wait.
            if !is_known && now < kept.asked.plus_seconds(PAUSE) {
                return None;
            }
        }
        let fetched = match self.fetcher() {
            Ok(fetcher) => fetcher.json(url).await.map_err(|refused| refused.to_string()),
            Err(fault) => Err(fault.to_string()),
        };
        let fetched = fetched.and_then(|reply| match is_good(&reply.text) {
            true => Ok(reply),
            false => Err("the answer is not what is looked for".into()),
        });
        let (jwks, seconds) = match fetched {
            Ok(reply) => (Some(Arc::from(reply.text)), lifetime(reply.cache_control.as_deref())),
            Err(why) => {
                tracing::warn!(why, "keys at an address were not fetched");
                (None, 0)
            }
        };
        *kept = Some(Kept { jwks: jwks.clone(), asked: now, until: now.plus_seconds(seconds) });
        jwks
    }

    /// What asks: for what is not kept.
    ///
    /// # Errors
    /// `Fault` when no TLS is to be had.
    pub fn fetcher(&self) -> Result<Fetcher> {
        let mut made = self.fetcher.lock().unwrap_or_else(PoisonError::into_inner);
        match &*made {
            Some(fetcher) => Ok(fetcher.clone()),
            None => Ok(made.insert(Fetcher::new(self.reach)?).clone()),
        }
    }
}

fn is_set(text: &str) -> bool {
    serde_json::from_str::<serde_json::Value>(text).is_ok_and(|v| v["keys"].is_array())
}

/// Seconds that an answer may be kept.
fn lifetime(cache_control: Option<&str>) -> i64 {
    let Some(text) = cache_control else { return SILENT };
    let mut seconds = SILENT;
    for word in text.split(',').map(|w| w.trim().to_ascii_lowercase()) {
        match word.split_once('=') {
            None if matches!(word.as_str(), "no-store" | "no-cache") => return 0,
            Some(("max-age", n)) => seconds = n.trim_matches('"').parse::<i64>().unwrap_or(0),
            _ => {}
        }
    }
    seconds.clamp(0, LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// security R49: Keys are kept as long as Cache-Control allows, a day at most, five minutes where it says nothing.
    #[test]
    fn a_cache_lifetime_as_a_table() {
        for (header, seconds) in [
            (None, 300),
            (Some("max-age=60"), 60),
            (Some("public, MAX-AGE=10"), 10),
            (Some("max-age=999999"), 86_400),
            (Some("max-age=-5"), 0),
            (Some("max-age=x"), 0),
            (Some("no-store, max-age=60"), 0),
            (Some("no-cache"), 0),
            (Some("public"), 300),
        ] {
            assert_eq!(lifetime(header), seconds, "{header:?}");
        }
    }
}
