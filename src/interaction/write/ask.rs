//! One write as it was asked for, checked as far as it can be without the database.
//!
//! Source: <https://hl7.org/fhir/R4/http.html#create>, `#update`, `#patch`, `#delete`.

use super::criteria::Criteria;
use super::faults::{Faults, place_issues};
use super::versioned;
use crate::access::Ctx;
use crate::config::Limits;
use crate::error::{Error, Issue, Result};
use crate::fhir::bundle::Link;
use crate::fhir::patch::Patch;
use crate::fhir::resource::{is_id, known, printable};
use crate::fhir::{Json, ResourceType, Target, bundle, validate};
use crate::interaction::Engine;
use crate::interaction::request::{At, When};
use crate::store::Method;

/// One write.
#[derive(Debug)]
pub(in crate::interaction) struct Ask {
    /// create, update, patch or delete.
    pub(super) method: Method,
    /// On which resource.
    pub(super) at: Where,
    /// The resource; `null` of a patch and of a delete.
    pub(super) body: Json,
    /// What a patch does.
    pub(super) patch: Option<Patch>,
    /// What the current version must be.
    pub(super) when: When,
    /// `Bundle.entry.fullUrl`.
    pub(super) full_url: Option<String>,
    /// `Bundle.entry[3]`; "" outside a Bundle.
    pub(super) place: String,
    /// The id it gets when it creates and the client names none. Drawn once, so that a retry gives the same.
    pub(super) fresh_id: String,
    /// Conditional references of the body.
    pub(super) links: Vec<Conditional>,
    /// Whether a reference of the body is to name a version.
    pub(super) is_versioned: bool,
    /// What the validation of the body noticed that blocks nothing.
    pub(super) noticed: Vec<Issue>,
    /// The Provenance of the other writes: without one of them there is none.
    pub(super) accompanies: bool,
}

/// `Type?criteria` where a reference should be.
#[derive(Debug)]
pub(super) struct Conditional {
    /// As sent.
    pub(super) text: String,
    /// Its criterion.
    pub(super) criterion: usize,
    /// Where it stands.
    pub(super) path: String,
}

/// Which resource a write is for.
#[derive(Debug)]
pub(super) enum Where {
    /// A new one, unless the criterion matches.
    New(ResourceType, Option<usize>),
    /// This one.
    Id(Target),
    /// The one that meets a criterion.
    Query(ResourceType, usize),
}

impl Ask {
    /// The type that it writes.
    pub(super) fn rtype(&self) -> ResourceType {
        match &self.at {
            Where::Id(target) => target.rtype,
            Where::New(rtype, _) | Where::Query(rtype, _) => *rtype,
        }
    }
}

/// The writes of one request, being collected.
#[derive(Debug, Default)]
pub(in crate::interaction) struct Asks {
    pub(super) list: Vec<Ask>,
    pub(super) criteria: Criteria,
    faults: Faults,
}

/// What a door knows of a write.
#[derive(Debug)]
pub(in crate::interaction) struct Draft {
    /// create, update, patch or delete.
    pub(in crate::interaction) method: Method,
    /// Type and, but for a create, id or criteria of the URL.
    pub(in crate::interaction) at: At,
    /// `If-None-Exist` of a create.
    pub(in crate::interaction) if_none_exist: Option<String>,
    /// The body; `null` of a patch and of a delete.
    pub(in crate::interaction) body: Json,
    /// What a patch does.
    pub(in crate::interaction) patch: Option<Patch>,
    /// `If-Match`, `If-None-Match`.
    pub(in crate::interaction) when: When,
    /// `Bundle.entry.fullUrl`.
    pub(in crate::interaction) full_url: Option<String>,
    /// `Bundle.entry[3]`; "" outside a Bundle.
    pub(in crate::interaction) place: String,
}

impl Asks {
    /// Adds a write. Failures are kept until [`Asks::end`], so that all are reported.
    pub(in crate::interaction) fn add(&mut self, engine: &Engine, ctx: &Ctx, draft: Draft) {
        let place = draft.place.clone();
        if let Err(error) = self.try_add(engine, ctx, draft) {
            self.faults.add(error, &place);
        }
    }

