//! Which search parameters are in force: from rows of the database to a snapshot, and what a posted one changes.
//!
//! R4's own are always there. Those of `profiles/search` are declared by a starting server, the posted ones by whoever may
//! write SearchParameters; the database holds them all, so that every node searches and extracts alike.
//! Not for: making rows (`worker/reindex.rs`).
//! Source: <https://hl7.org/fhir/R4/searchparameter.html>.

use super::House;
use crate::error::{Error, Issue, Kind, Result};
use crate::fhir::resource::known;
use crate::fhir::{Json, ResourceType, Target, json};
use crate::search::registry::{Building, Extra, Made, Rows4};
use crate::search::{Active, Env, Registry};
use crate::store::parameter::{Parameter, Parameters, R4, Walk};
use crate::store::{Store, Tx, Work};
use futures_util::future::BoxFuture;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What of R4's own parameters is being made again: the body of the row [`R4`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Again {
    /// All rows of these types.
    pub types: Vec<String>,
    /// Rows of dates were made in these zones.
    pub zones: Vec<String>,
}

/// The setting that lists zones which were in force before: dead versions may have rows of them.
pub(crate) const ZONES: &str = "zones-before";

/// Reads [`ZONES`].
pub(crate) fn zones_before(setting: Option<String>) -> Vec<String> {
    setting.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
}

/// What a starting server says.
#[derive(Debug, Clone, Default)]
pub struct Declared {
    /// (name, resource) of `profiles/search`; `None`: as before.
    pub files: Option<Vec<(String, Json)>>,
    /// Zone, when a setting names one.
    pub zone: Option<String>,
    /// Makes the rows of everything again.
    pub all: bool,
}

/// Puts in force what a starting server says; `None`: takes what is in force, and says something only where nothing is yet.
///
/// # Errors
/// `Invalid` with all parameters that cannot be used, each with its name.
pub async fn declare(store: &Store, env: &Env, declared: Option<Declared>) -> Result<Active> {
    let known = store.parameters().await?;
    if declared.is_some() || known.list.is_empty() {
        let declared = declared.unwrap_or_default();
        let lock = store.keys().hash(&["search-parameters"]);
        store.write(Declare { declared, lock }).await?;
    }
    Ok(assemble(&store.parameters().await?, env))
}

struct Declare {
    declared: Declared,
    lock: i64,
}

impl Work for Declare {
    type Out = ();

    fn run<'a>(&'a self, tx: &'a mut Tx) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.declare(tx))
    }

    fn locks(&self) -> Vec<i64> {
        vec![self.lock]
    }
}

impl Declare {
    async fn declare(&self, tx: &mut Tx) -> Result<()> {
        let before = tx.parameters().await?;
        let is_unused = tx.is_unused().await?;
        let mut wanted: Vec<(String, Json)> = match &self.declared.files {
            Some(files) => files.clone(),
            None if before.list.is_empty() => crate::search::registry::files(None)?,
            None => Vec::new(),
        };
        let is_kept =
            |p: &&Parameter| p.name.starts_with("SearchParameter/") || self.declared.files.is_none() && p.name != R4;
        let posted = before.list.iter().filter(is_kept);
        wanted.extend(posted.filter_map(|p| Some((p.name.clone(), json::parse(p.body.as_bytes()).ok()?))));
        let made = made(&wanted);
        if !made.refused.is_empty() {
            let name = |n: usize| wanted.get(n).map_or("", |w| w.0.as_str());
            let issue = |(n, i): (usize, Issue)| Issue { diagnostics: format!("{}: {}", name(n), i.diagnostics), ..i };
            return Err(Error::with_issues(Kind::Invalid, made.refused.into_iter().map(issue).collect()));
        }
        let mut has_changed = false;
        for ((name, resource), slots) in wanted.iter().zip(&made.slots) {
            has_changed |= put(tx, &before, name, resource, slots, is_unused).await?;
        }
        for gone in before.list.iter().filter(|p| p.name != R4 && !wanted.iter().any(|(name, _)| *name == p.name)) {
            tracing::warn!(parameter = gone.name, "a search parameter is no longer in profiles/search");
            tx.remove_parameter(&gone.name).await?;
            has_changed = true;
        }
        has_changed |= self.r4(tx, &before, is_unused).await?;
        if has_changed { tx.next_generation().await } else { Ok(()) }
    }

