//! The programme in force: read at start, read anew while the server runs, and swapped whole.
//!
//! For: SIGHUP and `$reload-profiles`. Everything is read and checked before anything is taken: one mistake, and what was in
//! force stays in force. An interaction that has begun ends by what it began with. Of this process alone: each process has
//! its own files. Not for: the search parameters of `profiles/search` and `policy/access.json`, which are checked here and
//! hold from the next start on.
//! Source: own rules in `profiles/protocol/README.md`.

use super::answer::Answer;
use super::request::Operation;
use super::{Engine, House};
use crate::access::scope::Action;
use crate::access::{Ctx, Policy, Role};
use crate::config::UnknownProfile;
use crate::conformance::Conformance;
use crate::error::{Error, Kind, Result};
use crate::fhir::resource::known;
use crate::fhir::{Json, json};
use crate::search::{Env, Live, registry};
use crate::store::{Audit, Store, Tx, Work};
use crate::workflow::Programme;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

/// Where the programme is read.
#[derive(Debug, Clone)]
pub struct Sources {
    /// The site's folder; `None`: what is built in.
    pub profiles: Option<PathBuf>,
    /// Packages of profiles that others publish.
    pub packages: Vec<PathBuf>,
    /// What becomes of a claim of an unknown profile.
    pub unknown_profile: UnknownProfile,
    /// Whether writes start what the programme calls for.
    pub is_on: bool,
}

/// The house in force, and the turn of who brings a new one.
pub(super) struct Slot {
    house: RwLock<Arc<House>>,
    turn: tokio::sync::Mutex<()>,
}

impl Slot {
    pub(super) fn new(house: Arc<House>) -> Self {
        Self { house: RwLock::new(house), turn: tokio::sync::Mutex::default() }
    }

    /// The lock is held for the copy of a pointer.
    fn now(&self) -> Arc<House> {
        Arc::clone(&self.house.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What a reload has put in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reloaded {
    /// Protocols that a new discharge may be followed up by, `url|version`.
    pub protocols: Vec<String>,
    /// Earlier versions, for episodes that began by them.
    pub kept: Vec<String>,
    /// Files that say something else than before, are new, or are gone.
    pub changed: Vec<String>,
}

/// Where the versions that were in force are kept, in `setting`.
const KEPT: &str = "protocols";

/// Reads and checks all of it, beside the protocols, activities and forms that were in force: running episodes go on by those.
/// `keeps`: what is in force now is kept for later.
///
/// # Errors
/// `Invalid` with file and element of each mistake; what the store says.
pub async fn in_force(
    store: &Store,
    live: &Arc<Live>,
    env: &Env,
    sources: &Sources,
    keeps: bool,
) -> Result<(Programme, Conformance)> {
    let secret = store.secret("workflow").await?;
    let kept = resources(store.setting(KEPT).await?)?;
    let (live, env, sources) = (Arc::clone(live), env.clone(), sources.clone());
    let read = move || {
        let mut programme = Programme::load_over(sources.profiles.as_deref(), live, env, &secret, &kept)?;
        programme.is_on = sources.is_on;
        let conformance = Conformance::load(&programme, &sources.packages, sources.unknown_profile)?;
        let is_more = programme.pinned().count() > kept.len();
        Ok::<_, Error>((programme, conformance, is_more))
    };
    let read = tokio::task::spawn_blocking(read).await;
    let (programme, conformance, is_more) =
        read.map_err(|e| Error::fault("the profiles were not read to their end").caused_by(e))??;
    if keeps && is_more {
        let pinned = programme.pinned().map(|r| Json::clone(r)).collect();
        store.write(Keep { pinned, lock: store.keys().hash(&[KEPT]) }).await?;
    }
    Ok((programme, conformance))
}

fn resources(setting: Option<String>) -> Result<Vec<Json>> {
    let Some(text) = setting else { return Ok(Vec::new()) };
    Ok(json::parse(text.as_bytes())?["entry"].items().iter().map(|e| e["resource"].clone()).collect())
}

/// Keeps what is in force beside what another process has put there meanwhile.
struct Keep {
    pinned: Vec<Json>,
    lock: i64,
}

impl Work for Keep {
    type Out = ();

    fn run<'a>(&'a self, tx: &'a mut Tx) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let mut all = resources(tx.setting(KEPT).await?)?;
            for resource in &self.pinned {
                let same = |r: &&Json| ["resourceType", "url", "version"].iter().all(|n| r[*n] == resource[*n]);
                match all.iter().find(same) {
                    None => all.push(resource.clone()),
                    Some(other) if other == resource => {}
                    Some(_) => {
                        let (url, version) = (resource["url"].text(), resource["version"].text());
                        let text = format!("another server has just put another {url}|{version} in force");
                        return Err(Error::conflict(text));
                    }
                }
            }
            let mut bundle = Json::from(json!({"resourceType": "Bundle", "type": "collection"}));
            for resource in all {
                let mut entry = Json::object();
                entry.set("resource", resource);
                bundle.push("entry", entry);
            }
            tx.set_setting(KEPT, &bundle.to_string()).await
        })
    }

