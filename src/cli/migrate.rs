//! `baton migrate`: the schema, and nothing else.

use super::open;
use crate::config::{Settings, StoreArgs};
use crate::error::Result;

/// Arguments of `baton migrate`.
pub type Arguments = StoreArgs;

/// Opens the database, which brings its schema up to date, and closes it.
///
/// # Errors
/// One sentence for the operator: a setting, no connection, a schema that is newer than this program.
pub async fn run(arguments: Arguments) -> Result<()> {
    let settings = Settings::load(&arguments.into())?;
    let store = open::store(&settings).await?;
    store.close().await;
    println!("The database is up to date.");
    Ok(())
}
