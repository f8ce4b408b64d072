//! The terminology operations, on the ValueSets, CodeSystems and ConceptMaps that are here.
//!
//! Here are those that are stored and that the caller may see, the programme's own, those of packages and those of R4's required
//! bindings. What is
//! not here is asked of the terminology server of the settings, where there is one.
//! Not for: what belongs to a value set or how codes relate (`search/terminology`).
//! Source: <https://hl7.org/fhir/R4/terminology-service.html>. Statuses: 404 for a resource that is not here, 422 `not-supported` for one
//! that is here and needs what is not, 422 `too-costly` over a limit.

mod code_system;
mod concept_map;
mod remote;
mod value_set;

pub(super) use remote::Remote;

use super::answer::Answer;
use super::operation::table::{Read, Row};
use super::operation::{Input, no_such};
use super::request::Scope;
use super::search::terms;
use super::{Engine, House};
use crate::access::scope::Action;
use crate::access::{Ctx, Limit};
use crate::error::{Error, Kind, Result};
use crate::fhir::Json;
use crate::search::terminology::{Library, Made, Stop, Wanted};
use remote::Reply;
use serde_json::{Value, json};
use std::sync::Arc;

/// Resources that one question reads at most.
const MOST: usize = 64;
/// What an inline resource is called.
const GIVEN: &str = "urn:baton:given";

/// One question: who asks, and what has been read for it.
struct Asking<'a> {
    house: &'a House,
    limit: Limit,
    ctx: &'a Ctx,
    input: &'a Input,
    library: Library,
    /// The resource that the question is about, where it is here, and the parameter that it would be sent by.
    about: Option<(&'static str, Arc<Json>)>,
    /// Why a check could not be made with what is here.
    unchecked: Option<String>,
}

impl Engine {
    /// Carries out one terminology operation.
    ///
    /// # Errors
    /// As the head of this module says; `Invalid` for parameters that do not make a question.
    pub(super) async fn terminology(
        &self,
        ctx: &Ctx,
        row: &Row,
        read: Read,
        on: &Scope,
        input: &Input,
    ) -> Result<Answer> {
        let (rtype, id) = match on {
            Scope::Instance(target) => (target.rtype, Some(target.to_string())),
            Scope::Type(rtype) => (*rtype, None),
            _ => return Err(no_such(row.name)),
        };
        self.permit(ctx, Action::Read, Some(rtype))?;
        let house = self.house();
        let library = Library::new();
        let mut asking = Asking { house, limit: Limit::of(ctx), ctx, input, library, about: None, unchecked: None };
        let answer = match read {
            Read::Expand => asking.expand(id.clone()).await,
            Read::ValidateInSet => asking.validate_in_set(id.clone()).await,
            Read::Lookup => asking.lookup().await,
            Read::ValidateInSystem => asking.validate_in_system(id.clone()).await,
            Read::Subsumes => asking.subsumes(id.clone()).await,
            Read::Translate => asking.translate(id.clone()).await,
            _ => return Err(no_such(row.name)),
        };
        let is_open = match &answer {
            Ok(_) => asking.unchecked.is_some(),
            Err(error) => {
                matches!(error.kind, Kind::NotFound) || error.issues.iter().all(|i| i.code == "not-supported")
            }
        };
        // An instance that is not here is not elsewhere either.
        let is_here = asking.about.is_some() || id.is_none();
        let Some(remote) = house.remote.as_ref().filter(|_| is_open && is_here) else {
            return answer.map(|json| Answer::of(json.to_bytes()));
        };
        let mut question = input.parameters(
            row,
            if asking.about.is_some() { &["url", "valueSetVersion", "conceptMapVersion"] } else { &[] },
        );
        if let Some((name, resource)) = asking.about.filter(|(name, _)| input.get(name).is_none()) {
            let mut part = Json::object();
            part.set("name", name);
            part.set("resource", Json::clone(&resource));
            question.push("parameter", part);
        }
        let away = match remote.ask(&format!("{rtype}/${}", row.name), &question).await {
            Reply::Known(body) => return Ok(Answer::of(body)),
            Reply::Unknown => return answer.map(|json| Answer::of(json.to_bytes())),
            Reply::Away(why) => format!("the terminology server could not be asked: {why}"),
        };
        match answer {
            Ok(mut json) => {
                let parts = json.get_mut("parameter").map(Json::items_mut).unwrap_or_default();
                for part in parts.iter_mut().filter(|p| p["name"].text() == "message") {
                    let text = format!("{}; {away}", part["valueString"].text());
                    part.set("valueString", text);
                }
                Ok(Answer::of(json.to_bytes()))
            }
            Err(error) => Err(Error::busy(format!("{error}; {away}"))),
        }
    }
}

