//! Which database a command is about, for those that need no profile and no base.

use super::{ServeArgs, StoreArgs};
use std::path::PathBuf;

/// Before or behind the name of what is to be done.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct DatabaseArgs {
    /// Settings file [default: baton.toml, where it exists]
    #[arg(long, env = "BATON_CONFIG", value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// sqlite:PATH or postgres://USER:PASSWORD@HOST/NAME [default: sqlite:baton.db]
    #[arg(long, env = "BATON_DATABASE_URL", value_name = "URL", hide_env_values = true, global = true)]
    pub database_url: Option<String>,
}

/// The same with the folder that says what roles may do.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct AccountArgs {
    /// Which database.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// Folder of profiles in place of the built-in ones
    #[arg(long, env = "BATON_PROFILES", value_name = "DIR", global = true)]
    pub profiles: Option<PathBuf>,
}

impl From<DatabaseArgs> for ServeArgs {
    fn from(args: DatabaseArgs) -> Self {
        StoreArgs { config: args.config, database_url: args.database_url, ..StoreArgs::default() }.into()
    }
}

impl From<AccountArgs> for ServeArgs {
    fn from(args: AccountArgs) -> Self {
        let mut all = Self::from(args.database);
        all.store.profiles = args.profiles;
        all
    }
}
