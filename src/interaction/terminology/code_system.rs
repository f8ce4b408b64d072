//! `CodeSystem/$lookup`, `$validate-code` and `$subsumes`.
//!
//! Source: <https://hl7.org/fhir/R4/codesystem-operations.html>.

use super::{Asking, Coding, Verdict, best, check_display, parameters, stopped};
use crate::error::{Error, Result};
use crate::fhir::Json;
use crate::search::terminology::expand::is_language;
use crate::search::terminology::system::System;
use crate::search::terminology::{Stop, Wanted, of_address};
use serde_json::{Value, json};

impl Asking<'_> {
    pub(super) async fn lookup(&mut self) -> Result<Json> {
        let input = self.input;
        let codings = self.codings(input.text("system"))?;
        let Some(Coding { system: Some(system), code, at, .. }) = codings.into_iter().next() else {
            return Err(Error::invalid("which code system? Send system with the code").code("required"));
        };
        let address = self.system(&system).await?;
        let wanted: Vec<&str> = input.all("property").filter_map(Json::as_str).collect();
        let language = input.text("displayLanguage");
        let found = self.answer(|library| {
            let system = System::read(&address, library)?;
            let at = system.find(&code)?;
            Ok(described(&system, at, &wanted, language))
        });
        match found.await? {
            Ok(list) => Ok(parameters(list)),
            Err(Stop::Unknown(why)) => Err(Error::not_found(why).at(at)),
            Err(stop) => Err(stopped(stop)),
        }
    }

    /// Reads a code system; its address.
    async fn system(&mut self, url: &str) -> Result<String> {
        let address = of_address(url, self.input.text("version"));
        match self.read(Wanted::CodeSystem(address.clone())).await? {
            Some(_) => Ok(address),
            None => Err(Error::not_found(format!("CodeSystem {address} is not known here"))),
        }
    }

    pub(super) async fn validate_in_system(&mut self, id: Option<String>) -> Result<Json> {
        let codings = self.codings(self.input.text("url"))?;
        let names = ["url", "codeSystem"].iter().any(|name| self.input.get(name).is_some());
        // A coding names its system by itself.
        let address = match codings.iter().find_map(|c| c.system.clone()).filter(|_| id.is_none() && !names) {
            Some(system) => self.system(&system).await?,
            None => self.subject("CodeSystem", id, "version").await?.0,
        };
        let (language, heading) = (self.input.text("displayLanguage"), self.input.is("abstract"));
        let question = |library: &_| {
            let system = System::read(&address, library)?;
            Ok(best(codings.iter().map(|coding| in_system(&system, coding, language, heading)).collect()))
        };
        Ok(self.answer(question).await?.map_err(stopped)?.parameters())
    }

    pub(super) async fn subsumes(&mut self, id: Option<String>) -> Result<Json> {
        let input = self.input;
        let side = |code: &str, coding: &str| match (input.get(code), input.get(coding)) {
            (Some(code), None) => Ok((None, code.text().to_owned())),
            (None, Some(coding)) => Ok((coding["system"].as_str(), coding["code"].text().to_owned())),
            (None, None) => Err(Error::invalid(format!("send {code} or {coding}")).code("required")),
            (Some(_), Some(_)) => Err(Error::invalid(format!("send one of {code} and {coding}"))),
        };
        let (system_a, a) = side("codeA", "codingA")?;
        let (system_b, b) = side("codeB", "codingB")?;
        let named = [input.text("system"), system_a, system_b].into_iter().flatten().collect::<Vec<_>>();
        if named.windows(2).any(|w| w.first() != w.last()) {
            return Err(Error::invalid("the two codes are of different code systems"));
        }
        let address = match (id, named.first()) {
            (Some(id), _) => {
                let found = self.read(Wanted::CodeSystem(id.clone())).await?;
                let found = found.ok_or_else(|| Error::not_found(format!("{id} is not known here")))?;
                if named.first().is_some_and(|system| *system != found["url"].text()) {
                    return Err(Error::invalid(format!("the codes are not of {id}")));
                }
                id
            }
            (None, Some(system)) => self.system(system).await?,
            (None, None) => return Err(Error::invalid("which code system? Send system").code("required")),
        };
        let found = self.answer(|library| {
            let system = System::read(&address, library)?;
            let (a, b) = (system.find(&a)?, system.find(&b)?);
            Ok(match (a == b, system.below(a).contains(&b), system.above(a).contains(&b)) {
                (true, ..) | (_, true, true) => "equivalent",
                (_, true, _) => "subsumes",
                (.., true) => "subsumed-by",
                _ => "not-subsumed",
            })
        });
        match found.await? {
            Ok(outcome) => Ok(parameters(vec![json!({"name": "outcome", "valueCode": outcome})])),
            Err(Stop::Unknown(why)) => Err(Error::not_found(why)),
            Err(stop) => Err(stopped(stop)),
        }
    }
}

