//! One write as it was asked for, checked as far as it can be without the database.
//!
//! Source: <https://hl7.org/fhir/R4/http.html#create>, `#update`, `#patch`, `#delete`.

use super::criteria::Criteria;
use super::faults::Faults;
use super::versioned;
use crate::error::{Error, Result};
use crate::fhir::bundle::Link;
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
    /// The resource; of a patch the patch document; of a delete `null`.
    pub(super) body: Json,
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
    /// The body.
    pub(in crate::interaction) body: Json,
    /// `If-Match`, `If-None-Match`.
    pub(in crate::interaction) when: When,
    /// `Bundle.entry.fullUrl`.
    pub(in crate::interaction) full_url: Option<String>,
    /// `Bundle.entry[3]`; "" outside a Bundle.
    pub(in crate::interaction) place: String,
}

impl Asks {
    /// Adds a write. Failures are kept until [`Asks::end`], so that all are reported.
    pub(in crate::interaction) fn add(&mut self, engine: &Engine, draft: Draft) {
        let place = draft.place.clone();
        if let Err(error) = self.try_add(engine, draft) {
            self.faults.add(error, &place);
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

    fn try_add(&mut self, engine: &Engine, draft: Draft) -> Result<()> {
        let Draft { method, at, if_none_exist, body, when, full_url, place } = draft;
        let rtype = at.rtype();
        if matches!(method, Method::Post | Method::Put) {
            check_body(&body, rtype, if method == Method::Put { Some(&at) } else { None })?;
        }
        let at = match (method, at) {
            (Method::Post, _) => {
                let unless = if_none_exist.map(|raw| self.criteria.add(engine, rtype, &raw)).transpose()?;
                Where::New(rtype, unless)
            }
            (_, At::Id(target)) => Where::Id(target),
            (_, At::Query(rtype, raw)) => Where::Query(rtype, self.criteria.add(engine, rtype, &raw)?),
        };
        let links = if matches!(method, Method::Post | Method::Put) && rtype != known("Bundle") {
            self.conditional_references(engine, &body)?
        } else {
            Vec::new()
        };
        let is_versioned = versioned::is_marked(&body);
        let fresh_id = engine.house().store.fresh_id(rtype);
        self.list.push(Ask { method, at, body, when, full_url, place, fresh_id, links, is_versioned });
        Ok(())
    }

    fn conditional_references(&mut self, engine: &Engine, body: &Json) -> Result<Vec<Conditional>> {
        let mut links = Vec::new();
        let mut faults = Faults::default();
        bundle::each_reference(body, &mut |path, text| {
            if let Link::Conditional(rtype, raw) = Link::parse(text) {
                match self.criteria.add(engine, rtype, raw) {
                    Ok(criterion) => {
                        links.push(Conditional { text: text.to_owned(), criterion, path: path.to_string() });
                    }
                    Err(error) => faults.add(error.at(path.to_string()), ""),
                }
            }
        });
        faults.end()?;
        Ok(links)
    }
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
    validate::check(body)
}
