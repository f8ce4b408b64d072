//! Queries as tables: which of a few resources a query finds. The first row of each is a positive control.

use super::*;
use crate::fhir::resource::known;
use crate::fhir::{Json, Target};
use crate::search::matches::{Doc, matches};
use crate::search::plan::{Sort, SortBy};
use serde_json::{Value, json};

mod garbage;
mod values;

const KEYS: Keys = Keys(1, 2);

fn env() -> Env {
    Env::utc("http://own.example/fhir")
}

fn strings(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(a, b)| ((*a).to_string(), (*b).to_string())).collect()
}

/// The resources as they would stand in the store, the first the oldest.
fn world(registry: &Registry, resources: &[Value]) -> Vec<Doc> {
    let doc = |(n, value): (usize, &Value)| {
        let json: Json = value.clone().into();
        Doc {
            target: Target::of(json["resourceType"].text(), json["id"].text()).unwrap(),
            pk: 1_700_000_000_000_000 + i64::try_from(n).unwrap(),
            rows: registry.extract(&KEYS, &json, &env()),
        }
    };
    resources.iter().enumerate().map(doc).collect()
}

/// Ids that a raw query on a type finds.
fn found(registry: &Registry, world: &[Doc], rtype: &'static str, raw: &str) -> Vec<String> {
    let pairs = pairs(raw).unwrap_or_else(|e| panic!("{raw}: {e}"));
    let query = parse(registry, &KEYS, &[known(rtype)], &pairs, &env(), Handling::Strict)
        .unwrap_or_else(|e| panic!("{rtype}?{raw}: {e}"));
    let hit = |doc: &&Doc| doc.target.rtype == known(rtype) && matches(&query.plan.cond, doc, world, &KEYS);
    world.iter().filter(hit).map(|d| d.target.id.clone()).collect()
}

/// Each row: query, ids it must find (space-separated), section of the specification.
fn table(rtype: &'static str, resources: &[Value], rows: &[(&str, &str, &str)]) {
    let registry = Registry::builtin();
    let world = world(&registry, resources);
    for (query, ids, section) in rows {
        assert_eq!(found(&registry, &world, rtype, query).join(" "), *ids, "{rtype}?{query} (search.html#{section})");
    }
}

/// R4 search.html#chaining: Chains of three steps, with and without `:Type`.
/// R4 search.html#has: `_has`, inside each other and with chains.
#[test]
fn chains_and_has_follow_references() {
    table(
        "Observation",
        &[
            json!({"resourceType": "Organization", "id": "g", "name": "Great Hospital"}),
            json!({"resourceType": "Patient", "id": "p", "name": [{"family": "Smith"}], "managingOrganization": {"reference": "Organization/g"}}),
            json!({"resourceType": "Device", "id": "p", "deviceName": [{"name": "Smith", "type": "other"}]}),
            json!({"resourceType": "Observation", "id": "a", "status": "final", "code": {"text": "x"}, "subject": {"reference": "Patient/p"}}),
            json!({"resourceType": "Observation", "id": "b", "status": "final", "code": {"text": "x"}, "subject": {"reference": "Device/p"}}),
            json!({"resourceType": "Observation", "id": "c", "status": "final", "code": {"text": "x"}, "hasMember": [{"reference": "Observation/a"}]}),
        ],
        &[
            ("subject:Patient.name=smith", "a", "chaining"),
            ("patient.name=smith", "a", "chaining"),
            ("subject.name=smith", "a", "chaining"),
            ("patient.name:exact=smith", "", "chaining"),
            ("patient.name:exact=Smith", "a", "chaining"),
            ("patient.organization.name=great", "a", "chaining"),
            ("patient.organization.name=small", "", "chaining"),
            ("has-member:Observation.patient.organization.name=great", "c", "chaining"),
            ("patient._id=p", "a", "chaining"),
            ("subject:Device._id=p", "b", "chaining"),
            ("_has:Observation:has-member:status=final", "a", "has"),
            ("_has:Observation:has-member:status=amended", "", "has"),
            ("_has:Observation:has-member:_id=c", "a", "has"),
        ],
    );
    table(
        "Patient",
        &[
            json!({"resourceType": "Patient", "id": "p", "active": true}),
            json!({"resourceType": "Patient", "id": "q"}),
            json!({"resourceType": "Encounter", "id": "e", "status": "finished", "class": {"code": "IMP"}, "subject": {"reference": "Patient/p"}}),
            json!({"resourceType": "Task", "id": "t", "status": "requested", "intent": "order", "for": {"reference": "Patient/q"}, "encounter": {"reference": "Encounter/e"}}),
        ],
        &[
            ("_has:Encounter:patient:status=finished", "p", "has"),
            ("_has:Task:patient:status=requested", "q", "has"),
            ("_has:Task:patient:encounter.class=IMP", "q", "has"),
            ("_has:Encounter:patient:_has:Task:encounter:status=requested", "p", "has"),
        ],
    );
}

