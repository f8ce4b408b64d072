//! `Patient/{id}/$break-glass`: a person sees, for a time and for a reason that is put on record, more of one patient than role,
//! organisation and clearance give.
//!
//! `$end-break-glass` ends it before its time, for who broke it; an administrator does so at `/auth/glass` (`auth/admin.rs`).
//!
//! Who may, why, how long and what for is data (`profiles/policy/labels.json`). It widens reading alone: writes are judged as ever,
//! and so are searches that another of the same request makes for a write. Whoever asks must know the patient: by their
//! organisation or a share; labels of the Patient do not count.
//! Source: security contract section 2 (break-glass is a separate, time-limited, reason-bearing grant); own operation.

use super::Input;
use super::table;
use crate::access::label::Breaking;
use crate::access::scope::Action;
use crate::access::{Ctx, Glass, Limit, Principal, Sieve};
use crate::auth::sieve::of_patient;
use crate::clock::Instant;
use crate::error::{Error, Result};
use crate::fhir::resource::known;
use crate::fhir::{Json, Target};
use crate::interaction::answer::Answer;
use crate::interaction::request::{Operation, Request, Scope};
use crate::interaction::{Engine, House, unknown};
use crate::search::Keys;
use crate::store::audit::Happening;
use crate::store::glass::{Broken, Held};
use crate::store::{Audit, Tx, Work};
use futures_util::future::BoxFuture;
use serde_json::json;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use uuid::Uuid;

/// How long a node goes by what it has read, in seconds: what another ends holds no longer than that.
const LOOK_BACK: i64 = 10;
/// Users whose glass a node remembers.
const MOST: usize = 10_000;
/// Longest note.
const NOTE: usize = 1000;

/// When it was read (µs), and what was found.
type Read = (i64, Arc<Vec<Broken>>);

/// What users have broken, as last read.
#[derive(Debug, Default)]
pub(in crate::interaction) struct Glasses(Mutex<HashMap<String, Read>>);

impl Glasses {
    fn get(&self, usr: &str, now: i64) -> Option<Arc<Vec<Broken>>> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (looked, found) = all.get(usr)?;
        (now >= *looked && now - looked < LOOK_BACK * 1_000_000).then(|| Arc::clone(found))
    }

    fn put(&self, usr: &str, now: i64, found: Arc<Vec<Broken>>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST {
            all.clear();
        }
        all.insert(usr.to_owned(), (now, found));
    }

    fn forget(&self, usr: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(usr);
    }
}

/// Whether a request only reads.
fn is_reading(request: &Request) -> bool {
    match request {
        Request::Read { .. } | Request::VRead { .. } | Request::Search { .. } | Request::History { .. } => true,
        Request::Operation(call) => call.is_get,
        _ => false,
    }
}

/// The same circumstances with broken glass.
fn widened(ctx: &Ctx, glass: Vec<Glass>) -> Ctx {
    let old = ctx.principal.sieve.as_deref();
    let sieve = Sieve { glass, ..old.cloned().unwrap_or_default() };
    let principal = Principal { sieve: Some(Arc::new(sieve)), ..(*ctx.principal).clone() };
    Ctx { principal: Arc::new(principal), ..ctx.clone() }
}

fn glass(keys: &Keys, patient: &str, breaking: &Breaking, crosses: bool) -> Glass {
    let at = Target::new(known("Patient"), patient);
    Glass {
        of: at.to_string(),
        self_key: keys.target("Patient", patient),
        keys: of_patient(&at, keys),
        lifts: breaking.lifts,
        crosses,
    }
}

impl Engine {
    /// A reading request of a user who has broken the glass: with what they see more.
    pub(in crate::interaction) async fn widen(&self, ctx: &Ctx, request: &Request) -> Result<Option<Ctx>> {
        let (house, who) = (self.house(), &ctx.principal);
        let Some(breaking) = house.store.labels().breaking(who.role) else { return Ok(None) };
        let (Some(usr), Some(org)) = (&who.user, &who.org) else { return Ok(None) };
        if !is_reading(request) {
            return Ok(None);
        }
        let now = Instant::now().0;
        let found = match house.glasses.get(usr, now) {
            Some(found) => found,
            None => {
                let found = Arc::new(house.store.broken_by(usr, ctx.now).await?);
                house.glasses.put(usr, now, Arc::clone(&found));
                found
            }
        };
        let holds =
            |b: &&Broken| b.begun <= ctx.now && ctx.now < b.until && b.role == who.role.as_str() && b.org == *org;
        let glasses: Vec<Glass> =
            found.iter().filter(holds).map(|b| glass(&house.keys, &b.patient, breaking, breaking.crosses)).collect();
        Ok((!glasses.is_empty()).then(|| widened(ctx, glasses)))
    }

