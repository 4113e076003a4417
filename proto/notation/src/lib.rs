//! What people write in several places, read the same everywhere: durations, secrets and addresses of APIs.
//!
//! Owns the grammar of a duration, the rule which part of some bytes is the secret, and what an address covers. Configuration, dialects,
//! daemon and command line all use it, so that no two of them differ. It never does I/O, holds nothing, and shows no secret: its errors
//! name kinds and counts.
//!
//! Its enums are not `#[non_exhaustive]`: only the programs of this workspace use them, and each has a sentence for every variant.

mod api_url;
mod duration;
mod secret;

pub use api_url::{ApiUrl, NotAnApiUrl, Target};
pub use duration::{NotADuration, duration};
pub use secret::{Lines, NotASecret, Secret, secret};
