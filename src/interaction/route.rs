//! From method and path to an interaction: the map of the FHIR API, one line an interaction.
//!
//! For: HTTP requests and `Bundle.entry.request` alike, so that a Bundle can ask for all that HTTP can.
//! Not for: what an interaction does, or headers (`http/wire.rs`).
//! Source: <https://hl7.org/fhir/R4/http.html#summary>.

use super::request::{At, Body, Media, Operation, Prefer, Request, Scope, Unless, When};
use crate::error::{Error, Result};
use crate::fhir::resource::printable;
use crate::fhir::{ResourceType, Target};

/// The methods that FHIR uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// GET.
    Get,
    /// HEAD: a GET whose body is not sent.
    Head,
    /// POST.
    Post,
    /// PUT.
    Put,
    /// PATCH.
    Patch,
    /// DELETE.
    Delete,
}

impl Verb {
    /// All, with their names.
    const ALL: [(&'static str, Self); 6] = [
        ("GET", Self::Get),
        ("HEAD", Self::Head),
        ("POST", Self::Post),
        ("PUT", Self::Put),
        ("PATCH", Self::Patch),
        ("DELETE", Self::Delete),
    ];

    /// Reads a method; case matters.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().find(|(name, _)| *name == text).map(|(_, verb)| *verb)
    }
}

/// A request as it came, by wire or as a Bundle entry.
#[derive(Debug)]
pub struct Wire {
    /// The method.
    pub verb: Verb,
    /// Raw query.
    pub query: String,
    /// The body.
    pub body: Body,
    /// What the body is.
    pub media: Media,
    /// `If-Match`.
    pub if_match: Option<String>,
    /// `If-None-Match`.
    pub if_none_match: Option<String>,
    /// `If-None-Exist`.
    pub if_none_exist: Option<String>,
    /// `If-Modified-Since`, seconds since 1970.
    pub if_modified_since: Option<i64>,
    /// `Prefer: return=…`, where given.
    pub prefer: Option<Prefer>,
    /// `Prefer: handling=lenient`.
    pub lenient: bool,
}

impl Wire {
    /// A request without headers or body.
    #[must_use]
    pub fn new(verb: Verb, query: impl Into<String>) -> Self {
        Self {
            verb,
            query: query.into(),
            body: Body::default(),
            media: Media::Fhir,
            if_match: None,
            if_none_match: None,
            if_none_exist: None,
            if_modified_since: None,
            prefer: None,
            lenient: false,
        }
    }

    fn when(&self) -> Result<When> {
        When::parse(self.if_match.as_deref(), self.if_none_match.as_deref())
    }

    /// Query of the URL and of the form, as one.
    fn criteria(self) -> Result<String> {
        match self.body {
            Body::Raw(bytes) if self.media == Media::Form && !bytes.is_empty() => {
                let form = std::str::from_utf8(&bytes).map_err(|_| Error::invalid("the form is not UTF-8"))?;
                Ok(if self.query.is_empty() { form.to_owned() } else { format!("{}&{form}", self.query) })
            }
            _ => Ok(self.query),
        }
    }
}

/// Finds the interaction. `path`: below the FHIR base, without slash at the start, percent-decoded.
///
/// # Errors
/// `NotFound` for a path that no interaction has, `MethodNotAllowed` for a method that the path does not take, `Invalid`
/// for ids and headers that cannot be.
pub fn route(path: &str, wire: Wire) -> Result<Request> {
    match find(path, wire)? {
        Some(request) => Ok(request),
        None => Err(match allowed(path).as_str() {
            "" => unknown(path),
            methods => Error::method_not_allowed(format!("'{}' takes {methods}", printable(path))),
        }),
    }
}

