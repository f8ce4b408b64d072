//! Browsers, logins under way, failed logins.
//!
//! Everything secret comes here as its hash.

use super::{Step, Steps};
use crate::clock::Instant;
use crate::error::Result;
use crate::store::Store;
use crate::store::conn::Row;

/// A browser at our pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// SHA-256 of what its cookie holds, in hex.
    pub hash: String,
    /// Login name; empty before the login.
    pub user: String,
    /// When the user logged in, in microseconds.
    pub at: i64,
    /// When a page was last asked for.
    pub used: i64,
    /// When it ends whatever happens.
    pub expires: i64,
}

/// A request at the authorization endpoint that waits for its user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// Random.
    pub id: String,
    /// Hash of the session it belongs to.
    pub session: String,
    /// JSON, as `auth` writes it.
    pub request: String,
    /// Logical id of the Patient that was chosen or comes with the launch; empty: none yet.
    pub patient: String,
    /// Logical id of an Encounter.
    pub encounter: String,
    /// When it is over, in microseconds.
    pub expires: i64,
}

impl Store {
    /// A browser by the hash of its cookie; its times are for the caller to judge.
    ///
    /// # Errors
    /// What the database says.
    pub async fn oauth_session(&self, hash: &str) -> Result<Option<Session>> {
        let sql = "SELECT hash, usr, at, used, expires FROM oauth_session WHERE hash = $1";
        self.fetch(sql, vec![hash.into()]).await?.first().map(session).transpose()
    }

    /// Begins a session. `replaces`: the one before the login, whose requests come along and which ends.
    ///
    /// # Errors
    /// What the database says.
    pub async fn begin_session(&self, s: &Session, replaces: &str) -> Result<()> {
        let args = vec![s.hash.as_str().into(), s.user.as_str().into(), s.at.into(), s.used.into(), s.expires.into()];
        let insert = "INSERT INTO oauth_session (hash, usr, at, used, expires) VALUES ($1, $2, $3, $4, $5)";
        let mut steps = vec![
            Step::may("DELETE FROM oauth_session WHERE expires < $1", vec![s.used.into()]),
            Step::must(insert, args),
        ];
        if !replaces.is_empty() {
            let moved = "UPDATE oauth_pending SET session = $1 WHERE session = $2";
            steps.push(Step::may(moved, vec![s.hash.as_str().into(), replaces.into()]));
            steps.push(Step::may("DELETE FROM oauth_session WHERE hash = $1", vec![replaces.into()]));
        }
        self.write(Steps(steps)).await.map(|_| ())
    }

    /// Notes that a page was asked for.
    ///
    /// # Errors
    /// What the database says.
    pub async fn touch_session(&self, hash: &str, now: Instant) -> Result<()> {
        let step = Step::may("UPDATE oauth_session SET used = $1 WHERE hash = $2", vec![now.0.into(), hash.into()]);
        self.write(Steps(vec![step])).await.map(|_| ())
    }

    /// Ends a session, what was asked in it, and the grants that hang on it.
    ///
    /// # Errors
    /// What the database says.
    pub async fn end_session(&self, hash: &str, now: Instant) -> Result<()> {
        let revoke = "UPDATE oauth_grant SET revoked = $1 WHERE session = $2 AND revoked = 0";
        let steps = vec![
            Step::may("DELETE FROM oauth_session WHERE hash = $1", vec![hash.into()]),
            Step::may("DELETE FROM oauth_pending WHERE session = $1", vec![hash.into()]),
            Step::may(revoke, vec![now.0.into(), hash.into()]),
        ];
        self.write(Steps(steps)).await.map(|_| ())
    }

    /// Keeps a request until its user answers.
    ///
    /// # Errors
    /// What the database says.
    pub async fn add_pending(&self, p: &Pending, now: Instant) -> Result<()> {
        let sql = "INSERT INTO oauth_pending (id, session, request, patient, encounter, expires) VALUES ($1, $2, $3, $4, $5, $6)";
        let args = vec![
            p.id.as_str().into(),
            p.session.as_str().into(),
            p.request.as_str().into(),
            p.patient.as_str().into(),
            p.encounter.as_str().into(),
            p.expires.into(),
        ];
        // What nobody can use any more goes at the same time.
        let steps =
            vec![Step::may("DELETE FROM oauth_pending WHERE expires < $1", vec![now.0.into()]), Step::must(sql, args)];
        self.write(Steps(steps)).await.map(|_| ())
    }

    /// A request that waits.
    ///
    /// # Errors
    /// What the database says.
    pub async fn pending(&self, id: &str) -> Result<Option<Pending>> {
        let sql = "SELECT id, session, request, patient, encounter, expires FROM oauth_pending WHERE id = $1";
        self.fetch(sql, vec![id.into()]).await?.first().map(pending).transpose()
    }

