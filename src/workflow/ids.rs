//! Derived ids: the same discharge, action or problem always gives the same logical id.
//!
//! For: everything the programme makes, so that a replay or a race meets on one row. Not for: what clients create.
//! Source: own rule, `src/decision/0006-derived-ids.md`.

use uuid::Uuid;

/// UUIDv5 of `parts` in a namespace that only this database knows: nobody can guess the id from the parts.
///
/// No part can run into the next: `["a", "bc"]` and `["ab", "c"]` differ.
#[must_use]
pub fn derived(secret: &str, parts: &[&str]) -> String {
    let namespace = Uuid::new_v5(&Uuid::NAMESPACE_OID, secret.as_bytes());
    let mut name = Vec::with_capacity(96);
    for part in parts {
        name.extend_from_slice(part.as_bytes());
        name.push(0xff); // no UTF-8 text holds it
    }
    Uuid::new_v5(&namespace, &name).to_string()
}

#[cfg(test)]
mod tests {
    use super::derived;

    #[test]
    fn the_same_parts_give_the_same_id_and_others_another() {
        let id = derived("s", &["episode", "1"]);
        assert_eq!(id, derived("s", &["episode", "1"]));
        for (secret, parts) in [("s", ["episode", "2"]), ("t", ["episode", "1"]), ("s", ["episode1", ""])] {
            assert_ne!(id, derived(secret, &parts));
        }
        assert_eq!(id.len(), 36);
    }
}
