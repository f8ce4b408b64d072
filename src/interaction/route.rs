//! From method and path to an interaction: the map of the FHIR API, one line an interaction.
//!
//! For: HTTP requests and `Bundle.entry.request` alike, so that a Bundle can ask for all that HTTP can.
//! Not for: what an interaction does, or headers (`http/wire.rs`).
//! Source: <https://hl7.org/fhir/R4/http.html#summary>.

use super::operation::{no_such, table};
use super::request::{At, Body, JobAsk, Media, Operation, Prefer, Request, Scope, Unless, When};
use crate::error::{Error, Result};
use crate::fhir::resource::printable;
use crate::fhir::{ResourceType, Target};
use crate::search::query::pairs;

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

    /// The method's name.
    pub(super) fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(_, verb)| *verb == self).map_or("", |(name, _)| name)
    }

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
    /// `X-Provenance`.
    pub provenance: Option<String>,
    /// `If-Modified-Since`, seconds since 1970.
    pub if_modified_since: Option<i64>,
    /// `Prefer: return=…`, where given.
    pub prefer: Option<Prefer>,
    /// `Prefer: handling=lenient`.
    pub lenient: bool,
    /// `Prefer: respond-async`.
    pub is_async: bool,
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
            provenance: None,
            if_modified_since: None,
            prefer: None,
            lenient: false,
            is_async: false,
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

/// One segment of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// Just this.
    Word(&'static str),
    /// A resource type.
    Type,
    /// A logical id.
    Id,
    /// A version id.
    Version,
    /// `$name`
    Name,
    /// The type of what is in a compartment, or `*`.
    Member,
}

use Part::{Id, Member, Name, Type, Version, Word};

impl Part {
    /// Whether a segment may be it. Words that have a meaning of their own are no types and no ids.
    fn fits(self, segment: &str) -> bool {
        match self {
            Word(word) => word == segment,
            Name => segment.starts_with('$'),
            Type => !segment.starts_with(['$', '_']) && segment != "metadata",
            Id => !segment.starts_with('$') && !matches!(segment, "_history" | "_search"),
            Version => true,
            Member => !segment.starts_with(['$', '_']),
        }
    }
}

/// A line of the map: what `metadata` and the OpenAPI document list.
pub(super) struct Route {
    /// As R4 calls the interaction (`TypeRestfulInteraction`, `SystemRestfulInteraction`). Own names: `transaction` (a batch
    /// too), `operation`, `conditional-…`, `search-compartment`, `capabilities`, `job-…`.
    pub(super) code: &'static str,
    pub(super) verbs: &'static [Verb],
    pub(super) path: &'static [Part],
    make: fn(&[&str], Wire) -> Result<Option<Request>>,
}

const READS: &[Verb] = &[Verb::Get, Verb::Head];
const CALLS: &[Verb] = &[Verb::Get, Verb::Head, Verb::Post];

const fn row(
    code: &'static str,
    verbs: &'static [Verb],
    path: &'static [Part],
    make: fn(&[&str], Wire) -> Result<Option<Request>>,
) -> Route {
    Route { code, verbs, path, make }
}

