//! A call to the provider's ledger, and its outcome.

use std::time::Duration;

use super::log::Issued;

/// A parsed request.
#[derive(Clone, Debug)]
pub(super) enum Call {
    Login(Credentials),
    Refresh { token: String, client: Option<Pair> },
    Resource { token: String },
}

impl Call {
    /// The login of a user, without a client.
    pub(super) fn login_of(user: Pair) -> Self {
        Self::Login(Credentials {
            user: Some(user),
            client: None,
            scope: None,
        })
    }
}

/// Name and secret.
pub(super) type Pair = (String, String);

/// The credentials of a login. At least one is there.
#[derive(Clone, Debug)]
pub(super) struct Credentials {
    pub(super) user: Option<Pair>,
    pub(super) client: Option<Pair>,
    pub(super) scope: Option<String>,
}

/// The outcome of a call.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    Granted(Grant),
    BadCredentials,
    BadClient,
    RefreshRefused,
    Suspended { status: u16 },
    Throttled { retry_after: Duration },
    ResourceOpen,
    ResourceRefused,
}

/// Tokens to write into an answer.
#[derive(Clone, Debug)]
pub(super) struct Grant {
    pub(super) access: String,
    pub(super) refresh: Option<String>,
    pub(super) lifetime: Duration,
    pub(super) scope: Option<String>,
}

/// An outcome with the serials of what it issued.
pub(super) struct Processed {
    pub(super) outcome: Outcome,
    pub(super) issued: Option<Issued>,
}
