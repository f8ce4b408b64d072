//! Share rows: what an organisation may see of another's, by which handoff, until when.

use crate::clock::Instant;
use crate::fhir::Target;

/// One row of `share`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// Who may see it: hash of the Organization's logical id (`Store::org_key`). 0 holds the template of a handoff that
    /// nobody has claimed yet: no caller has that key, `Tx::copy_shares` gives it to the one who claims.
    pub org: i64,
    /// What.
    pub target: Target,
    /// By which handoff (the episode's id, say): what is shared together is taken back together.
    pub handoff: String,
    /// Until when, compared with `Limit::Organization.now`.
    pub until: Instant,
}
