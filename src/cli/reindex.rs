//! `baton reindex`: makes the rows that searches lack, and shows how far it is.
//!
//! Where no server has the database it does the work itself. On PostgreSQL it works beside servers: whoever has the lease does
//! it. On SQLite, where a server has the file to itself, it shows what that server does.

use super::open;
use crate::clock::Instant;
use crate::config::{Settings, StoreArgs};
use crate::error::{Error, Result};
use crate::store::parameter::Parameters;
use crate::store::{self, Store};
use crate::worker::{Did, Worker};
use indicatif::{ProgressBar, ProgressStyle};
use std::time::Duration;

/// Arguments of `baton reindex`.
#[derive(Debug, Clone, clap::Args)]
pub struct Arguments {
    /// Which database
    #[command(flatten)]
    pub store: StoreArgs,
    /// Make the rows of every parameter again, also where none are known to be missing
    #[arg(long)]
    pub all: bool,
}

/// Runs until all rows are there.
///
/// # Errors
/// One sentence for the operator.
pub async fn run(arguments: Arguments) -> Result<()> {
    let settings = Settings::load(&arguments.store.into())?;
    let how = store::Settings::new(&settings.database_url);
    if Store::is_held(&how) {
        if arguments.all {
            return Err(Error::invalid("a server is using the database; stop it first, then run baton reindex --all"));
        }
        println!("A server is using the database and does the work; this shows how far it is.");
        return follow(&Store::open_to_read(&how).await?).await;
    }
    let opened = open::server(&settings, &settings.root(settings.listen), arguments.all).await?;
    let worker = Worker::new(opened.engine, 0);
    let done = work(&opened.store, &worker).await;
    opened.store.close().await;
    done
}

async fn work(store: &Store, worker: &Worker) -> Result<()> {
    let bar = bar();
    while show(&bar, &store.parameters().await?) {
        match worker.step(Instant::now()).await? {
            Did::Something => {}
            Did::Waits | Did::Nothing => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    }
    finish(&bar);
    Ok(())
}

async fn follow(store: &Store) -> Result<()> {
    let bar = bar();
    while show(&bar, &store.parameters().await?) {
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    finish(&bar);
    Ok(())
}

fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:32} {percent:>3} %  {pos}/{len}  {elapsed}  {msg}");
    ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// Whether anything is left.
fn show(bar: &ProgressBar, rows: &Parameters) -> bool {
    let open: Vec<_> = rows.list.iter().filter_map(|p| Some((p.name.as_str(), p.walk.as_ref()?))).collect();
    let Some((name, walk)) = open.first() else { return false };
    bar.set_length(walk.total);
    bar.set_position(walk.done);
    bar.set_message(if open.len() == 1 { (*name).to_string() } else { format!("{name} and {} more", open.len() - 1) });
    true
}

fn finish(bar: &ProgressBar) {
    bar.finish_and_clear();
    println!("All rows of the search are there.");
}
