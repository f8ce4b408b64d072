use super::*;
use crate::access::Role;
use crate::workflow::Programme;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;

const PROFILE: &str = "http://x.example/StructureDefinition/named";

fn named() -> Value {
    json!({"resourceType": "StructureDefinition", "url": PROFILE, "version": "1.0.0", "name": "Named", "status": "active", "abstract": false, "kind": "resource", "type": "Patient",
        "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Patient", "derivation": "constraint",
        "differential": {"element": [{"id": "Patient", "path": "Patient"}, {"id": "Patient.name", "path": "Patient.name", "min": 1}]}})
}

fn manifest(fhir: &str) -> Value {
    json!({"name": "x.example", "version": "1.0.0", "fhirVersions": [fhir]})
}

/// A `.tgz` with these files.
fn package(dir: &Path, name: &str, files: &[(&str, Vec<u8>)]) -> PathBuf {
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::best()));
    for (inside, bytes) in files {
        let mut header = tar::Header::new_gnu();
        // Written by hand: the builder refuses a name that leads out.
        header.as_gnu_mut().unwrap().name[..inside.len()].copy_from_slice(inside.as_bytes());
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        tar.append(&header, bytes.as_slice()).unwrap();
    }
    let path = dir.join(name);
    std::fs::write(&path, tar.into_inner().unwrap().finish().unwrap()).unwrap();
    path
}

fn text(json: &Value) -> Vec<u8> {
    json.to_string().into_bytes()
}

fn programme(dir: Option<&Path>) -> Programme {
    let any = Programme::for_tests();
    match dir {
        None => any,
        Some(_) => Programme::load(dir, Arc::clone(&any.live), any.env, "test").unwrap(),
    }
}

fn load(packages: &[PathBuf]) -> Result<Conformance> {
    Conformance::load(&programme(None), packages, UnknownProfile::Error)
}

fn places(issues: &[Issue]) -> Vec<&str> {
    issues.iter().filter(|i| i.severity == Severity::Error).map(|i| i.expression.as_str()).collect()
}

/// Own docs/validation.md: A package is a `.tgz`, a folder, or a folder of packages.
#[test]
fn a_package_is_a_tgz_or_a_folder_or_a_folder_of_packages() {
    let dir = tempfile::tempdir().unwrap();
    let files = [
        ("package/package.json", text(&manifest("4.0.1"))),
        ("package/StructureDefinition-named.json", text(&named())),
        ("package/example/broken.json", b"not JSON, and not a definition".to_vec()),
        ("package/other/x.txt", b"anything".to_vec()),
    ];
    let tgz = package(dir.path(), "a.tgz", &files);
    let unpacked = dir.path().join("unpacked/package");
    std::fs::create_dir_all(&unpacked).unwrap();
    std::fs::write(unpacked.join("a.json"), text(&named())).unwrap();
    std::fs::write(unpacked.join(".index.json"), "not read").unwrap();
    let patient: Json = json!({"resourceType": "Patient"}).into();
    for path in [tgz, unpacked.clone(), dir.path().join("unpacked"), dir.path().to_owned()] {
        let conformance = load(std::slice::from_ref(&path)).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        assert_eq!(
            places(&conformance.issues(&patient, &[PROFILE], Vec::new())),
            ["Patient.name"],
            "{}",
            path.display()
        );
    }
}

