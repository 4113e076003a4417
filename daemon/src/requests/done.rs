//! The result of a request.

use std::pin::Pin;

use tokend_process::task;
use tokend_proto::{Fault, FaultCode, Response};

/// The result of a request that may be answered.
pub(super) enum Done {
    Now(Response),
    Later(Pin<Box<dyn Future<Output = Response> + Send>>),
}

impl Done {
    /// The same, with another response by the time it is known.
    pub(super) fn map(self, change: impl FnOnce(Response) -> Response + Send + 'static) -> Self {
        match self {
            Self::Now(response) => Self::Now(change(response)),
            Self::Later(pending) => Self::Later(Box::pin(async move { change(pending.await) })),
        }
    }
}

/// Work that is finished even if the client does not wait for it.
pub(super) fn to_the_end(work: impl Future<Output = Response> + Send + 'static) -> Done {
    Done::Later(Box::pin(async move {
        task::guarded(work).await.unwrap_or_else(died)
    }))
}

pub(super) fn died() -> Response {
    Response::Fault(Fault::new(
        FaultCode::Internal,
        "the request failed inside tokend; please report this",
    ))
}