/// The map: the first line that fits has the request.
pub(super) const ROUTES: &[Route] = &[
    // the whole system
    row("capabilities", READS, &[Word("metadata")], |_, w| Ok(Some(Request::Capabilities { query: w.query }))),
    row("history-system", READS, &[Word("_history")], |_, w| history(Scope::System, w)),
    row("search-system", READS, &[], |_, w| search(Scope::System, w)),
    row("search-system", &[Verb::Post], &[Word("_search")], |_, w| search(Scope::System, w)),
    row("transaction", &[Verb::Post], &[], |_, w| {
        plain("a batch or transaction", &w)?;
        Ok(Some(if w.is_async {
            Request::Start { prefer: w.prefer, body: w.body }
        } else {
            Request::Bundle { prefer: w.prefer, body: w.body }
        }))
    }),
    row("job-status", READS, &[Word("_async"), Id], |p, w| job(p, &w, JobAsk::Status)),
    row("job-cancel", &[Verb::Delete], &[Word("_async"), Id], |p, w| job(p, &w, JobAsk::Cancel)),
    row("job-result", READS, &[Word("_async"), Id, Word("result")], |p, w| job(p, &w, JobAsk::Result)),
    row("operation", CALLS, &[Name], |p, w| operation(at(p, 0), Scope::System, w)),
    // one type
    row("search-type", READS, &[Type], |p, w| search(Scope::Type(rtype(at(p, 0))?), w)),
    row("search-type", &[Verb::Post], &[Type, Word("_search")], |p, w| search(Scope::Type(rtype(at(p, 0))?), w)),
    row("create", &[Verb::Post], &[Type], |p, w| create(rtype(at(p, 0))?, w)),
    row("conditional-update", &[Verb::Put], &[Type], |p, w| update(query(p, &w)?, w)),
    row("conditional-patch", &[Verb::Patch], &[Type], |p, w| patch(query(p, &w)?, w)),
    row("conditional-delete", &[Verb::Delete], &[Type], |p, w| delete(query(p, &w)?, &w)),
    row("history-type", READS, &[Type, Word("_history")], |p, w| history(Scope::Type(rtype(at(p, 0))?), w)),
    row("operation", CALLS, &[Type, Name], |p, w| operation(at(p, 1), Scope::Type(rtype(at(p, 0))?), w)),
    // one resource
    row("read", READS, &[Type, Id], |p, w| {
        let unless = Unless { etags: w.if_none_match, modified_since: w.if_modified_since };
        Ok(Some(Request::Read { target: target(p)?, unless, query: w.query }))
    }),
    row("update", &[Verb::Put], &[Type, Id], |p, w| plain("an update", &w).and(update(At::Id(target(p)?), w))),
    row("patch", &[Verb::Patch], &[Type, Id], |p, w| plain("a patch", &w).and(patch(At::Id(target(p)?), w))),
    row("delete", &[Verb::Delete], &[Type, Id], |p, w| plain("a delete", &w).and(delete(At::Id(target(p)?), &w))),
    row("history-instance", READS, &[Type, Id, Word("_history")], |p, w| history(Scope::Instance(target(p)?), w)),
    row("vread", READS, &[Type, Id, Word("_history"), Version], |p, w| {
        Ok(Some(Request::VRead { target: target(p)?, version: at(p, 3).into(), query: w.query }))
    }),
    row("operation", CALLS, &[Type, Id, Name], |p, w| operation(at(p, 2), Scope::Instance(target(p)?), w)),
    row("operation", CALLS, &[Type, Id, Word("_history"), Version, Name], |p, w| {
        operation(at(p, 4), Scope::Version(target(p)?, at(p, 3).into()), w)
    }),
    // a compartment
    row("search-compartment", READS, &[Type, Id, Member], |p, w| search(compartment(p)?, w)),
    row("search-compartment", &[Verb::Post], &[Type, Id, Member, Word("_search")], |p, w| search(compartment(p)?, w)),
];

/// Finds the interaction. `path`: below the FHIR base, without slash at the start, percent-decoded.
///
/// # Errors
/// `NotFound` for a path that no interaction has, `MethodNotAllowed` for a method that the path does not take, `Invalid`
/// for ids and headers that cannot be.
pub fn route(path: &str, mut wire: Wire) -> Result<Request> {
    let provenance = wire.provenance.take();
    match find(path, wire)? {
        Some(of) => Ok(match provenance {
            Some(text) => Request::Accompanied { provenance: text.into(), of: Box::new(of) },
            None => of,
        }),
        None => Err(match allowed(path).as_str() {
            "" => unknown(path),
            methods => Error::method_not_allowed(format!("'{}' takes {methods}", printable(path))),
        }),
    }
}

/// The methods that a path takes, as `Allow` lists them; none for a path that no interaction has.
#[must_use]
pub fn allowed(path: &str) -> String {
    let takes =
        |verb: &Verb| find(path, Wire::new(*verb, "")).is_ok_and(|found| found.is_some_and(|r| !writes_audit(&r)));
    Verb::ALL.iter().filter(|(_, verb)| takes(verb)).map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

/// Writes that nobody may ask for: the audit's are the server's own. Who does is told that it is forbidden, and not that there is
/// no such path.
fn writes_audit(request: &Request) -> bool {
    match request {
        Request::Create { rtype, .. } => is_audit(*rtype),
        Request::Update { at, .. } | Request::Patch { at, .. } | Request::Delete { at, .. } => is_audit(at.rtype()),
        Request::Operation(call) => match &call.on {
            Scope::Instance(target) => is_audit(target.rtype) && super::operation::changes(call),
            _ => false,
        },
        _ => false,
    }
}

/// Whether a type is the server's to write.
pub(super) fn is_audit(rtype: ResourceType) -> bool {
    rtype.as_str() == "AuditEvent"
}

impl Route {
    /// Whether it changes a resource.
    pub(super) fn writes(&self) -> bool {
        ["create", "update", "patch", "delete"].iter().any(|verb| self.code.trim_start_matches("conditional-") == *verb)
    }
}

/// The interaction; `None` where the path takes other methods, or none.
fn find(path: &str, wire: Wire) -> Result<Option<Request>> {
    let mut parts = [""; 5];
    let mut count = 0;
    for part in path.split('/').filter(|p| !p.is_empty()) {
        let slot = parts.get_mut(count).ok_or_else(|| unknown(path))?;
        *slot = part;
        count += 1;
    }
    let parts = parts.get(..count).unwrap_or_default();
    let fits = |r: &&Route| {
        r.verbs.contains(&wire.verb) && r.path.len() == count && r.path.iter().zip(parts).all(|(p, s)| p.fits(s))
    };
    match ROUTES.iter().find(fits) {
        Some(route) => (route.make)(parts, wire),
        None => Ok(None),
    }
}

/// A segment that the line's path has.
fn at<'a>(parts: &[&'a str], n: usize) -> &'a str {
    parts.get(n).copied().unwrap_or_default()
}

