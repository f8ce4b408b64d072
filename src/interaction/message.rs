//! `$process-message`: a message becomes one transaction, through the same door as any other.
//!
//! - What it brings is found again by what the sender calls it: an identifier, or the id or address in the message, kept as
//!   a tag. What it names by the way is made where it is missing and never changed.
//! - The MessageHeader is stored with the message's id, time and digest: a copy is answered and changes nothing, another
//!   message under the same id is refused.
//! - A message about medicines makes stay and patient where they are missing, and changes neither.
//! - Of messages about one stay the one that was sent last counts. One that comes late adds what is not there yet, and
//!   changes nothing that is. The stay is written under the version that was looked at: two messages at once do not cross.
//!
//! Not for: what a message must be (`workflow::message`).
//! Source: <https://hl7.org/fhir/R4/messageheader-operation-process-message.html>; Da Vinci Unsolicited Notifications 1.1.0.

use super::Engine;
use super::answer::{Answer, Done};
use super::batch::Entry;
use super::request::{Body, Operation, Prefer, Request, Scope};
use super::route::{Verb, Wire, route};
use crate::access::Ctx;
use crate::clock::Instant;
use crate::error::{Error, Issue, Kind, Result};
use crate::fhir::resource::{known, printable};
use crate::fhir::{Json, ResourceType, json, outcome, validate};
use crate::search::query::pairs;
use crate::workflow::element::{extension, extension_url, sid};
use crate::workflow::message::{self, Event, Message};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;
use sha2::{Digest, Sha256};

/// How often a message is looked at again because another one about the same stay came between.
const ROUNDS: usize = 8;

/// Messages about one stay that are looked at for the newest.
const MESSAGES: usize = 200;

/// What a message names by the way: it makes such a resource where it is missing, and never changes one.
const BY_THE_WAY: [&str; 7] =
    ["Device", "Location", "Medication", "Organization", "Practitioner", "PractitionerRole", "Substance"];

/// What a medication message is about only by the way: whose medicines, of which stay. What notifications say of these is left alone.
const CONTEXT: [&str; 2] = ["Encounter", "Patient"];

/// Tags of what came by message: which message, and which thing of the sender's.
const TAG: &str = "message";

/// The extension of a MessageHeader that says when the message was sent and what its digest is.
const RECEIVED: &str = "message-received";

/// What a message is about, as it is here.
struct Subject {
    entry: usize,
    /// Logical id and version, where it is here.
    stored: Option<(String, String)>,
}

/// A message and what is known of it.
struct Taken<'a> {
    engine: &'a Engine,
    ctx: &'a Ctx,
    bundle: &'a Json,
    message: &'a Message,
    /// Of its MessageHeader.
    tag: String,
    digest: String,
}

impl Engine {
    /// Carries `$process-message` out.
    ///
    /// # Errors
    /// What is wrong with the message, or with what it brings; 409 for another message under a known id.
    pub(super) async fn process_message(&self, ctx: &Ctx, call: Operation) -> Result<Answer> {
        if call.is_get {
            return Err(Error::method_not_allowed("$process-message changes something: call it by POST"));
        }
        let prefer = call.prefer;
        let text = call.body.text().unwrap_or_default();
        let bundle = content(call, &self.house().json)?;
        validate::check(&bundle)?;
        let message = message::read(&bundle, ctx.now)?;
        let taken = Taken {
            engine: self,
            ctx,
            bundle: &bundle,
            message: &message,
            tag: self.tag(ctx, &["message", &message.id]),
            digest: Sha256::digest(bundle.to_bytes()).iter().map(|b| format!("{b:02x}")).collect(),
        };
        for _ in 0..ROUNDS {
            if let Some(header) = taken.header().await? {
                return taken.again(&header, prefer);
            }
            let (subjects, newest) = taken.subjects().await?;
            let is_late = newest.zip(message.sent).is_some_and(|(newest, sent)| sent < newest);
            let entries = taken.entries(&subjects, is_late)?;
            match self.transaction(ctx, entries, Some(Prefer::Minimal), &text, None).await {
                Ok(_) => return Ok(taken.answer(is_late, prefer)),
                // Another message about it, or a copy, came between.
                Err(error) if error.kind == Kind::VersionMismatch => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error::busy("other messages about the same stay keep coming between; send it again"))
    }

    /// Code of a tag: nobody else's, and not to be guessed.
    fn tag(&self, ctx: &Ctx, parts: &[&str]) -> String {
        let org = ctx.principal.org.as_deref().unwrap_or_default();
        let parts: Vec<&str> = [TAG, org].into_iter().chain(parts.iter().copied()).collect();
        self.house().programme.id(&parts)
    }

    /// What a search of the caller's finds.
    async fn found(&self, ctx: &Ctx, rtype: ResourceType, query: String) -> Result<Vec<Json>> {
        let search = Request::Search { of: Scope::Type(rtype), query, lenient: false };
        let mut answer = json::parse(&self.handle_entry(ctx, search).await?.body)?;
        let entries = answer.remove("entry").unwrap_or_default();
        Ok(entries.items().iter().map(|e| e["resource"].clone()).collect())
    }
}

impl Taken<'_> {
    fn resource(&self, n: usize) -> &Json {
        self.bundle["entry"].items().get(n).map_or(&Json::Null, |e| &e["resource"])
    }

