//! `baton seed FILE`: organisations, people, users and clients from one declarative file.
//!
//! For: the command, `baton demo`, and tests. Idempotent. Format: `docs/seed.md`.

pub mod apply;
pub mod directory;
pub mod file;

pub use apply::Report;
pub use file::Seed;

use super::open;
use crate::auth::client::hash_secret;
use crate::config::{ServeArgs, Settings, StoreArgs};
use crate::error::{Error, Result};
use crate::interaction::Engine;
use crate::store::Store;
use crate::store::audit::Happening;
use std::path::PathBuf;

/// Arguments of `baton seed`.
#[derive(Debug, Clone, clap::Args)]
pub struct SeedArgs {
    /// Which database.
    #[command(flatten)]
    pub store: StoreArgs,
    /// JSON file of organisations, people, users and clients (docs/seed.md)
    pub file: PathBuf,
}

/// Reads, checks and applies a file's text.
///
/// # Errors
/// `Invalid` with all problems of the file; what the one door and the store say.
pub async fn seed(engine: &Engine, text: &str) -> Result<Report> {
    let house = engine.house();
    let seed = Seed::parse(text, &house.policy)?;
    apply::apply(engine, &house.store, &house.policy, &seed, &house.env.base).await
}

/// Runs the command and prints what it did.
///
/// # Errors
/// As [`seed`], and `Invalid` for a file that cannot be read.
pub async fn run(args: SeedArgs) -> Result<()> {
    let settings = Settings::load(&ServeArgs::from(args.store))?;
    let text = std::fs::read_to_string(&args.file)
        .map_err(|e| Error::invalid(format!("{} cannot be read: {e}", args.file.display())).caused_by(e))?;
    let opened = open::engine(&settings, &settings.root(settings.listen)).await?;
    let report = seed(&opened.engine, &text).await;
    if let Ok(report) = &report {
        let why = format!("{} users and clients set", report.accounts);
        open::note(&opened.store, Happening::AccountsChanged, "seed file".into(), &why);
    }
    opened.store.close().await;
    print!("{}", told(&report?));
    Ok(())
}

/// Refuses to serve more than this machine while a client has a secret of the demo's seed file, which everybody can read, or an
/// app of that file is registered, which has none.
///
/// # Errors
/// `Invalid` naming the clients.
pub async fn refuse_published_secrets(store: &Store, settings: &Settings) -> Result<()> {
    if settings.is_this_machine_only() {
        return Ok(());
    }
    let demo: Seed = serde_json::from_str(include_str!("../../profiles/demo/seed.json"))
        .map_err(|e| Error::fault("the seed of the demo does not read").caused_by(e))?;
    let mut open = Vec::new();
    for client in &demo.clients {
        let Some(stored) = store.oauth_client(&client.id).await?.filter(|c| c.is_active) else { continue };
        let is_known = stored.secret.is_some() && stored.secret == client.secret.as_deref().map(hash_secret);
        if is_known || (client.public && stored.redirect_uris == client.redirect_uris) {
            open.push(client.id.as_str());
        }
    }
    if open.is_empty() {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "the clients {} have the published secrets of profiles/demo/seed.json, or are its apps: give them others, or disable \
         them, before more than this machine is served",
        open.join(", ")
    )))
}

/// A report in words. Secrets stand in it once and nowhere else.
#[must_use]
pub fn told(report: &Report) -> String {
    let mut out = format!(
        "{} directory resources written, {} unchanged, {} users and clients set.\n",
        report.written.len(),
        report.unchanged,
        report.accounts
    );
    for (client, secret) in &report.secrets {
        out.push_str(&format!("client {client} has the new secret {secret}  (shown only now; keep it safe)\n"));
    }
    out
}
