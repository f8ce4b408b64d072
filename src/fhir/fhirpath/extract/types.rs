//! What FHIRPath needs to know of FHIR's types: names of datatypes, and the type that a reference names.

use crate::fhir::ResourceType;

/// R4 datatypes that a choice element can have, as its JSON name ends (`valueQuantity`: `Quantity`), sorted.
const DATATYPES: [&str; 50] = [
    "Address",
    "Age",
    "Annotation",
    "Attachment",
    "Base64Binary",
    "Boolean",
    "Canonical",
    "Code",
    "CodeableConcept",
    "Coding",
    "ContactDetail",
    "ContactPoint",
    "Contributor",
    "Count",
    "DataRequirement",
    "Date",
    "DateTime",
    "Decimal",
    "Distance",
    "Dosage",
    "Duration",
    "Expression",
    "HumanName",
    "Id",
    "Identifier",
    "Instant",
    "Integer",
    "Markdown",
    "Meta",
    "Money",
    "Oid",
    "ParameterDefinition",
    "Period",
    "PositiveInt",
    "Quantity",
    "Range",
    "Ratio",
    "Reference",
    "RelatedArtifact",
    "SampledData",
    "Signature",
    "String",
    "Time",
    "Timing",
    "TriggerDefinition",
    "UnsignedInt",
    "Uri",
    "Url",
    "UsageContext",
    "Uuid",
];

/// Whether a text is the end of a choice element's JSON name.
#[must_use]
pub fn is_datatype(suffix: &str) -> bool {
    DATATYPES.binary_search(&suffix).is_ok()
}

/// Whether two type names mean the same: `dateTime`, `DateTime` and `FHIR.dateTime` do.
pub(super) fn same_type(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b)
}

/// The JSON name of a choice: `value` and `dateTime` give `valueDateTime`.
pub(super) fn choice_name(member: &str, rtype: &str) -> String {
    let mut name = String::with_capacity(member.len() + rtype.len());
    name.push_str(member);
    let mut chars = rtype.chars();
    name.extend(chars.next().map(|c| c.to_ascii_uppercase()));
    name.push_str(chars.as_str());
    name
}

/// The resource type that the text of a literal reference names: `Patient/1`, `http://x/fhir/Patient/1/_history/2`.
#[must_use]
pub fn reference_type(reference: &str) -> Option<ResourceType> {
    let path = reference.split_once("/_history/").map_or(reference, |(path, _)| path);
    let mut parts = path.rsplit('/');
    parts.next()?;
    ResourceType::parse(parts.next()?)
}
