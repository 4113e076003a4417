//! An error and what caused it, on one line.
//!
//! Owns the wording of failed connections: daemon and egress relay report the same failure in the same words.

use std::error::Error;
use std::iter::successors;

/// An error, followed by each of its causes.
pub fn chain<'e>(
    error: &'e (dyn Error + 'static),
) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    successors(Some(error), |&error| error.source())
}

/// The message of an error, followed by those of its causes.
pub fn causes(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    for part in chain(error).map(ToString::to_string) {
        // Several layers repeat the message of their cause, and two name only the layer.
        let is_layer = part.starts_with("client error (") || part == "error resolving DNS";
        if is_layer || text.ends_with(&part) {
            continue;
        }
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&part);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Layer(&'static str, #[source] io::Error);

    #[test]
    fn causes_follow_what_they_caused_and_nothing_is_said_twice() {
        let refused = || io::Error::from_raw_os_error(111);
        let message = "tcp connect error: Connection refused (os error 111)";
        assert_eq!(causes(&Layer("tcp connect error", refused())), message);
        let again = Layer("Connection refused (os error 111)", refused());
        assert_eq!(causes(&again), "Connection refused (os error 111)");
        let layer = Layer("client error (Connect)", refused());
        assert_eq!(causes(&layer), "Connection refused (os error 111)");
    }
}
