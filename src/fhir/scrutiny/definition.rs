//! Resources that define something, and profiles that hold without being claimed.
//!
//! A definition that is posted is stored like any resource; what it says of others is judged here, where somebody asks.
//! Source: <https://hl7.org/fhir/R4/searchparameter.html>, <https://hl7.org/fhir/R4/capabilitystatement.html>,
//! <https://hl7.org/fhir/R4/structuredefinition.html>, <https://hl7.org/fhir/R4/observation-vitalsigns.html>.

use super::Look;
use crate::error::{Issue, Severity};
use crate::fhir::json::Json;
use crate::fhir::path::Path;
use crate::fhir::profile::canonical;
use crate::fhir::resource::printable;

const R4: &str = "http://hl7.org/fhir/StructureDefinition/";
const LOINC: &str = "http://loinc.org";

/// LOINC codes that make an Observation a vital sign, and R4's profile of it. Pulse oximetry is an addition to 2708-6 there; alone it
/// is a vital sign like any other.
const VITAL_SIGNS: [(&str, &str); 12] = [
    ("85353-1", "vitalspanel"),
    ("9279-1", "resprate"),
    ("8867-4", "heartrate"),
    ("2708-6", "oxygensat"),
    ("59408-5", "vitalsigns"),
    ("8310-5", "bodytemp"),
    ("8302-2", "bodyheight"),
    ("9843-4", "headcircum"),
    ("29463-7", "bodyweight"),
    ("39156-5", "bmi"),
    ("85354-9", "bp"),
    ("8716-3", "vitalsigns"),
];

impl<'j> Look<'_, 'j> {
    /// What a resource defines.
    pub(super) fn definition(&mut self, rtype: &str, json: &'j Json, path: &Path<'_>) {
        match rtype {
            "SearchParameter" => self.search_parameter(json, path),
            "CapabilityStatement" => self.capability(json, path),
            "StructureDefinition" => self.structure_definition(json, path),
            "OperationDefinition" => self.operation(json, path),
            _ => {}
        }
    }

    fn search_parameter(&mut self, json: &Json, path: &Path<'_>) {
        const KEY: &str = "search-parameter";
        let kind = json["type"].text();
        let parts = json["component"].items().len();
        if kind == "composite" && parts < 2 {
            let what =
                format!("found a composite of {parts} components, expected two at least; add what it is made of");
            self.say(KEY, "required", &path.member("component"), what);
        }
        let from = json["derivedFrom"].text();
        let Some(known) = (self.known.parameter)(from) else { return };
        if !kind.is_empty() && kind != known.kind {
            let what = format!(
                "found the type {}, expected {}, which {from} has; give it the same type, or do not derive it",
                printable(kind),
                known.kind
            );
            self.say(KEY, "value", &path.member("type"), what);
        }
        let list = path.member("base");
        for (n, base) in json["base"].items().iter().map(Json::text).enumerate() {
            if !known.bases.iter().any(|rtype| rtype.as_str() == base) {
                let what = format!("found the base {}, which {from} is not defined on; leave it out", printable(base));
                self.say(KEY, "value", &list.item(n), what);
            }
        }
    }

    fn capability(&mut self, json: &Json, path: &Path<'_>) {
        let rests = path.member("rest");
        for (n, rest) in json["rest"].items().iter().enumerate() {
            let here = rests.item(n);
            let types = here.member("resource");
            for (n, resource) in rest["resource"].items().iter().enumerate() {
                self.parameters(resource, &types.item(n));
            }
            self.parameters(rest, &here);
        }
    }

    fn parameters(&mut self, json: &Json, path: &Path<'_>) {
        let list = path.member("searchParam");
        for (n, parameter) in json["searchParam"].items().iter().enumerate() {
            let (definition, kind) = (parameter["definition"].text(), parameter["type"].text());
            let Some(known) = (self.known.parameter)(canonical(definition).0) else { continue };
            if !kind.is_empty() && kind != known.kind {
                let what = format!(
                    "found the type {}, expected {}, which {} has",
                    printable(kind),
                    known.kind,
                    printable(definition)
                );
                self.say("capability-parameter", "value", &list.item(n).member("type"), what);
            }
        }
    }

    fn structure_definition(&mut self, json: &Json, path: &Path<'_>) {
        for fault in self.known.profiles.examine(json) {
            let place = if fault.place.is_empty() { path.to_string() } else { format!("{path}.{}", fault.place) };
            self.say_at("profile-definition", "structure", place, fault.text);
        }
    }

    /// Profiles that a resource must meet though it claims none: those that a guide declares global, and R4's of vital signs.
    pub(super) fn beyond(&mut self, rtype: &str, json: &'j Json, path: &Path<'_>) {
        let globals: Vec<String> = self.known.profiles.globals(rtype).map(str::to_owned).collect();
        for url in globals {
            self.against("global-profile", rtype, json, &url, path);
        }
        if rtype != "Observation" {
            return;
        }
        let is_vital = |code: &str| {
            let codings = json["code"]["coding"].items().iter();
            codings.filter(|c| c["system"].text() == LOINC).any(|c| c["code"].text() == code)
        };
        if let Some((_, name)) = VITAL_SIGNS.iter().find(|(code, _)| is_vital(code)) {
            self.against("vital-sign", rtype, json, &format!("{R4}{name}"), path);
        }
    }

    fn against(&mut self, key: &'static str, rtype: &str, json: &'j Json, url: &str, path: &Path<'_>) {
        let is_claimed = |claim: &Json| canonical(claim.text()).0 == canonical(url).0;
        let Some(severity) = self.known.rules.of(key) else { return };
        if json["meta"]["profile"].items().iter().any(is_claimed) {
            return;
        }
        // What cannot be judged here is no news of a profile that nobody claimed.
        let told = |i: &Issue| i.severity != Severity::Information;
        for mut issue in self.known.profiles.against(json, url).into_iter().filter(told) {
            issue.severity = issue.severity.max(severity);
            let inner = issue.expression.strip_prefix(rtype).unwrap_or(&issue.expression);
            issue.expression = format!("{path}{inner}");
            if self.issues.len() < super::MAX_ISSUES {
                self.issues.push(issue);
            }
        }
    }
}
