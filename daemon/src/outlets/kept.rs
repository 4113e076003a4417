//! A connection that systemd keeps while its unit waits.
//!
//! A daemon that dies closes its connections, and to systemd a connection that ends without a byte is an empty credential. So the manager
//! holds each connection too, until it is answered: the unit waits on, and the next daemon is given the connection and answers it. That
//! daemon has to know whether the one before had begun to answer: a token behind a part of another would be one credential.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::net::sockopt;
use tokend_process::systemd::Manager;

use crate::server::listen::KEPT;

static NUMBER: AtomicU64 = AtomicU64::new(0);

/// A connection that can be given into the manager's keeping, and is there no longer once this is dropped.
#[derive(Debug)]
pub(super) struct Handover {
    manager: Manager,
    connection: OwnedFd,
    /// The name under which it is kept.
    name: Option<String>,
}

impl Handover {
    pub(super) fn new(manager: Manager, connection: BorrowedFd<'_>) -> Option<Self> {
        Some(Self {
            manager,
            connection: connection.try_clone_to_owned().ok()?,
            name: None,
        })
    }

    /// Has the manager keep the connection, unless it does so already.
    pub(super) fn keep(&mut self) {
        if self.name.is_none() {
            // Unique among the connections of this process, and of those before it, which may still be kept.
            let (process, number) = (std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
            let name = format!("{KEPT}{process}-{number}");
            self.manager.keep(&name, self.connection.as_fd());
            self.name = Some(name);
        }
    }

    /// Notes on the connection itself, which outlives this process, that an answer begins.
    ///
    /// The note is SO_KEEPALIVE, which means nothing to a Unix socket and which the other end cannot see or set.
    pub(super) fn answer_begins(&self) {
        if self.name.is_some()
            && let Err(error) = sockopt::set_socket_keepalive(&self.connection, true)
        {
            tracing::debug!("the connection of a unit takes no note: {error}");
        }
    }
}

/// Whether a daemon has begun to answer on this connection, and died.
pub(super) fn is_begun(connection: impl AsFd) -> bool {
    sockopt::socket_keepalive(connection).unwrap_or(false)
}

impl Drop for Handover {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            self.manager.keep_no_longer(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn the_next_daemon_knows_of_an_answer_that_was_begun() {
        let (own, _client) = UnixStream::pair().unwrap();
        let (manager, notes) = Manager::noting(None);
        let mut handover = Handover::new(manager, own.as_fd()).unwrap();
        handover.answer_begins();
        assert!(!is_begun(&own), "nobody would be given it");
        handover.keep();
        handover.keep();
        // What the manager has is the same connection.
        let of_the_manager = own.try_clone().unwrap();
        assert!(!is_begun(&of_the_manager));
        handover.answer_begins();
        assert!(is_begun(&of_the_manager));
        drop(handover);
        let notes = notes.lock().unwrap();
        let [kept, no_longer] = notes.as_slice() else {
            panic!("{notes:?}");
        };
        let name = kept.strip_prefix("FDSTORE=1\nFDNAME=").unwrap();
        assert!(name.starts_with(KEPT), "{name}");
        assert_eq!(*no_longer, format!("FDSTOREREMOVE=1\nFDNAME={name}"));
    }
}
