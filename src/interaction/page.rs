//! Links to the next page: readable parameters, and a signed token that only its receiver can use.
//!
//! `_page` holds the store's cursor, an expiry and an HMAC over both, the rest of the link and the caller. A link of
//! another caller, a changed one and an unknown one are answered alike.
//! Source: own rule; RFC 2104.

use crate::access::Ctx;
use crate::error::{Error, Result};
use crate::store::Cursor;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The parameter that holds the token.
pub(super) const PARAMETER: &str = "_page";

/// Signs and reads page tokens.
pub(super) struct Signer {
    key: [u8; 64],
    /// How long a link holds.
    seconds: i64,
}

impl Signer {
    /// A signer with the database's secret; its links hold for so many seconds.
    pub(super) fn new(secret: &str, seconds: u64) -> Self {
        let mut key = [0; 64];
        for (slot, byte) in key.iter_mut().zip(Sha256::digest(secret.as_bytes())) {
            *slot = byte;
        }
        Self { key, seconds: i64::try_from(seconds).unwrap_or(i64::MAX / 2) }
    }

    /// The token of a page. `link`: what the page belongs to, path and parameters.
    pub(super) fn sign(&self, ctx: &Ctx, link: &str, cursor: &Cursor) -> String {
        let expires = ctx.now.plus_seconds(self.seconds).0 / 1_000_000;
        let mac = URL_SAFE_NO_PAD.encode(self.mac(ctx, link, &cursor.0, expires));
        format!("{}.{expires:x}.{mac}", cursor.0)
    }

    /// The cursor of a token.
    ///
    /// # Errors
    /// `NotFound` for a token that is not of this caller and link, `Gone` for one that is too old.
    pub(super) fn read(&self, ctx: &Ctx, link: &str, token: &str) -> Result<Cursor> {
        let no_such = || Error::not_found("there is no such page for you; start the search again");
        let mut parts = token.rsplitn(3, '.');
        let (Some(mac), Some(expires), Some(cursor)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(no_such());
        };
        let expires = i64::from_str_radix(expires, 16).map_err(|_| no_such())?;
        let mac = URL_SAFE_NO_PAD.decode(mac).map_err(|_| no_such())?;
        if !bool::from(self.mac(ctx, link, cursor, expires).ct_eq(mac.as_slice())) {
            return Err(no_such());
        }
        if expires < ctx.now.0 / 1_000_000 {
            return Err(Error::gone("this page link is too old; start the search again").code("not-found"));
        }
        Ok(Cursor(cursor.to_owned()))
    }

    fn mac(&self, ctx: &Ctx, link: &str, cursor: &str, expires: i64) -> [u8; 32] {
        let p = &ctx.principal;
        let text = format!(
            "{}\n{:?}\n{:?}\n{:?}\n{:?}\n{:?}\n{link}\n{cursor}\n{expires}",
            p.client, p.org, p.user, p.practitioner, p.patient, p.role
        );
        let inner = Sha256::new().chain_update(self.key.map(|b| b ^ 0x36)).chain_update(text).finalize();
        Sha256::new().chain_update(self.key.map(|b| b ^ 0x5c)).chain_update(inner).finalize().into()
    }
}

/// Query text of parameters, encoded; without a question mark.
pub(super) fn query_text(pairs: &[(String, String)]) -> String {
    let mut out = String::new();
    for (name, value) in pairs {
        if !out.is_empty() {
            out.push('&');
        }
        encode(name, &mut out);
        out.push('=');
        encode(value, &mut out);
    }
    out
}

/// What a query may hold as it is, so that links stay readable: letters, digits and what FHIR's values are full of.
fn encode(text: &str, out: &mut String) {
    use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
    const KEPT: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'_')
        .remove(b'.')
        .remove(b'~')
        .remove(b':')
        .remove(b'/')
        .remove(b',')
        .remove(b'*')
        .remove(b'$');
    out.extend(utf8_percent_encode(text, KEPT));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Principal;
    use crate::clock::Instant;
    use std::sync::Arc;

    fn ctx(user: &str) -> Ctx {
        let principal = Principal { user: Some(user.into()), ..Principal::super_user() };
        Ctx {
            principal: Arc::new(principal),
            now: Instant(0),
            request_id: "r".into(),
            base: "http://x/fhir".into(),
            address: None,
        }
    }

    #[test]
    fn a_token_works_for_its_caller_and_link_only() {
        let signer = Signer::new("s", 60);
        let token = signer.sign(&ctx("a"), "Task?status=requested", &Cursor("abc_1-2".into()));
        let read = |ctx: &Ctx, link: &str, token: &str| {
            signer.read(ctx, link, token).map(|c| c.0).map_err(|e| e.kind.status())
        };
        assert_eq!(read(&ctx("a"), "Task?status=requested", &token), Ok("abc_1-2".into()));
        assert_eq!(read(&ctx("b"), "Task?status=requested", &token), Err(404));
        assert_eq!(read(&ctx("a"), "Task?status=ready", &token), Err(404));
        assert_eq!(read(&ctx("a"), "Task?status=requested", &token.replace("abc", "abd")), Err(404));
        for broken in ["", ".", "..", "a.b.c", "é.1.é"] {
            assert_eq!(read(&ctx("a"), "Task?status=requested", broken), Err(404), "{broken}");
        }
        let later = |seconds| Ctx { now: Instant(0).plus_seconds(seconds), ..ctx("a") };
        assert_eq!(read(&later(60), "Task?status=requested", &token), Ok("abc_1-2".into()));
        assert_eq!(read(&later(61), "Task?status=requested", &token), Err(410));
        assert!(Signer::new("t", 60).read(&ctx("a"), "Task?status=requested", &token).is_err());
    }

    #[test]
    fn a_link_keeps_values_readable_and_whole() {
        let pairs = [("identifier".to_owned(), "http://x|a b&c".to_owned()), ("_count".to_owned(), "2".to_owned())];
        assert_eq!(query_text(&pairs), "identifier=http://x%7Ca%20b%26c&_count=2");
    }
}
