//! Patients whose record a query is about, whatever it finds: a count shows nobody, and none found says something of who was asked for.
//!
//! Not for: patients of what was found (`tell.rs`).
//! Source: security contract section 4: one event per patient in context or result.

use super::Asked;
use crate::access::{Ctx, Limit};
use crate::error::Result;
use crate::fhir::resource::{is_id, known};
use crate::fhir::{ResourceType, Target};
use crate::interaction::Engine;
use crate::interaction::answer::Answer;
use crate::search::query::{pairs, text::split};
use crate::search::{Active, ParamType};
use crate::store::audit::said::{Deed, target};
use std::collections::BTreeSet;

impl Engine {
    /// Adds the patients in context to what a query has shown, as far as the caller may know of them.
    ///
    /// # Errors
    /// What the database says: what cannot be put on record is not answered.
    pub(in crate::interaction) async fn with_context(
        &self,
        ctx: &Ctx,
        asked: &Asked,
        answer: &mut Answer,
    ) -> Result<()> {
        // Who looks at the audit of a patient is on record with the query, and adds nothing to what they look at.
        let is_audit = asked.rtype.is_some_and(|t| t.as_str() == "AuditEvent");
        if asked.has_row || is_audit || !asked.is_of_patients() || Deed::of(&asked.action) != Deed::Query {
            return Ok(());
        }
        let named = asked.patients(ctx, &self.house().active());
        // What was found of the one that it names tells of that one.
        if named.is_empty() || (named.len() == 1 && !answer.seen.is_empty()) {
            return Ok(());
        }
        let named: Vec<Target> = named.into_iter().collect();
        let known = self.house().store.get_many(&Limit::of(ctx), &named).await?;
        for version in known.into_iter().flatten().filter(|v| !v.is_deleted()) {
            if !answer.seen.contains(&version.pk) {
                answer.seen.push(version.pk);
            }
        }
        Ok(())
    }
}

impl Asked {
    /// The patient of the token, the owner of the compartment, and those that criteria name.
    fn patients(&self, ctx: &Ctx, active: &Active) -> BTreeSet<Target> {
        let patient = known("Patient");
        let mut out: BTreeSet<Target> = target(&self.on).filter(|t| t.rtype == patient).into_iter().collect();
        out.extend(ctx.principal.patient.iter().map(|id| Target::new(patient, id.as_str())));
        for (name, value) in self.query.as_deref().and_then(|q| pairs(q).ok()).unwrap_or_default() {
            let (code, modifier) = name.split_once(':').map_or((name.as_str(), None), |(c, m)| (c, Some(m)));
            if !leads_to_patients(active, self.rtype, code, modifier) {
                continue;
            }
            for value in split(&value, ',') {
                let value = value.strip_prefix(&*active.env.base).map_or(value, |rest| rest.trim_start_matches('/'));
                match Target::parse(value) {
                    Some(at) => out.extend((at.rtype == patient).then_some(at)),
                    // An id alone: where it is no patient's, none is found.
                    None if is_id(value) => drop(out.insert(Target::new(patient, value))),
                    None => {}
                }
            }
        }
        out
    }
}

/// Whether the values of a parameter may be patients.
fn leads_to_patients(active: &Active, rtype: Option<ResourceType>, code: &str, modifier: Option<&str>) -> bool {
    let patient = known("Patient");
    if code == "_id" {
        return rtype == Some(patient) && modifier.is_none();
    }
    // Of a search over all types: those that have a patient have one as an Observation has.
    let param = active.registry.param(rtype.unwrap_or(known("Observation")), code);
    param.is_some_and(|p| p.kind == ParamType::Reference && p.targets.contains(&patient))
        && matches!(modifier, None | Some("Patient"))
}