    /// The MessageHeader under which this message's id is on record.
    async fn header(&self) -> Result<Option<Json>> {
        let found = self.engine.found(self.ctx, known("MessageHeader"), by_tag(&self.tag)).await?;
        Ok(found.into_iter().next())
    }

    /// The answer to a message whose id is on record.
    fn again(&self, header: &Json, prefer: Prefer) -> Result<Answer> {
        if part(header, "digest")["valueString"].text() == self.digest {
            return Ok(answer("the message was taken before: nothing is done again", &[], prefer));
        }
        let text = "another message came under this id; correct what was said under a new one";
        Err(Error::conflict(text).code("duplicate").at("Bundle.entry[0].resource.id"))
    }

    /// What the message is about, as it is here, and when the newest message about any of it was sent.
    async fn subjects(&self) -> Result<(Vec<Subject>, Option<Instant>)> {
        let (mut subjects, mut newest) = (Vec::new(), None);
        for entry in self.message.focus.iter().copied() {
            let mut stored = None;
            if let (Some(rtype), Some(key)) = (self.rtype(entry), self.key(entry)) {
                let found = self.engine.found(self.ctx, rtype, key).await?;
                if found.len() > 1 {
                    let text = format!("several {rtype} have this identifier here: which is meant cannot be told");
                    let at = format!("Bundle.entry[{entry}].resource.identifier");
                    return Err(Error::new(Kind::ManyMatches, text).code("multiple-matches").at(at));
                }
                if let Some(one) = found.first() {
                    let (id, version) = (one["id"].text().to_owned(), one["meta"]["versionId"].text().to_owned());
                    let query = format!("focus={rtype}/{id}&_count={MESSAGES}");
                    let headers = self.engine.found(self.ctx, known("MessageHeader"), query).await?;
                    let sent = |h: &Json| Instant::parse(part(h, "sent")["valueInstant"].text());
                    newest = newest.max(headers.iter().filter_map(sent).max());
                    stored = Some((id, version));
                }
            }
            subjects.push(Subject { entry, stored });
        }
        Ok((subjects, newest))
    }

    fn rtype(&self, n: usize) -> Option<ResourceType> {
        ResourceType::parse(self.resource(n)["resourceType"].text())
    }

    /// What the sender calls the resource, beside identifiers: the id or the address that it has there.
    fn name(&self, n: usize) -> Option<String> {
        let resource = self.resource(n);
        let url = self.bundle["entry"].items().get(n).map_or("", |e| e["fullUrl"].text());
        let id = resource["id"].as_str().or_else(|| Some(url).filter(|u| u.starts_with("http")))?;
        Some(self.engine.tag(self.ctx, &[resource["resourceType"].text(), id]))
    }

    /// Criteria that find the resource: by its first identifier, else by what the sender calls it.
    fn key(&self, n: usize) -> Option<String> {
        let by_identifier = self.resource(n)["identifier"].items().iter().find_map(|i| {
            let (system, value) = (i["system"].as_str()?, i["value"].as_str()?);
            Some(format!("identifier={}", token(system, value)))
        });
        by_identifier.or_else(|| self.name(n).map(|tag| by_tag(&tag)))
    }

    /// Whether a message only makes such a resource where it is missing.
    fn is_by_the_way(&self, rtype: ResourceType) -> bool {
        BY_THE_WAY.contains(&rtype.as_str())
            || (self.message.event == Event::Medicines && CONTEXT.contains(&rtype.as_str()))
    }

