//! `baton token USER` and `baton token --client ID`: an access token, minted on the machine itself.
//!
//! For: trying the API, scripts of an operator. Who can open the database may do this; nobody else can.
//! Not for: programs of others: they ask `/auth/token`.

use crate::access::Policy;
use crate::auth::AuthState;
use crate::clock::Instant;
use crate::config::{AuthMode, ServeArgs, Settings, StoreArgs};
use crate::error::{Error, Result};
use crate::store::{self, Store};
use std::sync::Arc;

/// Arguments of `baton token`.
#[derive(Debug, Clone, clap::Args)]
#[command(group(clap::ArgGroup::new("who").required(true).args(["user", "client"])))]
pub struct TokenArgs {
    /// Which database.
    #[command(flatten)]
    pub store: StoreArgs,
    /// Login name of a seeded user
    pub user: Option<String>,
    /// A client, in place of a user
    #[arg(long, value_name = "ID")]
    pub client: Option<String>,
    /// Scopes to ask for, divided by spaces [default: all that may be granted]
    #[arg(long, value_name = "SCOPES")]
    pub scope: Option<String>,
    /// Seconds that the token is good, at most 3600 [default: 900; for a client 300]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub seconds: Option<u64>,
}

/// Prints the token and nothing else. The server may be running: the database is only read.
///
/// # Errors
/// `NotFound` for an unknown or disabled user or client, `Forbidden` when the role does not hold, `Invalid` for scopes.
pub async fn run(args: TokenArgs) -> Result<()> {
    let settings = Settings::load(&ServeArgs::from(args.store.clone()))?;
    if settings.auth == AuthMode::External {
        return Err(Error::invalid(
            "with 'auth' external only the issuers of the settings give tokens; ask one of them",
        ));
    }
    let store = Store::open_to_read(&store::Settings::new(settings.database_url.clone())).await?;
    let token = mint(&store, &settings, &args).await;
    store.close().await;
    println!("{}", token?);
    Ok(())
}

async fn mint(store: &Store, settings: &Settings, args: &TokenArgs) -> Result<String> {
    let policy = Arc::new(Policy::load(settings.profiles.as_deref())?);
    // Issuer and audience are those of the server that runs, or ran last, on this database.
    let root = match &settings.base_url {
        Some(url) => url.clone(),
        None => {
            store.setting(crate::auth::bearer::ROOT_SETTING).await?.unwrap_or_else(|| settings.root(settings.listen))
        }
    };
    let auth = AuthState::local(store.clone(), policy, settings, &root).await?;
    let (scope, now) = (args.scope.as_deref(), Instant::now());
    match (&args.user, &args.client) {
        (Some(user), None) => {
            let seconds = args.seconds.unwrap_or(settings.limits.user_token_seconds);
            auth.token_for_user(user, scope, seconds, now).await
        }
        (None, Some(client)) => {
            let seconds = args.seconds.unwrap_or(settings.limits.system_token_seconds);
            auth.token_for_client(client, scope, seconds, now).await
        }
        _ => Err(Error::invalid("name a user, or a client with --client")),
    }
}
