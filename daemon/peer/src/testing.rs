//! A connection for tests, without a process at its other end.

use tokend_policy::Peer;
use tokio::io::DuplexStream;

use crate::Connection;
use crate::pin::Pinned;

/// A pipe has nobody at its other end who could be held on to.
impl Connection for DuplexStream {
    fn pin(&self, _: &Peer, _: u64) -> Result<Box<dyn Pinned>, String> {
        Err("it is a pipe".to_owned())
    }

    fn has_gone(&self) -> bool {
        false
    }
}
