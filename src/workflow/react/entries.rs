//! What may be shown of a hand-off beside what is about the patient: entries of the directory that its resources name; and what
//! who could claim it sees before.
//!
//! Entries that a hospital brought along are the hospital's: who sees the hand-off sees those that it names, and nobody else does.
//! What an administrator wrote is everybody's, and needs no share. Not for: when something is shown (`mod.rs`, `handoff.rs`).
//! Source: own rules, `docs/access.md`; `before-claim` of `profiles/policy/access.json`.

use super::handoff::episode_of;
use super::{Round, organization};
use crate::access::limit::DIRECTORY;
use crate::clock::Instant;
use crate::error::Result;
use crate::fhir::bundle::{Link, each_reference};
use crate::fhir::resource::known;
use crate::fhir::{Json, Target};
use crate::store::Share;
use crate::workflow::build::{care, offer};
use crate::workflow::records::Records;
use crate::workflow::task;
use std::collections::BTreeSet;

/// How far entries lead to further ones: a medicine to its ingredient, a department to its hospital.
const DEPTH: usize = 4;

fn is_entry(target: &Target) -> bool {
    DIRECTORY.contains(&target.rtype.as_str())
}

/// Entries of the directory that these resources name.
pub(super) fn entries<'j>(resources: impl IntoIterator<Item = &'j Json>, base: &str) -> BTreeSet<Target> {
    let mut out = BTreeSet::new();
    for resource in resources {
        each_reference(resource, &mut |_, text| {
            let local = text.strip_prefix(base).and_then(|rest| rest.strip_prefix('/')).unwrap_or(text);
            if let Link::Relative(target, _) = Link::parse(local.split_once('#').map_or(local, |(before, _)| before))
                && is_entry(&target)
            {
                out.insert(target);
            }
        });
    }
    out
}

impl<R: Records> Round<'_, R> {
    /// What of these an owner may show: what is no entry of the directory as it is; of entries the owner's own, and the owner's own
    /// that those name.
    pub(super) async fn showable(
        &mut self,
        owner: i64,
        targets: impl IntoIterator<Item = Target>,
    ) -> Result<BTreeSet<Target>> {
        let (mut next, mut out): (BTreeSet<Target>, BTreeSet<Target>) = targets.into_iter().partition(is_entry);
        for _ in 0..DEPTH {
            if next.is_empty() {
                break;
            }
            let named: Vec<Target> = next.into_iter().collect();
            self.desk.load(&named).await?;
            let own: Vec<Target> = named.into_iter().filter(|t| self.desk.org(t) == Some(owner)).collect();
            next = entries(own.iter().filter_map(|t| self.desk.peek(t)), self.base());
            out.extend(own);
            next.retain(|t| !out.contains(t));
        }
        Ok(out)
    }

    /// Shows an organisation until a time what an episode's hand-off shows, or would show.
    pub(super) async fn show_all(&mut self, episode: &Target, org: i64, until: Instant) -> Result<()> {
        self.desk.load(std::slice::from_ref(episode)).await?;
        let owner = self.desk.org(episode).unwrap_or_default();
        let shown = self.desk.records.shared(&care(&episode.id)).await?;
        for target in self.showable(owner, shown).await? {
            self.desk.records.share(Share { org, target, handoff: care(&episode.id), until }).await?;
        }
        Ok(())
    }

    /// Shows what is new of a hand-off to those who could claim it, as far as the site lets them see before.
    pub(super) async fn show_before(&mut self, episode: &Target, tasks: &[Target], targets: &[Target]) -> Result<()> {
        let types = self.programme.before_claim.clone();
        let some: Vec<Target> = targets.iter().filter(|t| types.contains(&t.rtype)).cloned().collect();
        if some.is_empty() {
            return Ok(());
        }
        let json = self.desk.get(episode).await?.unwrap_or_default();
        let (until, owner) = (self.shared_until(&json), self.desk.org(episode).unwrap_or_default());
        let some = self.showable(owner, some).await?;
        for at in tasks {
            let open = |t: &&Json| t["status"].text() == "requested";
            let Some(asked) = self.desk.peek(at).filter(open).map(asked) else { continue };
            self.show_offered(at, &asked, &some, until).await?;
        }
        Ok(())
    }

    /// Shows with an offer of a Task what the site lets who could claim it see of the hand-off before.
    pub(super) async fn offer_more(&mut self, at: &Target, until: Instant) -> Result<()> {
        let types = self.programme.before_claim.clone();
        let Some(task) = self.desk.peek(at).filter(|_| !types.is_empty()) else { return Ok(()) };
        let (asked, episode) = (asked(task), episode_of(task).map(|id| Target::new(known("EpisodeOfCare"), id)));
        let Some(episode) = episode else { return Ok(()) };
        self.desk.load(std::slice::from_ref(&episode)).await?;
        let owner = self.desk.org(&episode).unwrap_or_default();
        let mut shown = self.desk.records.shared(&care(&episode.id)).await?;
        shown.retain(|t| types.contains(&t.rtype));
        let shown = self.showable(owner, shown).await?;
        self.show_offered(at, &asked, &shown, until).await
    }

    async fn show_offered(
        &mut self,
        at: &Target,
        asked: &BTreeSet<String>,
        targets: &BTreeSet<Target>,
        until: Instant,
    ) -> Result<()> {
        let keys = self.desk.records.keys();
        for org in asked {
            for target in targets {
                let share = Share { org: keys.org(org), target: target.clone(), handoff: offer(at), until };
                self.desk.records.share(share).await?;
            }
        }
        Ok(())
    }
}

/// Logical ids of the organisations that a Task is offered to: who may claim it, or was named.
pub(super) fn asked(task: &Json) -> BTreeSet<String> {
    let all = task::candidates(task).into_iter().chain([task::owner(task)]);
    all.filter_map(organization).map(|o| o.id).collect()
}
