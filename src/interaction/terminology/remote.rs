//! The terminology server of the settings: asked for what is not here, and by the operations only, never by a write.
//!
//! The question goes there as it came, as Parameters by POST; a resource that is here and needs what is not goes along. Good answers are kept for a while,
//! the newest so many, each up to a size.
//! Source: <https://hl7.org/fhir/R4/terminology-service.html>; what is kept and for how long: own rules, limits of the settings.

use crate::clock::Instant;
use crate::config::Limits;
use crate::error::Result;
use crate::fhir::{Json, json};
use crate::outbound::Caller;
use bytes::Bytes;
use lru::LruCache;
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};

/// An answer up to this size is kept.
const KEPT: usize = 64 << 10;

/// By question: until when it holds (µs), and the answer.
type Kept = LruCache<Vec<u8>, (i64, Bytes)>;

/// The other server.
pub(in crate::interaction) struct Remote {
    base: String,
    caller: Caller,
    kept: Option<Mutex<Kept>>,
    seconds: i64,
}

/// What became of a question.
pub(super) enum Reply {
    /// The answer.
    Known(Bytes),
    /// It has none either.
    Unknown,
    /// It could not be asked: why.
    Away(String),
}

impl Remote {
    /// `base`: checked by the settings.
    ///
    /// # Errors
    /// `Fault` when no TLS is to be had.
    pub(in crate::interaction) fn new(base: &str, limits: &Limits) -> Result<Self> {
        let kept = NonZeroUsize::new(Limits::size(limits.terminology_cache)).map(|n| Mutex::new(LruCache::new(n)));
        let seconds = i64::try_from(limits.terminology_cache_seconds).unwrap_or(i64::MAX / 2_000_000);
        Ok(Self { base: base.to_owned(), caller: Caller::new(limits.terminology_seconds)?, kept, seconds })
    }

    /// Puts a question. `path`: `ValueSet/$expand`.
    pub(super) async fn ask(&self, path: &str, parameters: &Json) -> Reply {
        let body = parameters.to_bytes();
        let key: Vec<u8> = path.bytes().chain([0]).chain(body.iter().copied()).collect();
        let now = Instant::now();
        if let Some(kept) = &self.kept
            && let Some((until, answer)) = kept.lock().unwrap_or_else(PoisonError::into_inner).get(&key)
            && *until > now.0
        {
            return Reply::Known(answer.clone());
        }
        let reply = match self.caller.post(&format!("{}/{path}", self.base), body).await {
            Ok(reply) => reply,
            Err(trouble) => return Reply::Away(trouble.to_string()),
        };
        let is_fhir =
            || json::parse(&reply.body).is_ok_and(|j| matches!(j["resourceType"].text(), "Parameters" | "ValueSet"));
        match reply.status {
            200 if is_fhir() => {}
            200 => return Reply::Away("its answer is not that of the operation".into()),
            400 | 404 | 410 | 422 => return Reply::Unknown,
            status => return Reply::Away(format!("it answers {status}")),
        }
        if let Some(kept) = self.kept.as_ref().filter(|_| reply.body.len() <= KEPT) {
            let until = now.plus_seconds(self.seconds).0;
            kept.lock().unwrap_or_else(PoisonError::into_inner).put(key, (until, reply.body.clone()));
        }
        Reply::Known(reply.body)
    }
}
