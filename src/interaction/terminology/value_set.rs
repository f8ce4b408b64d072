//! `ValueSet/$expand` and `ValueSet/$validate-code`.
//!
//! Source: <https://hl7.org/fhir/R4/valueset-operation-expand.html>,
//! <https://hl7.org/fhir/R4/valueset-operation-validate-code.html>. Own rules: a code without a system is looked for in every system of the value
//! set; a wrong display makes the result false.

use super::{Asking, Coding, Verdict, best, check_display, stopped};
use crate::config::Limits;
use crate::error::{Error, Result};
use crate::fhir::Json;
use crate::search::terminology::expand::{self, Member};
use crate::search::terminology::system::System;
use crate::search::terminology::{Stop, codes_of, of_address};
use serde_json::{Value, json};

impl Asking<'_> {
    pub(super) async fn expand(&mut self, id: Option<String>) -> Result<Json> {
        let input = self.input;
        let (offset, count) = (self.whole("offset")?, self.whole("count")?);
        let (address, set) = self.subject("ValueSet", id, "valueSetVersion").await?;
        let question = |library: &_| {
            let mut members = expand::members(&address, library)?;
            expand::describe(&mut members, library)?;
            Ok(members)
        };
        let mut members = self.answer(question).await?.map_err(stopped)?;
        let language = input.text("displayLanguage");
        if input.is("activeOnly") {
            members.retain(|m| !m.is_inactive);
        }
        if let Some(filter) = input.text("filter") {
            let words: Vec<String> = filter.split_whitespace().map(str::to_lowercase).collect();
            members.retain(|m| words.iter().all(|word| has_word(m, word)));
        }
        let total = members.len();
        let most = Limits::size(self.house.limits.count_max);
        if count.is_none() && total > most {
            let text = format!(
                "the value set has {total} codes and at most {most} are given at once; ask for pages by count and offset, or send a filter"
            );
            return Err(Error::too_costly(text));
        }
        let shown = members.iter().skip(offset.unwrap_or(0)).take(count.unwrap_or(most).min(most));
        let contains: Vec<Value> = shown.map(|m| contained(m, language, input.is("includeDesignations"))).collect();
        let mut asked = Vec::new();
        for name in ["filter", "displayLanguage"] {
            asked.extend(input.text(name).map(|v| json!({"name": name, "valueString": v})));
        }
        for (name, value) in [("offset", offset), ("count", count)] {
            asked.extend(value.map(|n| json!({"name": name, "valueInteger": n})));
        }
        for name in ["activeOnly", "includeDesignations", "excludeNested"] {
            asked.extend(input.get(name).and_then(Json::as_bool).map(|b| json!({"name": name, "valueBoolean": b})));
        }
        let mut expansion = json!({
            "identifier": uuid::Uuid::new_v4().urn().to_string(),
            "timestamp": self.ctx.now.to_seconds_text(),
            "total": total,
        });
        if offset.is_some() || count.is_some() {
            expansion["offset"] = offset.unwrap_or(0).into();
        }
        if !asked.is_empty() {
            expansion["parameter"] = asked.into();
        }
        if !contains.is_empty() {
            expansion["contains"] = contains.into();
        }
        let mut out = Json::clone(&set);
        for part in ["text", "meta", "contained"] {
            out.remove(part);
        }
        if !input.is("includeDefinition") {
            out.remove("compose");
        }
        out.set("expansion", Json::from(expansion));
        Ok(out)
    }

    fn whole(&self, name: &str) -> Result<Option<usize>> {
        let wrong = || self.input.wrong(name, format!("{name} is a whole number, 0 or more"));
        self.input.number(name).map(|n| usize::try_from(n).map_err(|_| wrong())).transpose()
    }

    pub(super) async fn validate_in_set(&mut self, id: Option<String>) -> Result<Json> {
        let codings = self.codings(self.input.text("system"))?;
        let (address, _) = self.subject("ValueSet", id, "valueSetVersion").await?;
        let mut verdicts = Vec::new();
        for coding in &codings {
            verdicts.push(self.in_set(&address, coding).await?);
        }
        Ok(best(verdicts).parameters())
    }

    async fn in_set(&mut self, address: &str, coding: &Coding) -> Result<Verdict> {
        let codes = self.answer(|library| codes_of(address, library)).await?.map_err(stopped)?;
        let code = coding.code.as_str();
        let shown = if address == super::GIVEN { "that was sent" } else { address };
        let mut systems: Vec<&str> = match &coding.system {
            Some(system) => vec![system.as_str()],
            None => codes.codes.iter().filter(|(_, c)| c == code).map(|(s, _)| s.as_str()).collect(),
        };
        if coding.system.is_none() {
            systems.extend(codes.systems.iter().map(String::as_str));
        }
        let mut why = format!("the code '{code}' is not in the value set {shown}");
        for system in systems {
            if !codes.has(system, code) {
                why = format!("the code '{code}' of {system} is not in the value set {shown}");
                continue;
            }
            let at = of_address(system, self.input.text("systemVersion"));
            let mut members =
                self.answer(|library| expand::listed(address, system, code, library)).await?.map_err(stopped)?;
            let found = self.answer(|library| System::read(&at, library)?.find(code)).await?;
            match found {
                Ok(_) => {}
                // The whole system belongs to the set, and only the system can say what is in it.
                Err(Stop::Unknown(reason)) if codes.systems.contains(system) => {
                    why = format!("the code '{code}' could not be checked: {reason}");
                    self.unchecked = Some(why.clone());
                    continue;
                }
                Err(Stop::Unknown(_)) => {}
                Err(stop) => return Err(stopped(stop)),
            }
            let described = self.answer(|library| {
                let mut members = members.clone();
                expand::describe(&mut members, library)?;
                Ok(members)
            });
            members = described.await?.map_err(stopped)?;
            let Some(member) = members.first() else { continue };
            if member.is_abstract && !self.input.is("abstract") {
                let display = member.display.clone();
                return Ok(Verdict::Not(format!("the code '{code}' is a heading and not for use by itself"), display));
            }
            let display = member.display_in(self.input.text("displayLanguage"));
            return Ok(check_display(coding.display.as_deref(), display, &all_texts(member)));
        }
        Ok(Verdict::Not(why, None))
    }
}

