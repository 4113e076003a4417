//! The numbers both ends agree on before anything else.

/// The protocol version this crate speaks.
pub const VERSION: u16 = 2;

/// From this version on a client reads numbers that it does not know. A client of version 1 fails on one, so that
/// it is sent none.
pub const TOLERANT: u16 = 2;

/// The oldest protocol version this crate still understands.
pub const OLDEST: u16 = 1;

/// The longest payload of a frame, in bytes; the four bytes of its length come on top.
pub const MAX_FRAME: usize = 64 * 1024;

/// What a connection opens with, so that a stray program on the socket is told apart from an old client.
pub const MAGIC: [u8; 6] = *b"tokend";
