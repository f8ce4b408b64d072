//! `baton user`: people who may log in.
//!
//! A password comes on standard input, or is made and printed once. On SQLite while no server runs on the database.

use super::open;
use crate::access::Policy;
use crate::auth::accounts::{Desk, Expect, new_user};
use crate::auth::bearer::ROOT_SETTING;
use crate::auth::password::Passwords;
use crate::auth::standing::role_id;
use crate::auth::token::{random_bytes, random_text};
use crate::auth::totp;
use crate::clock::Instant;
use crate::config::{AccountArgs, ServeArgs, Settings};
use crate::error::{Error, Result};
use crate::store::Store;
use crate::store::audit::Happening;
use crate::store::glass::{Broken, Held};
use crate::store::oauth::{Link, User};

/// Arguments of `baton user`.
#[derive(Debug, Clone, clap::Args)]
pub struct Arguments {
    /// Which database, and whose rules.
    #[command(flatten)]
    pub store: AccountArgs,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// What to do with users.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum Command {
    /// Add a login, or change it; what stands behind it must be in the directory
    Add(Add),
    /// Show the logins, one JSON a line
    List,
    /// Refuse a login from now on
    Disable {
        /// Login name
        name: String,
    },
    /// Say who somebody is here who logs in at a provider of the settings
    Link {
        /// Login name
        name: String,
        /// The provider, as `issuer` in the settings has it
        #[arg(long, value_name = "URL")]
        issuer: String,
        /// What the provider calls the user (`sub`)
        #[arg(long)]
        sub: String,
    },
    /// Take that away, of one provider or of all; the user is signed out, and apps that were let in are out
    Unlink {
        /// Login name
        name: String,
        /// The provider
        #[arg(long, value_name = "URL")]
        issuer: Option<String>,
    },
    /// Clear a login for security labels beyond those of the role: R, V, PSY …; none takes back what was given
    Clear {
        /// Login name
        name: String,
        /// Codes of profiles/policy/labels.json
        labels: Vec<String>,
    },
    /// Show who has broken the glass of whom, why and until when, one JSON a line
    Glass {
        /// Login name [default: all]
        name: Option<String>,
        /// End what this login still holds
        #[arg(long, requires = "name")]
        end: bool,
    },
    /// Set a password: the first line of standard input, or one that is made
    Password {
        /// Login name
        name: String,
        /// Make one and print it
        #[arg(long)]
        generate: bool,
    },
    /// Ask for one-time codes at each login from now on: a new secret, printed once
    Totp {
        /// Login name
        name: String,
        /// Ask for none any more
        #[arg(long)]
        off: bool,
    },
}

/// A login.
#[derive(Debug, Clone, clap::Args)]
pub struct Add {
    /// Login name
    pub name: String,
    /// technician, pharmacist, prescriber, patient, analyst, auditor or admin
    #[arg(long)]
    pub role: String,
    /// Id of the Organization
    #[arg(long, value_name = "ID")]
    pub organization: Option<String>,
    /// Id of the Practitioner who logs in
    #[arg(long, value_name = "ID")]
    pub practitioner: Option<String>,
    /// Id of the PractitionerRole [default: as baton seed names it]
    #[arg(long, value_name = "ID")]
    pub practitioner_role: Option<String>,
    /// Id of the Patient who logs in
    #[arg(long, value_name = "ID")]
    pub patient: Option<String>,
}

