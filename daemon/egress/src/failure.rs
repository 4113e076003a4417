//! Why a target was not reached: an error type of RFC 9209 for the daemon, and a sentence for people.
//!
//! Owns which failures prove that nothing was sent. Holds nothing of a request but the target's host and port.

use std::error::Error;
use std::fmt;
use std::io;

use http::{HeaderMap, HeaderValue, StatusCode};

use crate::causes::{causes, chain};
use crate::protocol::STATUS;
use crate::silence::is_silence;
use tokend_process::escaping::Escaped;

/// The start of `Proxy-Status` in the relay's own answers.
const WHO: &str = "tokend-egress; error=";
/// The longest sentence, in characters.
const LONGEST: usize = 300;

/// The kind of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// The name cannot be resolved.
    Name,
    /// The target refused the connection.
    Refused,
    /// The connection timed out.
    TimedOut,
    /// There is no route to the target.
    NoRoute,
    /// The connection failed in another way, before it was established.
    Unavailable,
    /// The configured proxy refused.
    Denied,
    /// The relay has no place for another connection.
    Full,
    /// The request may have been sent, and the target ended the connection before its answer was whole.
    Incomplete,
    /// The request may have been sent, and it is unknown whether the target caused the missing answer.
    Broken,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub kind: FailureKind,
    pub words: Box<str>,
}

const ALL: [FailureKind; 9] = [
    FailureKind::Name,
    FailureKind::Refused,
    FailureKind::TimedOut,
    FailureKind::NoRoute,
    FailureKind::Unavailable,
    FailureKind::Denied,
    FailureKind::Full,
    FailureKind::Incomplete,
    FailureKind::Broken,
];

impl FailureKind {
    /// The error type in RFC 9209, and the words for the log.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Name => ("dns_error", "its name cannot be resolved"),
            Self::Refused => ("connection_refused", "the connection was refused"),
            Self::TimedOut => ("connection_timeout", "it does not answer in time"),
            Self::NoRoute => ("destination_ip_unroutable", "there is no route to it"),
            Self::Unavailable => ("destination_unavailable", "the connection failed"),
            Self::Denied => ("http_request_denied", "the proxy would not"),
            Self::Full => ("connection_limit_reached", "the relay has no free place"),
            Self::Incomplete => ("http_response_incomplete", "no whole answer came"),
            Self::Broken => ("proxy_internal_error", "the connection broke"),
        }
    }

    /// The kind in a `Proxy-Status` of the relay; `None` if the header is not the relay's. An unknown error type may come from a newer
    /// relay, and then nothing is certain.
    pub fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let word = headers.get(STATUS)?.to_str().ok()?.strip_prefix(WHO)?;
        let known = ALL.into_iter().find(|kind| kind.words().0 == word);
        Some(known.unwrap_or(Self::Broken))
    }

    /// Whether nothing of the request can have reached the target.
    pub fn is_before_sending(self) -> bool {
        !matches!(self, Self::Incomplete | Self::Broken)
    }

    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::TimedOut => StatusCode::GATEWAY_TIMEOUT,
            Self::Full => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_GATEWAY,
        }
    }

    pub(super) fn header(self) -> Option<HeaderValue> {
        HeaderValue::from_str(&format!("{WHO}{}", self.words().0)).ok()
    }
}

/// For the log.
impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words().1)
    }
}

impl Failure {
    /// A failure with this sentence, made safe to print.
    pub(crate) fn new(kind: FailureKind, words: &str) -> Self {
        let words: String = Escaped(words).to_string().chars().take(LONGEST).collect();
        Self {
            kind,
            words: words.into(),
        }
    }

    /// The failure of an established connection.
    pub(super) fn of_exchange(error: &(dyn Error + 'static)) -> Self {
        let kind = match is_silence(error) {
            true => FailureKind::Incomplete,
            false => FailureKind::Broken,
        };
        Self::new(kind, &causes(error))
    }

    pub(super) fn timed_out() -> Self {
        Self::new(FailureKind::TimedOut, "operation timed out")
    }

    /// The failure of a connection that was not established.
    pub(super) fn of_connecting(error: &(dyn Error + 'static)) -> Self {
        let is_name = chain(error).any(|error| error.to_string() == "dns error");
        let innermost = chain(error)
            .filter_map(|error| error.downcast_ref::<io::Error>())
            .last();
        let kind = match innermost.map(io::Error::kind) {
            _ if is_name => FailureKind::Name,
            Some(io::ErrorKind::ConnectionRefused) => FailureKind::Refused,
            Some(io::ErrorKind::TimedOut) => FailureKind::TimedOut,
            Some(io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable) => {
                FailureKind::NoRoute
            }
            _ => FailureKind::Unavailable,
        };
        let words = causes(error);
        match kind {
            // The same words as in the daemon's own timeouts.
            FailureKind::TimedOut if !words.contains("timed out") => Self::timed_out(),
            _ => Self::new(kind, &words),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    #[test]
    fn every_kind_is_read_as_it_was_told() {
        let read = |value: HeaderValue| {
            let name = HeaderName::from_static(STATUS);
            FailureKind::from_headers(&HeaderMap::from_iter([(name, value)]))
        };
        for kind in ALL {
            assert_eq!(read(kind.header().unwrap()), Some(kind));
        }
        let newer = HeaderValue::from_static("tokend-egress; error=something_new");
        assert_eq!(read(newer), Some(FailureKind::Broken));
        for other in ["other; error=dns_error", "dns_error", ""] {
            assert_eq!(read(HeaderValue::from_static(other)), None);
        }
        assert_eq!(FailureKind::from_headers(&HeaderMap::new()), None);
    }

    #[test]
    fn connections_that_do_not_stand_are_told_apart() {
        let of = |number| Failure::of_connecting(&io::Error::from_raw_os_error(number)).kind;
        assert_eq!(of(111), FailureKind::Refused);
        assert_eq!(of(110), FailureKind::TimedOut);
        assert_eq!(
            (of(113), of(101)),
            (FailureKind::NoRoute, FailureKind::NoRoute)
        );
        assert_eq!(of(24), FailureKind::Unavailable);
    }

    #[test]
    fn what_the_network_did_to_a_request_is_not_the_targets_word() {
        let of = |number| Failure::of_exchange(&io::Error::from_raw_os_error(number)).kind;
        assert_eq!(
            (of(104), of(32)),
            (FailureKind::Incomplete, FailureKind::Incomplete)
        );
        for number in [110, 113, 100] {
            assert_eq!(of(number), FailureKind::Broken);
        }
        assert!(!FailureKind::Broken.is_before_sending());
    }

    #[test]
    fn words_are_bounded_and_stay_on_their_line() {
        let failure = Failure::new(FailureKind::Denied, &"a\n".repeat(1000));
        assert!(failure.words.len() <= LONGEST && !failure.words.contains('\n'));
    }
}
