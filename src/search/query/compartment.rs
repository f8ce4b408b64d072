//! Compartments: `Patient/x/Task` as a condition.
//!
//! Source: <https://hl7.org/fhir/R4/compartmentdefinition.html>, and our own rule for `Task.for` (see
//! [`crate::search::registry::sources`]).

use crate::error::{Error, Kind, Result};
use crate::fhir::{ResourceType, Target};
use crate::search::registry::sources;
use crate::search::{Cond, Keys, ParamType, Registry};

/// Refuses a compartment while rows are still being made that say who is in it.
///
/// # Errors
/// `Busy`.
pub fn compartment_is_built(registry: &Registry, owner: ResourceType, rtype: ResourceType) -> Result<()> {
    let mut params = sources(owner, rtype).iter().filter_map(|code| registry.param(rtype, code));
    match params.find_map(|p| super::is_built(p).err().map(|refusal| refusal.issue(&p.code))) {
        None => Ok(()),
        Some(issue) => Err(Error::with_issues(Kind::Busy, vec![issue])),
    }
}

/// What restricts a search to the compartment of `owner`, for resources of `rtype`; `None` when R4 (and Baton's own rule
/// for `Task.for`) puts no resource of that type there.
#[must_use]
pub fn compartment(registry: &Registry, keys: &Keys, owner: &Target, rtype: ResourceType) -> Option<Cond> {
    let mut list = Vec::new();
    for code in sources(owner.rtype, rtype) {
        match registry.param(rtype, code) {
            Some(param) if param.kind == ParamType::Reference => {
                list.push(Cond::Exact(registry.reference_keys(keys, rtype, code, owner)));
            }
            _ => {}
        }
    }
    if owner.rtype == rtype {
        // Among several types only one of them has that id by right.
        list.push(Cond::All(vec![Cond::Type(rtype), Cond::Ids(vec![owner.id.clone()])]));
    }
    if list.is_empty() { None } else { Some(Cond::any(list)) }
}
