//! batch: entries that have nothing to do with each other, each with an answer of its own.
//!
//! Also reads the entries of both kinds of Bundle, and writes their answers.
//! Source: <https://hl7.org/fhir/R4/http.html#transaction>.

use super::Engine;
use super::answer::{Answer, Done};
use super::bundle::{Answered, Writer};
use super::operation;
use super::request::{Body, Media, Operation, Prefer, Request};
use super::route::{Verb, Wire, route};
use super::write::at;
use crate::access::Ctx;
use crate::error::{Error, Result};
use crate::fhir::resource::printable;
use crate::fhir::{Json, json, outcome};
use bytes::Bytes;
use std::borrow::Cow;

/// One entry, read.
#[derive(Debug)]
pub(super) struct Entry {
    /// `Bundle.entry[3]`.
    pub(super) place: String,
    /// `fullUrl`, where there is one.
    pub(super) full_url: Option<String>,
    /// What it asks for; of what cannot be read why not, with the place of the entry.
    pub(super) request: Result<Request>,
}

impl Engine {
    /// batch or transaction.
    pub(super) async fn bundle(
        &self,
        ctx: &Ctx,
        body: Body,
        prefer: Option<Prefer>,
        provenance: Option<Json>,
    ) -> Result<Answer> {
        let text = body.text().unwrap_or_default();
        let mut bundle = body.json(&self.house().json)?;
        match bundle["resourceType"].as_str() {
            Some("Bundle") => {}
            Some(other) => {
                let text = format!("the base takes a Bundle; send this {} to its own type", printable(other));
                return Err(Error::invalid(text).at("resourceType"));
            }
            None => return Err(Error::invalid("the body is not a resource: it has no resourceType").code("structure")),
        }
        let entries = match bundle.remove("entry") {
            None => Vec::new(),
            Some(Json::Array(entries)) if !entries.is_empty() => entries,
            Some(_) => {
                return Err(Error::invalid("entry is an array of at least one entry")
                    .code("structure")
                    .at("Bundle.entry"));
            }
        };
        let most = self.house().limits.bundle_entries;
        if u64::try_from(entries.len()).unwrap_or(u64::MAX) > most {
            let text = format!(
                "a Bundle holds at most {most} entries (limit bundle-entries) and this one has {}; send several",
                entries.len()
            );
            return Err(Error::too_large(text).code("too-costly").at("Bundle.entry"));
        }
        let (base, limits) = (ctx.base.as_ref(), &self.house().json);
        let entries = entries.into_iter().enumerate().map(|(n, entry)| Entry::read(n, entry, base, limits)).collect();
        match bundle["type"].as_str() {
            Some("transaction") => self.transaction(ctx, entries, prefer, &text, provenance).await,
            Some("batch") if provenance.is_some() => Err(super::provenance::goes_with()),
            Some("batch") => self.batch(ctx, entries, prefer, &text).await,
            _ => {
                let text =
                    "the base takes Bundles of type batch or transaction; to keep another one, POST it to /Bundle";
                Err(Error::invalid(text).code("value").at("Bundle.type"))
            }
        }
    }

    /// `text`: of the Bundle, for the places of issues.
    async fn batch(&self, ctx: &Ctx, entries: Vec<Entry>, prefer: Option<Prefer>, text: &[u8]) -> Result<Answer> {
        let mut out = Writer::new(&ctx.base, "batch-response", None, &[], entries.len() * 256);
        for Entry { place, request, .. } in entries {
            let answered = match request {
                Ok(request) => {
                    let prefer = prefer_of(&request, prefer);
                    let answer = self.handle_entry(ctx, with_prefer(request, prefer)).await;
                    (prefer, answer.map_err(|e| at(e, &place)))
                }
                Err(error) => (None, Err(error)),
            };
            let (prefer, answered) = answered;
            let answered = answered.map_err(|mut error| {
                json::locate(text, "", &mut error.issues);
                error
            });
            answer(&mut out, answered, prefer);
        }
        Ok(Answer::of(out.end()))
    }
}

impl Entry {
    /// Reads one entry. Why it cannot be read: `Invalid` and the like.
    fn read(n: usize, entry: Json, base: &str, limits: &json::Limits) -> Self {
        let place = format!("Bundle.entry[{n}]");
        let full_url = entry["fullUrl"].as_str().map(str::to_owned);
        // What is wrong with the entry itself names its place already.
        let is_placed = |e: &Error| e.issues.iter().any(|i| i.expression.starts_with(&place));
        let request = read(entry, base, &place, limits);
        let request = request.map_err(|e| if is_placed(&e) { e } else { at(e, &place) });
        Self { place, full_url, request }
    }
}

