//! `baton audit`: looks whether the audit is whole, and writes it out.
//!
//! Both read beside a running server. Exit codes: 0 whole, 1 it could not be read, 3 broken.

use crate::access::Limit;
use crate::auth::bearer::LOCAL_CLIENT;
use crate::clock::Instant;
use crate::config::{DatabaseArgs, Settings};
use crate::error::{Error, Result};
use crate::fhir::Target;
use crate::fhir::resource::{is_id, known};
use crate::interaction::audit::report;
use crate::search::{Cond, Plan, Registry};
use crate::store::audit::Happening;
use crate::store::audit::chain::event_id;
use crate::store::{self, Audit, Store};
use clap::Subcommand;
use std::io::Write;
use std::process::ExitCode;

/// Exit code of a broken chain.
const BROKEN: u8 = 3;
/// Rows that are read at a time.
const BATCH: usize = 500;

/// Arguments of `baton audit`.
#[derive(Debug, Clone, clap::Args)]
pub struct Arguments {
    /// Which database.
    #[command(flatten)]
    pub store: DatabaseArgs,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Clone, Subcommand)]
enum What {
    /// Follow the hash chain and name the first row that is not as it was sealed; exit code 3 when there is one
    Verify(Verify),
    /// Write AuditEvents to standard output, one JSON a line
    Export(Export),
    /// Write who saw or changed what of a patient, and to whom it was disclosed, newest first
    Report(Report),
}

#[derive(Debug, Clone, clap::Args)]
struct Report {
    /// Whose: the logical id of a Patient
    #[arg(long, value_name = "ID")]
    patient: String,
    /// Only what was done at this instant or later
    #[arg(long, value_name = "INSTANT")]
    from: Option<String>,
    /// Only what was done before this instant
    #[arg(long, value_name = "INSTANT")]
    until: Option<String>,
    /// Only what was disclosed to another organisation: the accounting of disclosures
    #[arg(long)]
    disclosures: bool,
    /// What to write: csv for spreadsheets, html to print, ndjson for programs
    #[arg(long, value_enum, default_value_t = Format::Csv)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Csv,
    Html,
    Ndjson,
}

#[derive(Debug, Clone, clap::Args)]
struct Verify {
    /// A last hash that was kept elsewhere, as an earlier run printed it: the chain must still go through it
    #[arg(long, value_name = "SEQ:HASH")]
    through: Option<String>,
}

#[derive(Debug, Clone, clap::Args)]
struct Export {
    /// Go on after this place of the chain, as an earlier run printed it
    #[arg(long, default_value_t = 0, value_name = "SEQ")]
    after: i64,
    /// Only what was done at this instant or later
    #[arg(long, value_name = "INSTANT")]
    from: Option<String>,
    /// Only what was done before this instant
    #[arg(long, value_name = "INSTANT")]
    until: Option<String>,
}

/// Runs one of them.
///
/// # Errors
/// One sentence for the operator.
pub async fn run(arguments: Arguments) -> Result<ExitCode> {
    let store = arguments.store;
    match arguments.what {
        What::Verify(arguments) => verify(store, arguments).await,
        What::Export(arguments) => export(store, arguments).await,
        What::Report(arguments) => report_of(store, arguments).await,
    }
}

async fn open(arguments: DatabaseArgs) -> Result<Store> {
    let settings = Settings::load(&arguments.into())?;
    Store::open_to_read(&store::Settings::new(&settings.database_url)).await
}

/// Puts on record that somebody looks at the audit on the machine itself, before they do.
async fn note(store: &Store, on: &str, what: &str) -> Result<()> {
    let mut row = Audit::happening(Happening::AuditUsed, Instant::now(), LOCAL_CLIENT, "", 200).because(what);
    row.detail.on = on.into();
    store.record_first(row).await
}

async fn verify(database: DatabaseArgs, arguments: Verify) -> Result<ExitCode> {
    let through = arguments.through.as_deref().map(place).transpose()?;
    let store = open(database).await?;
    let found = store.verify_audit().await?;
    if let Some(broken) = &found.broken {
        let row = broken.pk.map(|pk| format!(" (audit.pk {pk}, stored {})", Instant(pk))).unwrap_or_default();
        println!("BROKEN at {}{row}: {}. Right up to {}.", broken.seq, broken.why, found.end.seq);
        return Ok(ExitCode::from(BROKEN));
    }
    if let Some((seq, hash)) = through {
        let there = if seq == found.start.seq {
            Some(found.start.hash.clone())
        } else {
            store.sealed_after(seq - 1, 1).await?.first().filter(|s| s.seq == seq).map(|s| s.hash.clone())
        };
        if there.as_deref() != Some(hash.as_str()) {
            println!("BROKEN at {seq}: the chain does not go through the hash that was kept.");
            return Ok(ExitCode::from(BROKEN));
        }
    }
    println!(
        "The audit is whole: {} rows after {} with {} AuditEvents, {} rows wait to be sealed.",
        found.rows, found.start.seq, found.events, found.waiting
    );
    println!("Keep this elsewhere: {}:{}", found.end.seq, found.end.hash);
    Ok(ExitCode::SUCCESS)
}

