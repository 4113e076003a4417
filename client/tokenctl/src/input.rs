//! What people and scripts type: secrets without echo, and yes or no.
//!
//! Owns standard input. A secret is never an argument, never echoed, and never left in a buffer that nobody wipes.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::AsFd;

use tokend_client::SecretText;
use zeroize::{Zeroize, Zeroizing};

use crate::failure::{Exit, Failure};
use crate::prompt;

/// A secret: typed without echo on a terminal, else one line of standard input.
///
/// One line end is cut off, nothing else: a blank may be part of a password.
pub(crate) fn secret(what: &str) -> Result<SecretText, Failure> {
    let line = match io::stdin().is_terminal() {
        true => prompt::secret(&format!("{what}: ")).map_err(|error| unreadable(&error))?,
        false => {
            let stdin = io::stdin()
                .as_fd()
                .try_clone_to_owned()
                .map_err(|error| unreadable(&error))?;
            one_line(File::from(stdin))?
        }
    };
    match line.as_str() {
        "" => Err(Failure::usage(
            format!("the {what} is empty"),
            format!("type the {what}, or send it on standard input"),
        )),
        text => SecretText::new(text).map_err(|error| {
            Failure::usage(error.to_string(), "check what was sent on standard input")
        }),
    }
}

/// Asks a question on the terminal; anything but yes is no.
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

/// Whether somebody sits at standard input.
pub(crate) fn is_terminal() -> bool {
    io::stdin().is_terminal()
}

fn one_line(mut from: impl Read) -> Result<Zeroizing<String>, Failure> {
    // Full size from the start: a buffer that grows leaves copies behind.
    let mut bytes = Zeroizing::new(vec![0; SecretText::MAX_LEN + 2]);
    let mut held = 0;
    let line = loop {
        match from.read(bytes.get_mut(held..).unwrap_or_default()) {
            Ok(0) if held == bytes.len() => {
                let what = format!("the secret is longer than {} bytes", SecretText::MAX_LEN);
                return Err(Failure::usage(
                    what,
                    "check what was sent on standard input",
                ));
            }
            Ok(0) => break bytes.get(..held).unwrap_or_default(),
            Ok(count) => held += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(unreadable(&error)),
        }
        let end = bytes
            .get(..held)
            .and_then(|read| read.iter().position(|&byte| byte == b'\n'));
        match end {
            Some(end) if end + 1 < held => {
                return Err(Failure::usage(
                    "standard input holds more than one line",
                    "send the secret alone, as in: printf %s \"$TOKEN\" | tokenctl ...",
                ));
            }
            Some(end) => {
                let line = bytes.get(..end).unwrap_or_default();
                break line.strip_suffix(b"\r").unwrap_or(line);
            }
            None => {}
        }
    };
    let text = String::from_utf8(line.to_vec()).map_err(|error| {
        error.into_bytes().zeroize();
        Failure::usage(
            "the secret is not valid UTF-8",
            "check what was sent on standard input",
        )
    })?;
    Ok(Zeroizing::new(text))
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
        one_line(bytes)
            .map(|line| line.to_string())
            .map_err(|failure| format!("{failure:?}"))
    }

    #[test]
    fn one_line_end_is_cut_off_and_nothing_else() {
        for (sent, expected) in [
            ("pw", "pw"),
            ("pw\n", "pw"),
            ("pw\r\n", "pw"),
            (" p w \n", " p w "),
            ("", ""),
        ] {
            assert_eq!(read(sent.as_bytes()).unwrap(), expected);
        }
    }

    #[test]
    fn what_is_not_one_line_is_refused_without_showing_it() {
        let long = vec![b'h'; SecretText::MAX_LEN + 3];
        for sent in [
            &b"hunter2\nhunter3"[..],
            b"hunter2\n\n",
            b"hunter2\xff",
            &long,
        ] {
            let error = read(sent).unwrap_err();
            assert!(
                !error.contains("hunter") && !error.contains("hhh"),
                "{error}"
            );
        }
    }

    #[test]
    fn a_line_is_enough_though_the_other_end_stays_open() {
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
        assert_eq!(
            one_line(Open(b"hunter2\n".to_vec())).unwrap().as_str(),
            "hunter2"
        );
    }
}
