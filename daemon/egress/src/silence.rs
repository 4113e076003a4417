//! How connections end: whether it was the other side that ended one, or the network between.
//!
//! Owns that rule for the daemon and the egress relay alike. A verdict about an account may hang on it, so whatever is not known to be the
//! other side's doing is not.

use std::error::Error;
use std::io;

/// Whether an error of a connection that stood says that the other side ended it. Any other is of the network between: keepalives or bytes
/// that nobody answered, no way any more, an interface that is down.
pub fn is_of_other_side(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::UnexpectedEof
    )
}

/// Whether an error says no more than that nothing came of an answer: the other side ended the connection, or our own time was over. What
/// the network did is no silence, and neither is an answer that cannot be read.
pub fn is_silence(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let is_other = match error.downcast_ref::<io::Error>() {
            Some(error) => !is_of_other_side(error),
            None => error
                .downcast_ref::<hyper::Error>()
                .is_some_and(hyper::Error::is_parse),
        };
        if is_other {
            return false;
        }
        cause = error.source();
    }
    true
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
