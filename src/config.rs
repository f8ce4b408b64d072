//! Settings: `baton.toml`, then `BATON_*` variables, then flags, each over the one before. Safe without any of them.
//!
//! For: every command. [`ServeArgs`] (`args.rs`) is the clap half, [`Settings`] what the rest of the house reads.
//! Not for: the programme's times, texts, roles and codes: those are `profiles/`.
//! Source: own rules (README, "Settings").

mod args;
mod auth;
mod database;
mod file;
mod issuer;
mod limits;
mod network;
mod provider;

pub use args::{DeleteReferenced, Programme, References, ServeArgs, StoreArgs, UnknownProfile};
pub use auth::AuthMode;
pub use database::{AccountArgs, DatabaseArgs};
pub use file::nearest;
pub use issuer::{ClaimNames, Issuer};
pub use limits::{LimitArgs, Limits};
pub use network::Network;
pub use provider::Provider;

use crate::error::{Error, Result};
use file::{known_keys, paths, read, text};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// The file that is read when `--config` names none.
const FILE: &str = "baton.toml";

/// What the server runs with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where to listen. Port 0 takes a free one: see [`Settings::root`].
    pub listen: SocketAddr,
    /// `sqlite:PATH` or `postgres://…`.
    pub database_url: String,
    /// Who may call.
    pub auth: AuthMode,
    /// What `--base-url` says, without a slash at the end.
    pub base_url: Option<String>,
    /// Folder of profiles; `None`: the built-in ones.
    pub profiles: Option<PathBuf>,
    /// Which references must lead to something.
    pub references: References,
    /// What becomes of a delete of what others refer to.
    pub delete_referenced: DeleteReferenced,
    /// Packages of profiles: `.tgz` files, or folders.
    pub packages: Vec<PathBuf>,
    /// What becomes of a claim of a profile that is not known here.
    pub unknown_profile: UnknownProfile,
    /// Zone of dates and times that name none, an IANA name; `None`: what the database was made with.
    pub zone: Option<String>,
    /// Whether what is written starts anything.
    pub programme: Programme,
    /// FHIR base of a terminology server, as it was written.
    pub terminology_server: Option<String>,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<Network>,
    /// Other issuers whose access tokens are taken; in the file only.
    pub issuers: Vec<Issuer>,
    /// Where people may log in beside Baton's own page; in the file only.
    pub providers: Vec<Provider>,
    /// Certificate and key of the listener; `None`: it speaks HTTP.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// See [`Limits`].
    pub limits: Limits,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080),
            database_url: "sqlite:baton.db".into(),
            auth: AuthMode::Embedded,
            base_url: None,
            profiles: None,
            references: References::default(),
            delete_referenced: DeleteReferenced::default(),
            packages: Vec::new(),
            unknown_profile: UnknownProfile::default(),
            zone: None,
            programme: Programme::default(),
            terminology_server: None,
            trusted_proxies: Vec::new(),
            issuers: Vec::new(),
            providers: Vec::new(),
            tls: None,
            limits: Limits::default(),
        }
    }
}

const KEYS: [&str; 19] = [
    "trusted-proxies",
    "issuers",
    "providers",
    "tls-cert",
    "tls-key",
    "terminology-server",
    "listen",
    "database-url",
    "auth",
    "base-url",
    "profiles",
    "zone",
    "references",
    "delete-referenced",
    "insecure-http",
    "packages",
    "programme",
    "unknown-profile",
    "limits",
];

impl Settings {
    /// Reads the file, lays variables and flags over it, and checks the whole.
    ///
    /// # Errors
    /// `Invalid` with one sentence: an unknown key (and the nearest known one), a value that does not read, a limit out
    /// of range, `auth = "off"` on an address that is not loopback, `auth = "external"` without issuers, a base URL that is not one.
    pub fn load(args: &ServeArgs) -> Result<Self> {
        let file = match &args.store.config {
            Some(path) => read(path)?,
            None if Path::new(FILE).is_file() => read(Path::new(FILE))?,
            None => String::new(),
        };
        Self::merge(&file, args)
    }

