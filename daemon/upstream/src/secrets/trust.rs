//! Why a file of a secret is believed, and that it cannot be read.

use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::StatVfsMountFlags;

use super::error::SecretError;

/// Why a file's permissions can be believed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Trust {
    /// It belongs to this user or to root, and nobody else has any permission.
    Owner(u32),
    /// A container runtime mounted it, so the configuration says: others may read it. It belongs to this user or to root and nobody
    /// else can write it, or nobody can, since the mount is read-only.
    Mount(u32),
    /// systemd made it. It grants the service's user access by an ACL, which shows as group permissions, and a mode for others
    /// would be its own mistake; only that is looked at.
    Manager,
}

/// Whether nobody can write to what it is mounted from, by way of this mount.
pub(super) fn is_read_only(file: impl AsFd) -> bool {
    rustix::fs::fstatvfs(file).is_ok_and(|mount| mount.f_flag.contains(StatVfsMountFlags::RDONLY))
}

pub(super) fn unreadable(path: &Path, source: std::io::Error) -> SecretError {
    SecretError::Unreadable {
        path: path.into(),
        source,
    }
}
