//! How long a secret may be, and how far its path may lead.

/// The longest secret, in bytes. A token or a password is far shorter; a mistaken path often leads to something longer.
pub const MAX_SECRET: usize = 64 * 1024;

/// The most links on one way, as the kernel has it.
pub(super) const MOST_LINKS: usize = 40;
