//! The numbers that name what is searched: 62-bit keys of one database.
//!
//! A key is a keyed hash of a path-like text, `"Task.status|requested"`. References add two numbers,
//! `param("Task.patient") + target("Patient/1")`, so that SQL can join a chain: the sum of two 62-bit numbers does not
//! overflow 63 bits. The hash key is random and kept in the database, so nobody can craft a collision.
//!
//! The number of a resource that the server named stands in its id, sealed, so that the id looks like any random UUID: it
//! grows with time, and what is written together lies together in every index that begins with it. A random number would
//! touch a page of the file for each resource and each reference. See `src/decision/0012-numbers-in-ids.md`.

use crate::clock::Instant;
use crate::fhir::ResourceType;
use siphasher::sip::SipHasher13;
use std::hash::Hasher;
use uuid::Uuid;

/// The hash key of one database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keys(pub u64, pub u64);

const MASK: u64 = (1 << 62) - 1;
const HALF: u64 = (1 << 61) - 1;
/// Numbers in ids are below, hashes of other ids are at or above.
const NUMBERS: i64 = 1 << 61;

/// The number of a new resource: 47 bits of time since 2020 in units of 16 µs, 6 of the node, 8 of the type.
///
/// Who calls sees to it that no `tick` is used twice by one node.
#[must_use]
pub fn number(tick: i64, node: i64, rtype: ResourceType) -> i64 {
    ((tick << 14) | ((node & 0x3f) << 8) | i64::from(rtype.0)) & HALF.cast_signed()
}

/// The tick of a time.
#[must_use]
pub fn tick(at: Instant) -> i64 {
    const START: i64 = 1_577_836_800_000_000; // 2020-01-01, µs
    (at.0 - START).max(0) / 16
}

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

    /// Key of `version.self_key`: one resource. The number in its id, or else a hash above all such numbers.
    #[must_use]
    pub fn target(&self, rtype: &str, id: &str) -> i64 {
        let named = self.unseal(id).filter(|n| ResourceType::parse(rtype).is_some_and(|t| n & 0xff == i64::from(t.0)));
        named.unwrap_or_else(|| self.hash(&["@", rtype, id]) | NUMBERS)
    }

    /// The id of a resource with this number: version 4 to look at, and to guess.
    ///
    /// Four rounds of Feistel over the number and a tag that only this database can make.
    #[must_use]
    pub fn seal(&self, number: i64) -> String {
        let (mut left, mut right) = (number.cast_unsigned() & HALF, self.tag(number));
        for round in 0..4 {
            (left, right) = (right, left ^ self.round(round, right));
        }
        let bits = (u128::from(left) << 61) | u128::from(right);
        let (high, middle, low) = (bits >> 74, (bits >> 62) & 0xfff, bits & ((1 << 62) - 1));
        Uuid::from_u128((high << 80) | (4 << 76) | (middle << 64) | (2 << 62) | low).to_string()
    }

    /// The number in an id that [`Keys::seal`] made.
    fn unseal(&self, id: &str) -> Option<i64> {
        // Ids tell case apart; the parser does not.
        if id.len() != 36 || id.bytes().any(|b| b.is_ascii_uppercase()) {
            return None;
        }
        let uuid = Uuid::try_parse(id).ok()?.as_u128();
        if (uuid >> 76) & 0xf != 4 || (uuid >> 62) & 3 != 2 {
            return None;
        }
        let bits = ((uuid >> 80) << 74) | (((uuid >> 64) & 0xfff) << 62) | (uuid & ((1 << 62) - 1));
        let half = |bits: u128| u64::try_from(bits & u128::from(HALF)).unwrap_or(0);
        let (mut left, mut right) = (half(bits >> 61), half(bits));
        for round in (0..4).rev() {
            (left, right) = (right ^ self.round(round, left), left);
        }
        let number = left.cast_signed();
        (self.tag(number) == right).then_some(number)
    }

    fn round(&self, round: u8, half: u64) -> u64 {
        let mut h = SipHasher13::new_with_keys(self.0, self.1);
        h.write_u8(round);
        h.write_u64(half);
        h.finish() & HALF
    }

    fn tag(&self, number: i64) -> u64 {
        self.round(0xff, number.cast_unsigned())
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

    /// Key of a client in its organisation: `version.org` of its Subscriptions, which are not all of the organisation's.
    #[must_use]
    pub fn hooks(&self, client: &str, org: &str) -> i64 {
        self.hash(&["hooks", client, org]).max(1)
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

    /// Number of a canonical, `url` or `url|version`: a reference by it has this in the place of [`Keys::target`].
    #[must_use]
    pub fn canonical(&self, text: &str) -> i64 {
        self.hash(&["|", text]) | NUMBERS
    }

    /// Key in `idx_range` of the canonicals that a resource is known by; `lo` and `hi` are [`Keys::canonical`].
    #[must_use]
    pub fn canonicals(&self) -> i64 {
        self.hash(&["canonicals"])
    }

    /// Key of a reference parameter that points at a resource of this server: joins with `version.self_key`.
    #[must_use]
    pub fn reference(&self, rtype: &str, param: &str, target_type: &str, target_id: &str) -> i64 {
        self.param(rtype, param) + self.target(target_type, target_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEYS: Keys = Keys(1, 2);

    #[test]
    fn a_reference_key_is_the_sum_that_sql_joins_by() {
        let keys = KEYS;
        assert_eq!(
            keys.reference("Task", "patient", "Patient", "1"),
            keys.param("Task", "patient") + keys.target("Patient", "1")
        );
    }

    fn patient() -> ResourceType {
        ResourceType::parse("Patient").expect("a type")
    }

    proptest! {
        #[test]
        fn the_number_in_an_id_is_the_key_of_its_resource(time in 0_i64..1 << 47, node in 0_i64..64) {
            let number = number(time, node, patient());
            let id = KEYS.seal(number);
            prop_assert_eq!(KEYS.target("Patient", &id), number);
            prop_assert_eq!(Uuid::parse_str(&id).map(|u| u.get_version_num()), Ok(4));
            prop_assert!(KEYS.target("Group", &id) >= NUMBERS, "the same id of another type is another resource");
            prop_assert!(KEYS.target("Patient", &id.to_uppercase()) >= NUMBERS || !id.contains(char::is_alphabetic));
            prop_assert!(Keys(1, 3).target("Patient", &id) >= NUMBERS, "another database's id");
        }

        #[test]
        fn an_id_that_only_looks_like_one_has_a_hash(bits in any::<u128>(), time in 0_i64..1 << 47, at in 0_usize..36) {
            prop_assert!(KEYS.target("Patient", &Uuid::from_u128(bits).to_string()) >= NUMBERS);
            let mut id = KEYS.seal(number(time, 1, patient())).into_bytes();
            id[at] = if id[at] == b'0' { b'1' } else { b'0' };
            prop_assert!(KEYS.target("Patient", &String::from_utf8_lossy(&id)) >= NUMBERS);
        }

        #[test]
        fn numbers_grow_with_time(a in 0_i64..1 << 47, b in 0_i64..1 << 47, x in 0_i64..64, y in 0_i64..64) {
            prop_assert!(a >= b || number(a, x, patient()) < number(b, y, patient()));
        }
    }
}
