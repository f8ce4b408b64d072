//! Reads of known resources.

use super::{Store, Version};
use crate::access::Limit;
use crate::error::{Error, Result};
use crate::fhir::{ResourceType, Target};

const LATER: &str = "not built yet";

impl Store {
    /// The current version (a deletion too); `None` when unknown or not visible.
    pub async fn get(&self, _limit: &Limit, _target: &Target) -> Result<Option<Version>> {
        Err(Error::fault(LATER))
    }

    /// One version by number.
    pub async fn get_version(&self, _limit: &Limit, _target: &Target, _version: i64) -> Result<Option<Version>> {
        Err(Error::fault(LATER))
    }

    /// Current versions of many (for `_include`), in the order asked; `None` where unknown or not visible.
    pub async fn get_many(&self, _limit: &Limit, _targets: &[Target]) -> Result<Vec<Option<Version>>> {
        Err(Error::fault(LATER))
    }

    /// Current resources of `rtype` that hold one of `keys` (for `_revinclude`, see `Registry::reference_keys`), newest
    /// first, at most `max`.
    pub async fn referring(
        &self,
        _limit: &Limit,
        _rtype: ResourceType,
        _keys: &[i64],
        _max: usize,
    ) -> Result<Vec<Version>> {
        Err(Error::fault(LATER))
    }
}
