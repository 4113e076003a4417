//! Answers as frames, in the version that is spoken on a connection.
//!
//! Must never let an answer leave in a newer version than the peer said that it speaks.

use tokend_proto::{OLDEST, RequestId, Response, ServerFrame};

/// The one place where answers are made frames, so that no peer is sent a number it fails on.
pub(super) fn frame_for(version: Option<u16>, id: RequestId, response: Response) -> ServerFrame {
    ServerFrame { id, response }.for_version(version.unwrap_or(OLDEST))
}