impl Asking<'_> {
    /// Reads one resource; `None` where it is not here.
    async fn read(&mut self, wanted: Wanted) -> Result<Option<Arc<Json>>> {
        if let Some(found) = self.library.get(&wanted) {
            return Ok(found.clone());
        }
        let found = terms::read(self.house, &self.limit, &wanted, None).await?;
        self.library.insert(wanted, found.clone());
        Ok(found)
    }

    /// Puts a question again and again, until all that it wants has been read.
    async fn answer<T>(&mut self, question: impl Fn(&Library) -> Made<T>) -> Result<Result<T, Stop>> {
        loop {
            match question(&self.library) {
                Err(Stop::Wanted(_)) if self.library.len() >= MOST => {
                    return Ok(Err(Stop::Costly(format!("it takes more than {MOST} value sets and code systems"))));
                }
                Err(Stop::Wanted(wanted)) => {
                    self.read(wanted).await?;
                }
                done => return Ok(done),
            }
        }
    }

    /// The resource that the question is about: inline, of the path, or by URL and version. Its address, and itself.
    ///
    /// # Errors
    /// `Invalid` where none or several are named, `NotFound` where it is not here.
    async fn subject(&mut self, rtype: &'static str, id: Option<String>, version: &str) -> Result<(String, Arc<Json>)> {
        let inline = match rtype {
            "ValueSet" => "valueSet",
            "CodeSystem" => "codeSystem",
            _ => "conceptMap",
        };
        let of = |address: String| match rtype {
            "ValueSet" => Wanted::ValueSet(address),
            "CodeSystem" => Wanted::CodeSystem(address),
            _ => Wanted::ConceptMap(address),
        };
        let (given, url) = (self.input.get(inline).cloned(), self.input.text("url"));
        let address = match (id, given, url) {
            (Some(id), None, None) => id,
            (None, Some(given), _) => {
                let given = Arc::new(given);
                self.library.insert(of(GIVEN.into()), Some(Arc::clone(&given)));
                self.about = Some((inline, Arc::clone(&given)));
                return Ok((GIVEN.into(), given));
            }
            (None, None, Some(url)) => {
                crate::search::terminology::of_address(url, self.input.text(version).filter(|_| !url.contains('|')))
            }
            (Some(_), ..) => return Err(Error::invalid(format!("the {rtype} is that of the path: name no other"))),
            (None, None, None) => {
                let text = format!("which {rtype}? Send url or {inline}, or call the operation on a stored one");
                return Err(Error::invalid(text).code("required"));
            }
        };
        match self.read(of(address.clone())).await? {
            Some(found) => {
                self.about = Some((inline, Arc::clone(&found)));
                Ok((address, found))
            }
            None => Err(Error::not_found(format!("{rtype} {address} is not known here"))),
        }
    }

    /// The codings that the question is about, and where they stand.
    ///
    /// # Errors
    /// `Invalid` unless one of `code`, `coding` and `codeableConcept` is given.
    fn codings(&self, system: Option<&str>) -> Result<Vec<Coding>> {
        let input = self.input;
        let of = |json: &Json, at: String| Coding {
            system: json["system"].as_str().map(str::to_owned),
            code: json["code"].text().to_owned(),
            display: json["display"].as_str().map(str::to_owned),
            at,
        };
        let all = [input.get("code"), input.get("coding"), input.get("codeableConcept")];
        match all {
            [Some(code), None, None] => Ok(vec![Coding {
                system: system.map(str::to_owned),
                code: code.text().to_owned(),
                display: input.text("display").map(str::to_owned),
                at: input.place("code"),
            }]),
            [None, Some(coding), None] => Ok(vec![of(coding, input.place("coding"))]),
            [None, None, Some(concept)] => {
                let place = input.place("codeableConcept");
                let each = concept["coding"].items().iter().enumerate();
                let list: Vec<Coding> =
                    each.map(|(n, c)| of(c, format!("{place}.valueCodeableConcept.coding[{n}]"))).collect();
                if list.is_empty() {
                    Err(input.wrong("codeableConcept", "the concept has no coding to look at"))
                } else {
                    Ok(list)
                }
            }
            [None, None, None] => {
                Err(Error::invalid("which code? Send code, coding or codeableConcept").code("required"))
            }
            _ => Err(Error::invalid("send one of code, coding and codeableConcept")),
        }
    }
}

/// A coding that is asked about.
#[derive(Debug, Clone)]
struct Coding {
    system: Option<String>,
    code: String,
    display: Option<String>,
    at: String,
}

/// What a check said.
enum Verdict {
    /// Valid, with its display.
    Valid(Option<String>),
    /// Not, and why; with its display, where the code itself is known.
    Not(String, Option<String>),
}

impl Verdict {
    fn parameters(self) -> Json {
        let (result, message, display) = match self {
            Self::Valid(display) => (true, None, display),
            Self::Not(why, display) => (false, Some(why), display),
        };
        let mut out = vec![json!({"name": "result", "valueBoolean": result})];
        out.extend(message.map(|text| json!({"name": "message", "valueString": text})));
        out.extend(display.map(|text| json!({"name": "display", "valueString": text})));
        parameters(out)
    }
}

fn parameters(list: Vec<Value>) -> Json {
    json!({"resourceType": "Parameters", "parameter": list}).into()
}

/// The first that is valid, else what was said of the first.
fn best(verdicts: Vec<Verdict>) -> Verdict {
    let mut reasons = Vec::new();
    let mut display = None;
    for verdict in verdicts {
        match verdict {
            Verdict::Valid(display) => return Verdict::Valid(display),
            Verdict::Not(why, has) => {
                reasons.push(why);
                display = display.or(has);
            }
        }
    }
    Verdict::Not(reasons.join("; "), display)
}

/// Compares a display that was sent with those that a code has: letters of either case, white space as one.
fn check_display(sent: Option<&str>, display: Option<&str>, designations: &[Json]) -> Verdict {
    let plain = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
    let own = display.map(str::to_owned);
    let Some(sent) = sent else { return Verdict::Valid(own) };
    let mut known = display.into_iter().chain(designations.iter().filter_map(|d| d["value"].as_str())).peekable();
    if known.peek().is_none() || known.any(|text| plain(text) == plain(sent)) {
        return Verdict::Valid(own);
    }
    let is = display.map(|d| format!("; it is '{d}'")).unwrap_or_default();
    Verdict::Not(format!("the display '{sent}' is not that of the code{is}"), own)
}

/// An end without an answer.
fn stopped(stop: Stop) -> Error {
    match stop {
        Stop::Costly(why) => Error::too_costly(why),
        Stop::Unknown(why) => Error::unprocessable(why).code("not-supported"),
        Stop::Wanted(wanted) => Error::fault(format!("{wanted:?} was read")),
    }
}
