//! Token servers nobody here wrote: what they do by themselves, and what the broker makes of them.

#![expect(clippy::unwrap_used, reason = "helpers of a test may fail it")]

mod alone;
mod broker;
