//! How an API shows that it rejected an access token.
//!
//! Owns the matcher for replies to resource requests. The daemon never makes such requests itself: clients see those replies and ask.

use bytes::Bytes;
use http::Response;

use crate::reply::{classify::Matcher, parsed::Parsed};

/// How an API shows that it rejected an access token.
#[derive(Clone, Debug)]
pub struct Rejection {
    pub(crate) matchers: Vec<Matcher>,
}

impl Rejection {
    /// Whether a reply with a status below 400 can mean that too.
    #[must_use]
    pub fn is_below_400(&self) -> bool {
        let statuses = self.matchers.iter().flat_map(|matcher| &matcher.status);
        statuses.into_iter().any(|range| *range.start() < 400)
    }

    /// Whether an API reply with this status and body means that the access token was rejected.
    ///
    /// Texts are compared without case; only the first MiB of the body is searched.
    #[must_use]
    pub fn matches(&self, status: u16, body: &[u8]) -> bool {
        let response = Response::builder().status(status);
        response
            .body(Bytes::copy_from_slice(body))
            .is_ok_and(|response| {
                let reply = Parsed::new(&response);
                let mut matchers = self.matchers.iter();
                matchers.any(|matcher| matcher.matches(&reply, &[]))
            })
    }
}
