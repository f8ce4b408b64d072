use super::*;
use crate::clock::Instant;
use serde_json::json;

#[test]
fn the_built_in_protocol_gives_these_due_times() {
    let programme = Programme::for_tests();
    // A Wednesday afternoon in New York, the day before Thanksgiving.
    let discharge = Instant::parse("2026-11-25T20:00:00Z").unwrap();
    let due: Vec<(String, String)> =
        programme.follow_up.intents(discharge).into_iter().map(|i| (i.action, i.due_at.to_seconds_text())).collect();
    let expected = [
        ("check-pickup", "2026-11-26T20:00:00Z"),
        ("first-call", "2026-12-01T04:59:00Z"),
        ("pharmacist-check", "2026-11-28T20:00:00Z"),
        ("contact-day-14", "2026-12-10T04:59:00Z"),
        ("contact-day-28", "2026-12-24T04:59:00Z"),
        ("close-episode", "2027-01-10T04:59:00Z"),
    ];
    assert_eq!(due, expected.map(|(a, b)| (a.to_string(), b.to_string())));
}

#[test]
fn dispositions_come_down_to_destinations_as_a_table() {
    let programme = Programme::for_tests();
    const DISP: &str = "http://terminology.hl7.org/CodeSystem/discharge-disposition";
    for (system, code, destination, followed) in [
        (DISP, "home", "home", true),
        (DISP, "alt-home", "home", true),
        (DISP, "aadvice", "against-advice", true),
        (DISP, "hosp", "hospice", false),
        (DISP, "exp", "deceased", false),
        (DISP, "snf", "facility", false),
        (DISP, "rehab", "facility", false),
        (DISP, "psy", "facility", false),
        (DISP, "long", "facility", false),
        (DISP, "oth", "other", false),
        ("http://www.nubc.org/patient-discharge", "01", "home", true),
        ("http://www.nubc.org/patient-discharge", "1", "home", true),
        ("http://www.nubc.org/patient-discharge", "02", "facility", false),
        ("http://www.nubc.org/patient-discharge", "20", "deceased", false),
        ("http://terminology.hl7.org/CodeSystem/nubc-UB04-FL17-patient-status", "50", "hospice", false),
        ("http://example.org/own", "home", "other", false),
    ] {
        let concept: Json = json!({"coding": [{"system": system, "code": code}]}).into();
        let got = programme.destinations.of(&concept).unwrap();
        assert_eq!((got, programme.destinations.followed(got).0), (destination, followed), "{system}|{code}");
    }
    assert_eq!(programme.destinations.of(&Json::Null), None);
    let two = json!({"coding": [{"system": "http://example.org/own", "code": "9"}, {"system": DISP, "code": "home"}]});
    assert_eq!(programme.destinations.of(&two.into()), Some("home"), "the coding that is known counts");
}

#[test]
fn a_bad_profile_names_file_and_element() {
    let read = |change: &dyn Fn(&mut BTreeMap<String, Json>)| {
        let mut complaints = Complaints::default();
        let mut resources = files::read(None, &mut complaints);
        change(&mut resources);
        let env = Env::utc("http://b/fhir");
        Programme::read(&resources, Programme::for_tests().live, env, "s", &mut complaints);
        complaints.settle().map_err(|e| (e.issues[0].expression.clone(), e.issues[0].diagnostics.clone()))
    };
    assert!(read(&|_| {}).is_ok());
    let plan = "protocol/safemed-45-day.json";
    fn action(r: &mut BTreeMap<String, Json>, n: usize) -> &mut Json {
        &mut r.get_mut("protocol/safemed-45-day.json").unwrap().get_mut("action").unwrap().items_mut()[n]
    }
    let related = |r: &mut BTreeMap<String, Json>, n: usize, to: &str| {
        action(r, n).get_mut("relatedAction").unwrap().items_mut()[0].set("actionId", to);
    };
    type Change = Box<dyn Fn(&mut BTreeMap<String, Json>)>;
    let cases: Vec<(&str, &str, Change)> = vec![
        (plan, "PlanDefinition.action[1].relatedAction[0].actionId", Box::new(move |r| related(r, 1, "nowhere"))),
        (plan, "PlanDefinition.action", Box::new(move |r| related(r, 1, "check-pickup"))),
        (
            plan,
            "PlanDefinition.action[2].definitionCanonical",
            Box::new(|r| action(r, 2).set("definitionCanonical", "http://x|1")),
        ),
        (
            plan,
            "PlanDefinition.action[1].relatedAction[0].offsetDuration",
            Box::new(|r| {
                let related = &mut action(r, 1).get_mut("relatedAction").unwrap().items_mut()[0];
                related.set("offsetDuration", Json::from(json!({"value": 1, "code": "fortnight"})));
            }),
        ),
        (
            "policy/rules.json",
            "CodeSystem.concept[0].property",
            Box::new(|r| {
                r.get_mut("policy/rules.json").unwrap().get_mut("concept").unwrap().items_mut()[0]
                    .set("property", Json::Array(vec![]));
            }),
        ),
        (
            "protocol/eligibility.json",
            "Group.characteristic",
            Box::new(|r| r.get_mut("protocol/eligibility.json").unwrap().set("characteristic", Json::Array(vec![]))),
        ),
    ];
    for (file, at, change) in cases {
        let (path, why) = read(&*change).unwrap_err();
        assert_eq!(path, at, "{why}");
        assert!(why.starts_with(&format!("{file}: ")), "{why}");
    }
}

#[test]
fn a_file_of_a_directory_replaces_the_built_in_one() {
    let dir = std::env::temp_dir().join(format!("baton-profiles-{}", std::process::id()));
    std::fs::create_dir_all(dir.join("protocol")).unwrap();
    let text = files::BUILT_IN.iter().find(|(n, _)| *n == "protocol/eligibility.json").unwrap().1;
    let load = || Programme::load(Some(&dir), Programme::for_tests().live, Env::utc("http://b/fhir"), "s");
    std::fs::write(dir.join("protocol/eligibility.json"), text.replace("\"value\": 18", "\"value\": 65")).unwrap();
    assert_eq!(load().unwrap().criteria.min_age, 65);
    std::fs::write(dir.join("protocol/eligibility.json"), text.replace("\"value\": 18", "\"value\": -1")).unwrap();
    let error = load().unwrap_err();
    assert_eq!(error.issues[0].expression, "Group.characteristic[3].value");
    std::fs::remove_dir_all(dir).unwrap();
}
