//! Reloads of the configuration that a peer asks for.
//!
//! Owns that a reload is finished even when the peer does not wait for it. Must never read the configuration: `crate::reload` does.

use std::sync::Arc;

use tokend_policy::Peer;
use tokend_proto::Response;

use super::done::{Done, to_the_end};
use super::parts::Requests;

impl Requests {
    pub(super) fn reload(&self, peer: &Peer) -> Done {
        tracing::info!(peer = %peer, "a reload is requested");
        let reloader = Arc::clone(&self.reloader);
        to_the_end(async move {
            match reloader.reload().await {
                Ok(message) => Response::Done { message },
                Err(fault) => Response::Fault(*fault),
            }
        })
    }
}
