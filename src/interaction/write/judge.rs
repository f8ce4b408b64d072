//! Whether one write may be done, given what is stored now: preconditions, access, the programme's rules.
//!
//! Source: <https://hl7.org/fhir/R4/http.html#concurrency>, `#upsert`; who may change what: `profiles/policy`.

use super::ask::{Ask, Where};
use super::commit::Commit;
use super::outward::Which;
use super::prepare::{Ready, patched};
use super::resolve::Links;
use crate::access::limit::DIRECTORY;
use crate::access::scope::Action;
use crate::access::{Limit, Role};
use crate::error::{Error, Result};
use crate::fhir::patch::meta;
use crate::fhir::resource::known;
use crate::fhir::{Json, Target};
use crate::interaction::request::Match;
use crate::interaction::{subscription, unknown};
use crate::store::{Method, Tx, Version};
use crate::workflow::{self, Condition};
use std::borrow::Cow;

/// One write inside the transaction.
pub(super) struct Step<'a> {
    pub(super) ask: &'a Ask,
    pub(super) target: &'a Target,
    pub(super) before: Option<Version>,
    pub(super) ready: Option<Cow<'a, Ready>>,
    /// The tree of `before`, where that is no deletion.
    pub(super) was: Option<Json>,
}

/// What a conditional update that matches nothing would make is there already: it is not what the criteria ask for.
///
/// Source: <https://hl7.org/fhir/R5/http.html#cond-update>; R4 does not say.
pub(super) fn taken(target: &Target) -> Error {
    let text = format!(
        "the criteria match no resource, and {target} is there already and would be overwritten; leave the id out of the body, or \
         update it by its id"
    );
    Error::conflict(text).at(format!("{}.id", target.rtype))
}

