//! How a panic is reported.
//!
//! Owns the words. The message of a panic can hold any data of the code that failed, perhaps a token, and no
//! type of ours prevents that: slicing a text at a wrong place quotes the text. So a report names the place,
//! and has the message only if that is a literal of the source.

use std::fmt;
use std::panic::{self, PanicHookInfo};

use tokio::task::JoinError;

/// Stands in place of a message that may hold a secret.
const WITHHELD: &str = "its message is not shown, since a secret may be in it";

/// From now on gives every panic of this process to `tell` instead of printing its message.
pub fn withhold(tell: impl Fn(&dyn fmt::Display) + Send + Sync + 'static) {
    panic::set_hook(Box::new(move |panic| tell(&Panic(panic))));
}

/// A panic, in words that may be shown.
struct Panic<'a>(&'a PanicHookInfo<'a>);

impl fmt::Display for Panic<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = self.0.location() {
            write!(f, "{place}: ")?;
        }
        // A message that was put together is a `String`.
        let literal = self.0.payload().downcast_ref::<&'static str>();
        f.write_str(literal.copied().unwrap_or(WITHHELD))
    }
}

/// How a task ended that gave no result. Not by tokio's `Display`, which shows the message of the panic.
pub fn ending(error: &JoinError) -> &'static str {
    match error.is_panic() {
        true => "it panicked",
        false => "it was cancelled",
    }
}

#[cfg(test)]
mod tests;
