//! `baton check` as people and their CI run it: the real program on files.

use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

const BAD: &str = "{\n  \"resourceType\": \"Patient\",\n  \"id\": \"p\",\n  \"gender\": \"femal\"\n}\n";
/// With a narrative, for want of which there would be a warning (dom-6).
const GOOD: &str = "{\"resourceType\":\"Patient\",\"id\":\"q\",\"text\":{\"status\":\"generated\",\"div\":\"\
    <div xmlns=\\\"http://www.w3.org/1999/xhtml\\\">q</div>\"},\"active\":true}\n";

fn baton(dir: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(crate::harness::program());
    command.arg("check").args(arguments).current_dir(dir).env_remove("NO_COLOR");
    command.output().expect("baton runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// A folder with a bad file, a good one, and lines of both.
fn folder() -> tempfile::TempDir {
    use std::io::Write;
    let dir = tempfile::tempdir().expect("a folder");
    fs::create_dir(dir.path().join("sub")).expect("a folder in it");
    fs::write(dir.path().join("bad.json"), BAD).expect("written");
    fs::write(dir.path().join("good.json"), GOOD).expect("written");
    let lines =
        format!("{GOOD}\n{{\"resourceType\":\"Patient\",\"id\":\"r\",\"name\":[{{\"famly\":\"<x>\"}}]}}\n{{\"id\":\n");
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(lines.as_bytes()).expect("packed");
    fs::write(dir.path().join("sub/lines.ndjson.gz"), packed.finish().expect("packed")).expect("written");
    dir
}

/// Own docs/validation.md: `baton check` names file, line, column and element of each issue, and its exit code tells a
/// script.
#[test]
fn each_issue_comes_with_file_line_and_column_and_the_exit_code_tells_a_script() {
    let dir = folder();
    let good = baton(dir.path(), &["good.json"]);
    assert_eq!(
        (good.status.code(), text(&good.stdout)),
        (Some(0), "1 resource checked: 0 errors, 0 warnings\n".into())
    );
    let all = baton(dir.path(), &["."]);
    let said = text(&all.stdout);
    assert_eq!(all.status.code(), Some(1), "{said}");
    for line in [
        "./bad.json:4:3: error: Patient.gender: found 'femal', expected one of female, male, other, unknown",
        "./sub/lines.ndjson.gz:3:45: error: Patient.name[0].famly: found 'famly'",
        "./sub/lines.ndjson.gz:4:7: error: id: the body ends here, expected a JSON value\n",
        "5 resources checked: 3 errors, 2 warnings",
    ] {
        assert!(said.contains(line), "`{line}` in {said}");
    }
    assert!(!said.contains('\x1b'), "no colours into a pipe");
}

/// Own docs/validation.md: The examples of the programme's profiles are what they claim to be.
#[test]
fn the_examples_are_accepted() {
    let out = baton(Path::new(env!("CARGO_MANIFEST_DIR")), &["profiles/example"]);
    assert_eq!(
        (out.status.code(), text(&out.stdout)),
        (Some(0), "3 resources checked: 0 errors, 0 warnings\n".into()),
        "{}",
        text(&out.stderr)
    );
}

#[test]
fn what_cannot_be_checked_is_another_exit_code_than_what_is_wrong() {
    let dir = folder();
    fs::write(dir.path().join("note.txt"), "x").expect("written");
    for arguments in [&["missing.json"][..], &["note.txt"], &["sub", "missing.json"], &[], &["--format", "yaml", "."]] {
        let out = baton(dir.path(), arguments);
        assert_eq!(out.status.code(), Some(2), "{arguments:?}: {}", text(&out.stderr));
        assert!(!out.stderr.is_empty());
    }
    let help = baton(dir.path(), &["--help"]);
    assert!(help.status.success() && text(&help.stdout).contains("Exit codes"));
}

/// Own docs/validation.md: `baton check` shows what R4 marks as a warning and what a closer look finds; warnings do not fail.
#[test]
fn warnings_are_shown_and_do_not_fail() {
    let dir = tempfile::tempdir().expect("a folder");
    fs::write(dir.path().join("bare.json"), "{\"resourceType\":\"Patient\",\"name\":[{\"text\":\"<b>x</b>\"}]}")
        .expect("written");
    let sized = "{\"resourceType\":\"Patient\",\"photo\":[{\"data\":\"AAAA\",\"size\":4}]}";
    fs::write(dir.path().join("sized.json"), sized).expect("written");
    let bare = baton(dir.path(), &["bare.json"]);
    let said = text(&bare.stdout);
    assert!(bare.status.success() && said.contains("dom-6") && said.contains("0 errors, 2 warnings"), "{said}");
    let sized = baton(dir.path(), &["sized.json"]);
    let said = text(&sized.stdout);
    assert_eq!(sized.status.code(), Some(1), "{said}");
    assert!(said.contains("error: Patient.photo[0].size: found the size 4 beside data of 3 bytes"), "{said}");
}

/// Own docs/validation.md: `baton check` writes JSON and JUnit reports.
#[test]
fn machines_read_json_and_test_reports() {
    let dir = folder();
    let out = baton(dir.path(), &["--format", "json", "bad.json", "good.json"]);
    let said: Value = serde_json::from_slice(&out.stdout).expect("JSON");
    assert_eq!((out.status.code(), &said["resources"], &said["errors"]), (Some(1), &2.into(), &1.into()));
    let issue = &said["issues"][0];
    let place = (issue["file"].as_str(), issue["line"].as_u64(), issue["column"].as_u64(), issue["code"].as_str());
    assert_eq!(place, (Some("bad.json"), Some(4), Some(3), Some("code-invalid")));
    assert_eq!((issue["resource"].as_str(), issue["expression"].as_str()), (Some("Patient/p"), Some("Patient.gender")));

    let out = baton(dir.path(), &["--format", "junit", "."]);
    let said = text(&out.stdout);
    for part in [
        "<testsuites name=\"baton check\" tests=\"5\" failures=\"3\">",
        "<testsuite name=\"./sub/lines.ndjson.gz\" tests=\"3\" failures=\"2\">",
        "<testcase classname=\"./good.json\" name=\"Patient/q (line 1)\"/>",
        "<failure type=\"structure\"",
    ] {
        assert!(said.contains(part), "`{part}` in {said}");
    }
}

#[test]
fn a_profile_folder_is_read_as_the_server_reads_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let out = baton(root, &["profiles"]);
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stdout));
    let dir = tempfile::tempdir().expect("a folder");
    fs::create_dir(dir.path().join("protocol")).expect("a folder in it");
    let eligibility = fs::read_to_string(root.join("profiles/protocol/eligibility.json")).expect("the built-in one");
    let spoilt = eligibility.replacen("\"type\": \"person\"", "\"type\": \"persn\"", 1);
    assert_ne!(spoilt, eligibility, "the file has a type");
    fs::write(dir.path().join("protocol/eligibility.json"), spoilt).expect("written");
    let out = baton(dir.path(), &["."]);
    let said = text(&out.stdout);
    assert_eq!(out.status.code(), Some(1), "{said}");
    assert!(said.contains("protocol/eligibility.json:") && said.contains("found 'persn'"), "{said}");
}

