//! Questions on a terminal, and their answers.
//!
//! Owns how a question looks and what counts as an answer. Nothing here is secret: a secret is typed as for `login`.

use std::io::{self, Write as _};

use crate::failure::{Exit, Failure};
use crate::words;

/// The longest answer; a terminal delivers no longer line.
const LONGEST: usize = 4096;

/// Asks, and returns the answer without blanks around it.
pub(super) fn ask(question: &str) -> Result<String, Failure> {
    show(question);
    let mut line = Vec::new();
    // Byte by byte to the end of the line, so that nothing is taken from a prompt that reads the terminal itself.
    loop {
        let mut byte = [0];
        match rustix::io::read(io::stdin(), &mut byte) {
            Ok(0) => return Err(ended()),
            Ok(_) if byte == *b"\n" => break,
            Ok(_) if line.len() < LONGEST => line.extend(byte),
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(unreadable(&error.into())),
        }
    }
    let line = String::from_utf8(line);
    line.map(|line| line.trim().to_owned())
        .map_err(|_| unreadable(&io::ErrorKind::InvalidData.into()))
}

/// Says something in a line of its own.
pub(super) fn say(line: &str) {
    show(&format!("{}\n", words::plain(line)));
}

/// Asks a question to which Enter says yes.
pub(super) fn agree(question: &str) -> Result<bool, Failure> {
    loop {
        let answer = ask(&format!("{question} [Y/n] "))?;
        match answer.to_ascii_lowercase().as_str() {
            "" | "y" | "yes" => return Ok(true),
            "n" | "no" => return Ok(false),
            _ => say("write y or n"),
        }
    }
}

/// Prints a text with lines.
pub(super) fn show(text: &str) {
    let text: String = text
        .chars()
        .map(|c| if c.is_control() && c != '\n' { ' ' } else { c })
        .collect();
    // What cannot be shown does not change the result.
    drop(io::stderr().write_all(text.as_bytes()));
}

fn ended() -> Failure {
    show("\n");
    Failure::new(
        Exit::Io,
        "the answers ended before the last question",
        "what was not said to be written is not; run it again",
    )
}

fn unreadable(error: &io::Error) -> Failure {
    Failure::new(
        Exit::Io,
        format!("the answer cannot be read: {error}"),
        "write the answers as options; see: tokenctl init --help",
    )
}
