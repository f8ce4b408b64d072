//! The matrix by hand, and the page that is printed of it.

use super::file::BUILT_IN;
use super::*;
use crate::access::limit::DIRECTORY;
use crate::fhir::resource::known;
use std::path::Path;

fn caller(role: Role, scopes: Option<&str>) -> Principal {
    Principal {
        role,
        org: Some("o".into()),
        scopes: scopes.map(|s| Scopes::parse(s).into()),
        ..Principal::super_user()
    }
}

fn may(role: &str, action: Action, rtype: &'static str) -> bool {
    let policy = Policy::built_in().unwrap();
    let role = Role::parse(role).unwrap();
    decide(&policy, &caller(role, None), action, Some(known(rtype))) == Decision::Permit
}

/// `BATON_BLESS=1 cargo test access_matrix` writes the file anew; look at the diff.
#[test]
fn the_access_matrix_is_the_committed_table() {
    let page = format!(
        "# Who may do what\n\nPrinted from `profiles/policy/access.json` by a test of `src/access/policy/tests.rs`; change the JSON, not this page.\n\n\
         c create · r read · u update, d delete rows of the own organisation · U, D also rows shared with it · s search.\n\
         Scopes only take away from this; organisation walls and shares say which rows; `workflow::guard` says which fields and states.\n\n\
         What runs in the background (`Prefer: respond-async`) is seen under `_async/ID` and `_async/ID/result` by the very caller who started it - client, user and organisation -, whatever\n\
         the role; everybody else gets 404. It is carried out with the rights of its caller ([writes](writes.md)).\n\n\
         An old version, by vread or in a history, is judged like the newest one. A token of one patient or of some kinds sees it where the version itself and the newest one with a body pass both:\n\
         what moved to another patient takes its past along. The rows by which a version is judged so are taken away an hour after it died (limit `page-seconds`); from then on such tokens see the newest alone.\n\n\
         A resource with a security label of `profiles/policy/labels.json` (R, V, and codes of sensitivity) is there for those alone who are cleared for it, by role (the same file) or by name\n\
         (`baton user clear NAME R PSY`, `baton client clear ID R`; it holds within a minute): to all others it is unknown - by id, in old versions, searches, counts, includes, `$everything`, operations and jobs -, also inside\n\
         their own organisation. An old version needs the clearance for its own labels and for those of the newest. What is everybody's of the directory has no such labels. A label is put on by who is cleared for it; an update keeps it; only roles that\n\
         `takes-away` names take one away, from what their organisation owns.\n\n\
         A Binary with a `securityContext` is read, by id and by version, also by who may read what that names, whosever it is: with the right to read a Binary and that resource, and the clearance for the\n\
         labels of both. The directory, which is for all, opens none. Searches find a Binary for its own organisation alone.\n\n\
         What refers to a protected resource is protected like it: at a write, by the references that the writer sees; when a label comes later, whatever referred to it, in every version, and what refers to that. A Task, an\n\
         Encounter, an EpisodeOfCare and the like are as protected as the patient, the stay and the problem they are about, not as each part that they name: whose id they name is the author's business.\n\n\
         The programme makes its records - lists, problems, decisions, risks, Tasks, reports - of clinical resources without such labels (or with those alone that the patient has, or that a Consent of the patient [names](../profiles/protocol/README.md#consent)), whoever asks: what is written is read by all, and\n\
         a count tells, too. What is answered and not kept (`$handoff-report`, `preview` of `$reconcile` and `$screen`) is made of what the caller is cleared for. To who is not cleared for everything a report says that it looks at\n\
         nothing behind labels, whether or not there is anything. What a decision had counted before a label came stays counted.\n\n\
         A person who treats may break the glass of a patient whom they know by organisation or share: `POST Patient/{{id}}/$break-glass` with a `reason`, a `note` in words and `minutes`. For that time they read - and only read - of this\n\
         patient what labels, and where the policy says so organisations, keep back; scopes and role stay. Which roles, reasons, labels and times: `break-glass` in `profiles/policy/labels.json`, by default prescribers and pharmacists,\n\
         for an hour, at most four. The grant is on record with its reason (110113, 110127), each read under it with the purpose of use BTG, for auditors of the caller's organisation and of the one whose patient it is, and in the patient's\n\
         `$access-report`. Who broke it ends it by `POST Patient/{{id}}/$end-break-glass`, an administrator of accounts by `DELETE /auth/glass/ID`\n\
         ([auth](auth.md#registering-by-http)); `baton user glass` lists grants with their notes, `--end` ends those of a login. That and a changed role or organisation hold within ten seconds. Old versions are seen while their rows are kept.\n\n\
         The directory - organisations, practitioners, locations, medicines, terminology - is everybody's as far as an administrator wrote it (or the seed, or a load without a caller). What a hospital brings along, in a discharge, say, belongs\n\
         to the hospital: its own people and patients see it, and who is shown a hand-off sees those entries that its resources name, and the hospital's further ones that those name; nobody else does, and for a conditional create of another hospital it is\n\
         not there. An administrator sees all of it. What was sent before this rule stayed everybody's.\n\n\
         What another organisation owns is answered like what never was, on every path: `tests/it/attack/wall` asks every route of the server's own map by every role.\n\n\
         What is shared for a follow-up is shared until a time: the last Task's due time and `share-after-close` of the protocol (14 days), for a report a year and 14 days, for an abort Task of no episode 45 days. From then on it is answered like what never was,\n\
         by the clock of each request. A Consent may keep it from a pharmacy ([protocol](../profiles/protocol/README.md#consent)). A stay or patient labelled as protected by 42 CFR Part 2 is handed on only to whom a Consent with such a label lets in.\n\n{}",
        Policy::built_in().unwrap().to_markdown()
    );
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/access.md");
    if std::env::var_os("BATON_BLESS").is_some() {
        std::fs::write(path, &page).unwrap();
    }
    println!("{page}");
    assert_eq!(std::fs::read_to_string(path).unwrap_or_default(), page, "run with BATON_BLESS=1 and look at the diff");
}

