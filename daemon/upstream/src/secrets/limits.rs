//! The longest secret, and the longest chain of links to it.

/// The longest secret, in bytes. A token or a password is far shorter; a mistaken path often leads to something longer.
pub const MAX_SECRET: usize = 64 * 1024;

/// The most links on one path, the same as in the kernel.
pub(super) const MOST_LINKS: usize = 40;
