//! From settings to an open database and the engine on it: what `serve`, `seed` and `demo` have in common.

use crate::access::Policy;
use crate::config::{AuthMode, Limits, Settings};
use crate::error::Result;
use crate::interaction::{Engine, Parts};
use crate::search::registry::{self, Extra};
use crate::search::{Active, Caps, Env, Live, Registry};
use crate::store::{self, Store};
use crate::workflow::Programme;
use std::sync::Arc;

/// An engine and what it is made of.
pub struct Opened {
    /// The database.
    pub store: Store,
    /// The role matrix.
    pub policy: Arc<Policy>,
    /// The one door.
    pub engine: Engine,
}

/// Opens the database, bringing its schema up to date.
///
/// # Errors
/// `Fault` with a sentence for the operator.
pub async fn store(settings: &Settings) -> Result<Store> {
    let limits = &settings.limits;
    let connections = u32::try_from(limits.database_connections).unwrap_or(u32::MAX);
    let how = store::Settings {
        readers: connections,
        writers: connections,
        cache_bytes: Limits::size(limits.cache_bytes),
        queue: Limits::size(limits.write_queue),
        query_ms: limits.query_seconds.saturating_mul(1000),
        page_seconds: i64::try_from(limits.page_seconds).unwrap_or(i64::MAX),
        ..store::Settings::new(&settings.database_url)
    };
    Store::open(&how).await
}

fn caps(limits: &Limits) -> Caps {
    Caps {
        count_default: Limits::size(limits.count_default),
        count_max: Limits::size(limits.count_max),
        parameters: Limits::size(limits.search_parameters),
        values: Limits::size(limits.search_values),
        chain: Limits::size(limits.chain_depth),
        has: Limits::size(limits.has_depth),
    }
}

/// Opens all of it. `root`: `Settings::root` of the bound address.
///
/// # Errors
/// `Fault` or `Invalid` with a sentence for the operator: the database, or a profile that is wrong.
pub async fn engine(settings: &Settings, root: &str) -> Result<Opened> {
    let store = store(settings).await?;
    let env = Env { caps: caps(&settings.limits), ..Env::utc(&format!("{root}/fhir")) };
    let live = Arc::new(Live::new(active(settings, &env)?));
    let policy = Arc::new(Policy::load(settings.profiles.as_deref())?);
    let secret = store.secret("workflow").await?;
    let programme = Programme::load(settings.profiles.as_deref(), Arc::clone(&live), env.clone(), &secret)?;
    let parts = Parts {
        store: store.clone(),
        live,
        programme,
        policy: Arc::clone(&policy),
        env,
        limits: settings.limits.clone(),
        references: settings.references,
        has_auth: settings.auth != AuthMode::Off,
    };
    Ok(Opened { store, policy, engine: Engine::new(parts).await? })
}

fn active(settings: &Settings, env: &Env) -> Result<Active> {
    let files = registry::files(settings.profiles.as_deref())?;
    let extras: Vec<Extra> =
        files.into_iter().map(|(name, resource)| Extra { name, resource, building: None }).collect();
    let made = Registry::with_extras(&extras);
    let zone = settings.zone.as_deref().and_then(|z| jiff::tz::TimeZone::get(z).ok());
    Ok(Active::new(0, made.registry, env.in_zone(zone.unwrap_or(jiff::tz::TimeZone::UTC))))
}