#[test]
fn rules_that_no_edit_of_the_matrix_may_lose() {
    // no role has clinical delete, nobody writes the audit trail over FHIR, and only the auditor reads it
    for (_, name) in Role::ALL.into_iter().filter(|(r, _)| !is_unbound(*r)) {
        for rtype in ["Patient", "MedicationRequest", "Task", "DetectedIssue", "Encounter", "Organization"] {
            assert!(!may(name, Action::Delete, rtype), "{name} deletes {rtype}");
        }
        for action in Action::ALL {
            let reads = !action.needs().covers(Rights::C)
                && !action.needs().covers(Rights::U)
                && !action.needs().covers(Rights::D);
            assert_eq!(may(name, action, "AuditEvent"), name == "auditor" && reads, "{name} {action:?} AuditEvent");
        }
    }
    // a patient writes nothing, and sees neither problems nor the notes of Tasks, which hold what pharmacists say to each other
    for rtype in ["Patient", "MedicationStatement", "Communication", "Consent", "Task"] {
        assert!(may("patient", Action::Read, rtype) && !may("patient", Action::Update, rtype), "{rtype}");
        assert!(!may("patient", Action::Create, rtype), "{rtype}");
    }
    for rtype in ["DetectedIssue", "Provenance"] {
        assert!(!may("patient", Action::Read, rtype), "{rtype}");
    }
    // admin has no clinical read, an analyst sees measures only
    for role in ["admin", "analyst", "auditor"] {
        for rtype in ["Patient", "Task", "DetectedIssue", "Communication", "MedicationStatement", "Encounter"] {
            assert!(!may(role, Action::Read, rtype) && !may(role, Action::SearchType, rtype), "{role} {rtype}");
        }
    }
    // roles come from PractitionerRole: nobody but the admin writes one
    for (_, name) in Role::ALL.into_iter().filter(|(r, _)| !is_unbound(*r) && *r != Role::Admin) {
        assert!(!may(name, Action::Create, "PractitionerRole") && !may(name, Action::Update, "PractitionerRole"));
        assert!(!may(name, Action::Update, "Practitioner") && !may(name, Action::Update, "Organization"));
    }
    // the directory is readable by all
    for (_, name) in Role::ALL {
        for rtype in DIRECTORY {
            assert!(may(name, Action::Read, rtype) && may(name, Action::SearchType, rtype), "{name} {rtype}");
        }
    }
    assert!(may("hospital-system", Action::ConditionalCreate, "Patient"));
    assert!(may("technician", Action::Create, "DetectedIssue"));
    assert!(!may("technician", Action::Create, "Procedure") && may("pharmacist", Action::Create, "Procedure"));
    assert!(may("super-user", Action::ConditionalDelete, "Basic") && may("rule-engine", Action::Create, "Task"));
    for action in Action::ALL {
        assert!(!may("super-user", action, "AuditEvent") && !may("rule-engine", action, "AuditEvent"), "{action:?}");
    }
}

