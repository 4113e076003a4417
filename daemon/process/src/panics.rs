//! What is told of a panic.
//!
//! Owns the words. The message of a panic is made of whatever the code was about, a token perhaps, and no type of ours prevents that:
//! a text that is cut at a wrong place is quoted. So the place is told, and a message only where it stands in the source as it is.

use std::fmt;
use std::panic::{self, PanicHookInfo};

use tokio::task::JoinError;

/// What stands in place of a message that may hold anything.
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

/// How a task ended that gave no result. `Display` of tokio has the message of the panic.
pub fn ending(error: &JoinError) -> &'static str {
    match error.is_panic() {
        true => "it panicked",
        false => "it was cancelled",
    }
}

#[cfg(test)]
mod tests;
