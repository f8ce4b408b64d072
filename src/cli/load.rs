//! `baton load FILE…`: posts Bundles and resources to a running server, in parallel, and sums up what was refused and why.
//!
//! For: `.json`, `.ndjson` and either of them as `.gz`; folders stand for such files inside them. Files go one after the
//! other (load providers before the patients that refer to them), the items of a file in parallel.
//! Not for: writing into a database past the server: the one door is the API.
//!
//! What was answered is noted in a small state file until the whole load is through, so that an interrupted load goes on
//! where it stopped. Exit code: 0 all accepted, 1 some refused, 2 not finished.

mod input;
mod state;
mod tally;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use indicatif::{ProgressBar, ProgressStyle};
use input::{Item, Source};
use state::State;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tally::Tally;

/// How often a request is tried when the server is away or says that it is full.
const TRIES: u32 = 8;

/// Arguments of `baton load`.
#[derive(Debug, Clone, clap::Args)]
pub struct Arguments {
    /// Files or folders: .json, .ndjson, and both as .gz.
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// FHIR base of the server.
    #[arg(long, default_value = "http://127.0.0.1:8080/fhir", env = "BATON_URL")]
    pub to: String,
    /// Access token, as `baton token USER` prints it.
    #[arg(long, env = "BATON_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// Acts as this seeded user (servers with `--auth off` only).
    #[arg(long)]
    pub actor: Option<String>,
    /// The server's clock for these requests, to replay old discharges as of their day (servers with `--auth off` only).
    #[arg(long)]
    pub now: Option<String>,
    /// Requests under way at a time.
    #[arg(long, short = 'j', default_value_t = 8)]
    pub parallel: usize,
    /// Where to note what was answered.
    #[arg(long, default_value = ".baton-load.state")]
    pub state: PathBuf,
    /// Posts everything, whatever the state file says.
    #[arg(long)]
    pub restart: bool,
}

/// What became of one item.
enum Outcome {
    /// The body of a 2xx; of a batch, entries may be refused all the same.
    Accepted(Bytes),
    /// The status and what the server said.
    Refused(u16, Bytes),
    /// Not sent: no FHIR JSON.
    Unreadable(String),
    /// No answer, or still full after all tries.
    Unanswered(String),
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
    if arguments.to.starts_with("https:") {
        return Err("baton load speaks plain HTTP: run it beside the server, or through a local proxy".into());
    }
    let client = reqwest::Client::builder()
        .no_proxy()
        .pool_max_idle_per_host(arguments.parallel.max(1))
        .build()
        .map_err(|e| format!("no HTTP client: {e}"))?;
    greet(&client, &arguments).await?;
    let sources = input::sources(&arguments.files)?;
    let mut state = State::open(&arguments.state, &arguments.to, arguments.restart)?;
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
            load_file(&client, &arguments, source, &mut state, &mut tally, &stop).await?;
        }
    }
    listener.abort();
    let is_through = !stop.load(Ordering::Relaxed) && tally.unanswered == 0;
    print!("{tally}");
    if is_through {
        state.finish()?;
    } else {
        println!("Not finished: the same command goes on from here ({}).", arguments.state.display());
    }
    Ok(match (is_through, tally.refused()) {
        (false, _) => ExitCode::from(2),
        (true, 0) => ExitCode::SUCCESS,
        (true, _) => ExitCode::from(1),
    })
}

/// Says early and plainly when there is no server.
async fn greet(client: &reqwest::Client, arguments: &Arguments) -> Result<(), String> {
    let url = format!("{}/metadata", arguments.to.trim_end_matches('/'));
    let answer = client.get(&url).timeout(Duration::from_secs(10)).send().await;
    match answer {
        Ok(answer) if answer.status().is_success() => Ok(()),
        Ok(answer) => Err(format!("{url} answers {}: is this the FHIR base of a server? (--to)", answer.status())),
        Err(_) => Err(format!("nobody answers at {url}: start `baton serve`, or name the server with --to")),
    }
}

