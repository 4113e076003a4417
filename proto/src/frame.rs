//! Finding frames in a stream of bytes, without I/O.
//!
//! Owns the receive buffer of one connection: read into [`FrameBuffer::spare`], say how much with
//! [`FrameBuffer::filled`], take frames out. Never holds more than one frame's worth, and wipes what was taken.

use std::ops::Range;

use zeroize::Zeroize;

use crate::wire::{HEADER_LEN, WireError, frame_len};

const SMALL: usize = 4 * 1024;

/// A receive buffer that yields whole frames.
///
/// It begins at 4 KiB, so that one read normally brings header and payload together, grows to the frame that is
/// announced and no further, and gives the memory back when it is empty again.
#[derive(Default)]
pub struct FrameBuffer {
    bytes: Vec<u8>,
    /// What was received and not yet taken.
    held: Range<usize>,
    /// What was handed out last and awaits wiping.
    taken: Range<usize>,
}

impl FrameBuffer {
    /// An empty buffer; it allocates when first used.
    pub fn new() -> Self {
        Self::default()
    }

    /// Where to read into. Never empty once [`FrameBuffer::next_frame`] has answered `Ok(None)`.
    pub fn spare(&mut self) -> &mut [u8] {
        self.make_room();
        self.bytes.get_mut(self.held.end..).unwrap_or_default()
    }

    /// Says that `count` bytes were read into [`FrameBuffer::spare`]; more than it had room for is ignored.
    pub fn filled(&mut self, count: usize) {
        self.held.end = self.held.end.saturating_add(count).min(self.bytes.len());
    }

    /// Copies bytes in, as many as there is room for, and says how many that were.
    pub fn push(&mut self, bytes: &[u8]) -> usize {
        let spare = self.spare();
        let count = bytes.len().min(spare.len());
        for (to, from) in spare.iter_mut().zip(bytes) {
            *to = *from;
        }
        self.filled(count);
        count
    }

    /// The payload of the next whole frame; `Ok(None)` when more bytes are needed.
    ///
    /// What it returned before is wiped by the next call of any method.
    ///
    /// # Errors
    /// [`WireError`] when the header cannot be one; the connection is of no use any more.
    pub fn next_frame(&mut self) -> Result<Option<&[u8]>, WireError> {
        self.wipe_taken();
        let Some(len) = self.announced()? else {
            return Ok(None);
        };
        let payload = self.held.start + HEADER_LEN..self.held.start + HEADER_LEN + len;
        if payload.end > self.held.end {
            return Ok(None);
        }
        self.taken = self.held.start..payload.end;
        self.held.start = payload.end;
        Ok(self.bytes.get(payload))
    }

    /// Whether nothing is left over: a stream that ends here ends between frames.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    fn announced(&self) -> Result<Option<usize>, WireError> {
        match self
            .bytes
            .get(self.held.clone())
            .and_then(<[u8]>::first_chunk)
        {
            Some(header) => frame_len(*header).map(Some),
            None => Ok(None),
        }
    }

    /// Makes room for the frame that is announced, or for a small one.
    fn make_room(&mut self) {
        self.wipe_taken();
        let needed = match self.announced() {
            Ok(Some(len)) => HEADER_LEN + len,
            _ => HEADER_LEN,
        };
        let wanted = needed.max(SMALL);
        if self.held.start + needed <= self.bytes.len()
            && (!self.is_empty() || self.bytes.len() <= wanted)
        {
            return;
        }
        if self.bytes.len() < wanted || self.is_empty() {
            let mut roomy = vec![0; wanted.max(self.held.len())];
            roomy
                .iter_mut()
                .zip(self.bytes.get(self.held.clone()).unwrap_or_default())
                .for_each(|(to, from)| *to = *from);
            self.bytes.zeroize();
            self.bytes = roomy;
        } else {
            self.bytes.copy_within(self.held.clone(), 0);
            if let Some(stale) = self.bytes.get_mut(self.held.len()..self.held.end) {
                stale.zeroize();
            }
        }
        self.held = 0..self.held.len();
    }

    fn wipe_taken(&mut self) {
        if let Some(taken) = self.bytes.get_mut(std::mem::take(&mut self.taken)) {
            taken.zeroize();
        }
        if self.held.is_empty() {
            self.held = 0..0;
        }
    }
}

impl Drop for FrameBuffer {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

impl std::fmt::Debug for FrameBuffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FrameBuffer")
            .field("held", &self.held.len())
            .field("room", &self.bytes.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MAX_FRAME;

    fn frame(len: usize, fill: u8) -> Vec<u8> {
        [&(len as u32).to_le_bytes()[..], &vec![fill; len]].concat()
    }

    #[test]
    fn yields_frames_in_order_and_wipes_them() {
        let mut buffer = FrameBuffer::new();
        let stream = [frame(3, b'a'), frame(5, b'b')].concat();
        assert_eq!(buffer.push(&stream), stream.len());
        assert_eq!(buffer.next_frame(), Ok(Some(&b"aaa"[..])));
        assert_eq!(buffer.next_frame(), Ok(Some(&b"bbbbb"[..])));
        assert!(
            !buffer.bytes.contains(&b'a'),
            "the first frame is gone once the second is out"
        );
        assert_eq!(buffer.next_frame(), Ok(None));
        assert!(buffer.is_empty() && buffer.bytes.iter().all(|&byte| byte == 0));
    }

    #[test]
    fn grows_for_the_largest_frame_and_shrinks_again() {
        let mut buffer = FrameBuffer::new();
        let stream = [frame(MAX_FRAME, b'x'), frame(1, b'y')].concat();
        let mut rest = &stream[..];
        let mut seen = Vec::new();
        while !rest.is_empty() {
            let taken = buffer.push(rest);
            assert!(taken > 0, "room for {} more bytes", rest.len());
            rest = &rest[taken..];
            while let Some(payload) = buffer.next_frame().unwrap() {
                seen.push(payload.len());
            }
            assert!(buffer.bytes.len() <= HEADER_LEN + MAX_FRAME);
        }
        assert_eq!(seen, [MAX_FRAME, 1]);
        assert_eq!(buffer.spare().len(), SMALL);
    }

    #[test]
    fn moving_a_partial_frame_leaves_no_copy() {
        let mut buffer = FrameBuffer::new();
        let stream = [frame(4000, b'a'), frame(200, b's')].concat();
        let taken = buffer.push(&stream);
        assert_eq!(buffer.next_frame().unwrap().map(<[u8]>::len), Some(4000));
        assert_eq!(buffer.next_frame(), Ok(None));
        assert_eq!(buffer.push(&stream[taken..]), stream.len() - taken);
        assert_eq!(
            buffer.bytes.iter().filter(|&&byte| byte == b's').count(),
            200
        );
        assert_eq!(buffer.next_frame(), Ok(Some(&[b's'; 200][..])));
    }

    #[test]
    fn a_bad_header_is_an_error_each_time() {
        let mut buffer = FrameBuffer::new();
        assert_eq!(buffer.push(b"GET / HTTP/1.1"), 14);
        assert!(buffer.next_frame().is_err());
        assert!(buffer.next_frame().is_err());
    }

    #[test]
    fn claims_of_a_careless_reader_are_clipped() {
        let mut buffer = FrameBuffer::new();
        let room = buffer.spare().len();
        buffer.filled(room + 1);
        assert_eq!(buffer.held, 0..room);
        assert!(!format!("{buffer:?}").contains("[0"));
    }
}
