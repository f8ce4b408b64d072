//! Files into items: one of a `.json`, one a line of an `.ndjson`, packed or not.

use super::database::MARK;
use crate::fhir::Json;
use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use indicatif::ProgressBar;
use sha2::{Digest, Sha256};
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
    /// Says whether an earlier run had it: hash of the content and the number, safe as a request id.
    pub key: String,
}

impl Item {
    fn new(number: u64, body: Vec<u8>, salt: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(salt.as_bytes());
        hash.update(b"\0");
        hash.update(body.trim_ascii());
        let digest = hash.finalize();
        let hex: String = digest.iter().take(16).map(|b| format!("{b:02x}")).collect();
        Self { number, body: body.into(), key: format!("{MARK}{hex}-{number}") }
    }
}

/// What an item asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Kind {
    /// A transaction Bundle.
    Transaction,
    /// A batch Bundle.
    Batch,
    /// A resource without an id, of this type.
    Create(String),
    /// A resource with an id.
    Update(String, String),
}

impl Kind {
    /// Reads an item.
    ///
    /// # Errors
    /// A sentence: not JSON, or no resource.
    pub fn of(body: &[u8]) -> Result<(Self, Json), String> {
        let json = crate::fhir::json::parse(body).map_err(|e| e.to_string())?;
        let (rtype, id) = (json["resourceType"].text(), json["id"].text());
        let kind = match (rtype, json["type"].text(), id) {
            ("", _, _) => return Err("not a FHIR resource: no resourceType".into()),
            ("Bundle", "transaction", _) => Self::Transaction,
            ("Bundle", "batch", _) => Self::Batch,
            (rtype, _, "") => Self::Create(rtype.into()),
            (rtype, _, id) => Self::Update(rtype.into(), id.into()),
        };
        Ok((kind, json))
    }
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

/// Files of providers come first in a folder: what patients are loaded with refers to them. `hospitalInformation…` and
/// `practitionerInformation…` are Synthea's names.
fn is_provider_file(path: &Path) -> bool {
    let (name, _) = plain_name(path);
    ["provider", "organization", "organisation", "practitioner", "hospital", "location"]
        .iter()
        .any(|w| name.contains(w))
}

/// The files to load, in the order given; a folder stands for the loadable files in it: providers first, then by name.
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
        inside.sort_by_cached_key(|path| (!is_provider_file(path), path.clone()));
        files.append(&mut inside);
    }
    let size = |path: PathBuf| {
        let bytes = std::fs::metadata(&path).map_err(|e| format!("{}: {e}", path.display()))?.len();
        Ok(Source { path, bytes })
    };
    files.into_iter().map(size).collect()
}

/// Reads a file on a thread of its own, at most `ahead` items before they are taken; `bar` follows the bytes read, `salt`
/// goes into the keys.
pub fn read(source: &Source, salt: String, ahead: usize, bar: ProgressBar) -> mpsc::Receiver<Result<Item, String>> {
    let (sender, receiver) = mpsc::channel(ahead.max(1));
    let path = source.path.clone();
    tokio::task::spawn_blocking(move || {
        if let Err(e) = read_into(&path, &salt, bar, &sender) {
            // Nobody waits for the message any more when the load was stopped.
            drop(sender.blocking_send(Err(format!("{}: {e}", path.display()))));
        }
    });
    receiver
}

fn read_into(
    path: &Path,
    salt: &str,
    bar: ProgressBar,
    sender: &mpsc::Sender<Result<Item, String>>,
) -> std::io::Result<()> {
    let (name, is_packed) = plain_name(path);
    let file = bar.wrap_read(File::open(path)?);
    let plain: Box<dyn Read> = if is_packed { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
    let mut reader = BufReader::with_capacity(1 << 16, plain);
    if name.ends_with(".json") {
        let mut body = Vec::new();
        reader.read_to_end(&mut body)?;
        drop(sender.blocking_send(Ok(Item::new(1, body, salt))));
        return Ok(());
    }
    for number in 1.. {
        let mut line = Vec::new();
        if reader.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let blank = line.iter().all(u8::is_ascii_whitespace);
        if !blank && sender.blocking_send(Ok(Item::new(number, line, salt))).is_err() {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_tells_content_place_and_sender_apart_and_not_the_line_end() {
        let key = |number, text: &str, salt| Item::new(number, text.as_bytes().to_vec(), salt).key;
        assert_eq!(key(1, "{}\n", "a"), key(1, "{}", "a"));
        let others = [key(2, "{}", "a"), key(1, "{ }", "a"), key(1, "{}", "b")];
        assert!(others.iter().all(|other| *other != key(1, "{}", "a")));
        assert!(key(u64::MAX, "{}", "a").len() + ".5000".len() <= 64, "it fits as a request id");
    }

    #[test]
    fn what_an_item_asks_for_is_read_from_its_type_and_id() {
        for (text, kind) in [
            (r#"{"resourceType":"Bundle","type":"transaction"}"#, Kind::Transaction),
            (r#"{"resourceType":"Bundle","type":"batch","id":"x"}"#, Kind::Batch),
            (r#"{"resourceType":"Bundle","type":"document"}"#, Kind::Create("Bundle".into())),
            (r#"{"resourceType":"Patient"}"#, Kind::Create("Patient".into())),
            (r#"{"resourceType":"Patient","id":"p"}"#, Kind::Update("Patient".into(), "p".into())),
        ] {
            assert_eq!(Kind::of(text.as_bytes()).unwrap().0, kind, "{text}");
        }
        assert!(Kind::of(b"{}").is_err() && Kind::of(b"no").is_err());
    }

    #[test]
    fn a_folder_gives_providers_first() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["patients-1.json", "providers.ndjson.gz", "a.json", "hospitalInformation7.json", "note.txt"] {
            std::fs::write(dir.path().join(name), "{}").unwrap();
        }
        let found = sources(&[dir.path().to_path_buf()]).unwrap();
        let names: Vec<_> = found.iter().map(|s| s.path.file_name().unwrap().to_string_lossy().into_owned()).collect();
        assert_eq!(names, ["hospitalInformation7.json", "providers.ndjson.gz", "a.json", "patients-1.json"]);
    }
}
