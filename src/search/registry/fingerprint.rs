//! What R4's own parameters extract, as one short text a type: when it changes, the rows of that type are made again.

use super::{R4, Registry};
use crate::fhir::ResourceType;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Raised by whoever changes what a value leaves as rows (`search/param`, `fulltext`, `extract`) without changing a definition.
const EXTRACTION: u32 = 3;

impl Registry {
    /// Type → fingerprint of its slots in R4's table.
    #[must_use]
    pub fn fingerprints() -> BTreeMap<&'static str, String> {
        let of = |rtype: ResourceType| {
            let mut text = EXTRACTION.to_string();
            for slot in R4.entry(rtype).map_or(&[][..], |e| &e.slots) {
                write!(text, "{slot:?}").ok(); // a String takes everything
            }
            let hash = Sha256::digest(text);
            hash.iter().take(6).map(|b| format!("{b:02x}")).collect::<String>()
        };
        ResourceType::all().map(|rtype| (rtype.as_str(), of(rtype))).collect()
    }
}