/// Display and designations, as designations.
fn all_texts(member: &Member) -> Vec<Json> {
    let own = member.display.iter().map(|d| Json::from(json!({"value": d})));
    own.chain(member.designations.iter().cloned()).collect()
}

/// Whether a word of the code, the display or a designation begins with it.
fn has_word(member: &Member, begin: &str) -> bool {
    let texts = member.display.iter().map(String::as_str).chain(member.designations.iter().map(|d| d["value"].text()));
    let mut words =
        std::iter::once(member.code.to_lowercase()).chain(texts.flat_map(|t| {
            t.to_lowercase().split(|c: char| !c.is_alphanumeric()).map(str::to_owned).collect::<Vec<_>>()
        }));
    words.any(|word| word.starts_with(begin))
}

fn contained(member: &Member, language: Option<&str>, designations: bool) -> Value {
    let mut out = json!({"system": member.system});
    if let Some(version) = &member.version {
        out["version"] = json!(version);
    }
    if member.is_abstract {
        out["abstract"] = json!(true);
    }
    if member.is_inactive {
        out["inactive"] = json!(true);
    }
    out["code"] = json!(member.code);
    if let Some(display) = member.display_in(language) {
        out["display"] = json!(display);
    }
    if designations && !member.designations.is_empty() {
        // Texts and codes only: no number passes through here.
        out["designation"] = member.designations.iter().map(to_value).collect();
    }
    out
}

fn to_value(json: &Json) -> Value {
    serde_json::from_slice(&json.to_bytes()).unwrap_or_default()
}