/// R4 search.html#combining: And, or, `:not` and `:missing` combine.
/// R4 search.html#id: `_id` and `_lastUpdated` with their modifiers and prefixes.
#[test]
fn conditions_combine_by_and_or_and_missing() {
    table(
        "Task",
        &[
            json!({"resourceType": "Task", "id": "a", "status": "requested", "intent": "order", "priority": "urgent", "for": {"reference": "Patient/1"}}),
            json!({"resourceType": "Task", "id": "b", "status": "accepted", "intent": "order", "owner": {"reference": "Organization/1"}}),
            json!({"resourceType": "Task", "id": "c", "status": "completed", "intent": "plan", "for": {"reference": "Group/1"},
                "restriction": {"period": {"end": "2026-01-05T10:00:00Z"}}, "groupIdentifier": {"system": "s", "value": "a,b"}}),
        ],
        &[
            ("status=requested", "a", "token"),
            ("status=requested,accepted", "a b", "combining"),
            ("status=requested,accepted&intent=order&priority=urgent", "a", "combining"),
            ("intent=order&intent=plan", "", "combining"),
            ("status:not=requested", "b c", "modifiers"),
            ("status:not=requested,accepted", "c", "modifiers"),
            ("priority:not=urgent", "b c", "modifiers"),
            ("owner:missing=true", "a c", "modifiers"),
            ("owner:missing=false", "b", "modifiers"),
            ("patient:missing=false", "a", "modifiers"),
            ("subject:missing=false", "a c", "modifiers"),
            ("due:missing=true", "a b", "modifiers"),
            ("due=lt2026-02", "c", "prefix"),
            ("due=lt2026-01-05", "", "prefix"),
            (r"group-identifier=s|a\,b", "c", "escaping"),
            ("group-identifier=s|a,b", "", "escaping"),
            ("_id=a,c", "a c", "id"),
            ("_id:not=a,c", "b", "modifiers"),
            ("_id:missing=true", "", "modifiers"),
            ("_lastUpdated=gt2023", "", "lastUpdated"),
            ("_lastUpdated=2023-11-14&_id=a", "a", "lastUpdated"),
        ],
    );
}

