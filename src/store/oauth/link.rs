//! Logins at OpenID providers: who is linked, and which browsers are under way.

use super::{Step, Steps};
use crate::clock::Instant;
use crate::error::Result;
use crate::store::Store;
use crate::store::conn::Row;

/// Who somebody is here, by what a provider calls them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// `iss` of the provider.
    pub issuer: String,
    /// `sub` there.
    pub sub: String,
    /// Login name here.
    pub user: String,
}

/// A browser that was sent to a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Errand {
    /// SHA-256 of the `state` that it carries, in hex.
    pub hash: String,
    /// Hash of the session it belongs to.
    pub session: String,
    /// Name of the provider in the settings.
    pub provider: String,
    /// Id of the app's request that goes on afterwards; empty: our own pages.
    pub pending: String,
    /// Login name of who it turned out to be, while a one-time code is missing; empty before.
    pub user: String,
    /// When the user logged in there, in microseconds.
    pub at: i64,
    /// When it is over, in microseconds.
    pub expires: i64,
}

impl Store {
    /// Who somebody of a provider is here.
    ///
    /// # Errors
    /// What the database says.
    pub async fn linked(&self, issuer: &str, sub: &str) -> Result<Option<Link>> {
        let sql = "SELECT issuer, sub, usr FROM oauth_link WHERE issuer = $1 AND sub = $2";
        self.fetch(sql, vec![issuer.into(), sub.into()]).await?.first().map(link).transpose()
    }

    /// All links, by login name.
    ///
    /// # Errors
    /// What the database says.
    pub async fn links(&self) -> Result<Vec<Link>> {
        let sql = "SELECT issuer, sub, usr FROM oauth_link ORDER BY usr, issuer, sub";
        self.fetch(sql, Vec::new()).await?.iter().map(link).collect()
    }

    /// Links somebody of a provider to a user. False: one of the two is linked at that provider already.
    ///
    /// # Errors
    /// What the database says.
    pub async fn link(&self, link: &Link, now: Instant) -> Result<bool> {
        let sql = "INSERT INTO oauth_link (issuer, sub, usr, made) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
        let args = vec![link.issuer.as_str().into(), link.sub.as_str().into(), link.user.as_str().into(), now.0.into()];
        self.write(Steps(vec![Step::must(sql, args)])).await
    }

    /// Takes a user's links away, those of one issuer or all; the user's browsers are signed out, and what the user allowed apps is
    /// over: it may hang on a login there. False: there was none.
    ///
    /// # Errors
    /// What the database says.
    pub async fn unlink(&self, user: &str, issuer: &str, now: Instant) -> Result<bool> {
        let links = "DELETE FROM oauth_link WHERE usr = $1 AND (issuer = $2 OR $3 = '')";
        let grants = "UPDATE oauth_grant SET revoked = $1 WHERE usr = $2 AND revoked = 0";
        let steps = vec![
            Step::must(links, vec![user.into(), issuer.into(), issuer.into()]),
            Step::may(grants, vec![now.0.into(), user.into()]),
            Step::may("DELETE FROM oauth_errand WHERE usr = $1", vec![user.into()]),
            Step::may("DELETE FROM oauth_session WHERE usr = $1", vec![user.into()]),
        ];
        self.write(Steps(steps)).await
    }

    /// Keeps what a browser was sent for; what is over goes at the same time.
    ///
    /// # Errors
    /// What the database says.
    pub async fn add_errand(&self, e: &Errand, now: Instant) -> Result<()> {
        let sql = "INSERT INTO oauth_errand (hash, session, provider, pending, usr, at, expires) VALUES ($1, $2, $3, $4, $5, $6, $7)";
        let args = vec![
            e.hash.as_str().into(),
            e.session.as_str().into(),
            e.provider.as_str().into(),
            e.pending.as_str().into(),
            e.user.as_str().into(),
            e.at.into(),
            e.expires.into(),
        ];
        let steps =
            vec![Step::may("DELETE FROM oauth_errand WHERE expires < $1", vec![now.0.into()]), Step::must(sql, args)];
        self.write(Steps(steps)).await.map(|_| ())
    }

    /// What a browser was sent for.
    ///
    /// # Errors
    /// What the database says.
    pub async fn errand(&self, hash: &str) -> Result<Option<Errand>> {
        let sql = "SELECT hash, session, provider, pending, usr, at, expires FROM oauth_errand WHERE hash = $1";
        self.fetch(sql, vec![hash.into()]).await?.first().map(errand).transpose()
    }

    /// Takes it away; false: somebody else did already.
    ///
    /// # Errors
    /// What the database says.
    pub async fn take_errand(&self, hash: &str) -> Result<bool> {
        self.write(Steps(vec![Step::must("DELETE FROM oauth_errand WHERE hash = $1", vec![hash.into()])])).await
    }
}

fn link(row: &Row) -> Result<Link> {
    Ok(Link { issuer: row.text(0)?, sub: row.text(1)?, user: row.text(2)? })
}

fn errand(row: &Row) -> Result<Errand> {
    Ok(Errand {
        hash: row.text(0)?,
        session: row.text(1)?,
        provider: row.text(2)?,
        pending: row.text(3)?,
        user: row.text(4)?,
        at: row.int(5)?,
        expires: row.int(6)?,
    })
}
