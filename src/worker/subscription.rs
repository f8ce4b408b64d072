//! Tells Subscriptions what was written for them.
//!
//! The store is the outbox: each look asks which Subscriptions may have been told too little, and tells those, several at a time, so that one that does not
//! answer holds up nobody else. Of many nodes the one that holds a Subscription's row sends for it.
//! Not for: what is sent, and when a failure is tried again (`interaction/subscription`).

use crate::clock::Instant;
use crate::error::Result;
use crate::fhir::ResourceType;
use crate::interaction::{Engine, Told};
use futures_util::StreamExt;
use std::collections::HashMap;
use std::time::Duration;
use tokio::sync::watch;

/// Subscriptions that are told at a time.
const AT_ONCE: usize = 8;

/// One process that tells them.
pub struct Teller {
    engine: Engine,
    /// Holds rows under this name.
    id: String,
    /// By id of the Subscription: up to which `version.pk` there was nothing for it.
    looked: HashMap<String, i64>,
}

impl Teller {
    /// One that reads and writes through the engine's store.
    #[must_use]
    pub fn new(engine: Engine) -> Self {
        Self { engine, id: uuid::Uuid::new_v4().to_string(), looked: HashMap::new() }
    }

    /// One look; whether there may be more to tell at once. `now`: what is due by then is tried.
    ///
    /// # Errors
    /// What the database says.
    pub async fn step(&mut self, now: Instant) -> Result<bool> {
        let store = &self.engine.house().store;
        let due = store.hooks_due(now).await?;
        self.looked.retain(|id, _| due.iter().any(|h| h.id == *id));
        let mut newest: HashMap<ResourceType, i64> = HashMap::new();
        let mut open = Vec::new();
        for hook in due {
            let from = hook.seen.max(self.looked.get(&hook.id).copied().unwrap_or(0));
            let rtype = hook.searches()?;
            let last = match newest.get(&rtype) {
                Some(last) => *last,
                None => {
                    let last = store.newest(rtype, None).await?;
                    newest.insert(rtype, last);
                    last
                }
            };
            let is_over = hook.ends.0 != 0 && hook.ends <= now;
            if last > from || is_over || hook.status == "requested" {
                open.push((hook, from));
            }
        }
        let (engine, id) = (&self.engine, self.id.as_str());
        let told: Vec<_> = futures_util::stream::iter(open)
            .map(|(hook, from)| async move { (engine.tell(&hook, from, id).await, hook) })
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        let mut has_more = false;
        for (told, hook) in told {
            match told {
                Ok(Told::Nothing(upto)) => {
                    self.looked.insert(hook.id, upto);
                }
                Ok(Told::Something) => has_more = true,
                Ok(Told::Later) => {}
                Err(error) => {
                    tracing::warn!(%error, cause = ?error.source, subscription.id = hook.id, "a notification failed here; it is tried again");
                }
            }
        }
        Ok(has_more)
    }

    /// Tells until told to stop; looks every so many seconds.
    pub async fn run(mut self, seconds: u64, mut stop: watch::Receiver<bool>) {
        let idle = Duration::from_secs(seconds);
        loop {
            let pause = match self.step(Instant::now()).await {
                Ok(true) => Duration::from_millis(1),
                Ok(false) => idle,
                Err(error) => {
                    tracing::warn!(%error, cause = ?error.source, "Subscriptions are not looked at; it is tried again");
                    idle
                }
            };
            if tokio::time::timeout(pause, stop.wait_for(|stop| *stop)).await.is_ok() {
                break;
            }
        }
    }
}
