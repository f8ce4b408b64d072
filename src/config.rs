//! Settings: `baton.toml`, then `BATON_*` variables, then flags, each over the one before. Safe without any of them.
//!
//! For: every command. [`ServeArgs`] is the clap half, [`Settings`] what the rest of the house reads.
//! Not for: the programme's times, texts, roles and codes: those are `profiles/`.
//! Source: own rules (README, "Settings").

mod auth;
mod issuer;
mod limits;
mod network;
mod provider;

pub use auth::AuthMode;
pub use issuer::{ClaimNames, Issuer};
pub use limits::{LimitArgs, Limits};
pub use network::Network;
pub use provider::Provider;

use crate::error::{Error, Result};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// The file that is read when `--config` names none.
const FILE: &str = "baton.toml";

/// Which references of a write must lead to something. Those into the same Bundle always must.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum References {
    /// Those of callers with an organisation, to what organisations own: it must be there, and the caller must see it.
    #[default]
    Visible,
    /// Those of every caller, to every type.
    Strict,
}

/// What becomes of a delete of what others refer to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum DeleteReferenced {
    /// 409 with who refers, as far as the caller may see them.
    #[default]
    Refuse,
    /// It is deleted, and the references dangle.
    Allow,
}

/// What becomes of a claim in `meta.profile` that names a profile that is not known here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum UnknownProfile {
    /// Refused.
    #[default]
    Error,
    /// Noted.
    Warning,
    /// Let pass unheard.
    Ignore,
}

/// Whether what is written starts what the programme calls for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Programme {
    /// Episodes, Tasks, reconciled lists, findings: in the same transaction.
    #[default]
    On,
    /// Nothing follows a write. Who may write what is judged as ever.
    Off,
}

/// What commands need that open the database.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct StoreArgs {
    /// Settings file [default: baton.toml, where it exists]
    #[arg(long, env = "BATON_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// sqlite:PATH or postgres://USER:PASSWORD@HOST/NAME [default: sqlite:baton.db]
    #[arg(long, env = "BATON_DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub database_url: Option<String>,
    /// Folder of profiles in place of the built-in ones
    #[arg(long, env = "BATON_PROFILES", value_name = "DIR")]
    pub profiles: Option<PathBuf>,
    /// Packages of profiles, parted by commas: .tgz files, or folders of packages
    #[arg(long, env = "BATON_PACKAGES", value_name = "PATH", value_delimiter = ',')]
    pub packages: Vec<PathBuf>,
    /// What becomes of a claim of a profile that is not known here: error, warning or ignore [default: error]
    #[arg(long, env = "BATON_UNKNOWN_PROFILE", value_enum)]
    pub unknown_profile: Option<UnknownProfile>,
    /// Zone of dates and times that name none, as IANA calls it: America/New_York [default: what the database was made with, UTC
    /// for a new one]
    #[arg(long, env = "BATON_ZONE", value_name = "ZONE")]
    pub zone: Option<String>,
    /// Whether writes start what the programme calls for: on, or off for what is past and for measuring [default: on]
    #[arg(long, env = "BATON_PROGRAMME", value_enum)]
    pub programme: Option<Programme>,
    /// Address that clients use, without /fhir: tokens and links carry it [default: http:// and the listen address]
    #[arg(long, env = "BATON_BASE_URL", value_name = "URL")]
    pub base_url: Option<String>,
}

/// Flags and variables of `baton serve`. A flag given twice takes its last value, so that scripts can append.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(args_override_self = true)]
pub struct ServeArgs {
    /// Database, profiles and base.
    #[command(flatten)]
    pub store: StoreArgs,
    /// Address and port to listen on [default: 127.0.0.1:8080]
    #[arg(long, env = "BATON_LISTEN", value_name = "ADDR:PORT")]
    pub listen: Option<SocketAddr>,
    /// Who may call [default: embedded]
    #[arg(long, env = "BATON_AUTH", value_enum)]
    pub auth: Option<AuthMode>,
    /// Accept a base URL of http:// that is not loopback: tokens and patients' data travel readable
    #[arg(long, env = "BATON_INSECURE_HTTP", num_args = 0..=1, default_missing_value = "true")]
    pub insecure_http: Option<bool>,
    /// Certificate of the listener and those that lead to its root (PEM): with it HTTPS is spoken; read anew at SIGHUP and when it changes
    #[arg(long, env = "BATON_TLS_CERT", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,
    /// Its private key (PEM)
    #[arg(long, env = "BATON_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
    /// Which references must lead to something: visible (of callers with an organisation) or strict (all) [default: visible]
    #[arg(long, env = "BATON_REFERENCES", value_enum)]
    pub references: Option<References>,
    /// What becomes of a delete of what others refer to: refuse or allow [default: refuse]
    #[arg(long, env = "BATON_DELETE_REFERENCED", value_enum)]
    pub delete_referenced: Option<DeleteReferenced>,
    /// FHIR base of a terminology server that is asked for what is not here, by terminology operations only [default: none]
    #[arg(long, env = "BATON_TERMINOLOGY_SERVER", value_name = "URL")]
    pub terminology_server: Option<String>,
    /// Proxies whose X-Forwarded-For says whose request it is, parted by commas: addresses or networks [default: none]
    #[arg(long, env = "BATON_TRUSTED_PROXIES", value_name = "NETWORK", value_delimiter = ',')]
    pub trusted_proxies: Vec<String>,
    /// Limits, each refused with an OperationOutcome when passed.
    #[command(flatten)]
    pub limits: LimitArgs,
}

