//! Providers and clients that do what they must not, as raw as it takes: for the tests of `hostile` and for the bars.
//!
//! Panics where it cannot play its part: who uses it is a test.

#![expect(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "helpers of tests may fail them"
)]

pub mod failings;
pub mod raw;
pub mod tls;
pub mod wire;
