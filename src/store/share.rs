//! Share rows: what an organisation may see of another's, by which handoff, until when.
//!
//! The template of a handoff, what it would share with who claims it, is a row of `template` a transaction: nobody searches
//! by it, and a discharge of forty resources needs one row and not forty. In databases of before it may be rows of `share` under a
//! key below 0, which no organisation has.

use super::{Tx, read};
use crate::clock::Instant;
use crate::error::{Error, Result};
use crate::fhir::Target;
use std::collections::BTreeSet;

/// `share.until` of what was offered to several and has gone to another: before every clock, so that no read sees it.
const ENDED: i64 = 0;

/// One row of `share`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// Who may see it: hash of the Organization's logical id (`Store::org_key`). 0 stands for the template of a handoff that
    /// nobody has claimed yet: who claims is shown what `Tx::shared` says of it.
    pub org: i64,
    /// What.
    pub target: Target,
    /// By which handoff (the episode's id, say): what is shared together is taken back together.
    pub handoff: String,
    /// Until when, compared with `Limit::Organization.now`.
    pub until: Instant,
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
            None => {
                self.execute("DELETE FROM template WHERE handoff = $1", vec![handoff.into()]).await?;
                self.execute("DELETE FROM share WHERE handoff = $1", vec![handoff.into()]).await.map(|_| ())
            }
        }
    }

    /// Takes one resource back from all with whom a handoff shares it, or would.
    pub async fn unshare_one(&mut self, handoff: &str, target: &Target) -> Result<()> {
        let sql = "DELETE FROM share WHERE handoff = $1 AND rtype = $2 AND id = $3";
        let args = vec![handoff.into(), i64::from(target.rtype.0).into(), target.id.as_str().into()];
        self.execute(sql, args).await?;
        let reference = target.to_string();
        for row in self.fetch("SELECT part, targets FROM template WHERE handoff = $1", vec![handoff.into()]).await? {
            let (part, targets) = (row.int(0)?, row.text(1)?);
            let others: Vec<&str> = targets.split(' ').filter(|t| *t != reference).collect();
            let named = targets.split(' ').count();
            if others.is_empty() {
                let sql = "DELETE FROM template WHERE handoff = $1 AND part = $2";
                self.execute(sql, vec![handoff.into(), part.into()]).await?;
            } else if others.len() < named {
                let sql = "UPDATE template SET targets = $1 WHERE handoff = $2 AND part = $3";
                self.execute(sql, vec![others.join(" ").into(), handoff.into(), part.into()]).await?;
            }
        }
        Ok(())
    }

    /// What a handoff shares with anyone, or would share with who claims it.
    pub async fn shared(&mut self, handoff: &str) -> Result<BTreeSet<Target>> {
        let mut targets = BTreeSet::new();
        for row in self.fetch("SELECT targets FROM template WHERE handoff = $1", vec![handoff.into()]).await? {
            for reference in row.text(0)?.split(' ') {
                let target = Target::parse(reference);
                targets.insert(target.ok_or_else(|| Error::fault("a template holds references, and nothing else"))?);
            }
        }
        let shared = "SELECT DISTINCT rtype, id FROM share WHERE handoff = $1";
        for row in self.fetch(shared, vec![handoff.into()]).await? {
            targets.insert(read::target(&row, 0, 1)?);
        }
        Ok(targets)
    }

    /// Lets an organisation see a resource for good; no disclosure of a patient's data.
    pub fn show_for_good(&mut self, org: i64, target: Target, name: &str) {
        self.buffer.shares.push(Share { org, target, handoff: name.into(), until: Instant(i64::MAX) });
    }

    /// Ends these handoffs for all organisations but one: what they share is out of sight from now on, and [`Tx::has_lost`] knows
    /// to whom it was offered.
    pub async fn end_shares(&mut self, handoffs: &[String], but: i64) -> Result<()> {
        let places: Vec<String> = (2..handoffs.len() + 2).map(|n| format!("${n}")).collect();
        let sql = format!("UPDATE share SET until = {ENDED} WHERE org <> $1 AND handoff IN ({})", places.join(", "));
        let args = std::iter::once(but.into()).chain(handoffs.iter().map(|h| h.as_str().into())).collect();
        if handoffs.is_empty() { Ok(()) } else { self.execute(&sql, args).await.map(|_| ()) }
    }

    /// Whether a handoff that showed this resource to an organisation has ended for it because another one has it.
    pub async fn has_lost(&mut self, org: i64, target: &Target, handoff: &str) -> Result<bool> {
        let sql = format!(
            "SELECT 1 FROM share WHERE org = $1 AND rtype = $2 AND id = $3 AND handoff = $4 AND until = {ENDED}"
        );
        let args = vec![org.into(), i64::from(target.rtype.0).into(), target.id.as_str().into(), handoff.into()];
        Ok(!self.fetch(&sql, args).await?.is_empty())
    }

    /// For the audit: what each organisation sees by which handoff. Nobody has the organisation 0.
    pub(super) fn disclose(&mut self, org: i64, handoff: &str, what: impl IntoIterator<Item = Target>) {
        if org != 0 {
            self.disclosed.entry((org, handoff.to_owned())).or_default().extend(what);
        }
    }
}