/// Own docs/validation.md: A package that cannot be used is refused with file and reason.
#[test]
fn a_package_that_cannot_be_used_is_refused_with_file_and_reason() {
    let dir = tempfile::tempdir().unwrap();
    let broken = |change: &dyn Fn(&mut Value)| {
        let mut one = named();
        change(&mut one);
        text(&one)
    };
    let zeros = vec![b' '; 33 << 20];
    let rows: Vec<(&str, &str, Vec<u8>, &str)> = vec![
        ("json", "package/a.json", b"{\"resourceType\":".to_vec(), "json.tgz!package/a.json: "),
        (
            "type",
            "package/a.json",
            broken(&|p| p["type"] = "Pation".into()),
            "type.tgz!package/a.json: type: R4 has no type 'Pation'",
        ),
        (
            "base",
            "package/a.json",
            broken(&|p| p["baseDefinition"] = "http://y.example/b".into()),
            "add the package that has it",
        ),
        (
            "element",
            "package/a.json",
            broken(&|p| p["differential"]["element"][1]["max"] = "x".into()),
            "named: Patient.name: max 'x'",
        ),
        ("version", "package/package.json", text(&manifest("5.0.0")), "the package is for FHIR 5.0.0, and Baton is R4"),
        (
            "out",
            "package/../../a.json",
            text(&named()),
            "out.tgz!package/../../a.json: this path leads out of the package",
        ),
        ("root", "/package/a.json", text(&named()), "this path leads out of the package"),
        ("large", "package/a.json", zeros, "has 34603008 bytes; at most 33554432 are read"),
    ];
    for (name, inside, bytes, says) in rows {
        let path = package(dir.path(), &format!("{name}.tgz"), &[(inside, bytes)]);
        let error = load(&[path]).expect_err(name).to_string();
        assert!(error.contains(says), "{name}: {error}");
    }
    std::fs::write(dir.path().join("torn.tgz"), b"\x1f\x8b\x08 no gzip").unwrap();
    std::fs::create_dir(dir.path().join("empty")).unwrap();
    std::fs::write(dir.path().join("a.zip"), b"").unwrap();
    for (name, says) in [
        ("torn.tgz", "is no readable .tgz"),
        ("empty", "there is no package in this folder"),
        ("a.zip", "this is no .tgz file and no folder"),
        ("none", "there is no such file or folder"),
    ] {
        let error = load(&[dir.path().join(name)]).expect_err(name).to_string();
        assert!(error.contains(says), "{name}: {error}");
    }
}

/// Own docs/validation.md: A package that unpacks to too much is refused.
#[test]
fn a_bomb_ends_with_a_sentence() {
    let dir = tempfile::tempdir().unwrap();
    // Many files that each are small enough, and a budget that they pass together.
    let files: Vec<(String, Vec<u8>)> = (0..40).map(|n| (format!("package/{n}.json"), vec![b' '; 1 << 16])).collect();
    let files: Vec<(&str, Vec<u8>)> = files.iter().map(|(n, b)| (n.as_str(), b.clone())).collect();
    let path = package(dir.path(), "bomb.tgz", &files);
    for mut budget in [package::Budget { files: 1_000, bytes: 1 << 20 }, package::Budget { files: 3, bytes: 1 << 30 }] {
        let wrong = package::read(&path, &mut Loader::default(), &mut budget).unwrap_err();
        let says = ["package/0.json", "have more than"];
        assert!(says.iter().any(|s| wrong.text.contains(s) || wrong.file.contains(s)), "{wrong:?}");
    }
}

/// R4 profiling.html: A claim of an unknown profile is an error, but for beginnings that the policy names.
#[test]
fn a_claim_of_an_unknown_profile_is_refused_by_default() {
    let of = |claim: &str| -> Json { json!({"resourceType": "Patient", "meta": {"profile": [claim]}}).into() };
    let us_core = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient";
    let programme = programme(None);
    let loaded = |unknown| Conformance::load(&programme, &[], unknown).unwrap();
    let caller = Principal::super_user();
    let refused = loaded(UnknownProfile::Error).judge(&caller, &of("http://nobody.example/p")).unwrap_err();
    assert_eq!(places(&refused.issues), ["Patient.meta.profile[0]"]);
    assert!(refused.to_string().contains("load the package that has it (setting packages)"), "{refused}");
    let noted = loaded(UnknownProfile::Warning).judge(&caller, &of("http://nobody.example/p")).unwrap();
    assert_eq!(noted.iter().map(|i| i.severity).collect::<Vec<_>>(), [Severity::Warning]);
    assert!(loaded(UnknownProfile::Ignore).judge(&caller, &of("http://nobody.example/p")).unwrap().is_empty());
    // What policy lets pass while no package has one of them.
    assert!(loaded(UnknownProfile::Error).judge(&caller, &of(us_core)).unwrap().is_empty());
    // Asked for by name it is never let pass.
    let asked = loaded(UnknownProfile::Ignore).issues(
        &of("http://hl7.org/fhir/StructureDefinition/Patient"),
        &[us_core],
        Vec::new(),
    );
    assert_eq!(places(&asked), ["Patient"]);
}