impl Commit {
    /// Preconditions, access and the programme's rules of one write. `None`: a delete that has nothing to do.
    pub(super) async fn judge<'a>(
        &'a self,
        tx: &mut Tx,
        ask: &'a Ask,
        target: &'a Target,
        before: Option<Version>,
        prepared: (&Links, Option<&'a Ready>),
    ) -> Result<Option<Step<'a>>> {
        let (links, ready) = prepared;
        let current = before.as_ref().filter(|v| !v.is_deleted());
        if ask.method == Method::Delete && current.is_none() {
            return match ask.when.if_match {
                Some(want) if !holds(want, before.as_ref()) => Err(stale(want, before.as_ref())),
                _ => Ok(None),
            };
        }
        // A conditional update that matches nothing, of a body without an id: whoever may create may do that.
        let is_drawn_here = target.id == ask.fresh_id;
        if before.is_none() && !is_drawn_here && !matches!(ask.at, Where::New(..)) {
            self.may_make(tx, ask, target).await?;
        }
        if let Some(want) = ask.when.if_match
            && !holds(want, before.as_ref())
        {
            return Err(match current {
                Some(now) => lost(want, now, workflow::standing(&self.ctx, &now.json()?)),
                None => stale(want, before.as_ref()),
            });
        }
        if ask.when.if_none && current.is_some() {
            return Err(Error::version_mismatch(format!(
                "{target} exists already, and If-None-Match: * asks that it does not"
            )));
        }
        if ask.method == Method::Patch && current.is_none() {
            return Err(Error::gone(format!("{target} is deleted; PUT it to bring it back")));
        }
        if let Some(before) = &before {
            self.may_change(ask.method, before)?;
        }
        let ready = match (ask.method, ready) {
            (Method::Delete, _) => None,
            (Method::Patch, Some(ready)) if ready.base == before.as_ref().map(|v| v.pk) => Some(Cow::Borrowed(ready)),
            (Method::Patch, _) => match &before {
                Some(before) => {
                    let which = Which::of(&self.house, &Limit::of(&self.ctx));
                    Some(Cow::Owned(patched(&self.ctx, &self.house, which, links, ask, before)?))
                }
                None => return Err(unknown(target)),
            },
            (_, Some(ready)) => Some(Cow::Borrowed(ready)),
            (_, None) => return Err(Error::fault("a write without a prepared body")),
        };
        let was = match &before {
            Some(v) if !v.is_deleted() => Some(v.json()?),
            _ => None,
        };
        let ready = self.keep_labels(ask, target, was.as_ref(), ready);
        if let (Some(was), Some(ready)) = (&was, &ready) {
            match (workflow::condition(&self.ctx, was, &ready.json), ask.when.if_match) {
                (Condition::Version, None | Some(Match::Any)) => return Err(workflow::needs_version()),
                (Condition::Any, None) => return Err(workflow::needs_match()),
                _ => {}
            }
        }
        let ready = self.by_the_rules(ask, target, was.as_ref(), ready)?;
        let ready = match ready {
            None => None,
            Some(ready) => {
                self.within_token(target, &ready)?;
                Some(self.keep_protection(target, before.as_ref(), was.as_ref(), ready)?)
            }
        };
        let ready = match ready {
            _ if target.rtype != known("Subscription") => ready,
            None => {
                tx.remove_hook(&target.id).await?;
                None
            }
            Some(ready) => {
                let body = subscription::keep(&self.ctx, &self.house, tx, target, was.as_ref(), &ready.json).await?;
                let (refs, noticed) = (ready.refs.clone(), ready.noticed.clone());
                Some(Cow::Owned(Ready { refs, noticed, ..Ready::new(&self.house, body, target) }))
            }
        };
        Ok(Some(Step { ask, target, before, ready, was }))
    }

    /// An update keeps the tags and security labels of the version it replaces.
    fn keep_labels<'a>(
        &self,
        ask: &Ask,
        target: &Target,
        was: Option<&Json>,
        ready: Option<Cow<'a, Ready>>,
    ) -> Option<Cow<'a, Ready>> {
        let (Some(was), Some(sent), Method::Put) = (was, &ready, ask.method) else { return ready };
        match meta::kept(&sent.json, was) {
            Some(body) => Some(Cow::Owned(Ready { refs: sent.refs.clone(), ..Ready::new(&self.house, body, target) })),
            None => ready,
        }
    }

    /// The programme's judgement, and what it alone writes. A create was judged when it was prepared, unless it came under
    /// an id of the client's.
    fn by_the_rules<'a>(
        &self,
        ask: &Ask,
        target: &Target,
        was: Option<&Json>,
        ready: Option<Cow<'a, Ready>>,
    ) -> Result<Option<Cow<'a, Ready>>> {
        if ask.method == Method::Post {
            return Ok(ready);
        }
        let programme = &self.house.programme;
        workflow::guard(&self.ctx, programme, was, ready.as_ref().map(|r| &*r.json))?;
        let Some(ready) = ready else { return Ok(None) };
        // Only Tasks hold elements that the server alone writes.
        if target.rtype != known("Task") {
            return Ok(Some(ready));
        }
        let mut body = (*ready.json).clone();
        workflow::stamp(&self.ctx, programme, was, &mut body);
        Ok(Some(if body == *ready.json {
            ready
        } else {
            // What the server itself writes leads to what it found.
            Cow::Owned(Ready {
                refs: ready.refs.clone(),
                noticed: ready.noticed.clone(),
                ..Ready::new(&self.house, body, target)
            })
        }))
    }

    /// A token of one patient, or of some categories, writes nothing else: what is stored was judged when it was read.
    fn within_token(&self, target: &Target, ready: &Ready) -> Result<()> {
        let Some(sieve) = &self.ctx.principal.sieve else { return Ok(()) };
        let self_key = self.house.keys.target(target.rtype.as_str(), &target.id);
        if DIRECTORY.contains(&target.rtype.as_str()) || sieve.lets(target.rtype, self_key, &ready.rows.exact) {
            return Ok(());
        }
        Err(Error::forbidden(format!(
            "the token's scopes reach no {} such as this: it is of another patient, or of a kind that they leave out",
            target.rtype
        )))
    }

    /// Whether the caller may make a resource under an id of its own choice.
    async fn may_make(&self, tx: &mut Tx, ask: &Ask, target: &Target) -> Result<()> {
        let free = matches!(self.ctx.principal.role, Role::SuperUser | Role::RuleEngine | Role::Admin);
        // One text for "not there" and "not yours", and the same as a read's: an id must not tell.
        if ask.method == Method::Patch || !free {
            let lost = workflow::lost(&self.ctx, tx, target, ask.when.version()).await?;
            return Err(lost.unwrap_or_else(|| unknown(target)));
        }
        if let Some(want) = ask.when.if_match {
            return Err(stale(want, None));
        }
        match tx.get(&Limit::Everything, target).await? {
            Some(_) => Err(unknown(target)),
            None => Ok(()),
        }
    }

    /// Rows of another organisation that are shared with the caller are changed only where the matrix says so.
    fn may_change(&self, method: Method, before: &Version) -> Result<()> {
        let principal = &self.ctx.principal;
        if before.org == 0 || (principal.org.is_some() && self.house.owns(principal, before.org)) {
            return Ok(());
        }
        let action = match method {
            Method::Delete => Action::Delete,
            Method::Patch => Action::Patch,
            Method::Put | Method::Post => Action::Update,
        };
        if self.house.policy.judge(principal).may_change_shared(action, before.target.rtype) {
            return Ok(());
        }
        let text = format!("{} belongs to another organisation and is shared for reading only", before.target);
        Err(Error::forbidden(text))
    }
}

/// Whether `If-Match` holds. A deletion is a version too, and no current one.
fn holds(want: Match, before: Option<&Version>) -> bool {
    match want {
        Match::Any => before.is_some_and(|v| !v.is_deleted()),
        Match::Version(want) => before.is_some_and(|v| v.version == want),
    }
}

fn asked(want: Match) -> String {
    match want {
        Match::Any => "that there is a version".into(),
        Match::Version(want) if want > 0 => format!("for version {want}"),
        Match::Version(_) => "for what is no version of Baton's".into(),
    }
}

fn stale(want: Match, current: Option<&Version>) -> Error {
    let now = match current {
        None => "there is none".to_owned(),
        Some(v) if v.is_deleted() => format!("it is deleted, by version {}", v.version),
        Some(v) => format!("it is version {}", v.version),
    };
    let asked = asked(want);
    Error::version_mismatch(format!("If-Match asks {asked} and {now}; read it again and repeat the change"))
}

/// The same of what is there, with what the programme says about it: a race for a Task was lost.
fn lost(want: Match, now: &Version, standing: Option<&str>) -> Error {
    let Some(standing) = standing else { return stale(want, Some(now)) };
    let (asked, version) = (asked(want), now.version);
    let text = format!("If-Match asks {asked} and it is version {version}: {standing}; read it again");
    Error::version_mismatch(text)
}
