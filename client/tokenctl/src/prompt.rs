//! Typing a secret on a terminal.
//!
//! Owns the terminal's echo around `rpassword`, which switches it off only after its prompt is out and leaves
//! it off when Ctrl-C ends the process. Here it is off before the prompt appears, and on again however the
//! command ends. Text that was pasted behind the first line is taken back from the terminal: it may be a secret
//! too, and the shell would run it.

use std::fs::File;
use std::io::{self, ErrorKind};
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

impl Quiet<'_> {
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
