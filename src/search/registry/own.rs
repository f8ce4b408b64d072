//! The search parameters that R4 lacks and the programme needs, as SearchParameter resources of `profiles/search`.

use crate::fhir::Json;

const FILES: [&str; 4] = [
    include_str!("../../../profiles/search/detectedissue-severity.json"),
    include_str!("../../../profiles/search/detectedissue-status.json"),
    include_str!("../../../profiles/search/encounter-discharge-disposition.json"),
    include_str!("../../../profiles/search/task-due.json"),
];

/// The embedded ones. They are Baton's own texts, so `serde_json` may read them.
pub(super) fn embedded() -> Vec<Json> {
    FILES.iter().filter_map(|text| serde_json::from_str::<serde_json::Value>(text).ok()).map(Json::from).collect()
}
