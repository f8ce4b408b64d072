//! What a search needs to read before it can search: value sets, code systems, a List.
//!
//! Everything is read through the caller's limit and at the moment of the search, so that its pages agree.
//! Source: <https://hl7.org/fhir/R4/search.html#token>, `#list`. Own rule: of several resources with one canonical URL the
//! active one that was written last is meant, unless the version is named. The programme's own (`profiles/codes`), those of
//! packages and those of R4's required bindings are there without being stored.

use crate::access::Limit;
use crate::error::Result;
use crate::fhir::resource::known;
use crate::fhir::{Json, ResourceType, Target, definition};
use crate::interaction::{House, published};
use crate::search::query;
use crate::search::terminology::{self, Codes, Known, Library, Need, Stop, Terms, Wanted, canonical};
use crate::search::{Cond, Plan};
use crate::store::Moment;
use std::sync::Arc;

/// Resources that one query reads at most.
const MOST: usize = 64;
/// Resources of one canonical URL that are looked at.
const VERSIONS: usize = 50;

/// Answers to the needs of a query.
///
/// # Errors
/// Those of the store; what is not there is an answer.
pub(in crate::interaction) async fn answer(house: &House, limit: &Limit, needs: &[Need], at: &Moment) -> Result<Terms> {
    let mut library = Library::new();
    let mut terms = Terms::new();
    for need in needs {
        let found = loop {
            match terminology::answer(need, &library) {
                Err(Stop::Wanted(_)) if library.len() >= MOST && need.is_optional() => {
                    break Ok(Known::Codes(Codes::default()));
                }
                Err(Stop::Wanted(_)) if library.len() >= MOST => {
                    break Err(Stop::Costly(format!("it takes more than {MOST} value sets and code systems")));
                }
                Err(Stop::Wanted(wanted)) => {
                    let json = read(house, limit, &wanted, Some(at)).await?;
                    library.insert(wanted, json);
                }
                done => break done,
            }
        };
        terms.insert(need.clone(), found);
    }
    Ok(terms)
}

/// The resource that is meant; `None` where it is not here. `at`: the moment of a search.
///
/// # Errors
/// Those of the store.
pub(in crate::interaction) async fn read(
    house: &House,
    limit: &Limit,
    wanted: &Wanted,
    at: Option<&Moment>,
) -> Result<Option<Arc<Json>>> {
    let (rtype, address) = match wanted {
        Wanted::ValueSet(address) => ("ValueSet", address),
        Wanted::CodeSystem(address) => ("CodeSystem", address),
        Wanted::ConceptMap(address) => ("ConceptMap", address),
        Wanted::List(id) => ("List", id),
    };
    let literal = match wanted {
        Wanted::List(id) => Some(id.as_str()),
        Wanted::ValueSet(address) => address.strip_prefix("ValueSet/"),
        Wanted::CodeSystem(address) => address.strip_prefix("CodeSystem/"),
        Wanted::ConceptMap(address) => address.strip_prefix("ConceptMap/"),
    };
    let rtype = known(rtype);
    let (url, version) = canonical(address);
    let cond = match literal {
        Some(id) => Cond::Ids(vec![id.into()]),
        None => {
            let (url, active) = (url.replace('\\', r"\\").replace(',', r"\,"), house.active());
            query::criteria(&active.registry, &house.keys, rtype, &[("url".into(), url)], &active.env)?
        }
    };
    let plan = Plan { types: vec![rtype], cond, sort: Vec::new(), count: VERSIONS, total: false };
    let page = match at {
        Some(at) => house.store.search_at(limit, &plan, None, at).await?,
        None => house.store.search(limit, &plan, None).await?,
    };
    let rows = page.rows;
    let mut best: Option<Json> = None;
    for row in &rows {
        let json = row.json()?;
        let fits = literal.is_some() || version.is_none_or(|v| json["version"].text() == v);
        let is_active = |json: &Json| json["status"].text() == "active";
        // Newest first: an active one is better than a newer one that is not.
        if fits && best.as_ref().is_none_or(|b| is_active(&json) && !is_active(b)) {
            best = Some(json);
        }
    }
    if let (Wanted::List(_), Some(list)) = (wanted, best.as_mut()) {
        make_relative(list, &house.env.base);
    }
    Ok(match (best, literal) {
        (Some(best), _) => Some(Arc::new(best)),
        (None, None) => built_in(house, rtype, url, version),
        (None, Some(id)) => {
            let active = house.active();
            published::at(house, &active, &Target::new(rtype, id)).map(|p| Arc::clone(&p.json))
        }
    })
}

/// What is there without being stored: of the programme, of packages, and of R4's required bindings.
fn built_in(house: &House, rtype: ResourceType, url: &str, version: Option<&str>) -> Option<Arc<Json>> {
    let of_r4 = || match rtype.as_str() {
        "CodeSystem" => definition::code_system(url),
        "ValueSet" => definition::value_set(url),
        _ => None,
    };
    let is_it = |r: &Arc<Json>| version.is_none_or(|v| r["version"].text() == v);
    let of_packages = || house.conformance.profiles().term(rtype.as_str(), url, version).map(Arc::new);
    house.programme.term(rtype.as_str(), url, version).or_else(of_packages).or_else(|| of_r4().filter(is_it))
}

/// References to this server without its address.
fn make_relative(list: &mut Json, base: &str) {
    let Some(entries) = list.get_mut("entry") else { return };
    for entry in entries.items_mut() {
        let Some(item) = entry.get_mut("item") else { continue };
        let own =
            item["reference"].text().strip_prefix(base).and_then(|rest| rest.strip_prefix('/')).map(str::to_owned);
        if let Some(own) = own {
            item.set("reference", own);
        }
    }
}
