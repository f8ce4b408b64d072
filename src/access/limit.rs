//! How far a caller may see. No storage read goes without a [`Limit`].
//!
//! Source: own rule, `security.md` section 2 of the project's contract: organisation is the tenant; a handoff writes
//! explicit share rows; directory types are readable by all.

use super::{Ctx, Role};
use crate::clock::Instant;

/// What rows a read may return.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Limit {
    /// Everything: the super-user of `--auth off`, Baton's own protocol inside a write, the auditor of the whole site.
    Everything,
    /// Rows of one organisation, rows shared with it and not expired at `now`, and the directory.
    Organization {
        /// Logical id of the Organization.
        org: String,
        /// When share rows are judged.
        now: Instant,
    },
    /// Nothing clinical: the directory only (a caller without an organisation).
    Directory,
}

impl Limit {
    /// The limit of a request.
    #[must_use]
    pub fn of(ctx: &Ctx) -> Self {
        match (ctx.principal.role, &ctx.principal.org) {
            // Whose auditor has no organisation audits all of them; the matrix gives the role AuditEvent and the directory only.
            (Role::SuperUser | Role::RuleEngine, _) | (Role::Auditor, None) => Self::Everything,
            (_, Some(org)) => Self::Organization { org: org.clone(), now: ctx.now },
            (_, None) => Self::Directory,
        }
    }
}

/// Types that every caller may read and that belong to no organisation.
pub const DIRECTORY: [&str; 25] = [
    "ActivityDefinition",
    "CapabilityStatement",
    "CodeSystem",
    "CompartmentDefinition",
    "ConceptMap",
    "Device",
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
