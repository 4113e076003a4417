//! Providers and clients that break the rules, at the lowest level needed: for the tests of `hostile` and for the bars.
//!
//! Panics if it cannot do its part, because its users are tests.

#![expect(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "helpers of tests may fail them"
)]

pub mod failings;
pub mod raw;
pub mod tls;
pub mod wire;
