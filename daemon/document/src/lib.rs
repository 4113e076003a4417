//! Reads TOML that people write: typed values, or every mistake with its place and what to write instead.
//!
//! Owns the messages that do not depend on the subject of a document: unknown keys, wrong types, unknown words, numbers, durations, sizes
//! and paths; the quoted line of a mistake, with every possible secret masked; and the display of mistakes. It knows neither the
//! configuration nor dialects: each supplies a [`Language`], which says which parts of its lines may be shown. It reads no files.
//!
//! A reader asks a [`Section`] for each key it knows and finishes it, which notes every unknown key. No reader stops at a mistake: it
//! notes the mistake in [`Diagnostics`] and yields nothing, so that one run reports all mistakes.

mod diagnostic;
mod excerpt;
mod foreign;
mod masking;
mod nearest;
mod node;
mod report;
mod section;
mod source;
mod span;
#[cfg(test)]
mod tests;
mod value;

pub use diagnostic::{Diagnostic, Diagnostics, Syntax};
pub use nearest::{choose_from, nearest};
pub use node::{Content, Key, Node, Table};
pub use report::{Medium, counted, report};
pub use section::Section;
pub use source::{Language, Mark, Source};
pub use span::Span;
pub use value::Value;
