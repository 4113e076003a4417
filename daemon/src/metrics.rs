//! What an operator watches: counters, and how every account is, as Prometheus text.
//!
//! Owns the counters, who may read them, and snapshots that are read in parts. Whoever counts adds to an atomic number and nothing more;
//! everything else is done when somebody reads. Labels are account names, dialects and closed lists of words: their number is bounded.

mod counters;
mod label;
mod reader;
mod sample;
mod serve;
mod snapshot;
mod text;

pub(crate) use counters::{Counters, Tried};
pub(crate) use label::Found;
pub(crate) use reader::Metrics;
pub(crate) use sample::Sample;
#[cfg(test)]
pub(crate) use serve::DOOR;
pub(crate) use serve::{cannot_serve, listen, look};