impl From<StoreArgs> for ServeArgs {
    fn from(store: StoreArgs) -> Self {
        Self { store, ..Self::default() }
    }
}

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

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path)
        .map_err(|e| Error::invalid(format!("the settings file {} cannot be read: {e}", path.display())).caused_by(e))
}

fn text<'a>(table: &'a toml::Table, key: &str) -> Result<Option<&'a str>> {
    match table.get(key) {
        None => Ok(None),
        Some(toml::Value::String(s)) => Ok(Some(s)),
        Some(_) => Err(Error::invalid(format!("'{key}' in the settings file is a text: {key} = \"…\""))),
    }
}

/// One path, or a list of paths.
fn paths(table: &toml::Table, key: &str) -> Result<Vec<PathBuf>> {
    let wrong = || Error::invalid(format!("'{key}' in the settings file is a list of paths: {key} = [\"…\"]"));
    match table.get(key) {
        None => Ok(Vec::new()),
        Some(toml::Value::String(path)) => Ok(vec![path.into()]),
        Some(toml::Value::Array(list)) => {
            list.iter().map(|path| path.as_str().map(PathBuf::from).ok_or_else(wrong)).collect()
        }
        Some(_) => Err(wrong()),
    }
}

fn known_keys(table: &toml::Table, known: &[&str], prefix: &str) -> Result<()> {
    for key in table.keys() {
        if !known.contains(&key.as_str()) {
            let near = nearest(key, known).map_or_else(String::new, |n| format!("; did you mean '{prefix}{n}'?"));
            return Err(Error::invalid(format!("the settings file has the unknown key '{prefix}{key}'{near}")));
        }
    }
    Ok(())
}

/// The known name with the fewest edits, when that is fewer than half of the letters.
#[must_use]
pub fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let folded = name.to_ascii_lowercase().replace('_', "-");
    known
        .iter()
        .map(|k| (edits(&folded, k), *k))
        .min()
        .filter(|(distance, k)| distance * 2 < k.chars().count().max(folded.chars().count()))
        .map(|(_, k)| k)
}

