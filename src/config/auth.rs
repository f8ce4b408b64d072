//! How callers are known, and which of it is safe where.

use super::Settings;
use crate::error::{Error, Result};

/// Who may call, see README.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum AuthMode {
    /// Baton's own authorization server at `/auth`.
    #[default]
    Embedded,
    /// Tokens of the issuers that are listed, and none of Baton's own: no login, no endpoint at `/auth`.
    External,
    /// No token asked: a super-user on loopback, for tests and trials.
    Off,
}

/// Whether the way callers are known goes with where is listened. `insecure`: http beyond this machine is accepted.
///
/// # Errors
/// `Invalid` with one sentence.
pub(super) fn check(settings: &Settings, insecure: bool) -> Result<()> {
    if settings.auth == AuthMode::Off {
        let (ip, port) = (settings.listen.ip(), settings.listen.port());
        return match ip.is_loopback() {
            true => Ok(()),
            false => Err(Error::invalid(format!(
                "'auth' off lets everybody do everything, so it listens on loopback only; {ip} is not loopback. \
                 Use --listen 127.0.0.1:{port} or --auth embedded"
            ))),
        };
    }
    if settings.auth == AuthMode::External && settings.issuers.is_empty() {
        return Err(Error::invalid(
            "'auth' external takes tokens of other issuers only: list at least one under [[issuers]] in the settings file",
        ));
    }
    if settings.auth == AuthMode::External && !settings.providers.is_empty() {
        return Err(Error::invalid(
            "'auth' external has no login of its own, so [[providers]] mean nothing to it; use embedded, or take them away",
        ));
    }
    if settings.base_url.is_none() && settings.listen.ip().is_unspecified() {
        return Err(Error::invalid(
            "listening on every address needs --base-url: the address that clients use, such as https://baton.example.org",
        ));
    }
    if !insecure && settings.root(settings.listen).starts_with("http://") && !settings.is_this_machine_only() {
        return Err(Error::invalid(
            "the base URL is http:// and more than loopback is served: tokens and patients' data would travel \
             readable. Give --tls-cert and --tls-key, or put TLS in front and give --base-url https://…, or say --insecure-http",
        ));
    }
    Ok(())
}
