//! The version that is spoken on a connection.
//!
//! Owns the answer to hello, and what version each answer leaves in. Must never let an answer leave in a newer one
//! than the peer said that it speaks.

use tokend_proto::{OLDEST, RequestId, Response, ServerFrame, negotiate};
use tokio::io::{AsyncRead, AsyncWrite};

use super::{Ended, Session};
use tokend_peer::Connection;

impl<S> Session<S>
where
    S: AsyncRead + AsyncWrite + Connection + Unpin,
{
    pub(super) fn greet(
        &mut self,
        id: RequestId,
        magic: [u8; 6],
        oldest: u16,
        newest: u16,
    ) -> Result<(), Ended> {
        match negotiate(magic, oldest, newest) {
            Ok(version) => {
                self.version = Some(version);
                let daemon = concat!("tokend ", env!("CARGO_PKG_VERSION")).to_owned();
                self.answer(id, Response::Welcome { version, daemon })
            }
            Err(fault) => {
                let why = fault.message.clone();
                self.answer(id, Response::Fault(fault))?;
                Err(Ended::Protocol(why))
            }
        }
    }
}

/// The one place where answers are made frames, so that no peer is sent a number it fails on.
pub(super) fn frame_for(version: Option<u16>, id: RequestId, response: Response) -> ServerFrame {
    ServerFrame { id, response }.for_version(version.unwrap_or(OLDEST))
}