    fn locks(&self) -> Vec<i64> {
        vec![self.lock]
    }
}

/// Who had the profiles read anew.
struct Noted(Audit);

impl Work for Noted {
    type Out = ();

    fn run<'a>(&'a self, tx: &'a mut Tx) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            tx.audit(self.0.clone());
            Ok(())
        })
    }
}

impl Engine {
    /// The same door with the house that is in force now.
    pub(super) fn in_force(&self) -> Self {
        Self(self.2.now(), self.1.clone(), Arc::clone(&self.2))
    }

    /// The programme that is in force now.
    #[must_use]
    pub fn programme(&self) -> Arc<Programme> {
        Arc::clone(&self.2.now().programme)
    }

    /// Reads the profiles anew, and puts all of them in force or none.
    ///
    /// # Errors
    /// `BusinessRule` with file and element of each mistake; what the store says. Then what was in force stays.
    pub async fn reload(&self) -> Result<Reloaded> {
        let _turn = self.2.turn.lock().await;
        let house = self.2.now();
        let read = async {
            // What holds from the next start on must not stop that.
            Policy::load(house.sources.profiles.as_deref())?;
            registry::files(house.sources.profiles.as_deref())?;
            in_force(&house.store, &house.live, &house.programme.env, &house.sources, true).await
        };
        let (programme, conformance) = read.await.map_err(|mut error| {
            if error.kind == Kind::Invalid {
                error.kind = Kind::BusinessRule;
            }
            error
        })?;
        let owned = |list: Vec<&str>| list.into_iter().map(String::from).collect::<Vec<_>>();
        let (protocols, kept) = programme.protocols();
        let (protocols, kept) = (owned(protocols), owned(kept));
        let changed = owned(programme.changed_since(&house.programme));
        let number = house.number + 1;
        let new = House {
            programme: Arc::new(programme),
            number,
            conformance: Arc::new(conformance),
            ..House::clone(&house)
        };
        *self.2.house.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(new);
        house.live.forget_published();
        tracing::info!(changed = changed.join(", "), "the profiles were read anew and are in force");
        Ok(Reloaded { protocols, kept, changed })
    }

    pub(super) async fn reload_profiles(&self, ctx: &Ctx, call: Operation) -> Result<Answer> {
        if call.is_get {
            return Err(Error::method_not_allowed("$reload-profiles changes something: call it by POST"));
        }
        self.permit(ctx, Action::Update, Some(known("PlanDefinition")))?;
        if !matches!(ctx.principal.role, Role::Admin | Role::SuperUser) {
            return Err(Error::forbidden("only an administrator puts protocols in force (rule reload-profiles)"));
        }
        if !call.body.is_empty() {
            let body = call.body.json(&self.house().json)?;
            if body["resourceType"].text() != "Parameters" || !body["parameter"].items().is_empty() {
                return Err(Error::invalid("$reload-profiles takes no parameters").at("Parameters.parameter"));
            }
        }
        let reloaded = self.reload().await?;
        let house = self.house();
        let noted = Audit::of(ctx, house.keys, "$reload-profiles", 200);
        house.store.write(Noted(noted)).await?;
        let each = |name: &'static str, kind: &'static str, list: Vec<String>| {
            list.into_iter().map(move |value| json!({"name": name, kind: value}))
        };
        let parameter: Vec<Value> = each("protocol", "valueCanonical", reloaded.protocols)
            .chain(each("kept", "valueCanonical", reloaded.kept))
            .chain(each("changed", "valueString", reloaded.changed))
            .collect();
        Ok(Answer::of(Json::from(json!({"resourceType": "Parameters", "parameter": parameter})).to_bytes()))
    }
}
