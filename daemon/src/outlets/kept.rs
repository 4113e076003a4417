//! A connection that systemd keeps while its unit waits.
//!
//! A daemon that dies closes its connections, and to systemd a connection that ends without a byte is an empty credential. So the manager
//! holds each connection too, until it is answered: the unit waits on, and the next daemon is given the connection and answers it. That
//! daemon has to know whether the one before had begun to answer: a token behind a part of another would be one credential.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use rustix::net::sockopt;
use tokend_process::systemd::Manager;

use crate::server::listen::KEPT;

/// How many connections of users' units are kept at once: half of `FileDescriptorStoreMax=`, so that no user takes the places of the
/// system's units.
const MOST_OF_USERS: usize = 256;

static NUMBER: AtomicU64 = AtomicU64::new(0);
static OF_USERS: AtomicUsize = AtomicUsize::new(0);

/// A connection that can be given into the manager's keeping, and is there no longer once this is dropped.
#[derive(Debug)]
pub(super) struct Handover {
    manager: Manager,
    connection: OwnedFd,
    /// Whether it is a unit of the system's manager, not of a user's.
    is_of_the_system: bool,
    /// The name under which it is kept.
    name: Option<String>,
}

impl Handover {
    pub(super) fn new(
        manager: Manager,
        connection: BorrowedFd<'_>,
        is_of_the_system: bool,
    ) -> Option<Self> {
        Some(Self {
            manager,
            connection: connection.try_clone_to_owned().ok()?,
            is_of_the_system,
            name: None,
        })
    }

    /// Has the manager keep the connection, unless it does so already, or has too many of users.
    pub(super) fn keep(&mut self) {
        if self.name.is_none() && (self.is_of_the_system || has_room()) {
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

/// Takes one of the places of users' units, if one is free.
fn has_room() -> bool {
    let one_more = |count| (count < MOST_OF_USERS).then_some(count + 1);
    let taken = OF_USERS.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
    taken.is_ok()
}

/// Whether a daemon has begun to answer on this connection, and died.
pub(super) fn is_begun(connection: impl AsFd) -> bool {
    sockopt::socket_keepalive(connection).unwrap_or(false)
}

impl Drop for Handover {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            self.manager.keep_no_longer(name);
            if !self.is_of_the_system {
                OF_USERS.fetch_sub(1, Ordering::Relaxed);
            }
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
        let mut handover = Handover::new(manager, own.as_fd(), true).unwrap();
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

    #[test]
    fn units_of_users_leave_room_for_those_of_the_system() {
        let (own, _client) = UnixStream::pair().unwrap();
        let (manager, notes) = Manager::noting(None);
        let kept = |is_of_the_system| {
            let mut handover =
                Handover::new(manager.clone(), own.as_fd(), is_of_the_system).unwrap();
            handover.keep();
            handover
        };
        let count = || notes.lock().unwrap().len();
        let of_users: Vec<_> = (0..=MOST_OF_USERS).map(|_| kept(false)).collect();
        assert_eq!(count(), MOST_OF_USERS);
        let _system = kept(true);
        assert_eq!(count(), MOST_OF_USERS + 1);
        drop(of_users);
        notes.lock().unwrap().clear();
        let _again = kept(false);
        assert_eq!(count(), 1);
    }
}
