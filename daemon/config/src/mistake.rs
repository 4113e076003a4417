//! What is wrong in a configuration: where, what was expected, and what to write instead.
//!
//! Owns collecting mistakes and their `miette` form. Never stops at the first mistake, and never shows a value that could be a
//! secret: a line is quoted through `excerpt`, which masks everything but what the mistake is about.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use miette::{
    Diagnostic, LabeledSpan, MietteError, MietteSpanContents, SourceCode, SourceSpan, SpanContents,
};

use tokend_dialect::DialectError;

use super::excerpt::Excerpt;
use super::unresolved::{All, Unresolved};

/// How many mistakes are kept; of the rest only the number is told.
const MOST: usize = 50;

/// How much of a sentence is kept, in characters.
const LONGEST: usize = 2000;

/// The longest word that is compared with valid ones, in bytes: it takes time and memory by the product of the lengths.
const LONGEST_WORD: usize = 64;

/// A configuration that cannot be used, with everything found wrong in it.
#[derive(Debug)]
pub struct ConfigError {
    mistakes: Vec<Mistake>,
    dialects: Vec<DialectError>,
    more: usize,
    short: bool,
}

impl ConfigError {
    /// Whether files could not be read because the machine is short of something that passes, such as descriptors. Then nothing need be
    /// wrong with the configuration, and trying again may help.
    pub fn is_shortage(&self) -> bool {
        self.short
    }

    pub(super) fn with_shortage(self, short: bool) -> Self {
        Self { short, ..self }
    }

    /// The mistakes in the order of files and lines.
    pub fn mistakes(&self) -> &[Mistake] {
        &self.mistakes
    }

    /// Dialects of `dialect_dir` that cannot be used.
    pub fn dialects(&self) -> &[DialectError] {
        &self.dialects
    }

    /// How many mistakes there are beyond those kept.
    pub fn more(&self) -> usize {
        self.more
    }
}

/// One line, for a log: the number of mistakes and the first of them.
impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.mistakes.len() + self.dialects.len() + self.more;
        match (self.dialects.first(), self.mistakes.first()) {
            (Some(dialect), _) => match dialect.mistakes().first() {
                Some(first) => write!(f, "{dialect}: {first}")?,
                None => write!(f, "{dialect}")?,
            },
            (None, Some(first)) => write!(f, "{first}")?,
            (None, None) => {}
        }
        match count {
            0 | 1 => Ok(()),
            2 => f.write_str(" (and 1 more mistake; run tokend check)"),
            count => write!(f, " (and {} more mistakes; run tokend check)", count - 1),
        }
    }
}

impl std::error::Error for ConfigError {}

/// One mistake.
#[derive(Debug, Clone)]
pub struct Mistake {
    file: Arc<Path>,
    message: String,
    help: Option<String>,
    /// Missing where the mistake is about a whole file.
    excerpt: Option<Excerpt>,
}

impl Mistake {
    /// Line and column, both from 1, where the mistake has a place in its file.
    fn position(&self) -> Option<(usize, usize)> {
        self.excerpt
            .as_ref()
            .map(|excerpt| (excerpt.line, excerpt.column))
    }
}

/// One line: place, sentence, advice.
impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", line(&self.file.display().to_string()))?;
        if let Some((line, column)) = self.position() {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.message)?;
        self.help.iter().try_for_each(|help| write!(f, "; {help}"))
    }
}

impl std::error::Error for Mistake {}

/// The sentence alone, as the report shows place and advice in their own lines.
#[derive(Debug)]
pub struct Report<'a>(pub &'a Mistake);

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.excerpt {
            Some(_) => f.write_str(&self.0.message),
            None => write!(
                f,
                "{}: {}",
                line(&self.0.file.display().to_string()),
                self.0.message
            ),
        }
    }
}

impl std::error::Error for Report<'_> {}

impl Diagnostic for Report<'_> {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.0
            .help
            .as_ref()
            .map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.0.excerpt.is_some().then_some(self)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let marked = self.0.excerpt.as_ref()?.marked.clone();
        Some(Box::new(std::iter::once(LabeledSpan::new_with_span(
            None, marked,
        ))))
    }
}

