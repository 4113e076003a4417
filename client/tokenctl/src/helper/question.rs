//! What a calling program writes to standard input.
//!
//! Owns its limit. It may have a token in it, so it lies in one buffer that is wiped.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::fd::AsFd;

use zeroize::Zeroizing;

use crate::failure::{Exit, Failure};

/// Four times the longest line of git's protocol; a question has a few hundred bytes.
const LONGEST: usize = 256 * 1024;

/// All of standard input, or what stands before the first empty line.
pub(super) fn read() -> Result<Zeroizing<Vec<u8>>, Failure> {
    let stdin = io::stdin().as_fd().try_clone_to_owned();
    let stdin = stdin.map_err(|error| unreadable(&error))?;
    read_from(File::from(stdin))
}

fn read_from(mut from: impl Read) -> Result<Zeroizing<Vec<u8>>, Failure> {
    // Full size from the start: a buffer that grows leaves copies behind.
    let mut bytes = Zeroizing::new(vec![0; LONGEST]);
    let mut held = 0;
    loop {
        match from.read(bytes.get_mut(held..).unwrap_or_default()) {
            Ok(0) if held == bytes.len() => {
                return Err(Failure::usage(
                    format!("the question on standard input is longer than {LONGEST} bytes"),
                    "let the program that this helper is for ask it",
                ));
            }
            Ok(0) => break,
            Ok(count) => held += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(unreadable(&error)),
        }
        let read = bytes.get(..held).unwrap_or_default();
        if read == b"\n" || read.ends_with(b"\n\n") {
            break;
        }
    }
    bytes.truncate(held);
    Ok(bytes)
}

fn unreadable(error: &io::Error) -> Failure {
    Failure::new(
        Exit::Io,
        format!("cannot read the question: {error}"),
        "let the program that this helper is for start it",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a byte at a time, and would block for ever at its end.
    struct Open(&'static [u8]);

    impl Read for Open {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let (first, rest) = self.0.split_first().expect("would wait for more");
            into[0] = *first;
            self.0 = rest;
            Ok(1)
        }
    }

    #[test]
    fn an_empty_line_is_the_end_and_so_is_the_end() {
        assert_eq!(*read_from(Open(b"a=b\n\n")).unwrap(), b"a=b\n\n");
        assert_eq!(*read_from(Open(b"\n")).unwrap(), b"\n");
        assert_eq!(*read_from(&b"a=b\nc"[..]).unwrap(), b"a=b\nc");
    }

    #[test]
    fn a_question_has_a_limit() {
        assert!(read_from(&vec![b'a'; LONGEST][..]).is_err());
        assert!(read_from(&vec![b'a'; LONGEST - 1][..]).is_ok());
    }
}
