//! What people and scripts type: secrets without echo, and yes or no.
//!
//! Owns standard input. A secret is never an argument, never echoed, and never left in a buffer that nobody wipes.

use std::fs::File;
use std::io::{self, ErrorKind, IsTerminal, Read, Write};
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokend_client::SecretText;
use tokend_notation::{Lines, NotASecret};
use zeroize::Zeroizing;

use crate::failure::{Exit, Failure};
use crate::prompt;

/// How long to wait for more lines after the first, for a caller that sends one line and keeps standard input
/// open.
const MORE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 100_000_000,
};

/// A secret: typed without echo on a terminal, else what standard input holds.
///
/// [`tokend_notation::secret`] decides which part is the secret, as for secrets in files.
pub(crate) fn secret(what: &str) -> Result<SecretText, Failure> {
    let typed;
    let sent;
    let bytes = match io::stdin().is_terminal() {
        true => {
            typed = prompt::secret(&format!("{what}: ")).map_err(|error| match error.kind() {
                ErrorKind::InvalidInput => Failure::usage(
                    format!("more than one line was pasted as the {what}"),
                    "nothing was sent; paste the secret alone",
                ),
                _ => unreadable(&error),
            })?;
            typed.as_bytes()
        }
        false => {
            let stdin = io::stdin()
                .as_fd()
                .try_clone_to_owned()
                .map_err(|error| unreadable(&error))?;
            sent = all(File::from(stdin), has_more)?;
            &sent
        }
    };
    let text = alone(bytes, what)?;
    SecretText::new(text)
        .map_err(|error| Failure::usage(error.to_string(), "check what was sent on standard input"))
}

/// The secret, which is the only line of `bytes`.
fn alone<'b>(bytes: &'b [u8], what: &str) -> Result<&'b str, Failure> {
    let advice = |why| match why {
        NotASecret::Empty => format!("type the {what}, or send it on standard input"),
        NotASecret::SeveralLines(_) => {
            "send the secret alone, as in: pass show ads | head -n 1 | tokenctl login ads"
                .to_owned()
        }
        NotASecret::Control => {
            "send the secret alone; a program that prints it must do so without colours".to_owned()
        }
        _ => "check what was typed, or sent on standard input".to_owned(),
    };
    tokend_notation::secret(bytes, Lines::One)
        .map(|secret| secret.text)
        .map_err(|why| Failure::usage(format!("the {what} {why}"), advice(why)))
}

/// Asks a question on the terminal; any answer except yes counts as no.
pub(crate) fn confirm(question: &str) -> Result<bool, Failure> {
    let asked = write!(io::stderr(), "tokenctl: {question} [y/N] ");
    asked.map_err(|error| unreadable(&error))?;
    let mut answer = String::new();
    io::stdin()
        .read_line(&mut answer)
        .map_err(|error| unreadable(&error))?;
    Ok(matches!(
        answer.trim().to_ascii_lowercase().as_str(),
        "y" | "yes"
    ))
}

/// Whether standard input is a terminal.
pub(crate) fn is_terminal() -> bool {
    io::stdin().is_terminal()
}

/// All bytes of `from`: to its end, or to the end of a line after which `has_more` reports that nothing follows.
fn all<R: Read>(mut from: R, has_more: impl Fn(&R) -> bool) -> Result<Zeroizing<Vec<u8>>, Failure> {
    // Full size from the start: a buffer that grows leaves copies behind.
    let mut bytes = Zeroizing::new(vec![0; SecretText::MAX_LEN + 2]);
    let mut held = 0;
    loop {
        match from.read(bytes.get_mut(held..).unwrap_or_default()) {
            Ok(0) if held == bytes.len() => {
                let what = format!("the secret is longer than {} bytes", SecretText::MAX_LEN);
                return Err(Failure::usage(
                    what,
                    "check what was sent on standard input",
                ));
            }
            Ok(0) => break,
            Ok(count) => held += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(unreadable(&error)),
        }
        let line_ends = bytes.get(..held).is_some_and(|read| read.ends_with(b"\n"));
        if line_ends && !has_more(&from) {
            break;
        }
    }
    bytes.truncate(held);
    Ok(bytes)
}

/// Whether more bytes or the end can be read.
fn has_more(from: &File) -> bool {
    let mut waits = [PollFd::new(from, PollFlags::IN)];
    // If waiting is not possible here, `read` reports the error.
    !matches!(poll(&mut waits, Some(&MORE)), Ok(0))
}

fn unreadable(error: &io::Error) -> Failure {
    Failure::new(
        Exit::Io,
        format!("cannot read the secret: {error}"),
        "send it on standard input, or use a terminal",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<String, String> {
        let sent = all(bytes, |_| true);
        let read = sent.and_then(|sent| alone(&sent, "password").map(str::to_owned));
        read.map_err(|failure| format!("{failure:?}"))
    }

    #[test]
    fn line_ends_and_a_byte_order_mark_are_cut_off_and_nothing_else() {
        for (sent, expected) in [
            ("pw", "pw"),
            ("pw\n", "pw"),
            ("pw\r\n", "pw"),
            ("pw\n\n", "pw"),
            ("\u{feff}pw\n", "pw"),
            (" p w \n", " p w "),
        ] {
            assert_eq!(read(sent.as_bytes()).unwrap(), expected);
        }
    }

    #[test]
    fn what_is_not_one_line_is_refused_without_showing_it() {
        let long = vec![b'h'; SecretText::MAX_LEN + 3];
        for sent in [
            &b"hunter2\nhunter3"[..],
            b"hunter2\rhunter3",
            b"\nhunter2\n",
            b"hunter2\0\n",
            b"hunter2\xff",
            b" \n",
            b"",
            &long,
        ] {
            let error = read(sent).unwrap_err();
            assert!(
                !error.contains("hunter") && !error.contains("hhh"),
                "{error}"
            );
        }
    }

    /// Returns three bytes at a time, and would block for ever at its end.
    struct Open(Vec<u8>);

    impl Read for Open {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            assert!(!self.0.is_empty(), "would wait for more");
            let count = self.0.len().min(3);
            for (to, from) in into.iter_mut().zip(self.0.drain(..count)) {
                *to = from;
            }
            Ok(count)
        }
    }

    #[test]
    fn a_line_is_enough_though_the_other_end_stays_open() {
        let sent = all(Open(b"hunter2\n".to_vec()), |open| !open.0.is_empty());
        assert_eq!(sent.unwrap().as_slice(), b"hunter2\n");
    }

    #[test]
    fn a_second_line_is_noticed_however_it_is_cut_into_pieces() {
        for sent in ["hu\nhunter3\n", "hunter2\nhunter3\n"] {
            let sent = all(Open(sent.into()), |open| !open.0.is_empty()).unwrap();
            assert!(alone(&sent, "password").is_err());
        }
    }
}
