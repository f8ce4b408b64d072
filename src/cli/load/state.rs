//! What was answered already: a text file, a line an answer, so that a crash of the loader loses at most its last line.
//!
//! `file <sha256 of target URL and file>` opens a section, each number below it is an item that needs no second try.

use super::input::Source;
use sha2::{Digest, Sha256};
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// The open state file.
pub struct State {
    path: PathBuf,
    target: String,
    known: HashMap<String, HashSet<u64>>,
    file: File,
}

impl State {
    /// Reads what an interrupted load left; with `restart` forgets it.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub fn open(path: &Path, target: &str, restart: bool) -> Result<Self, String> {
        let fault = |e: std::io::Error| format!("{}: {e}", path.display());
        let text = if restart { String::new() } else { std::fs::read_to_string(path).unwrap_or_default() };
        let mut known: HashMap<String, HashSet<u64>> = HashMap::new();
        let mut section = String::new();
        for line in text.lines() {
            if let Some(hash) = line.strip_prefix("file ") {
                section = hash.to_string();
            } else if let Ok(number) = line.parse() {
                known.entry(section.clone()).or_default().insert(number);
            }
        }
        let mut options = File::options();
        let file = options.create(true).write(true).append(!restart).truncate(restart).open(path).map_err(fault)?;
        Ok(Self { path: path.to_path_buf(), target: target.to_string(), known, file })
    }

    /// Opens the section of a file; returns the items that were answered before. The file is known by its content, so
    /// that a changed one starts anew.
    ///
    /// # Errors
    /// The file cannot be read, the state file cannot be written.
    pub fn begin(&mut self, source: &Source) -> Result<HashSet<u64>, String> {
        let fault = |e: std::io::Error| format!("{}: {e}", source.path.display());
        let mut hash = Sha256::new();
        hash.update(self.target.as_bytes());
        let mut file = File::open(&source.path).map_err(fault)?;
        let mut block = vec![0; 1 << 16];
        loop {
            match file.read(&mut block).map_err(fault)? {
                0 => break,
                n => hash.update(block.get(..n).unwrap_or_default()),
            }
        }
        let name: String = hash.finalize().iter().map(|b| format!("{b:02x}")).collect();
        self.line(&format!("file {name}"))?;
        Ok(self.known.get(&name).cloned().unwrap_or_default())
    }

    /// Notes that an item of the open section was answered.
    ///
    /// # Errors
    /// The state file cannot be written.
    pub fn note(&mut self, number: u64) -> Result<(), String> {
        self.line(&number.to_string())
    }

    fn line(&mut self, text: &str) -> Result<(), String> {
        writeln!(self.file, "{text}").map_err(|e| format!("{}: {e}", self.path.display()))
    }

    /// The load is through: nothing to go on with.
    ///
    /// # Errors
    /// The state file cannot be removed.
    pub fn finish(self) -> Result<(), String> {
        std::fs::remove_file(&self.path).map_err(|e| format!("{}: {e}", self.path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::{Source, State};

    #[test]
    fn a_second_run_knows_what_the_first_one_noted_for_the_same_file_and_target() {
        let dir = tempfile::tempdir().unwrap();
        let (path, data) = (dir.path().join("state"), dir.path().join("a.ndjson"));
        std::fs::write(&data, "{}\n{}\n").unwrap();
        let source = Source { path: data, bytes: 6 };
        let mut first = State::open(&path, "http://a", false).unwrap();
        assert!(first.begin(&source).unwrap().is_empty());
        first.note(2).unwrap();
        drop(first);
        assert_eq!(State::open(&path, "http://a", false).unwrap().begin(&source).unwrap(), [2].into());
        assert!(State::open(&path, "http://b", false).unwrap().begin(&source).unwrap().is_empty());
        assert!(State::open(&path, "http://a", true).unwrap().begin(&source).unwrap().is_empty());
    }
}
