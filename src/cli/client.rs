//! `baton client`: programs and apps that may ask for tokens.
//!
//! Secrets are printed once and kept as hashes. On SQLite while no server runs on the database; on PostgreSQL at any time, and
//! servers know within 30 seconds. Source: RFC 7591 (the words of the metadata).

use super::open;
use crate::access::Policy;
use crate::auth::accounts::{Desk, Expect};
use crate::auth::register::metadata;
use crate::config::{AccountArgs, ServeArgs, Settings};
use crate::error::{Error, Result};
use crate::store::Store;
use crate::store::audit::Happening;
use crate::store::oauth::{Client, Kind};
use std::path::PathBuf;

/// Arguments of `baton client`.
#[derive(Debug, Clone, clap::Args)]
pub struct Arguments {
    /// Which database, and whose rules.
    #[command(flatten)]
    pub store: AccountArgs,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// What to do with clients.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum Command {
    /// Register a client, or change what is registered
    Add(Box<Add>),
    /// Show the clients, one JSON a line
    List,
    /// Refuse a client from now on
    Disable {
        /// client_id
        id: String,
    },
    /// Clear a program for security labels beyond those of the role: R, V, PSY …; none takes back what was given
    Clear {
        /// client_id
        id: String,
        /// Codes of profiles/policy/labels.json
        labels: Vec<String>,
    },
    /// Give a client a new secret; the old one is over
    Rotate {
        /// client_id
        id: String,
    },
}

/// How a client shows who it is.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub enum How {
    /// By its id alone: an app in a browser or on a phone
    Public,
    /// By a secret, which is made and printed once
    Symmetric,
    /// By assertions that it signs (--jwks)
    Asymmetric,
}

/// A registration.
#[derive(Debug, Clone, clap::Args)]
pub struct Add {
    /// client_id
    pub id: String,
    /// How it shows who it is
    #[arg(long, value_enum)]
    pub kind: How,
    /// Name that users read
    #[arg(long)]
    pub name: Option<String>,
    /// The most it can be granted, divided by spaces
    #[arg(long)]
    pub scopes: String,
    /// Where codes may be sent, exactly; makes it an app
    #[arg(long = "redirect-uri", value_name = "URL")]
    pub redirect_uris: Vec<String>,
    /// Where an EHR starts it
    #[arg(long = "launch-uri", value_name = "URL")]
    pub launch_uris: Vec<String>,
    /// Origin of browsers that call for it, such as `https://app.example`
    #[arg(long = "origin", value_name = "ORIGIN")]
    pub origins: Vec<String>,
    /// File of its public keys (RFC 7517)
    #[arg(long, value_name = "FILE")]
    pub jwks: Option<PathBuf>,
    /// Where it publishes its public keys
    #[arg(long, value_name = "URL", conflicts_with = "jwks")]
    pub jwks_uri: Option<String>,
    /// Grants, in place of those that follow from the rest
    #[arg(long = "grant", value_name = "GRANT")]
    pub grants: Vec<String>,
    /// Organisation that it acts for; of an app: whose users alone may use it
    #[arg(long, value_name = "ID")]
    pub organization: Option<String>,
    /// Role of a program: hospital-system, pharmacy-system, analyst, auditor, admin
    #[arg(long)]
    pub role: Option<String>,
    /// Of the house itself: users are not asked, and it may start other apps
    #[arg(long)]
    pub first_party: bool,
}

/// Runs the command.
///
/// # Errors
/// `Invalid` with everything that is wrong with a registration, `NotFound` for an unknown client, what the store says.
pub async fn run(arguments: Arguments) -> Result<()> {
    let settings = Settings::load(&ServeArgs::from(arguments.store))?;
    let store = match arguments.command {
        Command::List => Store::open_to_read(&crate::store::Settings::new(settings.database_url.clone())).await?,
        _ => open::store(&settings).await?,
    };
    let done = carry_out(&store, &settings, arguments.command).await;
    store.close().await;
    print!("{}", done?);
    Ok(())
}

async fn carry_out(store: &Store, settings: &Settings, command: Command) -> Result<String> {
    let policy = Policy::load(settings.profiles.as_deref())?;
    let note = |on, why: String| open::note(store, Happening::AccountsChanged, on, &why);
    let desk = Desk { store, policy: &policy, note: &note };
    match command {
        Command::Add(add) => {
            let client = client(*add)?;
            let id = client.id.clone();
            Ok(match desk.register(client, Expect::Anything).await? {
                Some(secret) => told(&id, &secret),
                None => format!("client {id} is registered\n"),
            })
        }
        Command::List => Ok(desk.clients().await?.iter().map(|c| format!("{}\n", metadata(c))).collect()),
        Command::Disable { id } => {
            desk.disable_client(&id).await?;
            Ok(format!("client {id} is disabled; its tokens end within a minute\n"))
        }
        Command::Clear { id, labels } => {
            desk.client(&id).await?;
            let set = store.labels().set(labels.iter().map(String::as_str))?;
            store.set_clearance(&format!("client:{id}"), &labels.join(" ")).await?;
            note(format!("client {id}"), format!("cleared for {}", labels.join(" ")));
            Ok(super::user::cleared(&format!("client {id}"), &store.labels().names(set)))
        }
        Command::Rotate { id } => Ok(told(&id, &desk.rotate(&id).await?)),
    }
}

fn told(id: &str, secret: &str) -> String {
    format!("client {id} has the new secret {secret}  (shown only now; keep it safe)\n")
}

fn client(add: Add) -> Result<Client> {
    let grants = match (add.grants.is_empty(), add.redirect_uris.is_empty()) {
        (false, _) => add.grants,
        (true, true) => vec!["client_credentials".into()],
        (true, false) => vec!["authorization_code".into(), "refresh_token".into()],
    };
    let jwks = match &add.jwks {
        None => None,
        Some(path) => Some(
            std::fs::read_to_string(path)
                .map_err(|e| Error::invalid(format!("{} cannot be read: {e}", path.display())).caused_by(e))?,
        ),
    };
    let kind = match add.kind {
        How::Public => Kind::Public,
        How::Symmetric => Kind::Symmetric,
        How::Asymmetric => Kind::Asymmetric,
    };
    Ok(Client {
        name: add.name.unwrap_or_else(|| add.id.clone()),
        id: add.id,
        secret: None,
        jwks,
        scopes: add.scopes,
        org: add.organization,
        role: add.role.unwrap_or_default(),
        is_active: true,
        kind,
        redirect_uris: add.redirect_uris,
        launch_uris: add.launch_uris,
        origins: add.origins,
        jwks_uri: add.jwks_uri,
        grants,
        is_first_party: add.first_party,
    })
}
