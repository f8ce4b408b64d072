//! What Consents say, as tables.

use super::*;
use serde_json::json;

fn consent(change: &serde_json::Value) -> Json {
    let mut out = json!({
        "resourceType": "Consent", "status": "active", "dateTime": "2026-11-01",
        "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "patient": {"reference": "Patient/p"},
        "provision": {"type": "deny"},
    });
    for (name, value) in change.as_object().unwrap() {
        out[name] = value.clone();
    }
    out.into()
}

#[test]
fn what_a_consent_says_about_the_follow_up_as_a_table() {
    let programme = Programme::for_tests();
    let now = Instant::parse("2026-11-25T21:00:00Z").unwrap();
    let purpose = |code: &str| json!([{"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": code}]);
    for (change, says) in [
        (json!({}), Some(true)),
        (json!({"status": "rejected"}), None),
        (json!({"status": "inactive"}), None),
        (json!({"status": "entered-in-error"}), None),
        (json!({"status": "proposed"}), None),
        (
            json!({"scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "treatment"}]}}),
            Some(true),
        ),
        (
            json!({"scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "research"}]}}),
            None,
        ),
        (json!({"scope": {"text": "privacy"}}), None),
        (json!({"provision": {"type": "permit"}}), Some(false)),
        (json!({"provision": null}), Some(false)),
        (json!({"provision": null, "policyRule": {"coding": [{"system": ACT_CODE, "code": "OPTOUT"}]}}), Some(true)),
        (json!({"provision": null, "policyRule": {"coding": [{"system": ACT_CODE, "code": "OPTIN"}]}}), Some(false)),
        (json!({"provision": {"type": "deny", "purpose": purpose("CAREMGT")}}), Some(true)),
        (json!({"provision": {"type": "deny", "purpose": purpose("HRESCH")}}), None),
        (json!({"provision": {"type": "deny", "period": {"start": "2026-12-01"}}}), None),
        (json!({"provision": {"type": "deny", "period": {"start": "2026-11-25", "end": "2026-11-25"}}}), Some(true)),
        (json!({"provision": {"type": "deny", "period": {"end": "2026-11-24"}}}), None),
        (
            json!({"provision": {"type": "deny", "class": [{"system": "http://hl7.org/fhir/resource-types", "code": "Observation"}]}}),
            None,
        ),
    ] {
        let reader = Reader { programme: &programme, now, party: None };
        let word = reader.word(&consent(&change));
        assert_eq!(word.map(|w| w.denies), says, "{change}");
    }
}

#[test]
fn the_last_word_counts_whatever_the_order() {
    let programme = Programme::for_tests();
    let now = Instant::parse("2026-11-25T21:00:00Z").unwrap();
    let said = |date: &str, kind: &str| consent(&json!({"dateTime": date, "provision": {"type": kind}}));
    for (consents, refused) in [
        (vec![], false),
        (vec![said("2026-11-01", "deny"), said("2026-11-20", "permit")], false),
        (vec![said("2026-11-01", "permit"), said("2026-11-20", "deny")], true),
        (vec![said("2026-11-20", "permit"), said("2026-11-20", "deny")], true),
    ] {
        assert_eq!(refuses(&programme, &consents, now), refused, "{consents:?}");
        assert_eq!(refuses(&programme, consents.iter().rev(), now), refused, "{consents:?} the other way round");
    }
}

fn directory() -> Vec<Json> {
    [
        json!({"resourceType": "Organization", "id": "elm", "partOf": {"reference": "Organization/chain"},
            "identifier": [{"system": "http://hl7.org/fhir/sid/us-npi", "value": "1"}]}),
        json!({"resourceType": "Organization", "id": "chain"}),
        json!({"resourceType": "Organization", "id": "harbour"}),
    ]
    .map(Json::from)
    .to_vec()
}

/// Which of the two pharmacies the Consents keep out, `elm` of the chain and `harbour`; `all`: the follow-up as a whole.
fn kept_out(consents: &[Json], now: Instant) -> String {
    let programme = Programme::for_tests();
    let directory = directory();
    let out = |party: &[Json]| keeps_out(&programme, consents, now, Party(party)).is_some();
    let mut names: Vec<&str> = Vec::new();
    names.extend(out(&directory[..2]).then_some("elm"));
    names.extend(out(&directory[2..]).then_some("harbour"));
    names.extend(refuses(&programme, consents, now).then_some("all"));
    names.join(" ")
}

fn actor(reference: serde_json::Value) -> serde_json::Value {
    json!([{"role": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP"}]},
        "reference": reference}])
}

fn org(id: &str) -> serde_json::Value {
    actor(json!({"reference": format!("Organization/{id}")}))
}

#[test]
fn whom_one_consent_keeps_out_as_a_table() {
    let now = Instant::parse("2026-11-25T21:00:00Z").unwrap();
    let purpose = |code: &str| json!([{"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": code}]);
    let action = |code: &str| json!([{"coding": [{"system": ACTION, "code": code}]}]);
    let rule = |code: &str| json!({"coding": [{"system": ACT_CODE, "code": code}]});
    let deny = |id: &str| json!({"provision": {"type": "deny", "actor": org(id)}});
    let in_deny = |inner: serde_json::Value| json!({"provision": {"type": "deny", "provision": inner}});
    for (change, out) in [
        (json!({}), "elm harbour all"),
        (deny("elm"), "elm"),
        (deny("chain"), "elm"),
        (deny("harbour"), "harbour"),
        (deny("lakeside"), ""),
        (json!({"provision": {"type": "deny", "actor": [org("elm")[0], org("harbour")[0]]}}), "elm harbour"),
        (
            json!({"provision": {"type": "deny", "actor": actor(json!({"reference": "http://elsewhere.example/fhir/Organization/elm"}))}}),
            "",
        ),
        (json!({"provision": {"type": "deny", "actor": actor(json!({"reference": "Practitioner/jonas"}))}}), ""),
        (
            json!({"provision": {"type": "deny", "actor": actor(json!({"identifier": {"system": "http://hl7.org/fhir/sid/us-npi", "value": "1"}}))}}),
            "elm",
        ),
        (json!({"provision": {"type": "deny", "actor": actor(json!({"identifier": {"value": "1"}}))}}), ""),
        (json!({"provision": {"type": "deny", "actor": actor(json!({"display": "Elm Street"}))}}), ""),
        // not in force, or about something else
        (json!({"status": "inactive", "provision": {"type": "deny", "actor": org("elm")}}), ""),
        (json!({"status": "entered-in-error", "provision": {"type": "deny", "actor": org("elm")}}), ""),
        (json!({"status": "proposed", "provision": {"type": "deny", "actor": org("elm")}}), ""),
        (
            json!({"scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "research"}]}, "provision": {"type": "deny", "actor": org("elm")}}),
            "",
        ),
        (json!({"provision": {"type": "deny", "actor": org("elm"), "period": {"start": "2026-11-26"}}}), ""),
        (json!({"provision": {"type": "deny", "actor": org("elm"), "period": {"end": "2026-11-24"}}}), ""),
        (
            json!({"provision": {"type": "deny", "actor": org("elm"), "period": {"start": "2026-11-25", "end": "2026-11-25"}}}),
            "elm",
        ),
        (json!({"provision": {"type": "deny", "actor": org("elm"), "purpose": purpose("HRESCH")}}), ""),
        (json!({"provision": {"type": "deny", "actor": org("elm"), "purpose": purpose("TREAT")}}), "elm"),
        (json!({"provision": {"type": "deny", "actor": org("elm"), "action": action("disclose")}}), "elm"),
        (json!({"provision": {"type": "deny", "actor": org("elm"), "action": action("correct")}}), ""),
        (json!({"provision": {"type": "deny", "action": action("collect")}}), ""),
        (
            json!({"provision": {"type": "deny", "actor": org("elm"), "class": [{"system": "http://hl7.org/fhir/resource-types", "code": "Observation"}]}}),
            "",
        ),
        // exceptions
        (in_deny(json!([{"type": "permit", "actor": org("elm")}])), "harbour"),
        (in_deny(json!([{"type": "permit", "actor": org("chain")}])), "harbour"),
        (in_deny(json!([{"type": "permit", "actor": org("lakeside")}])), "elm harbour"),
        (in_deny(json!([{"type": "permit", "actor": org("elm"), "period": {"end": "2026-11-24"}}])), "elm harbour all"),
        (in_deny(json!([{"type": "permit", "purpose": purpose("HRESCH")}])), "elm harbour all"),
        (in_deny(json!([{"type": "permit"}])), ""),
        (
            in_deny(
                json!([{"type": "permit", "actor": org("elm"), "provision": [{"type": "deny", "actor": org("elm")}]}]),
            ),
            "elm harbour",
        ),
        (
            in_deny(
                json!([{"type": "permit", "actor": org("chain"), "provision": [{"type": "deny", "actor": org("elm")}]}]),
            ),
            "elm harbour",
        ),
        (
            in_deny(json!([{"type": "permit", "actor": org("elm")}, {"type": "deny", "actor": org("elm")}])),
            "elm harbour",
        ),
        (in_deny(json!([{"type": "permit", "actor": org("elm")}, {"type": "deny"}])), "harbour"),
        (json!({"provision": {"type": "permit", "provision": [{"type": "deny", "actor": org("harbour")}]}}), "harbour"),
        (json!({"provision": {"type": "permit", "actor": org("elm")}}), ""),
        (json!({"provision": {"provision": [{"type": "deny", "actor": org("harbour")}]}}), "harbour"),
        // the rule around the provisions
        (json!({"policyRule": rule("OPTOUT"), "provision": {"type": "permit", "actor": org("elm")}}), "harbour"),
        (json!({"policyRule": rule("OPTOUT"), "provision": {"type": "deny", "actor": org("elm")}}), "elm harbour all"),
        (json!({"policyRule": rule("OPTIN"), "provision": {"type": "deny", "actor": org("elm")}}), "elm"),
        (json!({"policyRule": rule("OPTOUT"), "provision": null}), "elm harbour all"),
        (json!({"policyRule": rule("OPTIN"), "provision": null}), ""),
    ] {
        assert_eq!(kept_out(&[consent(&change)], now), out, "{change}");
    }
}

#[test]
fn whom_several_consents_keep_out_whatever_their_order() {
    let now = Instant::parse("2026-11-25T21:00:00Z").unwrap();
    let said = |date: &str, provision: serde_json::Value| consent(&json!({"dateTime": date, "provision": provision}));
    let all = |kind: &str| json!({"type": kind});
    let only = |kind: &str, id: &str| json!({"type": kind, "actor": org(id)});
    for (consents, out) in [
        (vec![said("2026-11-01", all("deny")), said("2026-11-20", only("permit", "elm"))], "harbour"),
        (vec![said("2026-11-20", all("deny")), said("2026-11-01", only("permit", "elm"))], "elm harbour all"),
        (vec![said("2026-11-20", all("deny")), said("2026-11-20", only("permit", "elm"))], "elm harbour all"),
        (vec![said("2026-11-01", only("deny", "elm")), said("2026-11-20", all("permit"))], "elm"),
        (vec![said("2026-11-01", only("deny", "elm")), said("2026-11-20", only("permit", "elm"))], ""),
        (vec![said("2026-11-01", only("deny", "elm")), said("2026-11-20", only("permit", "harbour"))], "elm"),
        (vec![said("2026-11-01", only("deny", "elm")), said("2026-11-20", only("deny", "harbour"))], "elm harbour"),
        (vec![said("2026-11-20", only("deny", "elm")), said("2026-11-20", only("permit", "elm"))], "elm"),
        (vec![said("2026-11-01", all("permit")), said("2026-11-20", only("deny", "elm"))], "elm"),
        (
            vec![
                said("2026-11-01", all("deny")),
                said("2026-11-20", all("permit")),
                said("2026-11-21", only("deny", "harbour")),
            ],
            "harbour",
        ),
    ] {
        assert_eq!(kept_out(&consents, now), out, "{consents:?}");
        let turned: Vec<Json> = consents.iter().rev().cloned().collect();
        assert_eq!(kept_out(&turned, now), out, "{consents:?} the other way round");
    }
    let mut undated = said("", only("deny", "elm"));
    undated.remove("dateTime");
    assert_eq!(
        kept_out(&[undated.clone(), said("2026-11-01", only("permit", "elm"))], now),
        "",
        "what has no time is old"
    );
    assert_eq!(kept_out(&[undated], now), "elm");
}

#[test]
fn what_part_2_protects_goes_to_whom_a_labelled_permit_lets_in() {
    let now = Instant::parse("2026-11-25T21:00:00Z").unwrap();
    let programme = Programme::for_tests();
    let directory = directory();
    let label = |code: &str| json!([{"system": ACT_CODE, "code": code}]);
    let permit = |code: &str| json!({"type": "permit", "securityLabel": label(code)});
    let with = |mut provision: serde_json::Value, name: &str, value: serde_json::Value| {
        provision[name] = value;
        provision
    };
    let said = |date: &str, provision: &serde_json::Value| consent(&json!({"dateTime": date, "provision": provision}));
    let one = |provision: serde_json::Value| vec![said("2026-11-01", &provision)];
    for (consents, lets) in [
        (vec![], false),
        (one(json!({"type": "permit"})), false),
        (one(permit("ETH")), true),
        (one(permit("42CFRPart2")), true),
        (one(permit("PSY")), false),
        (one(with(permit("SUD"), "actor", org("elm"))), true),
        (one(with(permit("SUD"), "actor", org("harbour"))), false),
        (one(with(permit("SUD"), "period", json!({"end": "2026-11-24"}))), false),
        (one(with(permit("SUD"), "class", label("x"))), false),
        (one(json!({"type": "permit", "provision": [permit("ETH")]})), true),
        (one(json!({"type": "deny", "provision": [permit("ETH")]})), true),
        (one(with(permit("ETH"), "provision", json!([{"type": "deny", "actor": org("elm")}]))), false),
        (vec![said("2026-11-01", &permit("ETH")), said("2026-11-20", &json!({"type": "deny"}))], false),
        (vec![said("2026-11-20", &permit("ETH")), said("2026-11-01", &json!({"type": "deny"}))], true),
        (
            vec![
                said("2026-11-01", &permit("ETH")),
                said("2026-11-01", &json!({"type": "deny", "securityLabel": label("ETH")})),
            ],
            false,
        ),
        (vec![consent(&json!({"status": "inactive", "provision": permit("ETH")}))], false),
    ] {
        assert_eq!(lets_part_2(&programme, &consents, now, Party(&directory[..2])), lets, "{consents:?}");
    }
    for (security, is) in
        [(label("ETH"), true), (label("R"), false), (json!([{"code": "42CFRPart2"}]), true), (json!([]), false)]
    {
        assert_eq!(is_part_2(&json!({"resourceType": "Condition", "meta": {"security": security}}).into()), is);
    }
}

#[test]
fn single_rows_are_let_through_as_a_table() {
    let programme = Programme::for_tests();
    let now = Instant::parse("2026-11-25T21:00:00Z").unwrap();
    let data =
        |meaning: &str, id: &str| json!([{"meaning": meaning, "reference": {"reference": format!("Condition/{id}")}}]);
    let permit = |id: &str| json!({"type": "permit", "data": data("instance", id)});
    let deny = |id: &str| json!({"type": "deny", "data": data("instance", id)});
    let with = |mut provision: serde_json::Value, name: &str, value: serde_json::Value| {
        provision[name] = value;
        provision
    };
    let said = |date: &str, provision: &serde_json::Value| consent(&json!({"dateTime": date, "provision": provision}));
    let one = |provision: serde_json::Value| vec![said("2026-11-01", &provision)];
    let actor = json!([{"role": {"text": "x"}, "reference": {"reference": "Organization/elm"}}]);
    for (consents, lets) in [
        (vec![], &[][..]),
        (one(json!({"type": "permit"})), &[]),
        (one(permit("a")), &["a"]),
        (one(deny("a")), &[]),
        (one(json!({"type": "permit", "data": data("related", "a")})), &[]),
        (one(json!({"data": data("instance", "a")})), &[]),
        (one(with(permit("a"), "actor", actor.clone())), &[]),
        (one(with(permit("a"), "class", json!([{"code": "x"}]))), &[]),
        (one(with(permit("a"), "period", json!({"end": "2026-11-24"}))), &[]),
        (one(with(permit("a"), "period", json!({"end": "2026-11-25"}))), &["a"]),
        (one(json!({"type": "deny", "provision": [permit("a"), permit("b")]})), &["a", "b"]),
        (one(with(permit("a"), "provision", json!([deny("a"), permit("b")]))), &["b"]),
        (one(with(deny("a"), "provision", json!([permit("a")]))), &["a"]),
        (one(with(permit("a"), "provision", json!([{"type": "deny"}]))), &[]),
        (one(with(permit("a"), "provision", json!([{"type": "deny", "actor": actor}]))), &["a"]),
        (one(json!({"provision": [permit("a"), deny("a")]})), &[]),
        (vec![said("2026-11-01", &permit("a")), said("2026-11-20", &deny("a"))], &[]),
        (vec![said("2026-11-20", &permit("a")), said("2026-11-01", &deny("a"))], &["a"]),
        (vec![said("2026-11-01", &permit("a")), said("2026-11-01", &deny("a"))], &[]),
        (vec![said("2026-11-01", &permit("a")), said("2026-11-20", &deny("b"))], &["a"]),
        (vec![consent(&json!({"status": "inactive", "provision": permit("a")}))], &[]),
    ] {
        let found: Vec<String> =
            lets_through(&programme, &consents, now).into_iter().map(|t| t.id.to_string()).collect();
        assert_eq!(found, lets, "{consents:?}");
    }
    assert!(names_rows(&said("2026-11-01", &json!({"provision": [permit("a")]}))));
    assert!(!names_rows(&said("2026-11-01", &json!({"type": "permit"}))));
}
