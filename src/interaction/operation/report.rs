//! `Encounter/{id}/$handoff-report`: the report of what the caller may see, as a document, a page, a PDF, or the patient's list.
//!
//! Not for: what it says (`workflow/report`). GET tells; POST puts it on record first, prepared or attested.
//! Source: own operation, described in `profiles/protocol/README.md`.

use super::Input;
use super::table::{Kind, Read};
use crate::access::policy::Decision;
use crate::access::scope::Action;
use crate::access::{Ctx, Limit, Principal, Sieve};
use crate::error::{Error, Result};
use crate::fhir::resource::known;
use crate::fhir::{Json, ResourceType, Target};
use crate::interaction::answer::Answer;
use crate::interaction::request::{Body, Operation};
use crate::interaction::{Engine, House, unknown};
use crate::search::query::pairs;
use crate::search::{Cond, Plan};
use crate::store::{Audit, Tx, Work};
use crate::workflow::report::{Report, document, page, patient, pdf};
use crate::workflow::{self, element};
use futures_util::future::BoxFuture;
use serde_json::json;
use std::sync::Arc;

/// How many resources of a patient are read: the newest.
const MOST: usize = 1000;

/// What a report is made of.
const TYPES: [&str; 9] = [
    "AllergyIntolerance",
    "Composition",
    "Condition",
    "List",
    "MedicationAdministration",
    "MedicationDispense",
    "MedicationRequest",
    "MedicationStatement",
    "Task",
];

/// The page that a query's `_format` asks for in place of JSON.
pub(super) fn page_of(query: &str) -> Result<Option<&'static str>> {
    if !query.contains("_format") {
        return Ok(None);
    }
    let asked = pairs(query)?.into_iter().rfind(|(name, _)| name == "_format").map(|(_, value)| value);
    Ok(match asked.as_deref() {
        Some("html" | "text/html") => Some(HTML),
        Some("pdf" | "application/pdf") => Some(PDF),
        _ => None,
    })
}

pub(super) const HTML: &str = "text/html; charset=utf-8";
const PDF: &str = "application/pdf";

impl Engine {
    /// `page`: what [`page_of`] says.
    pub(super) async fn report(
        &self,
        ctx: &Ctx,
        at: &Target,
        input: &Input,
        page: Option<&'static str>,
        is_get: bool,
    ) -> Result<Answer> {
        self.may_report(ctx, input, is_get)?;
        let for_patient = match input.text("audience") {
            None | Some("pharmacy") => false,
            Some("patient") => true,
            Some(_) => return Err(Error::invalid("audience is 'pharmacy' or 'patient'").at(input.place("audience"))),
        };
        let attests = input.is("attest");
        if !is_get {
            // What is put on record says nothing of what has security labels, whoever puts it there.
            let report = self.gather(ctx, at, true).await?;
            if report.list["meta"]["versionId"].is_null() {
                let text = "there is no reconciled list to report; POST $reconcile first";
                return Err(Error::business_rule(text).at("Encounter"));
            }
            let prepare = Prepare { house: Arc::clone(&self.0), ctx: ctx.clone(), report, attests };
            self.house().store.write(prepare).await?;
        }
        let mut report = self.gather(ctx, at, false).await?;
        report.is_limited = ctx.principal.sieve.as_ref().is_some_and(|s| s.hidden != 0);
        let programme = &self.house().programme;
        let paged = |body: Vec<u8>, media| Answer { media: Some(media), ..Answer::of(body) };
        if for_patient {
            if page == Some(PDF) {
                return Err(Error::not_acceptable("the patient's list is a page: ask for text/html and print it"));
            }
            let language = patient::language(programme, &report, input.text("language"));
            return Ok(paged(patient::html(programme, &report, &language).into_bytes(), HTML));
        }
        Ok(match page {
            Some(HTML) => paged(page::html(&report).into_bytes(), HTML),
            Some(_) => paged(pdf::pdf(&report), PDF),
            None => Answer::of(document::bundle(programme, &report).to_bytes()),
        })
    }

    /// GET tells who may read stay and list. POST writes, which the token must cover: who may do that, the programme's rules say.
    pub(super) fn may_report(&self, ctx: &Ctx, input: &Input, is_get: bool) -> Result<()> {
        self.permit(ctx, Action::Read, Some(known("Encounter")))?;
        self.permit(ctx, Action::Read, Some(known("List")))?;
        match (is_get, input.is("attest")) {
            (true, true) => Err(Error::method_not_allowed("$handoff-report with attest=true writes: call it by POST")),
            (true, false) => Ok(()),
            (false, attests) => {
                self.within_scopes(ctx, Kind::Read(Read::Report).writes())?;
                if attests { self.within_scopes(ctx, &[(Action::Create, "Procedure")]) } else { Ok(()) }
            }
        }
    }