fn place(text: &str) -> Result<(i64, String)> {
    let read = text.split_once(':').and_then(|(seq, hash)| Some((seq.parse().ok()?, hash.to_owned())));
    read.ok_or_else(|| Error::invalid("--through takes what an earlier run printed: a number, a colon and a hash"))
}

fn instant(name: &str, text: Option<&String>) -> Result<Option<Instant>> {
    let read = |t: &String| {
        Instant::parse(t).ok_or_else(|| Error::invalid(format!("--{name} is an instant such as 2026-11-25T09:00:00Z")))
    };
    text.map(read).transpose()
}

async fn report_of(database: DatabaseArgs, arguments: Report) -> Result<ExitCode> {
    let from = instant("from", arguments.from.as_ref())?;
    let until = instant("until", arguments.until.as_ref())?;
    if !is_id(&arguments.patient) {
        return Err(Error::invalid("--patient is the logical id of a Patient, without Patient/"));
    }
    let store = open(database).await?;
    note(&store, &format!("Patient/{}", arguments.patient), "report").await?;
    let (patient, event) = (Target::new(known("Patient"), arguments.patient), known("AuditEvent"));
    let keys = Registry::builtin().reference_keys(&store.keys(), event, "patient", &patient);
    let plan = Plan { types: vec![event], cond: Cond::Exact(keys), sort: Vec::new(), count: BATCH, total: false };
    let (mut events, mut next) = (Vec::new(), None);
    loop {
        let page = store.search(&Limit::Everything, &plan, next.as_ref()).await?;
        for row in page.rows {
            let event = row.json()?;
            let at = Instant::parse(event["recorded"].text()).unwrap_or_default();
            let is_in_time = from.is_none_or(|t| at >= t) && until.is_none_or(|t| at < t);
            if is_in_time && (!arguments.disclosures || event["type"]["code"].text() == report::DISCLOSED) {
                events.push(event);
            }
        }
        next = page.next;
        if next.is_none() {
            break;
        }
    }
    let text = match arguments.format {
        Format::Ndjson => events.iter().map(|event| format!("{event}\n")).collect(),
        Format::Csv => report::csv(&report::lines(&store, &events).await?),
        Format::Html => report::html(&patient, &report::lines(&store, &events).await?, None),
    };
    let broken = |e: std::io::Error| Error::fault(format!("the output takes no more: {e}")).caused_by(e);
    std::io::stdout().lock().write_all(text.as_bytes()).map_err(broken)?;
    eprintln!("{} AuditEvents of {patient}", events.len());
    Ok(ExitCode::SUCCESS)
}

async fn export(database: DatabaseArgs, arguments: Export) -> Result<ExitCode> {
    let from = instant("from", arguments.from.as_ref())?;
    let until = instant("until", arguments.until.as_ref())?;
    let store = open(database).await?;
    note(&store, "AuditEvent", "export").await?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let broken = |e: std::io::Error| Error::fault(format!("the output takes no more: {e}")).caused_by(e);
    let (mut after, mut lines) = (arguments.after, 0_u64);
    loop {
        let mut rows = store.sealed_after(after, BATCH).await?;
        let Some(last) = rows.last().map(|r| r.seq) else { break };
        rows.retain(|r| from.is_none_or(|t| r.row.audit.at >= t) && until.is_none_or(|t| r.row.audit.at < t));
        let events = rows.iter().flat_map(|r| (0..r.told).map(|n| event_id(r.row.pk, n)));
        let targets: Vec<Target> = events.map(|id| Target::new(known("AuditEvent"), id)).collect();
        for event in store.get_many(&Limit::Everything, &targets).await?.into_iter().flatten() {
            out.write_all(&event.body).and_then(|()| out.write_all(b"\n")).map_err(broken)?;
            lines += 1;
        }
        after = last;
    }
    out.flush().map_err(broken)?;
    eprintln!("{lines} AuditEvents; go on with --after {after}");
    Ok(ExitCode::SUCCESS)
}
