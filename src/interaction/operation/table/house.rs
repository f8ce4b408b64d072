//! Baton's own operations, and what every server has.

use super::{Kind, Level, On, Param, Read, Row, Write};

const EVENT: &[Param] = &[
    Param::must("recorded", "instant", "When it was written."),
    Param::must("at", "dateTime", "When it happened."),
    Param::must("what", "string", "One sentence."),
    Param::one("who", "string", "By whom."),
    Param::one("resource", "uri", "The version that says so."),
];
const JOB: &[Param] = &[
    Param::must("parameter", "string", "The search parameter."),
    Param::must("percent", "integer", "How much is done."),
    Param::must("done", "integer", "Versions that are done."),
    Param::must("total", "integer", "Versions in all."),
];

const FINDING: &[Param] = &[
    Param::must("rule", "code", "The rule that fired."),
    Param::must("version", "string", "Its version."),
    Param::must("severity", "code", "low, moderate, high."),
    Param::must("why", "string", "Why it fired, in a sentence."),
    Param::must("state", "code", "new, open, decided, or held-back: too many wait already."),
    Param::one("issue", "Reference", "The DetectedIssue, where there is one."),
];
const MEDICINE: &[Param] =
    &[Param::must("name", "string", "The medicine."), Param::parts("finding", FINDING, "What was found about it.")];
const SCREENED: &[Param] = &[
    Param::parts("medicine", MEDICINE, "What was found, by medicine."),
    Param::many("unjudged", "string", "What could not be judged, and which input it lacks."),
];
const SCREEN: &str = "Asks the screening rules about a stay that is followed up. Opens a problem and its review for what is new; with \
    preview it answers what would be. Runs by itself when lists are reconciled.";

