//! `ConceptMap/$translate`.
//!
//! Source: <https://hl7.org/fhir/R4/conceptmap-operation-translate.html>. Own rule: without a map, all maps that are here, fit `source` and
//! `target`, and know the code are asked.

use super::{Asking, Coding, parameters, stopped};
use crate::error::{Error, Result};
use crate::fhir::Json;
use crate::fhir::resource::known;
use crate::interaction::published;
use crate::search::terminology::canonical;
use crate::search::terminology::translate::{Match, Question, translate};
use crate::search::{Cond, Plan};
use serde_json::{Value, json};
use std::sync::Arc;

/// Stored maps that are looked at when none is named.
const MAPS: usize = 200;

impl Asking<'_> {
    pub(super) async fn translate(&mut self, id: Option<String>) -> Result<Json> {
        let input = self.input;
        let codings = self.codings(input.text("system"))?;
        let names = id.is_some() || ["url", "conceptMap"].iter().any(|name| input.get(name).is_some());
        let maps = if names {
            vec![self.subject("ConceptMap", id, "conceptMapVersion").await?.1]
        } else if ["target", "targetsystem", "source"].iter().any(|name| input.get(name).is_some()) {
            self.fitting().await?
        } else {
            let text = "by which map? Send url or conceptMap, or source, target or targetsystem to have one looked for";
            return Err(Error::invalid(text).code("required"));
        };
        let dependencies: Vec<(String, String)> = input.all("dependency").flat_map(dependency).collect();
        let mut found: Vec<Match> = Vec::new();
        for map in &maps {
            for coding in &codings {
                let question = question(coding, input.text("targetsystem"), input.is("reverse"), &dependencies);
                found.extend(self.answer(|library| translate(map, &question, library)).await?.map_err(stopped)?);
            }
        }
        found.dedup();
        // Of maps that were looked for, those that list the code know better.
        if !names && found.iter().any(|m| m.is_listed) {
            found.retain(|m| m.is_listed);
        }
        let result = found.iter().any(Match::is_one);
        let mut out = vec![json!({"name": "result", "valueBoolean": result})];
        if !result {
            let what = codings.first().map_or("", |c| c.code.as_str());
            let text = if maps.is_empty() {
                "no concept map here fits".to_owned()
            } else {
                format!("there is no translation of '{what}'")
            };
            out.push(json!({"name": "message", "valueString": text}));
        }
        out.extend(found.iter().map(shown));
        Ok(parameters(out))
    }

    /// The maps that fit `source` and `target`.
    async fn fitting(&self) -> Result<Vec<Arc<Json>>> {
        let (house, rtype) = (self.house, known("ConceptMap"));
        let plan =
            Plan { types: vec![rtype], cond: Cond::All(Vec::new()), sort: Vec::new(), count: MAPS, total: false };
        let mut maps: Vec<Arc<Json>> = Vec::new();
        for row in house.store.search(&self.limit, &plan, None).await?.rows {
            maps.push(Arc::new(row.json()?));
        }
        let active = house.active();
        maps.extend(published::of_type(house, &active, rtype).map(|p| Arc::clone(&p.json)));
        let fits = |map: &Json, name: &str| {
            let Some(want) = self.input.text(name) else { return true };
            let keys =
                if name == "source" { ["sourceCanonical", "sourceUri"] } else { ["targetCanonical", "targetUri"] };
            keys.iter().any(|key| canonical(map[*key].text()).0 == canonical(want).0)
        };
        maps.retain(|map| map["status"].text() != "retired" && fits(map, "source") && fits(map, "target"));
        Ok(maps)
    }
}

fn question<'a>(
    coding: &'a Coding,
    target: Option<&'a str>,
    reverse: bool,
    dependencies: &'a [(String, String)],
) -> Question<'a> {
    Question { system: coding.system.as_deref(), code: &coding.code, target_system: target, reverse, dependencies }
}

/// Parts of a dependency: the element, and each code and the text that is said of it.
fn dependency(parts: &Json) -> Vec<(String, String)> {
    let part = |name: &str| parts.items().iter().find(|p| p["name"].text() == name);
    let element = part("element").map(|p| p["valueUri"].text().to_owned()).unwrap_or_default();
    let concept = part("concept").map(|p| p["valueCodeableConcept"].clone()).unwrap_or_default();
    let codes = concept["coding"].items().iter().filter_map(|c| c["code"].as_str());
    codes.chain(concept["text"].as_str()).map(|value| (element.clone(), value.to_owned())).collect()
}

fn shown(found: &Match) -> Value {
    let to_value = |json: &Json| serde_json::from_slice::<Value>(&json.to_bytes()).unwrap_or_default();
    let mut parts = vec![json!({"name": "equivalence", "valueCode": found.equivalence})];
    if found.concept.as_object().is_some_and(|o| !o.is_empty()) {
        parts.push(json!({"name": "concept", "valueCoding": to_value(&found.concept)}));
    }
    for product in &found.products {
        let mut coding = json!({"code": product["value"].text()});
        if let Some(system) = product["system"].as_str() {
            coding["system"] = json!(system);
        }
        let part = [
            json!({"name": "element", "valueUri": product["property"].text()}),
            json!({"name": "concept", "valueCoding": coding}),
        ];
        parts.push(json!({"name": "product", "part": part}));
    }
    if !found.source.is_empty() {
        parts.push(json!({"name": "source", "valueUri": found.source}));
    }
    json!({"name": "match", "part": parts})
}