    pub(super) async fn break_glass(&self, ctx: &Ctx, call: Operation) -> Result<Answer> {
        let row = table::find(&call.name, &call.on).ok_or_else(|| super::no_such(&call.name))?;
        let Scope::Instance(at) = &call.on else { return Err(super::no_such(&call.name)) };
        if call.is_get {
            return Err(Error::method_not_allowed("$break-glass puts something on record: call it by POST"));
        }
        let (house, who) = (self.house(), &ctx.principal);
        let labels = house.store.labels();
        let (Some(breaking), Some(usr), Some(org)) = (labels.breaking(who.role), &who.user, &who.org) else {
            let text = "only a person of a role that the policy names may break the glass (rule break-glass)";
            return Err(Error::forbidden(text));
        };
        self.permit(ctx, Action::Read, Some(at.rtype))?;
        let input = Input::read(row, call.body, &call.query, &house.json)?;
        let coding = input.get("reason").unwrap_or(&Json::Null);
        let Some(reason) = labels.reason(coding["system"].text(), coding["code"].text()) else {
            let text = format!("the reason is one of {}", labels.reasons().join(", "));
            return Err(Error::invalid(text).at(input.place("reason")));
        };
        let note = input.text("note").unwrap_or_default().trim();
        if note.is_empty() || note.len() > NOTE {
            let text = format!("say why in words, in at most {NOTE} bytes");
            return Err(Error::invalid(text).at(input.place("note")));
        }
        let most = breaking.most_minutes;
        let minutes = match input.get("minutes") {
            None => breaking.minutes,
            Some(given) => given.to_string().parse().unwrap_or(0),
        };
        if !(1..=most).contains(&minutes) {
            return Err(Error::invalid(format!("minutes are 1 to {most}")).at(input.place("minutes")));
        }
        // Known is who is behind no wall; what organisation and share do not show, nothing is told of.
        let near = widened(ctx, vec![glass(&house.keys, &at.id, breaking, false)]);
        if house.store.get(&Limit::of(&near), at).await?.is_none_or(|v| v.is_deleted()) {
            return Err(unknown(at));
        }
        let broken = Broken {
            id: Uuid::new_v4().to_string(),
            usr: usr.clone(),
            role: who.role.as_str().into(),
            org: org.clone(),
            patient: at.id.clone(),
            reason: reason.into(),
            note: note.into(),
            begun: ctx.now,
            until: ctx.now.plus_seconds(minutes * 60),
        };
        let answer = json!({"resourceType": "Parameters", "parameter": [
            {"name": "grant", "valueId": broken.id},
            {"name": "patient", "valueReference": {"reference": at.to_string()}},
            {"name": "reason", "valueCode": broken.reason},
            {"name": "until", "valueInstant": broken.until.to_string()},
        ]});
        let usr = usr.clone();
        house.store.write(Breaks { house: Arc::clone(&self.0), ctx: ctx.clone(), broken }).await?;
        house.glasses.forget(&usr);
        Ok(Answer::of(Json::from(answer).to_bytes()))
    }

    /// To give back what one has needs no right but to be who has it; of whom one has none nothing is told, whoever it is.
    pub(super) async fn end_break_glass(&self, ctx: &Ctx, call: Operation) -> Result<Answer> {
        let row = table::find(&call.name, &call.on).ok_or_else(|| super::no_such(&call.name))?;
        let Scope::Instance(at) = call.on else { return Err(super::no_such(&call.name)) };
        if call.is_get {
            return Err(Error::method_not_allowed("$end-break-glass ends something: call it by POST"));
        }
        Input::read(row, call.body, &call.query, &self.house().json)?;
        let nothing = || Error::not_found(format!("you have broken no glass of {at} that holds"));
        let usr = ctx.principal.user.clone().ok_or_else(nothing)?;
        let held = Held::Of(usr.clone(), at.id.clone());
        let ends = Ends { house: Arc::clone(&self.0), ctx: ctx.clone(), held, at: at.clone() };
        let ended = self.house().store.write(ends).await?;
        self.house().glasses.forget(&usr);
        if ended == 0 {
            return Err(nothing());
        }
        let answer = json!({"resourceType": "Parameters", "parameter": [{"name": "ended", "valueInteger": ended}]});
        Ok(Answer::of(Json::from(answer).to_bytes()))
    }
}

/// What a caller holds of a patient ends, with a row of the audit, in one transaction.
struct Ends {
    house: Arc<House>,
    ctx: Ctx,
    held: Held,
    at: Target,
}

impl Work for Ends {
    type Out = usize;

    fn run<'a>(&'a self, tx: &'a mut Tx) -> BoxFuture<'a, Result<usize>> {
        Box::pin(async move {
            let ended = tx.mend_glass(&self.held, self.ctx.now).await?.len();
            if ended > 0 {
                let mut row = Audit::of(&self.ctx, self.house.keys, Happening::GlassMended.as_str(), 200);
                row.detail.on = self.at.to_string();
                tx.audit(row);
            }
            Ok(ended)
        })
    }
}

/// The grant and its row of the audit, in one transaction.
struct Breaks {
    house: Arc<House>,
    ctx: Ctx,
    broken: Broken,
}

impl Work for Breaks {
    type Out = ();

    fn run<'a>(&'a self, tx: &'a mut Tx) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            tx.break_glass(&self.broken).await?;
            let mut row = Audit::of(&self.ctx, self.house.keys, Happening::BreakGlass.as_str(), 200);
            row.detail.on = format!("Patient/{}", self.broken.patient);
            tx.audit(row.because(self.broken.reason.as_str()));
            Ok(())
        })
    }
}
