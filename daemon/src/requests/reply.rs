//! What a request is answered.

use std::pin::Pin;

use tokend_proto::Response;

use super::release::Answered;

/// What a request is answered.
pub(crate) enum Reply {
    /// Answered on the spot.
    Ready(Response),
    /// Under way; the future ends with the answer, which may leave only by [`Requests::release`](super::Requests::release).
    Pending(Pin<Box<dyn Future<Output = Answered> + Send>>),
}