#[test]
fn shared_rows_are_changed_only_where_the_matrix_says_so() {
    let policy = Policy::built_in().unwrap();
    for (role, rtype, may) in [
        (Role::Pharmacist, "Task", true),
        (Role::Pharmacist, "DetectedIssue", true),
        (Role::Pharmacist, "QuestionnaireResponse", false),
        (Role::Technician, "MedicationDispense", false),
        (Role::HospitalSystem, "Patient", false),
        (Role::HospitalSystem, "Task", false),
        (Role::HospitalSystem, "DetectedIssue", true),
        (Role::SuperUser, "Patient", true),
    ] {
        let judge = policy.judge(&caller(role, None));
        assert_eq!(judge.may_change_shared(Action::Patch, known(rtype)), may, "{role:?} {rtype}");
    }
}

/// The law of a jurisdiction goes over the matrix, for whose organisation lies there, by the same decision.
#[test]
fn a_jurisdiction_goes_over_the_matrix_where_the_organisation_lies() {
    let more = r#""jurisdictions": {
        "US-ZZ": {"title": "More", "country": ["US", "USA"], "state": ["ZZ", "Zeta"],
            "roles": {"technician": {"CommunicationRequest": "crus", "MedicationDispense": "rs"}}},
        "US-DC": {"title": "As above", "country": ["US"], "state": ["DC"]}}, "person-codes": {"#;
    let text = BUILT_IN.replacen("\"person-codes\": {", more, 1);
    let text = match BUILT_IN.contains("\"jurisdictions\"") {
        true => {
            let mut json: serde_json::Value = serde_json::from_str(BUILT_IN).unwrap();
            let other: serde_json::Value = serde_json::from_str(&format!("{{{more} }}}}")).unwrap();
            json["jurisdictions"] = other["jurisdictions"].clone();
            json.to_string()
        }
        false => text,
    };
    let policy = Policy::parse(&text).unwrap();
    let organization = |addresses: serde_json::Value| -> Json {
        serde_json::json!({"resourceType": "Organization", "address": addresses}).into()
    };
    for (addresses, jurisdiction) in [
        (serde_json::json!([]), None),
        (serde_json::json!([{"state": "TN"}]), None),
        (serde_json::json!([{"state": "zz"}]), Some("US-ZZ")),
        (serde_json::json!([{"state": "Zeta", "country": "usa"}]), Some("US-ZZ")),
        (serde_json::json!([{"state": "ZZ", "country": "Elsewhere"}]), None),
        (serde_json::json!([{"city": "x"}, {"state": "DC", "country": "US"}, {"state": "ZZ"}]), Some("US-DC")),
    ] {
        let address = organization(addresses);
        assert_eq!(policy.jurisdiction(&address), jurisdiction, "{address}");
    }
    let may = |jurisdiction: Option<&str>, role, action, rtype: &'static str| {
        let principal = Principal { jurisdiction: jurisdiction.map(Into::into), ..caller(role, None) };
        decide(&policy, &principal, action, Some(known(rtype))) == Decision::Permit
    };
    for (jurisdiction, asks, hands) in [(None, false, true), (Some("US-ZZ"), true, false), (Some("US-DC"), false, true)]
    {
        assert_eq!(
            may(jurisdiction, Role::Technician, Action::Create, "CommunicationRequest"),
            asks,
            "{jurisdiction:?}"
        );
        assert_eq!(
            may(jurisdiction, Role::Technician, Action::Create, "MedicationDispense"),
            hands,
            "{jurisdiction:?}"
        );
        assert!(may(jurisdiction, Role::Technician, Action::Read, "Patient"), "what it does not name stays");
        assert!(may(jurisdiction, Role::Pharmacist, Action::Create, "CommunicationRequest"));
    }
    let page = policy.to_markdown();
    for line in [
        "| US-DC | As above | all | all | as above | as above |",
        "| US-ZZ | More | technician | CommunicationRequest | rs | crus |",
        "| US-ZZ | More | technician | MedicationDispense | crs | rs |",
    ] {
        assert!(page.contains(line), "{line}: {page}");
    }
    let odd = text.replacen("\"technician\":{\"CommunicationRequest\"", "\"nobody\":{\"CommunicationRequest\"", 1);
    assert_ne!(odd, text);
    let error = Policy::parse(&odd).expect_err("an unknown role").to_string();
    assert!(error.contains("'nobody' is not a role"), "{error}");
}

