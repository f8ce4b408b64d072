//! R4 Subscriptions, and those of the backport of R5's: what is asked for, kept, and told.
//!
//! [`topic`] what may be asked for by name · [`wish`] what a Subscription asks for, judged · [`channel`] where it goes · [`mod@keep`] its row, in the
//! transaction that writes it · [`deliver`] one try · [`notice`] what is sent.
//! A Subscription is a search that is asked again and again as who made it, with the rights of that moment; it hears of current resources that match and were
//! written since. Not for: when it is tried (`worker/subscription.rs`), the address guard (`outbound/fetch.rs`).
//! Source: <https://hl7.org/fhir/R4/subscription.html>, <https://hl7.org/fhir/uv/subscriptions-backport/STU1.1/>; security contract R53, A39, A40, leak
//! path 15; own rules in `docs/subscriptions.md`.

mod channel;
mod deliver;
mod keep;
mod notice;
mod topic;
mod wish;

pub(in crate::interaction) use deliver::NOTIFICATION;
pub use deliver::Told;
pub(in crate::interaction) use keep::keep;
pub use topic::Topics;
