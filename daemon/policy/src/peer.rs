//! The process at the other end of the socket, as far as it is known.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use crate::facts::{Fact, Facts, Needs};
use crate::outlet::Outlet;

/// The process that connected, as the kernel names it (SO_PEERCRED, unix(7)), and the facts that were read
/// about it since.
///
/// The ids are those of the moment of connect(2). A process that gives its connection away gives its rights away with it. Cloning
/// copies a pointer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Effective user id.
    pub uid: u32,
    /// Effective group id.
    pub gid: u32,
    /// Process id; 0 for a process the daemon's PID namespace does not show. For logs only: without a pin,
    /// another process may have it by now.
    pub pid: u32,
    /// The outlet it came by; none for the native protocol.
    pub outlet: Option<Outlet>,
    facts: Option<Arc<Facts>>,
}

static NOTHING: Facts = Facts {
    groups: Fact::Unasked,
    units: Fact::Unasked,
    executable: Fact::Unasked,
    sha256: Fact::Unasked,
    namespaces: Fact::Unasked,
};

impl Peer {
    /// The ids of the connection; no fact has been read yet.
    pub fn new(uid: u32, gid: u32, pid: u32) -> Self {
        Self {
            uid,
            gid,
            pid,
            outlet: None,
            facts: None,
        }
    }

    /// The same peer, which came by this outlet.
    #[must_use]
    pub fn over(self, outlet: Option<Outlet>) -> Self {
        Self { outlet, ..self }
    }

    /// The same peer with these facts in place of those it had.
    #[must_use]
    pub fn with(self, facts: Facts) -> Self {
        Self {
            facts: Some(Arc::new(facts)),
            ..self
        }
    }

    /// The facts that were read.
    pub fn facts(&self) -> &Facts {
        self.facts.as_deref().unwrap_or(&NOTHING)
    }

    /// Which facts have been asked for, whether they could be read or not.
    pub fn asked(&self) -> Needs {
        let Some(facts) = &self.facts else {
            return Needs::NONE;
        };
        let one = |unasked, need| if unasked { Needs::NONE } else { need };
        one(facts.groups.is_unasked(), Needs::GROUPS)
            | one(facts.units.is_unasked(), Needs::UNITS)
            | one(facts.executable.is_unasked(), Needs::EXECUTABLE)
            | one(facts.sha256.is_unasked(), Needs::SHA256)
            | one(facts.namespaces.is_unasked(), Needs::NAMESPACES)
    }

    /// Its unit of the system's manager, where that is known. For a process of a user's manager that is `user@UID.service`.
    pub fn unit(&self) -> Option<&str> {
        self.facts().units.known()?.system.as_deref()
    }

    /// Its unit of its own user's manager, where that is known.
    pub fn user_unit(&self) -> Option<&str> {
        let unit = self.facts().units.known()?.user.as_ref()?;
        (unit.owner == self.uid).then_some(&*unit.name)
    }

    /// The path of its executable, where that is known. Whether the file still is there is another question.
    pub fn executable(&self) -> Option<&Path> {
        Some(&self.facts().executable.known()?.path)
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "uid {} gid {} pid {}", self.uid, self.gid, self.pid)?;
        match self.outlet {
            Some(outlet) => write!(f, " over {outlet}"),
            None => Ok(()),
        }
    }
}
