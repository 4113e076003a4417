//! Typing a secret on a terminal.
//!
//! Owns the terminal's echo around `rpassword`, which switches it off only after its prompt is out and leaves
//! it off when Ctrl-C ends the process. Here it is off before the prompt appears, and on again however the
//! command ends. Text that was pasted behind the first line is taken back from the terminal: it may be a secret
//! too, and the shell would run it.

use std::fs::File;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{
    LocalModes, OptionalActions, QueueSelector, Termios, tcflush, tcgetattr, tcsetattr,
};
use signal_hook::consts::SIGINT;
use signal_hook::{flag, low_level};
use zeroize::Zeroizing;

/// Asks on the controlling terminal and reads a line without echo. Ctrl-C ends the process as it always does.
///
/// # Errors
/// `InvalidInput` when more than a line was pasted.
pub(crate) fn secret(prompt: &str) -> io::Result<Zeroizing<String>> {
    let terminal = File::options().read(true).write(true).open("/dev/tty")?;
    // While it is registered, Ctrl-C makes rpassword return and does not end the process.
    let handler = flag::register(SIGINT, Arc::new(AtomicBool::new(false)))?;
    let typed = Quiet::over(&terminal).and_then(|quiet| {
        let line = rpassword::prompt_password(prompt).map(Zeroizing::new)?;
        match quiet.has_more()? {
            true => Err(ErrorKind::InvalidInput.into()),
            false => Ok(line),
        }
    });
    low_level::unregister(handler);
    match typed {
        Err(error) if error.kind() == ErrorKind::Interrupted => {
            low_level::emulate_default_handler(SIGINT)?;
            Err(error)
        }
        typed => typed,
    }
}

/// Asks on the controlling terminal and reads lines without echo, up to Ctrl-D. Ctrl-C ends the process as it always does.
///
/// # Errors
/// `InvalidInput` when there are more than `limit` bytes.
pub(crate) fn lines(prompt: &str, limit: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    let terminal = File::options().read(true).write(true).open("/dev/tty")?;
    let typed = Quiet::over(&terminal).and_then(|quiet| quiet.lines(prompt, limit))?;
    let Some(typed) = typed else {
        low_level::emulate_default_handler(SIGINT)?;
        return Err(ErrorKind::Interrupted.into());
    };
    Ok(typed)
}

/// A terminal without echo, until dropped.
struct Quiet<'a> {
    terminal: &'a File,
    before: Termios,
}

impl<'a> Quiet<'a> {
    fn over(terminal: &'a File) -> io::Result<Self> {
        let before = tcgetattr(terminal)?;
        let mut quiet = before.clone();
        quiet
            .local_modes
            .remove(LocalModes::ECHO | LocalModes::ISIG);
        // The terminal echoed everything typed before the prompt, so it is no secret.
        tcsetattr(terminal, OptionalActions::Flush, &quiet)?;
        Ok(Self { terminal, before })
    }
}

/// Keys of a terminal, as bytes.
const CTRL_C: u8 = 3;
const CTRL_D: u8 = 4;
const BACKSPACE: [u8; 2] = [8, 127];

impl Quiet<'_> {
    /// Everything up to Ctrl-D; `None` at Ctrl-C. Read byte by byte: a terminal cuts lines off at 4095 bytes, and the lines of keys may be
    /// longer.
    fn lines(&self, prompt: &str, limit: usize) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
        let mut by_byte = tcgetattr(self.terminal)?;
        (by_byte.local_modes).remove(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG);
        tcsetattr(self.terminal, OptionalActions::Now, &by_byte)?;
        let mut terminal = self.terminal;
        terminal.write_all(prompt.as_bytes())?;
        // Full size from the start: a buffer that grows leaves copies behind.
        let mut typed = Zeroizing::new(Vec::with_capacity(limit));
        let mut byte = Zeroizing::new([0]);
        loop {
            match terminal.read(&mut *byte) {
                Ok(0) => return Ok(Some(typed)),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
                Ok(_) => {}
            }
            let [key] = *byte;
            match key {
                CTRL_C => return Ok(None),
                CTRL_D => return Ok(Some(typed)),
                key if BACKSPACE.contains(&key) => drop(typed.pop()),
                _ if typed.len() == limit => {
                    tcflush(self.terminal, QueueSelector::IFlush)?;
                    return Err(ErrorKind::InvalidInput.into());
                }
                key => typed.push(key),
            }
        }
    }

    /// Whether something was typed or pasted after the line that was read; removes it.
    ///
    /// The terminal delivers whole lines, so a last line without an end would not show.
    fn has_more(&self) -> io::Result<bool> {
        let mut by_byte = tcgetattr(self.terminal)?;
        by_byte
            .local_modes
            .remove(LocalModes::ICANON | LocalModes::ECHO);
        tcsetattr(self.terminal, OptionalActions::Now, &by_byte)?;
        let mut waits = [PollFd::new(self.terminal, PollFlags::IN)];
        let has_more = poll(&mut waits, Some(&Timespec::default()))? > 0;
        tcflush(self.terminal, QueueSelector::IFlush)?;
        Ok(has_more)
    }
}

impl Drop for Quiet<'_> {
    fn drop(&mut self) {
        // A terminal that is gone needs no echo.
        let _ = tcsetattr(self.terminal, OptionalActions::Now, &self.before);
    }
}
