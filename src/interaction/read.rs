//! read and vread.
//!
//! Source: <https://hl7.org/fhir/R4/http.html#read>, `#vread`, `#cread`.

use super::answer::{Answer, Done, Stamp};
use super::audit::shown;
use super::published;
use super::request::Unless;
use super::subset::{Subset, redact};
use super::{Engine, unknown};
use crate::access::limit::DIRECTORY;
use crate::access::scope::Action;
use crate::access::{Ctx, Limit, Sieve};
use crate::clock::Instant;
use crate::error::{Error, Result};
use crate::fhir::resource::known;
use crate::fhir::{Json, Target};
use crate::store::Version;

impl Engine {
    pub(super) async fn read(&self, ctx: &Ctx, target: Target, unless: &Unless, query: &str) -> Result<Answer> {
        if !ctx.principal.is(&target) {
            self.permit(ctx, Action::Read, Some(target.rtype))?;
        }
        let found = match self.house().store.get(&Limit::of(ctx), &target).await? {
            None => self.by_context(ctx, &target, None).await?,
            found => found,
        };
        let Some(version) = found else {
            let (house, active) = (self.house(), self.house().active());
            let published = published::at(house, &active, &target).ok_or_else(|| unknown(&target))?;
            return self.resource(ctx, published::version(published), query);
        };
        if version.is_deleted() {
            return Err(gone(&version));
        }
        if unless.has(version.version, version.pk) {
            let seen = shown([&version]);
            return Ok(Answer { stamp: Some(stamp(&version)), seen, ..Answer::empty(Done::NotModified) });
        }
        self.resource(ctx, version, query)
    }

    pub(super) async fn vread(&self, ctx: &Ctx, target: Target, version: &str, query: &str) -> Result<Answer> {
        self.resource(ctx, self.version(ctx, &target, version).await?, query)
    }

    /// A version of a resource, by its number as sent.
    pub(super) async fn version(&self, ctx: &Ctx, target: &Target, version: &str) -> Result<Version> {
        self.permit(ctx, Action::VRead, Some(target.rtype))?;
        let no_such = || Error::not_found(format!("{target} has no such version"));
        // Version ids are our numbers; everything else cannot be there.
        let number = version.parse::<i64>().ok().filter(|n| *n > 0 && n.to_string() == version).ok_or_else(no_such)?;
        let store = &self.house().store;
        let found = match store.get_version(&Limit::of(ctx), target, number).await? {
            None => self.by_context(ctx, target, Some(number)).await?,
            found => found,
        };
        let found = found.ok_or_else(no_such)?;
        if found.is_deleted() {
            return Err(gone(&found));
        }
        Ok(found)
    }

    /// A Binary that is not the caller's, by the resource that its `securityContext` names: who may read that may read the Binary. An old
    /// version is judged by its own and by the newest. What is for all (the directory) opens nothing (own rule).
    ///
    /// Source: <https://hl7.org/fhir/R4/binary.html#security-context>.
    async fn by_context(&self, ctx: &Ctx, target: &Target, number: Option<i64>) -> Result<Option<Version>> {
        if target.rtype != known("Binary") {
            return Ok(None);
        }
        let (store, limit) = (&self.house().store, Limit::of(ctx));
        let Limit::Organization { sieve, .. } = &limit else { return Ok(None) };
        let newest = store.get(&Limit::Everything, target).await?;
        let asked = match number {
            None => newest.clone(),
            Some(number) => store.get_version(&Limit::Everything, target, number).await?,
        };
        let mut is_seen = true;
        for version in [&newest, &asked] {
            let context = match version {
                Some(version) if !version.is_deleted() && Sieve::clears(sieve.as_ref(), version.labels) => {
                    context(&version.json()?, &self.house().env.base)
                }
                _ => None,
            };
            let context =
                context.filter(|c| self.permit(ctx, Action::Read, Some(c.rtype)).is_ok() || ctx.principal.is(c));
            // Of what never was as much is asked: the time that it takes tells nothing.
            let found = store.get(&limit, context.as_ref().unwrap_or(target)).await?;
            is_seen &= context.is_some() && found.is_some_and(|v| !v.is_deleted());
        }
        Ok(asked.filter(|_| is_seen))
    }

    fn resource(&self, ctx: &Ctx, mut version: Version, query: &str) -> Result<Answer> {
        redact(&self.house().policy.judge(&ctx.principal), std::slice::from_mut(&mut version))?;
        let (stamp, seen) = (Some(stamp(&version)), shown([&version]));
        let body = if query.is_empty() { version.body } else { Subset::of_query(query)?.apply(version.body)? };
        Ok(Answer { done: Done::Ok, body, stamp, location: None, media: None, seen })
    }
}

/// What a Binary's `securityContext` names here, but for the directory.
fn context(binary: &Json, base: &str) -> Option<Target> {
    let text = binary["securityContext"]["reference"].as_str()?;
    let local = text.strip_prefix(base).and_then(|rest| rest.strip_prefix('/')).unwrap_or(text);
    Target::parse(local).filter(|target| !DIRECTORY.contains(&target.rtype.as_str()))
}

/// ETag and Last-Modified of a version.
pub(super) fn stamp(version: &Version) -> Stamp {
    Stamp { version: version.version, updated: Instant(version.pk) }
}

fn gone(version: &Version) -> Error {
    Error::gone(format!(
        "{} was deleted at {} (version {}); its history still has it",
        version.target,
        Instant(version.pk),
        version.version
    ))
}
