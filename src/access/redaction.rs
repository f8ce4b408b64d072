//! What a role does not see of the types that it reads: elements that are left out, whatever way a resource goes out by.
//!
//! For: [`super::policy::Judge::hides`], which interactions ask before anything is shown or searched.
//! Not for: whole resources (`limit.rs`), or how a body goes without them (`interaction/subset.rs`).
//! Source: `redactions` of `profiles/policy/access.json`; security contract section 2 (patients read Tasks without notes).

use super::Role;
use crate::error::{Error, Result};
use crate::fhir::ResourceType;
use crate::fhir::definition;
use std::collections::BTreeMap;

/// As the file has it: role, type, elements.
pub type File = BTreeMap<String, BTreeMap<String, Vec<String>>>;

/// Role, type, elements.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Redactions(Vec<(Role, ResourceType, Vec<String>)>);

impl Redactions {
    /// Reads and checks.
    ///
    /// # Errors
    /// `Invalid`: a role, type or element that does not exist, or an element that each resource must have.
    pub fn read(file: &File) -> Result<Self> {
        let mut all = Vec::new();
        for (role, types) in file {
            let role = Role::parse(role).ok_or_else(|| Error::invalid(format!("redactions: '{role}' is no role")))?;
            for (name, elements) in types {
                let none = || Error::invalid(format!("redactions: R4 has no resource type '{name}'"));
                let rtype = ResourceType::parse(name).ok_or_else(none)?;
                for element in elements {
                    let found = definition::of_resource(rtype).and_then(|s| s.member(element));
                    if found.is_none_or(|f| f.element.min > 0) {
                        let text = format!("redactions: '{element}' is no element that a {name} can go without");
                        return Err(Error::invalid(text));
                    }
                }
                all.push((role, rtype, elements.clone()));
            }
        }
        Ok(Self(all))
    }

    /// Elements of a type that a role does not see.
    #[must_use]
    pub fn of(&self, role: Role, rtype: ResourceType) -> &[String] {
        self.0.iter().find(|(r, t, _)| *r == role && *t == rtype).map_or(&[], |(.., elements)| elements)
    }

    /// As lines of a Markdown table: role, type, elements.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        let line = |(role, rtype, elements): &(Role, ResourceType, Vec<String>)| {
            format!("| {} | {rtype} | {} |\n", role.as_str(), elements.join(", "))
        };
        self.0.iter().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_resource_can_go_without_is_refused() {
        let read = |role: &str, rtype: &str, element: &str| {
            let types = BTreeMap::from([(rtype.to_owned(), vec![element.to_owned()])]);
            Redactions::read(&BTreeMap::from([(role.to_owned(), types)]))
        };
        let task = crate::fhir::resource::known("Task");
        let read_well = read("patient", "Task", "note").unwrap();
        assert_eq!(read_well.of(Role::Patient, task), ["note"]);
        assert!(read_well.of(Role::Technician, task).is_empty());
        for (role, rtype, element) in [
            ("nobody", "Task", "note"),
            ("patient", "Tusk", "note"),
            ("patient", "Task", "notes"),
            ("patient", "Task", "status"),
        ] {
            assert_eq!(read(role, rtype, element).unwrap_err().kind.status(), 400, "{role} {rtype} {element}");
        }
    }
}
