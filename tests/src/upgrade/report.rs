//! The checks, a line each, and how many of them failed.

use std::io::{self, Write as _};

/// Prints each check as it is made.
#[derive(Debug, Default)]
pub struct Report {
    held: u32,
    failed: u32,
}

impl Report {
    /// The subject of the next checks.
    pub(super) fn part(&mut self, what: &str) {
        self.line(&format!("\n{what}"));
    }

    /// An observation that is neither right nor wrong.
    pub(super) fn note(&mut self, what: &str) {
        self.line(&format!("      {what}"));
    }

    /// One check.
    pub(super) fn check(&mut self, what: &str, holds: impl FnOnce() -> anyhow::Result<()>) {
        match holds() {
            Ok(()) => {
                self.held += 1;
                self.line(&format!("ok    {what}"));
            }
            Err(error) => {
                self.failed += 1;
                self.line(&format!("FAILED {what}: {error:#}"));
            }
        }
    }

    /// Prints how many there were of each. Returns whether none failed.
    pub fn end(&mut self) -> bool {
        let (held, failed) = (self.held, self.failed);
        self.line(&format!("\n{held} held, {failed} failed"));
        failed == 0
    }

    fn line(&mut self, line: &str) {
        drop(writeln!(io::stdout(), "{line}"));
    }
}
