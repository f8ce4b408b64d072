//! What waits too long: overdue reviews, questions that no prescriber answered, and what only time shows: Consents that begin
//! or end.
//!
//! They are found by search, and handed to `$escalate` and `$screen` by the one door: what follows is the programme's to say.
//! Not for: any rule. Two nodes may try the same one: the second finds nothing left to do.

use super::{Did, Worker};
use crate::access::{Ctx, Principal};
use crate::clock::Instant;
use crate::error::{Kind, Result};
use crate::fhir::resource::known;
use crate::fhir::{Json, json};
use crate::interaction::{Verb, Wire, route};
use crate::workflow::{consent, escalation};
use std::sync::atomic::Ordering;

/// Seconds between two screenings of all that is followed up.
const SCREEN_SECONDS: i64 = 86_400;
/// When all was screened last, in `setting`.
const MARK: &str = "screened-all";
/// When Consents were looked at last for those that have begun or ended, in `setting`.
const CONSENTS: &str = "consents-looked";
/// How far a look at Consents goes back behind the one before.
const MARGIN_SECONDS: i64 = 120;
/// Resources of one page.
const BATCH: usize = 100;
/// Pages of one look.
const MOST_PAGES: usize = 50;

impl Worker {
    pub(super) async fn overdue(&self, now: Instant) -> Result<Did> {
        let looked = Instant(self.overdue_looked.load(Ordering::Relaxed));
        if !self.looks(looked, now) {
            return Ok(Did::Nothing);
        }
        let ctx = Ctx {
            principal: Principal::rule_engine().into(),
            now,
            request_id: format!("overdue-{}", now.0).into(),
            base: self.engine.house().active().env.base.as_str().into(),
            address: None,
        };
        let before = now.to_seconds_text();
        let mut did = Did::Nothing;
        for query in [
            format!("Task?code=review-dtp&status=requested,received,accepted,in-progress&due=lt{before}"),
            format!("Task?code=close-episode&status=requested,received,accepted,in-progress&due=lt{before}"),
            format!(
                "Task?code=close-episode&status=rejected,failed,cancelled,entered-in-error&business-status=nobody-left&due=lt{before}"
            ),
            format!("CommunicationRequest?status=active&occurrence=lt{before}"),
        ] {
            for resource in self.all(&ctx, &query).await? {
                let programme = &self.engine.programme();
                if escalation::due_at(programme, &resource).is_some_and(|due| due <= now)
                    && self.call(&ctx, &resource, "$escalate").await?
                {
                    did = Did::Something;
                }
            }
        }
        if let Some(since) = self.looks_at_consents(now).await? {
            let (after, until) = (since.to_seconds_text(), now.to_seconds_text());
            // Those that have begun, and those that have ended; by the period of the whole, or of a provision inside.
            for query in [
                format!("Consent?status=active&period=sa{after}&period=le{until}"),
                format!("Consent?status=active&period=ge{after}&period=eb{until}"),
                format!("Consent?status=active&provision-period=sa{after}&provision-period=le{until}"),
                format!("Consent?status=active&provision-period=ge{after}&provision-period=eb{until}"),
            ] {
                for consent in self.all(&ctx, &query).await? {
                    // Of several periods one may have begun and another not: the search cannot tell.
                    if consent::turns(&self.engine.programme(), &consent, since, now) {
                        self.call(&ctx, &consent, "$escalate").await?;
                        did = Did::Something;
                    }
                }
            }
        }
        if self.screens_all(now).await? {
            for episode in self.all(&ctx, "EpisodeOfCare?status=active").await? {
                self.call(&ctx, &episode, "$screen").await?;
            }
            did = Did::Something;
        }
        self.overdue_looked.store(now.0, Ordering::Relaxed);
        Ok(did)
    }

