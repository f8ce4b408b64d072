//! Which web origins may call: those that active clients registered.
//!
//! Source: <https://hl7.org/fhir/smart-app-launch/STU2.2/conformance.html> (CORS); never with credentials: tokens go in a header.

use super::AuthState;
use crate::clock::Instant;
use std::collections::HashSet;
use std::sync::{Arc, PoisonError, RwLock};

/// Microseconds that the list is good.
const GOOD: i64 = 30_000_000;

/// The list as last read, and when.
#[derive(Debug, Default)]
pub struct Origins(RwLock<(i64, Arc<HashSet<String>>)>);

impl AuthState {
    /// Whether a browser at that origin may read what is answered. A list that cannot be read lets in who was in before.
    pub async fn lets_origin(&self, origin: &str, now: Instant) -> bool {
        let (read, list) = self.origins.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        if now.0 - read < GOOD && now.0 >= read {
            return list.contains(origin);
        }
        let Ok(clients) = self.store.oauth_clients().await else { return list.contains(origin) };
        let list: HashSet<String> = clients.into_iter().filter(|c| c.is_active).flat_map(|c| c.origins).collect();
        let is_known = list.contains(origin);
        *self.origins.0.write().unwrap_or_else(PoisonError::into_inner) = (now.0, Arc::new(list));
        is_known
    }
}
