//! A dialect's plan for reading replies.

use super::{
    classify::Rule,
    lifetime::{self, LifetimePlan},
    parsed::Place,
};

/// The places of values in the replies to one request, and their meaning.
#[derive(Clone, Debug)]
pub(crate) struct ReplyPlan {
    pub(crate) access_token: Vec<Place>,
    pub(crate) refresh_token: Vec<Place>,
    pub(crate) token_type: Vec<Place>,
    pub(crate) scope: Vec<Place>,
    /// Token types that are handed out, in lower case.
    pub(crate) token_types: Vec<String>,
    pub(crate) lifetime: LifetimePlan,
    pub(crate) refresh_lifetime: LifetimePlan,
    pub(crate) error_code: Vec<Place>,
    pub(crate) error_text: Vec<Place>,
    pub(crate) retry_after: Vec<lifetime::LifetimeField>,
    pub(crate) rules: Vec<Rule>,
}
