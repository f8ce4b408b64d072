//! `$meta`, `$meta-add`, `$meta-delete`: profiles, tags and security labels, read and changed without the resource around.
//!
//! The changing ones are patches of `meta` and pass the door as such: roles, guards, `If-Match`, a new version. R4 would let
//! them change a version in place; here a version is what it was (own rule).
//! Source: <https://hl7.org/fhir/R4/resource-operation-meta.html>, `-meta-add.html`, `-meta-delete.html`.

use super::parameters;
use crate::access::policy::Decision;
use crate::access::scope::Action;
use crate::access::{Ctx, Limit};
use crate::error::{Error, Result};
use crate::fhir::patch::Patch;
use crate::fhir::patch::meta::{SETS, join};
use crate::fhir::resource::printable;
use crate::fhir::{Json, ResourceType, Target};
use crate::interaction::answer::Answer;
use crate::interaction::change;
use crate::interaction::request::{At, Operation, Prefer, Scope};
use crate::interaction::write::{Asks, Draft, Others, Outcome};
use crate::interaction::{Engine, unknown};
use crate::search::query::{self, Handling};
use crate::search::{Cond, Plan};
use crate::store::Method;
use serde_json::json;

/// Resources with labels that `$meta` of a type or the system reads at most (own limit).
const MOST: usize = 10_000;
/// Of them at a time.
const PAGE: usize = 500;

/// Whether a call is `$meta-add` or `$meta-delete` of a resource.
pub(in crate::interaction) fn is_change(call: &Operation) -> bool {
    matches!(call.name.as_str(), "meta-add" | "meta-delete") && matches!(call.on, Scope::Instance(_))
}

/// The answer of all three; without labels there is no parameter, as FHIR has no empty Meta.
fn returned(meta: Json) -> Json {
    let mut out: Json = json!({"resourceType": "Parameters"}).into();
    if meta.as_object().is_some_and(|members| !members.is_empty()) {
        let mut parameter: Json = json!({"name": "return"}).into();
        parameter.set("valueMeta", meta);
        out.push("parameter", parameter);
    }
    out
}

/// The answer of a change.
pub(in crate::interaction) fn changed(outcome: Outcome, prefer: Prefer) -> Result<Answer> {
    let meta = match &outcome.version {
        Some(version) => version.json()?["meta"].clone(),
        None => return Err(Error::fault("a change of meta makes a version")),
    };
    let answer = change::answer(outcome, prefer, None);
    Ok(match prefer {
        Prefer::Representation => Answer { body: returned(meta).to_bytes().into(), ..answer },
        _ => answer,
    })
}

impl Engine {
    pub(super) async fn change_meta(&self, ctx: &Ctx, call: Operation) -> Result<Answer> {
        let (name, prefer) = (call.name.clone(), call.prefer);
        let draft = self.meta_draft(ctx, call)?;
        let prefer = self.shown(ctx, draft.at.rtype(), prefer);
        let name = format!("{}/${name}", draft.at.rtype());
        let mut asks = Asks::default();
        asks.add(self, ctx, draft);
        let written = self.write(ctx, asks, Others::default(), &name).await?;
        let outcome = written.outcomes.into_iter().next().ok_or_else(|| Error::fault("a write without an outcome"))?;
        changed(outcome, prefer)
    }

    /// Reads and judges a change.
    pub(in crate::interaction) fn meta_draft(&self, ctx: &Ctx, call: Operation) -> Result<Draft> {
        let Scope::Instance(target) = call.on else {
            return Err(Error::fault("is_change() lets calls on a resource through only"));
        };
        if call.is_get {
            return Err(Error::method_not_allowed(format!("${} changes something: call it by POST", call.name)));
        }
        self.permit(ctx, Action::Patch, Some(target.rtype))?;
        let body = parameters(call.body.json(&self.house().json)?)?;
        let meta = match body["parameter"].items() {
            [one] if one["name"].text() == "meta" => one.get("valueMeta").cloned(),
            _ => None,
        };
        let meta = meta.ok_or_else(|| {
            let text = format!("${} takes one parameter 'meta' with valueMeta", printable(&call.name));
            Error::invalid(text).code("required").at("Parameters.parameter")
        })?;
        let patch = if call.name == "meta-add" { Patch::AddMeta(meta) } else { Patch::DeleteMeta(meta) };
        Ok(Draft {
            method: Method::Patch,
            at: At::Id(target),
            if_none_exist: None,
            body: Json::Null,
            patch: Some(patch),
            when: call.when,
            full_url: None,
            place: String::new(),
        })
    }

    /// `$meta`.
    pub(super) async fn meta(&self, ctx: &Ctx, on: &Scope) -> Result<Answer> {
        match on {
            Scope::Instance(target) => self.meta_of(ctx, target).await,
            Scope::Version(target, version) => {
                let found = self.version(ctx, target, version).await?;
                Ok(Answer::of(returned(found.json()?["meta"].clone()).to_bytes()))
            }
            Scope::Type(rtype) => {
                self.permit(ctx, Action::SearchType, Some(*rtype))?;
                self.labels(ctx, vec![*rtype]).await
            }
            Scope::System | Scope::Compartment(..) => {
                self.permit(ctx, Action::SearchSystem, None)?;
                let judge = self.house().policy.judge(&ctx.principal);
                let readable = |t: &ResourceType| judge.decide(Action::SearchType, Some(*t)) == Decision::Permit;
                let types = ResourceType::all().filter(readable).collect();
                self.labels(ctx, types).await
            }
        }
    }

    async fn meta_of(&self, ctx: &Ctx, target: &Target) -> Result<Answer> {
        self.permit(ctx, Action::Read, Some(target.rtype))?;
        match self.house().store.get(&Limit::of(ctx), target).await? {
            None => Err(unknown(target)),
            Some(v) if v.is_deleted() => Err(Error::gone(format!("{target} is deleted"))),
            Some(v) => Ok(Answer::of(returned(v.json()?["meta"].clone()).to_bytes())),
        }
    }

    /// All labels of what the caller may see of these types, each once.
    async fn labels(&self, ctx: &Ctx, types: Vec<ResourceType>) -> Result<Answer> {
        let (house, limit) = (self.house(), Limit::of(ctx));
        let active = house.active();
        let mut any = Vec::new();
        for name in ["_profile:missing", "_security:missing", "_tag:missing"] {
            let pairs = [(name.to_owned(), "false".to_owned())];
            let read = query::parse(&active.registry, &house.keys, &types, &pairs, &active.env, Handling::Strict)?;
            any.push(read.plan.cond);
        }
        let plan = Plan { types, cond: Cond::any(any), sort: Vec::new(), count: PAGE, total: false };
        let (mut meta, mut from, mut seen) = (Json::object(), None, 0);
        loop {
            let page = house.store.search(&limit, &plan, from.as_ref()).await?;
            seen += page.rows.len();
            if seen > MOST {
                let text =
                    format!("more than {MOST} resources have labels; ask for those of one type, or of one resource");
                return Err(Error::too_costly(text));
            }
            for row in &page.rows {
                join(&mut meta, &row.json()?["meta"], &SETS);
            }
            from = page.next;
            if from.is_none() {
                return Ok(Answer::of(returned(meta).to_bytes()));
            }
        }
    }
}
