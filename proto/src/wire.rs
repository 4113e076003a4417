//! Frames as bytes: a little-endian `u32` length, then the payload.
//!
//! The only caller of `bincode` in the project: fixed-width integers, a limit, trailing bytes refused. A peer's
//! bytes never cause a panic or an allocation larger than the frame they came in.

use bincode::Options;
use serde::de::DeserializeOwned;
use serde::ser::Serialize;

use crate::{ClientFrame, MAX_FRAME, Request, RequestId, Response, ServerFrame};

/// The bytes before a payload: its length.
pub const HEADER_LEN: usize = 4;

/// Appends one frame, header and payload, to `out`; on an error `out` is as before.
///
/// The buffer then carries whatever secrets the frame carries, and this function wipes nothing: give it a
/// `Zeroizing<Vec<u8>>`. The frame's room is reserved at once, so that an empty buffer leaves no half-written
/// copy behind by growing.
///
/// # Errors
/// [`WireError::TooLong`] when the payload would exceed [`MAX_FRAME`].
pub fn encode<T: Serialize>(frame: &T, out: &mut Vec<u8>) -> Result<(), WireError> {
    let size = codec()
        .with_no_limit()
        .serialized_size(frame)
        .map_err(malformed)?;
    let len = usize::try_from(size)
        .ok()
        .filter(|&len| len <= MAX_FRAME)
        .ok_or(WireError::TooLong { len: size })?;
    let header = u32::try_from(len)
        .map_err(|_| WireError::TooLong { len: size })?
        .to_le_bytes();
    let before = out.len();
    out.reserve(HEADER_LEN + len);
    out.extend_from_slice(&header);
    codec()
        .with_limit(MAX_FRAME as u64)
        .serialize_into(&mut *out, frame)
        .map_err(|error| {
            out.truncate(before);
            malformed(error)
        })
}

/// Reads the payload of a frame a client sent. An unknown kind of request is [`Request::Other`]; its content is
/// skipped.
///
/// # Errors
/// [`WireError`] when the payload is not exactly one [`ClientFrame`].
pub fn decode_client(payload: &[u8]) -> Result<ClientFrame, WireError> {
    match kind(payload) {
        Some((id, kind)) if kind >= REQUESTS => Ok(ClientFrame {
            id,
            request: Request::Other(kind),
        }),
        _ => decode(payload),
    }
}

/// Reads the payload of a frame the daemon sent. An unknown kind of answer is [`Response::Other`]; its content
/// is skipped.
///
/// # Errors
/// [`WireError`] when the payload is not exactly one [`ServerFrame`].
pub fn decode_server(payload: &[u8]) -> Result<ServerFrame, WireError> {
    match kind(payload) {
        Some((id, kind)) if kind >= RESPONSES => Ok(ServerFrame {
            id,
            response: Response::Other(kind),
        }),
        _ => decode(payload),
    }
}

/// How many kinds of requests there are; a larger number is one of a newer release. A test holds it against the
/// enum.
const REQUESTS: u32 = 19;
/// The same of responses.
const RESPONSES: u32 = 15;

/// The beginning of both frames: the id, and the number of the kind that follows.
fn kind(payload: &[u8]) -> Option<(RequestId, u32)> {
    let (id, rest) = payload.split_first_chunk()?;
    let kind = rest.first_chunk()?;
    Some((
        RequestId(u64::from_le_bytes(*id)),
        u32::from_le_bytes(*kind),
    ))
}

/// The length of the payload that follows this header.
///
/// # Errors
/// [`WireError::TooLong`] and [`WireError::Empty`]: the connection is of no use any more, because where the next
/// frame begins is unknown.
pub fn frame_len(header: [u8; HEADER_LEN]) -> Result<usize, WireError> {
    let len = u32::from_le_bytes(header);
    match usize::try_from(len) {
        Ok(0) => Err(WireError::Empty),
        Ok(len) if len <= MAX_FRAME => Ok(len),
        _ => Err(WireError::TooLong { len: len.into() }),
    }
}

/// Why bytes are not a frame, or a message does not fit one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// The payload is longer than [`MAX_FRAME`], or claims to be.
    #[error("frame of {len} bytes is longer than the {MAX_FRAME} allowed")]
    TooLong {
        /// Its length in bytes, as claimed.
        len: u64,
    },
    /// The payload claims to be empty.
    #[error("frame is empty")]
    Empty,
    /// The payload is not a message of this protocol.
    #[error("frame does not hold a message: {0}")]
    Malformed(String),
}

fn decode<T: DeserializeOwned>(payload: &[u8]) -> Result<T, WireError> {
    codec()
        .with_limit(MAX_FRAME as u64)
        .deserialize(payload)
        .map_err(malformed)
}

fn codec() -> impl Options {
    bincode::DefaultOptions::new()
        .with_fixint_encoding()
        .reject_trailing_bytes()
}

fn malformed(error: bincode::Error) -> WireError {
    // Neither bincode's own sentences nor those of our `Deserialize` implementations quote a payload.
    WireError::Malformed(error.to_string())
}
