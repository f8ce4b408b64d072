//! `baton load` as a person uses it.

use crate::harness::{Database, TestServer, with_server};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

struct Loaded {
    code: Option<i32>,
    text: String,
}

fn load(server: &TestServer, dir: &Path, files: &[&Path]) -> Loaded {
    let mut command = Command::new(env!("CARGO_BIN_EXE_baton"));
    command.arg("load").args(files).args(["--to", &server.base, "--actor", "lakeside-ehr"]).current_dir(dir);
    let out = command.output().expect("baton runs");
    let text = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    Loaded { code: out.status.code(), text }
}

fn patient(number: usize, given: &str) -> String {
    format!(
        r#"{{"resourceType":"Patient","identifier":[{{"system":"http://load.example/n","value":"{number}"}}],"name":[{{"given":["{given}"]}}]}}"#
    )
}

fn packed(dir: &Path, name: &str, lines: &[String]) -> PathBuf {
    let path = dir.join(name);
    let mut file = GzEncoder::new(std::fs::File::create(&path).expect("a file"), Compression::fast());
    file.write_all(lines.join("\n").as_bytes()).expect("written");
    file.finish().expect("written");
    path
}

#[test]
fn a_file_is_loaded_in_parallel_and_refusals_are_summed_up_by_reason() {
    with_server(Database::Sqlite, |server| async move {
        let dir = tempfile::tempdir().expect("a folder");
        let mut lines: Vec<_> = (0..60).map(|n| patient(n, "Ada")).collect();
        lines.push(patient(60, ""));
        lines.push(patient(61, ""));
        lines.push("no JSON at all".into());
        let file = packed(dir.path(), "patients.ndjson.gz", &lines);

        let loaded = load(&server, dir.path(), &[&file]);
        assert_eq!(loaded.code, Some(1), "some were refused: {}", loaded.text);
        assert!(loaded.text.contains("60 accepted, 3 refused"), "{}", loaded.text);
        assert!(loaded.text.contains("2 x 400"), "one reason for both empty names: {}", loaded.text);
        assert!(loaded.text.contains("patients.ndjson.gz:6"), "with a place to look at: {}", loaded.text);
        assert_eq!(server.hospital().read("Patient?_summary=count").await.ok().body["total"], 60);
        assert!(!dir.path().join(".baton-load.state").exists(), "through: nothing to go on with");
    });
}

#[test]
fn a_load_that_was_cut_off_goes_on_where_it_stopped() {
    with_server(Database::Sqlite, |mut server| async move {
        let dir = tempfile::tempdir().expect("a folder");
        let lines: Vec<_> = (0..4000).map(|n| patient(n, "Ada")).collect();
        let file = packed(dir.path(), "patients.ndjson.gz", &lines);
        let state = dir.path().join(".baton-load.state");
        let mut command = Command::new(env!("CARGO_BIN_EXE_baton"));
        command.arg("load").arg(&file).args(["--to", &server.base, "--actor", "lakeside-ehr"]).current_dir(dir.path());
        let mut loader = command.stdout(std::process::Stdio::null()).spawn().expect("baton runs");
        while std::fs::read_to_string(&state).unwrap_or_default().lines().count() < 200 {
            assert!(loader.try_wait().expect("a child").is_none(), "killed before it was through");
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        loader.kill().expect("a child");
        loader.wait().expect("a child");

        let loaded = load(&server, dir.path(), &[&file]);
        assert_eq!(loaded.code, Some(0), "{}", loaded.text);
        assert!(loaded.text.contains("from before"), "{}", loaded.text);
        let total =
            server.hospital().read("Patient?_summary=count").await.ok().body["total"].as_u64().expect("a number");
        assert!((4000..4000 + 50).contains(&total), "at most what was under way came twice: {total}");

        server.kill();
        let loaded = load(&server, dir.path(), &[&file]);
        assert_eq!(loaded.code, Some(2), "nobody there: {}", loaded.text);
        assert!(loaded.text.contains("nobody answers at"), "{}", loaded.text);
    });
}
