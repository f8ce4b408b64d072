//! `baton load FILE…`: Bundles and resources from files into the database or to a running server, in parallel, with a sum
//! of what was refused and why.
//!
//! For: `.json`, `.ndjson` and either of them as `.gz`; folders stand for such files inside them. Files go one after the
//! other (load providers before the patients that refer to them), the items of a file in parallel.
//! Not for: a way past the rules: an item passes the one door, in this process (`database.rs`) or behind a server's API
//! (`server.rs`).
//!
//! An interrupted load goes on where it stopped. Into a database it does so exactly: each write carries the item's key in
//! its audit row, in the same commit. Towards a server the answers are noted in a small file (`state.rs`), so what was under
//! way at the moment of a crash is sent twice. Exit code: 0 all accepted, 1 some refused, 2 not finished.

mod database;
mod input;
mod server;
mod state;
mod tally;

use crate::config::StoreArgs;
use bytes::Bytes;
use indicatif::{ProgressBar, ProgressStyle};
use input::{Item, Source};
use state::State;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tally::Tally;
use tokio::task::JoinSet;

/// How often an item is tried when the other side is away or says that it is full.
const TRIES: u32 = 8;

/// Arguments of `baton load`.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "\
Exit code: 0 all accepted, 1 some refused, 2 not finished (the same command goes on from there).
A resource with an id is PUT, one without is created, a batch or transaction Bundle is carried out.

  baton load providers.ndjson.gz patients/             into the database of baton.toml, no server needed
  baton load --actor lakeside-ehr discharges.ndjson    as that seeded user or client: its organisation owns them
  baton load --to https://baton.example/fhir --token \"$TOKEN\" discharges.ndjson.gz")]
pub struct Arguments {
    /// Files or folders: .json, .ndjson, and both as .gz
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// FHIR base of a running server, http:// or https://; without it the items go straight into the database
    #[arg(long, value_name = "URL")]
    pub to: Option<String>,
    /// Access token for --to, as `baton token USER` prints it
    #[arg(long, env = "BATON_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// Acts as this seeded user or client; a server takes that with `--auth off` only
    #[arg(long, value_name = "NAME")]
    pub actor: Option<String>,
    /// The clock for these items, to replay old discharges as of their day; a server takes that with `--auth off` only
    #[arg(long, value_name = "INSTANT")]
    pub now: Option<String>,
    /// Items under way at a time
    #[arg(long, short = 'j', default_value_t = 8, value_name = "N")]
    pub parallel: usize,
    /// Where to note what a server answered, until the load is through
    #[arg(long, default_value = ".baton-load.state", value_name = "FILE")]
    pub state: PathBuf,
    /// Sends everything, also what an earlier run brought in
    #[arg(long)]
    pub restart: bool,
    /// Which database.
    #[command(flatten)]
    pub store: StoreArgs,
}

/// What became of one item.
enum Outcome {
    /// The bodies of a 2xx; of a batch, entries may be refused all the same.
    Accepted(Vec<Bytes>),
    /// An earlier run brought it in.
    Known,
    /// The status and what was said.
    Refused(u16, Bytes),
    /// Not sent: no FHIR JSON.
    Unreadable(String),
    /// No answer, or still full after all tries.
    Unanswered(String),
}

/// Where items go.
#[derive(Clone)]
enum Door {
    Server(Arc<server::Server>),
    Database(Arc<database::Database>),
}

impl Door {
    async fn send(&self, item: &Item) -> Outcome {
        match self {
            Self::Server(server) => server.send(item).await,
            Self::Database(database) => database.send(item).await,
        }
    }
}

/// Loads the files.
///
/// # Errors
/// None: what stops the load is told at the terminal and makes the exit code 2.
pub async fn run(arguments: Arguments) -> Result<ExitCode, String> {
    Ok(load(arguments).await.unwrap_or_else(|sentence| {
        eprintln!("baton load: {sentence}");
        ExitCode::from(2)
    }))
}

