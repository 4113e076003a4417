//! Third-party token servers: their own behaviour, and the broker's behaviour with them.

#![expect(clippy::unwrap_used, reason = "helpers of a test may fail it")]

mod alone;
mod broker;