/// R4 search.html: `_sort`, `_count`, `_total`, `_include`, `_revinclude`, `_elements`, `_summary` are taken together.
#[test]
fn result_parameters_become_the_plan() {
    let registry = Registry::builtin();
    let raw = "status=requested&_sort=-priority,due,_lastUpdated&_count=5&_total=accurate&_include=Task:patient&\
               _include:iterate=Patient:organization&_revinclude=Provenance:target&_elements=status,for&_summary=false&_format=json";
    let query = parse(&registry, &KEYS, &[known("Task")], &pairs(raw).unwrap(), &env(), Handling::Strict).unwrap();
    assert_eq!(
        query.plan.sort,
        [
            Sort { by: SortBy::Fact("priority".into()), descending: true },
            Sort { by: SortBy::Range(vec![KEYS.param("Task", "due")]), descending: false },
            Sort { by: SortBy::Updated, descending: false },
        ]
    );
    assert_eq!((query.plan.count, query.plan.total, query.elements.len()), (5, true, 2));
    let include = |source: &'static str, param: &str, iterate| Include {
        source: Some(known(source)),
        param: param.into(),
        target: None,
        iterate,
    };
    assert_eq!(query.includes, [include("Task", "patient", false), include("Patient", "organization", true)]);
    assert_eq!(query.revincludes, [include("Provenance", "target", false)]);
    assert_eq!(query.used.len(), 9, "all but _format: {:?}", query.used);
    for rtype in ["Patient", "Organization", "Provenance"] {
        assert!(query.touched.contains(&known(rtype)), "{rtype}: {:?}", query.touched);
    }
    let count = |raw: &str| {
        let query = parse(&registry, &KEYS, &[known("Task")], &pairs(raw).unwrap(), &env(), Handling::Strict).unwrap();
        (query.plan.count, query.plan.total)
    };
    assert_eq!(count(""), (env().caps.count_default, false));
    assert_eq!(count("_count=0"), (0, true));
    assert_eq!(count("_summary=count"), (0, true));
}

/// R4 search.html#tag: A search of the whole system by parameters of all types.
#[test]
fn a_system_search_looks_into_each_type() {
    let registry = Registry::builtin();
    let world = world(
        &registry,
        &[
            json!({"resourceType": "Patient", "id": "p", "meta": {"tag": [{"system": "s", "code": "t"}]}}),
            json!({"resourceType": "Task", "id": "t", "status": "requested", "intent": "order", "meta": {"tag": [{"code": "t"}]}}),
            json!({"resourceType": "Device", "id": "d"}),
        ],
    );
    let all: Vec<ResourceType> = ResourceType::all().collect();
    for (raw, ids) in [
        ("_tag=t", "p t"),
        ("_tag=s|t", "p"),
        ("_tag:not=t", "d"),
        ("_tag:missing=true", "d"),
        ("_type=Task,Device", "t d"),
        ("_type=Task&_tag=t", "t"),
        ("_id=p,d", "p d"),
        ("_type=Patient,Device&identifier:missing=true&_tag=t", "p"),
    ] {
        let query = parse(&registry, &KEYS, &all, &pairs(raw).unwrap(), &env(), Handling::Strict).unwrap();
        let hit = |d: &&Doc| query.plan.types.contains(&d.target.rtype) && matches(&query.plan.cond, d, &world, &KEYS);
        let got: Vec<&str> = world.iter().filter(hit).map(|d| d.target.id.as_str()).collect();
        assert_eq!(got.join(" "), ids, "{raw}");
    }
}

/// R4 compartmentdefinition.html: A compartment is the resource itself and what refers to it by the parameters of the
/// definition.
#[test]
fn a_compartment_is_a_condition() {
    let registry = Registry::builtin();
    let world = world(
        &registry,
        &[
            json!({"resourceType": "Patient", "id": "1"}),
            json!({"resourceType": "Task", "id": "a", "for": {"reference": "Patient/1"}}),
            json!({"resourceType": "Task", "id": "b", "for": {"reference": "Patient/2"}}),
            json!({"resourceType": "Observation", "id": "c", "performer": [{"reference": "Patient/1"}]}),
            json!({"resourceType": "Observation", "id": "d", "subject": {"reference": "Patient/11"}}),
        ],
    );
    let owner = Target::new(known("Patient"), "1");
    for (rtype, ids) in [("Task", "a"), ("Observation", "c"), ("Patient", "1")] {
        let cond = compartment(&registry, &KEYS, &owner, known(rtype)).unwrap();
        let hit = |d: &&Doc| d.target.rtype == known(rtype) && matches(&cond, d, &world, &KEYS);
        let got: Vec<&str> = world.iter().filter(hit).map(|d| d.target.id.as_str()).collect();
        assert_eq!(got.join(" "), ids, "{rtype}");
    }
    assert_eq!(compartment(&registry, &KEYS, &owner, known("CodeSystem")), None);
}

