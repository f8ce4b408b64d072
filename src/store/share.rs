//! Share rows: what an organisation may see of another's, by which handoff, until when.
//!
//! The template of a handoff is rows under a key of its own, below 0, which no organisation has: they lie together in the
//! index that begins with the organisation, and not each on a page of its own.

use super::Tx;
use crate::clock::Instant;
use crate::error::Result;
use crate::fhir::Target;
use crate::search::Keys;

/// One row of `share`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// Who may see it: hash of the Organization's logical id (`Store::org_key`). 0 stands for the template of a handoff that
    /// nobody has claimed yet: no caller has its key, `Tx::copy_shares` gives it to the one who claims.
    pub org: i64,
    /// What.
    pub target: Target,
    /// By which handoff (the episode's id, say): what is shared together is taken back together.
    pub handoff: String,
    /// Until when, compared with `Limit::Organization.now`.
    pub until: Instant,
}

impl Share {
    /// The row as it is stored.
    pub(super) fn stored(mut self, keys: Keys) -> Self {
        if self.org == 0 {
            self.org = -keys.hash(&["template", &self.handoff]) - 1;
        }
        self
    }
}

impl Tx {
    /// Takes back all that a handoff shares with an organisation (`None`: with all).
    pub async fn unshare(&mut self, handoff: &str, org: Option<i64>) -> Result<()> {
        match org {
            Some(org) => {
                { self.execute("DELETE FROM share WHERE handoff = $1 AND org = $2", vec![handoff.into(), org.into()]) }
                    .await
                    .map(|_| ())
            }
            None => self.execute("DELETE FROM share WHERE handoff = $1", vec![handoff.into()]).await.map(|_| ()),
        }
    }

    /// Shares with `org` until `until` what `handoff` shares with anyone, or would share with who claims it.
    pub async fn copy_shares(&mut self, handoff: &str, org: i64, until: Instant) -> Result<()> {
        let sql = "INSERT INTO share (org, rtype, id, handoff, until)
                   SELECT DISTINCT $1, s.rtype, s.id, s.handoff, $2 FROM share s WHERE s.handoff = $3
                   ON CONFLICT (org, rtype, id, handoff) DO UPDATE SET until = excluded.until";
        self.disclose(org, handoff);
        self.execute(sql, vec![org.into(), until.0.into(), handoff.into()]).await.map(|_| ())
    }

    /// Lets an organisation see a resource for good; no disclosure of a patient's data.
    pub fn show_for_good(&mut self, org: i64, target: Target, name: &str) {
        self.buffer.shares.push(Share { org, target, handoff: name.into(), until: Instant(i64::MAX) });
    }

    /// For the audit: each organisation and handoff once. Nobody has the organisation 0.
    pub(super) fn disclose(&mut self, org: i64, handoff: &str) {
        if org != 0 && !self.disclosed.iter().any(|(o, h)| *o == org && h == handoff) {
            self.disclosed.push((org, handoff.to_owned()));
        }
    }
}
