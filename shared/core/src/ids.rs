//! Names and identities that come from outside.

pub mod check;
pub mod names;

pub use check::CheckName;