    /// Adds the Provenance of what is written: its targets are all others but deletes, each with its version.
    pub(in crate::interaction) fn accompany(&mut self, engine: &Engine, ctx: &Ctx, mut provenance: Json) {
        let mut targets = Vec::new();
        for ask in self.list.iter_mut().filter(|ask| ask.method != Method::Delete) {
            let name = || format!("urn:uuid:{}", uuid::Uuid::new_v4());
            let reference = match &ask.at {
                Where::Id(target) => target.to_string(),
                Where::New(..) | Where::Query(..) => ask.full_url.get_or_insert_with(name).clone(),
            };
            targets.push(serde_json::json!({"reference": reference, "extension": [versioned::mark()]}));
        }
        if targets.is_empty() {
            if self.list.is_empty() && self.faults.is_empty() {
                let text = "X-Provenance tells of what is written, and nothing is; leave it out";
                self.fail(Error::invalid(text).at("Provenance.target"), "");
            }
            return;
        }
        provenance.set("target", Json::from(serde_json::Value::from(targets)));
        let draft = Draft {
            method: Method::Post,
            at: At::Query(known("Provenance"), String::new()),
            if_none_exist: None,
            body: provenance,
            patch: None,
            when: When::default(),
            full_url: None,
            place: String::new(),
        };
        match self.try_add(engine, ctx, draft) {
            Ok(()) => {
                if let Some(ask) = self.list.last_mut() {
                    ask.accompanies = true;
                }
            }
            Err(mut error) => {
                for issue in &mut error.issues {
                    issue.diagnostics = format!("X-Provenance: {}", issue.diagnostics);
                }
                self.fail(error, "");
            }
        }
    }

    /// Whether there is nothing to write.
    pub(in crate::interaction) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Keeps a failure that was found before a draft could be made.
    pub(in crate::interaction) fn fail(&mut self, error: Error, place: &str) {
        self.faults.add(error, place);
    }

    /// Fails when any write did.
    ///
    /// # Errors
    /// All of them.
    pub(in crate::interaction) fn end(&mut self) -> Result<()> {
        std::mem::take(&mut self.faults).end()
    }

    fn try_add(&mut self, engine: &Engine, ctx: &Ctx, draft: Draft) -> Result<()> {
        let Draft { method, at, if_none_exist, body, patch, when, full_url, place } = draft;
        let rtype = at.rtype();
        let mut noticed = Vec::new();
        if matches!(method, Method::Post | Method::Put) {
            check_body(&body, rtype, if method == Method::Put { Some(&at) } else { None })?;
            noticed = engine.house().conformance.judge(&ctx.principal, &body)?;
        }
        place_issues(&mut noticed, &place);
        if let Some(Patch::Path(parameters)) = &patch {
            check_parameters(parameters)?;
        }
        let at = match (method, at) {
            (Method::Post, _) => {
                let unless = if_none_exist.map(|raw| self.criteria.add(engine, rtype, &raw, 1)).transpose()?;
                Where::New(rtype, unless)
            }
            (_, At::Id(target)) => Where::Id(target),
            (Method::Delete, At::Query(rtype, raw)) => {
                let most = Limits::size(engine.house().limits.delete_max);
                Where::Query(rtype, self.criteria.add(engine, rtype, &raw, most)?)
            }
            (_, At::Query(rtype, raw)) => Where::Query(rtype, self.criteria.add(engine, rtype, &raw, 1)?),
        };
        let links = match &patch {
            Some(Patch::Json(operations)) => {
                let mut texts = Vec::new();
                references_of(operations, &mut texts);
                self.conditional(engine, texts)?
            }
            _ if rtype == known("Bundle") => Vec::new(),
            patch => {
                let mut texts = Vec::new();
                let body = patch.as_ref().map_or(&body, Patch::body);
                bundle::each_reference(body, &mut |path, text| {
                    if let Link::Conditional(..) = Link::parse(text) {
                        texts.push((path.to_string(), text.to_owned()));
                    }
                });
                self.conditional(engine, texts)?
            }
        };
        let is_versioned = versioned::is_marked(patch.as_ref().map_or(&body, Patch::body));
        let fresh_id = engine.house().store.fresh_id(rtype);
        self.list.push(Ask {
            method,
            at,
            body,
            patch,
            when,
            full_url,
            place,
            fresh_id,
            links,
            is_versioned,
            noticed,
            accompanies: false,
        });
        Ok(())
    }

