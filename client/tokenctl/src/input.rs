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

/// A secret that is asked for.
#[derive(Debug)]
pub(crate) struct Asked {
    /// What it is: `password of ads`.
    pub(crate) what: String,
    /// More about it, after a blank; may be empty.
    pub(crate) prompt: String,
    /// Whether it may have several lines.
    pub(crate) is_multiline: bool,
}

/// A secret: typed without echo on a terminal, else what standard input holds.
///
/// [`tokend_notation::secret`] decides which part is the secret, as for secrets in files.
pub(crate) fn secret(what: &str) -> Result<SecretText, Failure> {
    let asked = Asked {
        what: what.to_owned(),
        prompt: String::new(),
        is_multiline: false,
    };
    one(&asked)
}

/// Several secrets: each asked for on a terminal, else a line of standard input for each.
pub(crate) fn secrets(asked: &[Asked]) -> Result<Vec<SecretText>, Failure> {
    if let [asked] = asked {
        return Ok(vec![one(asked)?]);
    }
    if is_terminal() {
        return asked.iter().map(one).collect();
    }
    let names: Vec<_> = asked.iter().map(|asked| asked.what.as_str()).collect();
    let names = names.join(", ");
    if asked.iter().any(|asked| asked.is_multiline) {
        return Err(Failure::usage(
            format!("several secrets are wanted, and one of them may have several lines: {names}"),
            "run this on a terminal, which asks for each",
        ));
    }
    let sent = sent(asked.len())?;
    let text = tokend_notation::secret(&sent, Lines::All);
    let text = text.map_err(|why| Failure::usage(format!("standard input {why}"), &*names))?;
    let lines: Vec<_> = text.text.lines().collect();
    if lines.len() != asked.len() {
        return Err(Failure::usage(
            format!(
                "{} secrets are wanted, and standard input has another number of lines",
                asked.len()
            ),
            format!("send each on a line of its own, in this order: {names}"),
        ));
    }
    let each = asked.iter().zip(lines);
    each.map(|(asked, line)| taken(line.as_bytes(), asked))
        .collect()
}

fn one(asked: &Asked) -> Result<SecretText, Failure> {
    let what = &asked.what;
    let bytes = match (is_terminal(), asked.is_multiline) {
        (true, false) => {
            let prompt = format!("{what}{}: ", asked.prompt);
            let typed = prompt::secret(&prompt).map_err(|error| match error.kind() {
                ErrorKind::InvalidInput => Failure::usage(
                    format!("more than one line was pasted as the {what}"),
                    "nothing was sent; paste the secret alone",
                ),
                _ => unreadable(&error),
            })?;
            return taken(typed.as_bytes(), asked);
        }
        (true, true) => {
            let prompt = format!(
                "{what}{}, then Ctrl-D on a line of its own:\n",
                asked.prompt
            );
            prompt::lines(&prompt, SecretText::MAX_LEN).map_err(|error| match error.kind() {
                ErrorKind::InvalidInput => Failure::usage(
                    format!("the {what} is longer than {} bytes", SecretText::MAX_LEN),
                    "nothing was sent; paste the secret alone",
                ),
                _ => unreadable(&error),
            })?
        }
        (false, false) => sent(1)?,
        (false, true) => sent(usize::MAX)?,
    };
    taken(&bytes, asked)
}

/// What standard input holds: to its end, or until it has this many lines and pauses.
fn sent(lines: usize) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let stdin = io::stdin().as_fd().try_clone_to_owned();
    let stdin = stdin.map_err(|error| unreadable(&error))?;
    all(File::from(stdin), lines, has_more)
}

fn taken(bytes: &[u8], asked: &Asked) -> Result<SecretText, Failure> {
    let lines = match asked.is_multiline {
        true => Lines::All,
        false => Lines::One,
    };
    let text = alone(bytes, &asked.what, lines)?;
    SecretText::new(text)
        .map_err(|error| Failure::usage(error.to_string(), "check what was sent on standard input"))
}

/// The part of `bytes` that is the secret.
fn alone<'b>(bytes: &'b [u8], what: &str, lines: Lines) -> Result<&'b str, Failure> {
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
    tokend_notation::secret(bytes, lines)
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

/// All bytes of `from`: to its end, or to the end of a line after which `has_more` reports that nothing follows, once there are that many.
fn all<R: Read>(
    mut from: R,
    lines: usize,
    has_more: impl Fn(&R) -> bool,
) -> Result<Zeroizing<Vec<u8>>, Failure> {
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
        let read = bytes.get(..held).unwrap_or_default();
        let ends = read.iter().filter(|byte| **byte == b'\n').count();
        if read.ends_with(b"\n") && ends >= lines && !has_more(&from) {
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
        let sent = all(bytes, 1, |_| true);
        let read = sent.and_then(|sent| alone(&sent, "password", Lines::One).map(str::to_owned));
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
        let sent = all(Open(b"hunter2\n".to_vec()), 1, |open| !open.0.is_empty());
        assert_eq!(sent.unwrap().as_slice(), b"hunter2\n");
    }

    #[test]
    fn as_many_lines_are_waited_for_as_secrets_are_wanted() {
        let sent = all(Open(b"one\ntwo\n".to_vec()), 2, |_| false).unwrap();
        assert_eq!(sent.as_slice(), b"one\ntwo\n");
        let key = b"-----BEGIN-----\nhunter2\n-----END-----\n";
        let read = alone(key, "key", Lines::All).unwrap();
        assert_eq!(read, "-----BEGIN-----\nhunter2\n-----END-----");
    }

    #[test]
    fn a_second_line_is_noticed_however_it_is_cut_into_pieces() {
        for sent in ["hu\nhunter3\n", "hunter2\nhunter3\n"] {
            let sent = all(Open(sent.into()), 1, |open| !open.0.is_empty()).unwrap();
            assert!(alone(&sent, "password", Lines::One).is_err());
        }
    }
}
