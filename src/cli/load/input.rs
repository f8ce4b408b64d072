//! Files into items: one of a `.json`, one a line of an `.ndjson`, packed or not.

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use indicatif::ProgressBar;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use tokio::sync::mpsc;

/// One file to load.
#[derive(Debug, Clone)]
pub struct Source {
    /// Where it is.
    pub path: PathBuf,
    /// Its size as it lies there, for the progress bar.
    pub bytes: u64,
}

/// One Bundle or resource.
#[derive(Debug)]
pub struct Item {
    /// Line of an `.ndjson`, from 1; 1 for a `.json`.
    pub number: u64,
    /// The JSON as it stands in the file.
    pub body: Bytes,
}

/// The name without `.gz`, and whether it had it.
fn plain_name(path: &Path) -> (String, bool) {
    let name = path.file_name().map(|n| n.to_string_lossy().to_lowercase()).unwrap_or_default();
    match name.strip_suffix(".gz") {
        Some(plain) => (plain.to_string(), true),
        None => (name, false),
    }
}

fn is_loadable(path: &Path) -> bool {
    let (name, _) = plain_name(path);
    name.ends_with(".json") || name.ends_with(".ndjson")
}

/// The files to load, in the order given; a folder stands for the loadable files in it, by name.
///
/// # Errors
/// A path that does not exist, a file of another kind, a folder without a file to load.
pub fn sources(paths: &[PathBuf]) -> Result<Vec<Source>, String> {
    let mut files = Vec::new();
    for path in paths {
        let about = std::fs::metadata(path).map_err(|e| format!("{}: {e}", path.display()))?;
        if !about.is_dir() {
            if !is_loadable(path) {
                return Err(format!("{}: not .json, .ndjson or .gz of these", path.display()));
            }
            files.push(path.clone());
            continue;
        }
        let entries = std::fs::read_dir(path).map_err(|e| format!("{}: {e}", path.display()))?;
        let mut inside: Vec<_> =
            entries.flatten().map(|e| e.path()).filter(|p| p.is_file() && is_loadable(p)).collect();
        if inside.is_empty() {
            return Err(format!("{}: no .json, .ndjson or .gz in this folder", path.display()));
        }
        inside.sort();
        files.append(&mut inside);
    }
    let size = |path: PathBuf| {
        let bytes = std::fs::metadata(&path).map_err(|e| format!("{}: {e}", path.display()))?.len();
        Ok(Source { path, bytes })
    };
    files.into_iter().map(size).collect()
}

/// Reads a file on a thread of its own, at most `ahead` items before they are taken; `bar` follows the bytes read.
pub fn read(source: &Source, ahead: usize, bar: ProgressBar) -> mpsc::Receiver<Result<Item, String>> {
    let (sender, receiver) = mpsc::channel(ahead.max(1));
    let path = source.path.clone();
    tokio::task::spawn_blocking(move || {
        if let Err(e) = read_into(&path, bar, &sender) {
            // Nobody waits for the message any more when the load was stopped.
            drop(sender.blocking_send(Err(format!("{}: {e}", path.display()))));
        }
    });
    receiver
}

fn read_into(path: &Path, bar: ProgressBar, sender: &mpsc::Sender<Result<Item, String>>) -> std::io::Result<()> {
    let (name, is_packed) = plain_name(path);
    let file = bar.wrap_read(File::open(path)?);
    let plain: Box<dyn Read> = if is_packed { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
    let mut reader = BufReader::with_capacity(1 << 16, plain);
    if name.ends_with(".json") {
        let mut body = Vec::new();
        reader.read_to_end(&mut body)?;
        drop(sender.blocking_send(Ok(Item { number: 1, body: body.into() })));
        return Ok(());
    }
    for number in 1.. {
        let mut line = Vec::new();
        if reader.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let blank = line.iter().all(u8::is_ascii_whitespace);
        if !blank && sender.blocking_send(Ok(Item { number, body: line.into() })).is_err() {
            break;
        }
    }
    Ok(())
}
