//! `baton load` as a person uses it.

use crate::harness::{Database, Settings, TestServer, data, watchdog, with_server};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

struct Loaded {
    code: Option<i32>,
    text: String,
}

fn load(server: &TestServer, dir: &Path, files: &[&Path]) -> Loaded {
    let mut command = Command::new(crate::harness::program());
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
        let mut command = Command::new(crate::harness::program());
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

/// A test of loading without a server, on both databases.
macro_rules! both_databases_alone {
    ($($name:ident),+ $(,)?) => {$(
        mod $name {
            #[test]
            fn sqlite() {
                crate::harness::with_database(crate::harness::Database::Sqlite, super::$name);
            }
            #[test]
            fn postgres() {
                crate::harness::with_database(crate::harness::Database::Postgres, super::$name);
            }
        }
    )+};
}

both_databases_alone!(
    a_load_into_the_database_that_is_killed_again_and_again_brings_everything_in_once,
    discharges_loaded_into_the_database_open_their_follow_up,
);

fn seeded(settings: &Settings) {
    let seed = settings.seed.as_ref().expect("the demo's seed").display().to_string();
    let (succeeded, text) = settings.run(&["seed", &seed]);
    assert!(succeeded, "{text}");
}

/// Starts a load, kills it as soon as it says that this file is done, and returns whether it was still running.
fn killed_after(settings: &Settings, folder: &str, file: &str) {
    let mut command = Command::new(crate::harness::program());
    command.args(["load", folder, "--actor", "lakeside-ehr", "-j", "4"]);
    command.env("BATON_DATABASE_URL", &settings.database_url).current_dir(settings.dir.path());
    let mut loader = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("baton runs");
    watchdog::kills(loader.id());
    let said = BufReader::new(loader.stdout.take().expect("piped")).lines();
    let mut lines = said.map(|line| line.expect("UTF-8"));
    assert!(lines.any(|line| line.contains(file) && line.contains("done")), "{file} was never done");
    loader.kill().expect("a child of ours");
    loader.wait().expect("a child of ours");
    watchdog::forgets(loader.id());
}

async fn a_load_into_the_database_that_is_killed_again_and_again_brings_everything_in_once(settings: Settings) {
    seeded(&settings);
    let folder = settings.dir.path().join("files");
    std::fs::create_dir(&folder).expect("a folder");
    // No identifiers and no conditions: whatever is sent twice is there twice.
    let created = |n: usize| format!(r#"{{"resourceType":"Patient","name":[{{"family":"P{n}"}}]}}"#);
    let entry = |n: usize| {
        format!(
            r#"{{"resource":{{"resourceType":"Patient","name":[{{"family":"B{n}"}}]}},"request":{{"method":"POST","url":"Patient"}}}}"#
        )
    };
    let bundle = |kind: &str, n: usize| {
        let entries: Vec<_> = (0..5).map(|e| entry(n * 5 + e)).collect();
        format!(r#"{{"resourceType":"Bundle","type":"{kind}","entry":[{}]}}"#, entries.join(","))
    };
    for file in 0..6 {
        let mut lines: Vec<_> = (0..200).map(|n| created(file * 200 + n)).collect();
        lines.extend((0..10).map(|n| bundle("batch", file * 20 + n)));
        lines.extend((10..20).map(|n| bundle("transaction", file * 20 + n)));
        packed(&folder, &format!("{file}.ndjson.gz"), &lines);
    }
    let folder = folder.display().to_string();
    for file in ["0.ndjson.gz", "1.ndjson.gz", "3.ndjson.gz"] {
        killed_after(&settings, &folder, file);
    }
    let (succeeded, text) = settings.run(&["load", &folder, "--actor", "lakeside-ehr"]);
    assert!(succeeded && text.contains("0 refused") && text.contains("from before"), "{text}");
    let (succeeded, text) = settings.run(&["load", &folder, "--actor", "lakeside-ehr"]);
    assert!(succeeded && text.contains("0 accepted, 0 refused, 1320 from before"), "{text}");

    let server = TestServer::start(settings).await;
    let total = server.hospital().read("Patient?_summary=count").await.ok().body["total"].clone();
    assert_eq!(total, 6 * (200 + 20 * 5), "each Patient once, and of the hospital that they were loaded for");
    assert_eq!(server.other_hospital().read("Patient?_summary=count").await.ok().body["total"], 0);
}

async fn discharges_loaded_into_the_database_open_their_follow_up(settings: Settings) {
    seeded(&settings);
    let sample = include_str!("../../../profiles/demo/04-duplicate-therapy.json");
    let today = jiff::Timestamp::now().strftime("%FT00:00:00Z").to_string();
    let sample = ["{{now-120h}}", "{{now-60h}}", "{{now-30h}}", "{{now-24h}}"]
        .iter()
        .fold(sample.to_string(), |text, mark| text.replace(mark, &today));
    let path = settings.dir.path().join("discharge.json");
    std::fs::write(&path, sample).expect("written");
    let sample = path.display().to_string();
    let (succeeded, text) = settings.run(&["load", &sample, "--actor", "northgate-ehr"]);
    assert!(succeeded && text.contains("1 accepted, 0 refused"), "{text}");
    let (succeeded, text) = settings.run(&["load", &sample, "--actor", "nobody-at-all"]);
    assert!(!succeeded && text.contains("--actor names no active user"), "{text}");
    if let Some(folder) = data::folder() {
        let file = |name: &str| folder.join(name).display().to_string();
        let (succeeded, text) = settings.run(&["load", &file("discharges-providers.ndjson.gz")]);
        assert!(succeeded, "providers belong to nobody: {text}");
        let (succeeded, text) = settings.run(&["load", &file("discharges.ndjson.gz"), "--actor", "lakeside-ehr"]);
        assert!(succeeded && text.contains("30 accepted, 0 refused"), "{text}");
    }

    let server = TestServer::start(settings).await;
    let hospital = server.other_hospital();
    assert_eq!(hospital.read("EpisodeOfCare?_summary=count").await.ok().body["total"], 1, "the workflow saw it");
    assert_eq!(server.pharmacy().read("Task?code=first-call&_summary=count").await.ok().body["total"], 1);
    let (succeeded, text) = server.settings().run(&["load", &sample, "--restart"]);
    if server.settings().database_url.starts_with("sqlite:") {
        assert!(!succeeded && text.contains("another"), "a running server owns the file: {text}");
    }
}
