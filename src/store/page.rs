//! Pages: rows of one snapshot, and where the next page starts.

use super::Version;
use crate::error::{Error, Result};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// One page of a search or a history.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// Matches in order.
    pub rows: Vec<Version>,
    /// All matches, when asked for or known for free.
    pub total: Option<u64>,
    /// Where the next page starts; `None` on the last.
    pub next: Option<Cursor>,
}

/// Where a page starts: opaque to everyone but the store; letters, digits, `-` and `_`. `http` signs its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor(pub String);

/// A sort value of the last row of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SortValue {
    /// The row has none.
    Missing,
    /// Of `idx_range`.
    Int(i64),
    /// Of `idx_text`, `facts`, or the id.
    Text(String),
}

/// What a cursor says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// Which query it belongs to: hash of the plan and the caller's limit.
    pub query: i64,
    /// When the first page was made, µs.
    pub made: i64,
    /// The snapshot all pages are of: a pk (SQLite), a `pg_snapshot` (PostgreSQL).
    pub snapshot: String,
    /// All matches, when the first page counted them.
    pub total: Option<u64>,
    /// Sort values of the last row.
    pub after: Vec<SortValue>,
    /// Its pk.
    pub pk: i64,
}

impl Place {
    /// As text.
    pub fn to_cursor(&self) -> Cursor {
        let after: Vec<Value> = self
            .after
            .iter()
            .map(|v| match v {
                SortValue::Missing => Value::Null,
                SortValue::Int(n) => json!(n),
                SortValue::Text(s) => json!(s),
            })
            .collect();
        let place = json!([self.query, self.made, self.snapshot, self.total, after, self.pk]);
        Cursor(BASE64_URL_SAFE_NO_PAD.encode(place.to_string()))
    }

    /// Reads a cursor of the query `query`, at most `page_seconds` old.
    ///
    /// # Errors
    /// `Invalid` when it is not one, belongs to another query, or is too old.
    pub fn of(cursor: &Cursor, query: i64, now: i64, page_seconds: i64) -> Result<Self> {
        let place = Self::read(cursor).filter(|p| p.query == query).ok_or_else(|| {
            Error::invalid("this page link does not belong to this search; follow the links of its first page")
        })?;
        if now.saturating_sub(place.made) > page_seconds.saturating_mul(1_000_000) {
            return Err(Error::gone("this page link has expired; send the search again").code("expired"));
        }
        Ok(place)
    }

    /// The snapshot of a cursor, whatever query it belongs to.
    pub fn snapshot_of(cursor: &Cursor) -> Option<String> {
        Self::read(cursor).map(|place| place.snapshot)
    }

    fn read(cursor: &Cursor) -> Option<Self> {
        let text = BASE64_URL_SAFE_NO_PAD.decode(&cursor.0).ok()?;
        let Value::Array(parts) = serde_json::from_slice(&text).ok()? else { return None };
        let [query, made, snapshot, total, after, pk] = <[Value; 6]>::try_from(parts).ok()?;
        let after = after.as_array()?.iter().map(|v| match v {
            Value::Null => Some(SortValue::Missing),
            Value::String(s) => Some(SortValue::Text(s.clone())),
            n => n.as_i64().map(SortValue::Int),
        });
        Some(Self {
            query: query.as_i64()?,
            made: made.as_i64()?,
            snapshot: snapshot.as_str()?.to_string(),
            total: total.as_u64(),
            after: after.collect::<Option<_>>()?,
            pk: pk.as_i64()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_and_refuses_another_query_and_old_age() {
        let place = Place {
            query: 5,
            made: 1_000_000,
            snapshot: "10:20:10,14".into(),
            total: Some(3),
            after: vec![SortValue::Missing, SortValue::Int(-4), SortValue::Text("ä".into())],
            pk: i64::MAX - 1,
        };
        let cursor = place.to_cursor();
        assert_eq!(Place::of(&cursor, 5, 2_000_000, 60).ok(), Some(place));
        assert!(Place::of(&cursor, 6, 2_000_000, 60).is_err());
        assert!(Place::of(&cursor, 5, 62_000_000, 60).is_err());
        assert!(Place::of(&Cursor("%%".into()), 5, 0, 60).is_err());
    }
}