fn read(mut entry: Json, base: &str, place: &str, limits: &json::Limits) -> Result<Request> {
    const MEMBERS: [&str; 7] = ["id", "extension", "modifierExtension", "link", "fullUrl", "resource", "request"];
    const REQUEST: [&str; 9] = [
        "id",
        "extension",
        "modifierExtension",
        "method",
        "url",
        "ifNoneMatch",
        "ifModifiedSince",
        "ifMatch",
        "ifNoneExist",
    ];
    known(&entry, &MEMBERS, place)?;
    let request = entry.remove("request").unwrap_or_default();
    if request.as_object().is_none() {
        let text = "an entry of a batch or transaction needs a request with method and url";
        return Err(Error::invalid(text).code("required").at(format!("{place}.request")));
    }
    let within = format!("{place}.request");
    known(&request, &REQUEST, &within)?;
    let text = |key: &str| match request.get(key) {
        None => Ok(None),
        Some(Json::String(s)) if !s.is_empty() => Ok(Some(s.clone())),
        Some(_) => Err(Error::invalid(format!("{key} is a text")).at(format!("{within}.{key}"))),
    };
    let method = text("method")?.unwrap_or_default();
    let verb = Verb::parse(&method).ok_or_else(|| {
        let text = format!("'{}' is no method: use GET, HEAD, POST, PUT, PATCH or DELETE", printable(&method));
        Error::invalid(text).code("value").at(format!("{within}.method"))
    })?;
    let url = text("url")?
        .ok_or_else(|| Error::invalid("the request needs a url").code("required").at(format!("{within}.url")))?;
    let (path, query) = below(&url, base).map_err(|e| e.at(format!("{within}.url")))?;
    let full_url = match entry.remove("fullUrl") {
        None => None,
        Some(Json::String(url)) => Some(url),
        Some(_) => return Err(Error::invalid("fullUrl is a text").at(format!("{place}.fullUrl"))),
    };
    let resource = entry.remove("resource").unwrap_or_default();
    if let Some(url) = full_url.as_deref().filter(|_| matches!(verb, Verb::Post | Verb::Put)) {
        agrees(url, &resource).map_err(|e| e.at(format!("{place}.fullUrl")))?;
    }
    let mut wire = Wire::new(verb, query);
    wire.if_match = text("ifMatch")?;
    wire.if_none_match = text("ifNoneMatch")?;
    wire.if_none_exist = text("ifNoneExist")?;
    if let Some(since) = text("ifModifiedSince")? {
        let since = crate::clock::Instant::parse(&since)
            .ok_or_else(|| Error::invalid("ifModifiedSince is an instant").at(format!("{within}.ifModifiedSince")))?;
        wire.if_modified_since = Some(since.0.div_euclid(1_000_000));
    }
    match (verb, resource.is_null()) {
        (Verb::Get | Verb::Head | Verb::Delete, false) => {
            return Err(Error::invalid(format!("a {method} takes no resource")).at(format!("{place}.resource")));
        }
        (Verb::Put, true) => {
            return Err(Error::invalid("a PUT needs a resource").code("required").at(format!("{place}.resource")));
        }
        _ => {}
    }
    if verb == Verb::Patch {
        (wire.body, wire.media) = patch_document(resource, limits)?;
    } else {
        wire.body = Body::Tree(resource);
    }
    if wire.body.is_empty() {
        wire.body = Body::default();
    }
    let request = route(&path, wire)?;
    match request {
        Request::Bundle { .. } | Request::Start { .. } | Request::Job { .. } => {
            Err(Error::invalid("a batch or transaction inside another, or a job of the background, is not taken")
                .at(within))
        }
        request => Ok(request),
    }
}

/// A fullUrl that is an address names the resource that the entry brings, and no version of it.
///
/// Source: <https://hl7.org/fhir/R4/bundle-definitions.html#Bundle.entry.fullUrl>, bdl-8.
fn agrees(url: &str, resource: &Json) -> Result<()> {
    if url.starts_with("urn:") {
        return Ok(());
    }
    if url.contains("/_history/") {
        return Err(Error::invalid("a fullUrl names no version (bdl-8); leave /_history/… out").code("invariant"));
    }
    let Some(id) = resource["id"].as_str() else { return Ok(()) };
    let rtype = resource["resourceType"].text();
    let mut parts = url.trim_end_matches('/').rsplit('/');
    if parts.next() == Some(id) && parts.next() == Some(rtype) {
        return Ok(());
    }
    let text = format!(
        "the fullUrl '{}' and the resource {}/{} contradict each other; make the fullUrl end in it, or use urn:uuid:…",
        printable(url),
        printable(rtype),
        printable(id)
    );
    Err(Error::invalid(text))
}