#[test]
fn a_package_of_a_guide_ends_the_leave_of_its_claims() {
    let dir = tempfile::tempdir().unwrap();
    let mut of_guide = named();
    of_guide["url"] = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient".into();
    let path = package(dir.path(), "core.tgz", &[("package/a.json", text(&of_guide))]);
    let conformance = load(&[path]).unwrap();
    let claim = |name: &str| -> Json {
        json!({"resourceType": "Patient", "meta": {"profile": [format!("http://hl7.org/fhir/us/core/StructureDefinition/{name}")]}}).into()
    };
    assert_eq!(places(&conformance.issues(&claim("us-core-patient"), &[], Vec::new())), ["Patient.name"]);
    assert_eq!(places(&conformance.issues(&claim("us-core-unheard-of"), &[], Vec::new())), ["Patient.meta.profile[0]"]);
}

/// Own docs/validation.md: Policy may ask profiles of a type, a sender or a state.
#[test]
fn policy_requires_profiles_of_senders_and_types() {
    let dir = tempfile::tempdir().unwrap();
    let folder = |name: &str| {
        let path = dir.path().join(name);
        std::fs::create_dir_all(&path).unwrap();
        path
    };
    let row = |code: &str, properties: &[(&str, &str)]| {
        let of = |(name, value): &(&str, &str)| json!({"code": name, "valueString": value});
        json!({"code": code, "property": properties.iter().map(of).collect::<Vec<_>>()})
    };
    let table = |rows: Vec<Value>| {
        text(
            &json!({"resourceType": "CodeSystem", "id": "profiles", "url": "http://baton.example/fhir/CodeSystem/profiles", "status": "active", "content": "complete", "concept": rows}),
        )
    };
    std::fs::write(folder("structure").join("named.json"), text(&named())).unwrap();
    let write = |rows| std::fs::write(folder("policy").join("profiles.json"), table(rows)).unwrap();
    write(vec![row(
        "a",
        &[("resource", "Patient"), ("profile", PROFILE), ("organization", "lakeside"), ("when", "active = true")],
    )]);
    let conformance = Conformance::load(&programme(Some(dir.path())), &[], UnknownProfile::Error).unwrap();
    let of = |org: &str| Principal { org: Some(org.into()), role: Role::HospitalSystem, ..Principal::super_user() };
    for (org, active, must) in [("lakeside", true, true), ("lakeside", false, false), ("northgate", true, false)] {
        let patient: Json = json!({"resourceType": "Patient", "active": active}).into();
        assert_eq!(conformance.judge(&of(org), &patient).is_err(), must, "{org} {active}");
    }
    for (properties, says) in [
        (vec![("resource", "Pation"), ("profile", PROFILE)], "R4 has no type 'Pation'"),
        (vec![("resource", "Group"), ("profile", PROFILE)], "is a profile of Patient, not of Group"),
        (vec![("resource", "Patient"), ("profile", "http://nobody.example/p")], "is not known here"),
        (vec![("resource", "Patient")], "a row has 'resource' and 'profile'"),
        (vec![("resource", "Patient"), ("profile", PROFILE), ("when", "active = = 1")], "a: when: "),
    ] {
        write(vec![row("a", &properties)]);
        let error =
            Conformance::load(&programme(Some(dir.path())), &[], UnknownProfile::Error).unwrap_err().to_string();
        assert!(error.contains(says) && error.contains("profiles/policy/profiles.json: a:"), "{error}");
    }
}

