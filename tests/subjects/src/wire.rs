//! The wire: payloads of frames, and frames in a stream.
//!
//! Owns two properties: a payload that decodes is the only encoding of its message, and where a stream is cut changes nothing of
//! what is read from it.

use tokend_proto::{
    FrameBuffer, HEADER_LEN, MAX_FRAME, WireError, decode_client, decode_server, encode,
};

/// A payload of either side.
pub fn wire(payload: &[u8]) {
    if let Ok(frame) = decode_client(payload) {
        let mut again = Vec::new();
        encode(&frame, &mut again).expect("what was decoded fits a frame");
        assert_eq!(again.get(HEADER_LEN..), Some(payload), "{frame:?}");
    }
    if let Ok(frame) = decode_server(payload) {
        let mut again = Vec::new();
        encode(&frame, &mut again).expect("what was decoded fits a frame");
        assert_eq!(again.get(HEADER_LEN..), Some(payload), "{frame:?}");
    }
}

/// A stream of bytes that arrives in pieces. The first byte says how large the pieces are.
pub fn frames(bytes: &[u8]) {
    let Some((piece, stream)) = bytes.split_first() else {
        return;
    };
    let whole = read(stream, MAX_FRAME);
    let pieces = read(stream, usize::from(*piece) + 1);
    assert_eq!(whole, pieces, "pieces of {} bytes", u16::from(*piece) + 1);
}

/// The payloads of a stream and how it ends.
fn read(stream: &[u8], piece: usize) -> (Vec<Vec<u8>>, Result<bool, WireError>) {
    let (mut buffer, mut payloads) = (FrameBuffer::new(), Vec::new());
    let mut arriving = stream.chunks(piece);
    let mut rest: &[u8] = &[];
    loop {
        match buffer.next_frame() {
            Ok(Some(payload)) => {
                // Whatever it holds, looking at it must not harm.
                wire(payload);
                payloads.push(payload.to_vec());
                continue;
            }
            Ok(None) => {}
            Err(error) => return (payloads, Err(error)),
        }
        if rest.is_empty() {
            match arriving.next() {
                Some(next) => rest = next,
                None => return (payloads, Ok(buffer.is_empty())),
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
}