/// A package folder with one profile, under this canonical; `max` of Patient.name.
fn package(dir: &Path, url: &str, max: &str) {
    let package = dir.join("guide/package");
    fs::create_dir_all(&package).expect("a folder");
    let definition = serde_json::json!({"resourceType": "StructureDefinition", "url": url, "version": "2", "name": "Named",
        "status": "active", "abstract": false, "kind": "resource", "type": "Patient", "derivation": "constraint",
        "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Patient",
        "differential": {"element": [{"id": "Patient", "path": "Patient"},
            {"id": "Patient.name", "path": "Patient.name", "min": 1, "max": max}]}});
    fs::write(package.join("named.json"), definition.to_string()).expect("written");
}

/// Own docs/validation.md: `baton check` holds resources against what they claim and what `--profile` names, with the profiles of
/// `--package`, as the server does.
#[test]
fn profiles_are_asked_for_by_name_or_claimed_and_come_from_packages() {
    const NAMED: &str = "http://guide.example/StructureDefinition/named";
    let dir = folder();
    package(dir.path(), NAMED, "1");
    fs::create_dir(dir.path().join("data")).expect("a folder");
    let mut claiming: Value = serde_json::from_str(GOOD).expect("JSON");
    claiming["meta"] = serde_json::json!({"profile": [NAMED]});
    let mut named = claiming.clone();
    named["name"] = serde_json::json!([{"text": "x"}]);
    fs::write(dir.path().join("data/claiming.json"), claiming.to_string()).expect("written");
    fs::write(dir.path().join("data/named.json"), named.to_string()).expect("written");
    let with = ["--package", "guide"];
    let versioned = format!("{NAMED}|2");
    let body_weight = "http://hl7.org/fhir/StructureDefinition/bodyweight";
    for (arguments, code, says) in [
        (&["data"][..], 1, "2 errors"),
        (&["--unknown-profile", "warning", "data"], 0, "2 warnings"),
        (&["--unknown-profile", "ignore", "data"], 0, "0 errors, 0 warnings"),
        (&[with[0], with[1], "data/named.json"], 0, "0 errors"),
        (&[with[0], with[1], "data"], 1, "data/claiming.json:1:1: error: Patient.name: "),
        (&[with[0], with[1], "data"], 1, &format!("[{NAMED}|2]")),
        (&[with[0], with[1], "--profile", NAMED, "good.json"], 1, "Patient.name"),
        (&[with[0], with[1], "--profile", &versioned, "good.json"], 1, "Patient.name"),
        (&[with[0], with[1], "--profile", NAMED, "--profile", body_weight, "data/named.json"], 1, "bodyweight"),
        (&["--profile", "http://hl7.org/fhir/StructureDefinition/Patient", "good.json"], 0, "0 errors"),
    ] {
        let out = baton(dir.path(), arguments);
        let said = text(&out.stdout);
        assert_eq!(out.status.code(), Some(code), "{arguments:?}: {said}{}", text(&out.stderr));
        assert!(said.contains(says), "{arguments:?}: `{says}` in {said}");
    }
    for (arguments, says) in [
        (
            &["--profile", NAMED, "good.json"][..],
            "http://guide.example/StructureDefinition/named is not known here; name its package",
        ),
        (
            &[with[0], with[1], "--profile", "http://guide.example/StructureDefinition/named|3", "good.json"],
            "named|3 is not known here",
        ),
        (&["--package", "nowhere", "good.json"], "nowhere"),
        (&["--package", "good.json", "good.json"], "good.json"),
    ] {
        let out = baton(dir.path(), arguments);
        let said = text(&out.stderr);
        assert!(out.status.code() == Some(2) && said.contains(says) && out.stdout.is_empty(), "{arguments:?}: {said}");
    }
    package(dir.path(), NAMED, "none");
    let out = baton(dir.path(), &["--package", "guide", "good.json"]);
    assert!(out.status.code() == Some(2) && text(&out.stderr).contains("named.json"), "{}", text(&out.stderr));
    let help = text(&baton(dir.path(), &["--help"]).stdout);
    for option in ["--profile <CANONICAL>", "--package <PATH>", "--unknown-profile"] {
        assert!(help.contains(option), "{help}");
    }
}

#[test]
fn a_profile_of_a_folder_that_cannot_be_used_is_named() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let dir = tempfile::tempdir().expect("a folder");
    for sub in ["policy", "structure"] {
        fs::create_dir(dir.path().join(sub)).expect("a folder in it");
    }
    let name = "structure/discharge-encounter.json";
    let good = fs::read_to_string(root.join("profiles").join(name)).expect("the built-in one");
    let spoilt = good.replacen(
        "\"baseDefinition\": \"http://hl7.org/fhir/StructureDefinition/Encounter\"",
        "\"baseDefinition\": \"http://x.example/none\"",
        1,
    );
    assert_ne!(spoilt, good, "the file has a base");
    fs::write(dir.path().join(name), spoilt).expect("written");
    let out = baton(dir.path(), &["."]);
    let said = text(&out.stdout);
    assert_eq!(out.status.code(), Some(1), "{said}");
    assert!(said.contains(name) && said.contains("http://x.example/none"), "{said}");
}
