//! What users allow apps: grants, their codes and refresh tokens, and handles of launches.
//!
//! Whoever takes a code, a refresh token or a handle takes it in one statement: of two, one gets it.

use super::{Step, Steps};
use crate::clock::Instant;
use crate::error::Result;
use crate::store::Store;
use crate::store::conn::{Arg, Row};

/// What a user allowed an app. Times in microseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Random; access tokens name it.
    pub id: String,
    /// `client_id`.
    pub client: String,
    /// Login name.
    pub user: String,
    /// Scopes, data and others.
    pub scope: String,
    /// Logical id of the Patient in context; empty: none.
    pub patient: String,
    /// Logical id of the Encounter in context; empty: none.
    pub encounter: String,
    /// JSON object: what else the token response says.
    pub context: String,
    /// Hash of the session that it ends with; empty: it outlives the session.
    pub session: String,
    /// When it was given.
    pub made: i64,
    /// When a token was last made of it.
    pub used: i64,
    /// After this nothing is made of it.
    pub expires: i64,
    /// When it was taken back; 0: it holds.
    pub revoked: i64,
    /// What its tokens are bound to: `cnf` of RFC 7800 as JSON; empty: whoever bears one may use it.
    pub cnf: String,
}

/// An authorization code, by its hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Code {
    /// SHA-256 in hex.
    pub hash: String,
    /// [`Grant::id`].
    pub grant: String,
    /// Where it was sent.
    pub redirect_uri: String,
    /// PKCE, S256.
    pub challenge: String,
    /// For the id_token; empty: none.
    pub nonce: String,
    /// When the user logged in, in microseconds.
    pub auth_time: i64,
    /// When it is over.
    pub expires: i64,
    /// When it was redeemed; 0: not yet.
    pub used: i64,
}

/// A refresh token, by its hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refresh {
    /// SHA-256 in hex.
    pub hash: String,
    /// [`Grant::id`].
    pub grant: String,
    /// When it is over.
    pub expires: i64,
    /// When another took its place; 0: it is the one.
    pub used: i64,
}

/// A handle of a launch, by its hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    /// SHA-256 in hex.
    pub hash: String,
    /// `client_id` of the app it is for.
    pub client: String,
    /// Login name of who made it: nobody else may use it.
    pub user: String,
    /// Logical id of the Patient; empty: none.
    pub patient: String,
    /// Logical id of the Encounter; empty: none.
    pub encounter: String,
    /// As of [`Grant::context`].
    pub context: String,
    /// When it is over.
    pub expires: i64,
    /// When it was used; 0: not yet.
    pub used: i64,
}

const GRANT: &str = "SELECT id, client, usr, scope, patient, encounter, context, session, made, used, expires, revoked, \
                     cnf FROM oauth_grant";

impl Store {
    /// Adds a grant and the code that gives it.
    ///
    /// # Errors
    /// What the database says.
    pub async fn add_grant(&self, g: &Grant, c: &Code, now: Instant) -> Result<()> {
        let code = "INSERT INTO oauth_code (hash, grant_id, redirect_uri, challenge, nonce, auth_time, expires, used) \
                    VALUES ($1, $2, $3, $4, $5, $6, $7, 0)";
        let code_args: Vec<Arg> = vec![
            c.hash.as_str().into(),
            c.grant.as_str().into(),
            c.redirect_uri.as_str().into(),
            c.challenge.as_str().into(),
            c.nonce.as_str().into(),
            c.auth_time.into(),
            c.expires.into(),
        ];
        let grant = "INSERT INTO oauth_grant (id, client, usr, scope, patient, encounter, context, session, made, used, \
                     expires, revoked, cnf) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 0, $12)";
        let grant_args: Vec<Arg> = vec![
            g.id.as_str().into(),
            g.client.as_str().into(),
            g.user.as_str().into(),
            g.scope.as_str().into(),
            g.patient.as_str().into(),
            g.encounter.as_str().into(),
            g.context.as_str().into(),
            g.session.as_str().into(),
            g.made.into(),
            g.used.into(),
            g.expires.into(),
            g.cnf.as_str().into(),
        ];
        // A code stays for a day after its end, so that one that is played again is known.
        let old = now.0.saturating_sub(86_400_000_000);
        let steps = vec![
            Step::may("DELETE FROM oauth_code WHERE expires < $1", vec![old.into()]),
            Step::may("DELETE FROM oauth_refresh WHERE expires < $1", vec![old.into()]),
            Step::may("DELETE FROM oauth_grant WHERE expires < $1", vec![old.into()]),
            Step::must(grant, grant_args),
            Step::must(code, code_args),
        ];
        self.write(Steps(steps)).await.map(|_| ())
    }

    /// A grant, whether it holds or not.
    ///
    /// # Errors
    /// What the database says.
    pub async fn grant(&self, id: &str) -> Result<Option<Grant>> {
        self.fetch(&format!("{GRANT} WHERE id = $1"), vec![id.into()]).await?.first().map(grant).transpose()
    }

    /// The grants of a user that hold, newest first.
    ///
    /// # Errors
    /// What the database says.
    pub async fn grants_of(&self, user: &str, now: Instant) -> Result<Vec<Grant>> {
        let sql = format!("{GRANT} WHERE usr = $1 AND revoked = 0 AND expires > $2 ORDER BY made DESC, id");
        self.fetch(&sql, vec![user.into(), now.0.into()]).await?.iter().map(grant).collect()
    }

