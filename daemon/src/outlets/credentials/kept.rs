//! A connection that systemd keeps while its unit waits.
//!
//! A daemon that dies closes its connections, and to systemd a connection that ends without a byte is an empty credential. So the manager
//! holds each connection too, until it is answered: the unit waits on, and the next daemon is given the connection and answers it.

use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};

use tokend_process::systemd::Manager;

use crate::server::listen::KEPT;

static NUMBER: AtomicU64 = AtomicU64::new(0);

/// A connection in the manager's keeping, until dropped.
#[derive(Debug)]
pub(super) struct Kept {
    manager: Manager,
    name: String,
}

impl Kept {
    /// Gives a copy of the connection into the manager's keeping.
    pub(super) fn new(manager: Manager, connection: &OwnedFd) -> Self {
        // Unique among the connections of this process, and of those before it, which may still be kept.
        let (process, number) = (std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let name = format!("{KEPT}{process}-{number}");
        manager.keep(&name, connection.as_fd());
        Self { manager, name }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.manager.keep_no_longer(&self.name);
    }
}
