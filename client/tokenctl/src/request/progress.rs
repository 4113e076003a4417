//! How far a large transfer is, on a terminal.
//!
//! Owns when the line is shown: on a terminal where nothing else is printed, for more than a megabyte, and gone when the transfer ends.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use crate::clock;

/// What is moved in less is not worth a line.
const SMALL: u64 = 1024 * 1024;
const PAUSE: Duration = Duration::from_millis(200);

pub(crate) struct Progress {
    verb: &'static str,
    whole: Option<u64>,
    moved: u64,
    is_wanted: bool,
    shown: Option<Instant>,
}

impl Progress {
    pub(crate) fn new(verb: &'static str, whole: Option<u64>, is_wanted: bool) -> Self {
        Self {
            verb,
            whole,
            moved: 0,
            is_wanted: is_wanted && io::stderr().is_terminal(),
            shown: None,
        }
    }

    pub(crate) fn moved(&self) -> u64 {
        self.moved
    }

    pub(crate) fn step(&mut self, bytes: usize) {
        self.moved = self.moved.saturating_add(bytes as u64);
        if !self.is_wanted || self.moved < SMALL {
            return;
        }
        let now = clock::steady();
        if self
            .shown
            .is_some_and(|shown| now.duration_since(shown) < PAUSE)
        {
            return;
        }
        self.shown = Some(now);
        let line = line(self.verb, self.moved, self.whole);
        // A line that cannot be shown does not change the result.
        drop(write!(io::stderr(), "\r{line}\u{1b}[K"));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown.is_some() {
            drop(write!(io::stderr(), "\r\u{1b}[K"));
        }
    }
}

fn line(verb: &str, moved: u64, whole: Option<u64>) -> String {
    match whole.filter(|whole| *whole >= moved && *whole > 0) {
        Some(whole) => {
            let percent = u128::from(moved) * 100 / u128::from(whole);
            format!("{verb} {} of {} ({percent} %)", size(moved), size(whole))
        }
        None => format!("{verb} {}", size(moved)),
    }
}

/// In the largest unit of which there is one, to a tenth.
fn size(bytes: u64) -> String {
    let tenths = |unit: u64| {
        let tenths = u128::from(bytes) * 10 / u128::from(unit);
        format!("{}.{}", tenths / 10, tenths % 10)
    };
    match bytes {
        0..1_000_000 => format!("{} kB", tenths(1_000)),
        1_000_000..1_000_000_000 => format!("{} MB", tenths(1_000_000)),
        _ => format!("{} GB", tenths(1_000_000_000)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_much_of_what() {
        assert_eq!(
            line("sent", 1_500_000, Some(3_000_000)),
            "sent 1.5 MB of 3.0 MB (50 %)"
        );
        assert_eq!(line("received", 2_340_000_000, None), "received 2.3 GB");
        // A server that lied about the length.
        assert_eq!(line("received", 2_000_000, Some(1)), "received 2.0 MB");
    }
}
