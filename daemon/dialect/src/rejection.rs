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
    /// Whether an API reply with this status and body means that the access token was rejected.
    ///
    /// Texts are compared without case; only the first MiB of the body is searched.
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

/// One way in which an API rejects a token: any of the statuses, together with any of the texts if there are texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectionRule<'a> {
    /// First and last status of each range.
    pub statuses: Vec<(u16, u16)>,
    /// Texts of which one occurs in the body, in lower case.
    pub texts: &'a [String],
}
