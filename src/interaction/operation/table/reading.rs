//! Operations that read along: what belongs to a patient, a stay, a document, the latest observations; and what is valid.
//!
//! Source: <https://hl7.org/fhir/R4/patient-operation-everything.html>, <https://hl7.org/fhir/R4/encounter-operation-everything.html>,
//! <https://hl7.org/fhir/R4/composition-operation-document.html>, <https://hl7.org/fhir/R4/observation-operation-lastn.html>.

use super::{Kind, Level, On, Param, Read, Row};

const SINCE: Param = Param::one("_since", "instant", "Only what was written from then on.");
const TYPE: Param = Param::many("_type", "code", "Only resources of these types; several with commas, too.");
const COUNT: Param = Param::one("_count", "positiveInt", "Resources a page, besides those that they refer to.");
const BUNDLE: &[Param] = &[Param::must("return", "Bundle", "The resources.")];

/// The rows.
pub(super) const ROWS: &[Row] = &[
    Row {
        name: "validate",
        on: On::Any,
        levels: &[Level::Type, Level::Instance],
        base: "http://hl7.org/fhir/OperationDefinition/Resource-validate",
        is_whole: true,
        text: "Says what a write would be told, without the write. The resource may be the body itself; on an instance without one, what is stored is validated.",
        takes: &[
            Param::one("resource", "Resource", "What is validated."),
            Param::one(
                "mode",
                "code",
                "create, update or delete: the write is rehearsed, with the rules of the programme; profile: it is not.",
            ),
            Param::many("profile", "uri", "Profiles to validate against, besides those that the resource claims."),
        ],
        is_search: false,
        gives: &[Param::must("return", "OperationOutcome", "Every issue; none of them an error: it is valid.")],
        kind: Kind::Read(Read::Validate),
    },
    Row {
        name: "everything",
        on: On::Type("Patient"),
        levels: &[Level::Type, Level::Instance],
        base: "http://hl7.org/fhir/OperationDefinition/Patient-everything",
        is_whole: true,
        text: "What is in the compartment of a patient (or of all patients), and what it refers to, as far as the caller may see it.",
        takes: &[
            Param::one("start", "date", "Care from then on. What says no date of care stays in."),
            Param::one("end", "date", "Care until then."),
            SINCE,
            TYPE,
            COUNT,
        ],
        is_search: false,
        gives: BUNDLE,
        kind: Kind::Read(Read::Everything),
    },
    Row {
        name: "everything",
        on: On::Type("Encounter"),
        levels: &[Level::Instance],
        base: "http://hl7.org/fhir/OperationDefinition/Encounter-everything",
        is_whole: true,
        text: "A stay, what is in its compartment, and what these refer to, as far as the caller may see it.",
        takes: &[SINCE, TYPE, COUNT],
        is_search: false,
        gives: BUNDLE,
        kind: Kind::Read(Read::Everything),
    },
    Row {
        name: "document",
        on: On::Type("Composition"),
        levels: &[Level::Instance],
        base: "http://hl7.org/fhir/OperationDefinition/Composition-document",
        is_whole: false,
        text: "A document Bundle of a composition and what it refers to. With persist it is stored: by POST only.",
        takes: &[Param::one("persist", "boolean", "Whether to store the Bundle.")],
        is_search: false,
        gives: BUNDLE,
        kind: Kind::Read(Read::Document),
    },
    Row {
        name: "lastn",
        on: On::Type("Observation"),
        levels: &[Level::Type],
        base: "http://hl7.org/fhir/OperationDefinition/Observation-lastn",
        is_whole: true,
        text: "The latest observations of each code, of those that a search finds: it names a patient or subject, and a category or code.",
        takes: &[Param::one("max", "positiveInt", "How many of each code; 1 unless given.")],
        is_search: true,
        gives: BUNDLE,
        kind: Kind::Read(Read::LastN),
    },
];
