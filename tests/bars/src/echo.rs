//! A bare echo over a Unix socket: the least that an answer can cost.
//!
//! One process, one thread, blocking reads and writes of fixed lengths. It decides nothing and knows nothing.

use std::{
    io::{Read as _, Write as _},
    os::unix::net::UnixListener,
    path::Path,
};

/// Answers each `asked` bytes of one connection with `answered` bytes, until it is closed.
///
/// # Errors
/// When the socket cannot be made.
pub fn serve(socket: &Path, asked: usize, answered: usize) -> anyhow::Result<()> {
    let listener = UnixListener::bind(socket)?;
    let (mut stream, _) = listener.accept()?;
    let mut question = vec![0; asked];
    let answer = vec![7; answered];
    while stream.read_exact(&mut question).is_ok() {
        stream.write_all(&answer)?;
    }
    Ok(())
}