/// Each profile of `profiles/structure` with a resource that meets it, and changes that it refuses, with the element.
///
/// Own docs/validation.md: Each of the programme's profiles takes its good sample and refuses its bad one.
#[test]
fn the_programmes_own_profiles_have_good_and_bad_samples() {
    let own = |name: &str| format!("http://baton.example/fhir/StructureDefinition/{name}");
    let code = |system: &str, code: &str| json!({"coding": [{"system": format!("http://baton.example/fhir/CodeSystem/{system}"), "code": code}]});
    let task = json!({"resourceType": "Task", "status": "requested", "intent": "order", "priority": "urgent",
        "code": code("task-code", "first-call"), "focus": {"reference": "List/1"}, "for": {"reference": "Patient/1"},
        "businessStatus": code("business-status", "offered"), "authoredOn": "2026-01-02T03:04:05Z",
        "restriction": {"period": {"end": "2026-01-04T03:04:05Z"}}});
    let mut review = task.clone();
    review["code"] = code("task-code", "review-dtp");
    review["focus"] = json!({"reference": "DetectedIssue/1"});
    let problem = json!({"resourceType": "DetectedIssue", "status": "preliminary", "patient": {"reference": "Patient/1"},
        "code": code("dtp-category", "adherence"), "author": {"reference": "Practitioner/1"}, "severity": "low",
        "identifiedDateTime": "2026-01-02T03:04:05Z", "implicated": [{"reference": "MedicationRequest/1"}],
        "evidence": [{"detail": [{"reference": "List/1"}]}], "detail": "Forgets the evening dose."});
    let mut decided = problem.clone();
    decided["status"] = "final".into();
    decided["extension"] = json!([{"url": own("resolution"), "valueCodeableConcept": code("resolution", "resolved")}]);
    decided["mitigation"] = json!([{"action": {"text": "stopped"}, "author": {"reference": "Practitioner/2"}}]);
    let stay = json!({"resourceType": "Encounter", "status": "finished", "class": {"code": "IMP"}, "subject": {"reference": "Patient/1"},
        "period": {"start": "2026-01-01T00:00:00Z", "end": "2026-01-02T00:00:00Z"}});
    let example = |name: &str| -> Value {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("profiles/example/{name}.json"));
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    };
    let (attempt, episode, report) = (example("attempt"), example("followup-episode"), example("handoff-report"));
    type Change = (&'static str, Value, &'static str);
    let rows: Vec<(&str, &Value, Vec<Change>)> = vec![
        (
            "followup-task",
            &task,
            vec![
                ("/intent", json!("plan"), "Task.intent"),
                ("/code", code("task-code", "wash-car"), "Task.code"),
                ("/for", json!({"reference": "Group/1"}), "Task.for"),
                ("/restriction", json!({"repetitions": 1}), "Task.restriction.period"),
                ("/businessStatus", json!({"text": "soon"}), "Task.businessStatus"),
            ],
        ),
        (
            "review-task",
            &review,
            vec![
                ("/code", code("task-code", "first-call"), "Task.code.coding"),
                ("/focus", json!({"reference": "List/1"}), "Task.focus"),
                ("/intent", json!("plan"), "Task.intent"),
            ],
        ),
        (
            "candidate-problem",
            &problem,
            vec![
                ("/status", json!("final"), "DetectedIssue.status"),
                ("/severity", Value::Null, "DetectedIssue.severity"),
                ("/identifiedDateTime", Value::Null, "DetectedIssue.identified"),
                ("/implicated", Value::Null, "DetectedIssue.implicated"),
                ("/evidence", Value::Null, "DetectedIssue.evidence"),
                ("/detail", Value::Null, "DetectedIssue.detail"),
                ("/mitigation", json!([{"action": {"text": "stopped"}}]), "DetectedIssue.mitigation[0]"),
                ("/extension", decided["extension"].clone(), "DetectedIssue.extension[0]"),
            ],
        ),
        (
            "decided-problem",
            &decided,
            vec![
                ("/status", json!("preliminary"), "DetectedIssue.status"),
                ("/mitigation", json!([{"action": {"text": "stopped"}}]), "DetectedIssue.mitigation[0].author"),
                ("/extension", json!([{"url": "urn:other", "valueCode": "a"}]), "DetectedIssue.extension"),
                ("/extension/0/valueCodeableConcept", code("resolution", "gone"), "DetectedIssue.extension[0].value"),
            ],
        ),
        (
            "discharge-encounter",
            &stay,
            vec![
                ("/status", json!("in-progress"), "Encounter.status"),
                ("/period", json!({"start": "2026-01-01"}), "Encounter.period.end"),
                ("/subject", json!({"reference": "Group/1"}), "Encounter.subject"),
            ],
        ),
        (
            "attempt",
            &attempt,
            vec![
                ("/status", json!("preparation"), "Communication.status"),
                ("/basedOn", Value::Null, "Communication"),
                ("/topic", json!({"text": "a call"}), "Communication"),
                ("/statusReason", Value::Null, "Communication"),
                ("/payload", json!([{"contentString": "Your warfarin is ready."}]), "Communication"),
                ("/sent", Value::Null, "Communication.sent"),
                ("/sender", Value::Null, "Communication.sender"),
                ("/subject", json!({"reference": "Group/1"}), "Communication.subject"),
            ],
        ),
        (
            "followup-episode",
            &episode,
            vec![
                ("/extension", json!([episode["extension"][0]]), "EpisodeOfCare.extension"),
                ("/identifier", Value::Null, "EpisodeOfCare.identifier"),
                ("/type", json!([{"text": "follow-up"}]), "EpisodeOfCare.type[0].coding"),
                ("/period", json!({"end": "2026-12-01"}), "EpisodeOfCare.period.start"),
            ],
        ),
        (
            "handoff-report",
            &report,
            vec![
                ("/attester", Value::Null, "Composition"),
                ("/section/3/code", code("report-section", "changes"), "Composition"),
                ("/section/0/text", Value::Null, "Composition.section[0].text"),
                ("/type", json!({"text": "a letter"}), "Composition.type.coding"),
                ("/encounter", Value::Null, "Composition.encounter"),
            ],
        ),
    ];
    let conformance = load(&[]).unwrap();
    let judged = |resource: &Value, profile: &str| {
        let resource = Json::from(resource.clone());
        let mut issues = validate::resource(&resource);
        issues.extend(conformance.issues(&resource, &[&own(profile)], Vec::new()));
        places(&issues).into_iter().map(String::from).collect::<Vec<_>>()
    };
    for (profile, good, changes) in rows {
        assert_eq!(judged(good, profile), Vec::<String>::new(), "{profile}");
        for (pointer, value, at) in changes {
            let mut bad = good.clone();
            match bad.pointer_mut(pointer) {
                Some(_) if value.is_null() => {
                    let (of, name) = pointer.rsplit_once('/').unwrap();
                    drop(bad.pointer_mut(of).unwrap().as_object_mut().unwrap().remove(name));
                }
                Some(slot) => *slot = value,
                None => bad[pointer.trim_start_matches('/')] = value,
            }
            assert_eq!(judged(&bad, profile), [at], "{profile} {pointer}");
        }
    }
    // An extension of the programme stands where its definition says.
    let elsewhere = json!({"resourceType": "Patient", "extension": [{"url": own("candidate-pharmacy"), "valueReference": {"reference": "Organization/1"}}]});
    let found = conformance.issues(&elsewhere.into(), &[], Vec::new());
    assert_eq!(places(&found), ["Patient.extension[0]"]);
}

