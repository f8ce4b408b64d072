//! Packages of definitions: npm-style `.tgz` files and folders, as guides are published.
//!
//! What a package may take is bounded, since a site gets them from others: nothing is written to disk, one file at a time
//! is in memory, and what does not fit ends with a sentence that names the package and the file.
//! Source: <https://hl7.org/fhir/R4/packages.html> and the package format that it refers to: definitions are the `.json`
//! files right in the folder `package`.

use crate::fhir::json::{self, Json};
use crate::fhir::profile::{Complaint, Loader};
use flate2::read::GzDecoder;
use std::ffi::OsStr;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Bytes of one file at most (own limit; the largest of R4's own package has 4 MiB).
const MAX_FILE: u64 = 32 << 20;
/// Files of all packages at most.
const MAX_FILES: usize = 100_000;
/// Bytes of all packages at most, unpacked.
const MAX_BYTES: u64 = 2 << 30;
/// Depth and length of texts: narratives of guides are long.
const JSON: json::Limits = json::Limits { depth: 128, string_bytes: 32 << 20 };

/// What may still be read.
#[derive(Debug)]
pub struct Budget {
    pub(super) files: usize,
    pub(super) bytes: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Self { files: MAX_FILES, bytes: MAX_BYTES }
    }
}

type Outcome = Result<(), Complaint>;

/// Reads a package into the loader: a `.tgz`, a folder with `package/` in it, a folder of `.json` files, or a folder of
/// packages.
///
/// # Errors
/// The first thing that is wrong, with package and file. What was read before it is in the loader, which is then of no use.
pub fn read(path: &Path, loader: &mut Loader, budget: &mut Budget) -> Outcome {
    let name = path.display().to_string();
    if path.is_file() {
        return if is_archive(path) {
            archive(path, loader, budget)
        } else {
            Err(wrong(&name, "this is no .tgz file and no folder"))
        };
    }
    if !path.is_dir() {
        return Err(wrong(&name, "there is no such file or folder; the setting packages names it"));
    }
    if path.join("package").is_dir() {
        return folder(&path.join("package"), loader, budget);
    }
    let entries = list(path)?;
    let (mut found, has_definitions) = (0, entries.iter().any(|e| is_json(e)));
    if has_definitions {
        return folder(path, loader, budget);
    }
    for entry in entries.iter().filter(|e| is_archive(e) || e.join("package").is_dir()) {
        found += 1;
        read(entry, loader, budget)?;
    }
    match found {
        0 => Err(wrong(&name, "there is no package in this folder: no .tgz, no folder 'package', no .json")),
        _ => Ok(()),
    }
}

fn wrong(file: &str, text: impl Into<String>) -> Complaint {
    Complaint { file: file.into(), text: text.into(), is_fatal: true }
}

fn is_archive(path: &Path) -> bool {
    let name = path.file_name().map(OsStr::to_string_lossy).unwrap_or_default();
    path.is_file() && (name.ends_with(".tgz") || name.ends_with(".tar.gz"))
}

fn is_json(path: &Path) -> bool {
    path.is_file() && path.extension().is_some_and(|e| e == "json") && !is_hidden(path)
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'))
}

