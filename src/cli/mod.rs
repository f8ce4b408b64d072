//! The commands.

pub mod demo;
pub mod load;
pub mod seed;
