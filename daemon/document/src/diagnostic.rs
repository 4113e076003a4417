//! Mistakes in a document: the place, what was expected, and what to write instead.
//!
//! Owns collecting diagnostics and their bounds. Never stops at the first mistake, and never shows a value that could be a secret: a line
//! is quoted through `excerpt`, which masks everything except the subject of the diagnostic.

use std::fmt;
use std::sync::Arc;

use crate::excerpt::Excerpt;
use crate::foreign::is_foreign;
use crate::source::Mark;
use crate::span::Span;

/// How many diagnostics are kept; the others are only counted.
const MOST: usize = 50;

/// How much of a sentence is kept, in characters.
const LONGEST: usize = 2000;

/// One mistake in a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    file: Arc<str>,
    message: String,
    help: Option<String>,
    /// `None` for a mistake about a whole file.
    excerpt: Option<Excerpt>,
}

impl Diagnostic {
    fn new(
        file: Arc<str>,
        message: impl Into<String>,
        help: impl Into<Option<String>>,
        excerpt: Option<Excerpt>,
    ) -> Self {
        Self {
            file: match file.contains(char::is_control) {
                true => line(&file).into(),
                false => file,
            },
            message: line(&message.into()),
            help: help.into().as_deref().map(line),
            excerpt,
        }
    }

    /// The name of the document it is in.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Line, and column in characters, both from 1, unless it is about the whole document.
    pub fn position(&self) -> Option<(usize, usize)> {
        let excerpt = self.excerpt.as_ref()?;
        Some((excerpt.line, excerpt.column))
    }

    /// What is wrong.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to write instead.
    pub fn help(&self) -> Option<&str> {
        self.help.as_deref()
    }

    pub(crate) fn excerpt(&self) -> Option<&Excerpt> {
        self.excerpt.as_ref()
    }
}

/// One line: place, sentence, advice.
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if let Some((line, column)) = self.position() {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.message)?;
        self.help.iter().try_for_each(|help| write!(f, "; {help}"))
    }
}

impl std::error::Error for Diagnostic {}

/// A place that the TOML parser does not understand.
#[derive(Debug, Clone)]
pub struct Syntax {
    pub(crate) span: Span,
    pub(crate) message: String,
}

/// All mistakes found so far.
#[derive(Debug, Clone, Default)]
pub struct Diagnostics {
    kept: Vec<Diagnostic>,
    more: usize,
}

impl Diagnostics {
    /// Notes a mistake at a place.
    pub fn add(
        &mut self,
        span: &Span,
        mark: Mark,
        message: impl Into<String>,
        help: impl Into<Option<String>>,
    ) {
        // Counting lines is the slow part, so it is skipped for diagnostics that are dropped.
        self.keep(|| {
            let file = span.source.shared_name();
            Diagnostic::new(file, message, help, Some(span.excerpt(mark)))
        });
    }

    /// Notes a syntax error; only text of its line that cannot be a secret is shown.
    pub fn add_syntax(&mut self, syntax: &Syntax) {
        self.keep(|| {
            let source = &syntax.span.source;
            let excerpt = Excerpt::of_broken(source, &syntax.span.range);
            let help = is_foreign(source.text()).then(|| source.language().is_toml().to_owned());
            Diagnostic::new(source.shared_name(), &*syntax.message, help, Some(excerpt))
        });
    }

    /// Notes a mistake about a whole document.
    pub fn add_file(
        &mut self,
        file: &str,
        message: impl Into<String>,
        help: impl Into<Option<String>>,
    ) {
        self.keep(|| Diagnostic::new(file.into(), message, help, None));
    }

    /// Adds the mistakes of other documents.
    pub fn extend(&mut self, others: Self) {
        for other in others.kept {
            self.keep(|| other);
        }
        self.more += others.more;
    }

    /// The diagnostics that are kept.
    pub fn kept(&self) -> &[Diagnostic] {
        &self.kept
    }

    /// The number of diagnostics beyond those kept.
    pub fn more(&self) -> usize {
        self.more
    }

    /// How many were found.
    pub fn count(&self) -> usize {
        self.kept.len() + self.more
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.count() == 0
    }

    /// Whether further diagnostics are only counted.
    pub fn is_full(&self) -> bool {
        self.kept.len() >= MOST
    }

    /// Sorts the diagnostics so that a report follows the files: files in the order in which they were read, each from top to bottom.
    pub fn sorted(mut self) -> Self {
        let mut files: Vec<Arc<str>> = Vec::new();
        for diagnostic in &self.kept {
            if !files.contains(&diagnostic.file) {
                files.push(Arc::clone(&diagnostic.file));
            }
        }
        let rank = |file: &Arc<str>| files.iter().position(|known| known == file);
        self.kept
            .sort_by_key(|diagnostic| (rank(&diagnostic.file), diagnostic.position()));
        self
    }

    /// Keeps a diagnostic once: a place that several readers check is not reported again by each of them.
    fn keep(&mut self, diagnostic: impl FnOnce() -> Diagnostic) {
        if self.is_full() {
            self.more += 1;
            return;
        }
        let diagnostic = diagnostic();
        if !self.kept.contains(&diagnostic) {
            self.kept.push(diagnostic);
        }
    }
}

/// A sentence as one line of a terminal or a log: the text it quotes may hold any character, and may be as long as a file.
fn line(sentence: &str) -> String {
    let shown = |c: char| if c.is_control() { ' ' } else { c };
    let mut line: String = sentence.chars().take(LONGEST).map(shown).collect();
    if sentence.chars().nth(LONGEST).is_some() {
        line.push('…');
    }
    line
}
