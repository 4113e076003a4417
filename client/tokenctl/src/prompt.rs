//! Typing a secret on a terminal.
//!
//! Owns the terminal's echo around `rpassword`, which switches it off only after its prompt is out and leaves it off
//! when Ctrl-C ends the process. Here it is off before anybody is asked, and on again whatever happens.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use signal_hook::consts::SIGINT;
use signal_hook::{flag, low_level};
use zeroize::Zeroizing;

/// Asks on the controlling terminal and reads a line without echo. Ctrl-C ends the process as it always does.
pub(crate) fn secret(prompt: &str) -> io::Result<Zeroizing<String>> {
    let terminal = File::options().read(true).write(true).open("/dev/tty")?;
    // While it is registered, Ctrl-C makes rpassword return and does not end the process.
    let handler = flag::register(SIGINT, Arc::new(AtomicBool::new(false)))?;
    let typed = Quiet::over(&terminal).and_then(|_quiet| rpassword::prompt_password(prompt));
    low_level::unregister(handler);
    match typed {
        Err(error) if error.kind() == ErrorKind::Interrupted => {
            low_level::emulate_default_handler(SIGINT)?;
            Err(error)
        }
        typed => typed.map(Zeroizing::new),
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
        // What was typed before the prompt was echoed, so it is no secret.
        tcsetattr(terminal, OptionalActions::Flush, &quiet)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Quiet<'_> {
    fn drop(&mut self) {
        // A terminal that is gone needs no echo.
        let _ = tcsetattr(self.terminal, OptionalActions::Now, &self.before);
    }
}
