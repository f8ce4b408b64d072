//! The rows a resource is found by.
//!
//! Layout (see `migrations/`): `idx(key, pk)` for everything that is equal or not (token, reference, uri, exact string,
//! type); `idx_range(key, pk, lo, hi)` for dates, numbers, quantities; `idx_text(key, pk, text)` for strings.
//! `pk` of a version is its commit time in microseconds, so every index is also in `_lastUpdated` order.

/// What one resource is found by. Sorted and without doubles when [`Rows::finish`] was called.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rows {
    /// `idx`.
    pub exact: Vec<i64>,
    /// `idx_range`: key, lowest, highest (inclusive, microseconds or ordered bits of a double).
    pub range: Vec<(i64, i64, i64)>,
    /// `idx_text`: key, folded text of at most 200 characters.
    pub text: Vec<(i64, String)>,
    /// `version.facts`: a JSON object, parameter code → sort value (≤ 64 characters; `""` when sorted by rows), of each
    /// parameter with a value. For `:missing` and for `_sort` on token, reference and uri.
    pub facts: String,
    /// `fulltext`
    pub words: Words,
}

/// What full text finds a resource by: folded words, each once, with single spaces between.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Words {
    /// Of the narrative.
    pub narrative: String,
    /// Of other texts for people, without those of the narrative.
    pub content: String,
}

impl Words {
    /// Whether there is none: then there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.narrative.is_empty() && self.content.is_empty()
    }

    /// Both, for `_content`.
    #[must_use]
    pub fn both(&self) -> [&str; 2] {
        [&self.narrative, &self.content]
    }
}

impl Rows {
    /// Sorts and removes doubles.
    pub fn finish(&mut self) {
        self.exact.sort_unstable();
        self.exact.dedup();
        self.range.sort_unstable();
        self.range.dedup();
        self.text.sort_unstable();
        self.text.dedup();
    }
}

/// Name in `facts` of the highest sort value of a parameter, where it is not the lowest too: `-param` sorts by it.
#[must_use]
pub fn highest(param: &str) -> String {
    format!("{param}+")
}

/// Maps a double to an integer of the same order, for `idx_range`.
#[must_use]
pub fn ordered(value: f64) -> i64 {
    let value = if value == 0.0 { 0.0 } else { value }; // -0 is 0
    let bits = value.to_bits().cast_signed();
    if bits < 0 { i64::MIN.wrapping_sub(bits).wrapping_sub(1) } else { bits }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordered_bits_keep_the_order_of_numbers() {
        let numbers = [f64::MIN, -2.5, -1e-9, 0.0, 1e-9, 1.0, 2.5, f64::MAX];
        assert!(numbers.windows(2).all(|w| ordered(w[0]) < ordered(w[1])));
        assert_eq!(ordered(-0.0), ordered(0.0));
    }
}