/// One file: its items in parallel, until it ends or the person at the terminal stops it.
async fn load_file(
    client: &reqwest::Client,
    arguments: &Arguments,
    source: &Source,
    state: &mut State,
    tally: &mut Tally,
    stop: &AtomicBool,
) -> Result<(), String> {
    let bar = progress(source);
    let done = state.begin(source)?;
    let mut items = input::read(source, arguments.parallel * 2, bar.clone());
    let mut under_way = FuturesUnordered::new();
    let mut is_read = false;
    loop {
        while !is_read && under_way.len() < arguments.parallel.max(1) {
            match items.recv().await {
                Some(Ok(item)) if done.contains(&item.number) => tally.known += 1,
                Some(Ok(item)) => under_way.push(answer(client, arguments, item)),
                Some(Err(sentence)) => return Err(sentence),
                None => is_read = true,
            }
            is_read |= stop.load(Ordering::Relaxed);
        }
        let Some((item, outcome)) = under_way.next().await else { break };
        let place = format!("{}:{}", source.path.display(), item.number);
        if tally.note(&place, &outcome) {
            state.note(item.number)?;
        } else if tally.unanswered >= arguments.parallel {
            // Every request under way went without an answer: the server is gone, and the rest can wait.
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

async fn answer(client: &reqwest::Client, arguments: &Arguments, item: Item) -> (Item, Outcome) {
    let outcome = match target(&item.body) {
        Ok((method, path)) => post(client, arguments, method, &path, &item.body).await,
        Err(sentence) => Outcome::Unreadable(sentence),
    };
    (item, outcome)
}

/// Where an item goes: batches and transactions to the base, a resource with an id to its own URL, one without to its type.
fn target(body: &[u8]) -> Result<(reqwest::Method, String), String> {
    let json = crate::fhir::json::parse(body).map_err(|e| e.to_string())?;
    let (kind, id) = (json["resourceType"].text(), json["id"].text());
    match (kind, json["type"].text(), id) {
        ("", _, _) => Err("not a FHIR resource: no resourceType".into()),
        ("Bundle", "transaction" | "batch", _) => Ok((reqwest::Method::POST, String::new())),
        (kind, _, "") => Ok((reqwest::Method::POST, format!("/{kind}"))),
        (kind, _, id) => Ok((reqwest::Method::PUT, format!("/{kind}/{id}"))),
    }
}

/// Sends one item; waits and tries again while the server is away or full.
async fn post(
    client: &reqwest::Client,
    arguments: &Arguments,
    method: reqwest::Method,
    path: &str,
    body: &Bytes,
) -> Outcome {
    let url = format!("{}{path}", arguments.to.trim_end_matches('/'));
    let mut last = String::new();
    for attempt in 0..TRIES {
        let mut request = client
            .request(method.clone(), &url)
            .header("Content-Type", "application/fhir+json")
            .header("Prefer", "return=minimal");
        if let Some(token) = &arguments.token {
            request = request.bearer_auth(token);
        }
        for (name, value) in [("X-Baton-Actor", &arguments.actor), ("X-Baton-Now", &arguments.now)] {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        let mut pause = Duration::from_millis(100 << attempt);
        match request.body(body.clone()).send().await {
            Ok(response) => {
                let status = response.status().as_u16();
                let after = response.headers().get("retry-after").and_then(|v| v.to_str().ok()?.parse().ok());
                match response.bytes().await {
                    Ok(bytes) if matches!(status, 429 | 503) => {
                        last = String::from_utf8_lossy(&bytes).into_owned();
                        pause = after.map_or(pause, |s: u64| Duration::from_secs(s.min(30)));
                    }
                    Ok(bytes) if (200..300).contains(&status) => return Outcome::Accepted(bytes),
                    Ok(bytes) => return Outcome::Refused(status, bytes),
                    Err(e) => last = e.to_string(),
                }
            }
            Err(e) => last = e.to_string(),
        }
        tokio::time::sleep(pause).await;
    }
    Outcome::Unanswered(last)
}
