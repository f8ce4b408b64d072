//! `baton demo`: the whole product on loopback, with a story that plays itself and a server that stays.
//!
//! For: a first look. Two hospitals, two pharmacies, their people and programs (`profiles/demo/seed.json`), sample
//! discharges posted over HTTP with real tokens, then the story of one of them. Idempotent: on the same database a second
//! run changes nothing.
//! Not for: real patients. Secrets of the demo's clients stand in the repository, so it binds to loopback alone.

mod api;
mod logins;
mod samples;
mod story;
mod transcript;

pub use samples::{DISCHARGES, Discharge, SEED};

use crate::auth::AuthState;
use crate::cli::{open, seed, serve};
use crate::clock::Instant;
use crate::config::{AuthMode, ServeArgs, Settings, StoreArgs};
use crate::error::{Error, Result};
use crate::store::Store;
use api::{Api, Caller};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use story::{Cast, Ending};
use tokio::sync::oneshot;
use transcript::Transcript;

/// People of the story: their tokens are minted on the machine, as `baton token` does.
const PEOPLE: [&str; 2] = ["mara", "jonas"];
/// Programs of the story: they ask `/auth/token` with their secret.
const PROGRAMS: [&str; 4] = ["lakeside-ehr", "northgate-ehr", "elm-street-pms", "harbour-pms"];

/// Arguments of `baton demo`.
#[derive(Debug, Clone, clap::Args)]
pub struct Arguments {
    /// Address and port on loopback
    #[arg(long, env = "BATON_LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDR:PORT")]
    pub listen: SocketAddr,
    /// sqlite:PATH or postgres://USER:PASSWORD@HOST/NAME
    #[arg(long, default_value = "sqlite:baton-demo.db", value_name = "URL", hide_env_values = true)]
    pub database_url: String,
    /// Forgets what an earlier demo left, and starts over
    #[arg(long)]
    pub fresh: bool,
}

/// Plays the demo and serves until Ctrl-C.
///
/// # Errors
/// One sentence for the person at the terminal.
pub async fn run(arguments: Arguments) -> Result<()> {
    if !arguments.listen.ip().is_loopback() {
        return Err(Error::invalid(
            "the demo's secrets are public: it listens on loopback only (--listen 127.0.0.1:PORT)",
        ));
    }
    let transcript = Transcript::new();
    if arguments.fresh {
        forget(&arguments.database_url)?;
    }
    let settings = settings(&arguments)?;
    let root = settings.root(settings.listen);
    transcript.says(&format!("Opening {} …", without_password(&settings.database_url)));
    let mut cast = prepare(&settings, &root, transcript).await?;

    let (sender, started) = oneshot::channel();
    let server = serve::serve(&settings, |stop, root, store| {
        // The receiver waits in this same function.
        drop(sender.send((stop, root.to_string(), store.clone())));
    });
    let play = async {
        let Ok((stop, root, store)) = started.await else { return Ok(()) };
        let house = (&store, &settings);
        let outcome = tell(&root, &mut cast, &arguments, house, transcript).await;
        if outcome.is_err() {
            stop.stop().await;
        }
        outcome
    };
    tokio::pin!(server, play);
    let told = tokio::select! {
        ended = &mut server => {
            transcript.says("\nStopped.");
            return ended;
        }
        told = &mut play => told,
    };
    server.await?;
    told.map_err(Error::fault)?;
    transcript.says("\nStopped. The same command goes on from here; --fresh starts over.");
    Ok(())
}

fn settings(arguments: &Arguments) -> Result<Settings> {
    Settings::load(&ServeArgs {
        store: StoreArgs { database_url: Some(arguments.database_url.clone()), ..StoreArgs::default() },
        listen: Some(arguments.listen),
        auth: Some(AuthMode::Embedded),
        ..ServeArgs::default()
    })
}

/// `postgres://user:secret@host/name` → `postgres://host/name`.
fn without_password(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, place))) => format!("{scheme}://{place}"),
        _ => url.to_string(),
    }
}

