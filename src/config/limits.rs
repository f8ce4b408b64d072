//! How much of everything: the `[limits]` table of the settings file, its flags and its variables.
//!
//! Not for: what a limit means to a caller, which is in `docs/settings.md`.

use crate::error::{Error, Result};
use std::time::Duration;

/// One table for the struct, the flags, the variables, the file keys and the checks.
macro_rules! limits {
    ($($(#[doc = $doc:literal])+ $field:ident, $flag:literal, $env:literal, $default:expr, $range:expr;)*) => {
        /// How much of everything one request, one page, one process may take.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct Limits { $($(#[doc = $doc])+ pub $field: u64,)* }

        /// Flags and variables of [`Limits`].
        #[derive(Debug, Clone, Default, clap::Args)]
        #[command(next_help_heading = "Limits")]
        pub struct LimitArgs {
            $($(#[doc = $doc])+ #[arg(long = $flag, env = $env, value_name = "N", hide_short_help = true)] pub $field: Option<u64>,)*
        }

        impl Default for Limits {
            fn default() -> Self { Self { $($field: $default,)* } }
        }

        impl Limits {
            /// Keys of the file's `[limits]` table.
            pub const KEYS: &'static [&'static str] = &[$($flag,)*];

            pub(super) fn apply(&mut self, args: &LimitArgs, file: &toml::Table) -> Result<()> {
                $(
                    let from_file = file.get($flag).map(|v| whole($flag, v)).transpose()?;
                    if let Some(n) = args.$field.or(from_file) {
                        if !$range.contains(&n) {
                            return Err(Error::invalid(format!(
                                "limit '{}' is {n}; it takes {} to {}", $flag, $range.start(), $range.end()
                            )));
                        }
                        self.$field = n;
                    }
                )*
                Ok(())
            }
        }
    };
}

limits! {
    /// Bytes of a request body, after decompression
    body_bytes, "body-bytes", "BATON_BODY_BYTES", 16 << 20, (1 << 10)..=(1 << 30);
    /// Nesting of JSON
    json_depth, "json-depth", "BATON_JSON_DEPTH", 64, 8..=128;
    /// Bytes of one JSON string
    string_bytes, "string-bytes", "BATON_STRING_BYTES", 1 << 20, (1 << 10)..=(1 << 28);
    /// Entries of one Bundle
    bundle_entries, "bundle-entries", "BATON_BUNDLE_ENTRIES", 5_000, 1..=100_000;
    /// Resources that one conditional delete may take; 1: a single match only
    delete_max, "delete-max", "BATON_DELETE_MAX", 100, 1..=10_000;
    /// Rows of a page when _count is not given
    count_default, "count-default", "BATON_COUNT_DEFAULT", 50, 1..=10_000;
    /// Highest _count
    count_max, "count-max", "BATON_COUNT_MAX", 1_000, 1..=10_000;
    /// Resources that _include and _revinclude may add to a page
    included_max, "included-max", "BATON_INCLUDED_MAX", 1_000, 0..=100_000;
    /// Rounds of _include:iterate
    include_depth, "include-depth", "BATON_INCLUDE_DEPTH", 5, 1..=20;
    /// Steps of a chained search parameter
    chain_depth, "chain-depth", "BATON_CHAIN_DEPTH", 3, 1..=8;
    /// Nested _has
    has_depth, "has-depth", "BATON_HAS_DEPTH", 2, 1..=8;
    /// Search parameters of one request
    search_parameters, "search-parameters", "BATON_SEARCH_PARAMETERS", 32, 1..=1_000;
    /// Values of one search parameter (a,b,c)
    search_values, "search-values", "BATON_SEARCH_VALUES", 100, 1..=10_000;
    /// Seconds that one query may take
    query_seconds, "query-seconds", "BATON_QUERY_SECONDS", 10, 1..=600;
    /// Bytes of all request headers
    header_bytes, "header-bytes", "BATON_HEADER_BYTES", 16 << 10, (1 << 10)..=(1 << 20);
    /// Bytes of the request URL
    url_bytes, "url-bytes", "BATON_URL_BYTES", 16 << 10, 256..=(1 << 20);
    /// Seconds to send the request head
    header_seconds, "header-seconds", "BATON_HEADER_SECONDS", 10, 1..=600;
    /// Seconds to send the whole request body
    body_seconds, "body-seconds", "BATON_BODY_SECONDS", 60, 1..=3_600;
    /// Seconds an idle connection stays open
    keep_alive_seconds, "keep-alive-seconds", "BATON_KEEP_ALIVE_SECONDS", 75, 1..=3_600;
    /// Connections at a time
    connections, "connections", "BATON_CONNECTIONS", 4_096, 1..=100_000;
    /// Connections of one address at a time; 0: no limit
    address_connections, "address-connections", "BATON_ADDRESS_CONNECTIONS", 1_000, 0..=100_000;
    /// Requests a second of one client, ten seconds' worth at once; 0: no limit
    client_rate, "client-rate", "BATON_CLIENT_RATE", 1_000, 0..=1_000_000;
    /// Requests a second of one address that is not loopback, ten seconds' worth at once; 0: no limit
    address_rate, "address-rate", "BATON_ADDRESS_RATE", 500, 0..=1_000_000;
    /// Writes that may wait; more are answered 503 with Retry-After
    write_queue, "write-queue", "BATON_WRITE_QUEUE", 512, 1..=100_000;
    /// Connections to the database
    database_connections, "database-connections", "BATON_DATABASE_CONNECTIONS", 8, 2..=1_000;
    /// Bytes of current resources kept in memory (SQLite only)
    cache_bytes, "cache-bytes", "BATON_CACHE_BYTES", 64 << 20, 0..=(1_u64 << 40);
    /// Seconds that the next links of a search stay good
    page_seconds, "page-seconds", "BATON_PAGE_SECONDS", 3_600, 60..=86_400;
    /// Versions that one step of a reindex takes: more is faster, fewer leaves more room for other writers
    reindex_batch, "reindex-batch", "BATON_REINDEX_BATCH", 100, 1..=10_000;
    /// Seconds between two looks for reviews that are overdue and claims that were not begun; 0: this node does not look
    look_seconds, "look-seconds", "BATON_LOOK_SECONDS", 60, 0..=3_600;
    /// Subscriptions of one client that ask for something
    subscriptions, "subscriptions", "BATON_SUBSCRIPTIONS", 100, 1..=100_000;
    /// Resources that one notification tells of; more come with the next
    subscription_entries, "subscription-entries", "BATON_SUBSCRIPTION_ENTRIES", 100, 1..=1_000;
    /// Seconds between two looks for what Subscriptions are to be told; 0: this node tells none
    subscription_seconds, "subscription-seconds", "BATON_SUBSCRIPTION_SECONDS", 2, 0..=3_600;
    /// Days that the audit is kept: never less than six years
    audit_days, "audit-days", "BATON_AUDIT_DAYS", 2_557, 2_192..=36_500;
    /// Seconds that a user's access token is good
    user_token_seconds, "user-token-seconds", "BATON_USER_TOKEN_SECONDS", 900, 30..=3_600;
    /// Seconds that a system's access token is good
    system_token_seconds, "system-token-seconds", "BATON_SYSTEM_TOKEN_SECONDS", 300, 30..=300;
    /// Memory of one password hash (Argon2id), in KiB
    password_kib, "password-kib", "BATON_PASSWORD_KIB", 19_456, 8_192..=(4 << 20);
    /// Passes of one password hash
    password_passes, "password-passes", "BATON_PASSWORD_PASSES", 2, 1..=100;
    /// Password hashes at a time
    password_hashes, "password-hashes", "BATON_PASSWORD_HASHES", 2, 1..=64;
    /// Seconds that our pages stay signed in without being used
    idle_seconds, "idle-seconds", "BATON_IDLE_SECONDS", 900, 60..=86_400;
    /// Seconds that a refresh token with offline_access is good without being used
    offline_seconds, "offline-seconds", "BATON_OFFLINE_SECONDS", 7_776_000, 3_600..=7_776_000;
    /// Seconds that a call of the terminology server may take
    terminology_seconds, "terminology-seconds", "BATON_TERMINOLOGY_SECONDS", 5, 1..=60;
    /// Answers of the terminology server that are kept
    terminology_cache, "terminology-cache", "BATON_TERMINOLOGY_CACHE", 1_000, 0..=100_000;
    /// Seconds that they are kept
    terminology_cache_seconds, "terminology-cache-seconds", "BATON_TERMINOLOGY_CACHE_SECONDS", 3_600, 1..=604_800;
    /// Verified access tokens kept in memory
    token_cache, "token-cache", "BATON_TOKEN_CACHE", 10_000, 1..=1_000_000;
}

impl Limits {
    /// A count or size as the machine's own integer.
    #[must_use]
    pub fn size(n: u64) -> usize {
        usize::try_from(n).unwrap_or(usize::MAX)
    }

    /// How long one query may take.
    #[must_use]
    pub fn query_time(&self) -> Duration {
        Duration::from_secs(self.query_seconds)
    }
}

fn whole(key: &str, value: &toml::Value) -> Result<u64> {
    value
        .as_integer()
        .and_then(|n| u64::try_from(n).ok())
        .ok_or_else(|| Error::invalid(format!("limit '{key}' in the settings file is a whole number")))
}
