//! `$validate`: what a write would be told, without the write.
//!
//! On a type and on an instance, of the resource sent (bare, or in Parameters) or, on an instance, of the one stored. With a
//! `mode` the write is rehearsed through the same door and rolled back, so that the programme's rules, references and the
//! caller's rights speak, too. Beside what a write refuses it tells R4's warnings and what a closer look finds (`fhir::scrutiny`).
//! The answer is 200 with an OperationOutcome whatever is found.
//! Source: <https://hl7.org/fhir/R4/resource-operation-validate.html>.

use super::super::request::{At, Body, Operation, Scope, When};
use super::super::write::{Asks, Draft};
use super::super::{Engine, unknown};
use crate::access::scope::Action;
use crate::access::{Ctx, Limit};
use crate::error::{Error, Issue, Kind, Result, Severity};
use crate::fhir::resource::printable;
use crate::fhir::{Json, ResourceType, Target, json, outcome, validate};
use crate::interaction::answer::Answer;
use crate::search::query::pairs;
use crate::store::Method;
use bytes::Bytes;

/// Which write the resource is meant for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Create,
    Update,
    Delete,
}

/// What is asked.
#[derive(Debug, Default)]
struct Asked {
    mode: Option<Mode>,
    profiles: Vec<String>,
    /// The resource sent.
    resource: Option<Json>,
    /// Where it stands in the body: `parameter[0].resource`, or "".
    inner: String,
}

impl Engine {
    /// Carries `$validate` out.
    ///
    /// # Errors
    /// What cannot be asked (404 for an instance that the caller may not know of, 403 where the caller may write no such
    /// resource at all, 400 for parameters that are none); never what is wrong with the resource.
    pub(in crate::interaction) async fn validate(&self, ctx: &Ctx, call: Operation) -> Result<Answer> {
        let (rtype, at) = match &call.on {
            Scope::Type(rtype) => (*rtype, None),
            Scope::Instance(target) => (target.rtype, Some(target.clone())),
            Scope::System | Scope::Compartment(..) | Scope::Version(..) => {
                return Err(Error::not_found("$validate is called on a type or an instance").code("not-supported"));
            }
        };
        self.may_validate(ctx, rtype)?;
        let stored = match &at {
            Some(target) => Some(self.seen(ctx, target).await?),
            None => None,
        };
        let text = call.body.text().unwrap_or_default();
        let body = match self.body(call.body) {
            Ok(body) => body,
            // Not even JSON: that, too, is what was asked.
            Err(error) => return Ok(answer(rtype, error.issues, "", &text)),
        };
        let mut asked = Asked::default();
        asked.query(&call.query)?;
        asked.body(rtype, body)?;
        let mut issues = Vec::new();
        let subject = asked.resource.as_ref().or(stored.as_ref());
        match subject {
            Some(resource) => {
                issues = validate::with_warnings(resource);
                of_type(rtype, resource, &mut issues);
            }
            None if asked.mode == Some(Mode::Delete) => {}
            None => {
                let text = "there is nothing to validate: send the resource, bare or as the parameter 'resource'";
                return Err(Error::invalid(text).code("required"));
            }
        }
        if let Some(resource) = subject {
            let profiles: Vec<&str> = asked.profiles.iter().map(String::as_str).collect();
            issues = self.house().conformance.issues(resource, &profiles, issues);
        }
        // What a write would not refuse does not keep it from being rehearsed.
        let closer = subject.map(|r| self.house().conformance.scrutiny(&self.house().active().registry, r));
        let is_good = issues.iter().all(|i| i.severity != Severity::Error);
        if let (Some(mode), true) = (asked.mode, is_good) {
            let body = asked.resource.or(stored).unwrap_or_default();
            issues.extend(self.would(ctx, mode, rtype, at, body, call.when).await?);
        }
        issues.extend(closer.unwrap_or_default());
        Ok(answer(rtype, issues, &asked.inner, &text))
    }

    /// Whoever may create or update resources of a type may ask whether one is good.
    fn may_validate(&self, ctx: &Ctx, rtype: ResourceType) -> Result<()> {
        self.permit(ctx, Action::Create, Some(rtype))
            .or_else(|e| self.permit(ctx, Action::Update, Some(rtype)).map_err(|_| e))
    }

    /// The stored resource.
    async fn seen(&self, ctx: &Ctx, target: &Target) -> Result<Json> {
        match self.house().store.get(&Limit::of(ctx), target).await? {
            None => Err(unknown(target)),
            Some(v) if v.is_deleted() => Err(Error::gone(format!("{target} is deleted"))),
            Some(v) => v.json(),
        }
    }

    fn body(&self, body: Body) -> Result<Json> {
        if body.is_empty() { Ok(Json::Null) } else { body.json(&self.house().json) }
    }