/// Levenshtein distance.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut left = i + 1;
        let mut corner = i;
        let mut next = vec![left];
        for (y, &up) in b.iter().zip(row.iter().skip(1)) {
            left = (corner + usize::from(x != *y)).min(left + 1).min(up + 1);
            corner = up;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
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
mod tests {
    use super::*;
    use clap::{Args, FromArgMatches};

    fn args(flags: &[&str]) -> ServeArgs {
        let command = ServeArgs::augment_args(clap::Command::new("serve"));
        let matches = command.try_get_matches_from([&["serve"], flags].concat()).unwrap();
        ServeArgs::from_arg_matches(&matches).unwrap()
    }

    fn load(file: &str, flags: &[&str]) -> Result<Settings> {
        Settings::merge(file, &args(flags))
    }

    #[test]
    fn nothing_at_all_is_a_safe_server_on_loopback() {
        let settings = load("", &[]).unwrap();
        assert_eq!(settings, Settings::default());
        assert!(settings.listen.ip().is_loopback());
        assert_eq!(settings.auth, AuthMode::Embedded);
        assert_eq!(settings.root(settings.listen), "http://127.0.0.1:8080");
    }

    #[test]
    fn a_flag_goes_over_the_file() {
        let file =
            "listen = \"127.0.0.1:9000\"\ndatabase-url = \"sqlite:a.db\"\n[limits]\nbody-bytes = 2048\njson-depth = 10";
        let settings = load(file, &["--listen", "127.0.0.1:9001", "--body-bytes", "4096"]).unwrap();
        assert_eq!(settings.listen.port(), 9001);
        assert_eq!(settings.database_url, "sqlite:a.db");
        assert_eq!((settings.limits.body_bytes, settings.limits.json_depth), (4096, 10));
        let zoned = |flags| load("zone = \"Europe/Berlin\"", flags).unwrap().zone;
        assert_eq!(zoned(&[]).as_deref(), Some("Europe/Berlin"));
        assert_eq!(zoned(&["--zone", "america/new_york"]).as_deref(), Some("America/New_York"));
    }

    #[test]
    fn every_wrong_setting_is_refused_with_a_sentence_that_helps() {
        for (file, flags, says) in [
            ("lissten = \"127.0.0.1:1\"", &[][..], "did you mean 'listen'?"),
            ("database_url = \"sqlite:x\"", &[], "did you mean 'database-url'?"),
            ("[limits]\nbody-byte = 1", &[], "did you mean 'limits.body-bytes'?"),
            ("zzz = 1", &[], "unknown key 'zzz'"),
            ("limits = 1", &[], "[limits]"),
            ("[limits]\nbody-bytes = -1", &[], "whole number"),
            ("[limits]\njson-depth = 100000", &[], "it takes 8 to 128"),
            ("[limits]\ncount-default = 60\ncount-max = 50", &[], "above 'count-max'"),
            ("listen = 8080", &[], "'listen' in the settings file is a text"),
            ("listen = \"here\"", &[], "ADDR:PORT"),
            ("auth = \"none\"", &[], "embedded, external or off"),
            ("references = \"no\"", &[], "visible or strict"),
            ("delete-referenced = \"no\"", &[], "refuse or allow"),
            ("programme = \"no\"", &[], "on or off"),
            ("zone = \"Mars/Olympus\"", &[], "no time zone"),
            ("", &["--zone", "CEST+1"], "no time zone"),
            ("auth = \"external\"", &[], "[[issuers]]"),
            ("tls-cert = \"a.pem\"", &[], "go together"),
            ("", &["--tls-key", "a.pem"], "go together"),
            ("", &["--trusted-proxies", "proxy.example"], "is no network"),
            ("a = ", &[], "the settings file"),
            ("", &["--auth", "off", "--listen", "0.0.0.0:8080"], "loopback only"),
            ("", &["--auth", "off", "--listen", "192.0.2.1:8080"], "loopback only"),
            ("", &["--auth", "off", "--listen", "[::]:8080"], "loopback only"),
            ("", &["--listen", "0.0.0.0:8080"], "needs --base-url"),
            ("", &["--listen", "192.0.2.1:8080"], "--insecure-http"),
            ("", &["--base-url", "http://baton.example.org"], "--insecure-http"),
            ("", &["--base-url", "http://localhost.evil.example"], "--insecure-http"),
            ("", &["--base-url", "http://localhost:8080", "--listen", "0.0.0.0:8080"], "--insecure-http"),
            ("", &["--base-url", "ftp://x"], "absolute http"),
            ("", &["--base-url", "https://u@x"], "absolute http"),
            ("", &["--base-url", "https://x/fhir/"], "without /fhir"),
            ("", &["--database-url", "mysql://root:secret@x"], "starts with sqlite:"),
        ] {
            let error = load(file, flags).expect_err(file).to_string();
            assert!(error.contains(says), "{file} {flags:?}: {error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn what_is_safe_is_taken() {
        for flags in [
            &["--auth", "off", "--listen", "[::1]:8080"][..],
            &["--listen", "0.0.0.0:8080", "--base-url", "https://baton.example.org/"],
            &["--listen", "0.0.0.0:8080", "--base-url", "http://10.0.0.5:8080", "--insecure-http"],
            &["--base-url", "http://localhost:8080"],
            &["--base-url", "http://[::1]:8080"],
            &["--database-url", "postgres://baton@db/baton"],
        ] {
            load("", flags).unwrap_or_else(|e| panic!("{flags:?}: {e}"));
        }
        let settings = load("", &["--base-url", "https://baton.example.org/"]).unwrap();
        assert_eq!(settings.base_url.as_deref(), Some("https://baton.example.org"));
    }

    #[test]
    fn the_page_on_settings_names_every_limit() {
        let page = include_str!("../docs/settings.md");
        for key in Limits::KEYS.iter().chain(KEYS.iter().filter(|k| **k != "limits")) {
            assert!(
                page.contains(&format!("`{key}`"))
                    || page.contains(&format!("\n{key} = "))
                    || page.contains(&format!("# {key} = ")),
                "{key}"
            );
        }
    }

    #[test]
    fn the_bound_port_stands_in_the_root_when_port_0_was_asked() {
        let settings = load("", &["--listen", "127.0.0.1:0"]).unwrap();
        assert_eq!(settings.root("127.0.0.1:4711".parse().unwrap()), "http://127.0.0.1:4711");
    }
}
