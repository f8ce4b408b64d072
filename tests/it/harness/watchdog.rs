//! Nothing outlives the tests: a shell waits at the other end of a pipe and, when the pipe closes - a normal end, a panic,
//! a `kill -9` of the test process -, kills by pid what is still running and removes what is still lying about.
//!
//! Only the kernel closes a pipe in every case, and statics are never dropped: hence a process and not a `Drop`.

use std::io::Write;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::{Mutex, OnceLock};

/// `kill PID`, `gone PID`, `dir PATH` a line; the rest at the end of the input. SIGQUIT first: a PostgreSQL postmaster
/// takes it for an immediate shutdown and takes its children along, which SIGKILL would leave behind.
const SCRIPT: &str = r#"
trap '' INT TERM HUP
pids=" " dirs=
while read -r word rest; do
  case $word in
    kill) pids="$pids$rest " ;;
    gone) before=${pids%% $rest *}; after=${pids#* $rest }; [ "$before" != "$pids" ] && pids="$before $after" ;;
    dir) dirs="$dirs
$rest" ;;
  esac
done
for pid in $pids; do kill -QUIT "$pid" 2>/dev/null; done
for try in 1 2 3 4 5 6 7 8 9 10; do
  left=
  for pid in $pids; do kill -0 "$pid" 2>/dev/null && left=yes; done
  [ -z "$left" ] && break
  sleep 0.2
done
for pid in $pids; do kill -KILL "$pid" 2>/dev/null; done
printf '%s\n' "$dirs" | while read -r dir; do [ -n "$dir" ] && rm -rf -- "$dir"; done
"#;

#[allow(clippy::zombie_processes, reason = "it ends after this process does: that is what it is for")]
fn tell(line: &str) {
    static PIPE: OnceLock<Mutex<ChildStdin>> = OnceLock::new();
    let pipe = PIPE.get_or_init(|| {
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(SCRIPT).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = shell.spawn().expect("sh is there");
        Mutex::new(child.stdin.take().expect("a pipe"))
    });
    writeln!(pipe.lock().unwrap_or_else(std::sync::PoisonError::into_inner), "{line}").expect("the watchdog listens");
}

/// Kill this process when the tests end.
pub fn kills(pid: u32) {
    tell(&format!("kill {pid}"));
}

/// The process is gone already: its number may belong to another by then.
pub fn forgets(pid: u32) {
    tell(&format!("gone {pid}"));
}

/// Remove this folder when the tests end.
pub fn removes(dir: &std::path::Path) {
    tell(&format!("dir {}", dir.display()));
}
