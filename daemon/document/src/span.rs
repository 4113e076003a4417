//! A place in a document.

use std::ops::Range;
use std::sync::Arc;

use crate::excerpt::Excerpt;
use crate::source::{Mark, Source};

/// A place in a document, in bytes.
#[derive(Debug, Clone)]
pub struct Span {
    /// The document.
    pub source: Arc<Source>,
    /// The bytes.
    pub range: Range<usize>,
}

impl Span {
    /// `name:line:column`, both from 1. Counting lines takes time.
    pub fn position(&self) -> String {
        let Excerpt { line, column, .. } = self.excerpt(Mark::Hidden);
        format!("{}:{line}:{column}", self.source.name())
    }

    pub(crate) fn excerpt(&self, mark: Mark) -> Excerpt {
        Excerpt::new(&self.source, &self.range, mark)
    }
}