    /// The transaction.
    fn entries(&self, subjects: &[Subject], is_late: bool) -> Result<Vec<Entry>> {
        let all = self.bundle["entry"].items();
        let mut out = Vec::with_capacity(all.len());
        for (n, entry) in all.iter().enumerate() {
            let Some(rtype) = self.rtype(n) else { continue };
            let mut body = self.resource(n).clone();
            body.remove("id");
            let tag = if n == 0 { Some(self.tag.clone()) } else { self.name(n) };
            if let Some(tag) = &tag {
                let mut meta = body.remove("meta").filter(|m| m.as_object().is_some()).unwrap_or_else(Json::object);
                meta.push("tag", json!({"system": sid(TAG), "code": tag}));
                body.set("meta", meta);
            }
            let subject = subjects.iter().find(|s| s.entry == n);
            let (mut wire, mut path) = (Wire::new(Verb::Post, ""), rtype.to_string());
            match (self.key(n), subject.and_then(|s| s.stored.as_ref())) {
                _ if n == 0 => {
                    self.record(&mut body);
                    wire.if_none_exist = Some(by_tag(&self.tag));
                    wire.if_none_match = Some("*".into());
                }
                (Some(_), Some((id, version))) if !is_late => {
                    wire.verb = Verb::Put;
                    wire.if_match = Some(format!("W/\"{version}\""));
                    path = format!("{rtype}/{id}");
                    body.set("id", id.as_str());
                }
                (Some(key), None) if subject.is_some() => {
                    wire.if_none_exist = Some(key);
                    wire.if_none_match = Some("*".into());
                }
                (Some(key), _) if is_late || self.is_by_the_way(rtype) => wire.if_none_exist = Some(key),
                (Some(key), _) => (wire.verb, wire.query) = (Verb::Put, key),
                (None, _) => {}
            }
            wire.body = Body::Tree(body);
            let place = format!("Bundle.entry[{n}]");
            let full_url = Some(entry["fullUrl"].text().to_owned());
            out.push(Entry { place, full_url, request: route(&path, wire) });
        }
        Ok(out)
    }

    /// Notes in the MessageHeader when it was sent and what its digest is.
    fn record(&self, header: &mut Json) {
        let mut parts = vec![json!({"url": "digest", "valueString": self.digest})];
        if let Some(sent) = self.message.sent {
            parts.push(json!({"url": "sent", "valueInstant": sent.to_string()}));
        }
        header.push("extension", json!({"url": extension_url(RECEIVED), "extension": parts}));
    }

    fn answer(&self, is_late: bool, prefer: Prefer) -> Answer {
        let text = format!("the {} is on record", self.message.event.name());
        let noticed = if is_late {
            let text =
                "a newer message about it was here already: what that said stays, and only what was missing is added";
            vec![Issue::warning("informational", "Bundle.timestamp", text)]
        } else {
            Vec::new()
        };
        answer(&text, &noticed, prefer)
    }
}

/// A part of what is noted in a MessageHeader.
fn part<'a>(header: &'a Json, name: &str) -> &'a Json {
    let parts = extension(header, RECEIVED).map_or(&[][..], |e| e["extension"].items());
    parts.iter().find(|p| p["url"].text() == name).unwrap_or(&Json::Null)
}

fn answer(text: &str, noticed: &[Issue], prefer: Prefer) -> Answer {
    match prefer {
        Prefer::Minimal => Answer::empty(Done::Ok),
        _ => Answer::of(outcome::all_ok_but(text, noticed).to_bytes()),
    }
}

fn by_tag(tag: &str) -> String {
    format!("_tag={}", token(&sid(TAG), tag))
}

/// `system|code`, as a search takes it in a URL.
fn token(system: &str, code: &str) -> String {
    let escaped = |text: &str| {
        let mut out = String::with_capacity(text.len());
        for c in text.chars() {
            if matches!(c, ',' | '|' | '$' | '\\') {
                out.push('\\');
            }
            out.push(c);
        }
        utf8_percent_encode(&out, NON_ALPHANUMERIC).to_string()
    };
    format!("{}|{}", escaped(system), escaped(code))
}

/// The message: the body itself, or the parameter `content`.
fn content(call: Operation, limits: &json::Limits) -> Result<Json> {
    for (name, value) in pairs(&call.query)? {
        match (name.as_str(), value.as_str()) {
            ("async", "false") | ("_format" | "_pretty", _) => {}
            ("async", _) => return Err(no_async()),
            (other, _) => {
                let text =
                    format!("$process-message has no parameter '{}'; it takes content and async", printable(other));
                return Err(Error::invalid(text).code("not-supported"));
            }
        }
    }
    let mut body = call.body.json(limits)?;
    match body["resourceType"].text() {
        "Bundle" => return Ok(body),
        "Parameters" => {}
        other => {
            let text =
                format!("found '{}'; the body is the Bundle of type message, or Parameters with it", printable(other));
            return Err(Error::invalid(text).at("resourceType"));
        }
    }
    let mut message = None;
    for (n, parameter) in body.get_mut("parameter").map_or(&mut [][..], Json::items_mut).iter_mut().enumerate() {
        let here = format!("Parameters.parameter[{n}]");
        match parameter["name"].text() {
            "content" => message = parameter.remove("resource"),
            "async" if parameter["valueBoolean"].as_bool() == Some(false) => {}
            "async" => return Err(no_async().at(here)),
            other => {
                let text =
                    format!("$process-message has no parameter '{}'; it takes content and async", printable(other));
                return Err(Error::invalid(text).code("not-supported").at(here));
            }
        }
    }
    message
        .ok_or_else(|| Error::invalid("Parameters without the message in 'content'").code("required").at("Parameters"))
}

fn no_async() -> Error {
    Error::invalid("a message is taken while its sender waits; leave async out").code("not-supported")
}
