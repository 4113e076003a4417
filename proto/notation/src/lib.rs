//! What people write in several places, read the same everywhere: durations and secrets.
//!
//! Owns the grammar of a duration and the rule which part of some bytes is the secret. Configuration, dialects, daemon and command line
//! all use it, so that no two of them differ. It never does I/O, holds nothing, and shows no secret: its errors name kinds and counts.
//!
//! Its enums are not `#[non_exhaustive]`: only the programs of this workspace use them, and each has a sentence for every variant.

mod duration;
mod secret;

pub use duration::{NotADuration, duration};
pub use secret::{Lines, NotASecret, Secret, secret};
