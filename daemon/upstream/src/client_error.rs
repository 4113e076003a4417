//! Why the HTTP client cannot be built, and what its errors say.

use tokend_egress::causes::causes;

/// The HTTP client cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The authorities of `extra_ca` are none.
    #[error("extra_ca: {path}: {reason}")]
    ExtraCa {
        /// The file, as it is configured.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    // Not `source`, which whoever shows the causes of an error would show once more.
    /// The authorities of `extra_ca` cannot be read.
    #[error("extra_ca: {path}: {why}")]
    ExtraCaUnread {
        /// The file, as it is configured.
        path: String,
        /// What the system says.
        why: std::io::Error,
    },
    /// The HTTP client cannot be made.
    #[error("the HTTP client cannot be set up: {0}")]
    Client(String),
    /// An https proxy behind the relay.
    #[error(
        "proxy: the egress relay cannot speak TLS to a proxy; use an http:// one (what goes through it to providers is encrypted all the same), or give the daemon a network: examples/direct-network.conf"
    )]
    ProxyBehindRelay,
    /// Connections to the relay cannot be led to its Unix socket.
    #[error(
        "the connection to the egress relay cannot be set up in {directory}: {why}; set TMPDIR to a directory that can be written, with a shorter \
         path if it is long"
    )]
    Bridge {
        /// Where its socket would be.
        directory: String,
        /// What the system says.
        why: std::io::Error,
    },
}

impl ClientError {
    /// Whether the machine is short of something that passes, such as descriptors: nothing is wrong with the settings.
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
