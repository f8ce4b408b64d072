//! The operations on `meta`, of every type.

use super::{Kind, Level, On, Param, Read, Row, Write};

const GIVES: &[Param] =
    &[Param::one("return", "Meta", "Profiles, tags and security labels; none where there are none.")];
const TAKES: &[Param] = &[Param::must("meta", "Meta", "Profiles, tags and security labels.")];

/// The rows.
pub(super) const ROWS: &[Row] = &[
    Row {
        name: "meta",
        on: On::Any,
        levels: &[Level::System, Level::Type, Level::Instance, Level::Version],
        base: "http://hl7.org/fhir/OperationDefinition/Resource-meta",
        is_whole: true,
        text: "Profiles, tags and security labels of a resource, of a version, of a type or of all that the caller may see.",
        takes: &[],
        is_search: false,
        gives: GIVES,
        kind: Kind::Read(Read::Meta),
    },
    Row {
        name: "meta-add",
        on: On::Any,
        levels: &[Level::Instance],
        base: "http://hl7.org/fhir/OperationDefinition/Resource-meta-add",
        is_whole: false,
        text: "Adds profiles, tags and security labels to a resource; makes a version.",
        takes: TAKES,
        is_search: false,
        gives: GIVES,
        kind: Kind::Write(Write::MetaAdd),
    },
    Row {
        name: "meta-delete",
        on: On::Any,
        levels: &[Level::Instance],
        base: "http://hl7.org/fhir/OperationDefinition/Resource-meta-delete",
        is_whole: false,
        text: "Takes profiles, tags and security labels from a resource; makes a version.",
        takes: TAKES,
        is_search: false,
        gives: GIVES,
        kind: Kind::Write(Write::MetaDelete),
    },
];