fn known(object: &Json, members: &[&str], place: &str) -> Result<()> {
    let Some(object) = object.as_object() else {
        return Err(Error::invalid("an object is needed here").code("structure").at(place));
    };
    for (name, _) in object.iter() {
        if !members.contains(&name.trim_start_matches('_')) {
            let text = format!("R4 has no element '{}' here", printable(name));
            return Err(Error::invalid(text).code("structure").at(format!("{place}.{}", printable(name))));
        }
    }
    Ok(())
}

/// Splits a request url into path and query. An absolute one must be of this server.
fn below(url: &str, base: &str) -> Result<(String, String)> {
    let (before, _) = url.split_once('?').unwrap_or((url, ""));
    let rest = match url.strip_prefix(base) {
        Some(rest) if rest.is_empty() || rest.starts_with(['/', '?']) => rest,
        _ if before.contains("://") || before.starts_with("//") => {
            return Err(Error::invalid("the url leads to another server; write it relative to this one's base"));
        }
        _ => url,
    };
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let path =
        percent_encoding::percent_decode_str(path).decode_utf8().map_err(|_| Error::invalid("the url is not UTF-8"))?;
    if path.contains("..") {
        return Err(Error::invalid("the url holds '..'"));
    }
    Ok((path.into_owned(), query.to_owned()))
}

/// In a Bundle a JSON Patch travels as a Binary of its media type, data in base64, a FHIRPath Patch as the Parameters.
fn patch_document(resource: Json, limits: &json::Limits) -> Result<(Body, Media)> {
    use base64::Engine as _;
    let media = resource["contentType"].text().split(';').next().unwrap_or_default().trim().to_owned();
    match (resource["resourceType"].text(), media.as_str()) {
        ("Parameters", _) => Ok((Body::Tree(resource), Media::Fhir)),
        ("Binary", "application/json-patch+json") => {
            let data: String = resource["data"].text().split_ascii_whitespace().collect();
            let bytes = base64::engine::general_purpose::STANDARD
                .decode(data)
                .map_err(|_| Error::invalid("the Binary's data is not base64").at("Binary.data"))?;
            Ok((Body::Tree(json::parse_with(&bytes, limits)?), Media::JsonPatch))
        }
        _ => {
            let text = "a PATCH entry needs a Parameters resource (FHIRPath Patch), or a Binary with contentType \
                application/json-patch+json whose data is the JSON Patch";
            Err(Error::invalid(text).at("resource"))
        }
    }
}

/// What an entry is answered with: a write minimally and an operation with what it gives, unless the Bundle's `Prefer` says
/// otherwise; `None` for what only reads.
pub(super) fn prefer_of(request: &Request, wanted: Option<Prefer>) -> Option<Prefer> {
    match request {
        Request::Create { .. } | Request::Update { .. } | Request::Patch { .. } | Request::Delete { .. } => {
            Some(wanted.unwrap_or(Prefer::Minimal))
        }
        Request::Operation(call) if operation::changes(call) => Some(wanted.unwrap_or_default()),
        _ => None,
    }
}

fn with_prefer(mut request: Request, wanted: Option<Prefer>) -> Request {
    if let Some(wanted) = wanted {
        match &mut request {
            Request::Create { prefer, .. }
            | Request::Update { prefer, .. }
            | Request::Patch { prefer, .. }
            | Request::Delete { prefer, .. }
            | Request::Operation(Operation { prefer, .. }) => *prefer = wanted,
            _ => {}
        }
    }
    request
}

/// Writes one answer into a response Bundle. `prefer`: of what may change something; its body is `resource` or `outcome` as
/// that says.
pub(super) fn answer(out: &mut Writer<'_>, answer: Result<Answer>, prefer: Option<Prefer>) {
    match answer {
        Ok(answer) => {
            let is_outcome = prefer == Some(Prefer::Outcome);
            let body = Some(&answer.body[..]).filter(|b| !b.is_empty());
            // An operation or a search has no version of its own.
            let status = match answer.done {
                Done::NoContent => Done::NoContent.status().1,
                done => done.status().1,
            };
            out.answered(&Answered {
                status,
                target: answer.location.as_ref(),
                stamp: answer.stamp.as_ref().map(|s| (s.version, s.updated)),
                location: answer.version_path(),
                resource: body.filter(|_| !is_outcome),
                outcome: body.filter(|_| is_outcome),
            });
        }
        Err(error) => {
            let outcome = Bytes::from(outcome::of_error(&error).to_bytes());
            let status: Cow<'_, str> = error.kind.status().to_string().into();
            out.answered(&Answered { status: &status, outcome: Some(&outcome), ..Answered::default() });
        }
    }
}