    /// Compares zone and table with those that the rows were made with.
    async fn r4(&self, tx: &mut Tx, before: &Parameters, is_unused: bool) -> Result<bool> {
        let old_zone = before.zone.clone().unwrap_or_else(|| "UTC".into());
        let zone = self.declared.zone.clone().unwrap_or_else(|| old_zone.clone());
        let types = Registry::fingerprints();
        let stored: BTreeMap<String, String> =
            tx.setting("search-types").await?.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
        let row = before.list.iter().find(|p| p.name == R4);
        let mut again: Again = match row {
            Some(row) if row.walk.is_some() => serde_json::from_str(&row.body).unwrap_or_default(),
            _ => Again::default(),
        };
        let was = again.clone();
        if !is_unused {
            let differ = types.iter().filter(|(t, hash)| self.declared.all || stored.get(**t) != Some(hash));
            again.types.extend(differ.map(|(t, _)| (*t).to_string()));
            again.types.sort();
            again.types.dedup();
            if zone != old_zone && !again.zones.contains(&old_zone) {
                again.zones.push(old_zone.clone());
            }
        }
        let is_known = before.zone.as_ref() == Some(&zone)
            && stored.iter().map(|(t, h)| (t.as_str(), h)).eq(types.iter().map(|(t, h)| (*t, h)));
        if row.is_some() && is_known && again == was {
            return Ok(false);
        }
        if again != was {
            tracing::warn!(
                zone,
                old_zone,
                types = again.types.len(),
                "rows of the search are made again; see $reindex-status"
            );
        }
        if zone != old_zone && !is_unused {
            let mut zones = zones_before(tx.setting(ZONES).await?);
            zones.push(old_zone);
            zones.sort();
            zones.dedup();
            tx.set_setting(ZONES, &text(&zones)?).await?;
        }
        tx.set_setting("zone", &zone).await?;
        tx.set_setting("search-types", &text(&types)?).await?;
        let walk = (again != Again::default()).then(Walk::default);
        let row = Parameter { name: R4.into(), body: text(&again)?, slots: String::new(), walk };
        tx.put_parameter(&row).await?;
        Ok(true)
    }
}

fn text<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|e| Error::fault("it is JSON").caused_by(e))
}

fn made(wanted: &[(String, Json)]) -> Made {
    let extra =
        |(name, resource): &(String, Json)| Extra { name: name.clone(), resource: resource.clone(), building: None };
    Registry::with_extras(&wanted.iter().map(extra).collect::<Vec<_>>())
}

/// Writes a parameter's row where it differs. Rows of resources that are there already stay there.
async fn put(
    tx: &mut Tx,
    before: &Parameters,
    name: &str,
    resource: &Json,
    slots: &[String],
    is_unused: bool,
) -> Result<bool> {
    let body = String::from_utf8(resource.to_bytes()).map_err(|e| Error::fault("JSON is UTF-8").caused_by(e))?;
    let slots = slots.join(" ");
    let old = before.list.iter().find(|p| p.name == name);
    if old.is_some_and(|p| p.body == body && p.slots == slots) {
        return Ok(false);
    }
    let walk = match old.filter(|p| p.slots == slots) {
        Some(same) => same.walk.clone(),
        None => (!slots.is_empty() && !is_unused).then(Walk::default),
    };
    tx.put_parameter(&Parameter { name: name.into(), body, slots, walk }).await?;
    Ok(true)
}