    /// Reads the criteria of conditional references, given with their paths.
    fn conditional(&mut self, engine: &Engine, texts: Vec<(String, String)>) -> Result<Vec<Conditional>> {
        let mut links = Vec::new();
        let mut faults = Faults::default();
        for (path, text) in texts {
            let Link::Conditional(rtype, raw) = Link::parse(&text) else { continue };
            match self.criteria.add_reference(engine, rtype, raw) {
                Ok(criterion) => links.push(Conditional { text, criterion, path }),
                Err(error) => faults.add(error.at(path), ""),
            }
        }
        faults.end()?;
        Ok(links)
    }
}

/// Conditional references among the values of a JSON Patch, with the operation that brings each. Where the value goes says
/// only the resource; that it is a reference says its name.
fn references_of(operations: &Json, found: &mut Vec<(String, String)>) {
    fn walk(json: &Json, place: &str, found: &mut Vec<(String, String)>) {
        let mut see = |name: &str, value: &Json| {
            if let (true, Some(text)) = (name == "reference", value.as_str())
                && let Link::Conditional(..) = Link::parse(text)
            {
                found.push((place.to_owned(), text.to_owned()));
            }
        };
        match json {
            Json::Array(items) => items.iter().for_each(|item| walk(item, place, found)),
            Json::Object(members) => {
                members.iter().for_each(|(name, value)| see(name, value));
                members.iter().for_each(|(_, value)| walk(value, place, found));
            }
            _ => {}
        }
    }
    for (n, operation) in operations.items().iter().enumerate() {
        let place = format!("Patch[{n}]");
        if operation["path"].text().ends_with("/reference")
            && let Some(text) = operation["value"].as_str()
            && let Link::Conditional(..) = Link::parse(text)
        {
            found.push((place.clone(), text.to_owned()));
        }
        walk(&operation["value"], &place, found);
    }
}

/// A FHIRPath Patch as a resource; what its operations say is read when they are applied.
fn check_parameters(parameters: &Json) -> Result<()> {
    if parameters["resourceType"].as_str() != Some("Parameters") {
        let text =
            "a patch is a Parameters resource (FHIRPath Patch), or a JSON Patch sent as application/json-patch+json";
        return Err(Error::invalid(text).at("resourceType"));
    }
    validate::check(parameters).map(|_| ()) // warnings about Parameters help nobody
}

/// Type, id and content of a resource that is to be stored.
fn check_body(body: &Json, rtype: ResourceType, at: Option<&At>) -> Result<()> {
    match body["resourceType"].as_str() {
        Some(name) if name == rtype.as_str() => {}
        Some(name) => {
            let text = format!("the URL says {rtype} and the body is a {}; send it to its own type", printable(name));
            return Err(Error::invalid(text).at("resourceType"));
        }
        None => return Err(Error::invalid("the body is not a resource: it has no resourceType").code("structure")),
    }
    match (at, body.get("id").map(|id| id.as_str())) {
        (Some(At::Id(target)), Some(Some(id))) if id != target.id => {
            let text =
                format!("the URL says id '{}' and the body '{}'; they must be the same", target.id, printable(id));
            return Err(Error::invalid(text).at(format!("{rtype}.id")));
        }
        (Some(At::Id(_)), None) => {
            return Err(Error::invalid("an update needs the id in the body, too")
                .code("required")
                .at(format!("{rtype}.id")));
        }
        (_, Some(Some(id))) if !is_id(id) => {
            let text = "an id has 1 to 64 letters, digits, '-' and '.'; nothing else";
            return Err(Error::invalid(text).code("value").at(format!("{rtype}.id")));
        }
        _ => {}
    }
    Ok(())
}