/// A folder's entries by name, so that every start reads alike.
fn list(dir: &Path) -> Result<Vec<PathBuf>, Complaint> {
    let unreadable = |e: std::io::Error| wrong(&dir.display().to_string(), format!("cannot be read: {e}"));
    let mut entries = std::fs::read_dir(dir)
        .map_err(unreadable)?
        .map(|e| e.map(|e| e.path()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(unreadable)?;
    entries.sort();
    Ok(entries)
}

fn folder(dir: &Path, loader: &mut Loader, budget: &mut Budget) -> Outcome {
    for path in list(dir)?.iter().filter(|e| is_json(e)) {
        let name = path.display().to_string();
        let unreadable = |e: std::io::Error| wrong(&name, format!("cannot be read: {e}"));
        let file = std::fs::File::open(path).map_err(unreadable)?;
        let size = file.metadata().map_err(unreadable)?.len();
        take(&name, size, file, loader, budget)?;
    }
    Ok(())
}

fn archive(path: &Path, loader: &mut Loader, budget: &mut Budget) -> Outcome {
    let name = path.display().to_string();
    let unreadable = |e: std::io::Error| wrong(&name, format!("is no readable .tgz: {e}"));
    let file = std::fs::File::open(path).map_err(unreadable)?;
    // A gzip bomb is a stream that ends early: what is over the budget is never unpacked.
    let left = budget.bytes;
    let mut tar = tar::Archive::new(GzDecoder::new(std::io::BufReader::new(file)).take(left));
    let mut seen = 0_u64;
    for entry in tar.entries().map_err(unreadable)? {
        let mut entry = match entry {
            Err(_) if seen >= left.saturating_sub(1024) => return Err(too_much(&name)),
            entry => entry.map_err(unreadable)?,
        };
        let inside = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let size = entry.size();
        seen = seen.saturating_add(size).saturating_add(512);
        let file = format!("{name}!{inside}");
        if seen > left {
            return Err(too_much(&file));
        }
        if inside.starts_with('/') || inside.split(['/', '\\']).any(|part| part == "..") {
            return Err(wrong(&file, "this path leads out of the package"));
        }
        let parts: Vec<&str> = inside.split('/').filter(|part| *part != ".").collect();
        let ["package", own] = parts.as_slice() else { continue };
        if !entry.header().entry_type().is_file() || !own.ends_with(".json") || own.starts_with('.') {
            continue;
        }
        // The bytes are counted once, here or there.
        budget.bytes = budget.bytes.saturating_add(size);
        take(&file, size, &mut entry, loader, budget)?;
    }
    budget.bytes = budget.bytes.saturating_sub(seen);
    Ok(())
}

fn too_much(file: &str) -> Complaint {
    wrong(file, format!("the packages have more than {} MiB unpacked", MAX_BYTES >> 20))
}

/// Reads one file of a package.
fn take(file: &str, size: u64, mut from: impl Read, loader: &mut Loader, budget: &mut Budget) -> Outcome {
    if size > MAX_FILE {
        return Err(wrong(file, format!("has {size} bytes; at most {MAX_FILE} are read")));
    }
    budget.files = budget
        .files
        .checked_sub(1)
        .ok_or_else(|| wrong(file, format!("the packages have more than {MAX_FILES} files")))?;
    budget.bytes = budget.bytes.checked_sub(size).ok_or_else(|| too_much(file))?;
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
    from.by_ref().take(MAX_FILE).read_to_end(&mut bytes).map_err(|e| wrong(file, format!("cannot be read: {e}")))?;
    let text = bytes.strip_prefix(b"\xef\xbb\xbf".as_slice()).unwrap_or(&bytes);
    let resource = json::parse_with(text, &JSON).map_err(|why| wrong(file, why.to_string()))?;
    if file.ends_with("package.json") && resource.get("resourceType").is_none() {
        return manifest(file, &resource);
    }
    loader.add_of_package(file, &resource);
    Ok(())
}

/// A package says for which FHIR it is.
fn manifest(file: &str, manifest: &Json) -> Outcome {
    let versions = match manifest.get("fhirVersions").or_else(|| manifest.get("fhir-version-list")) {
        Some(versions) => versions.items(),
        None => return Ok(()),
    };
    let is_r4 = |version: &Json| version.text().starts_with("4.0");
    if versions.is_empty() || versions.iter().any(is_r4) {
        return Ok(());
    }
    let named: Vec<&str> = versions.iter().map(Json::text).collect();
    Err(wrong(file, format!("the package is for FHIR {}, and Baton is R4 (4.0.1)", named.join(", "))))
}
