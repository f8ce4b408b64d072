//! Keys of the settings file, read strictly: an unknown one is refused, with the nearest that there is.

use crate::error::{Error, Result};
use std::path::{Path, PathBuf};

pub(super) fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path)
        .map_err(|e| Error::invalid(format!("the settings file {} cannot be read: {e}", path.display())).caused_by(e))
}

pub(super) fn text<'a>(table: &'a toml::Table, key: &str) -> Result<Option<&'a str>> {
    match table.get(key) {
        None => Ok(None),
        Some(toml::Value::String(s)) => Ok(Some(s)),
        Some(_) => Err(Error::invalid(format!("'{key}' in the settings file is a text: {key} = \"…\""))),
    }
}

/// One path, or a list of paths.
pub(super) fn paths(table: &toml::Table, key: &str) -> Result<Vec<PathBuf>> {
    let wrong = || Error::invalid(format!("'{key}' in the settings file is a list of paths: {key} = [\"…\"]"));
    match table.get(key) {
        None => Ok(Vec::new()),
        Some(toml::Value::String(path)) => Ok(vec![path.into()]),
        Some(toml::Value::Array(list)) => {
            list.iter().map(|path| path.as_str().map(PathBuf::from).ok_or_else(wrong)).collect()
        }
        Some(_) => Err(wrong()),
    }
}

pub(super) fn known_keys(table: &toml::Table, known: &[&str], prefix: &str) -> Result<()> {
    for key in table.keys() {
        if !known.contains(&key.as_str()) {
            let near = nearest(key, known).map_or_else(String::new, |n| format!("; did you mean '{prefix}{n}'?"));
            return Err(Error::invalid(format!("the settings file has the unknown key '{prefix}{key}'{near}")));
        }
    }
    Ok(())
}

/// The known name with the fewest edits, when that is fewer than half of the letters.
#[must_use]
pub fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let folded = name.to_ascii_lowercase().replace('_', "-");
    known
        .iter()
        .map(|k| (edits(&folded, k), *k))
        .min()
        .filter(|(distance, k)| distance * 2 < k.chars().count().max(folded.chars().count()))
        .map(|(_, k)| k)
}

/// Levenshtein distance.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut left = i + 1;
        let mut corner = i;
        let mut next = vec![left];
        for (y, &up) in b.iter().zip(row.iter().skip(1)) {
            left = (corner + usize::from(x != *y)).min(left + 1).min(up + 1);
            corner = up;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}
