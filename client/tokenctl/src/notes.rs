//! Lines beside a loop that must not wait for their reader.
//!
//! Owns the thread that prints them: a reader of standard error that stands still must not keep a token in its file.

use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use crate::output;

/// Prints lines on standard error, in their order.
#[derive(Clone)]
pub(crate) struct Notes(SyncSender<String>);

impl Notes {
    /// The lines that wait to be printed; more are dropped.
    const ROOM: usize = 16;

    pub(crate) fn start() -> Self {
        let (sender, lines) = sync_channel::<String>(Self::ROOM);
        // Without a thread nothing is printed.
        drop(
            thread::Builder::new().spawn(move || lines.iter().for_each(|line| output::note(&line))),
        );
        Self(sender)
    }

    pub(crate) fn print(&self, line: String) {
        drop(self.0.try_send(line));
    }
}
