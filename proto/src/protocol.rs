//! The numbers both ends agree on before anything else.

/// The protocol version this crate speaks.
pub const VERSION: u16 = 2;

/// From this version on a client reads numbers that it does not know. A client of version 1 fails on such a
/// number, so the daemon never sends it one.
pub const TOLERANT: u16 = 2;

/// The oldest protocol version this crate still understands.
pub const OLDEST: u16 = 1;

/// The longest payload of a frame, in bytes; the four bytes of its length come on top.
pub const MAX_FRAME: usize = 64 * 1024;

/// The bytes that open a connection, so that a stray program on the socket can be told from an old client.
pub const MAGIC: [u8; 6] = *b"tokend";
