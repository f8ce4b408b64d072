//! `baton demo` and the README's tour, as a newcomer runs them.

use crate::harness::{postgres, watchdog};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// A running demo whose output is read line by line.
struct Demo {
    child: Child,
    lines: mpsc::Receiver<String>,
    text: String,
}

impl Demo {
    fn start(dir: &Path, port: u16, arguments: &[&str]) -> Self {
        let mut command = Command::new(crate::harness::program());
        command.arg("demo").args(["--listen", &format!("127.0.0.1:{port}")]).args(arguments);
        command
            .env("NO_COLOR", "1")
            .current_dir(dir)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit());
        let mut child = command.spawn().expect("baton runs");
        watchdog::kills(child.id());
        let (sender, lines) = mpsc::channel();
        let out = BufReader::new(child.stdout.take().expect("a pipe"));
        std::thread::spawn(move || out.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { child, lines, text: String::new() }
    }

    /// Reads until the demo says that it is waiting.
    fn plays_to_the_end(&mut self) {
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(90) {
            match self.lines.recv_timeout(Duration::from_secs(60)) {
                Ok(line) => {
                    self.text += &line;
                    self.text.push('\n');
                    if line.contains("Ctrl-C") {
                        return;
                    }
                }
                Err(_) => break,
            }
        }
        panic!("the demo did not come to its end:\n{}", self.text);
    }

    /// The commands that it prints, run as they stand.
    fn commands_work(&self, dir: &Path) {
        let commands: Vec<_> = self.text.lines().map(str::trim).filter(|l| l.starts_with("curl ")).collect();
        assert!(commands.len() >= 3, "three curl lines: {}", self.text);
        for command in commands {
            let out = Command::new("bash")
                .args(["-euo", "pipefail", "-c", command])
                .current_dir(dir)
                .output()
                .expect("bash runs");
            let text = String::from_utf8_lossy(&out.stdout);
            assert!(
                out.status.success() && text.contains("resourceType"),
                "{command}\n{text}{}",
                String::from_utf8_lossy(&out.stderr)
            );
            assert!(!text.contains("OperationOutcome"), "{command}\n{text}");
        }
    }

    /// With the password that it prints, at the page that it names.
    fn lets_people_log_in(&self, port: u16) {
        let after = |words: &str| self.text.split(words).nth(1).and_then(|rest| rest.split_whitespace().next());
        let password = after("all with the password ").expect("a password");
        let page = format!("http://127.0.0.1:{port}/auth/manage");
        assert_eq!(after("in a browser: "), Some(page.as_str()));
        for user in ["mara", "samir"] {
            let script = format!(
                "csrf=$(curl -s -c jar-{user} {page} | sed 's/.*name=\"csrf\" value=\"\\([^\"]*\\).*/\\1/')
                 curl -s -L -b jar-{user} -c jar-{user} -d csrf=$csrf -d user={user} -d password={password} http://127.0.0.1:{port}/auth/login"
            );
            let dir = tempfile::tempdir().expect("a folder");
            let out = Command::new("bash").args(["-c", &script]).current_dir(dir.path()).output().expect("bash runs");
            let text = String::from_utf8_lossy(&out.stdout);
            assert!(text.contains("<h1>Your apps</h1>"), "{user}: {text}");
        }
    }

    fn stops_at_ctrl_c(mut self) {
        let pid = self.child.id();
        Command::new("kill").args(["-INT", &pid.to_string()]).status().expect("kill runs");
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(10) {
            if let Some(status) = self.child.try_wait().expect("a child of ours") {
                watchdog::forgets(pid);
                assert!(status.success(), "a clean end: {status}");
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("Ctrl-C did not end the demo");
    }
}

#[test]
fn the_demo_plays_its_story_prints_commands_that_work_and_changes_nothing_the_second_time() {
    let dir = tempfile::tempdir().expect("a folder");
    let port = postgres::free_port();
    let mut first = Demo::start(dir.path(), port, &[]);
    first.plays_to_the_end();
    for words in ["mara", "jonas", "403", "final"] {
        assert!(first.text.contains(words), "`{words}` in the story:\n{}", first.text);
    }
    first.commands_work(dir.path());
    first.lets_people_log_in(port);
    first.stops_at_ctrl_c();

    let mut second = Demo::start(dir.path(), port, &[]);
    second.plays_to_the_end();
    assert!(second.text.contains("nothing new"), "idempotent:\n{}", second.text);
    second.commands_work(dir.path());
    second.stops_at_ctrl_c();

    let mut fresh = Demo::start(dir.path(), port, &["--fresh"]);
    fresh.plays_to_the_end();
    assert!(!fresh.text.contains("nothing new"), "starts over:\n{}", fresh.text);
    fresh.stops_at_ctrl_c();
}

/// The `sh` blocks of the README's tour, run in order in one shell, on a port of the test's own.
#[test]
fn every_command_of_the_readmes_tour_works() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = std::fs::read_to_string(root.join("README.md")).expect("a README");
    let tour = readme.split("\n## ").find(|s| s.starts_with("A tour")).expect("a chapter `A tour …`");
    let blocks = tour.split("```sh\n").skip(1).filter_map(|b| b.split("```").next());
    let script: String = blocks.collect();
    assert!(
        script.matches("curl").count() >= 5 || script.matches("as ").count() >= 5,
        "a tour with requests: {script}"
    );
    let dir = tempfile::tempdir().expect("a folder");
    let bin = crate::harness::program().parent().expect("a folder");
    std::os::unix::fs::symlink(root.join("profiles"), dir.path().join("profiles")).expect("a link");
    let port = postgres::free_port();
    let script = script
        .replace("8080", &port.to_string())
        .replace("target/release/baton", &bin.join("baton").display().to_string());
    let script = format!("trap 'kill $(jobs -p) 2>/dev/null; wait || true' EXIT\n{script}");
    let out = Command::new("bash")
        .args(["-euxo", "pipefail", "-c", &script])
        .current_dir(dir.path())
        .stdin(Stdio::null())
        .output();
    let out = out.expect("bash runs");
    let text = format!("{}\n{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success(), "the tour stops:\n{text}");
    assert!(!text.contains("OperationOutcome"), "a command of the tour is refused:\n{text}");
}
