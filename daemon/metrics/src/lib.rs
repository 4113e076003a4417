//! What an operator watches: counters, and how every account is, as Prometheus text.
//!
//! Owns the counters and the text. Whoever counts adds to an atomic number and nothing more; everything else is done when somebody reads.
//! Labels are account names, dialects and closed lists of words: their number is bounded. Asks nobody how an account is: samples are brought.

mod counters;
mod label;
mod lines;
mod sample;
mod snapshot;
mod text;

pub use counters::{Counters, Tried};
pub use label::Found;
pub use sample::Sample;
pub use snapshot::MetricsSnapshot;
pub use text::{At, head};
