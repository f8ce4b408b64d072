//! Terminology operations, as far as R4's parameters are taken.
//!
//! Source: <https://hl7.org/fhir/R4/terminology-service.html>.

use super::{Kind, Level, On, Param, Read, Row};

const DESIGNATION: &[Param] = &[
    Param::one("language", "code", "Its language."),
    Param::one("use", "Coding", "What it is for."),
    Param::must("value", "string", "The text."),
];
const PROPERTY: &[Param] = &[
    Param::must("code", "code", "Name of the property."),
    Param::one("value", "*", "Its value."),
    Param::one("description", "string", "What the property is."),
];
const MATCH: &[Param] = &[
    Param::must("equivalence", "code", "How the two relate, from source to target."),
    Param::one("concept", "Coding", "The translation."),
    Param::parts("product", PRODUCT, "What else the translation implies."),
    Param::one("source", "uri", "The map that says so."),
];
const PRODUCT: &[Param] =
    &[Param::must("element", "uri", "What it is about."), Param::must("concept", "Coding", "What is said of it.")];
const DEPENDENCY: &[Param] = &[
    Param::must("element", "uri", "What it is about."),
    Param::must("concept", "CodeableConcept", "What is said of it."),
];
const LANGUAGE: Param = Param::one("displayLanguage", "code", "Language of the displays, where there is one of it.");
const CODE: Param = Param::one("code", "code", "The code.");
const CODING: Param = Param::one("coding", "Coding", "Code and system in one.");
const CONCEPT: Param = Param::one("codeableConcept", "CodeableConcept", "Several codings: one of them is enough.");
const DISPLAY: Param = Param::one("display", "string", "A display that is to be checked, too.");
const ABSTRACT: Param = Param::one("abstract", "boolean", "Whether a heading may be used here.");
const VALID: &[Param] = &[
    Param::must("result", "boolean", "Whether it is valid."),
    Param::one("message", "string", "Why it is not."),
    Param::one("display", "string", "The display that it has."),
];
const BOTH: &[Level] = &[Level::Type, Level::Instance];