/// Own docs/validation.md: What the programme writes itself meets its profiles.
#[test]
fn what_the_programme_writes_meets_its_profiles() {
    use crate::workflow::world::*;
    let (mut world, call) = World::with_call();
    world.write("mara", vec![problem()]).unwrap();
    let own = |name: &str| format!("http://baton.example/fhir/StructureDefinition/{name}");
    let conformance = load(&[]).unwrap();
    let written = [
        ("followup-task", vec![world.json(&call)]),
        ("review-task", vec![world.json(&world.task("review-dtp"))]),
        ("candidate-problem", world.memory.all("DetectedIssue")),
        ("attempt", world.memory.all("Communication")),
        ("followup-episode", world.memory.all("EpisodeOfCare")),
    ];
    for (profile, all) in written {
        assert!(!all.is_empty(), "{profile}");
        for json in all {
            assert_eq!(places(&conformance.issues(json, &[&own(profile)], Vec::new())), [""; 0], "{profile}: {json}");
        }
    }
}

/// Asks of an Observation a subject, no interpretation, and a time unless something is absent.
fn of_three_demands() -> Value {
    json!({"resourceType": "StructureDefinition", "url": PROFILE, "version": "1.0.0", "name": "Three", "status": "active", "abstract": false, "kind": "resource", "type": "Observation",
        "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Observation", "derivation": "constraint",
        "differential": {"element": [
            {"id": "Observation", "path": "Observation", "constraint": [
                {"key": "x-1", "severity": "error", "human": "A time, or why something is absent", "expression": "effective.exists() or dataAbsentReason.exists()"},
                {"key": "x-2", "severity": "error", "human": "A method is named by text", "expression": "method.exists() implies method.text.exists()"}]},
            {"id": "Observation.interpretation", "path": "Observation.interpretation", "max": "0"},
            {"id": "Observation.subject", "path": "Observation.subject", "min": 1}]}})
}

