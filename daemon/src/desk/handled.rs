//! A request, handled.

use std::pin::Pin;

use tokend_proto::Response;

use super::release::Answered;

/// A request, handled.
pub(crate) enum Handled {
    /// Answered on the spot.
    Now(Response),
    /// Under way; the future ends with the answer, which may leave only by [`Desk::release`](super::Desk::release).
    Later(Pin<Box<dyn Future<Output = Answered> + Send>>),
}