async fn load(arguments: Arguments) -> Result<ExitCode, String> {
    let sources = input::sources(&arguments.files)?;
    let (door, mut state) = match &arguments.to {
        Some(url) => {
            let server = server::Server::greet(url, &arguments).await?;
            (Door::Server(Arc::new(server)), State::open(&arguments.state, arguments.restart)?)
        }
        None => {
            let database = database::Database::open(&arguments).await?;
            let state = State::known(Arc::clone(&database.known));
            (Door::Database(Arc::new(database)), state)
        }
    };
    let mut tally = Tally::default();
    let stop = Arc::new(AtomicBool::new(false));
    let flag = stop.clone();
    let listener = tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            flag.store(true, Ordering::Relaxed);
            eprintln!("\nStopping: waiting for the answers that are under way.");
        }
    });
    for source in &sources {
        if !stop.load(Ordering::Relaxed) {
            load_file(&door, &arguments, source, &mut state, &mut tally, &stop).await?;
        }
    }
    listener.abort();
    if let Door::Database(database) = &door {
        database.close().await;
    }
    let is_through = !stop.load(Ordering::Relaxed) && tally.unanswered == 0;
    print!("{tally}");
    if is_through {
        state.finish()?;
    } else {
        println!("Not finished: the same command goes on from here.");
    }
    Ok(match (is_through, tally.refused()) {
        (false, _) => ExitCode::from(2),
        (true, 0) => ExitCode::SUCCESS,
        (true, _) => ExitCode::from(1),
    })
}

/// One file: its items in parallel, until it ends or the person at the terminal stops it.
async fn load_file(
    door: &Door,
    arguments: &Arguments,
    source: &Source,
    state: &mut State,
    tally: &mut Tally,
    stop: &AtomicBool,
) -> Result<(), String> {
    let bar = progress(source);
    // The same file as somebody else, or to somewhere else, is another load.
    let salt = format!("{}\0{}", arguments.to.as_deref().unwrap_or_default(), arguments.actor.as_deref().unwrap_or(""));
    let mut items = input::read(source, salt, arguments.parallel * 2, bar.clone());
    let mut under_way = JoinSet::new();
    let mut is_read = false;
    loop {
        while !is_read && under_way.len() < arguments.parallel.max(1) {
            match items.recv().await {
                Some(Ok(item)) if state.has(&item.key) => tally.known += 1,
                Some(Ok(item)) => {
                    let door = door.clone();
                    under_way.spawn(async move { (door.send(&item).await, item.number, item.key) });
                }
                Some(Err(sentence)) => return Err(sentence),
                None => is_read = true,
            }
            is_read |= stop.load(Ordering::Relaxed);
        }
        let Some(done) = under_way.join_next().await else { break };
        let (outcome, number, key) =
            done.map_err(|e| format!("{}: an item came to no end: {e}", source.path.display()))?;
        let place = format!("{}:{number}", source.path.display());
        if tally.note(&place, &outcome) {
            state.note(&key)?;
        } else if tally.unanswered >= arguments.parallel {
            // Every item under way went without an answer: the other side is gone, and the rest can wait.
            stop.store(true, Ordering::Relaxed);
            is_read = true;
        }
        bar.set_message(tally.brief());
    }
    bar.finish();
    if !bar.is_hidden() {
        return Ok(());
    }
    println!("{}: done; {} so far", source.path.display(), tally.brief());
    Ok(())
}

fn progress(source: &Source) -> ProgressBar {
    let bar = ProgressBar::new(source.bytes);
    let style = ProgressStyle::with_template("{prefix} {bar:30} {bytes}/{total_bytes} {elapsed} {msg}");
    if let Ok(style) = style {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.set_prefix(source.path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default());
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// How long to wait before the next try: longer each time, or as the other side asks.
fn pause(attempt: u32, asked_seconds: Option<u64>) -> Duration {
    asked_seconds.map_or(Duration::from_millis(100 << attempt), |s| Duration::from_secs(s.min(30)))
}
