//! How an API shows that it refused an access token.
//!
//! Owns the matcher for replies of resource requests, which the daemon never makes itself: clients see those replies and ask.

use bytes::Bytes;
use http::Response;

use crate::reply::{classify::Matcher, parsed::Parsed};

/// How an API shows that it refused an access token.
#[derive(Clone, Debug)]
pub struct Rejection {
    pub(crate) matchers: Vec<Matcher>,
}

impl Rejection {
    /// Whether a reply of the API with this status and body says that the access token is no good.
    ///
    /// Texts are compared without case; of the body the first MiB is looked at.
    #[must_use]
    pub fn matches(&self, status: u16, body: &[u8]) -> bool {
        let Ok(response) = Response::builder()
            .status(status)
            .body(Bytes::copy_from_slice(body))
        else {
            return false;
        };
        let reply = Parsed::new(&response);
        self.matchers
            .iter()
            .any(|matcher| matcher.matches(&reply, &[]))
    }

    /// Statuses and texts, for people and for clients that match themselves.
    pub fn rules(&self) -> impl Iterator<Item = RejectionRule<'_>> {
        self.matchers.iter().map(|matcher| RejectionRule {
            statuses: matcher
                .status
                .iter()
                .map(|range| (*range.start(), *range.end()))
                .collect(),
            texts: &matcher.text,
        })
    }
}

/// One way in which an API refuses a token: any of the statuses, together with any of the texts if there are texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectionRule<'a> {
    /// First and last status of each range.
    pub statuses: Vec<(u16, u16)>,
    /// Texts of which one occurs in the body, in lower case.
    pub texts: &'a [String],
}
