//! Who is calling: Baton's own authorization server, and the bearer tokens it gave.
//!
//! For: `/auth/token` (`endpoint.rs`, `exchange.rs`), the pages for people (`page`), `/auth/introspect` and `/auth/revoke`
//! (`introspect.rs`), `/auth/jwks` (`key.rs`), discovery (`discovery.rs`), and [`bearer::AuthState`], which turns the headers of a
//! request into a principal.
//! Not for: what a caller may do (`access`), SQL (`store/oauth.rs`), HTTP (`http`).
//! Source: <https://hl7.org/fhir/smart-app-launch/STU2.2/>, RFC 6749, 7523, 9068.
//!
//! Where things are: registrations of programs and people `accounts.rs`, by HTTP `admin.rs`, reading and checking a compact JWS
//! `jws.rs`, signing keys `key.rs`, access tokens `token.rs`, client authentication `client.rs`, keys at a client's own address `remote.rs`, tokens
//! of other issuers `external.rs`, logins at OpenID providers `provider.rs`, whether client, user and role still hold
//! `standing.rs`, of who asked before `again.rs`, which rows scopes let through
//! `sieve.rs`, passwords `password.rs`, one-time codes `totp.rs`, who must wait after failed logins `failure.rs`,
//! what is put on record `witness.rs`.

pub mod accounts;
pub mod admin;
pub mod again;
pub mod bearer;
pub mod client;
pub mod discovery;
pub mod endpoint;
pub mod exchange;
pub mod external;
pub mod failure;
pub mod introspect;
pub mod jws;
pub mod key;
pub mod launch;
pub mod origins;
pub mod page;
pub mod password;
pub mod people;
pub mod provider;
pub mod register;
pub mod remote;
pub mod sieve;
pub mod standing;
pub mod token;
pub mod totp;
pub mod witness;

pub use bearer::{Asked, AuthState, Caller};
pub use endpoint::{OAuthAnswer, TokenRequest};
