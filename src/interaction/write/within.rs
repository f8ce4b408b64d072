//! Criteria against what a Bundle itself brings: a conditional reference may name a resource of the same transaction.
//!
//! Not for: what the database holds (`Tx::find`). Chains and `_has` need it and match nothing here.
//! Source: <https://hl7.org/fhir/R4/http.html#trules>, step 5.

use crate::fhir::Target;
use crate::search::{Cond, Rows};

/// Whether a resource that is found by `rows` meets a condition.
pub(super) fn meets(cond: &Cond, target: &Target, rows: &Rows) -> bool {
    match cond {
        Cond::Exact(keys) => keys.iter().any(|key| rows.exact.binary_search(key).is_ok()),
        Cond::Range { key, lo, hi } => {
            rows.range.iter().any(|(k, l, h)| k == key && within(*l, *lo) && within(*h, *hi))
        }
        Cond::Text { key, text, anywhere } => rows
            .text
            .iter()
            .any(|(k, t)| k == key && if *anywhere { t.contains(text.as_str()) } else { t.starts_with(text.as_str()) }),
        Cond::Present { param, present } => {
            let facts: serde_json::Value = serde_json::from_str(&rows.facts).unwrap_or_default();
            facts.get(param).is_some() == *present
        }
        Cond::Ids(ids) => ids.contains(&target.id),
        Cond::Not(inner) => !meets(inner, target, rows),
        Cond::Any(all) => all.iter().any(|c| meets(c, target, rows)),
        Cond::All(all) => all.iter().all(|c| meets(c, target, rows)),
        Cond::Updated { .. } | Cond::Chain { .. } | Cond::Has { .. } => false,
    }
}

fn within(value: i64, (low, high): (Option<i64>, Option<i64>)) -> bool {
    low.is_none_or(|l| value >= l) && high.is_none_or(|h| value <= h)
}
