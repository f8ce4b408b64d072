//! The log: lines on standard error, ids and durations, never names, bodies, tokens or query strings.
//!
//! `RUST_LOG` says how much (default `info`); `BATON_LOG=json` writes one JSON object a line.

use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// Starts the log at `level` (`info`, `warn`) where `RUST_LOG` says nothing; a second call changes nothing.
pub fn start(level: &str) {
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new(format!("{level},sqlx=warn,actix_server=warn,actix_http=off")));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    let is_plain = std::env::var_os("NO_COLOR").is_some() || !std::io::stderr().is_terminal();
    let started = if std::env::var("BATON_LOG").is_ok_and(|v| v == "json") {
        log.json().try_init()
    } else {
        log.with_ansi(!is_plain).try_init()
    };
    // The only failure is that there is a log already, as in tests that run several servers in one process.
    started.ok();
}