    /// What the caller may see of a stay; `is_open`: and anybody else might.
    async fn gather(&self, ctx: &Ctx, at: &Target, is_open: bool) -> Result<Report> {
        let limit = Limit::of(ctx);
        let house = self.house();
        let (encounter, usual) = match house.store.get(&limit, at).await? {
            None => return Err(unknown(at)),
            Some(v) if v.is_deleted() => return Err(Error::gone(format!("{at} is deleted"))),
            Some(v) => (v.json()?, v.labels),
        };
        let base = house.active().env.base.clone();
        let Some(patient) = element::patient_of(&encounter, &base) else {
            return Err(Error::business_rule("the stay is about no patient").at("Encounter.subject"));
        };
        let judge = house.policy.judge(&ctx.principal);
        let may = |t: &ResourceType| judge.decide(Action::SearchType, Some(*t)) == Decision::Permit;
        let types: Vec<ResourceType> = TYPES.into_iter().map(known).filter(may).collect();
        let active = house.active();
        let rows: Vec<i64> =
            types.iter().flat_map(|t| active.registry.reference_keys(&house.keys, *t, "patient", &patient)).collect();
        let mut around: Vec<Json> = Vec::new();
        // Labels beyond those of patient and stay.
        let mut is_protected = false;
        let found = if may(&patient.rtype) { house.store.get(&limit, &patient).await? } else { None };
        let usual = usual | found.as_ref().map_or(0, |v| v.labels);
        if !rows.is_empty() {
            let plan = Plan { types, cond: Cond::Exact(rows), sort: Vec::new(), count: MOST, total: false };
            for row in house.store.search(&limit, &plan, None).await?.rows {
                if row.labels & !usual == 0 {
                    around.push(row.json()?);
                } else if !is_open {
                    is_protected = true;
                    around.push(row.json()?);
                }
            }
        }
        if let Some(found) = found.filter(|v| !v.is_deleted()) {
            around.push(found.json()?);
        }
        let is_ours = |l: &&Json| {
            element::type_of(l) == "List"
                && element::own_identifier(l, "list").is_some()
                && element::encounter_of(l, &base).as_ref() == Some(at)
        };
        // The newest word: a list that was retired with its episode gives way to the one in force.
        let mut lists: Vec<&Json> = around.iter().filter(is_ours).collect();
        lists.sort_by_key(|l| (l["status"].text() == "current", l["meta"]["lastUpdated"].text().to_string()));
        let list = match lists.last() {
            // The list on record knows nothing of what has labels: who is cleared for some of it gets one that does.
            Some(list) if !is_protected => (*list).clone(),
            _ => self.reconciled_now(&behind_glass(ctx, &patient), at).await?,
        };
        Ok(Report::of(&house.programme, encounter, list, &around))
    }

    /// The list of a stay that has none on record, as it would be.
    async fn reconciled_now(&self, ctx: &Ctx, at: &Target) -> Result<Json> {
        let call = Operation {
            name: "reconcile".into(),
            on: crate::interaction::request::Scope::Instance(at.clone()),
            body: Body::Tree(
                json!({"resourceType": "Parameters", "parameter": [{"name": "preview", "valueBoolean": true}]}).into(),
            ),
            query: String::new(),
            is_get: false,
            when: crate::interaction::request::When::default(),
            prefer: crate::interaction::request::Prefer::default(),
        };
        let call = self.call(ctx, call, "")?;
        self.house().store.write(call).await
    }
}

/// The caller as they are cleared for this patient, whose glass they may have broken.
fn behind_glass(ctx: &Ctx, patient: &Target) -> Ctx {
    let of = patient.to_string();
    let Some(sieve) = ctx.principal.sieve.as_deref() else { return ctx.clone() };
    let lifts = sieve.glass.iter().filter(|g| g.of == of).fold(0, |set, g| set | g.lifts);
    let sieve = Sieve { hidden: sieve.hidden & !lifts, ..sieve.clone() };
    let principal = Principal { sieve: Some(Arc::new(sieve)), ..Principal::clone(&ctx.principal) };
    Ctx { principal: Arc::new(principal), ..ctx.clone() }
}

/// Puts a report on record.
struct Prepare {
    house: Arc<House>,
    ctx: Ctx,
    report: Report,
    attests: bool,
}

impl Work for Prepare {
    type Out = Json;

    fn run<'a>(&'a self, tx: &'a mut Tx) -> BoxFuture<'a, Result<Json>> {
        Box::pin(async move {
            self.house.in_tx(tx).await?;
            let (ctx, programme) = (&self.ctx, &self.house.programme);
            let done = workflow::prepare_report(ctx, tx, programme, &self.report, self.attests).await?;
            tx.audit(Audit::of(ctx, self.house.keys, "Encounter/$handoff-report", 200));
            Ok(done)
        })
    }

    fn locks(&self) -> Vec<i64> {
        let list = self.report.list["id"].text();
        vec![self.house.keys.target("List", list)]
    }
}
