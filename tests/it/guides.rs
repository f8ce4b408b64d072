//! The guides are walked through: every shell block of `docs/guide-*.md`, in order, against a fresh server.
//!
//! A block fenced as `sh` is run; one fenced as `text` right behind it says what it prints, line by line in order, each
//! line somewhere in what is left of the output, `…` standing for anything. Needs bash and curl. The port is a free one.

use crate::harness::{postgres, required, skipped, watchdog};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A command block and what it is said to print.
#[derive(Debug, Default)]
struct Step {
    line: usize,
    commands: String,
    prints: Vec<String>,
}

fn guide(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name)
}

/// The fenced blocks of a page.
fn steps(page: &str) -> Vec<Step> {
    let mut out: Vec<Step> = Vec::new();
    let mut inside = None;
    for (n, line) in page.lines().enumerate() {
        match (inside, line) {
            (None, "```sh") => {
                out.push(Step { line: n + 1, ..Step::default() });
                inside = Some("sh");
            }
            (None, "```text") => inside = Some("text"),
            (None, _) => {}
            (Some(_), "```") => inside = None,
            (Some(kind), line) => {
                let step = out.last_mut().unwrap_or_else(|| panic!("line {}: output before any command", n + 1));
                match kind {
                    "sh" => writeln!(step.commands, "{line}").expect("a String takes it"),
                    _ => step.prints.push(line.trim().to_string()),
                }
            }
        }
    }
    out
}

/// Where the text that a line stands for ends in the output.
fn find(output: &str, line: &str) -> Option<usize> {
    let mut end = 0;
    for part in line.split('…').map(str::trim).filter(|part| !part.is_empty()) {
        end += output.get(end..)?.find(part)? + part.len();
    }
    Some(end)
}

fn walk(name: &str) {
    if Command::new("curl").arg("--version").stdout(Stdio::null()).status().is_err() {
        assert!(!required("curl"), "curl is not on this machine");
        return skipped(name, "curl is not on this machine");
    }
    let page = std::fs::read_to_string(guide(name)).expect("the guide is there");
    let steps = steps(&page);
    assert!(steps.iter().filter(|s| !s.prints.is_empty()).count() > 4, "{name} says what its commands print");
    let dir = tempfile::Builder::new().prefix("baton-guide-").tempdir().expect("a folder for the test");
    watchdog::removes(dir.path());
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    std::os::unix::fs::symlink(root.join("profiles"), dir.path().join("profiles")).expect("a link");
    let program = crate::harness::program();
    std::os::unix::fs::symlink(program, dir.path().join("baton")).expect("a link");

    let mut script = String::from("set -eo pipefail\ntrap 'kill $(jobs -p) 2>/dev/null; wait' EXIT\n");
    for (n, step) in steps.iter().enumerate() {
        writeln!(script, "printf '\\n@@ {n}\\n'; echo $(jobs -p) >jobs\n{}", step.commands).expect("a String takes it");
    }
    let script = script.replace(":8080", &format!(":{}", postgres::free_port()));
    let path = format!("{}:{}", dir.path().display(), std::env::var("PATH").unwrap_or_default());
    let log = std::fs::File::create(dir.path().join("output")).expect("a file");
    let mut child = Command::new("bash")
        .args(["-c", &script])
        .current_dir(dir.path())
        .env("PATH", path)
        .env("NO_COLOR", "1")
        .env_remove("BATON_DATABASE_URL")
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a second handle"))
        .stderr(log)
        .spawn()
        .expect("bash runs");
    watchdog::kills(child.id());
    let (started, mut server) = (Instant::now(), None);
    let status = loop {
        if let Some(status) = child.try_wait().expect("a child of ours") {
            break Some(status);
        }
        // The server that the guide starts must not outlive a test that is killed.
        if server.is_none() {
            let jobs = std::fs::read_to_string(dir.path().join("jobs")).unwrap_or_default();
            server = jobs.split_whitespace().next().and_then(|pid| pid.parse().ok());
            server.into_iter().for_each(watchdog::kills);
        }
        if started.elapsed() > Duration::from_secs(180) {
            child.kill().expect("a child of ours");
            child.wait().expect("a child of ours");
            break None;
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    watchdog::forgets(child.id());
    if status.is_some() {
        server.into_iter().for_each(watchdog::forgets);
    }
    let output = std::fs::read_to_string(dir.path().join("output")).expect("the output");
    for (n, step) in steps.iter().enumerate() {
        let from = output.split(&format!("\n@@ {n}\n")).nth(1).and_then(|rest| rest.split("\n@@ ").next());
        let printed = from.unwrap_or_else(|| panic!("{name}:{}: was not come to\n{}", step.line, tail(&output)));
        let mut rest = printed;
        for line in &step.prints {
            let end = find(rest, line);
            let end = end.unwrap_or_else(|| panic!("{name}:{}: '{line}' is not printed\n{}", step.line, tail(printed)));
            rest = rest.get(end..).unwrap_or_default();
        }
    }
    assert!(status.is_some_and(|s| s.success()), "{name} did not come to its end\n{}", tail(&output));
}

fn tail(text: &str) -> &str {
    let from = text.len().saturating_sub(6000);
    let from = (from..text.len()).find(|n| text.is_char_boundary(*n)).unwrap_or_default();
    text.get(from..).unwrap_or_default()
}

#[test]
fn a_hospital_walks_through_its_guide() {
    walk("guide-hospital.md");
}

#[test]
fn a_pharmacy_walks_through_its_guide() {
    walk("guide-pharmacy.md");
}

#[test]
fn an_app_walks_through_its_guide() {
    walk("guide-app.md");
}

#[test]
fn a_line_that_is_not_printed_is_found_out() {
    let page = "text\n```sh\necho one\necho two\n```\nmore\n```text\none\n…wo\n```\n";
    let steps = steps(page);
    assert_eq!((steps.len(), steps[0].line, steps[0].commands.as_str()), (1, 2, "echo one\necho two\n"));
    assert_eq!(steps[0].prints, ["one", "…wo"]);
    assert_eq!(find("a one b two", "one … two"), Some(11));
    assert_eq!(find("a two b one", "one … two"), None);
}