    fn merge(file: &str, args: &ServeArgs) -> Result<Self> {
        let table: toml::Table =
            file.parse().map_err(|e: toml::de::Error| Error::invalid(format!("the settings file: {}", e.message())))?;
        known_keys(&table, &KEYS, "")?;
        let empty = toml::Table::new();
        let limits_table = match table.get("limits") {
            None => &empty,
            Some(toml::Value::Table(t)) => t,
            Some(_) => return Err(Error::invalid("'limits' in the settings file is a table: [limits]")),
        };
        known_keys(limits_table, Limits::KEYS, "limits.")?;

        let mut settings = Self::default();
        if let Some(text) = text(&table, "listen")? {
            settings.listen = text.parse().map_err(|_| {
                Error::invalid(format!("'listen' is \"{text}\"; write ADDR:PORT, such as 127.0.0.1:8080"))
            })?;
        }
        if let Some(url) = text(&table, "database-url")? {
            settings.database_url = url.into();
        }
        if let Some(name) = text(&table, "auth")? {
            settings.auth = <AuthMode as clap::ValueEnum>::from_str(name, false)
                .map_err(|_| Error::invalid(format!("'auth' is \"{name}\"; write embedded, external or off")))?;
        }
        if let Some(name) = text(&table, "references")? {
            settings.references = <References as clap::ValueEnum>::from_str(name, false)
                .map_err(|_| Error::invalid(format!("'references' is \"{name}\"; write visible or strict")))?;
        }
        if let Some(name) = text(&table, "delete-referenced")? {
            settings.delete_referenced = <DeleteReferenced as clap::ValueEnum>::from_str(name, false)
                .map_err(|_| Error::invalid(format!("'delete-referenced' is \"{name}\"; write refuse or allow")))?;
        }
        if let Some(name) = text(&table, "programme")? {
            settings.programme = <Programme as clap::ValueEnum>::from_str(name, false)
                .map_err(|_| Error::invalid(format!("'programme' is \"{name}\"; write on or off")))?;
        }
        settings.base_url = text(&table, "base-url")?.map(Into::into);
        settings.profiles = text(&table, "profiles")?.map(Into::into);
        settings.zone = text(&table, "zone")?.map(Into::into);
        settings.terminology_server = text(&table, "terminology-server")?.map(Into::into);
        let file = |flag: &Option<PathBuf>, key| Ok::<_, Error>(flag.clone().or(text(&table, key)?.map(PathBuf::from)));
        settings.tls = match (file(&args.tls_cert, "tls-cert")?, file(&args.tls_key, "tls-key")?) {
            (Some(cert), Some(key)) => Some((cert, key)),
            (None, None) => None,
            _ => {
                return Err(Error::invalid(
                    "'tls-cert' and 'tls-key' go together: the certificate and its private key",
                ));
            }
        };
        settings.packages = paths(&table, "packages")?;
        let proxies = paths(&table, "trusted-proxies")?;
        let proxies = proxies.iter().map(|p| p.display().to_string());
        settings.trusted_proxies = proxies.map(|n| Network::parse(&n)).collect::<Result<_>>()?;
        settings.issuers = issuer::read(table.get("issuers"))?;
        settings.providers = provider::read(table.get("providers"))?;
        if let Some(name) = text(&table, "unknown-profile")? {
            settings.unknown_profile = <UnknownProfile as clap::ValueEnum>::from_str(name, false).map_err(|_| {
                Error::invalid(format!("'unknown-profile' is \"{name}\"; write error, warning or ignore"))
            })?;
        }
        let insecure = match table.get("insecure-http") {
            None => false,
            Some(v) => v.as_bool().ok_or_else(|| Error::invalid("'insecure-http' is true or false"))?,
        };

        if let Some(listen) = args.listen {
            settings.listen = listen;
        }
        if let Some(url) = &args.store.database_url {
            settings.database_url.clone_from(url);
        }
        if let Some(auth) = args.auth {
            settings.auth = auth;
        }
        if let Some(references) = args.references {
            settings.references = references;
        }
        if let Some(delete_referenced) = args.delete_referenced {
            settings.delete_referenced = delete_referenced;
        }
        if let Some(programme) = args.store.programme {
            settings.programme = programme;
        }
        if let Some(url) = &args.store.base_url {
            settings.base_url = Some(url.clone());
        }
        if let Some(dir) = &args.store.profiles {
            settings.profiles = Some(dir.clone());
        }
        if let Some(zone) = &args.store.zone {
            settings.zone = Some(zone.clone());
        }
        if let Some(url) = &args.terminology_server {
            settings.terminology_server = Some(url.clone());
        }
        if !args.store.packages.is_empty() {
            settings.packages.clone_from(&args.store.packages);
        }
        if let Some(unknown) = args.store.unknown_profile {
            settings.unknown_profile = unknown;
        }
        if !args.trusted_proxies.is_empty() {
            settings.trusted_proxies = args.trusted_proxies.iter().map(|n| Network::parse(n)).collect::<Result<_>>()?;
        }
        settings.limits.apply(&args.limits, limits_table)?;
        settings.check(args.insecure_http.unwrap_or(insecure))?;
        Ok(settings)
    }

