//! What an operator watches: counters, and how every account is, as Prometheus text.
//!
//! Owns the counters, who may read them, and snapshots that are read in parts. Whoever counts adds to an atomic number and nothing more;
//! everything else is done when somebody reads. Labels are account names, dialects and closed lists of words: their number is bounded.

mod counters;
mod label;
mod reader;
mod sample;
mod snapshot;
mod text;

pub(crate) use counters::{Counters, Tried};
pub(crate) use label::Found;
pub(crate) use reader::{Metrics, PART};
pub(crate) use sample::Sample;
pub(crate) use snapshot::Snapshot;
pub(crate) use text::At;
