//! `Patient/{id}/$access-report`: who saw or changed what of a patient, and to whom it was disclosed.
//!
//! Not for: what a line says (`audit/report.rs`). Reads only; that it was asked for is on record, too.
//! Source: own operation; HIPAA 164.528 (accounting of disclosures), the security contract, section 4. Own rules: an auditor
//! asks of any id and gets what they may see; a patient asks of themselves and gets what was done in every organisation.

use super::Input;
use super::report::HTML;
use crate::access::scope::Action;
use crate::access::{Ctx, Limit, Role};
use crate::error::{Error, Issue, Result, Severity};
use crate::fhir::resource::known;
use crate::fhir::{Json, Target};
use crate::interaction::answer::Answer;
use crate::interaction::audit::report::{self, MOST};
use crate::interaction::bundle::{Link, Writer};
use crate::interaction::{Engine, unknown};
use crate::search::query::{self, Handling};
use crate::store::Version;

impl Engine {
    /// `page`: what `report::page_of` says.
    pub(super) async fn access_report(
        &self,
        ctx: &Ctx,
        at: &Target,
        input: &Input,
        page: Option<&'static str>,
    ) -> Result<Answer> {
        let is_patient = ctx.principal.role == Role::Patient;
        let limit = if is_patient {
            self.permit(ctx, Action::Read, Some(at.rtype))?;
            if ctx.principal.scopes.as_ref().is_some_and(|s| !s.allows(Action::SearchType, Some(known("AuditEvent")))) {
                let text = "the token's scopes do not reach the audit; ask for patient/AuditEvent.rs";
                return Err(Error::forbidden(text));
            }
            if ctx.principal.patient.as_deref() != Some(at.id.as_str()) {
                return Err(unknown(at));
            }
            Limit::Everything
        } else {
            self.permit(ctx, Action::SearchType, Some(known("AuditEvent")))?;
            Limit::of(ctx)
        };
        if page.is_some_and(|page| page != HTML) {
            return Err(Error::not_acceptable("the access report is a page or JSON: ask for text/html and print it"));
        }
        let mut pairs = vec![("patient".to_owned(), at.to_string()), ("_sort".to_owned(), "-date".to_owned())];
        let mut asked = Vec::new();
        for (name, prefix) in [("start", "ge"), ("end", "le")] {
            if let Some(day) = input.text(name) {
                pairs.push(("date".into(), format!("{prefix}{day}")));
                asked.push((name.to_owned(), day.to_owned()));
            }
        }
        if input.is("disclosures") {
            pairs.push(("type".into(), report::DISCLOSED.into()));
            asked.push(("disclosures".into(), "true".into()));
        }
        let house = self.house();
        let active = house.active();
        let types = [known("AuditEvent")];
        let mut plan = query::parse(&active.registry, &house.keys, &types, &pairs, &active.env, Handling::Strict)?.plan;
        (plan.count, plan.total) = (MOST, true);
        let found = house.store.search(&limit, &plan, None).await?;
        let mut events: Vec<Json> = found.rows.iter().map(Version::json).collect::<Result<_>>()?;
        if is_patient {
            let behind = self.behind_labels(ctx, &events).await?;
            events = events.iter().map(|e| report::for_patient(e, &behind)).collect();
        }
        if page.is_some() {
            let lines = report::lines(&house.store, &events).await?;
            let body = report::html(at, &lines, found.total).into_bytes();
            return Ok(Answer { media: Some(HTML), ..Answer::of(body) });
        }
        let links = [Link { relation: "self", path: format!("{at}/$access-report"), query: asked }];
        let mut out = Writer::new(&ctx.base, "searchset", found.total, &links, events.len() * 1600);
        for (version, event) in found.rows.iter().zip(&events) {
            let version = Version { body: event.to_bytes().into(), ..version.clone() };
            out.found(&version, &version.body, "match");
        }
        if let Some(text) = report::cut(found.total) {
            out.warnings(&[Issue { severity: Severity::Warning, ..Issue::error("incomplete", "", text) }]);
        }
        Ok(Answer::of(out.end()))
    }

    /// Resources of events that have security labels which the caller is not cleared for.
    async fn behind_labels(&self, ctx: &Ctx, events: &[Json]) -> Result<Vec<String>> {
        let hidden = ctx.principal.sieve.as_ref().map_or(0, |s| s.hidden);
        if hidden == 0 {
            return Ok(Vec::new());
        }
        let named = events.iter().flat_map(|e| e["entity"].items()).map(|e| e["what"]["reference"].text());
        let mut named: Vec<Target> = named.filter_map(Target::parse).collect();
        named.sort_unstable();
        named.dedup();
        let found = self.house().store.get_many(&Limit::Everything, &named).await?;
        Ok(found.iter().flatten().filter(|v| v.labels & hidden != 0).map(|v| v.target.to_string()).collect())
    }
}
