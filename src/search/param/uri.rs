//! URIs: the exact text; `:below` by beginning, `:above` by asking for each shorter path.
//!
//! A canonical `url|version` is also found by its `url`. Source: <https://hl7.org/fhir/R4/search.html#uri>.

use super::{Place, Sink};
use crate::fhir::Json;
use crate::search::fold::head;
use crate::search::plan::Cond;

const ROW: usize = 200;

pub(in crate::search) fn extract(value: &Json, sink: &mut Sink<'_>) {
    let Some(text) = value.as_str() else { return };
    sink.exact("uri", &[text]);
    if let Some((url, _)) = text.split_once('|') {
        sink.exact("uri", &[url]);
    }
    sink.rows.text.push((sink.place.key(), head(text, ROW).into()));
    sink.found.note(text);
}

pub(in crate::search) fn equal(place: &Place<'_>, value: &str) -> Vec<i64> {
    vec![place.exact("uri", &[value])]
}

/// `:below`: the URI itself, or one that continues it after a `/` (or after `|`, for versions of a canonical).
pub(in crate::search) fn below(place: &Place<'_>, value: &str) -> Result<Cond, String> {
    let base = value.trim_end_matches('/');
    if base.is_empty() || head(base, ROW - 1).len() < base.len() {
        return Err(format!("':below' takes a URI of 1 to {} characters", ROW - 1));
    }
    let begins = |end: &str| Cond::Text { key: place.key(), text: format!("{base}{end}"), anywhere: false };
    Ok(Cond::Any(vec![
        Cond::Exact(vec![place.exact("uri", &[base]), place.exact("uri", &[value])]),
        begins("/"),
        begins("|"),
    ]))
}

/// `:above`: the URI itself and each shorter path of it.
pub(in crate::search) fn above(place: &Place<'_>, value: &str) -> Vec<i64> {
    let root = value.find("://").map_or(0, |at| at + 3);
    let mut keys = vec![place.exact("uri", &[value])];
    for (at, _) in value.match_indices('/').filter(|(at, _)| *at >= root) {
        let (path, _) = value.split_at_checked(at).unwrap_or((value, ""));
        keys.push(place.exact("uri", &[path]));
        keys.push(place.exact("uri", &[value.get(..=at).unwrap_or(value)]));
    }
    keys.sort_unstable();
    keys.dedup();
    keys
}