    fn check(&mut self, insecure: bool) -> Result<()> {
        if !["sqlite:", "postgres://", "postgresql://"].iter().any(|s| self.database_url.starts_with(s)) {
            // The text may hold a password: it is not repeated.
            return Err(Error::invalid("'database-url' starts with sqlite:, postgres:// or postgresql://"));
        }
        if self.limits.count_default > self.limits.count_max {
            return Err(Error::invalid("limit 'count-default' is above 'count-max'"));
        }
        if let Some(url) = &mut self.base_url {
            *url = base(url)?;
        }
        if let Some(zone) = &mut self.zone {
            let known = jiff::tz::TimeZone::get(zone).ok();
            let Some(name) = known.as_ref().and_then(jiff::tz::TimeZone::iana_name) else {
                let hint = "write a name of the IANA list, such as America/New_York, Europe/Berlin or UTC";
                return Err(Error::invalid(format!("'zone' is \"{zone}\", which is no time zone; {hint}")));
            };
            *zone = name.into(); // in the list's own letters
        }
        auth::check(self, insecure)
    }

    /// Whether nobody but this machine is served: both the listener and the address that clients use are loopback.
    #[must_use]
    pub fn is_this_machine_only(&self) -> bool {
        self.listen.ip().is_loopback() && is_loopback(&self.root(self.listen))
    }

    /// The address that clients use, without a slash at the end. `bound`: where the listener really is (port 0 is known
    /// only then). Never taken from a request: `Host` and `X-Forwarded-*` would poison links, issuer and audience.
    #[must_use]
    pub fn root(&self, bound: SocketAddr) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        self.base_url.clone().unwrap_or_else(|| format!("{scheme}://{bound}"))
    }
}

/// Checks a base URL: scheme, host, optional port and path; nothing that a link could trip over.
fn base(url: &str) -> Result<String> {
    let trimmed = url.trim_end_matches('/');
    let rest = trimmed.strip_prefix("https://").or_else(|| trimmed.strip_prefix("http://"));
    let good = rest.is_some_and(|r| {
        !r.is_empty()
            && !r.starts_with(['/', ':'])
            && r.bytes().all(|b| b.is_ascii_graphic() && !b"?#@\\\"<>'".contains(&b))
    });
    match (good, trimmed.ends_with("/fhir")) {
        (true, false) => Ok(trimmed.into()),
        (true, true) => Err(Error::invalid("'base-url' is the address without /fhir: Baton appends that itself")),
        (false, _) => {
            Err(Error::invalid("'base-url' is an absolute http:// or https:// URL without query, fragment or user"))
        }
    }
}

/// Whether the host of a base URL is this machine.
fn is_loopback(root: &str) -> bool {
    let rest = root.strip_prefix("http://").or_else(|| root.strip_prefix("https://")).unwrap_or(root);
    let authority = rest.split('/').next().unwrap_or_default();
    if let Ok(address) = authority.parse::<SocketAddr>() {
        return address.ip().is_loopback();
    }
    let host = match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests;
