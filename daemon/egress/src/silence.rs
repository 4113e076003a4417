//! How connections end: by the other side, or by the network on the way.
//!
//! Owns that rule for the daemon and the egress relay. A verdict about an account may depend on it, so an end counts as the other side's
//! only if that is certain.

use std::error::Error;
use std::io;

use crate::causes::chain;

/// Whether an error of an established connection shows that the other side ended it. Any other error comes from the network: unanswered
/// keepalives or bytes, no route any more, an interface that is down.
pub fn is_of_other_side(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::UnexpectedEof
    )
}

/// Whether an error means only that no answer came: the other side ended the connection, or our own time limit passed. A network error is
/// not such a silence, and neither is an unreadable answer.
pub fn is_silence(error: &(dyn Error + 'static)) -> bool {
    chain(error).all(|error| match error.downcast_ref::<io::Error>() {
        Some(error) => is_of_other_side(error),
        None => !error
            .downcast_ref::<hyper::Error>()
            .is_some_and(hyper::Error::is_parse),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("a layer")]
    struct Layer(#[source] io::Error);

    #[test]
    fn what_the_network_does_is_not_the_other_sides_doing() {
        // ECONNRESET, EPIPE.
        for number in [104, 32] {
            let error = io::Error::from_raw_os_error(number);
            assert!(is_of_other_side(&error), "{error}");
            assert!(is_silence(&Layer(error)));
        }
        // As TLS tells an end that nobody announced.
        assert!(is_silence(&Layer(io::ErrorKind::UnexpectedEof.into())));
        // ETIMEDOUT, EHOSTUNREACH, ENETUNREACH, ENETDOWN, ECONNABORTED, and what no number is known for.
        for number in [110, 113, 101, 100, 103, 250] {
            let error = io::Error::from_raw_os_error(number);
            assert!(!is_of_other_side(&error), "{error}");
            assert!(!is_silence(&Layer(error)));
        }
        // As TLS tells what was changed on its way.
        let garbled = io::Error::new(io::ErrorKind::InvalidData, Layer(io::Error::other("x")));
        assert!(!is_silence(&Layer(garbled)));
    }
}