/// The snapshot that rows of the database stand for.
pub(crate) fn assemble(rows: &Parameters, env: &Env) -> Active {
    let mut building = Vec::new();
    let mut extras = Vec::new();
    let mut r4 = None;
    for row in &rows.list {
        let progress = row.walk.as_ref().map(|walk| {
            let progress = Arc::new(Building::default());
            progress.set(walk.done, walk.total);
            building.push((row.name.clone(), Arc::clone(&progress)));
            progress
        });
        if row.name == R4 {
            r4 = progress.map(|p| (serde_json::from_str::<Again>(&row.body).unwrap_or_default(), p));
        } else if let Ok(resource) = json::parse(row.body.as_bytes()) {
            extras.push(Extra { name: row.name.clone(), resource, building: progress });
        }
    }
    let made = Registry::with_extras(&extras);
    for (n, issue) in &made.refused {
        let name = extras.get(*n).map_or("", |e| e.name.as_str());
        tracing::error!(parameter = name, why = issue.diagnostics, "a search parameter of the database cannot be used");
    }
    let mut registry = made.registry;
    if let Some((again, progress)) = r4 {
        let types: Vec<ResourceType> = again.types.iter().filter_map(|t| ResourceType::parse(t)).collect();
        registry = registry.rebuilding(&types, Rows4::All, &progress);
        if !again.zones.is_empty() {
            registry = registry.rebuilding(&ResourceType::all().collect::<Vec<_>>(), Rows4::Dates, &progress);
        }
    }
    let zone = rows.zone.as_deref().and_then(|z| TimeZone::get(z).ok()).unwrap_or(TimeZone::UTC);
    let is_file = |e: &Extra| !e.name.starts_with("SearchParameter/");
    let own = extras.into_iter().filter(is_file).map(|e| e.resource).collect();
    Active { building, own, ..Active::new(rows.generation, registry, env.in_zone(zone)) }
}

impl House {
    /// Looks whether other parameters are in force by now, or the work on them went on.
    pub(crate) async fn refresh(&self) -> Result<Parameters> {
        let rows = self.store.parameters().await?;
        let active = self.active();
        if rows.generation > active.generation {
            self.live.advance(assemble(&rows, &self.env));
        } else {
            for (name, progress) in &active.building {
                if let Some(walk) = rows.list.iter().find(|p| p.name == *name).and_then(|p| p.walk.as_ref()) {
                    progress.set(walk.done, walk.total);
                }
            }
        }
        Ok(rows)
    }

    /// Sees that what a transaction extracts is by the parameters that are in force for it.
    pub(crate) async fn in_tx(&self, tx: &mut Tx) -> Result<()> {
        let generation = tx.generation();
        if self.active().generation < generation {
            let rows = tx.parameters().await?;
            let rows = Parameters { generation: rows.generation.max(generation), ..rows };
            self.live.advance(assemble(&rows, &self.env));
        }
        Ok(())
    }

    /// Puts in force what a transaction wrote of SearchParameters: active ones from now on, others no longer.
    ///
    /// # Errors
    /// `Unprocessable` with the reason when an active one cannot be used.
    pub(crate) async fn publish(&self, tx: &mut Tx, written: &[(&Target, Option<&Json>)]) -> Result<()> {
        if written.is_empty() {
            return Ok(());
        }
        tx.lock(&[self.keys.hash(&["search-parameters"])]).await?;
        let before = tx.parameters().await?;
        let now = |target: &Target| written.iter().rfind(|(t, _)| *t == target).and_then(|(_, json)| *json);
        let is_active = |json: &&Json| json["status"].text() == "active";
        let mut wanted: Vec<(String, Json)> = Vec::new();
        for p in before.list.iter().filter(|p| p.name != R4) {
            if !written.iter().any(|(t, _)| t.to_string() == p.name)
                && let Ok(resource) = json::parse(p.body.as_bytes())
            {
                wanted.push((p.name.clone(), resource));
            }
        }
        let kept = wanted.len();
        let mut gone = Vec::new();
        for (target, _) in written {
            let name = target.to_string();
            match now(target).filter(is_active) {
                Some(json) if !wanted.iter().any(|(n, _)| *n == name) => {
                    let mut resource = json.clone();
                    resource.remove("meta"); // what does not change the search changes nothing
                    wanted.push((name, resource));
                }
                Some(_) => {}
                None => gone.push(name),
            }
        }
        let made = made(&wanted);
        let mine: Vec<Issue> = made.refused.into_iter().filter(|(n, _)| *n >= kept).map(|(_, issue)| issue).collect();
        if !mine.is_empty() {
            return Err(Error::with_issues(Kind::Unprocessable, mine));
        }
        let mut has_changed = false;
        for ((name, resource), slots) in wanted.iter().zip(&made.slots).skip(kept) {
            has_changed |= put(tx, &before, name, resource, slots, false).await?;
        }
        for name in gone {
            if before.list.iter().any(|p| p.name == name) {
                tx.remove_parameter(&name).await?;
                has_changed = true;
            }
        }
        if has_changed { tx.next_generation().await } else { Ok(()) }
    }
}

/// Whether a write of this type may change the search parameters.
pub(crate) fn concerns(rtype: ResourceType) -> bool {
    rtype == known("SearchParameter")
}