/// R4 http.html#ccreate: Criteria are parameters that restrict; result parameters, none, or unknown ones are refused.
#[test]
fn criteria_restrict_and_nothing_else() {
    let registry = Registry::builtin();
    let read = |raw: &str| criteria(&registry, &KEYS, known("Patient"), &pairs(raw).unwrap(), &env());
    assert!(read("identifier=s|1").is_ok());
    for bad in ["", "_count=1", "identifier=s|1&_sort=name", "nope=1", "_format=json"] {
        assert!(read(bad).is_err(), "{bad}");
    }
}

/// Own docs/settings.md: A reference that no search parameter covers has one row more, any other none.
#[test]
fn what_no_parameter_covers_is_found_by_who_is_referred_to() {
    let registry = Registry::builtin();
    let condition = Target::new(known("Condition"), "c");
    let rows = |json: serde_json::Value| {
        let json: Json = json.into();
        registry.extract(&KEYS, &json, &env()).exact
    };
    let without = |mut json: serde_json::Value, member: &str| {
        json.as_object_mut().unwrap().remove(member);
        json
    };
    let base = json!({"resourceType": "MedicationRequest", "subject": {"reference": "Patient/1"}, "encounter": {"reference": "Encounter/1"},
        "reasonReference": [{"reference": "Condition/c"}, {"reference": "http://own.example/fhir/Condition/c/_history/2"}]});
    let (with, less) = (rows(base.clone()), rows(without(base, "reasonReference")));
    let new: Vec<&i64> = with.iter().filter(|key| !less.contains(key)).collect();
    let keys = registry.referring_keys(&KEYS, known("MedicationRequest"), &condition);
    assert!(new.len() == 1 && keys.contains(new[0]), "{new:?}");
    for member in ["subject", "encounter"] {
        let base = json!({"resourceType": "MedicationRequest", member: {"reference": "Patient/1"}});
        let target = Target::new(known("Patient"), "1");
        let found = rows(base);
        let referring = registry.referring_keys(&KEYS, known("MedicationRequest"), &target);
        let hits = referring.iter().filter(|key| found.contains(key)).count();
        assert!(hits >= 1 && (member == "encounter") == found.contains(referring.last().unwrap()), "{member}");
    }
}

/// R4 search.html#include: References by relative address, URL of this server and version are included; URNs and other
/// servers' are not.
#[test]
fn includes_find_what_is_referred_to() {
    let registry = Registry::builtin();
    let task: Json = json!({"resourceType": "Task", "id": "t", "for": {"reference": "http://own.example/fhir/Patient/1/_history/3"},
        "focus": {"reference": "urn:uuid:x"}, "encounter": {"reference": "Encounter/e"}, "owner": {"reference": "http://other/Organization/1"}})
    .into();
    let list = |code: &str| {
        let mut out: Vec<String> = registry.references(&task, code, &env()).iter().map(ToString::to_string).collect();
        out.sort();
        out.join(" ")
    };
    assert_eq!(list("patient"), "Patient/1");
    assert_eq!(list("owner"), "");
    assert_eq!(list("*"), "Encounter/e Patient/1");
    let keys = registry.reference_keys(&KEYS, known("Task"), "patient", &Target::new(known("Patient"), "1"));
    let rows = registry.extract(&KEYS, &task, &env());
    assert!(keys.len() == 1 && keys.iter().all(|k| rows.exact.contains(k)));
    let none = registry.reference_keys(&KEYS, known("Task"), "patient", &Target::new(known("Group"), "1"));
    assert!(none.is_empty());
}
