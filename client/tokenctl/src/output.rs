//! Standard output and the notes beside it.
//!
//! Owns how bytes are written: straight to the file descriptor, because the standard library's buffer would keep a copy of a token that
//! nobody wipes.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;

use serde::Serialize;
use zeroize::Zeroizing;

use crate::failure::Failure;
use crate::words;

/// Writes to standard output.
pub(crate) fn print(bytes: &[u8]) -> Result<(), Failure> {
    let stdout = io::stdout().as_fd().try_clone_to_owned();
    stdout
        .and_then(|stdout| File::from(stdout).write_all(bytes))
        .map_err(|error| Failure::output(&error))
}

/// Writes one line of JSON to standard output.
pub(crate) fn print_json<T: Serialize>(value: &T) -> Result<(), Failure> {
    print(&json_line(value)?)
}

/// One line of JSON.
pub(crate) fn json_line<T: Serialize>(value: &T) -> Result<Zeroizing<Vec<u8>>, Failure> {
    // With room for a token: to grow would leave a part of it behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(64 * 1024));
    serde_json::to_writer(&mut *bytes, value).map_err(|error| Failure::output(&error.into()))?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Prints a sentence on standard error, for people.
pub(crate) fn note(sentence: &str) {
    // A note that cannot be written does not change the result.
    drop(writeln!(
        io::stderr(),
        "tokenctl: {}",
        words::plain(sentence)
    ));
}

/// Whether standard output is a terminal.
pub(crate) fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// How wide the terminal is, in columns.
pub(crate) fn width() -> usize {
    let columns = rustix::termios::tcgetwinsize(io::stdout()).map_or(0, |size| size.ws_col);
    match columns {
        0 => 80,
        columns => usize::from(columns).max(40),
    }
}