/// The one quoted line is the whole source; its number and column are those of the file.
impl SourceCode for Report<'_> {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        _lines_before: usize,
        _lines_after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let excerpt = self.0.excerpt.as_ref().ok_or(MietteError::OutOfBounds)?;
        if span.offset() + span.len() > excerpt.text.len() {
            return Err(MietteError::OutOfBounds);
        }
        Ok(Box::new(MietteSpanContents::new_named(
            line(&self.0.file.display().to_string()),
            excerpt.text.as_bytes(),
            SourceSpan::from(0..excerpt.text.len()),
            excerpt.line - 1,
            excerpt.column - 1,
            1,
        )))
    }
}

/// A file as it was read.
#[derive(Debug)]
pub(super) struct SourceFile {
    /// Its path, as it was given or found.
    pub(super) path: Arc<Path>,
    /// Its directory, from which relative paths in it are taken.
    pub(super) base: PathBuf,
    /// Its text.
    pub(super) text: String,
}

impl SourceFile {
    /// `path:line:column` of a place.
    pub(super) fn position(&self, place: &Place) -> String {
        let excerpt = Excerpt::new(&self.text, &place.range, false);
        format!(
            "{}:{}:{}",
            self.path.display(),
            excerpt.line,
            excerpt.column
        )
    }
}

/// A place in a file, in bytes, and whether what stands there may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// The bytes the mistake is about.
    pub(super) range: Range<usize>,
    /// False where they could be a secret.
    pub(super) show: bool,
}

/// The mistakes found so far.
#[derive(Debug, Default)]
pub(super) struct Mistakes {
    found: Vec<Mistake>,
    dialects: Vec<DialectError>,
    more: usize,
    /// Names that stand for nobody yet, which are no mistakes.
    unresolved: All,
}

impl Mistakes {
    /// Names that stand for nobody yet.
    pub(super) fn unresolved(&mut self) -> &mut All {
        &mut self.unresolved
    }

    /// The names that nobody has.
    pub(super) fn take_unresolved(&mut self) -> Vec<Unresolved> {
        std::mem::take(&mut self.unresolved).into_list()
    }

    /// Notes a mistake at a place.
    pub(super) fn add(
        &mut self,
        file: &SourceFile,
        place: Place,
        message: impl Into<String>,
        help: impl Into<Option<String>>,
    ) {
        // Counting lines is the slow part, so not for those that are dropped.
        if self.is_full() {
            self.more += 1;
            return;
        }
        let excerpt = Excerpt::new(&file.text, &place.range, place.show);
        self.push(&file.path, message.into(), help.into(), Some(excerpt));
    }

    /// Notes a place that the TOML parser did not understand; of its line only what is surely no secret is shown.
    pub(super) fn add_syntax(
        &mut self,
        file: &SourceFile,
        range: Range<usize>,
        message: impl Into<String>,
    ) {
        if self.is_full() {
            self.more += 1;
            return;
        }
        let excerpt = Excerpt::of_broken(&file.text, &range);
        let help = foreign(&file.text).map(str::to_owned);
        self.push(&file.path, message.into(), help, Some(excerpt));
    }

    /// Notes a mistake about a whole file.
    pub(super) fn add_file(
        &mut self,
        path: &Path,
        message: impl Into<String>,
        help: impl Into<Option<String>>,
    ) {
        self.push(&Arc::from(path), message.into(), help.into(), None);
    }

    /// Notes a dialect that cannot be used.
    pub(super) fn add_dialect(&mut self, error: DialectError) {
        self.dialects.push(error);
    }

    /// Whether no more are kept, but only counted.
    pub(super) fn is_full(&self) -> bool {
        self.found.len() >= MOST
    }

    /// How many were found.
    pub(super) fn count(&self) -> usize {
        self.found.len() + self.dialects.len() + self.more
    }

