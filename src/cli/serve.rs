//! `baton serve`: the server.

use super::open;
use crate::auth::AuthState;
use crate::config::{AuthMode, Programme, ServeArgs, Settings};
use crate::error::{Error, Result};
use crate::http;
use crate::interaction::Engine;
use crate::store::Store;
use crate::worker::{self, Worker};
use std::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Arguments of `baton serve`.
pub type Arguments = ServeArgs;

/// Runs until Ctrl-C.
///
/// # Errors
/// One sentence for the operator: a setting, the address, the database, a profile.
pub async fn run(arguments: Arguments) -> Result<()> {
    let settings = Settings::load(&arguments)?;
    serve(&settings, |_, root, _| println!("Baton listens. FHIR base: {root}/fhir")).await
}

/// Serves with these settings. `ready` is called with a handle that stops the server, its address, and its database, once it
/// listens.
///
/// # Errors
/// As [`run`].
pub async fn serve(settings: &Settings, ready: impl FnOnce(http::Stop, &str, &Store)) -> Result<()> {
    let listener = TcpListener::bind(settings.listen)
        .map_err(|e| Error::invalid(format!("cannot listen on {}: {e}", settings.listen)).caused_by(e))?;
    let bound = listener.local_addr().map_err(|e| Error::fault("the listener has no address").caused_by(e))?;
    let root = settings.root(bound);
    let tls = settings.tls.as_ref().map(|(cert, key)| http::Tls::open(cert, key)).transpose()?;
    let opened = open::server(settings, &root, false).await?;
    let auth = AuthState::open(opened.store.clone(), opened.policy, settings, &root).await?;
    super::seed::refuse_published_secrets(&opened.store, settings).await?;
    if settings.auth == AuthMode::Off {
        tracing::warn!("--auth off: whoever reaches this port may do everything; for tests and trials only");
    }
    if settings.programme == Programme::Off {
        tracing::warn!("--programme off: discharges that are written now are not followed up");
    }
    let workers = std::thread::available_parallelism().map_or(2, usize::from);
    let (worker, jobs) = (Worker::new(opened.engine.clone(), settings.limits.look_seconds), opened.engine.clone());
    let reloading = opened.engine.clone();
    let hangups =
        signal(SignalKind::hangup()).map_err(|e| Error::fault("SIGHUP cannot be listened to").caused_by(e))?;
    let (sealing, telling) = (opened.engine.clone(), opened.engine.clone());
    let house = http::House {
        engine: opened.engine,
        auth,
        store: opened.store.clone(),
        limits: settings.limits.clone(),
        base: format!("{root}/fhir").into(),
        tls: tls.clone(),
        is_throttled: settings.auth != AuthMode::Off,
        trusted_proxies: settings.trusted_proxies.clone(),
    };
    let (stop, stopped) = tokio::sync::watch::channel(false);
    // Listened to before the server says that it is ready: until then the signal would end the process.
    let hangup = tokio::spawn(reload_on_hangup(reloading, tls.clone(), hangups, stopped.clone()));
    let watching = tls.map(|tls| tokio::spawn(tls.watch(stopped.clone())));
    let jobs = tokio::spawn(worker::job::run(jobs, stopped.clone()));
    let sealing = tokio::spawn(worker::seal::run(sealing, stopped.clone()));
    let telling = (settings.limits.subscription_seconds > 0).then(|| {
        let teller = worker::subscription::Teller::new(telling);
        tokio::spawn(teller.run(settings.limits.subscription_seconds, stopped.clone()))
    });
    let worker = tokio::spawn(worker.run(stopped));
    let served = http::serve(house, listener, workers, |stop| ready(stop, &root, &opened.store)).await;
    stop.send(true).ok(); // a worker that is gone needs no telling
    worker.await.ok();
    jobs.await.ok();
    if let Some(telling) = telling {
        telling.await.ok();
    }
    hangup.await.ok();
    if let Some(watching) = watching {
        watching.await.ok();
    }
    sealing.await.ok();
    opened.store.close().await;
    served
}

/// SIGHUP: the certificate and the profiles are read anew. What is wrong with them is in the log, and what was in force stays.
async fn reload_on_hangup(
    engine: Engine,
    tls: Option<http::Tls>,
    mut hangup: Signal,
    mut stop: tokio::sync::watch::Receiver<bool>,
) {
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            _ = hangup.recv() => {}
        }
        if let Some(tls) = &tls {
            tls.reload_logged();
        }
        if let Err(error) = engine.reload().await {
            let wrong: Vec<String> =
                error.issues.iter().map(|i| format!("{} ({})", i.diagnostics, i.expression)).collect();
            tracing::error!(%error, wrong = wrong.join("; "), "the profiles are not reloaded; what was in force stays in force");
        }
    }
}
