//! Answers of the daemon as JSON, the same from `tokenctl` and over HTTP.
//!
//! Owns the keys; they are a contract with programs, and `proto/openapi.json` has them. Times are after RFC 3339; `expires_in` is in seconds
//! as in RFC 6749, every other duration in milliseconds as its name says. Knows of no transport, and holds no secret beyond its caller's.

mod event;
mod status;
mod time;
mod token;
mod whoami;

pub use event::Event;
pub use status::{Account, account};
pub use time::rfc3339;
pub use token::{Facts, Present, TokenJson, token};
pub use whoami::{WhoamiJson, whoami};
