//! Why the HTTP client cannot be built, and the text of its errors.

use tokend_egress::causes::causes;

/// The HTTP client cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// `extra_ca` has no valid certificate authorities.
    #[error("extra_ca: {path}: {reason}")]
    ExtraCa {
        /// The file, as it is configured.
        path: String,
        /// The problem with it.
        reason: String,
    },
    // Not named `source`: a caller that prints the causes of an error would print it twice.
    /// The certificate authorities of `extra_ca` cannot be read.
    #[error("extra_ca: {path}: {why}")]
    ExtraCaUnread {
        /// The file, as it is configured.
        path: String,
        /// The system's error.
        why: std::io::Error,
    },
    /// The HTTP client cannot be built.
    #[error("the HTTP client cannot be set up: {0}")]
    Client(String),
    /// An https proxy behind the relay is not supported.
    #[error(
        "proxy: the egress relay cannot speak TLS to a proxy; use an http:// one (what goes through it to providers is encrypted all the same), or give the daemon a network: examples/direct-network.conf"
    )]
    ProxyBehindRelay,
    /// Connections to the relay cannot be routed to its Unix socket.
    #[error(
        "the connection to the egress relay cannot be set up in {directory}: {why}; set TMPDIR to a directory that can be written, with a shorter \
         path if it is long"
    )]
    Bridge {
        /// The directory of that socket.
        directory: String,
        /// The system's error.
        why: std::io::Error,
    },
}

impl ClientError {
    /// Whether the machine has a temporary shortage, such as of descriptors: the settings may be right.
    pub fn is_shortage(&self) -> bool {
        match self {
            Self::ExtraCaUnread { why, .. } | Self::Bridge { why, .. } => {
                tokend_config::is_shortage(why)
            }
            _ => false,
        }
    }
}

pub(super) fn client_error(error: &reqwest::Error) -> ClientError {
    ClientError::Client(chain(error))
}

/// The causes of an error, without the URL, whose query may hold a secret.
pub(super) fn chain(error: &reqwest::Error) -> String {
    let text = std::error::Error::source(error).map_or_else(String::new, causes);
    if error.is_timeout() && !text.contains("timed out") {
        return format!("timed out: {text}")
            .trim_end_matches(": ")
            .to_owned();
    }
    if text.is_empty() {
        "the connection ended".to_owned()
    } else {
        text
    }
}
