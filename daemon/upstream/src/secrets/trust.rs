//! Why a secret's file is trusted, and the check for a read-only mount.

use std::os::fd::AsFd;

use rustix::fs::StatVfsMountFlags;

#[derive(Debug, Clone, Copy)]
pub(super) enum Trust {
    /// The file belongs to this user or to root, and no other user has any permission.
    Owner(u32),
    /// The configuration says that a container runtime mounted it, so others may read it. It belongs to this user or to root and no other
    /// user can write it, or nobody can, since the mount is read-only.
    Mount(u32),
    /// systemd created it. Access for the service's user is granted by an ACL, which shows as group permissions. Permissions for others
    /// would be a mistake of systemd, so only those are checked.
    Manager,
}

/// Whether the mount of the file is read-only.
pub(super) fn is_read_only(file: impl AsFd) -> bool {
    rustix::fs::fstatvfs(file).is_ok_and(|mount| mount.f_flag.contains(StatVfsMountFlags::RDONLY))
}