/// Runs the command.
///
/// # Errors
/// `Invalid`, `NotFound`, `Forbidden` when the role does not hold; what the store says.
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
            let name = add.name.clone();
            desk.put_user(user(add), Expect::Anything).await?;
            Ok(format!("user {name} is set; give a password with baton user password {name}\n"))
        }
        Command::List => Ok(desk.users().await?.iter().map(|u| format!("{u}\n")).collect()),
        Command::Disable { name } => {
            desk.disable_user(&name).await?;
            Ok(format!("user {name} is disabled; tokens end within a minute\n"))
        }
        Command::Link { name, issuer, sub } => {
            let link = Link { issuer, sub, user: name };
            desk.link(&link).await?;
            let unknown = !settings.providers.iter().any(|p| p.issuer == link.issuer);
            let note = if unknown { "\nthe settings have no provider with that issuer" } else { "" };
            Ok(format!("user {} is who {} calls '{}'{note}\n", link.user, link.issuer, link.sub))
        }
        Command::Unlink { name, issuer } => {
            desk.unlink(&name, issuer.as_deref().unwrap_or_default()).await?;
            Ok(format!(
                "user {name} is unlinked and signed out, and so are the user's apps; tokens end within a minute\n"
            ))
        }
        Command::Clear { name, labels } => {
            desk.user(&name).await?;
            let set = store.labels().set(labels.iter().map(String::as_str))?;
            store.set_clearance(&format!("user:{name}"), &labels.join(" ")).await?;
            note(format!("user {name}"), format!("cleared for {}", labels.join(" ")));
            Ok(cleared(&format!("user {name}"), &store.labels().names(set)))
        }
        Command::Glass { name: Some(name), end: true } => {
            let ended = store.mend(Held::By(name.clone()), Instant::now()).await?;
            for one in &ended {
                open::note(store, Happening::GlassMended, format!("Patient/{}", one.patient), &format!("of {name}"));
            }
            Ok(format!("{} ended; this holds within ten seconds\n", ended.len()))
        }
        Command::Glass { name, .. } => {
            let all = store.broken(name.as_deref()).await?;
            let line = |b: &Broken| {
                let (begun, until) = (b.begun.to_string(), b.until.to_string());
                let line = serde_json::json!({"grant": b.id, "user": b.usr, "role": b.role, "organization": b.org,
                    "patient": b.patient, "reason": b.reason, "note": b.note, "begun": begun, "until": until});
                format!("{line}\n")
            };
            Ok(all.iter().map(line).collect())
        }
        Command::Password { name, generate } => {
            desk.user(&name).await?;
            let (password, said) = match generate {
                true => {
                    let made = random_text::<15>()?;
                    let said = format!("user {name} has the password {made}  (shown only now)\n");
                    (made, said)
                }
                false => (line()?, format!("user {name} has a new password\n")),
            };
            desk.set_password(&Passwords::new(&settings.limits), &name, &password).await?;
            Ok(said)
        }
        Command::Totp { name, off } => {
            desk.user(&name).await?;
            let secret = if off { String::new() } else { totp::base32(&random_bytes::<20>()?) };
            store.set_totp(&name, &secret).await?;
            let why = if off { "one-time codes are off" } else { "new one-time codes" };
            open::note(store, Happening::AccountsChanged, format!("user {name}"), why);
            if off {
                return Ok(format!("user {name} logs in without one-time codes\n"));
            }
            let root = match &settings.base_url {
                Some(url) => url.clone(),
                None => store.setting(ROOT_SETTING).await?.unwrap_or_else(|| settings.root(settings.listen)),
            };
            let address = totp::address(&name, &root, &secret);
            Ok(format!("user {name} has the secret {secret}  (shown only now; for an authenticator app:)\n{address}\n"))
        }
    }
}

/// What was done, in a line.
pub(super) fn cleared(who: &str, labels: &[&str]) -> String {
    if labels.is_empty() {
        return format!("{who} is cleared for no more than the role is; this holds within a minute\n");
    }
    format!("{who} is cleared for {}, beyond the role; this holds within a minute\n", labels.join(", "))
}

/// The first line of standard input.
fn line() -> Result<String> {
    let mut text = String::new();
    std::io::stdin()
        .read_line(&mut text)
        .map_err(|e| Error::invalid("no password could be read from standard input").caused_by(e))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

fn user(add: Add) -> User {
    let derived = add.practitioner.as_ref().zip(add.organization.as_ref()).map(|(p, o)| role_id(p, o, &add.role));
    User {
        org: add.organization,
        practitioner: add.practitioner,
        practitioner_role: add.practitioner_role.or(derived),
        patient: add.patient,
        ..new_user(add.name, add.role)
    }
}
