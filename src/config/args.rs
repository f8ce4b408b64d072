//! Flags and variables of the commands, and the words that they take.
//!
//! Not for: the file (`file.rs`), or what goes over what (`Settings::load`).

use super::{AuthMode, LimitArgs};
use std::net::SocketAddr;
use std::path::PathBuf;

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
