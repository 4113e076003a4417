//! Reads TOML that people write: typed values, or every mistake with its place and what to write instead.
//!
//! Owns the sentences that do not depend on what a document is about: unknown keys, wrong types, unknown words, numbers, durations, sizes
//! and paths; the quoted line of a mistake, with everything masked that could be a secret; and how mistakes are shown. It knows neither
//! the configuration nor dialects: each says by a [`Language`] what may be shown of its lines. It reads no files.
//!
//! A reader asks a [`Section`] for each key it knows and finishes it, which notes every key that nobody asked for. No reader stops at a
//! mistake: it notes it among [`Diagnostics`] and yields nothing, so that one run tells everything.

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
