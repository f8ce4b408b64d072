use super::{Sent, lines};
use crate::fhir::Json;
use crate::workflow::discharge::Stay;
use crate::workflow::world::*;
use serde_json::{Value, json};

fn request(category: Option<&str>, encounter: Option<&str>, status: &str, authored: &str) -> Value {
    let mut out = json!({"resourceType": "MedicationRequest", "id": "r", "status": status, "intent": "order",
        "medicationCodeableConcept": {"text": "Aspirin"}, "subject": {"reference": "Patient/p"}, "authoredOn": authored});
    if let Some(category) = category {
        out["category"] = json!([{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/medicationrequest-category", "code": category}]}]);
    }
    if let Some(encounter) = encounter {
        out["encounter"] = json!({"reference": format!("Encounter/{encounter}")});
    }
    out
}

#[test]
fn which_line_a_medicine_is_as_a_table() {
    let programme = crate::workflow::Programme::for_tests();
    let stay = Stay::of(&programme, &encounter().into()).unwrap();
    let statement = |category: &str, status: &str| {
        let mut out = home_medicine();
        out["category"]["coding"][0]["code"] = category.into();
        out["status"] = status.into();
        out
    };
    let foreign = |mut out: Value, system: Option<&str>| {
        let category = if out["category"].is_array() { &mut out["category"][0] } else { &mut out["category"] };
        category["coding"][0]["system"] = json!(system);
        if system.is_none() {
            category["coding"][0].as_object_mut().unwrap().remove("system");
        }
        out
    };
    let dated = |rest: Value| {
        let mut out = home_medicine();
        for (name, value) in rest.as_object().unwrap() {
            match value {
                Value::Null => drop(out.as_object_mut().unwrap().remove(name)),
                value => out[name] = value.clone(),
            }
        }
        out
    };
    let given = |rest: Value| {
        let mut out = json!({"resourceType": "MedicationAdministration", "id": "a", "status": "completed",
            "medicationCodeableConcept": {"text": "x"}, "subject": {"reference": "Patient/p"}});
        for (name, value) in rest.as_object().unwrap() {
            out[name] = value.clone();
        }
        out
    };
    let (old, within, late) = ("2020-01-01", "2026-11-25T19:00:00Z", "2026-12-20");
    for (resource, group) in [
        (request(Some("discharge"), Some("e"), "active", within), Some("discharge")),
        (request(Some("discharge"), None, "active", within), Some("discharge")),
        (request(Some("discharge"), None, "active", old), None),
        (request(Some("discharge"), Some("other"), "active", within), None),
        (request(Some("discharge"), Some("e"), "cancelled", within), None),
        (request(Some("community"), None, "active", old), Some("home")),
        (request(Some("community"), Some("other"), "active", old), Some("home")),
        (request(Some("community"), None, "completed", old), None),
        (request(Some("community"), None, "active", late), None),
        (request(Some("inpatient"), Some("e"), "completed", within), Some("stay")),
        (request(Some("inpatient"), Some("other"), "completed", within), None),
        (request(Some("inpatient"), None, "completed", within), Some("stay")),
        (request(Some("inpatient"), None, "completed", "2026-11-22"), Some("stay")), // the day of the admission
        (request(Some("inpatient"), None, "completed", old), None),
        (request(Some("inpatient"), None, "completed", late), None),
        // A code of another system, or of none, is no category: the order stands where one without a category would.
        (foreign(request(Some("inpatient"), Some("e"), "active", within), Some("urn:x")), Some("discharge")),
        (foreign(request(Some("inpatient"), Some("e"), "active", within), None), Some("discharge")),
        (foreign(request(Some("discharge"), None, "active", old), Some("urn:x")), Some("home")),
        (foreign(statement("inpatient", "active"), Some("urn:x")), Some("home")),
        (request(None, Some("e"), "active", within), Some("discharge")),
        (request(None, Some("e"), "completed", within), None),
        (request(None, None, "active", old), Some("home")),
        (statement("community", "active"), Some("home")),
        (statement("patientspecified", "unknown"), Some("home")),
        (statement("community", "not-taken"), None),
        (dated(json!({"effectivePeriod": {"start": "2018", "end": "2019"}})), None),
        (dated(json!({"effectivePeriod": {"start": "2018"}})), Some("home")),
        (dated(json!({"effectivePeriod": {"start": "2018", "end": "2026-11-28"}})), Some("home")),
        (dated(json!({"effectiveDateTime": "2026-12-01", "dateAsserted": null})), None),
        (
            dated(
                json!({"effectiveDateTime": "2026-12-01", "dateAsserted": null, "informationSource": {"reference": "Patient/p"}}),
            ),
            Some("told"),
        ),
        (statement("discharge", "active"), Some("discharge")),
        (statement("inpatient", "active"), None),
        (
            json!({"resourceType": "MedicationAdministration", "id": "a", "status": "completed", "medicationCodeableConcept": {"text": "x"},
                "subject": {"reference": "Patient/p"}, "context": {"reference": "Encounter/e"}, "effectiveDateTime": within}),
            Some("stay"),
        ),
        (given(json!({"effectiveDateTime": within})), Some("stay")),
        (given(json!({"effectiveDateTime": "2026-11-23"})), Some("stay")),
        (given(json!({"effectivePeriod": {"start": "2026-11-21", "end": "2026-11-23"}})), Some("stay")),
        (given(json!({"effectivePeriod": {"start": "2026-11-24"}})), Some("stay")),
        (given(json!({"effectiveDateTime": old})), None),
        (given(json!({"effectiveDateTime": late})), None),
        (given(json!({"effectiveDateTime": within, "status": "not-done"})), None),
        (given(json!({"effectiveDateTime": within, "context": {"reference": "Encounter/other"}})), None),
        (
            dated(
                json!({"category": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/medication-statement-category", "code": "inpatient"}]}, "effectiveDateTime": "2026-11-23"}),
            ),
            Some("stay"),
        ),
        (
            dated(
                json!({"category": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/medication-statement-category", "code": "inpatient"}]}, "effectiveDateTime": old}),
            ),
            None,
        ),
        (
            json!({"resourceType": "MedicationDispense", "id": "d", "status": "completed", "medicationCodeableConcept": {"text": "x"},
                "subject": {"reference": "Patient/p"}, "whenHandedOver": "2026-11-26T10:00:00Z"}),
            Some("dispensed"),
        ),
        (
            json!({"resourceType": "MedicationDispense", "id": "d", "status": "completed", "medicationCodeableConcept": {"text": "x"},
                "subject": {"reference": "Patient/p"}, "whenHandedOver": old}),
            None,
        ),
    ] {
        let json: Json = resource.clone().into();
        let found = lines(&programme, &stay, &[&json]);
        assert_eq!(found.lines.first().map(|e| e.group.code()), group, "{resource}");
    }
}

#[test]
fn a_list_outweighs_what_its_lines_look_like_and_says_what_was_sent() {
    let programme = crate::workflow::Programme::for_tests();
    let stay = Stay::of(&programme, &encounter().into()).unwrap();
    let list = |code: &str, rest: Value| -> Json {
        let mut out = json!({"resourceType": "List", "id": "l", "status": "current", "mode": "snapshot",
            "code": {"coding": [{"system": "http://loinc.org", "code": code}]},
            "subject": {"reference": "Patient/p"}, "encounter": {"reference": "Encounter/e"}});
        for (name, value) in rest.as_object().unwrap() {
            out[name] = value.clone();
        }
        out.into()
    };
    let home: Json = home_medicine().into();
    let of = |list: Json| lines(&programme, &stay, &[&home, &list]);
    let entry = json!({"entry": [{"item": {"reference": "MedicationStatement/home"}}]});
    let empty = |code: &str| json!({"emptyReason": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/list-empty-reason", "code": code}]}});
    let listed = of(list("75311-1", entry));
    assert_eq!((listed.lines[0].group.code(), listed.sent), ("discharge", Sent::Some));
    assert_eq!(of(list("10183-2", empty("nilknown"))).sent, Sent::NoneKnown);
    assert_eq!(of(list("10183-2", empty("unavailable"))).sent, Sent::Nothing, "not known is not none");
    assert_eq!(
        of(list("42346-7", empty("nilknown"))).sent,
        Sent::Nothing,
        "none at home says nothing about the discharge"
    );
}

#[test]
fn what_a_medicine_says_of_itself_holds_whatever_list_names_it() {
    let programme = crate::workflow::Programme::for_tests();
    let stay = Stay::of(&programme, &encounter().into()).unwrap();
    let list: Json = json!({"resourceType": "List", "id": "l", "status": "current", "mode": "snapshot",
        "code": {"coding": [{"system": "http://loinc.org", "code": "10183-2"}]}, "subject": {"reference": "Patient/p"},
        "encounter": {"reference": "Encounter/e"}, "entry": [{"item": {"reference": "MedicationRequest/r"}}, {"item": {"reference": "MedicationStatement/home"}}]})
    .into();
    let with = |mut resource: Value, rest: Value| -> Json {
        for (name, value) in rest.as_object().unwrap() {
            resource[name] = value.clone();
        }
        resource.into()
    };
    let order = |rest: Value| with(request(Some("discharge"), Some("e"), "active", "2026-11-25T19:00:00Z"), rest);
    let stated = |rest: Value| with(home_medicine(), rest);
    let goes = Some(("discharge", false));
    let ends = Some(("discharge", true));
    for (resource, is) in [
        (order(json!({})), goes),
        (order(json!({"status": "completed"})), goes),
        (order(json!({"status": "on-hold"})), ends),
        (order(json!({"status": "stopped"})), ends),
        (order(json!({"doNotPerform": true})), ends),
        (order(json!({"status": "cancelled"})), None),
        (order(json!({"status": "entered-in-error"})), None),
        (order(json!({"intent": "proposal"})), None),
        (stated(json!({})), goes),
        (stated(json!({"status": "stopped"})), ends),
        (stated(json!({"status": "not-taken"})), ends),
        (stated(json!({"status": "completed"})), ends),
        (stated(json!({"status": "on-hold"})), ends),
        (stated(json!({"status": "entered-in-error"})), None),
    ] {
        let found = lines(&programme, &stay, &[&resource, &list]);
        let target = crate::workflow::element::target_of(&resource).unwrap();
        let line = found.lines.iter().find(|e| e.target == target).map(|e| (e.group.code(), e.is_ended));
        assert_eq!(line, is, "{resource:?}");
    }
    // Without a list, too.
    for (resource, is) in [
        (order(json!({"status": "on-hold"})), ends),
        (order(json!({"doNotPerform": true})), ends),
        (order(json!({"intent": "option"})), None),
    ] {
        let found = lines(&programme, &stay, &[&resource]);
        assert_eq!(found.lines.first().map(|e| (e.group.code(), e.is_ended)), is, "{resource:?}");
    }
}

#[test]
fn a_list_that_was_withdrawn_or_replaced_says_nothing() {
    let programme = crate::workflow::Programme::for_tests();
    let stay = Stay::of(&programme, &encounter().into()).unwrap();
    let home: Json = home_medicine().into();
    let list = |id: &str, rest: Value| -> Json {
        let mut out = json!({"resourceType": "List", "id": id, "status": "current", "mode": "snapshot",
            "code": {"coding": [{"system": "http://loinc.org", "code": "10183-2"}]}, "subject": {"reference": "Patient/p"},
            "encounter": {"reference": "Encounter/e"}});
        for (name, value) in rest.as_object().unwrap() {
            out[name] = value.clone();
        }
        out.into()
    };
    let entry = |flag: &str| {
        json!([{"item": {"reference": "MedicationStatement/home"},
        "flag": {"coding": [{"system": "urn:oid:1.2.36.1.2001.1001.101.104.16592", "code": flag}]}}])
    };
    let of = |lists: &[Json]| {
        let all: Vec<&Json> = std::iter::once(&home).chain(lists).collect();
        let found = lines(&programme, &stay, &all);
        (found.lines[0].group.code(), found.lines[0].is_ended)
    };
    let with = list("a", json!({"date": "2026-11-25T18:00:00Z", "entry": entry("01")}));
    let without = |date: &str| {
        let reason = json!({"coding": [{"system": "http://terminology.hl7.org/CodeSystem/list-empty-reason", "code": "nilknown"}]});
        list("b", json!({"date": date, "emptyReason": reason}))
    };
    assert_eq!(of(std::slice::from_ref(&with)), ("discharge", false));
    assert_eq!(of(&[list("a", json!({"status": "retired", "entry": entry("01")}))]), ("home", false));
    assert_eq!(of(&[list("a", json!({"entry": entry("06")}))]), ("home", true), "suspended");
    assert_eq!(of(&[with.clone(), without("2026-11-25T19:00:00Z")]), ("home", false), "the newer list counts");
    assert_eq!(of(&[with, without("2026-11-25T17:00:00Z")]), ("discharge", false), "an older one does not");
}

/// Own workflow 3.2: A list of what the patient takes (LOINC 10160-0) counts: as home where it was said before the discharge, as told where it
/// was said after it; what another list, a category or a kind of resource says more exactly stays.
#[test]
fn a_list_of_what_is_taken_counts_by_when_it_was_said() {
    let programme = crate::workflow::Programme::for_tests();
    let stay = Stay::of(&programme, &encounter().into()).unwrap();
    let before = "a list of what the patient takes names it, said before the discharge";
    let after = "a list of what the patient takes names it, said after the discharge";
    let list = |id: &str, rest: Value| -> Json {
        let mut out = json!({"resourceType": "List", "id": id, "status": "current", "mode": "snapshot",
            "code": {"coding": [{"system": "http://loinc.org", "code": "10160-0"}]}, "subject": {"reference": "Patient/p"},
            "encounter": {"reference": "Encounter/e"},
            "entry": [{"item": {"reference": "MedicationStatement/home"}}, {"item": {"reference": "MedicationRequest/r"}}]});
        for (name, value) in rest.as_object().unwrap() {
            match value {
                Value::Null => drop(out.as_object_mut().unwrap().remove(name)),
                value => out[name] = value.clone(),
            }
        }
        out.into()
    };
    let stated = |rest: Value| -> Json {
        let mut out = home_medicine();
        for (name, value) in rest.as_object().unwrap() {
            match value {
                Value::Null => drop(out.as_object_mut().unwrap().remove(name)),
                value => out[name] = value.clone(),
            }
        }
        out.into()
    };
    let old: Json = request(Some("community"), None, "completed", "2020-01-01").into();
    let of_discharge: Json = request(Some("discharge"), Some("e"), "active", "2026-11-25T19:00:00Z").into();
    let (admission, call) = ("2026-11-22T10:00:00Z", "2026-11-28T10:00:00Z");
    for (medicine, lists, is) in [
        // A statement without a date is as old as the list that names it; one with a date says so itself.
        (stated(json!({})), vec![list("l", json!({"date": admission}))], Some(("home", false, before))),
        (stated(json!({})), vec![list("l", json!({"date": call}))], Some(("told", false, after))),
        (stated(json!({})), vec![list("l", json!({}))], Some(("home", false, before))),
        (
            stated(json!({"dateAsserted": call})),
            vec![list("l", json!({"date": admission}))],
            Some(("told", false, after)),
        ),
        (
            stated(json!({"dateAsserted": admission})),
            vec![list("l", json!({"date": call}))],
            Some(("home", false, before)),
        ),
        (stated(json!({"dateAsserted": call})), vec![list("l", json!({}))], Some(("told", false, after))),
        (stated(json!({"dateAsserted": call})), vec![], None),
        // An order that would be nobody's line is one.
        (old.clone(), vec![list("l", json!({"date": admission}))], Some(("home", false, before))),
        (old.clone(), vec![list("l", json!({"date": call}))], Some(("told", false, after))),
        // A discharge order that is taken is still the discharge's.
        (
            of_discharge.clone(),
            vec![list("l", json!({"date": call}))],
            Some(("discharge", false, "its category is discharge")),
        ),
        // It names no stay, or another one.
        (stated(json!({})), vec![list("l", json!({"date": call, "encounter": null}))], Some(("told", false, after))),
        (
            stated(json!({"dateAsserted": call})),
            vec![list("l", json!({"date": call, "encounter": {"reference": "Encounter/other"}}))],
            None,
        ),
        // What ended, ended.
        (
            stated(json!({"status": "not-taken"})),
            vec![list("l", json!({"date": call}))],
            Some(("told", true, "a list of the hospital names it, and it says of itself that it is not taken")),
        ),
        (stated(json!({"status": "entered-in-error"})), vec![list("l", json!({"date": call}))], None),
        // A newer one replaces an older one, and not what was taken before.
        (
            stated(json!({"dateAsserted": call})),
            vec![list("l", json!({"date": call})), list("m", json!({"date": "2026-11-29T10:00:00Z", "entry": []}))],
            None,
        ),
        (
            stated(json!({})),
            vec![list("l", json!({"date": admission})), list("m", json!({"date": call, "entry": []}))],
            Some(("home", false, before)),
        ),
        // A list that says which one it is says it better.
        (
            stated(json!({})),
            vec![
                list("l", json!({"date": call})),
                list("m", json!({"code": {"coding": [{"system": "http://loinc.org", "code": "10183-2"}]}})),
            ],
            Some(("discharge", false, "a list of the hospital names it")),
        ),
    ] {
        let target = crate::workflow::element::target_of(&medicine).unwrap();
        for turned in [false, true] {
            let mut all: Vec<&Json> = lists.iter().chain([&medicine]).collect();
            if turned {
                all.reverse();
            }
            let found = lines(&programme, &stay, &all);
            let line = found.lines.iter().find(|e| e.target == target).map(|e| (e.group.code(), e.is_ended, e.why));
            assert_eq!(line, is, "{medicine:?} {lists:?}");
        }
    }
}

#[test]
fn a_list_that_names_no_stay_is_known_by_its_date() {
    let programme = crate::workflow::Programme::for_tests();
    let stay = Stay::of(&programme, &encounter().into()).unwrap();
    let home: Json = home_medicine().into();
    for (date, group) in [
        (json!("2026-11-25T20:30:00Z"), "discharge"),
        (json!("2026-11-23"), "discharge"),
        (json!("2026-12-20"), "home"),
        (json!("2026-01-01"), "home"),
        (Value::Null, "home"),
    ] {
        let mut list = json!({"resourceType": "List", "id": "l", "status": "current", "mode": "snapshot",
            "code": {"coding": [{"system": "http://loinc.org", "code": "10183-2"}]}, "subject": {"reference": "Patient/p"},
            "entry": [{"item": {"reference": "MedicationStatement/home"}}]});
        if !date.is_null() {
            list["date"] = date.clone();
        }
        let list: Json = list.into();
        assert_eq!(lines(&programme, &stay, &[&home, &list]).lines[0].group.code(), group, "{date}");
    }
}
