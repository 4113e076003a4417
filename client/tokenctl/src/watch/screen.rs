//! The terminal of the live table, and its events.
//!
//! Owns the alternate screen, the mode of the keyboard, the signals that end, stop or resize, and the way back: dropping it leaves
//! the terminal as it was, also when something panics. Nothing else writes to the terminal while it is open.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{
    LocalModes, OptionalActions, Termios, isatty, tcgetattr, tcgetwinsize, tcsetattr,
};
use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGTERM, SIGTSTP, SIGWINCH};
use signal_hook::{SigId, flag, low_level};

use crate::status::Canvas;

/// The escape codes of the alternate screen without a cursor, and of the way back.
const OPEN: &str = "\u{1b}[?1049h\u{1b}[?25l";
const CLOSE: &str = "\u{1b}[?25h\u{1b}[?1049l";

/// The end of a wait for the next frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Happening {
    /// A key or a signal ends the table.
    End,
    /// Time passed, an answer came, or the size of the terminal changed.
    Nothing,
}

/// The terminal, drawn on until this is dropped.
pub(super) struct Screen {
    out: File,
    /// The keyboard, if there is one.
    keys: Option<File>,
    before: Option<Termios>,
    /// Readable after a signal or an answer.
    woken: UnixStream,
    waker: UnixStream,
    signals: Vec<(i32, Arc<AtomicBool>)>,
    registered: Vec<SigId>,
    colours: bool,
    open: bool,
}

impl Screen {
    /// Takes over the terminal.
    pub(super) fn open() -> io::Result<Self> {
        let out = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        let stdin = io::stdin();
        let keys = match isatty(&stdin) {
            true => Some(File::from(stdin.as_fd().try_clone_to_owned()?)),
            false => None,
        };
        let (woken, waker) = UnixStream::pair()?;
        woken.set_nonblocking(true)?;
        waker.set_nonblocking(true)?;
        let mut screen = Self {
            out,
            keys,
            before: None,
            woken,
            waker,
            signals: Vec::new(),
            registered: Vec::new(),
            colours: std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
            open: false,
        };
        for signal in [SIGINT, SIGTERM, SIGHUP, SIGTSTP, SIGCONT, SIGWINCH] {
            let came = Arc::new(AtomicBool::new(false));
            // The flag first: the woken thread must find it set.
            screen
                .registered
                .push(flag::register(signal, Arc::clone(&came))?);
            screen.registered.push(low_level::pipe::register(
                signal,
                screen.waker.try_clone()?,
            )?);
            screen.signals.push((signal, came));
        }
        screen.enter()?;
        Ok(screen)
    }

    /// A handle with which another thread wakes [`Screen::wait`].
    pub(super) fn waker(&self) -> io::Result<UnixStream> {
        self.waker.try_clone()
    }

    /// The current size.
    pub(super) fn canvas(&self) -> Canvas {
        let size = tcgetwinsize(&self.out).map_or((0, 0), |size| (size.ws_col, size.ws_row));
        let (columns, rows) = match size {
            (0, _) | (_, 0) => (80, 24),
            size => size,
        };
        Canvas {
            columns: columns.into(),
            rows: rows.into(),
            colours: self.colours,
        }
    }

    /// Draws these lines, from the top.
    pub(super) fn draw(&mut self, lines: &[String]) -> io::Result<()> {
        let mut text = "\u{1b}[H".to_owned();
        for (at, line) in lines.iter().enumerate() {
            if at > 0 {
                text.push_str("\r\n");
            }
            text.push_str(line);
            // Clears the rest of an earlier frame.
            text.push_str("\u{1b}[K");
        }
        text.push_str("\u{1b}[J");
        self.out.write_all(text.as_bytes())
    }

    /// Waits for an event, at most this long.
    pub(super) fn wait(&mut self, patience: Duration) -> io::Result<Happening> {
        let timeout = Timespec {
            tv_sec: i64::try_from(patience.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: patience.subsec_nanos().into(),
        };
        let mut watched = vec![PollFd::new(&self.woken, PollFlags::IN)];
        watched.extend(
            self.keys
                .as_ref()
                .map(|keys| PollFd::new(keys, PollFlags::IN)),
        );
        match poll(&mut watched, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let typed = watched
            .get(1)
            .is_some_and(|keys| !keys.revents().is_empty());
        drop(watched);
        let mut bytes = [0; 64];
        while self.woken.read(&mut bytes).is_ok_and(|count| count > 0) {}
        if let Some(happening) = self.signalled()? {
            return Ok(happening);
        }
        if let (true, Some(keys)) = (typed, &mut self.keys) {
            let count = keys.read(&mut bytes)?;
            // End of file means that the terminal hung up.
            if count == 0
                || bytes
                    .iter()
                    .take(count)
                    .any(|key| matches!(key, b'q' | b'Q'))
            {
                return Ok(Happening::End);
            }
        }
        Ok(Happening::Nothing)
    }

    fn signalled(&mut self) -> io::Result<Option<Happening>> {
        let came: Vec<i32> = self
            .signals
            .iter()
            .filter(|(_, came)| came.swap(false, Ordering::SeqCst))
            .map(|(signal, _)| *signal)
            .collect();
        for signal in came {
            match signal {
                SIGINT => return Ok(Some(Happening::End)),
                SIGTERM | SIGHUP => {
                    // The sender sees that the signal ended us, as with any other program.
                    self.leave();
                    low_level::emulate_default_handler(signal)?;
                }
                SIGTSTP => {
                    self.leave();
                    low_level::emulate_default_handler(signal)?;
                    self.enter()?;
                }
                // Another program may have changed the terminal's mode while this one was stopped.
                SIGCONT => {
                    self.leave();
                    self.enter()?;
                }
                _ => {}
            }
        }
        Ok(None)
    }

    fn enter(&mut self) -> io::Result<()> {
        if let Some(keys) = &self.keys {
            let before = tcgetattr(keys)?;
            let mut quiet = before.clone();
            // Keys come one by one and are not shown; Ctrl-C and Ctrl-Z stay signals.
            quiet
                .local_modes
                .remove(LocalModes::ECHO | LocalModes::ICANON);
            tcsetattr(keys, OptionalActions::Now, &quiet)?;
            self.before = Some(before);
        }
        self.open = true;
        self.out.write_all(OPEN.as_bytes())
    }

    fn leave(&mut self) {
        if !std::mem::take(&mut self.open) {
            return;
        }
        // A terminal that is gone needs no reset.
        drop(self.out.write_all(CLOSE.as_bytes()));
        if let (Some(keys), Some(before)) = (&self.keys, self.before.take()) {
            let _ = tcsetattr(keys, OptionalActions::Now, &before);
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.leave();
        for id in self.registered.drain(..) {
            low_level::unregister(id);
        }
    }
}

/// Wakes [`Screen::wait`].
pub(super) fn wake(mut waker: &UnixStream) {
    // A full pipe wakes as well.
    drop(waker.write(&[0]));
}
