//! The rows a resource is found by, and the hash keys that name them.
//!
//! Layout (see `migrations/`): `idx(key, pk)` for everything that is equal or not (token, reference, uri, exact string,
//! type); `idx_range(key, pk, lo, hi)` for dates, numbers, quantities; `idx_text(key, pk, text)` for strings.
//! `pk` of a version is its commit time in microseconds, so every index is also in `_lastUpdated` order.
//!
//! A key is a keyed 62-bit hash of a path-like text, `"Task.status|requested"`. References add two hashes,
//! `param("Task.patient") + target("Patient/1")`, so that SQL can join a chain: the sum of two 62-bit numbers does not
//! overflow 63 bits. The hash key is random and kept in the database, so nobody can craft a collision.

use siphasher::sip::SipHasher13;
use std::hash::Hasher;

/// The hash key of one database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keys(pub u64, pub u64);

const MASK: u64 = (1 << 62) - 1;

impl Keys {
    /// 62-bit hash of parts, none of which can run into the next.
    #[must_use]
    pub fn hash(&self, parts: &[&str]) -> i64 {
        let mut h = SipHasher13::new_with_keys(self.0, self.1);
        for part in parts {
            h.write(part.as_bytes());
            h.write_u8(0xff); // no UTF-8 text holds it
        }
        (h.finish() & MASK).cast_signed()
    }

    /// Key of `version.self_key`: one resource.
    #[must_use]
    pub fn target(&self, rtype: &str, id: &str) -> i64 {
        self.hash(&["@", rtype, id])
    }

    /// Key of all resources of a type: the row every version has.
    #[must_use]
    pub fn of_type(&self, rtype: &str) -> i64 {
        self.hash(&["#", rtype])
    }

    /// Key of an organisation: `version.org` and `share.org`. Never 0, which is the directory.
    #[must_use]
    pub fn org(&self, id: &str) -> i64 {
        self.hash(&["org", id]).max(1)
    }

    /// Key of a parameter as a whole (`idx_range`, `idx_text`, and the reference half).
    #[must_use]
    pub fn param(&self, rtype: &str, param: &str) -> i64 {
        self.hash(&["?", rtype, param])
    }

    /// Key of a parameter with one exact value. `form` keeps the token forms apart (`"code"`, `"system|code"`, …).
    #[must_use]
    pub fn exact(&self, rtype: &str, param: &str, form: &str, value: &[&str]) -> i64 {
        let mut h = SipHasher13::new_with_keys(self.0, self.1);
        for part in ["=", rtype, param, form].iter().chain(value) {
            h.write(part.as_bytes());
            h.write_u8(0xff);
        }
        (h.finish() & MASK).cast_signed()
    }

    /// Key of a reference parameter that points at a resource of this server: joins with `version.self_key`.
    #[must_use]
    pub fn reference(&self, rtype: &str, param: &str, target_type: &str, target_id: &str) -> i64 {
        self.param(rtype, param) + self.target(target_type, target_id)
    }
}

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

    #[test]
    fn a_reference_key_is_the_sum_that_sql_joins_by() {
        let keys = Keys(1, 2);
        assert_eq!(
            keys.reference("Task", "patient", "Patient", "1"),
            keys.param("Task", "patient") + keys.target("Patient", "1")
        );
    }
}