/// The rows.
pub(super) const ROWS: &[Row] = &[
    Row {
        name: "versions",
        on: On::Server,
        levels: &[Level::System],
        base: "http://hl7.org/fhir/OperationDefinition/CapabilityStatement-versions",
        is_whole: true,
        text: "The versions of FHIR that are spoken here.",
        takes: &[],
        is_search: false,
        gives: &[
            Param { min: 1, ..Param::many("version", "code", "One that is spoken.") },
            Param::must("default", "code", "The one that is spoken when none is asked for."),
        ],
        kind: Kind::Read(Read::Versions),
    },
    Row {
        name: "reindex-status",
        on: On::Server,
        levels: &[Level::System],
        base: "",
        is_whole: false,
        text: "Which search parameters are still being built, and how far they are.",
        takes: &[],
        is_search: false,
        gives: &[
            Param::must("complete", "boolean", "Whether all of them are built."),
            Param::parts("job", JOB, "One that is being built."),
        ],
        kind: Kind::Read(Read::ReindexStatus),
    },
    Row {
        name: "claim",
        on: On::Type("Task"),
        levels: &[Level::Instance],
        base: "",
        is_whole: false,
        text: "Takes an open Task for the caller's organisation. Needs If-Match; of two who claim at once one gets 409 or 412.",
        takes: &[Param::one("owner", "Reference", "The new owner; only for callers without an organisation.")],
        is_search: false,
        gives: &[Param::must("return", "Task", "The Task as it is now.")],
        kind: Kind::Write(Write::Claim),
    },
    Row {
        name: "release",
        on: On::Type("Task"),
        levels: &[Level::Instance],
        base: "",
        is_whole: false,
        text: "Gives a claimed Task back that has not been started, so that another organisation can claim it.",
        takes: &[Param::one("reason", "CodeableConcept", "Why; a text will do.")],
        is_search: false,
        gives: &[Param::must("return", "Task", "The Task as it is now.")],
        kind: Kind::Write(Write::Release),
    },
    Row {
        name: "attempt",
        on: On::Type("Task"),
        levels: &[Level::Instance],
        base: "",
        is_whole: false,
        text: "Records one attempt to reach the patient by phone; answers the Communication.",
        takes: &[
            Param::must("outcome", "code", "How it ended: a code of attempt-outcome."),
            Param::one("sent", "dateTime", "When; with it, a replay adds nothing."),
            Param::one("medium", "code", "A code of v3-ParticipationMode; PHONE unless given."),
            Param::one("recipient", "Reference", "Who was called; the patient unless given."),
            Param::one("note", "string", "What there is to say."),
        ],
        is_search: false,
        gives: &[Param::must("return", "Communication", "The attempt.")],
        kind: Kind::Write(Write::Attempt),
    },
    Row {
        name: "resolve",
        on: On::Type("DetectedIssue"),
        levels: &[Level::Instance],
        base: "",
        is_whole: false,
        text: "A pharmacist decides on a drug therapy problem: mitigation, resolution, note; closes its review Task.",
        takes: &[
            Param::one("resolution", "code", "A code of resolution."),
            Param::many("mitigation", "CodeableConcept", "What was done; a code alone is one of v3-ActCode."),
            Param::one("note", "string", "What there is to say."),
            Param::many("evidence", "Reference", "What supports the decision."),
            Param::one("date", "dateTime", "When it was done; now unless given."),
        ],
        is_search: false,
        gives: &[Param::must("return", "DetectedIssue", "The problem as it is now.")],
        kind: Kind::Write(Write::Resolve),
    },
    Row {
        name: "reconcile",
        on: On::Type("Encounter"),
        levels: &[Level::Instance],
        base: "",
        is_whole: false,
        text: "Compares the medication lists around a stay: home, stay, discharge, dispensed, told. Stores the working List with its \
            Provenance; with preview it answers what it would be. Runs by itself when a list changes.",
        takes: &[Param::one("preview", "boolean", "Whether nothing is to be stored.")],
        is_search: false,
        gives: &[Param::must("return", "List", "The working List.")],
        kind: Kind::Write(Write::Reconcile),
    },
    Row {
        name: "screen",
        on: On::Type("Encounter"),
        levels: &[Level::Instance],
        base: "",
        is_whole: false,
        text: SCREEN,
        takes: &[Param::one("preview", "boolean", "Whether nothing is to be stored.")],
        is_search: false,
        gives: SCREENED,
        kind: Kind::Write(Write::Screen),
    },
    Row {
        name: "screen",
        on: On::Type("EpisodeOfCare"),
        levels: &[Level::Instance],
        base: "",
        is_whole: false,
        text: SCREEN,
        takes: &[Param::one("preview", "boolean", "Whether nothing is to be stored.")],
        is_search: false,
        gives: SCREENED,
        kind: Kind::Write(Write::Screen),
    },
    Row {
        name: "handoff-report",
        on: On::Type("Encounter"),
        levels: &[Level::Instance],
        base: "",
        is_whole: false,
        text: "The report for who goes on with the patient, of what the caller may see: a FHIR document, or by Accept a page (text/html) or \
            application/pdf. POST puts it on record: prepared, or attested by a pharmacist.",
        takes: &[
            Param::one(
                "audience",
                "code",
                "pharmacy, unless given; patient: the patient's own list, a page in plain words.",
            ),
            Param::one("language", "code", "Of the patient's own list: en, es; the patient's, unless given."),
            Param::one("attest", "boolean", "Whether the caller attests the list; by POST only."),
        ],
        is_search: false,
        gives: &[Param::must("return", "Bundle", "The document.")],
        kind: Kind::Read(Read::Report),
    },
    Row {
        name: "timeline",
        on: On::Type("EpisodeOfCare"),
        levels: &[Level::Instance],
        base: "",
        is_whole: false,
        text: "Tells the story of an episode in sentences, in the order of writing, of what the caller may see.",
        takes: &[],
        is_search: false,
        gives: &[Param::parts("event", EVENT, "One thing that happened.")],
        kind: Kind::Read(Read::Timeline),
    },
];