    /// What the write itself would be told.
    async fn would(
        &self,
        ctx: &Ctx,
        mode: Mode,
        rtype: ResourceType,
        at: Option<Target>,
        body: Json,
        when: When,
    ) -> Result<Vec<Issue>> {
        let by_id = || {
            let id = body["id"].as_str().filter(|_| mode == Mode::Update);
            at.or_else(|| id.map(|id| Target::new(rtype, id))).ok_or_else(|| {
                Error::invalid("an update or delete is of one resource: call $validate on it, or send its id")
                    .code("required")
            })
        };
        let (method, action, at, body) = match mode {
            Mode::Create => (Method::Post, Action::Create, At::Query(rtype, String::new()), body),
            Mode::Update => (Method::Put, Action::Update, At::Id(by_id()?), body.clone()),
            Mode::Delete => (Method::Delete, Action::Delete, At::Id(by_id()?), Json::Null),
        };
        let place = String::new();
        let draft = Draft { method, at, if_none_exist: None, body, patch: None, when, full_url: None, place };
        let mut asks = Asks::default();
        let done = match self.permit(ctx, action, Some(rtype)) {
            Ok(()) => {
                asks.add(self, ctx, draft);
                self.rehearse(ctx, asks).await
            }
            Err(error) => Err(error),
        };
        match done {
            Ok(()) => Ok(Vec::new()),
            // The server's own trouble says nothing about the resource.
            Err(error) if matches!(error.kind, Kind::Fault | Kind::Busy | Kind::Timeout) => Err(error),
            Err(error) => Ok(error.issues),
        }
    }
}

impl Asked {
    fn query(&mut self, raw: &str) -> Result<()> {
        for (name, value) in pairs(raw)? {
            match name.as_str() {
                "mode" => self.mode = mode(&value)?,
                "profile" => self.profiles.push(value),
                "_format" | "_pretty" => {}
                other => {
                    let text = format!("$validate has no parameter '{}'; it takes mode and profile", printable(other));
                    return Err(Error::invalid(text).code("not-supported"));
                }
            }
        }
        Ok(())
    }

    /// Reads the body: Parameters with the resource in it, or the resource itself.
    fn body(&mut self, rtype: ResourceType, body: Json) -> Result<()> {
        if body.is_null() {
            return Ok(());
        }
        let is_wrapped = |p: &Json| matches!(p["name"].text(), "resource" | "mode" | "profile");
        let is_parameters = body["resourceType"].as_str() == Some("Parameters")
            && (rtype.as_str() != "Parameters" || body["parameter"].items().iter().any(is_wrapped));
        if !is_parameters {
            self.resource = Some(body);
            return Ok(());
        }
        for (n, parameter) in body["parameter"].items().iter().enumerate() {
            let here = format!("Parameters.parameter[{n}]");
            let value = || ["valueUri", "valueCanonical", "valueCode", "valueString"].map(|k| parameter[k].text());
            let text = || value().into_iter().find(|t| !t.is_empty()).map(str::to_owned);
            match parameter["name"].text() {
                "resource" => {
                    let resource = parameter.get("resource").cloned().ok_or_else(|| {
                        Error::invalid("the parameter 'resource' holds no resource").code("required").at(here)
                    })?;
                    self.resource = Some(resource);
                    self.inner = format!("parameter[{n}].resource");
                }
                "mode" => self.mode = mode(&text().unwrap_or_default()).map_err(|e| e.at(here))?,
                "profile" => self
                    .profiles
                    .push(text().ok_or_else(|| Error::invalid("the parameter 'profile' holds no canonical").at(here))?),
                other => {
                    let text = format!(
                        "$validate has no parameter '{}'; it takes resource, mode and profile",
                        printable(other)
                    );
                    return Err(Error::invalid(text).code("not-supported").at(here));
                }
            }
        }
        Ok(())
    }
}

/// `profile` asks for no more than the base; R4 has it as a mode.
fn mode(text: &str) -> Result<Option<Mode>> {
    match text {
        "create" => Ok(Some(Mode::Create)),
        "update" => Ok(Some(Mode::Update)),
        "delete" => Ok(Some(Mode::Delete)),
        "profile" => Ok(None),
        other => Err(Error::invalid(format!(
            "'{}' is no mode of $validate: create, update, delete or profile",
            printable(other)
        ))
        .code("value")),
    }
}

fn of_type(rtype: ResourceType, resource: &Json, issues: &mut Vec<Issue>) {
    if let Some(name) = resource["resourceType"].as_str().filter(|name| *name != rtype.as_str()) {
        let what = format!("found a {}, expected a {rtype}; call $validate of its own type", printable(name));
        issues.insert(0, Issue::error("invalid", "resourceType", what).rule("the resource is of the type of the URL"));
    }
}

fn answer(rtype: ResourceType, issues: Vec<Issue>, inner: &str, text: &Bytes) -> Answer {
    let mut issues = validate::tidy(issues);
    json::locate(text, inner, &mut issues);
    let outcome = match issues.iter().any(|i| i.severity == Severity::Error) {
        true => outcome::of_issues(&issues),
        false => outcome::all_ok_but(&format!("No fault was found: this {rtype} is valid"), &issues),
    };
    Answer::of(outcome.to_bytes())
}
