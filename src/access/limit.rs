//! How far a caller may see. No storage read goes without a [`Limit`].
//!
//! Source: own rule, `security.md` section 2 of the project's contract: organisation is the tenant; a handoff writes
//! explicit share rows; what an administrator writes of the directory is readable by all, what a sender brings along of it belongs to
//! the sender.

use super::{Ctx, Role};
use crate::clock::Instant;
use crate::fhir::ResourceType;
use std::sync::Arc;

/// What rows a read may return.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Limit {
    /// Everything: the super-user of `--auth off`, Baton's own protocol inside a write, the auditor of the whole site.
    Everything,
    /// Rows of one organisation, rows shared with it and not expired at `now`, and of the directory what is everybody's.
    Organization {
        /// Logical id of the Organization.
        org: String,
        /// Whose Subscriptions are seen beside that.
        hooks: Hooks,
        /// When share rows are judged.
        now: Instant,
        /// What the token lets through of them; `None`: all.
        sieve: Option<Arc<Sieve>>,
    },
    /// Nothing clinical: of the directory what is everybody's (a caller without an organisation).
    Directory,
}

/// Whose Subscriptions a caller sees: they belong to a client, and not to all of an organisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hooks {
    /// Nobody's.
    None,
    /// Those of this client.
    Of(String),
    /// All of them, and all of the directory, whoever brought it along: an administrator's.
    All,
}

impl Limit {
    /// The limit of a request.
    #[must_use]
    pub fn of(ctx: &Ctx) -> Self {
        let principal = &ctx.principal;
        let within = |org: &str, hooks| Self::Organization {
            org: org.into(),
            hooks,
            now: ctx.now,
            sieve: principal.sieve.clone(),
        };
        match (principal.role, &principal.org) {
            // Whose auditor has no organisation audits all of them; the matrix gives the role AuditEvent and the directory only.
            (Role::SuperUser | Role::RuleEngine, _) | (Role::Auditor, None) => Self::Everything,
            // Without an organisation: the empty name has no rows of the types that the matrix gives the role.
            (Role::Admin, org) => within(org.as_deref().unwrap_or_default(), Hooks::All),
            (Role::HospitalSystem | Role::PharmacySystem, Some(org)) => {
                within(org, Hooks::Of(principal.client.clone()))
            }
            (_, Some(org)) => within(org, Hooks::None),
            (_, None) => Self::Directory,
        }
    }
}

/// Which clinical rows a caller does not get, of those that the organisation sees: by the search rows that they are found by -
/// those of the patient in context, and those that granular scopes name -, and by security labels. Made by `auth::sieve`; a row
/// must pass each layer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sieve {
    /// What the token lets through.
    pub layers: Vec<Layer>,
    /// Bits of the security labels that the caller is not cleared for ([`super::Labels`]).
    pub hidden: i64,
    /// Patients of whom more is seen for a time. Only readers have any.
    pub glass: Vec<Glass>,
}

/// One patient of whom a caller sees more, because they have broken the glass: what is of this patient passes the walls and
/// labels named here. What the token lets through stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Glass {
    /// `Patient/id`.
    pub of: String,
    /// `version.self_key` of the patient.
    pub self_key: i64,
    /// Keys of `idx`, one of which a row has that is of the patient.
    pub keys: Vec<i64>,
    /// Labels that do not count.
    pub lifts: i64,
    /// Whether rows of other organisations are seen.
    pub crosses: bool,
}

/// A row passes by any one of these.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Layer {
    /// Types of which all rows pass.
    pub free: Vec<ResourceType>,
    /// `version.self_key` of the patient in context.
    pub patient: Option<i64>,
    /// Keys of `idx`, one of which the row has: of references to the patient.
    pub keys: Vec<i64>,
    /// By type: for each list, one of its keys.
    pub granular: Vec<(ResourceType, Vec<Vec<i64>>)>,
}

impl Sieve {
    /// Whether what is about to be written passes. `self_key`: of the resource; `exact`: its keys of `idx`, sorted.
    #[must_use]
    pub fn lets(&self, rtype: ResourceType, self_key: i64, exact: &[i64]) -> bool {
        let has = |keys: &[i64]| keys.iter().any(|k| exact.binary_search(k).is_ok());
        self.layers.iter().all(|layer| {
            layer.free.contains(&rtype)
                || layer.patient == Some(self_key)
                || has(&layer.keys)
                || layer.granular.iter().any(|(t, lists)| *t == rtype && lists.iter().all(|keys| has(keys)))
        })
    }

    /// Whether a caller may be cleared, by what they have broken, for what has labels that they are not cleared for.
    #[must_use]
    pub fn may_lift(sieve: Option<&Arc<Self>>) -> bool {
        sieve.is_some_and(|s| !s.glass.is_empty())
    }

    /// Whether a caller is cleared for what has these labels.
    #[must_use]
    pub fn clears(sieve: Option<&Arc<Self>>, labels: i64) -> bool {
        sieve.is_none_or(|s| s.hidden & labels == 0)
    }

    /// Tells one sieve from another: page links are bound to it.
    #[must_use]
    pub fn print(sieve: Option<&Arc<Self>>) -> String {
        sieve.map_or_else(String::new, |s| format!("{s:?}"))
    }
}

/// Types that every caller may read. What an administrator writes of them belongs to no organisation and is everybody's; what others bring
/// along is seen by their organisation, and by who is shown what names it. Never one that can be a patient's (a Device is implanted
/// in one): a test of `auth/sieve.rs` holds the list against the types' search parameters.
pub const DIRECTORY: [&str; 24] = [
    "ActivityDefinition",
    "CapabilityStatement",
    "CodeSystem",
    "CompartmentDefinition",
    "ConceptMap",
    "Endpoint",
    "HealthcareService",
    "ImplementationGuide",
    "Library",
    "Location",
    "Measure",
    "Medication",
    "MedicationKnowledge",
    "OperationDefinition",
    "Organization",
    "PlanDefinition",
    "Practitioner",
    "PractitionerRole",
    "Questionnaire",
    "SearchParameter",
    "StructureDefinition",
    "StructureMap",
    "Substance",
    "ValueSet",
];
