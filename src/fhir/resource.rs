//! Resource types and logical ids as small types: parsed at the edge, good inside.
//!
//! Source: <https://hl7.org/fhir/R4/resourcelist.html>, <https://hl7.org/fhir/R4/datatypes.html#id>.

use crate::error::{Error, Result};
use std::fmt;

/// All R4 4.0.1 resource types in alphabetical order. Rows in databases hold the position: never reorder, never insert.
pub const RESOURCE_TYPES: [&str; 146] = [
    "Account",
    "ActivityDefinition",
    "AdverseEvent",
    "AllergyIntolerance",
    "Appointment",
    "AppointmentResponse",
    "AuditEvent",
    "Basic",
    "Binary",
    "BiologicallyDerivedProduct",
    "BodyStructure",
    "Bundle",
    "CapabilityStatement",
    "CarePlan",
    "CareTeam",
    "CatalogEntry",
    "ChargeItem",
    "ChargeItemDefinition",
    "Claim",
    "ClaimResponse",
    "ClinicalImpression",
    "CodeSystem",
    "Communication",
    "CommunicationRequest",
    "CompartmentDefinition",
    "Composition",
    "ConceptMap",
    "Condition",
    "Consent",
    "Contract",
    "Coverage",
    "CoverageEligibilityRequest",
    "CoverageEligibilityResponse",
    "DetectedIssue",
    "Device",
    "DeviceDefinition",
    "DeviceMetric",
    "DeviceRequest",
    "DeviceUseStatement",
    "DiagnosticReport",
    "DocumentManifest",
    "DocumentReference",
    "EffectEvidenceSynthesis",
    "Encounter",
    "Endpoint",
    "EnrollmentRequest",
    "EnrollmentResponse",
    "EpisodeOfCare",
    "EventDefinition",
    "Evidence",
    "EvidenceVariable",
    "ExampleScenario",
    "ExplanationOfBenefit",
    "FamilyMemberHistory",
    "Flag",
    "Goal",
    "GraphDefinition",
    "Group",
    "GuidanceResponse",
    "HealthcareService",
    "ImagingStudy",
    "Immunization",
    "ImmunizationEvaluation",
    "ImmunizationRecommendation",
    "ImplementationGuide",
    "InsurancePlan",
    "Invoice",
    "Library",
    "Linkage",
    "List",
    "Location",
    "Measure",
    "MeasureReport",
    "Media",
    "Medication",
    "MedicationAdministration",
    "MedicationDispense",
    "MedicationKnowledge",
    "MedicationRequest",
    "MedicationStatement",
    "MedicinalProduct",
    "MedicinalProductAuthorization",
    "MedicinalProductContraindication",
    "MedicinalProductIndication",
    "MedicinalProductIngredient",
    "MedicinalProductInteraction",
    "MedicinalProductManufactured",
    "MedicinalProductPackaged",
    "MedicinalProductPharmaceutical",
    "MedicinalProductUndesirableEffect",
    "MessageDefinition",
    "MessageHeader",
    "MolecularSequence",
    "NamingSystem",
    "NutritionOrder",
    "Observation",
    "ObservationDefinition",
    "OperationDefinition",
    "OperationOutcome",
    "Organization",
    "OrganizationAffiliation",
    "Parameters",
    "Patient",
    "PaymentNotice",
    "PaymentReconciliation",
    "Person",
    "PlanDefinition",
    "Practitioner",
    "PractitionerRole",
    "Procedure",
    "Provenance",
    "Questionnaire",
    "QuestionnaireResponse",
    "RelatedPerson",
    "RequestGroup",
    "ResearchDefinition",
    "ResearchElementDefinition",
    "ResearchStudy",
    "ResearchSubject",
    "RiskAssessment",
    "RiskEvidenceSynthesis",
    "Schedule",
    "SearchParameter",
    "ServiceRequest",
    "Slot",
    "Specimen",
    "SpecimenDefinition",
    "StructureDefinition",
    "StructureMap",
    "Subscription",
    "Substance",
    "SubstanceNucleicAcid",
    "SubstancePolymer",
    "SubstanceProtein",
    "SubstanceReferenceInformation",
    "SubstanceSourceMaterial",
    "SubstanceSpecification",
    "SupplyDelivery",
    "SupplyRequest",
    "Task",
    "TerminologyCapabilities",
    "TestReport",
    "TestScript",
    "ValueSet",
    "VerificationResult",
    "VisionPrescription",
];

