//! Encodes answers as frames, in the version of the connection.
//!
//! Must never send an answer in a newer version than the peer speaks.

use tokend_proto::{OLDEST, RequestId, Response, ServerFrame};

/// The only place that encodes answers, so that no peer gets a variant it cannot decode.
pub(super) fn frame_for(version: Option<u16>, id: RequestId, response: Response) -> ServerFrame {
    ServerFrame { id, response }.for_version(version.unwrap_or(OLDEST))
}