    /// Takes a grant back; false: it was, or there is none.
    ///
    /// # Errors
    /// What the database says.
    pub async fn revoke_grant(&self, id: &str, now: Instant) -> Result<bool> {
        let sql = "UPDATE oauth_grant SET revoked = $1 WHERE id = $2 AND revoked = 0";
        self.write(Steps(vec![Step::must(sql, vec![now.0.into(), id.into()])])).await
    }

    /// A code, whether it is good or not.
    ///
    /// # Errors
    /// What the database says.
    pub async fn code(&self, hash: &str) -> Result<Option<Code>> {
        let sql = "SELECT hash, grant_id, redirect_uri, challenge, nonce, auth_time, expires, used FROM oauth_code \
                   WHERE hash = $1";
        self.fetch(sql, vec![hash.into()]).await?.first().map(code).transpose()
    }

    /// Redeems a code for a first refresh token, if there is to be one; false: another was faster.
    ///
    /// # Errors
    /// What the database says.
    pub async fn redeem_code(&self, hash: &str, refresh: Option<&Refresh>, now: Instant) -> Result<bool> {
        let sql = "UPDATE oauth_code SET used = $1 WHERE hash = $2 AND used = 0";
        let mut steps = vec![Step::must(sql, vec![now.0.into(), hash.into()])];
        steps.extend(refresh.map(add_refresh));
        self.write(Steps(steps)).await
    }

    /// A refresh token, whether it is good or not.
    ///
    /// # Errors
    /// What the database says.
    pub async fn refresh(&self, hash: &str) -> Result<Option<Refresh>> {
        let sql = "SELECT hash, grant_id, expires, used FROM oauth_refresh WHERE hash = $1";
        self.fetch(sql, vec![hash.into()]).await?.first().map(refresh).transpose()
    }

    /// Puts a refresh token in the place of another; false: another did already.
    ///
    /// # Errors
    /// What the database says.
    pub async fn rotate_refresh(&self, old: &str, new: &Refresh, until: i64, now: Instant) -> Result<bool> {
        let sql = "UPDATE oauth_refresh SET used = $1 WHERE hash = $2 AND used = 0";
        let used = "UPDATE oauth_grant SET used = $1, expires = $2 WHERE id = $3 AND revoked = 0";
        let steps = vec![
            Step::must(sql, vec![now.0.into(), old.into()]),
            Step::must(used, vec![now.0.into(), until.into(), new.grant.as_str().into()]),
            add_refresh(new),
        ];
        self.write(Steps(steps)).await
    }

    /// Adds a handle.
    ///
    /// # Errors
    /// What the database says.
    pub async fn add_launch(&self, l: &Launch, now: Instant) -> Result<()> {
        let sql = "INSERT INTO oauth_launch (hash, client, usr, patient, encounter, context, expires, used) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, 0)";
        let args = vec![
            l.hash.as_str().into(),
            l.client.as_str().into(),
            l.user.as_str().into(),
            l.patient.as_str().into(),
            l.encounter.as_str().into(),
            l.context.as_str().into(),
            l.expires.into(),
        ];
        let steps =
            vec![Step::may("DELETE FROM oauth_launch WHERE expires < $1", vec![now.0.into()]), Step::must(sql, args)];
        self.write(Steps(steps)).await.map(|_| ())
    }

    /// A handle, whether it is good or not.
    ///
    /// # Errors
    /// What the database says.
    pub async fn launch(&self, hash: &str) -> Result<Option<Launch>> {
        let sql =
            "SELECT hash, client, usr, patient, encounter, context, expires, used FROM oauth_launch WHERE hash = $1";
        self.fetch(sql, vec![hash.into()]).await?.first().map(launch).transpose()
    }

    /// Uses a handle; false: it was used before.
    ///
    /// # Errors
    /// What the database says.
    pub async fn use_launch(&self, hash: &str, now: Instant) -> Result<bool> {
        let sql = "UPDATE oauth_launch SET used = $1 WHERE hash = $2 AND used = 0";
        self.write(Steps(vec![Step::must(sql, vec![now.0.into(), hash.into()])])).await
    }
}

fn add_refresh(r: &Refresh) -> Step {
    let sql = "INSERT INTO oauth_refresh (hash, grant_id, expires, used) VALUES ($1, $2, $3, 0)";
    Step::must(sql, vec![r.hash.as_str().into(), r.grant.as_str().into(), r.expires.into()])
}

fn grant(row: &Row) -> Result<Grant> {
    Ok(Grant {
        id: row.text(0)?,
        client: row.text(1)?,
        user: row.text(2)?,
        scope: row.text(3)?,
        patient: row.text(4)?,
        encounter: row.text(5)?,
        context: row.text(6)?,
        session: row.text(7)?,
        made: row.int(8)?,
        used: row.int(9)?,
        expires: row.int(10)?,
        revoked: row.int(11)?,
        cnf: row.text(12)?,
    })
}

fn code(row: &Row) -> Result<Code> {
    Ok(Code {
        hash: row.text(0)?,
        grant: row.text(1)?,
        redirect_uri: row.text(2)?,
        challenge: row.text(3)?,
        nonce: row.text(4)?,
        auth_time: row.int(5)?,
        expires: row.int(6)?,
        used: row.int(7)?,
    })
}

fn refresh(row: &Row) -> Result<Refresh> {
    Ok(Refresh { hash: row.text(0)?, grant: row.text(1)?, expires: row.int(2)?, used: row.int(3)? })
}

fn launch(row: &Row) -> Result<Launch> {
    Ok(Launch {
        hash: row.text(0)?,
        client: row.text(1)?,
        user: row.text(2)?,
        patient: row.text(3)?,
        encounter: row.text(4)?,
        context: row.text(5)?,
        expires: row.int(6)?,
        used: row.int(7)?,
    })
}