    /// `value`, or everything that is wrong.
    pub(super) fn finish<T>(self, value: T) -> Result<T, ConfigError> {
        if self.count() == 0 {
            Ok(value)
        } else {
            Err(self.into_error())
        }
    }

    /// Everything that is wrong: files in the order in which they were read, each from top to bottom.
    pub(super) fn into_error(mut self) -> ConfigError {
        let mut files: Vec<Arc<Path>> = Vec::new();
        for mistake in &self.found {
            if !files.contains(&mistake.file) {
                files.push(Arc::clone(&mistake.file));
            }
        }
        let rank = |file: &Arc<Path>| files.iter().position(|known| known == file);
        self.found
            .sort_by_key(|mistake| (rank(&mistake.file), mistake.position()));
        ConfigError {
            short: false,
            mistakes: self.found,
            dialects: self.dialects,
            more: self.more,
        }
    }

    fn push(
        &mut self,
        file: &Arc<Path>,
        message: String,
        help: Option<String>,
        excerpt: Option<Excerpt>,
    ) {
        if self.is_full() {
            self.more += 1;
            return;
        }
        self.found.push(Mistake {
            file: Arc::clone(file),
            message: line(&message),
            help: help.as_deref().map(line),
            excerpt,
        });
    }
}

/// A sentence as one line of a terminal or a log: what it quotes may hold anything, and be as long as a file.
fn line(sentence: &str) -> String {
    let shown = |c: char| if c.is_control() { ' ' } else { c };
    let mut line: String = sentence.chars().take(LONGEST).map(shown).collect();
    if sentence.chars().nth(LONGEST).is_some() {
        line.push('…');
    }
    line
}

/// Help that names the nearest valid word, if one is near, and all valid ones.
pub(super) fn choose_from(word: &str, valid: &[&str]) -> String {
    let all = valid
        .iter()
        .map(|word| format!("`{word}`"))
        .collect::<Vec<_>>()
        .join(", ");
    match nearest(word, valid) {
        Some(near) => format!("did you mean `{near}`? valid here: {all}"),
        None if valid.is_empty() => "nothing is valid here".to_owned(),
        None => format!("valid here: {all}"),
    }
}

/// The valid word most like `word`, when it is likely to be what was meant.
pub fn nearest<'a>(word: &str, valid: &[&'a str]) -> Option<&'a str> {
    if word.len() > LONGEST_WORD {
        return None;
    }
    let word = word.to_lowercase();
    let likeness = |candidate: &str| {
        let candidate = candidate.to_lowercase();
        let likeness = strsim::jaro_winkler(&word, &candidate);
        // Two letters swapped in a short word look unlike it to the first measure.
        let near = likeness > 0.75 || strsim::damerau_levenshtein(&word, &candidate) <= 1;
        near.then_some(likeness)
    };
    valid
        .iter()
        .filter_map(|candidate| Some((likeness(candidate)?, *candidate)))
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}
/// What a file is that is not TOML, by its first line that says something.
fn foreign(text: &str) -> Option<&'static str> {
    let first = text
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty() && !line.starts_with('#'))?;
    let is_key = |key: &str| {
        !key.is_empty()
            && key
                .bytes()
                .all(|c| c.is_ascii_alphanumeric() || b"_-".contains(&c))
    };
    let is_yaml = first == "---" || first.split_once(':').is_some_and(|(key, _)| is_key(key));
    let is_json = first.starts_with('{');
    (is_yaml || is_json).then_some(
        "the configuration is TOML: lines of `key = value` below headers such as `[account.NAME]`; tokend.toml(5) has examples",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_in_another_language_is_told_so() {
        for text in [
            "account:\n  ads: {}\n",
            "# x\n\n---\na: 1",
            "{\"account\": {}}",
            "socket: /run/s",
        ] {
            assert!(
                foreign(text).is_some_and(|it| it.contains("TOML")),
                "{text}"
            );
        }
        for text in [
            "",
            "[account.ads\n",
            "socket = \"a:b\"",
            "\"a:b\" = 1",
            "# a: b",
        ] {
            assert_eq!(foreign(text), None, "{text}");
        }
    }
}
