//! Items straight into the database, through the one door in this process: same rules, same workflow, no server.
//!
//! Exactly once over crashes: the audit row of an item's write carries the item's key as request id, in the same commit, so
//! an item is in the database together with its mark or not at all. Entries of a batch have keys of their own.

use super::input::{Item, Kind};
use super::{Arguments, Outcome, TRIES, pause};
use crate::access::{Ctx, Principal};
use crate::auth::{Asked, AuthState};
use crate::cli::open;
use crate::clock::Instant;
use crate::config::{AuthMode, ServeArgs, Settings};
use crate::error::{Error, Kind as Failure, Result};
use crate::fhir::{Json, ResourceType, Target, outcome};
use crate::interaction::{At, Body, Engine, Prefer, Request, When};
use crate::store::Store;
use bytes::Bytes;
use std::collections::HashSet;
use std::sync::Arc;

/// How keys begin among the request ids of the audit.
pub const MARK: &str = "load-";

/// The open database.
pub struct Database {
    /// Keys of what earlier runs brought in.
    pub known: Arc<HashSet<String>>,
    engine: Engine,
    store: Store,
    principal: Arc<Principal>,
    base: Arc<str>,
    /// `--now`; else the clock.
    now: Option<Instant>,
}

impl Database {
    /// Opens what the settings name, which brings its schema up to date, and reads what is in already.
    ///
    /// # Errors
    /// A sentence: a setting, no connection, another process has the file, a name that is not seeded.
    pub async fn open(arguments: &Arguments) -> std::result::Result<Self, String> {
        Self::of(arguments).await.map_err(|e| {
            let cause = e.source.as_ref().map(|c| format!(" ({c})")).unwrap_or_default();
            format!("{e}{cause}")
        })
    }

    async fn of(arguments: &Arguments) -> Result<Self> {
        let settings = Settings::load(&ServeArgs::from(arguments.store.clone()))?;
        // Who can open the database needs no token: names are enough, as with `--auth off`.
        let settings = Settings { auth: AuthMode::Off, ..settings };
        let root = settings.root(settings.listen);
        let opened = open::engine(&settings, &root).await?;
        let auth = AuthState::local(opened.store.clone(), opened.policy, &settings, &root).await?;
        let asked =
            Asked { authorization: Vec::new(), actor: arguments.actor.as_deref(), now: arguments.now.as_deref() };
        let caller = auth.authenticate(&asked, Instant::now()).await.map_err(in_words)?;
        let principal = match arguments.actor {
            Some(_) => caller.principal,
            None => Arc::new(Principal { client: "baton-load".into(), ..Principal::super_user() }),
        };
        let known = if arguments.restart { HashSet::new() } else { opened.store.request_ids(MARK).await? };
        Ok(Self {
            known: Arc::new(known),
            engine: opened.engine,
            store: opened.store,
            principal,
            base: format!("{root}/fhir").into(),
            now: arguments.now.is_some().then_some(caller.now),
        })
    }

    /// Lets the database go.
    pub async fn close(&self) {
        self.store.close().await;
    }

    /// Carries out one item.
    pub async fn send(&self, item: &Item) -> Outcome {
        let (kind, json) = match Kind::of(&item.body) {
            Err(sentence) => return Outcome::Unreadable(sentence),
            Ok(found) => found,
        };
        if matches!(kind, Kind::Batch) {
            return self.batch(json, &item.key).await;
        }
        match request(kind, json) {
            Err(error) => refused(&error),
            Ok(request) => self.tried(&item.key, request).await,
        }
    }

    /// A batch entry by entry, each with a key of its own: they are commits of their own.
    async fn batch(&self, mut bundle: Json, key: &str) -> Outcome {
        let Some(Json::Array(entries)) = bundle.remove("entry") else {
            return self.tried(key, bundle_of(bundle)).await;
        };
        let mut answers = Vec::new();
        for (n, entry) in entries.into_iter().enumerate() {
            let key = format!("{key}.{n}");
            if self.known.contains(&key) {
                continue;
            }
            let mut one = bundle.clone();
            one.set("entry", vec![entry]);
            match self.tried(&key, bundle_of(one)).await {
                Outcome::Accepted(mut answer) => answers.append(&mut answer),
                other => return other,
            }
        }
        if answers.is_empty() { Outcome::Known } else { Outcome::Accepted(answers) }
    }

    /// Waits and tries again while the database is away or the queue is full.
    async fn tried(&self, key: &str, request: Request) -> Outcome {
        let mut last = String::new();
        for attempt in 0..TRIES {
            let ctx = Ctx {
                principal: Arc::clone(&self.principal),
                now: self.now.unwrap_or_else(Instant::now),
                request_id: key.into(),
                base: Arc::clone(&self.base),
                address: None,
            };
            match self.engine.handle(&ctx, request.clone()).await {
                Ok(answer) => return Outcome::Accepted(vec![answer.body]),
                Err(error) if matches!(error.kind, Failure::Busy | Failure::TooMany) => last = error.to_string(),
                Err(error) => return refused(&error),
            }
            tokio::time::sleep(pause(attempt, None)).await;
        }
        Outcome::Unanswered(last)
    }
}

fn request(kind: Kind, json: Json) -> Result<Request> {
    let rtype = |name: &str| {
        ResourceType::parse(name).ok_or_else(|| Error::invalid(format!("R4 has no resource type '{name}'")))
    };
    let (body, prefer) = (Body::Tree(json), Prefer::Minimal);
    Ok(match kind {
        Kind::Transaction | Kind::Batch => Request::Bundle { body, prefer: Some(prefer) },
        Kind::Create(name) => {
            Request::Create { rtype: rtype(&name)?, body, if_none_exist: None, when: When::default(), prefer }
        }
        Kind::Update(name, id) => {
            Request::Update { at: At::Id(Target::of(&name, &id)?), body, when: When::parse(None, None)?, prefer }
        }
    })
}

fn bundle_of(json: Json) -> Request {
    Request::Bundle { body: Body::Tree(json), prefer: None }
}

fn refused(error: &Error) -> Outcome {
    if error.kind == Failure::Fault {
        let cause = error.source.as_deref().map(ToString::to_string).unwrap_or_default();
        tracing::error!(error = %error, cause, "a fault of Baton's own");
    }
    Outcome::Refused(error.kind.status(), Bytes::from(outcome::of_error(error).to_bytes()))
}

/// What is said of headers elsewhere is said of flags here.
fn in_words(error: Error) -> Error {
    let text = error.to_string().replace("X-Baton-Actor", "--actor").replace("X-Baton-Now", "--now");
    Error::invalid(text)
}
