//! CodeSystems, ValueSets and ConceptMaps of packages, as they were read: what terminology operations ask for.
//!
//! Kept as text without narrative, and read again for each question: a guide has hundreds of value sets, and few are ever asked for.

use super::version_key;
use crate::fhir::json::{self, Json};
use std::collections::HashMap;

const TYPES: [&str; 3] = ["CodeSystem", "ConceptMap", "ValueSet"];

/// Resources by canonical URL.
#[derive(Debug, Default)]
pub(super) struct Shelf(HashMap<Box<str>, Vec<Kept>>);

#[derive(Debug)]
struct Kept {
    rtype: &'static str,
    version: Box<str>,
    bytes: Box<[u8]>,
}

impl Shelf {
    /// Keeps a resource of terminology that has a URL. Of two of one URL and version the first one stays.
    pub(super) fn add(&mut self, resource: &Json) {
        let Some(rtype) = TYPES.into_iter().find(|rtype| *rtype == resource["resourceType"].text()) else { return };
        let (url, version) = (resource["url"].text(), resource["version"].text());
        if url.is_empty() {
            return;
        }
        let list = self.0.entry(url.into()).or_default();
        if list.iter().any(|kept| kept.rtype == rtype && *kept.version == *version) {
            return;
        }
        let mut bare = resource.clone();
        bare.remove("text");
        list.push(Kept { rtype, version: version.into(), bytes: bare.to_bytes().into() });
        list.sort_by_key(|kept| std::cmp::Reverse(version_key(Some(&kept.version))));
    }

    /// A resource; without a version the highest.
    pub(super) fn find(&self, rtype: &str, url: &str, version: Option<&str>) -> Option<Json> {
        let fits = |kept: &&Kept| kept.rtype == rtype && version.is_none_or(|v| *kept.version == *v);
        json::parse_with(&self.0.get(url)?.iter().find(fits)?.bytes, &json::Limits::STORED).ok()
    }

    /// The code systems.
    pub(super) fn systems(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter(|(_, list)| list.iter().any(|kept| kept.rtype == "CodeSystem")).map(|(url, _)| &**url)
    }
}
