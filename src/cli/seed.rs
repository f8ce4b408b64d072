//! `baton seed FILE`: organisations, people, users and clients from one declarative file.
//!
//! For: the command, `baton demo`, and tests. Idempotent. Format: `docs/seed.md`.

pub mod directory;
pub mod file;
