//! `baton seed FILE`: organisations, people, users and clients from one declarative file.
//!
//! For: the command, `baton demo`, and tests. Idempotent. Format: `docs/seed.md`.

pub mod apply;
pub mod directory;
pub mod file;

pub use apply::Report;
pub use file::Seed;

use crate::config::{ServeArgs, Settings, StoreArgs};
use crate::error::{Error, Result};
use crate::interaction::Engine;
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
    let opened = super::open::engine(&settings, &settings.root(settings.listen)).await?;
    let report = seed(&opened.engine, &text).await;
    opened.store.close().await;
    print!("{}", told(&report?));
    Ok(())
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