/// The rows.
pub(super) const ROWS: &[Row] = &[
    Row {
        name: "expand",
        on: On::Type("ValueSet"),
        levels: BOTH,
        base: "http://hl7.org/fhir/OperationDefinition/ValueSet-expand",
        is_whole: false,
        text: "The codes of a value set that is here, in order, in pages; flat.",
        takes: &[
            Param::one("url", "uri", "Canonical URL of the value set."),
            Param::one("valueSet", "ValueSet", "The value set itself."),
            Param::one("valueSetVersion", "string", "Its version."),
            Param::one("filter", "string", "Words that code, display or a designation begin with."),
            Param::one("offset", "integer", "How many codes to pass over."),
            Param::one("count", "integer", "How many codes to give; 0: their number only."),
            Param::one("includeDesignations", "boolean", "Whether to give designations."),
            Param::one("includeDefinition", "boolean", "Whether to give the definition of the value set, too."),
            Param::one("activeOnly", "boolean", "Whether to leave out codes that are no longer in use."),
            Param::one("excludeNested", "boolean", "Expansions are flat either way."),
            LANGUAGE,
        ],
        is_search: false,
        gives: &[Param::must("return", "ValueSet", "The value set with its expansion.")],
        kind: Kind::Read(Read::Expand),
    },
    Row {
        name: "validate-code",
        on: On::Type("ValueSet"),
        levels: BOTH,
        base: "http://hl7.org/fhir/OperationDefinition/ValueSet-validate-code",
        is_whole: false,
        text: "Whether a code is in a value set, and its display right.",
        takes: &[
            Param::one("url", "uri", "Canonical URL of the value set."),
            Param::one("valueSet", "ValueSet", "The value set itself."),
            Param::one("valueSetVersion", "string", "Its version."),
            CODE,
            Param::one("system", "uri", "The code system; without it, any of the value set."),
            Param::one("systemVersion", "string", "Version of the code system."),
            DISPLAY,
            CODING,
            CONCEPT,
            ABSTRACT,
            LANGUAGE,
        ],
        is_search: false,
        gives: VALID,
        kind: Kind::Read(Read::ValidateInSet),
    },
    Row {
        name: "lookup",
        on: On::Type("CodeSystem"),
        levels: &[Level::Type],
        base: "http://hl7.org/fhir/OperationDefinition/CodeSystem-lookup",
        is_whole: false,
        text: "What a code system says of a code.",
        takes: &[
            CODE,
            Param::one("system", "uri", "The code system."),
            Param::one("version", "string", "Version of the code system."),
            CODING,
            LANGUAGE,
            Param::many("property", "code", "Properties to give; all unless named."),
        ],
        is_search: false,
        gives: &[
            Param::must("name", "string", "Name of the code system."),
            Param::one("version", "string", "Its version."),
            Param::must("display", "string", "The display."),
            Param::parts("designation", DESIGNATION, "Another text for it."),
            Param::parts("property", PROPERTY, "What else is said of it."),
        ],
        kind: Kind::Read(Read::Lookup),
    },
    Row {
        name: "validate-code",
        on: On::Type("CodeSystem"),
        levels: BOTH,
        base: "http://hl7.org/fhir/OperationDefinition/CodeSystem-validate-code",
        is_whole: false,
        text: "Whether a code is in a code system, and its display right.",
        takes: &[
            Param::one("url", "uri", "Canonical URL of the code system."),
            Param::one("codeSystem", "CodeSystem", "The code system itself."),
            CODE,
            Param::one("version", "string", "Version of the code system."),
            DISPLAY,
            CODING,
            CONCEPT,
            ABSTRACT,
            LANGUAGE,
        ],
        is_search: false,
        gives: VALID,
        kind: Kind::Read(Read::ValidateInSystem),
    },
    Row {
        name: "subsumes",
        on: On::Type("CodeSystem"),
        levels: BOTH,
        base: "http://hl7.org/fhir/OperationDefinition/CodeSystem-subsumes",
        is_whole: true,
        text: "How two codes of a code system relate: equivalent, subsumes, subsumed-by or not-subsumed.",
        takes: &[
            Param::one("codeA", "code", "One code."),
            Param::one("codeB", "code", "The other."),
            Param::one("system", "uri", "The code system."),
            Param::one("version", "string", "Version of the code system."),
            Param::one("codingA", "Coding", "One code with its system."),
            Param::one("codingB", "Coding", "The other with its system."),
        ],
        is_search: false,
        gives: &[Param::must("outcome", "code", "How A relates to B.")],
        kind: Kind::Read(Read::Subsumes),
    },
    Row {
        name: "translate",
        on: On::Type("ConceptMap"),
        levels: BOTH,
        base: "http://hl7.org/fhir/OperationDefinition/ConceptMap-translate",
        is_whole: false,
        text: "What stands for a code in another system, by the concept maps that are here.",
        takes: &[
            Param::one("url", "uri", "Canonical URL of the map."),
            Param::one("conceptMap", "ConceptMap", "The map itself."),
            Param::one("conceptMapVersion", "string", "Its version."),
            CODE,
            Param::one("system", "uri", "The code system of the code."),
            Param::one("version", "string", "Version of the code system: taken, and not compared."),
            Param::one("source", "uri", "The value set that the map starts from."),
            CODING,
            CONCEPT,
            Param::one("target", "uri", "The value set that the map leads to."),
            Param::one("targetsystem", "uri", "The code system that is wanted."),
            Param::parts("dependency", DEPENDENCY, "What else is known."),
            Param::one("reverse", "boolean", "From the target of the map to its source."),
        ],
        is_search: false,
        gives: &[
            Param::must("result", "boolean", "Whether there is a translation."),
            Param::one("message", "string", "Why there is none."),
            Param::parts("match", MATCH, "One translation."),
        ],
        kind: Kind::Read(Read::Translate),
    },
];