fn in_system(system: &System<'_>, coding: &Coding, language: Option<&str>, heading: bool) -> Verdict {
    let code = coding.code.as_str();
    let url = system.resource()["url"].as_str();
    if let (Some(named), Some(url)) = (&coding.system, url)
        && named != url
    {
        return Verdict::Not(format!("the code '{code}' is said to be of {named}, and not of {url}"), None);
    }
    let Ok(at) = system.find(code) else {
        return Verdict::Not(
            format!("the code '{code}' is not in the code system {}", url.unwrap_or("that was sent")),
            None,
        );
    };
    let concept = system.json(at).cloned().unwrap_or_default();
    let mut texts = concept["designation"].items().to_vec();
    texts.extend(concept["display"].as_str().map(|d| Json::from(json!({"value": d}))));
    let display = display(&concept, language);
    if system.is_abstract(at) && !heading {
        let why = format!("the code '{code}' is a heading and not for use by itself");
        return Verdict::Not(why, display.map(str::to_owned));
    }
    check_display(coding.display.as_deref(), display, &texts)
}

fn display<'a>(concept: &'a Json, language: Option<&str>) -> Option<&'a str> {
    let speaks = |d: &&Json| language.is_some_and(|want| is_language(d["language"].text(), want));
    let own = concept["designation"].items().iter().find(speaks).and_then(|d| d["value"].as_str());
    own.or(concept["display"].as_str())
}

/// The answer of a lookup. `wanted`: names of properties, none for all.
fn described(system: &System<'_>, at: usize, wanted: &[&str], language: Option<&str>) -> Vec<Value> {
    let (resource, concept) = (system.resource(), system.json(at).cloned().unwrap_or_default());
    let text = |key: &str| resource[key].as_str();
    let name = text("name").or(text("title")).or(text("url")).unwrap_or_default();
    let mut out = vec![json!({"name": "name", "valueString": name})];
    out.extend(system.version().map(|v| json!({"name": "version", "valueString": v})));
    let shown = display(&concept, language).unwrap_or_else(|| concept["code"].text());
    out.push(json!({"name": "display", "valueString": shown}));
    let asks = |property: &str| wanted.is_empty() || wanted.contains(&property);
    let value = |json: &Json| serde_json::from_slice::<Value>(&json.to_bytes()).unwrap_or_default();
    for designation in concept["designation"].items().iter().filter(|_| asks("designation")) {
        let parts = [("language", "valueCode"), ("use", "valueCoding"), ("value", "valueString")];
        let part =
            parts.iter().filter_map(|(name, key)| Some(json!({"name": name, *key: value(designation.get(name)?)})));
        out.push(json!({"name": "designation", "part": part.collect::<Vec<_>>()}));
    }
    let mut property = |code: &str, key: &str, value: Value| {
        let mut parts = vec![json!({"name": "code", "valueCode": code}), json!({"name": "value", key: value})];
        let described = resource["property"].items().iter().find(|p| p["code"].text() == code);
        parts.extend(
            described.and_then(|p| p["description"].as_str()).map(|d| json!({"name": "description", "valueString": d})),
        );
        out.push(json!({"name": "property", "part": parts}));
    };
    if let Some(definition) = concept["definition"].as_str().filter(|_| asks("definition")) {
        property("definition", "valueString", definition.into());
    }
    if asks("inactive") {
        property("inactive", "valueBoolean", system.is_inactive(at).into());
    }
    for kind in ["parent", "child"].into_iter().filter(|kind| asks(kind)) {
        for code in system.next(at, kind) {
            property(kind, "valueCode", code.into());
        }
    }
    for own in concept["property"].items() {
        let code = own["code"].text();
        let is_said = matches!(code, "parent" | "child" | "inactive");
        let held = own.as_object().and_then(|o| o.iter().find(|(key, _)| key.starts_with("value")));
        if let Some((key, held)) = held.filter(|_| asks(code) && !is_said) {
            property(code, key, value(held));
        }
    }
    out
}
