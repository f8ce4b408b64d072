//! read and vread.
//!
//! Source: <https://hl7.org/fhir/R4/http.html#read>, `#vread`, `#cread`.

use super::answer::{Answer, Done, Stamp};
use super::audit::shown;
use super::published;
use super::request::Unless;
use super::subset::{Subset, redact};
use super::{Engine, unknown};
use crate::access::scope::Action;
use crate::access::{Ctx, Limit};
use crate::clock::Instant;
use crate::error::{Error, Result};
use crate::fhir::Target;
use crate::store::Version;

impl Engine {
    pub(super) async fn read(&self, ctx: &Ctx, target: Target, unless: &Unless, query: &str) -> Result<Answer> {
        if !ctx.principal.is(&target) {
            self.permit(ctx, Action::Read, Some(target.rtype))?;
        }
        let Some(version) = self.house().store.get(&Limit::of(ctx), &target).await? else {
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
        let found = store.get_version(&Limit::of(ctx), target, number).await?.ok_or_else(no_such)?;
        if found.is_deleted() {
            return Err(gone(&found));
        }
        Ok(found)
    }

    fn resource(&self, ctx: &Ctx, mut version: Version, query: &str) -> Result<Answer> {
        redact(&self.house().policy.judge(&ctx.principal), std::slice::from_mut(&mut version))?;
        let (stamp, seen) = (Some(stamp(&version)), shown([&version]));
        let body = if query.is_empty() { version.body } else { Subset::of_query(query)?.apply(version.body)? };
        Ok(Answer { done: Done::Ok, body, stamp, location: None, media: None, seen })
    }
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
