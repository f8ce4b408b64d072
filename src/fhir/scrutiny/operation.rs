//! OperationDefinitions: whether the profiles of what goes in and comes out agree with the list of parameters.
//!
//! Source: <https://hl7.org/fhir/R4/operationdefinition-definitions.html#OperationDefinition.inputProfile>.

use super::Look;
use crate::fhir::json::Json;
use crate::fhir::path::Path;
use crate::fhir::profile::Slot;
use crate::fhir::resource::printable;

/// Types of a parameter that take any resource.
const ANY: [&str; 4] = ["Any", "Resource", "DomainResource", ""];

impl Look<'_, '_> {
    pub(super) fn operation(&mut self, json: &Json, path: &Path<'_>) {
        for (member, way) in [("inputProfile", "in"), ("outputProfile", "out")] {
            let Some(slots) = json[member].as_str().and_then(|url| self.known.profiles.parameters(url)) else {
                continue;
            };
            let here = path.member(member);
            let list = json["parameter"].items().iter().filter(|p| p["use"].text() == way);
            for parameter in list {
                let name = parameter["name"].text();
                let Some(slot) = slots.iter().find(|slot| &*slot.name == name) else { continue };
                for what in differences(slot, parameter) {
                    let what = format!("the parameter '{}': {what}; make profile and parameter agree", printable(name));
                    self.say("operation-profile", "business-rule", &here, what);
                }
            }
        }
    }
}

fn differences(slot: &Slot, parameter: &Json) -> Vec<String> {
    let mut found = Vec::new();
    let min = parameter["min"].as_i64().and_then(|n| usize::try_from(n).ok()).unwrap_or_default();
    if slot.min != min {
        found.push(format!("found min {} in the profile, expected {min}", slot.min));
    }
    let max = parameter["max"].text();
    let own = slot.max.map_or("*".to_owned(), |n| n.to_string());
    if !max.is_empty() && own != max {
        found.push(format!("found max {own} in the profile, expected {}", printable(max)));
    }
    let rtype = parameter["type"].text();
    if !ANY.contains(&rtype) {
        let others: Vec<&str> = slot.types.iter().map(|t| &**t).filter(|t| *t != rtype).collect();
        if !others.is_empty() {
            found.push(format!("found the type {} in the profile, expected {}", others.join(", "), printable(rtype)));
        }
    }
    found
}
