//! Metrics for operators: counters and the state of every account, as Prometheus text.
//!
//! Owns the counters and the text. Counting is one addition to an atomic number; all other work is done when metrics are read. Labels are
//! account names, dialects and closed lists of words: their number is bounded. Never asks for the state of an account: the caller passes
//! samples.

mod counters;
mod label;
mod lines;
mod sample;
mod text;

pub use counters::{Counters, Found, Tried, Watched};
pub use sample::Sample;
pub use text::{At, MetricsSnapshot, head};