fn target(parts: &[&str]) -> Result<Target> {
    Target::of(at(parts, 0), at(parts, 1))
}

fn query(parts: &[&str], wire: &Wire) -> Result<At> {
    Ok(At::Query(rtype(at(parts, 0))?, wire.query.clone()))
}

fn compartment(parts: &[&str]) -> Result<Scope> {
    let member = at(parts, 2);
    let member = if member == "*" { None } else { Some(rtype(member)?) };
    Ok(Scope::Compartment(target(parts)?, member))
}

#[allow(clippy::unnecessary_wraps, reason = "as the other lines of the map")]
fn job(parts: &[&str], _: &Wire, ask: JobAsk) -> Result<Option<Request>> {
    Ok(Some(Request::Job { id: at(parts, 1).into(), ask }))
}

/// Refuses parameters that say nothing to a write of what its path names: what is meant by one might be a condition.
///
/// Source: <https://hl7.org/fhir/R4/http.html#parameters>: those that every interaction takes.
fn plain(what: &str, wire: &Wire) -> Result<()> {
    const TAKEN: [&str; 4] = ["_format", "_pretty", "_summary", "_elements"];
    let pairs = if wire.lenient { Vec::new() } else { pairs(&wire.query)? };
    match pairs.into_iter().find(|(name, _)| !TAKEN.contains(&name.as_str())) {
        None => Ok(()),
        Some((name, _)) => Err(Error::invalid(format!(
            "{what} by its path takes no parameter '{}', only {}; leave it out, or send Prefer: handling=lenient",
            printable(&name),
            TAKEN.join(", ")
        ))),
    }
}

fn history(of: Scope, wire: Wire) -> Result<Option<Request>> {
    Ok(Some(Request::History { of, query: wire.query }))
}

fn update(at: At, wire: Wire) -> Result<Option<Request>> {
    Ok(Some(Request::Update { when: wire.when()?, at, prefer: wire.prefer.unwrap_or_default(), body: wire.body }))
}

fn create(rtype: ResourceType, wire: Wire) -> Result<Option<Request>> {
    plain("a create", &wire)?;
    let (when, prefer) = (wire.when()?, wire.prefer.unwrap_or_default());
    if when.if_match.is_some() {
        return Err(Error::invalid("a create takes no If-Match: there is no version yet; update by PUT"));
    }
    Ok(Some(Request::Create { rtype, body: wire.body, if_none_exist: wire.if_none_exist, when, prefer }))
}

fn patch(at: At, wire: Wire) -> Result<Option<Request>> {
    let (when, prefer) = (wire.when()?, wire.prefer.unwrap_or_default());
    Ok(Some(Request::Patch { when, at, body: wire.body, media: wire.media, prefer }))
}

fn delete(at: At, wire: &Wire) -> Result<Option<Request>> {
    Ok(Some(Request::Delete { when: wire.when()?, at, prefer: wire.prefer.unwrap_or_default() }))
}

fn rtype(name: &str) -> Result<ResourceType> {
    ResourceType::parse(name).ok_or_else(|| {
        Error::not_found(format!(
            "R4 has no resource type '{}'; type names begin with a capital letter",
            printable(name)
        ))
    })
}

fn search(of: Scope, wire: Wire) -> Result<Option<Request>> {
    Ok(Some(Request::Search { of, lenient: wire.lenient, query: wire.criteria()? }))
}

fn operation(name: &str, on: Scope, wire: Wire) -> Result<Option<Request>> {
    let is_get = matches!(wire.verb, Verb::Get | Verb::Head);
    let name = name.trim_start_matches('$').to_owned();
    let row = table::find(&name, &on).ok_or_else(|| no_such(&name))?;
    if is_get && !row.takes_get() {
        return Ok(None);
    }
    Ok(Some(Request::Operation(Operation {
        name,
        on,
        when: When::parse(wire.if_match.as_deref(), None)?,
        body: wire.body,
        query: wire.query,
        is_get,
        prefer: wire.prefer.unwrap_or_default(),
    })))
}

