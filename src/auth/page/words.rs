//! Scopes in plain words, for the consent page and the list of apps.

use crate::access::scope::{Level, Rights, Scope};

/// Types that a patient or a nurse would not call by their FHIR name.
const TYPES: &[(&str, &str)] = &[
    ("AllergyIntolerance", "allergies"),
    ("Appointment", "appointments"),
    ("CarePlan", "care plans"),
    ("CareTeam", "care teams"),
    ("Communication", "messages"),
    ("CommunicationRequest", "questions to prescribers"),
    ("Composition", "documents"),
    ("Condition", "diagnoses and health problems"),
    ("Consent", "consents"),
    ("Coverage", "insurance"),
    ("DetectedIssue", "drug therapy problems"),
    ("Device", "devices"),
    ("DiagnosticReport", "reports"),
    ("DocumentReference", "documents on file"),
    ("Encounter", "visits and stays"),
    ("EpisodeOfCare", "follow-ups"),
    ("Goal", "goals"),
    ("Immunization", "vaccinations"),
    ("List", "medicine lists"),
    ("Location", "places"),
    ("Medication", "medicines"),
    ("MedicationAdministration", "medicines given"),
    ("MedicationDispense", "medicines handed out"),
    ("MedicationRequest", "prescriptions"),
    ("MedicationStatement", "medicines taken"),
    ("Observation", "measurements and laboratory results"),
    ("Organization", "organisations"),
    ("Patient", "name, birth date and address"),
    ("Practitioner", "practitioners"),
    ("PractitionerRole", "roles of practitioners"),
    ("Procedure", "procedures"),
    ("Provenance", "who wrote what"),
    ("QuestionnaireResponse", "answers to questionnaires"),
    ("RelatedPerson", "relatives"),
    ("ServiceRequest", "referrals and orders"),
    ("Specimen", "specimens"),
    ("Task", "tasks"),
];

/// `ClinicalImpression` → `clinical impression`.
fn apart(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !out.is_empty() {
            out.push(' ');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

/// What a data scope lets an app do: "See and change tasks of this patient".
#[must_use]
pub fn of(scope: &Scope) -> String {
    let what = match scope.rtype {
        None => "all health data".to_owned(),
        Some(rtype) => {
            TYPES.iter().find(|(t, _)| *t == rtype.as_str()).map_or_else(|| apart(rtype.as_str()), |(_, w)| (*w).into())
        }
    };
    let reads = !scope.rights.common(Rights::R.and(Rights::S)).is_empty();
    let mut verbs = Vec::new();
    for (right, verb) in [(Rights::C, "add"), (Rights::U, "change"), (Rights::D, "delete")] {
        if scope.rights.covers(right) {
            verbs.push(verb);
        }
    }
    if reads {
        verbs.insert(0, "see");
    }
    let verbs = match verbs.split_last() {
        None => String::new(),
        Some((last, [])) => (*last).to_owned(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
    };
    let whose = match scope.level {
        Level::Patient => " of this patient",
        Level::User => ", as far as you may yourself",
        Level::System => "",
    };
    let part = match scope.granular.as_slice() {
        [] => String::new(),
        list => format!(" (only {})", list.iter().map(|(_, v)| last(v)).collect::<Vec<_>>().join(", ")),
    };
    let mut text = format!("{verbs} {what}{part}{whose}");
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    text
}

/// `http://…|vital-signs` → `vital signs`.
fn last(value: &str) -> String {
    value.rsplit(['|', '/']).next().unwrap_or(value).replace('-', " ")
}

/// The scopes that are no data, as far as a user is asked.
#[must_use]
pub fn of_other(scope: &str) -> Option<&'static str> {
    match scope {
        "openid" => Some("Know who you are"),
        "__accounts" => Some("Register programs, apps and people who sign in"),
        "fhirUser" => Some("See your own entry in the directory"),
        "profile" => Some("See your name"),
        "online_access" => Some("Stay connected until you sign out"),
        "offline_access" => Some("Stay connected when you are away, for up to 90 days"),
        _ => None,
    }
}

/// (type, system, [(code, words)])
pub type Kinds = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

/// Kinds that a user can choose in place of the whole.
pub const KINDS: &[Kinds] = &[
    (
        "Condition",
        "http://terminology.hl7.org/CodeSystem/condition-category",
        &[("problem-list-item", "problem list"), ("encounter-diagnosis", "diagnoses of a visit or stay")],
    ),
    (
        "Observation",
        "http://terminology.hl7.org/CodeSystem/observation-category",
        &[
            ("vital-signs", "vital signs"),
            ("laboratory", "laboratory"),
            ("social-history", "habits and living"),
            ("survey", "questionnaires"),
        ],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// security R17: The consent page says in plain words what a scope lets an app do.
    #[test]
    fn scopes_in_words() {
        for (scope, words) in [
            ("patient/MedicationRequest.rs", "See prescriptions of this patient"),
            ("user/Task.cruds", "See, add, change and delete tasks, as far as you may yourself"),
            ("patient/*.read", "See all health data of this patient"),
            ("user/ClinicalImpression.u", "Change clinical impression, as far as you may yourself"),
            (
                "patient/Observation.rs?category=http://terminology.hl7.org/CodeSystem/observation-category|vital-signs",
                "See measurements and laboratory results (only vital signs) of this patient",
            ),
        ] {
            assert_eq!(of(&Scope::parse(scope).unwrap()), words);
        }
    }
}
