//! `metadata?mode=terminology`: which code systems are known here, and what the terminology operations can do.
//!
//! Not for: the operations.
//! Source: <https://hl7.org/fhir/R4/terminologycapabilities.html>.

use crate::access::Limit;
use crate::error::Result;
use crate::fhir::resource::known;
use crate::fhir::{Json, definition};
use crate::interaction::House;
use crate::interaction::operation::table::{On, rows};
use crate::interaction::published::{self, DATED};
use crate::search::{Active, Cond, Plan};
use bytes::Bytes;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Stored code systems that are listed at most.
const MOST: usize = 1_000;

/// The TerminologyCapabilities of this moment.
///
/// # Errors
/// Those of the store.
pub(super) async fn capabilities(house: &House, active: &Active) -> Result<Bytes> {
    let rtype = known("CodeSystem");
    let mut systems: BTreeSet<String> = definition::code_systems().map(str::to_owned).collect();
    systems.extend(house.conformance.profiles().code_systems().map(str::to_owned));
    systems.extend(published::of_type(house, active, rtype).map(|p| p.json["url"].text().to_owned()));
    let plan = Plan { types: vec![rtype], cond: Cond::All(Vec::new()), sort: Vec::new(), count: MOST, total: false };
    // What every caller may read.
    for stored in house.store.search(&Limit::Directory, &plan, None).await?.rows {
        systems.extend(stored.json()?["url"].as_str().map(str::to_owned));
    }
    let mut statement = json!({
        "resourceType": "TerminologyCapabilities",
        "id": "baton",
        "url": format!("{}/metadata?mode=terminology", house.env.base),
        "version": env!("CARGO_PKG_VERSION"),
        "name": "BatonTerminology",
        "title": "Baton: terminology",
        "status": "active",
        "date": DATED,
        "kind": "instance",
        "software": {"name": "Baton", "version": env!("CARGO_PKG_VERSION")},
        "implementation": {"description": "Baton", "url": house.env.base},
        "codeSystem": systems.iter().map(|uri| json!({"uri": uri})).collect::<Vec<_>>(),
        "codeSearch": "all",
    });
    if let Some(expand) = rows().find(|r| r.on == On::Type("ValueSet") && r.name == "expand") {
        let parameters: Vec<Value> =
            expand.takes.iter().map(|p| json!({"name": p.name, "documentation": p.text})).collect();
        statement["expansion"] = json!({
            "hierarchical": false,
            "paging": true,
            "incomplete": false,
            "parameter": parameters,
            "textFilter": "The words of the filter, in any order, each the beginning of a word of code, display or designation; letters of either case.",
        });
        statement["validateCode"] = json!({"translations": false});
        statement["translation"] = json!({"needsMap": true});
        statement["closure"] = json!({"translation": false});
    }
    Ok(Json::from(statement).to_bytes().into())
}
