//! A piece of a file, which is parsed by itself, and where it stands.

use std::ops::Range;

use super::mistake::{Place, SourceFile};
use super::split::Runs;

/// A piece of a file and where it stands there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece<'p> {
    /// The file.
    pub(super) file: &'p SourceFile,
    /// Which stretches of it were parsed.
    pub(super) runs: &'p Runs,
}

impl Piece<'_> {
    /// A range of the parsed text as a place in the file.
    pub(super) fn place(&self, range: &Range<usize>, show: bool) -> Place {
        Place {
            range: self.runs.in_file(range),
            show,
        }
    }
}
