//! Seals audit rows within about a second of their commit, and takes away those whose time is over.

use crate::clock::Instant;
use crate::interaction::Engine;
use std::time::Duration;
use tokio::sync::watch;

/// Pause of a worker that has nothing to do.
const IDLE: Duration = Duration::from_millis(400);
/// How often it looks for rows whose time is over.
const PRUNE: Duration = Duration::from_secs(3600);

/// Seals until told to stop; what is there then is sealed first.
pub async fn run(engine: Engine, mut stop: watch::Receiver<bool>) {
    let mut pruned: Option<std::time::Instant> = None;
    loop {
        let started = std::time::Instant::now();
        let pause = match engine.seal().await {
            Ok(0) => IDLE,
            // Four fifths of the time belong to the writers.
            Ok(_) => started.elapsed() * 4,
            Err(error) => {
                tracing::warn!(%error, cause = ?error.source, "the audit is not sealed; it is tried again");
                IDLE
            }
        };
        if pruned.is_none_or(|at| at.elapsed() > PRUNE) {
            match engine.prune_audit(Instant::now()).await {
                Ok(0) => pruned = Some(std::time::Instant::now()),
                Ok(rows) => tracing::info!(rows, "audit rows whose time is over were taken away"),
                Err(error) => tracing::warn!(%error, "audit rows whose time is over are not taken away"),
            }
        }
        if tokio::time::timeout(pause, stop.wait_for(|stop| *stop)).await.is_ok() {
            break;
        }
    }
}
