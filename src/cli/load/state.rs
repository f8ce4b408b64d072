//! What is in already. Towards a server: a text file of the items' keys, a line an answer, so that a crash of the loader
//! loses at most its last line. For a database: the keys in its audit, which this only holds.

use std::collections::HashSet;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Keys of the items that need no second try.
pub struct State {
    known: Arc<HashSet<String>>,
    file: Option<(PathBuf, File)>,
}

impl State {
    /// Reads what an interrupted load left; with `restart` forgets it.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub fn open(path: &Path, restart: bool) -> Result<Self, String> {
        let text = if restart { String::new() } else { std::fs::read_to_string(path).unwrap_or_default() };
        let known = text.lines().map(str::to_string).collect();
        let mut options = File::options();
        let file = options.create(true).write(true).append(!restart).truncate(restart).open(path);
        let file = file.map_err(|e| format!("{}: {e}", path.display()))?;
        Ok(Self { known: Arc::new(known), file: Some((path.to_path_buf(), file)) })
    }

    /// For a database, which notes by itself.
    pub fn known(known: Arc<HashSet<String>>) -> Self {
        Self { known, file: None }
    }

    /// Whether an earlier run had this item.
    pub fn has(&self, key: &str) -> bool {
        self.known.contains(key)
    }

    /// Notes that an item was answered.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn note(&mut self, key: &str) -> Result<(), String> {
        match &mut self.file {
            Some((path, file)) => writeln!(file, "{key}").map_err(|e| format!("{}: {e}", path.display())),
            None => Ok(()),
        }
    }

    /// The load is through: a file has nothing to go on with.
    ///
    /// # Errors
    /// The file cannot be removed.
    pub fn finish(self) -> Result<(), String> {
        match self.file {
            Some((path, _)) => std::fs::remove_file(&path).map_err(|e| format!("{}: {e}", path.display())),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::State;

    #[test]
    fn a_second_run_knows_what_the_first_one_noted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        let mut first = State::open(&path, false).unwrap();
        assert!(!first.has("load-2"));
        first.note("load-2").unwrap();
        drop(first);
        assert!(State::open(&path, false).unwrap().has("load-2"));
        let emptied = State::open(&path, true).unwrap();
        assert!(!emptied.has("load-2"));
        emptied.finish().unwrap();
        assert!(!path.exists());
    }
}
