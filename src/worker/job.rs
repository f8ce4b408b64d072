//! Bundles in the background: one after another, as the one door carries them out.

use crate::interaction::Engine;
use std::time::Duration;
use tokio::sync::watch;

/// How long an idle worker sleeps: jobs that another node was given, or left behind, are seen after that.
const IDLE: Duration = Duration::from_secs(2);

/// Carries jobs out until told to stop; the one under way is finished first.
pub async fn run(engine: Engine, mut stop: watch::Receiver<bool>) {
    let holder = uuid::Uuid::new_v4().to_string();
    loop {
        let pause = match engine.run_job(&holder).await {
            Ok(true) => Duration::ZERO,
            Ok(false) => IDLE,
            Err(error) => {
                tracing::warn!(%error, cause = ?error.source, "a job of the background failed; it is taken again");
                IDLE
            }
        };
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => break,
            () = engine.job_added(), if !pause.is_zero() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}