    /// Whether all that is followed up is to be screened again; the mark says that it is.
    async fn screens_all(&self, now: Instant) -> Result<bool> {
        let store = &self.engine.house().store;
        let last = store.setting(MARK).await?.and_then(|m| m.parse().ok()).map(Instant);
        // A mark of the future was left by another clock.
        if last.is_some_and(|last| last <= now && last.plus_seconds(SCREEN_SECONDS) > now) {
            return Ok(false);
        }
        let mark = Mark { name: MARK, holder: self.id.clone(), now };
        Ok(store.write(mark).await? && last.is_some())
    }

    /// Since when Consents were not looked at for what time has made of them; `None`: another node looks. Two looks may
    /// find one Consent: the second changes nothing.
    async fn looks_at_consents(&self, now: Instant) -> Result<Option<Instant>> {
        let store = &self.engine.house().store;
        let last = store.setting(CONSENTS).await?.and_then(|m| m.parse().ok()).map(Instant);
        if last.is_some_and(|last| last <= now && last.plus_seconds(self.look_seconds) > now) {
            return Ok(None);
        }
        let since = |last: Instant| last.min(now).plus_seconds(-MARGIN_SECONDS - self.look_seconds);
        if self.is_blind_to_consents() {
            // What is found now is done now; the mark stays, and the look after the rows are there goes back to it.
            return Ok(last.map(since));
        }
        let mark = Mark { name: CONSENTS, holder: self.id.clone(), now };
        // What another node wrote while this one looked is seen at the next look: a margin, as clocks differ.
        Ok(if store.write(mark).await? { last.map(since) } else { None })
    }

    /// Whether rows are being made by which Consents are looked for: a search by them finds nothing until then.
    fn is_blind_to_consents(&self) -> bool {
        let active = self.engine.house().active();
        let param = |code| active.registry.param(known("Consent"), code);
        ["period", "provision-period", "status"].iter().any(|code| param(code).is_none_or(|p| p.building().is_some()))
    }

    /// All that a search finds, page after page.
    async fn all(&self, ctx: &Ctx, query: &str) -> Result<Vec<Json>> {
        let (path, query) = query.split_once('?').unwrap_or((query, ""));
        let mut next = format!("{query}&_count={BATCH}");
        let mut out = Vec::new();
        for _ in 0..MOST_PAGES {
            let found = match self.engine.handle(ctx, route(path, Wire::new(Verb::Get, &next))?).await {
                // The rows of a parameter are still being made.
                Err(error) if error.kind == Kind::Busy => return Ok(out),
                answer => json::parse(&answer?.body)?,
            };
            let entries = found["entry"].items().iter().filter(|e| e["search"]["mode"].text() == "match");
            out.extend(entries.map(|e| e["resource"].clone()));
            let link = found["link"].items().iter().find(|l| l["relation"].text() == "next");
            match link.and_then(|l| l["url"].text().split_once('?')) {
                Some((_, rest)) => next = rest.to_string(),
                None => break,
            }
        }
        Ok(out)
    }

    /// Calls an operation on a resource; whether it was carried out.
    async fn call(&self, ctx: &Ctx, resource: &Json, name: &str) -> Result<bool> {
        let path = format!("{}/{}/{name}", resource["resourceType"].text(), resource["id"].text());
        match self.engine.handle(ctx, route(&path, Wire::new(Verb::Post, ""))?).await {
            Ok(_) => Ok(true),
            // Ended or deleted meanwhile.
            Err(error) if matches!(error.kind, Kind::BusinessRule | Kind::Conflict | Kind::NotFound | Kind::Gone) => {
                tracing::debug!(%error, path, "nothing to do any more");
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }
}

struct Mark {
    /// Of the setting and the lease.
    name: &'static str,
    holder: String,
    now: Instant,
}

impl crate::store::Work for Mark {
    type Out = bool;

    fn run<'a>(&'a self, tx: &'a mut crate::store::Tx) -> futures_util::future::BoxFuture<'a, Result<bool>> {
        Box::pin(async move {
            if !tx.lease(self.name, &self.holder, self.now).await? {
                return Ok(false);
            }
            tx.set_setting(self.name, &self.now.0.to_string()).await?;
            Ok(true)
        })
    }
}
