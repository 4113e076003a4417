//! Bodies that the relay sends.

use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::body::Incoming;

/// A stream, passed on piece by piece and neither kept nor inspected; or a sentence of the relay.
pub(super) type Relayed = Either<Incoming, Full<Bytes>>;

/// A sentence with a newline.
pub(super) fn sentence(words: &str) -> Relayed {
    Either::Right(Full::from(format!("{words}\n")))
}
