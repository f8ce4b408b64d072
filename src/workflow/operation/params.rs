//! The Parameters of an operation, by name.
//!
//! Source: <https://hl7.org/fhir/R4/parameters.html>.

use crate::error::{Error, Issue, Kind, Result};
use crate::fhir::resource::printable;
use crate::fhir::{Json, Target};

/// The parameters as sent.
pub struct Params<'a>(&'a [Json]);

/// Value elements that hold a text of some kind.
const TEXTS: [&str; 8] =
    ["valueString", "valueCode", "valueDateTime", "valueInstant", "valueDate", "valueMarkdown", "valueUri", "valueId"];

impl<'a> Params<'a> {
    /// Reads a Parameters resource; absent is empty.
    ///
    /// # Errors
    /// `Invalid`, one issue for each parameter that the operation does not have.
    pub fn read(params: Option<&'a Json>, known: &[&str]) -> Result<Self> {
        let list = params.map_or(&[][..], |p| p["parameter"].items());
        let issues: Vec<Issue> = list
            .iter()
            .enumerate()
            .filter(|(_, p)| !known.contains(&p["name"].text()))
            .map(|(n, p)| {
                let text =
                    format!("'{}' is no parameter here; there are {}", printable(p["name"].text()), known.join(", "));
                Issue::error("invalid", format!("Parameters.parameter[{n}].name"), text)
            })
            .collect();
        if issues.is_empty() { Ok(Self(list)) } else { Err(Error::with_issues(Kind::Invalid, issues)) }
    }

    fn all(&self, name: &str) -> impl Iterator<Item = &'a Json> {
        self.0.iter().filter(move |p| p["name"].text() == name)
    }

    /// A 400 about one parameter.
    pub fn wrong(&self, name: &str, why: &str) -> Error {
        Error::invalid(why).at(format!("Parameters.parameter.where(name='{name}')"))
    }

    /// Whether a boolean is true; false where it is not there.
    ///
    /// # Errors
    /// `Invalid` when it is no boolean.
    pub fn is(&self, name: &str) -> Result<bool> {
        match self.all(name).next() {
            None => Ok(false),
            Some(p) => p["valueBoolean"].as_bool().ok_or_else(|| self.wrong(name, "it is a valueBoolean")),
        }
    }

    /// A text, of whatever text type.
    pub fn text(&self, name: &str) -> Option<String> {
        let mut found = self.all(name).flat_map(|p| TEXTS.iter().filter_map(|t| p[*t].as_str()));
        found.next().map(String::from).filter(|t| !t.trim().is_empty())
    }

    /// A code: as code, text, Coding or CodeableConcept.
    pub fn code(&self, name: &str) -> Option<String> {
        let parameter = self.all(name).next()?;
        let coded = parameter["valueCoding"]["code"].as_str();
        let concept = parameter["valueCodeableConcept"]["coding"][0]["code"].as_str();
        coded.or(concept).map(String::from).or_else(|| self.text(name))
    }

    /// A CodeableConcept; a code alone is one of `system`, a text alone is its text.
    pub fn concept(&self, name: &str, system: &str) -> Option<Json> {
        self.concepts(name, system).into_iter().next()
    }

    /// The same for a parameter that repeats.
    pub fn concepts(&self, name: &str, system: &str) -> Vec<Json> {
        let one = |p: &Json| {
            let coding = |code: &str| Json::from(serde_json::json!({"coding": [{"system": system, "code": code}]}));
            if p.get("valueCodeableConcept").is_some() {
                Some(p["valueCodeableConcept"].clone())
            } else if p.get("valueCoding").is_some() {
                let mut concept = Json::object();
                concept.push("coding", p["valueCoding"].clone());
                Some(concept)
            } else if let Some(code) = p["valueCode"].as_str().filter(|_| !system.is_empty()) {
                Some(coding(code))
            } else {
                let text = TEXTS.iter().find_map(|t| p[*t].as_str())?;
                let mut concept = Json::object();
                concept.set("text", text);
                Some(concept)
            }
        };
        self.all(name).filter_map(one).collect()
    }

    /// A relative reference.
    pub fn reference(&self, name: &str) -> Option<String> {
        self.references(name).into_iter().next()
    }

    /// The same for a parameter that repeats.
    pub fn references(&self, name: &str) -> Vec<String> {
        let texts = self.all(name).filter_map(|p| p["valueReference"]["reference"].as_str());
        texts.map(|t| Target::parse(t).map_or_else(|| t.to_string(), |t| t.to_string())).collect()
    }
}
