//! Searches: a plan becomes SQL.

use super::{Cursor, Page, Store};
use crate::access::Limit;
use crate::error::{Error, Result};
use crate::search::Plan;

impl Store {
    /// The first page, or the page at `from` (which belongs to the same plan and limit).
    pub async fn search(&self, _limit: &Limit, _plan: &Plan, _from: Option<&Cursor>) -> Result<Page> {
        Err(Error::fault("not built yet"))
    }
}
