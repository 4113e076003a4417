//! The readers of hostile bytes, each with the properties that hold for every input.
//!
//! Owns one function per fuzz target: `tests/fuzz` runs them under libFuzzer, this crate's tests feed them the corpora. They panic if a
//! property does not hold and otherwise return nothing. They never start a program or touch a file.
#![expect(
    clippy::panic,
    clippy::expect_used,
    reason = "a subject says by a panic that something does not hold"
)]

mod config;
mod dialect;
mod record;
mod reply;
mod wire;

pub use config::config;
pub use dialect::dialect;
pub use record::record;
pub use reply::reply;
pub use wire::{frames, wire};

/// A function that is fed bytes.
pub type Subject = fn(&[u8]);

/// Every subject, by the name of its fuzz target and corpus.
pub const SUBJECTS: [(&str, Subject); 6] = [
    ("config", config),
    ("dialect", dialect),
    ("frames", frames),
    ("record", record),
    ("reply", reply),
    ("wire", wire),
];
