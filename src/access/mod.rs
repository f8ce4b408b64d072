//! Who is calling and how far they may see.
//!
//! For: [`Ctx`], the first argument of everything below http; [`Limit`], the argument no storage read goes without.
//! Not for: turning a token into a [`Ctx`] (`auth/bearer.rs`).

pub mod context;
pub mod label;
pub mod limit;
pub mod policy;
pub mod redaction;
pub mod scope;

pub use context::{Ctx, Principal, Role};
pub use label::Labels;
pub use limit::{Glass, Hooks, Layer, Limit, Sieve};
pub use policy::{Decision, Policy, decide};
pub use scope::Action;
