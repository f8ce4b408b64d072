//! `baton key rotate`: new keys sign from now on; the old ones verify until nothing that they signed can live.

use super::open;
use crate::auth::key::SigningKey;
use crate::clock::Instant;
use crate::config::{DatabaseArgs, ServeArgs, Settings};
use crate::error::Result;
use crate::store::Store;
use crate::store::audit::Happening;

/// Arguments of `baton key`.
#[derive(Debug, Clone, clap::Args)]
pub struct Arguments {
    /// Which database.
    #[command(flatten)]
    pub store: DatabaseArgs,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// What to do with signing keys.
#[derive(Debug, Clone, Copy, clap::Subcommand)]
pub enum Command {
    /// Make new keys, and take away those that are older than a day and not in use
    Rotate,
    /// Show the keys, newest first
    List,
}

/// Runs the command.
///
/// # Errors
/// What the store says.
pub async fn run(arguments: Arguments) -> Result<()> {
    let settings = Settings::load(&ServeArgs::from(arguments.store))?;
    let store = match arguments.command {
        Command::List => Store::open_to_read(&crate::store::Settings::new(settings.database_url.clone())).await?,
        Command::Rotate => open::store(&settings).await?,
    };
    let done = carry_out(&store, arguments.command).await;
    store.close().await;
    print!("{}", done?);
    Ok(())
}

async fn carry_out(store: &Store, command: Command) -> Result<String> {
    if let Command::Rotate = command {
        let now = Instant::now();
        store.add_signing_key(SigningKey::generate(now)?).await?;
        store.add_signing_key(SigningKey::generate_rsa(now)?).await?;
        store.retire_signing_keys(now.plus_seconds(-86_400)).await?;
        open::note(store, Happening::KeyRotated, "keys".into(), "new ones sign from now on");
    }
    let keys = store.signing_keys().await?;
    Ok(keys.iter().map(|k| format!("{} {} since {}\n", k.alg, k.kid, Instant(k.created).to_seconds_text())).collect())
}
