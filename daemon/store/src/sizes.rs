//! How long a key is and how large a record may be.

/// Length of a sealing key.
pub const KEY_BYTES: usize = 32;

/// The largest encoded record, in bytes. A frame to a client is at most 64 KiB, so no token that could be served is refused.
pub const MAX_RECORD_BYTES: usize = 256 * 1024;