/// R4 validation.html: All that is wrong is told at once, most useful first, each fault once: a fault of form hides neither R4's
/// constraints nor the profile's demands, but for those that it may itself have broken.
#[test]
fn all_that_is_wrong_is_told_at_once_and_once() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("three.json"), text(&of_three_demands())).unwrap();
    let conformance = load(&[dir.path().to_owned()]).unwrap();
    let caller = Principal::super_user();
    let period = json!({"start": "2026-02", "end": "2026-01"});
    let good = json!({"resourceType": "Observation", "meta": {"profile": [PROFILE]}, "status": "final", "code": {"text": "a"},
        "subject": {"reference": "Patient/p"}, "effectiveDateTime": "2026-01-01"});
    for (what, change, expected) in [
        ("nothing", json!({}), &[][..]),
        (
            "a child's constraint and the root's",
            json!({"valueString": "x", "dataAbsentReason": {"text": "a"}, "effectiveDateTime": null, "effectivePeriod": period}),
            &["per-1 Observation.effective", "obs-6 Observation"],
        ),
        (
            "a child's fault and the root's constraint",
            json!({"valueString": "x", "dataAbsentReason": {"text": "a"}, "issued": "yesterday"}),
            &["value Observation.issued", "obs-6 Observation"],
        ),
        (
            "a fault inside what a constraint only asks the presence of",
            json!({"valueQuantity": {"value": "1"}, "dataAbsentReason": {"text": "a"}}),
            &["structure Observation.value.value", "obs-6 Observation"],
        ),
        (
            "what is missing and what a profile misses",
            json!({"status": null, "code": null, "subject": null}),
            &["required Observation.status", "required Observation.code", "required Observation.subject"],
        ),
        (
            "a wrong code, a profile's constraint, what it misses and what it forbids",
            json!({"status": "done", "effectiveDateTime": null, "interpretation": [{"text": "high"}], "subject": null}),
            &[
                "code-invalid Observation.status",
                "x-1 Observation",
                "structure Observation.interpretation[0]",
                "required Observation.subject",
            ],
        ),
        (
            "an element that is not known may be the one that a constraint misses",
            json!({"efectiveDateTime": "2026-01-01", "effectiveDateTime": null, "subject": null}),
            &["structure Observation.efectiveDateTime", "required Observation.subject"],
        ),
        (
            "a constraint on what is malformed says no more than that",
            json!({"method": {"txt": "by hand"}}),
            &["structure Observation.method.txt"],
        ),
        (
            "what R4 and a profile both ask",
            json!({"effectiveDateTime": "2026-13-01", "dataAbsentReason": [{"text": "a"}], "meta": {"profile": [PROFILE, PROFILE]}}),
            &["value Observation.effective", "structure Observation.dataAbsentReason"],
        ),
    ] {
        let mut body = good.clone();
        for (name, value) in change.as_object().unwrap() {
            match value {
                Value::Null => drop(body.as_object_mut().unwrap().remove(name)),
                value => body[name] = value.clone(),
            }
        }
        let issues = conformance.judge(&caller, &body.clone().into()).map_or_else(|e| e.issues, |_| Vec::new());
        let mut told: Vec<String> = Vec::new();
        for issue in &issues {
            let key = if issue.code == "invariant" { issue.rule.split(':').next().unwrap() } else { issue.code };
            told.push(format!("{key} {}", issue.expression));
        }
        assert_eq!(told, expected, "{what}: {body}");
        let says =
            |i: &Issue| !i.diagnostics.is_empty() && (i.code != "invariant" || i.diagnostics.contains("expected: "));
        assert!(issues.iter().all(says), "{what}: {issues:?}");
    }
}
