//! Which files are meant, and the resources in them.

use flate2::read::MultiGzDecoder;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// One resource of a file.
pub(super) struct Item {
    /// The line that it starts at, from 1.
    pub(super) line: u32,
    /// As it stands in the file.
    pub(super) text: Vec<u8>,
}

/// The name without `.gz`, in small letters, and whether it had it.
fn plain(path: &Path) -> (String, bool) {
    let name = path.file_name().map(|n| n.to_string_lossy().to_lowercase()).unwrap_or_default();
    match name.strip_suffix(".gz") {
        Some(plain) => (plain.to_owned(), true),
        None => (name, false),
    }
}

fn is_known(path: &Path) -> bool {
    let (name, _) = plain(path);
    name.ends_with(".json") || name.ends_with(".ndjson")
}

/// Whether a folder is one that `--profiles` could name.
pub(super) fn is_profile_folder(path: &Path) -> bool {
    path.join("protocol").is_dir() || path.join("policy").is_dir()
}

/// The file, or all files below the folder, by name.
///
/// # Errors
/// A sentence: nothing there, or nothing that can be checked.
pub(super) fn sources(path: &Path) -> Result<Vec<PathBuf>, String> {
    let about = std::fs::metadata(path).map_err(|e| format!("{}: {e}", path.display()))?;
    if about.is_dir() {
        let mut found = Vec::new();
        below(path, &mut found).map_err(|e| format!("{}: {e}", path.display()))?;
        found.sort();
        if found.is_empty() {
            return Err(format!("{}: no .json, .ndjson or .gz of these in this folder", path.display()));
        }
        return Ok(found);
    }
    if is_known(path) {
        return Ok(vec![path.to_path_buf()]);
    }
    Err(format!("{}: not .json, .ndjson or .gz of these", path.display()))
}

fn below(dir: &Path, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        // Links are not followed: one of them may lead back up.
        let kind = entry.file_type()?;
        let path = entry.path();
        if kind.is_dir() {
            below(&path, found)?;
        } else if kind.is_file() && is_known(&path) {
            found.push(path);
        }
    }
    Ok(())
}

/// Hands out the resources of a file: one of a `.json`, one a line of an `.ndjson`.
///
/// # Errors
/// What the file system or the unpacking says.
pub(super) fn each(path: &Path, take: &mut dyn FnMut(Item)) -> std::io::Result<()> {
    let (name, is_packed) = plain(path);
    let file = File::open(path)?;
    let plain: Box<dyn Read> = if is_packed { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
    let mut reader = BufReader::with_capacity(1 << 16, plain);
    if name.ends_with(".json") {
        let mut text = Vec::new();
        reader.read_to_end(&mut text)?;
        take(Item { line: 1, text });
        return Ok(());
    }
    for line in 1.. {
        let mut text = Vec::new();
        if reader.read_until(b'\n', &mut text)? == 0 {
            break;
        }
        text.truncate(text.trim_ascii_end().len());
        if !text.is_empty() {
            take(Item { line, text });
        }
    }
    Ok(())
}
