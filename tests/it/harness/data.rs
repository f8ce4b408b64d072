//! The real data that `BATON_TEST_DATA` points at: NDJSON files, one resource or Bundle a line.

use super::{required, skipped};
use flate2::read::GzDecoder;
use std::io::Read;
use std::path::PathBuf;

/// The folder, when the variable is set.
pub fn folder() -> Option<PathBuf> {
    let folder = PathBuf::from(std::env::var_os("BATON_TEST_DATA")?);
    assert!(folder.is_dir(), "BATON_TEST_DATA names no folder: {}", folder.display());
    Some(folder)
}

/// The lines of one file of the folder; `None` when there is no folder, which is said aloud.
pub fn lines(file: &str) -> Option<Vec<String>> {
    let Some(folder) = folder() else {
        assert!(!required("data"), "BATON_TEST_REQUIRE asks for data and BATON_TEST_DATA is not set");
        skipped("real data", "BATON_TEST_DATA is not set");
        return None;
    };
    let path = folder.join(file);
    let packed = std::fs::File::open(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut text = String::new();
    GzDecoder::new(packed).read_to_string(&mut text).expect("gzip of UTF-8");
    Some(text.lines().map(str::to_string).collect())
}
