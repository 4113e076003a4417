//! What people write in several places, read the same everywhere: durations, secrets and addresses of APIs.
//!
//! Owns the grammar of a duration, the rule which part of some bytes is the secret, and what an address covers. Configuration, dialects,
//! daemon and command line all use it, so that no two of them differ. It never does I/O, holds nothing, and shows no secret: its errors
//! name kinds and counts.
//!
//! It is published for the sake of `tokend-client`, which shows nothing of it. Its enums are not `#[non_exhaustive]`: the programs of this
//! workspace have a sentence for every variant.

mod api_url;
mod duration;
mod secret;

pub use api_url::{ApiUrl, NotAnApiUrl, Target};
pub use duration::{NotADuration, duration};
pub use secret::{Lines, NotASecret, Secret, secret};
