//! The wire: payloads of frames, and frames in a stream.
//!
//! Owns two properties: a payload that decodes is the only encoding of its message, except for unknown kinds, of which only the length is
//! known; and a buffer finds the frames of a stream, wherever the stream is cut.

use tokend_proto::{
    FrameBuffer, HEADER_LEN, MAX_FRAME, Request, Response, WireError, decode_client, decode_server,
    encode, frame_len,
};

/// A payload of either side.
pub fn wire(payload: &[u8]) {
    if let Ok(frame) = decode_client(payload)
        && !matches!(frame.request, Request::Other { .. })
    {
        let mut again = Vec::new();
        encode(&frame, &mut again).expect("what was decoded fits a frame");
        assert_eq!(again.get(HEADER_LEN..), Some(payload), "{frame:?}");
    }
    if let Ok(frame) = decode_server(payload)
        && !matches!(frame.response, Response::Other { .. })
    {
        let mut again = Vec::new();
        encode(&frame, &mut again).expect("what was decoded fits a frame");
        assert_eq!(again.get(HEADER_LEN..), Some(payload), "{frame:?}");
    }
}

/// A stream of bytes that arrives in pieces. The first byte gives the size of the pieces; the largest sends all at once.
pub fn frames(bytes: &[u8]) {
    let Some((piece, stream)) = bytes.split_first() else {
        return;
    };
    let piece = match *piece {
        u8::MAX => MAX_FRAME,
        small => usize::from(small) + 1,
    };
    let (mut buffer, mut expected) = (FrameBuffer::new(), stream);
    let mut arriving = stream.chunks(piece);
    let mut rest: &[u8] = &[];
    loop {
        match buffer.next_frame() {
            Ok(Some(payload)) => {
                // Whatever it holds, reading it must do no harm.
                wire(payload);
                assert_eq!(next(&mut expected), Ok(Some(payload)), "a frame");
                continue;
            }
            Ok(None) => {}
            Err(error) => return assert_eq!(next(&mut expected), Err(error)),
        }
        if rest.is_empty() {
            match arriving.next() {
                Some(next) => rest = next,
                None => break,
            }
        }
        let room = buffer.spare().len();
        assert!(
            room > 0 && room <= HEADER_LEN + MAX_FRAME,
            "room for {room} bytes"
        );
        let taken = buffer.push(rest);
        assert!(taken > 0, "room for {room} bytes took none");
        rest = rest.get(taken..).unwrap_or_default();
    }
    assert_eq!(next(&mut expected), Ok(None), "a frame that was not found");
    assert_eq!(buffer.is_empty(), expected.is_empty(), "what is left over");
}

/// The first complete frame of a stream, taken off it: the definition of a frame, without a buffer.
fn next<'s>(stream: &mut &'s [u8]) -> Result<Option<&'s [u8]>, WireError> {
    let Some((header, rest)) = stream.split_first_chunk::<HEADER_LEN>() else {
        return Ok(None);
    };
    let Some((payload, rest)) = rest.split_at_checked(frame_len(*header)?) else {
        return Ok(None);
    };
    *stream = rest;
    Ok(Some(payload))
}
