//! Operations of protocols and forms.

use super::{Kind, Level, On, Param, Read, Row, Write};

const TASK: &[Param] = &[
    Param::must("action", "string", "The action's id."),
    Param::one("was", "instant", "When it was due; absent: there was none."),
    Param::one("would", "instant", "When it would have been due; absent: there would be none."),
];
const CASE: &[Param] = &[
    Param::must("episode", "uri", "The EpisodeOfCare."),
    Param::must("protocol", "canonical", "What it went by."),
    Param::parts("task", TASK, "An action of either."),
];
const PLAN: Param = Param::one("planDefinition", "PlanDefinition", "The protocol; of an instance it is that one.");

/// The rows.
pub(super) const ROWS: &[Row] = &[
    Row {
        name: "apply",
        on: On::Type("PlanDefinition"),
        levels: &[Level::Type, Level::Instance],
        base: "http://hl7.org/fhir/OperationDefinition/PlanDefinition-apply",
        is_whole: false,
        text: "What a protocol asks for: a CarePlan with a contained RequestGroup, and one Task for each action that the case calls for. Times \
            count from the end of the encounter, or from now, where there is none or the plan's first action is called 'asked'. With persist \
            its Tasks are opened in the episode of the encounter, those that are not there yet; the answer is the episode's CarePlan.",
        takes: &[
            PLAN,
            Param::must("subject", "string", "The Patient, as a reference."),
            Param::one("encounter", "string", "The stay, as a reference."),
            Param::one("practitioner", "string", "Who asks, as a reference."),
            Param::one("organization", "string", "For whom, as a reference."),
            Param::one(
                "persist",
                "boolean",
                "Whether the Tasks are stored, in the episode of the encounter; by POST only.",
            ),
        ],
        is_search: false,
        gives: &[Param::must("return", "CarePlan", "The proposal; with persist, the plan of the episode.")],
        kind: Kind::Read(Read::Apply),
    },
    Row {
        name: "simulate",
        on: On::Type("PlanDefinition"),
        levels: &[Level::Type, Level::Instance],
        base: "",
        is_whole: false,
        text: "What a protocol would have done with past episodes that the caller may see: Tasks more and fewer, earlier and later than those \
            that there were. Nothing is stored.",
        takes: &[
            PLAN,
            Param::one("start", "date", "Discharges from that day on."),
            Param::one("end", "date", "Discharges until that day."),
            Param::one("count", "positiveInt", "So many episodes at most, the newest; 100 unless given, 500 at most."),
        ],
        is_search: false,
        gives: &[
            Param::must("protocol", "canonical", "What was tried."),
            Param::must("episodes", "integer", "Episodes that it was tried on."),
            Param::must("added", "integer", "Tasks that there were not."),
            Param::must("dropped", "integer", "Tasks that there would not be."),
            Param::must("earlier", "integer", "Tasks that would be due earlier."),
            Param::must("later", "integer", "Tasks that would be due later."),
            Param::must("same", "integer", "Tasks that would be as they were."),
            Param::parts("case", CASE, "An episode."),
        ],
        kind: Kind::Read(Read::Simulate),
    },
    Row {
        name: "populate",
        on: On::Type("Questionnaire"),
        levels: &[Level::Type, Level::Instance],
        base: "",
        is_whole: false,
        text: "A form with what is known filled in: one repetition of the medicines' group for each line of the reconciled list that the caller \
            sees. Answers a QuestionnaireResponse in progress; nothing is stored.",
        takes: &[
            Param::one("questionnaire", "canonical", "The form, url|version; of an instance it is that one."),
            Param::must("subject", "string", "The Patient, as a reference."),
            Param::one("encounter", "string", "The stay, as a reference; the last one with a list unless given."),
        ],
        is_search: false,
        gives: &[Param::must("return", "QuestionnaireResponse", "The form, filled in.")],
        kind: Kind::Read(Read::Populate),
    },
    Row {
        name: "extract",
        on: On::Type("QuestionnaireResponse"),
        levels: &[Level::Instance],
        base: "",
        is_whole: false,
        text: "Makes MedicationStatements as told and AllergyIntolerances to be confirmed of whole answers to a form of the programme; screening \
            follows. Asked again after an amendment it changes them and adds none.",
        takes: &[],
        is_search: false,
        gives: &[Param::must("return", "Bundle", "A collection of what the answers say now.")],
        kind: Kind::Write(Write::Extract),
    },
];