/// A path with one method, as it is asked: for what must hold on each of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The interaction; of an operation `$name`; of a path that is no interaction's the path itself.
    pub name: String,
    /// The method.
    pub method: &'static str,
    /// Below the root, without slash at the start: `fhir/{type}/{id}/_history/{version}`. An operation of one type names that type.
    pub path: String,
}

/// All lines of the map, operations by their own table.
#[must_use]
pub fn map() -> Vec<Line> {
    let mut out = Vec::new();
    for route in ROUTES.iter().filter(|r| r.code != "operation") {
        let path = pattern(route.path, "{type}", "");
        out.extend(route.verbs.iter().map(|verb| Line {
            name: route.code.into(),
            method: verb.as_str(),
            path: path.clone(),
        }));
    }
    for row in table::rows() {
        for level in row.levels {
            let parts: &[Part] = match level {
                table::Level::System => &[Name],
                table::Level::Type => &[Type, Name],
                table::Level::Instance => &[Type, Id, Name],
                table::Level::Version => &[Type, Id, Word("_history"), Version, Name],
            };
            let rtype = if let table::On::Type(rtype) = row.on { rtype } else { "{type}" };
            let path = pattern(parts, rtype, row.name);
            let verbs = if row.takes_get() { CALLS } else { &[Verb::Post] };
            out.extend(verbs.iter().map(|verb| Line {
                name: format!("${}", row.name),
                method: verb.as_str(),
                path: path.clone(),
            }));
        }
    }
    out
}

fn pattern(parts: &[Part], rtype: &str, operation: &str) -> String {
    let mut path = "fhir".to_owned();
    for part in parts {
        path.push('/');
        match part {
            Word(word) => path.push_str(word),
            Type => path.push_str(rtype),
            Id => path.push_str("{id}"),
            Version => path.push_str("{version}"),
            Name => path.push_str(&format!("${operation}")),
            Member => path.push_str("{member}"),
        }
    }
    path
}

/// 404 for a path that no interaction has.
#[must_use]
pub fn unknown(path: &str) -> Error {
    Error::not_found(format!("no interaction has the path '{}'", printable(path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(verb: Verb, path: &str) -> Result<Request> {
        route(path, Wire::new(verb, ""))
    }

    /// R4 http.html#parameters: A write by its path takes the parameters of all interactions and no other; with criteria, those too.
    #[test]
    fn a_write_takes_no_parameter_that_says_nothing_to_it() {
        use Verb::{Delete, Patch, Post, Put};
        for (verb, path, query, is_taken) in [
            (Post, "Basic", "", true),
            (Post, "Basic", "_format=json&_pretty=true&_summary=false&_elements=id", true),
            (Post, "Basic", "foo=1", false),
            (Post, "Basic", "_count=1", false),
            (Put, "Basic/1", "_pretty=true", true),
            (Put, "Basic/1", "identifier=a", false),
            (Patch, "Basic/1", "foo", false),
            (Delete, "Basic/1", "foo=1", false),
            (Post, "", "foo=1", false),
            (Put, "Basic", "identifier=a", true),
            (Patch, "Basic", "identifier=a", true),
            (Delete, "Basic", "identifier=a", true),
            (Post, "Basic/_search", "code=a", true),
        ] {
            let refused = route(path, Wire::new(verb, query)).err();
            let is_right =
                refused.as_ref().is_none_or(|e| e.kind.status() == 400 && e.to_string().contains("no parameter"));
            assert!(refused.is_none() == is_taken && is_right, "{verb:?} {path}?{query}: {refused:?}");
            assert!(route(path, Wire { lenient: true, ..Wire::new(verb, query) }).is_ok(), "{path}?{query}, lenient");
        }
    }

    /// R4 http.html#summary: Each path and method finds its interaction.
    #[test]
    fn each_path_finds_its_interaction() {
        use Verb::{Delete, Get, Head, Patch, Post, Put};
        for (verb, path, starts) in [
            (Get, "", "Search { of: System"),
            (Get, "metadata", "Capabilities"),
            (Get, "$versions", "Operation"),
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
            ("EpisodeOfCare/1/$timeline", "GET, HEAD, POST"),
            ("Task/$claim", ""),
            ("Task/1/$timeline", ""),
            ("Nope", ""),
            ("Patient/1/2", ""),
        ] {
            assert_eq!(allowed(path), methods, "{path}");
        }
    }

    /// R4 http.html#summary: A wrong method is 405, a wrong path 404, a bad id 400.
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
            (Get, "Task/1/$claim", 405),
            (Get, "Task/1/$nothing", 404),
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