/// security R28: A scope takes away and never adds.
#[test]
fn a_scope_takes_away_and_never_adds() {
    let policy = Policy::built_in().unwrap();
    let task = Some(known("Task"));
    let decide = |role, scopes, action, rtype| decide(&policy, &caller(role, Some(scopes)), action, rtype);
    assert_eq!(decide(Role::Pharmacist, "user/*.cruds", Action::Read, task), Decision::Permit);
    let Decision::Deny(deny) = decide(Role::Pharmacist, "user/Task.s", Action::Read, task) else { panic!() };
    assert!(deny.is_scope, "{}", deny.why);
    let Decision::Deny(deny) = decide(Role::Technician, "user/*.cruds", Action::Create, Some(known("Procedure")))
    else {
        panic!()
    };
    assert_eq!((deny.is_scope, deny.why.as_str()), (false, "the role 'technician' may not create Procedure"));
    let Decision::Deny(_) = decide(Role::Pharmacist, "", Action::Read, task) else { panic!("empty is no right") };
    assert_eq!(decide(Role::HospitalSystem, "system/*.s", Action::SearchSystem, None), Decision::Permit);
}

#[test]
fn a_matrix_with_a_fault_is_refused_with_the_place() {
    for (from, to, says) in [
        ("\"technician\": {", "\"techniciann\": {", "not a role"),
        ("\"Task\": \"crus\"", "\"Tusk\": \"crus\"", "'Tusk'"),
        ("\"Task\": \"crus\"", "\"Task\": \"crux\"", "'x'"),
        ("\"Account\", ", "\"Acount\", ", "'Acount'"),
        ("\"title\"", "\"titel\"", "not an access matrix"),
        ("\"Task\": \"the one", "\"Tusk\": \"the one", "before-claim: without Task"),
        ("\"before-claim\": {", "\"before-claim\": {\"Tusk\": \"\",", "before-claim: R4 has no resource type 'Tusk'"),
        ("\"Practitioner\": [\n", "\"Practitioner\": [\"nome\",\n", "'nome' is no element"),
        ("\"patient\": {", "\"super-user\": {", "not a role"),
    ] {
        assert!(BUILT_IN.contains(from), "{from}");
        let error = Policy::parse(&BUILT_IN.replacen(from, to, 1)).expect_err(to).to_string();
        assert!(error.contains(says), "{to}: {error}");
    }
    assert!(Policy::load(Some(Path::new("/nowhere"))).is_ok(), "a profiles folder without the file keeps the built-in");
}
