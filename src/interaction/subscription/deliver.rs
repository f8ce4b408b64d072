//! One try: what a Subscription has not been told yet, found as its owner of now, and sent.
//!
//! What is sent is noted when the endpoint has taken it: a process that dies in between sends it again (at least once, in order, none left out). On
//! PostgreSQL what is looked at ends before the oldest write that still runs (decision 0004), so that nothing comes in behind.
//! Source: <https://hl7.org/fhir/R4/subscription.html>; security contract, leak path 15; own rules in `docs/subscriptions.md`.

use super::channel::pairs;
use super::keep::lines;
use super::notice::{Standing, bundle, status};
use super::wish::Wish;
use crate::access::scope::Action;
use crate::access::{Ctx, Limit, Principal};
use crate::clock::Instant;
use crate::config::Limits;
use crate::error::{Error, Kind, Result};
use crate::fhir::resource::known;
use crate::fhir::{Json, Target};
use crate::interaction::answer::Answer;
use crate::interaction::bundle::{Link, Writer};
use crate::interaction::caller::Caller;
use crate::interaction::request::{At, Body, Match, Media, Prefer, Request, When};
use crate::interaction::{Engine, unknown};
use crate::outbound::fetch::Refused;
use crate::search::plan::{Sort, SortBy};
use crate::search::{Cond, Plan};
use crate::store::subscription::Hook;
use crate::store::{Audit, Version};
use serde_json::json;

/// Minutes after the first, second … failure; the last one holds from then on.
const PAUSES: [i64; 8] = [1, 2, 5, 15, 30, 60, 120, 240];
/// How long an endpoint may fail, in seconds, before the Subscription is in error.
const PATIENCE: i64 = 3 * 86_400;
/// How far `seen` may lag behind what was looked at in vain, in seconds.
const LAG: i64 = 60;
/// Why a Subscription is off whose owner lost a right; it says no more than that.
const NO_RIGHT: &str = "whoever asked for it may not receive it as things are; ask for it again once that has changed";
/// The action of the audit row of a notification.
pub(in crate::interaction) const NOTIFICATION: &str = "notification";

/// What a try did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// There is nothing to tell up to this `version.pk`.
    Nothing(i64),
    /// Something was sent, or its status changed: there may be more.
    Something,
    /// It is not this process's turn, or the endpoint did not take it.
    Later,
}

impl Engine {
    /// One try for a Subscription. `from`: what was looked at before, at least `hook.seen`; `holder`: this process.
    ///
    /// # Errors
    /// What the database says; it is tried again.
    pub async fn tell(&self, hook: &Hook, from: i64, holder: &str) -> Result<Told> {
        self.in_force().tell_here(hook, from, holder).await
    }