    /// Binds a request to the first browser that shows it; false: another was faster.
    ///
    /// # Errors
    /// What the database says.
    pub async fn bind_pending(&self, id: &str, session: &str) -> Result<bool> {
        let sql = "UPDATE oauth_pending SET session = $1 WHERE id = $2 AND session = ''";
        self.write(Steps(vec![Step::must(sql, vec![session.into(), id.into()])])).await
    }

    /// Notes which patient and encounter were chosen.
    ///
    /// # Errors
    /// What the database says.
    pub async fn choose_pending(&self, id: &str, patient: &str, encounter: &str) -> Result<()> {
        let sql = "UPDATE oauth_pending SET patient = $1, encounter = $2 WHERE id = $3";
        let step = Step::may(sql, vec![patient.into(), encounter.into(), id.into()]);
        self.write(Steps(vec![step])).await.map(|_| ())
    }

    /// Takes a request away; false: somebody else did already.
    ///
    /// # Errors
    /// What the database says.
    pub async fn take_pending(&self, id: &str) -> Result<bool> {
        self.write(Steps(vec![Step::must("DELETE FROM oauth_pending WHERE id = $1", vec![id.into()])])).await
    }

    /// (failures, microseconds of the last) under a name.
    ///
    /// # Errors
    /// What the database says.
    pub async fn failures(&self, name: &str) -> Result<(i64, i64)> {
        let sql = "SELECT failures, last FROM oauth_failure WHERE name = $1";
        let rows = self.fetch(sql, vec![name.into()]).await?;
        rows.first().map_or(Ok((0, 0)), |row| Ok((row.int(0)?, row.int(1)?)))
    }

    /// Counts a failed login under these names; what is older than `forget` (microseconds) counts no more.
    ///
    /// # Errors
    /// What the database says.
    pub async fn count_failure(&self, names: &[String], now: Instant, forget: i64) -> Result<()> {
        let sql = "INSERT INTO oauth_failure (name, failures, last) VALUES ($1, 1, $2) \
                   ON CONFLICT (name) DO UPDATE SET failures = oauth_failure.failures + 1, last = excluded.last";
        let old = now.0.saturating_sub(forget);
        let mut steps = vec![Step::may("DELETE FROM oauth_failure WHERE last < $1", vec![old.into()])];
        steps.extend(names.iter().map(|n| Step::may(sql, vec![n.as_str().into(), now.0.into()])));
        self.write(Steps(steps)).await.map(|_| ())
    }

    /// Forgets the failures under a name.
    ///
    /// # Errors
    /// What the database says.
    pub async fn forget_failures(&self, name: &str) -> Result<()> {
        let step = Step::may("DELETE FROM oauth_failure WHERE name = $1", vec![name.into()]);
        self.write(Steps(vec![step])).await.map(|_| ())
    }

    /// A user's secret of one-time codes in base32; empty: none is asked for.
    ///
    /// # Errors
    /// What the database says.
    pub async fn totp(&self, user: &str) -> Result<String> {
        let rows = self.fetch("SELECT totp FROM oauth_user WHERE name = $1", vec![user.into()]).await?;
        rows.first().map_or(Ok(String::new()), |row| row.text(0))
    }

    /// Sets it, or takes it away; false: there is no such user.
    ///
    /// # Errors
    /// What the database says.
    pub async fn set_totp(&self, user: &str, secret: &str) -> Result<bool> {
        let sql = "UPDATE oauth_user SET totp = $1, totp_used = 0 WHERE name = $2";
        self.write(Steps(vec![Step::must(sql, vec![secret.into(), user.into()])])).await
    }

    /// Uses the code of a step; false: one of it, or of a later one, was used before.
    ///
    /// # Errors
    /// What the database says.
    pub async fn use_totp(&self, user: &str, step: i64) -> Result<bool> {
        let sql = "UPDATE oauth_user SET totp_used = $1 WHERE name = $2 AND totp_used < $3";
        self.write(Steps(vec![Step::must(sql, vec![step.into(), user.into(), step.into()])])).await
    }

    /// Sets a user's password (PHC text; empty: none); false: there is no such user.
    ///
    /// # Errors
    /// What the database says.
    pub async fn set_password(&self, user: &str, password: &str) -> Result<bool> {
        let sql = "UPDATE oauth_user SET password = $1 WHERE name = $2";
        self.write(Steps(vec![Step::must(sql, vec![password.into(), user.into()])])).await
    }
}

fn session(row: &Row) -> Result<Session> {
    Ok(Session { hash: row.text(0)?, user: row.text(1)?, at: row.int(2)?, used: row.int(3)?, expires: row.int(4)? })
}

fn pending(row: &Row) -> Result<Pending> {
    Ok(Pending {
        id: row.text(0)?,
        session: row.text(1)?,
        request: row.text(2)?,
        patient: row.text(3)?,
        encounter: row.text(4)?,
        expires: row.int(5)?,
    })
}
