//! Reads man pages written with the mdoc macros, for tests that compare a page with the code it describes.
//!
//! Owns what counts as documented: an `.It Fl` names options, an `.It Ic` keys, an `.It` with a number an exit code, and the
//! headings above say of which command or table. Knows nothing of any program. [`lines`] does the same for a guide's log lines.

mod commands;
pub mod lines;
mod lint;
mod page;

pub use commands::{differences, exit_codes};
pub use lint::complaints;
pub use page::{Entry, Kind, Page};
