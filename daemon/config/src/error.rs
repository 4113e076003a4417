//! A configuration that cannot be used.

use std::fmt;

use tokend_document::Diagnostics;

/// A configuration that cannot be used, with everything found wrong in it.
#[derive(Debug)]
pub struct ConfigError {
    diagnostics: Diagnostics,
    is_shortage: bool,
}

impl ConfigError {
    /// `shortages` counts the mistakes that come only from a shortage on this machine.
    pub(super) fn new(diagnostics: Diagnostics, shortages: usize) -> Self {
        Self {
            is_shortage: shortages > 0 && diagnostics.count() == shortages,
            diagnostics: diagnostics.sorted(),
        }
    }

    /// Whether the only mistakes are files that could not be read because of a temporary shortage, such as of descriptors. The
    /// configuration may then be right, and a retry may help.
    pub fn is_shortage(&self) -> bool {
        self.is_shortage
    }

    /// All mistakes, in the order of files and lines.
    pub fn diagnostics(&self) -> &Diagnostics {
        &self.diagnostics
    }
}

/// One line, for a log: the first mistake and the number of the others.
impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(first) = self.diagnostics.kept().first() {
            write!(f, "{first}")?;
        }
        match self.diagnostics.count() {
            0 | 1 => Ok(()),
            2 => f.write_str(" (and 1 more mistake; run tokend check)"),
            count => write!(f, " (and {} more mistakes; run tokend check)", count - 1),
        }
    }
}

impl std::error::Error for ConfigError {}
