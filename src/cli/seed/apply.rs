//! Brings the database to what a seed file says: directory resources through the one door, then clients and users.
//!
//! Not for: taking away what the file no longer names.

use super::directory::resources;
use super::file::Seed;
use crate::access::{Ctx, Limit, Policy, Principal};
use crate::auth::client::hash_secret;
use crate::auth::key::KeyRing;
use crate::auth::standing::role_id;
use crate::auth::token::random_text;
use crate::clock::Instant;
use crate::error::{Error, Result};
use crate::fhir::{Json, ResourceType, Target, meta};
use crate::interaction::{Body, Engine, Request};
use crate::store::oauth::{Client, Kind, User};
use crate::store::{Store, Tx, Work};
use futures_util::future::BoxFuture;
use serde_json::json;
use std::sync::Arc;

/// What a run did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// `Type/id` of directory resources that were written.
    pub written: Vec<String>,
    /// How many directory resources were as the file says already.
    pub unchanged: usize,
    /// Users and clients of the file.
    pub accounts: usize,
    /// (client id, secret) that were made now: to be shown once.
    pub secrets: Vec<(String, String)>,
}

/// Applies a checked file. Run twice, the second run writes no version and no secret.
///
/// # Errors
/// What the one door says of a resource, and what the store says.
pub async fn apply(engine: &Engine, store: &Store, policy: &Policy, seed: &Seed, base: &str) -> Result<Report> {
    let now = Instant::now();
    let ctx = Ctx {
        principal: Arc::new(Principal::super_user()),
        now,
        request_id: Arc::from("seed"),
        base: Arc::from(base),
        address: None,
    };
    let all = resources(seed, policy);
    let changed = changed(store, &all).await?;
    let mut report = Report { unchanged: all.len() - changed.len(), ..Report::default() };
    if !changed.is_empty() {
        report.written = changed.iter().map(|(target, _)| target.to_string()).collect();
        let entries: Vec<Json> = changed.into_iter().map(|(target, resource)| entry(&target, resource)).collect();
        let mut bundle: Json = json!({"resourceType": "Bundle", "type": "transaction"}).into();
        bundle.set("entry", entries);
        engine.handle(&ctx, Request::Bundle { body: Body::Tree(bundle), prefer: None }).await?;
    }
    report.accounts = seed.clients.len() + seed.users.len();
    report.secrets = accounts(store, seed).await?;
    Ok(report)
}

/// Writes clients and users, all or none, and sees that there is a key to sign with. Gives (client id, secret) of those
/// secrets that had to be made.
///
/// # Errors
/// What the store says.
pub async fn accounts(store: &Store, seed: &Seed) -> Result<Vec<(String, String)>> {
    KeyRing::open(store, Instant::now(), false).await?;
    let (clients, secrets) = clients(store, seed).await?;
    store.write(Accounts { clients, users: users(seed) }).await?;
    Ok(secrets)
}

fn entry(target: &Target, resource: Json) -> Json {
    let mut entry = Json::object();
    entry.set("resource", resource);
    entry.set("request", Json::from(json!({"method": "PUT", "url": target.to_string()})));
    entry
}

/// Resources that are not there, or are there and different.
async fn changed(store: &Store, all: &[Json]) -> Result<Vec<(Target, Json)>> {
    let mut targets = Vec::with_capacity(all.len());
    for resource in all {
        let rtype = ResourceType::parse(resource["resourceType"].text());
        let rtype = rtype.ok_or_else(|| Error::fault("a seed makes resources of types that exist"))?;
        targets.push(Target::new(rtype, resource["id"].text()));
    }
    let found = store.get_many(&Limit::Directory, &targets).await?;
    let mut out = Vec::new();
    for ((target, resource), version) in targets.into_iter().zip(all).zip(found) {
        let is_same = match version.filter(|v| !v.is_deleted()) {
            None => false,
            Some(version) => {
                let mut stored = version.json()?;
                meta::clear(&mut stored);
                stored == *resource
            }
        };
        if !is_same {
            out.push((target, resource.clone()));
        }
    }
    Ok(out)
}

/// Rows of the file's clients, and the secrets that had to be made.
async fn clients(store: &Store, seed: &Seed) -> Result<(Vec<Client>, Vec<(String, String)>)> {
    let mut rows = Vec::new();
    let mut secrets = Vec::new();
    for c in &seed.clients {
        let mut row = c.row();
        if row.kind == Kind::Symmetric && row.secret.is_none() {
            row.secret = store.oauth_client(&c.id).await?.and_then(|known| known.secret);
            if row.secret.is_none() {
                let made = random_text::<32>()?;
                row.secret = Some(hash_secret(&made));
                secrets.push((c.id.clone(), made));
            }
        }
        rows.push(row);
    }
    Ok((rows, secrets))
}

fn users(seed: &Seed) -> Vec<User> {
    let row = |u: &super::file::User| User {
        name: u.name.clone(),
        sub: uuid::Uuid::new_v4().to_string(),
        org: u.organization.clone(),
        role: u.role.clone(),
        practitioner: u.practitioner.clone(),
        practitioner_role: u.practitioner.as_ref().zip(u.organization.as_ref()).map(|(p, o)| role_id(p, o, &u.role)),
        is_active: u.active,
        password: String::new(),
        patient: u.patient.clone(),
    };
    seed.users.iter().map(row).collect()
}

/// Writes all rows, or none.
struct Accounts {
    clients: Vec<Client>,
    users: Vec<User>,
}

impl Work for Accounts {
    type Out = ();

    fn run<'a>(&'a self, tx: &'a mut Tx) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            for client in &self.clients {
                tx.put_oauth_client(client).await?;
            }
            for user in &self.users {
                tx.put_oauth_user(user).await?;
            }
            Ok(())
        })
    }
}
