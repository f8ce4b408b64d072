//! Passwords: Argon2id, a few at a time, off the threads that serve.
//!
//! Source: RFC 9106; cost as OWASP recommends (19 MiB, two passes) unless the settings say otherwise; own limits.

use crate::config::Limits;
use crate::error::{Error, Kind, Result};
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Longest password that is looked at, in bytes.
pub const MAX_BYTES: usize = 1 << 10;
/// Shortest that may be set, in characters.
pub const MIN_CHARS: usize = 12;
/// Logins that may wait for their turn; more are told to come back.
const WAITING: usize = 64;

/// Hashes and compares.
#[derive(Debug, Clone)]
pub struct Passwords {
    /// KiB and passes.
    cost: (u32, u32),
    /// How many at a time.
    turns: Arc<Semaphore>,
    /// How many may wait.
    queue: Arc<Semaphore>,
}

impl Passwords {
    /// With the cost of the settings.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        let number = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
        let turns = Arc::new(Semaphore::new(Limits::size(limits.password_hashes)));
        let cost = (number(limits.password_kib), number(limits.password_passes));
        Self { cost, turns, queue: Arc::new(Semaphore::new(WAITING)) }
    }

    /// Whether a password may be set.
    ///
    /// # Errors
    /// `Invalid` for one that is too short or too long.
    pub fn check(password: &str) -> Result<()> {
        if password.chars().count() < MIN_CHARS {
            return Err(Error::invalid(format!("a password has at least {MIN_CHARS} characters")));
        }
        if password.len() > MAX_BYTES {
            return Err(Error::invalid(format!("a password has at most {MAX_BYTES} bytes")));
        }
        Ok(())
    }

    /// The PHC text to store.
    ///
    /// # Errors
    /// `Invalid` for one that is too short or too long; `Busy` when too many wait.
    pub async fn hash(&self, password: &str) -> Result<String> {
        Self::check(password)?;
        let (cost, password) = (self.cost, password.to_owned());
        self.aside(move || hash(cost, password.as_bytes())).await?
    }

    /// Whether a password is the one; `stored` empty: of nobody, and as much work.
    ///
    /// # Errors
    /// `Busy` when too many wait.
    pub async fn fits(&self, password: &str, stored: &str) -> Result<bool> {
        if password.len() > MAX_BYTES {
            return Ok(false);
        }
        let (cost, stored, password) = (self.cost, stored.to_owned(), password.to_owned());
        self.aside(move || match &*stored {
            // As much work as a comparison; nothing fits.
            "" => {
                drop(hash(cost, password.as_bytes()));
                false
            }
            stored => Argon2::default().verify_password(password.as_bytes(), stored).is_ok(),
        })
        .await
    }

    async fn aside<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let full = || Error::new(Kind::Busy, "too many logins at once; try again in a moment");
        let _waits = self.queue.try_acquire().map_err(|_| full())?;
        let _turn = self.turns.acquire().await.map_err(|e| Error::fault("nobody closes it").caused_by(e))?;
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|e| Error::fault("a password was not compared to the end").caused_by(e))
    }
}

fn hash((kib, passes): (u32, u32), password: &[u8]) -> Result<String> {
    let params = Params::new(kib, passes, 1, None)
        .map_err(|e| Error::fault("the cost of passwords is none that Argon2 takes").caused_by(e.to_string()))?;
    let mut salt = [0_u8; 16];
    getrandom::fill(&mut salt)
        .map_err(|e| Error::fault("the machine gives no random bytes").caused_by(e.to_string()))?;
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_with_salt(password, &salt)
        .map(|h| h.to_string())
        .map_err(|e| Error::fault("a password could not be hashed").caused_by(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cheap() -> Limits {
        Limits { password_kib: 8, password_passes: 1, ..Limits::default() }
    }

    /// security A27: Passwords over 1 kB are refused unread, and an unknown user costs as much as a known one.
    #[tokio::test]
    async fn a_password_fits_its_own_hash_only() {
        let passwords = Passwords::new(&cheap());
        let stored = passwords.hash("correct horse battery").await.unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "{stored}");
        assert_ne!(stored, passwords.hash("correct horse battery").await.unwrap(), "a salt each");
        for (password, fits) in
            [("correct horse battery", true), ("Correct horse battery", false), ("", false), (&"x".repeat(2000), false)]
        {
            assert_eq!(passwords.fits(password, &stored).await.unwrap(), fits, "{password}");
            assert!(!passwords.fits(password, "").await.unwrap(), "of nobody");
        }
        assert!(passwords.hash("short").await.is_err() && passwords.hash(&"x".repeat(2000)).await.is_err());
    }
}
