//! The protocol version of a connection.
//!
//! Owns the answer to hello.

use tokend_proto::{RequestId, Response, negotiate};
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
