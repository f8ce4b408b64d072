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
use crate::fhir::resource::{known, printable};
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
    /// Nothing is wrong with it so far.
    pub(super) is_sound: bool,
}

/// What is wrong with a request before it is prepared.
#[derive(Debug, Default)]
pub(super) struct Amiss {
    /// All of it.
    pub(super) faults: Faults,
    /// Entries could not even be read: what they would bring is not known.
    pub(super) is_partial: bool,
    /// Their fullUrls: what refers to them is no fault of its own.
    pub(super) unread: Vec<String>,
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
    /// Failures so far. A write that has one stands in the list, too, so that what refers to it is no fault of its own.
    pub(super) amiss: Amiss,
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
    /// Adds a write. Failures are kept until it is prepared, so that all are reported.
    pub(in crate::interaction) fn add(&mut self, engine: &Engine, ctx: &Ctx, draft: Draft) {
        let place = draft.place.clone();
        if let Err(error) = self.read(engine, ctx, draft) {
            self.amiss.faults.add(error, &place);
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
            if self.list.is_empty() && self.amiss.faults.is_empty() {
                let text = "X-Provenance tells of what is written, and nothing is; leave it out";
                self.amiss.faults.add(Error::invalid(text).at("Provenance.target"), "");
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
        let read = self.read(engine, ctx, draft);
        if let Some(ask) = self.list.last_mut() {
            ask.accompanies = true;
        }
        if let Err(mut error) = read {
            for issue in &mut error.issues {
                issue.diagnostics = format!("X-Provenance: {}", issue.diagnostics);
            }
            self.amiss.faults.add(error, "");
        }
    }

    /// Whether there is nothing to do: no write, and none that failed.
    pub(in crate::interaction) fn is_empty(&self) -> bool {
        self.list.is_empty() && self.amiss.faults.is_empty()
    }

    /// Keeps a failure of an entry that was found before a draft could be made.
    pub(in crate::interaction) fn fail(&mut self, error: Error, place: &str, full_url: Option<String>) {
        self.amiss.faults.add(error, place);
        self.amiss.is_partial = true;
        self.amiss.unread.extend(full_url);
    }

    /// Puts a write into the list, with whatever could be read of it.
    ///
    /// # Errors
    /// All that is wrong with it.
    fn read(&mut self, engine: &Engine, ctx: &Ctx, draft: Draft) -> Result<()> {
        let Draft { method, at, if_none_exist, body, patch, when, full_url, place } = draft;
        let rtype = at.rtype();
        let mut faults = Faults::default();
        let mut noticed = Vec::new();
        if matches!(method, Method::Post | Method::Put) {
            let typed = check_type(&body, rtype);
            if typed.is_ok() {
                let at = Some(&at).filter(|_| method == Method::Put);
                faults.keep(check_id(&body, rtype, at), "");
                noticed = faults.keep(engine.house().conformance.judge(&ctx.principal, &body), "").unwrap_or_default();
            }
            faults.keep(typed, "");
        }
        place_issues(&mut noticed, &place);
        if let Some(Patch::Path(parameters)) = &patch {
            faults.keep(check_parameters(parameters), "");
        }
        let mut criterion = |raw: &str, most| faults.keep(self.criteria.add(engine, rtype, raw, most), "");
        let at = match (method, at) {
            (Method::Post, _) => Where::New(rtype, if_none_exist.and_then(|raw| criterion(&raw, 1))),
            (_, At::Id(target)) => Where::Id(target),
            (_, At::Query(rtype, raw)) => {
                let most = if method == Method::Delete { Limits::size(engine.house().limits.delete_max) } else { 1 };
                // Of a write whose criteria cannot be read it is not known what it is about; it is not carried out.
                criterion(&raw, most).map_or(Where::New(rtype, None), |n| Where::Query(rtype, n))
            }
        };
        let mut texts = Vec::new();
        match &patch {
            Some(Patch::Json(operations)) => references_of(operations, &mut texts),
            _ if rtype == known("Bundle") => {}
            patch => {
                let body = patch.as_ref().map_or(&body, Patch::body);
                bundle::each_reference(body, &mut |path, text| {
                    if let Link::Conditional(..) = Link::parse(text) {
                        texts.push((path.to_string(), text.to_owned()));
                    }
                });
            }
        }
        let links = faults.keep(self.conditional(engine, texts), "").unwrap_or_default();
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
            is_sound: faults.is_empty(),
        });
        faults.end()
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

/// Whether a body is a resource of the type that it is sent to.
fn check_type(body: &Json, rtype: ResourceType) -> Result<()> {
    match body["resourceType"].as_str() {
        Some(name) if name == rtype.as_str() => Ok(()),
        Some(name) => {
            let text = format!("the URL says {rtype} and the body is a {}; send it to its own type", printable(name));
            Err(Error::invalid(text).at("resourceType"))
        }
        None => Err(Error::invalid("the body is not a resource: it has no resourceType").code("structure")),
    }
}

/// The id of a resource that is to be stored; `at`: of an update. What an id looks like the validation says.
fn check_id(body: &Json, rtype: ResourceType, at: Option<&At>) -> Result<()> {
    match (at, body.get("id").map(|id| id.as_str())) {
        (Some(At::Id(target)), Some(Some(id))) if id != target.id => {
            let text =
                format!("the URL says id '{}' and the body '{}'; they must be the same", target.id, printable(id));
            Err(Error::invalid(text).at(format!("{rtype}.id")))
        }
        (Some(At::Id(_)), None) => {
            Err(Error::invalid("an update needs the id in the body, too").code("required").at(format!("{rtype}.id")))
        }
        _ => Ok(()),
    }
}
