//! Settings that live in the database: hash keys, secrets, marks of workers.

use super::Store;
use crate::error::{Error, Result};

impl Store {
    /// Reads a setting.
    pub async fn setting(&self, _name: &str) -> Result<Option<String>> {
        Err(Error::fault("not built yet"))
    }

    /// The random secret of that name as hex (32 bytes), made at its first use; every node reads the same.
    pub async fn secret(&self, _name: &str) -> Result<String> {
        Err(Error::fault("not built yet"))
    }
}