/// One of the R4 resource types, by its position in [`RESOURCE_TYPES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceType(pub u16);

impl ResourceType {
    /// Reads a type name; case matters.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let at = RESOURCE_TYPES.binary_search(&name).ok()?;
        u16::try_from(at).ok().map(Self)
    }

    /// The type's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        RESOURCE_TYPES.get(usize::from(self.0)).copied().unwrap_or("Resource")
    }

    /// All types in order.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..RESOURCE_TYPES.len()).filter_map(|n| u16::try_from(n).ok().map(Self))
    }
}

impl fmt::Display for ResourceType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A type name that the code itself writes: `resource_type!("Task")`, checked when the tests run.
///
/// # Panics
/// Never for a name of [`RESOURCE_TYPES`]; other names give `Resource` at the last position, which no row has.
#[must_use]
pub fn known(name: &'static str) -> ResourceType {
    ResourceType::parse(name).unwrap_or(ResourceType(u16::MAX))
}

/// Whether a text is a FHIR `id`: 1 to 64 of `A-Za-z0-9-.`; `.` and `..` are refused (own rule: they break paths).
#[must_use]
pub fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.')
        && text != "."
        && text != ".."
}

/// A resource's address on this server: type and logical id.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Target {
    /// The type.
    pub rtype: ResourceType,
    /// The logical id.
    pub id: String,
}

impl Target {
    /// A target of known parts.
    pub fn new(rtype: ResourceType, id: impl Into<String>) -> Self {
        Self { rtype, id: id.into() }
    }

    /// Reads a relative literal reference `Type/id` or `Type/id/_history/n`; everything else is `None`.
    #[must_use]
    pub fn parse(reference: &str) -> Option<Self> {
        let mut parts = reference.split('/');
        let rtype = ResourceType::parse(parts.next()?)?;
        let id = parts.next().filter(|id| is_id(id))?;
        match (parts.next(), parts.next(), parts.next()) {
            (None, ..) | (Some("_history"), Some(_), None) => Some(Self::new(rtype, id)),
            _ => None,
        }
    }

    /// Reads the type name and id of a path.
    ///
    /// # Errors
    /// `NotFound` for a type R4 does not have, `Invalid` for an id that cannot be one.
    pub fn of(rtype: &str, id: &str) -> Result<Self> {
        let rtype = ResourceType::parse(rtype)
            .ok_or_else(|| Error::not_found(format!("R4 has no resource type '{}'", printable(rtype))))?;
        if !is_id(id) {
            return Err(Error::invalid("an id has 1 to 64 letters, digits, '-' and '.'; nothing else"));
        }
        Ok(Self::new(rtype, id))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.rtype, self.id)
    }
}

/// At most 64 characters of a client's text, control characters out: fit for `diagnostics`.
#[must_use]
pub fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_list_is_sorted_so_that_a_name_is_found() {
        assert!(RESOURCE_TYPES.is_sorted());
        assert_eq!(ResourceType::parse("Task").map(ResourceType::as_str), Some("Task"));
    }

    #[test]
    fn a_relative_reference_reads_with_and_without_version() {
        for (text, good) in [
            ("Patient/a", true),
            ("Patient/a/_history/2", true),
            ("Patient/a/b", false),
            ("urn:uuid:a", false),
            ("Nope/a", false),
        ] {
            assert_eq!(Target::parse(text).is_some(), good, "{text}");
        }
    }
}
