//! Operations that read along references: `$everything`, `$document`, `$lastn`.
//!
//! Every resource is read through the caller's limit, and of a type that the caller may search.
//! Not for: `_include` (`search/include.rs`), which follows search parameters.

pub(super) mod document;
mod everything;
mod lastn;

use super::House;
use crate::access::Limit;
use crate::access::policy::{Decision, Judge};
use crate::access::scope::Action;
use crate::error::{Error, Result};
use crate::fhir::bundle::each_reference;
use crate::fhir::{Json, ResourceType, Target};
use crate::search::Active;
use crate::search::registry::sources;
use crate::store::{Store, Tx, Version};
use std::collections::HashSet;

/// Where resources are read: as they are committed, or inside a transaction with what it has written.
pub(in crate::interaction) enum Shelf<'a> {
    Store(&'a Store),
    Tx(&'a mut Tx),
}

impl Shelf<'_> {
    /// Current versions, in the order asked; `None` where unknown or not visible.
    async fn get_many(&mut self, limit: &Limit, targets: &[Target]) -> Result<Vec<Option<Version>>> {
        match self {
            Self::Store(store) => store.get_many(limit, targets).await,
            Self::Tx(tx) => tx.get_many(limit, targets).await,
        }
    }
}

/// Follows references from resources to others.
struct Follow<'a> {
    house: &'a House,
    active: &'a Active,
    limit: &'a Limit,
    judge: &'a Judge<'a>,
    /// Whose record it is: nothing of another patient's is followed.
    patient: Option<&'a Target>,
}

impl Follow<'_> {
    fn may(&self, rtype: ResourceType) -> bool {
        self.judge.decide(Action::SearchType, Some(rtype)) == Decision::Permit
    }

    /// Whether a resource is no patient's, or this patient's.
    fn is_ours(&self, found: &Version) -> Result<bool> {
        if is_common(found.target.rtype) {
            return Ok(true);
        }
        let Some(patient) = self.patient else { return Ok(false) };
        Ok(found.target == *patient || owners(self.active, &found.json()?).contains(patient))
    }

    /// What the resources refer to, and what that refers to, each once, in bounded rounds.
    ///
    /// # Errors
    /// `too-costly` over the limit of included resources.
    async fn all(&self, shelf: &mut Shelf<'_>, from: &[Version], mut seen: HashSet<Target>) -> Result<Vec<Version>> {
        let most = usize::try_from(self.house.limits.included_max).unwrap_or(usize::MAX);
        let mut found: Vec<Version> = Vec::new();
        let mut next: Vec<Version> = from.to_vec();
        for round in 0..self.house.limits.include_depth {
            let mut wanted = Vec::new();
            for source in &next {
                wanted.extend(self.named(&source.json()?, round > 0).into_iter().filter(|t| seen.insert(t.clone())));
            }
            next = Vec::new();
            // Few at a time: a list of thousands is refused before it is read.
            for some in wanted.chunks(200) {
                let current = shelf.get_many(self.limit, some).await?;
                for version in current.into_iter().flatten().filter(|v| !v.is_deleted()) {
                    if self.is_ours(&version)? {
                        next.push(version);
                    }
                }
                if found.len() + next.len() > most {
                    return Err(Error::too_costly(format!(
                        "the page refers to more than {most} other resources (limit included-max); ask for a smaller _count"
                    )));
                }
            }
            if next.is_empty() {
                break;
            }
            found.extend(next.iter().cloned());
        }
        Ok(found)
    }

    /// Resources of this server that a resource names, of types that the caller may read. `plain`: not by extensions, which say
    /// what a site works with, such as the pharmacies of a hospital.
    fn named(&self, json: &Json, plain: bool) -> Vec<Target> {
        let mut out = Vec::new();
        each_reference(json, &mut |path, text| {
            if let Some(target) = local(text, &self.active.env.base)
                && self.may(target.rtype)
                && !(plain && path.to_string().contains("xtension["))
            {
                out.push(target);
            }
        });
        out
    }
}

/// The resource of this server that a reference leads to.
fn local(text: &str, base: &str) -> Option<Target> {
    let own = text.strip_prefix(base).and_then(|rest| rest.strip_prefix('/')).unwrap_or(text);
    Target::parse(own)
}

/// Whether resources of a type are in no patient's compartment.
fn is_common(rtype: ResourceType) -> bool {
    let patient = crate::fhir::resource::known("Patient");
    rtype != patient && sources(patient, rtype).is_empty()
}

/// The patients in whose compartment a resource is.
pub(super) fn owners(active: &Active, json: &Json) -> Vec<Target> {
    let patient = crate::fhir::resource::known("Patient");
    let Some(rtype) = ResourceType::parse(json["resourceType"].text()) else { return Vec::new() };
    let codes = sources(patient, rtype).iter();
    let all = codes.flat_map(|code| active.registry.references(json, code, &active.env));
    all.filter(|target| target.rtype == patient).collect()
}
