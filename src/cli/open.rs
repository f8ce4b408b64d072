//! From settings to an open database and the engine on it: what `serve`, `seed` and `demo` have in common.

use crate::access::{Labels, Policy};
use crate::auth::again::Door;
use crate::auth::bearer::LOCAL_CLIENT;
use crate::clock::Instant;
use crate::config::{Limits, Programme, Settings};
use crate::error::Result;
use crate::interaction::{Declared, Engine, Parts, Sources, Topics, declare, in_force};
use crate::outbound::fetch::Reach;
use crate::search::{Caps, Env, Live, registry};
use crate::store::audit::Happening;
use crate::store::{self, Audit, Store};
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
        labels: Arc::new(Labels::load(settings.profiles.as_deref())?),
        ..store::Settings::new(&settings.database_url)
    };
    Store::open(&how).await
}

/// Puts on record that an operator changed something on the machine itself. `on`: what, such as `client app`.
pub fn note(store: &Store, what: Happening, on: String, why: &str) {
    let mut row = Audit::happening(what, Instant::now(), LOCAL_CLIENT, "", 200).because(why);
    row.detail.on = on;
    store.note(row);
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

/// Opens all of it, for a command that runs beside servers: what the settings leave open is as the servers have it. `root`:
/// `Settings::root` of the bound address.
///
/// # Errors
/// `Fault` or `Invalid` with a sentence for the operator: the database, or a profile that is wrong.
pub async fn engine(settings: &Settings, root: &str) -> Result<Opened> {
    let says_nothing = settings.profiles.is_none() && settings.zone.is_none();
    let files = settings.profiles.as_deref().map(|dir| registry::files(Some(dir))).transpose()?;
    let declared = Declared { files, zone: settings.zone.clone(), all: false };
    open(settings, root, (!says_nothing).then_some(declared)).await
}

/// Opens all of it, for a server: its profiles are put in force. `all`: the rows of all resources are to be made again.
///
/// # Errors
/// As [`engine`].
pub async fn server(settings: &Settings, root: &str, all: bool) -> Result<Opened> {
    let files = Some(registry::files(settings.profiles.as_deref())?);
    open(settings, root, Some(Declared { files, zone: settings.zone.clone(), all })).await
}

async fn open(settings: &Settings, root: &str, declared: Option<Declared>) -> Result<Opened> {
    let is_server = declared.is_some();
    let store = store(settings).await?;
    store.renew_labels().await?;
    let env = Env { caps: caps(&settings.limits), ..Env::utc(&format!("{root}/fhir")) };
    let active = declare(&store, &env, declared).await?;
    let env = active.env.clone();
    let live = Arc::new(Live::new(active));
    let policy = Arc::new(Policy::load(settings.profiles.as_deref())?);
    let sources = Sources {
        profiles: settings.profiles.clone(),
        packages: settings.packages.clone(),
        unknown_profile: settings.unknown_profile,
        is_on: settings.programme == Programme::On,
    };
    let (programme, conformance) = in_force(&store, &live, &env, &sources, is_server).await?;
    let parts = Parts {
        store: store.clone(),
        live,
        programme,
        conformance,
        sources,
        policy: Arc::clone(&policy),
        env,
        limits: settings.limits.clone(),
        references: settings.references,
        delete_referenced: settings.delete_referenced,
        terminology_server: settings.terminology_server.as_deref().map(crate::outbound::fhir_base).transpose()?,
        topics: Topics::load(settings.profiles.as_deref())?,
        reach: if settings.is_this_machine_only() { Reach::Local } else { Reach::Public },
        door: Door::of(settings),
    };
    Ok(Opened { store, policy, engine: Engine::new(parts).await? })
}
