//! Value sets and code systems, as questions about one code: is it in, is it below.

use super::World;
use serde_json::Value;

fn list(v: &Value) -> Vec<&Value> {
    v.as_array().map(|a| a.iter().collect()).unwrap_or_default()
}

impl World {
    fn by_url(&self, what: &str, url: &str) -> &Value {
        let mut found = self.items.iter().filter(|i| i.kind == what).map(|i| &i.value).filter(|r| r["url"] == url);
        found.next().unwrap_or_else(|| panic!("no {what} {url}"))
    }

    /// Whether a code system does not tell cases apart.
    pub fn is_caseless(&self, system: &str) -> bool {
        let mut systems = self.items.iter().filter(|i| i.kind == "CodeSystem" && i.value["url"] == system);
        systems.any(|i| i.value["caseSensitive"] == false)
    }

    /// Whether the code is in the value set.
    pub fn is_in(&self, set: &str, system: &str, code: &str) -> bool {
        if set == "http://hl7.org/fhir/ValueSet/administrative-gender" {
            return system == "http://hl7.org/fhir/administrative-gender";
        }
        let compose = &self.by_url("ValueSet", set)["compose"];
        let part = |part: &Value| {
            let by_system = part.get("system").is_none_or(|s| s == system);
            let listed = part.get("concept").is_none_or(|c| list(c).iter().any(|c| c["code"] == code));
            let filtered = list(&part["filter"]).iter().all(|f| {
                let value = f["value"].as_str().expect("a value");
                let (below, itself) = (self.is_below(system, value, code), value == code);
                match f["op"].as_str().expect("an operator") {
                    "is-a" => below,
                    "descendent-of" => below && !itself,
                    "is-not-a" => !below && self.has_code(system, code),
                    "generalizes" => self.is_below(system, code, value),
                    "=" => itself,
                    other => panic!("no filter {other}"),
                }
            });
            let imported = list(&part["valueSet"]).iter().all(|v| self.is_in(v.as_str().expect("a url"), system, code));
            by_system && listed && filtered && imported
        };
        list(&compose["include"]).iter().any(|p| part(p)) && !list(&compose["exclude"]).iter().any(|p| part(p))
    }

    fn has_code(&self, system: &str, code: &str) -> bool {
        self.path(system, code).is_some()
    }

    /// Whether `code` is `top` or somewhere under it.
    pub fn is_below(&self, system: &str, top: &str, code: &str) -> bool {
        self.path(system, code).is_some_and(|path| path.contains(&top.to_string()))
    }

    fn path(&self, system: &str, code: &str) -> Option<Vec<String>> {
        let mut systems = self.items.iter().filter(|i| i.kind == "CodeSystem" && i.value["url"] == system);
        systems.find_map(|i| path(&i.value["concept"], code))
    }
}

/// The codes from the root to a code, both included.
fn path(concepts: &Value, code: &str) -> Option<Vec<String>> {
    for concept in list(concepts) {
        let mine = concept["code"].as_str().expect("a code").to_string();
        if mine == code {
            return Some(vec![mine]);
        }
        if let Some(mut rest) = path(&concept["concept"], code) {
            rest.push(mine);
            return Some(rest);
        }
    }
    None
}
