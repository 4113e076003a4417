//! The reply to a request.

use std::pin::Pin;

use tokend_proto::Response;

use super::release::Answered;

/// The reply to a request.
pub(crate) enum Reply {
    /// An immediate answer.
    Ready(Response),
    /// The request is in progress; the future ends with the answer, which may leave only by
    /// [`Requests::release`](super::Requests::release).
    Pending(Pin<Box<dyn Future<Output = Answered> + Send>>),
}
