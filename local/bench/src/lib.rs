//! What the bare client makes of a recording: the same calls, in the same order, side by side where they were.
//!
//! `fleetwarden-bench` records the calls of a function and writes a [`Plan`]; the binary `bench-bare` replays
//! it with a [`Client`] that neither signs, nor retries, nor looks at what it gets. Their ratio is what a
//! function adds to its calls.

mod client;
mod plan;

pub use client::Client;
pub use plan::{Call, Plan, Step};