    async fn tell_here(&self, hook: &Hook, from: i64, holder: &str) -> Result<Told> {
        let (house, now) = (self.house(), Instant::now());
        let at = Target::new(known("Subscription"), hook.id.as_str());
        let Some(version) = house.store.get(&Limit::Everything, &at).await?.filter(|v| !v.is_deleted()) else {
            return Ok(Told::Later);
        };
        let body = version.json()?;
        if hook.ends.0 != 0 && hook.ends <= now {
            return self.turn(&version, &body, "off", "its end is over, so nothing is sent").await;
        }
        let (mut ctx, _) = Caller::parse(&hook.caller)?.into_ctx(&house.keys)?;
        ctx.now = now;
        ctx.request_id = format!("notification-{}", uuid::Uuid::new_v4()).into();
        match self.still(&ctx.principal).await {
            Ok(principal) => ctx.principal = principal,
            Err(error) if error.kind == Kind::Forbidden => return self.turn(&version, &body, "off", NO_RIGHT).await,
            Err(error) => return Err(error),
        }
        let wish = match Wish::read(house, &ctx.principal, &body) {
            Ok(wish) => wish,
            Err(error) if error.kind == Kind::Forbidden => return self.turn(&version, &body, "off", NO_RIGHT).await,
            Err(error) if error.kind == Kind::Busy => return Ok(Told::Later),
            Err(error) => {
                let why = error.issues.first().map_or("", |i| i.diagnostics.as_str());
                return self.turn(&version, &body, "error", why).await;
            }
        };
        if hook.status == "requested" {
            return self.shake_hands(&version, &body, hook, &wish, holder).await;
        }
        let (told, upto) = match self.untold(&ctx, &wish, from).await {
            Ok(found) => found,
            Err(error) if error.kind == Kind::Busy => return Ok(Told::Later),
            Err(error) if error.kind.status() < 500 => {
                let why = error.issues.first().map_or("", |i| i.diagnostics.as_str());
                return self.turn(&version, &body, "error", why).await;
            }
            Err(error) => return Err(error),
        };
        if told.is_empty() {
            if upto.saturating_sub(hook.seen) > LAG * 1_000_000 && house.store.hold_hook(hook, holder, now).await? {
                house.store.end_hook(&Hook { seen: upto, ..hook.clone() }, holder, None).await?;
            }
            return Ok(Told::Nothing(upto));
        }
        if !house.store.hold_hook(hook, holder, now).await? {
            return Ok(Told::Later);
        }
        let events = hook.events + i64::try_from(told.len()).unwrap_or(0);
        let standing = Standing {
            base: &house.env.base,
            at: &at,
            topic: wish.topic.as_deref(),
            status: "active",
            kind: "event-notification",
            events,
            error: "",
        };
        let content = wish.channel.content;
        let notice = bundle(&standing, &told, content, now)?;
        let sent = self.post(hook, &wish, notice).await?;
        let mut row = Audit::of(&ctx, house.keys, NOTIFICATION, if sent.is_ok() { 200 } else { 504 });
        row.detail.on = at.to_string();
        if content != super::channel::Content::Empty {
            row.detail.seen = told.iter().map(|v| v.pk).collect();
        }
        match sent {
            Ok(()) => {
                let done = Hook {
                    seen: upto,
                    events,
                    failures: 0,
                    since: Instant(0),
                    due: Instant(0),
                    error: String::new(),
                    ..hook.clone()
                };
                house.store.end_hook(&done, holder, Some(row)).await?;
                tracing::debug!(subscription.id = hook.id, events = told.len(), "a notification was taken");
                Ok(Told::Something)
            }
            // It may have got there all the same.
            Err(refused) => self.failed(&version, &body, hook, (refused, &wish), holder, Some(row)).await,
        }
    }

    /// What was written after `from` that matches and the owner sees, oldest first, as much as one notification takes; and up to where that is all.
    async fn untold(&self, ctx: &Ctx, wish: &Wish, from: i64) -> Result<(Vec<Version>, i64)> {
        let (house, limit) = (self.house(), Limit::of(ctx));
        self.permit(ctx, Action::SearchType, Some(wish.rtype))?;
        self.permit(ctx, Action::Read, Some(wish.rtype))?;
        let read = self.read_search(ctx, wish.rtype, &wish.pairs, &limit).await?;
        let most = Limits::size(house.limits.subscription_entries).min(wish.channel.most.unwrap_or(usize::MAX));
        let plan = Plan {
            cond: Cond::All(vec![read.plan.cond, Cond::Updated { from: Some(from.saturating_add(1)), to: None }]),
            sort: vec![Sort { by: SortBy::Updated, descending: false }],
            count: most.max(1),
            total: false,
            ..read.plan
        };
        let moment = house.store.moment(&plan, None).await?;
        let newest = house.store.newest(wish.rtype, Some(&moment)).await?;
        if newest <= from {
            return Ok((Vec::new(), from));
        }
        let page = house.store.search_at(&limit, &plan, None, &moment).await?;
        let upto = match (page.rows.last(), &page.next) {
            (Some(last), Some(_)) => last.pk,
            (Some(last), None) => last.pk.max(newest),
            (None, _) => newest,
        };
        Ok((page.rows, upto))
    }

    /// The first message to an endpoint: only when it is taken anything else is sent there.
    async fn shake_hands(
        &self,
        version: &Version,
        body: &Json,
        hook: &Hook,
        wish: &Wish,
        holder: &str,
    ) -> Result<Told> {
        let (house, now) = (self.house(), Instant::now());
        if !house.store.hold_hook(hook, holder, now).await? {
            return Ok(Told::Later);
        }
        let standing = Standing {
            base: &house.env.base,
            at: &version.target,
            topic: wish.topic.as_deref(),
            status: "requested",
            kind: "handshake",
            events: hook.events,
            error: "",
        };
        let notice = bundle(&standing, &[], wish.channel.content, now)?;
        match self.post(hook, wish, notice).await? {
            Ok(()) => self.turn(version, body, "active", "").await,
            Err(refused) => self.failed(version, body, hook, (refused, wish), holder, None).await,
        }
    }

    async fn post(&self, hook: &Hook, wish: &Wish, notice: Json) -> Result<std::result::Result<(), Refused>> {
        let headers = pairs(&lines(hook)?);
        Ok(self
            .house()
            .caller()?
            .notify(&wish.channel.endpoint, &headers, notice.to_bytes(), wish.channel.seconds)
            .await)
    }