/// Removes the file of the last demo, and what SQLite and Baton keep beside it.
fn forget(database_url: &str) -> Result<()> {
    let Some(path) = database_url.strip_prefix("sqlite:") else {
        return Err(Error::invalid(
            "--fresh removes a demo's own SQLite file; drop and create a PostgreSQL database yourself",
        ));
    };
    let path = path.trim_start_matches("//").split('?').next().unwrap_or_default();
    for ending in ["", "-wal", "-shm", ".lock"] {
        let file = PathBuf::from(format!("{path}{ending}"));
        match std::fs::remove_file(&file) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::fault(format!("{} cannot be removed: {e}", file.display())).caused_by(e));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Seeds the database and mints the people's tokens, before the server opens it.
async fn prepare(settings: &Settings, root: &str, transcript: Transcript) -> Result<Cast> {
    let opened = open::engine(settings, root).await?;
    let report = seed::seed(&opened.engine, SEED).await?;
    transcript.says(&format!("Two hospitals, two pharmacies and their people: {}", seed::told(&report).trim()));
    let auth = AuthState::local(opened.store.clone(), opened.policy, settings, root).await?;
    let mut cast = BTreeMap::new();
    for name in PEOPLE {
        let token = auth.token_for_user(name, None, 900, Instant::now()).await?;
        cast.insert(name.to_string(), Caller { name: name.to_string(), token });
    }
    opened.store.close().await;
    Ok(Cast(cast))
}

/// The programs fetch their tokens, the story is played, and what to try next is printed.
async fn tell(
    root: &str,
    cast: &mut Cast,
    arguments: &Arguments,
    (store, settings): (&Store, &Settings),
    transcript: Transcript,
) -> Result<(), String> {
    let api = Api::new(format!("{root}/fhir"), transcript)?;
    transcript.chapter("0. Programs fetch their tokens");
    for name in PROGRAMS {
        let secret = secret_of(name).ok_or_else(|| format!("no secret for {name} in the demo's seed"))?;
        let caller = api.login(root, name, &secret).await?;
        cast.0.insert(name.to_string(), caller);
    }
    let ending = story::play(&api, cast, transcript).await?;
    let password = logins::open(store, settings, &ending.patient).await.map_err(|e| e.to_string())?;
    close(root, arguments, (&ending, &password), transcript);
    Ok(())
}

fn secret_of(client: &str) -> Option<String> {
    let seed: serde_json::Value = serde_json::from_str(SEED).ok()?;
    let found = seed.get("clients")?.as_array()?.iter().find(|c| c.get("id").is_some_and(|id| id == client))?;
    Some(found.get("secret")?.as_str()?.to_string())
}

/// What is running, who may log in, and what to try.
fn close(root: &str, arguments: &Arguments, (ending, password): (&Ending, &str), transcript: Transcript) {
    let program = std::env::current_exe().map_or_else(|_| "baton".into(), |path| shorten(&path));
    // A URL with a password in it is not printed: the variable holds it.
    let database = match arguments.database_url.strip_prefix("sqlite:") {
        Some(_) => format!(" --database-url {}", arguments.database_url),
        None => String::new(),
    };
    let token = |who: &str| format!("$({program} token {who}{database})");
    transcript.chapter("The server goes on running");
    transcript.says(&format!("  FHIR base      {root}/fhir"));
    transcript.says(&format!("  what it can do {root}/fhir/metadata"));
    transcript
        .says("  people         mara, jonas (Elm Street) · tomas, ines (Harbour): technician, pharmacist of each");
    transcript.says(
        "  programs       lakeside-ehr, northgate-ehr, elm-street-pms, harbour-pms: secrets in profiles/demo/seed.json",
    );
    transcript.says(&format!(
        "  logins         mara, jonas, tomas, ines, and {} (the patient of the story), all with the password {password}",
        logins::PATIENT
    ));
    transcript.says(&format!("                 (a new one at each start); in a browser: {root}/auth/manage"));
    transcript.says(&format!(
        "  an app         {}: public, PKCE, its redirect_uri {}; how it gets in: docs/guide-app.md",
        logins::APP,
        logins::REDIRECT_URI
    ));
    transcript.chapter("Try it in another terminal");
    if database.is_empty() {
        transcript.says("  (after: export BATON_DATABASE_URL=, with the URL that you gave to the demo)");
    }
    let get =
        |who: &str, path: &str| format!("curl -s -H \"Authorization: Bearer {}\" '{root}/fhir/{path}'", token(who));
    transcript.command(&get("tomas", "Task?status=requested&_pretty=true"));
    transcript.command(&get("mara", &format!("MedicationRequest?patient={}&_pretty=true", ending.patient)));
    transcript.command(&get("jonas", &format!("{}?_pretty=true", ending.issue)));
    transcript.says("\nCtrl-C stops the server.");
}

/// The program as it can be typed from here: relative where that is shorter.
fn shorten(program: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    program.strip_prefix(&here).unwrap_or(program).display().to_string()
}
