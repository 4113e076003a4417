//! Why the HTTP client cannot be built, and what its errors say.

use tokend_egress::causes::causes;

/// The HTTP client cannot be built.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    #[error("extra_ca: {path}: {reason}")]
    ExtraCa { path: String, reason: String },
    // Not `source`, which whoever shows the causes of an error would show once more.
    #[error("extra_ca: {path}: {why}")]
    ExtraCaUnread { path: String, why: std::io::Error },
    #[error("the HTTP client cannot be set up: {0}")]
    Client(String),
    #[error(
        "proxy: the egress relay cannot speak TLS to a proxy; use an http:// one (what goes through it to providers is encrypted all the same), or give the daemon a network: examples/direct-network.conf"
    )]
    ProxyBehindRelay,
    #[error(
        "the way to the egress relay cannot be set up in {directory}: {why}; set TMPDIR to a directory that can be written, with a shorter path if it is long"
    )]
    Bridge {
        directory: String,
        why: std::io::Error,
    },
}

impl ClientError {
    /// Whether the machine is short of something that passes, such as descriptors: nothing is wrong with the settings.
    pub(crate) fn is_shortage(&self) -> bool {
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