    /// Notes a failure: tried again after a while, and given up after days.
    async fn failed(
        &self,
        version: &Version,
        body: &Json,
        hook: &Hook,
        (refused, wish): (Refused, &Wish),
        holder: &str,
        row: Option<Audit>,
    ) -> Result<Told> {
        let now = Instant::now();
        let why = match refused {
            Refused::Timeout => format!("the endpoint did not answer within {} s", wish.channel.seconds),
            Refused::Status(status) => {
                format!("the endpoint answered {status}, and any 2xx is asked for; redirects are not followed")
            }
            other => format!("the endpoint was not called: {other}"),
        };
        let since = if hook.failures == 0 { now } else { hook.since };
        let failures = hook.failures + 1;
        let place = usize::try_from(hook.failures).unwrap_or(usize::MAX).min(PAUSES.len() - 1);
        let pause = PAUSES.get(place).copied().unwrap_or(60);
        let error = format!("{why}; tried {failures} times since {}", since.to_seconds_text());
        tracing::info!(subscription.id = hook.id, failures, "a notification was not taken");
        let is_over = since.plus_seconds(PATIENCE) <= now;
        let noted = Hook { failures, since, due: now.plus_seconds(60 * pause), error: error.clone(), ..hook.clone() };
        if self.house().store.end_hook(&noted, holder, row).await? && is_over {
            let text = format!(
                "{error}; nothing is sent any more. An update with status requested begins again where it stopped"
            );
            return self.turn(version, body, "error", &text).await;
        }
        Ok(Told::Later)
    }

    /// Moves a Subscription to another status, as the server, by the one door; who changed it meanwhile goes first.
    async fn turn(&self, version: &Version, body: &Json, status: &str, error: &str) -> Result<Told> {
        let house = self.house();
        let mut operations = vec![json!({"op": "add", "path": "/status", "value": status})];
        if !error.is_empty() {
            operations.push(json!({"op": "add", "path": "/error", "value": error}));
        } else if body.get("error").is_some() {
            operations.push(json!({"op": "remove", "path": "/error"}));
        }
        let ctx = Ctx {
            principal: Principal::rule_engine().into(),
            now: Instant::now(),
            request_id: format!("subscription-{}", uuid::Uuid::new_v4()).into(),
            base: house.env.base.as_str().into(),
            address: None,
        };
        let patch = Request::Patch {
            at: At::Id(version.target.clone()),
            body: Body::Tree(Json::from(serde_json::Value::from(operations))),
            media: Media::JsonPatch,
            when: When { if_match: Some(Match::Version(version.version)), ..When::default() },
            prefer: Prefer::Minimal,
        };
        match self.handle_entry(&ctx, patch).await {
            Ok(_) => Ok(Told::Something),
            Err(error)
                if matches!(error.kind, Kind::VersionMismatch | Kind::Gone | Kind::NotFound | Kind::Conflict) =>
            {
                Ok(Told::Later)
            }
            Err(error) => Err(error),
        }
    }

    /// `Subscription/{id}/$status`: how one stands, by its owner or an administrator.
    pub(in crate::interaction) async fn subscription_status(&self, ctx: &Ctx, at: &Target) -> Result<Answer> {
        let house = self.house();
        self.permit(ctx, Action::Read, Some(at.rtype))?;
        let version = match house.store.get(&Limit::of(ctx), at).await? {
            None => return Err(unknown(at)),
            Some(v) if v.is_deleted() => return Err(Error::gone(format!("{at} is deleted"))),
            Some(v) => v,
        };
        let body = version.json()?;
        let hook = house.store.hook(&at.id).await?;
        let topic = Some(body["criteria"].text()).filter(|t| t.starts_with("http"));
        let standing = Standing {
            base: &ctx.base,
            at,
            topic,
            status: body["status"].text(),
            kind: "query-status",
            events: hook.as_ref().map_or(0, |h| h.events),
            error: hook.as_ref().map_or("", |h| h.error.as_str()),
        };
        let status: Json = status(&standing, &[], super::channel::Content::Empty).into();
        let id = status["id"].text().to_owned();
        let answer =
            Version { target: Target::new(known("Parameters"), id), body: status.to_bytes().into(), ..version };
        let links = [Link { relation: "self", path: format!("{at}/$status"), query: Vec::new() }];
        let mut out = Writer::new(&ctx.base, "searchset", Some(1), &links, answer.body.len() + 200);
        out.found(&answer, &answer.body, "match");
        Ok(Answer::of(out.end()))
    }
}