/// The methods that a path takes, as `Allow` lists them; none for a path that no interaction has.
#[must_use]
pub fn allowed(path: &str) -> String {
    // The operations of today change something, but for those that tell.
    let name = path.rsplit('/').find(|p| !p.is_empty());
    let is_operation = name.is_some_and(|n| n.starts_with('$') && !matches!(n, "$timeline" | "$reconcile"));
    let takes = |verb: &Verb| {
        (!is_operation || *verb == Verb::Post) && find(path, Wire::new(*verb, "")).is_ok_and(|found| found.is_some())
    };
    Verb::ALL.iter().filter(|(_, verb)| takes(verb)).map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

/// The interaction; `None` where the path takes other methods, or none.
fn find(path: &str, wire: Wire) -> Result<Option<Request>> {
    use Verb::{Delete, Get, Head, Patch, Post, Put};
    let mut parts = [""; 5];
    let mut count = 0;
    for part in path.split('/').filter(|p| !p.is_empty()) {
        let slot = parts.get_mut(count).ok_or_else(|| unknown(path))?;
        *slot = part;
        count += 1;
    }
    let prefer = wire.prefer.unwrap_or_default();
    let request = match (wire.verb, parts.get(..count).unwrap_or_default()) {
        // the whole system
        (Get | Head, ["metadata"]) => Request::Capabilities,
        (Get | Head, ["_history"]) => Request::History { of: Scope::System, query: wire.query },
        (Get | Head, []) => search(Scope::System, wire)?,
        (Post, ["_search"]) => search(Scope::System, wire)?,
        (Post, []) => Request::Bundle { prefer: wire.prefer.unwrap_or(Prefer::Minimal), body: wire.body },
        (_, [name]) if name.starts_with('$') => return operation(name, Scope::System, wire),
        // names that are no type and no id
        (_, ["metadata" | "_history" | "_search"]) => return Ok(None),
        // one type
        (Get | Head, [t]) => search(Scope::Type(rtype(t)?), wire)?,
        (Post, [t, "_search"]) => search(Scope::Type(rtype(t)?), wire)?,
        (Post, [t]) => create(rtype(t)?, wire)?,
        (Put, [t]) => {
            Request::Update { when: wire.when()?, at: At::Query(rtype(t)?, wire.query), body: wire.body, prefer }
        }
        (Patch, [t]) => patch(At::Query(rtype(t)?, wire.query.clone()), wire)?,
        (Delete, [t]) => Request::Delete { when: wire.when()?, at: At::Query(rtype(t)?, wire.query), prefer },
        (Get | Head, [t, "_history"]) => Request::History { of: Scope::Type(rtype(t)?), query: wire.query },
        (_, [t, name]) if name.starts_with('$') => return operation(name, Scope::Type(rtype(t)?), wire),
        (_, [_, "_history" | "_search"]) => return Ok(None),
        // one resource
        (Get | Head, [t, id]) => {
            let unless = Unless { etags: wire.if_none_match, modified_since: wire.if_modified_since };
            Request::Read { target: Target::of(t, id)?, unless, query: wire.query }
        }
        (Put, [t, id]) => {
            Request::Update { when: wire.when()?, at: At::Id(Target::of(t, id)?), body: wire.body, prefer }
        }
        (Patch, [t, id]) => patch(At::Id(Target::of(t, id)?), wire)?,
        (Delete, [t, id]) => Request::Delete { when: wire.when()?, at: At::Id(Target::of(t, id)?), prefer },
        (Get | Head, [t, id, "_history"]) => {
            Request::History { of: Scope::Instance(Target::of(t, id)?), query: wire.query }
        }
        (Get | Head, [t, id, "_history", version]) => {
            Request::VRead { target: Target::of(t, id)?, version: (*version).into(), query: wire.query }
        }
        (_, [t, id, name]) if name.starts_with('$') => {
            return operation(name, Scope::Instance(Target::of(t, id)?), wire);
        }
        // a compartment
        (Get | Head, [t, id, inner]) | (Post, [t, id, inner, "_search"]) => {
            let inner = if *inner == "*" { None } else { Some(rtype(inner)?) };
            search(Scope::Compartment(Target::of(t, id)?, inner), wire)?
        }
        _ => return Ok(None),
    };
    Ok(Some(request))
}

fn rtype(name: &str) -> Result<ResourceType> {
    ResourceType::parse(name).ok_or_else(|| {
        Error::not_found(format!(
            "R4 has no resource type '{}'; type names begin with a capital letter",
            printable(name)
        ))
    })
}

fn search(of: Scope, wire: Wire) -> Result<Request> {
    Ok(Request::Search { of, lenient: wire.lenient, query: wire.criteria()? })
}

fn create(rtype: ResourceType, wire: Wire) -> Result<Request> {
    let (when, prefer) = (wire.when()?, wire.prefer.unwrap_or_default());
    if when.if_match.is_some() {
        return Err(Error::invalid("a create takes no If-Match: there is no version yet; update by PUT"));
    }
    Ok(Request::Create { rtype, body: wire.body, if_none_exist: wire.if_none_exist, when, prefer })
}

fn patch(at: At, wire: Wire) -> Result<Request> {
    let (when, prefer) = (wire.when()?, wire.prefer.unwrap_or_default());
    Ok(Request::Patch { when, at, body: wire.body, media: wire.media, prefer })
}

fn operation(name: &str, on: Scope, wire: Wire) -> Result<Option<Request>> {
    let is_get = matches!(wire.verb, Verb::Get | Verb::Head);
    if !is_get && wire.verb != Verb::Post {
        return Ok(None);
    }
    Ok(Some(Request::Operation(Operation {
        name: name.trim_start_matches('$').to_owned(),
        on,
        when: When::parse(wire.if_match.as_deref(), None)?,
        body: wire.body,
        query: wire.query,
        is_get,
        prefer: wire.prefer.unwrap_or_default(),
    })))
}

fn unknown(path: &str) -> Error {
    Error::not_found(format!("no interaction has the path '{}'", printable(path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(verb: Verb, path: &str) -> Result<Request> {
        route(path, Wire::new(verb, ""))
    }

    #[test]
    fn each_path_finds_its_interaction() {
        use Verb::{Delete, Get, Head, Patch, Post, Put};
        for (verb, path, starts) in [
            (Get, "", "Search { of: System"),
            (Get, "metadata", "Capabilities"),
            (Post, "", "Bundle"),
            (Get, "Patient", "Search { of: Type"),
            (Post, "Patient", "Create"),
            (Post, "Patient/_search", "Search"),
            (Put, "Patient", "Update"),
            (Head, "Patient/1", "Read"),
            (Get, "Patient/1/", "Read"),
            (Put, "Patient/1", "Update"),
            (Patch, "Patient/1", "Patch"),
            (Delete, "Patient/1", "Delete"),
            (Get, "Patient/1/_history", "History"),
            (Get, "Patient/1/_history/2", "VRead"),
            (Get, "Patient/1/Task", "Search { of: Compartment"),
            (Get, "Patient/1/*", "Search { of: Compartment"),
            (Post, "Task/1/$claim", "Operation"),
            (Get, "_history", "History { of: System"),
        ] {
            let found = format!("{:?}", ask(verb, path).unwrap());
            assert!(found.starts_with(starts), "{path}: {found}");
        }
    }

    #[test]
    fn a_path_lists_the_methods_it_takes() {
        for (path, methods) in [
            ("", "GET, HEAD, POST"),
            ("metadata", "GET, HEAD"),
            ("Patient", "GET, HEAD, POST, PUT, PATCH, DELETE"),
            ("Patient/_search", "POST"),
            ("Patient/1", "GET, HEAD, PUT, PATCH, DELETE"),
            ("Patient/1/_history", "GET, HEAD"),
            ("Patient/1/_history/1", "GET, HEAD"),
            ("Patient/1/Task", "GET, HEAD"),
            ("Patient/1/Task/_search", "POST"),
            ("Task/1/$claim", "POST"),
            ("Nope", ""),
            ("Patient/1/2", ""),
        ] {
            assert_eq!(allowed(path), methods, "{path}");
        }
    }

    #[test]
    fn a_wrong_method_is_405_and_a_wrong_path_404() {
        use Verb::{Get, Patch, Post, Put};
        for (verb, path, status) in [
            (Put, "", 405),
            (Post, "metadata", 405),
            (Post, "Patient/1", 405),
            (Get, "Patient/_search/x/y/z", 404),
            (Put, "Patient/1/_history/1", 405),
            (Patch, "Task/1/$claim", 405),
            (Get, "patient", 404),
            (Get, "Nope/1", 404),
            (Get, "Patient/a b", 400),
            (Get, "Patient/..", 400),
            (Put, "Nope/1/2/3", 404),
        ] {
            assert_eq!(ask(verb, path).unwrap_err().kind.status(), status, "{path}");
        }
    }
}
