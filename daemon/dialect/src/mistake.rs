//! Mistakes in a dialect file: what is wrong, where, what was expected, and the nearest valid word.
//!
//! Owns collecting several mistakes, their plain rendering and their `miette` form. It must never abort at the first
//! mistake and never print anything itself.

use std::{collections::HashSet, fmt, ops::Range, sync::Arc};

use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode};

/// How many mistakes are kept; the rest is counted as one line.
const MISTAKES_LIMIT: usize = 20;

/// A dialect that cannot be used, with everything found wrong in it.
#[derive(Debug, thiserror::Error)]
#[error("dialect `{name}` has {}", count(mistakes.len()))]
pub struct DialectError {
    name: String,
    mistakes: Vec<Mistake>,
}

fn count(number: usize) -> String {
    if number == 1 {
        "a mistake".to_owned()
    } else {
        format!("{number} mistakes")
    }
}

impl DialectError {
    pub(crate) fn new(name: &str, mistakes: Mistakes) -> Self {
        Self {
            name: name.to_owned(),
            mistakes: mistakes.list,
        }
    }

    /// Name of the dialect, which is the file's name without `.toml`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The mistakes in the order of the file, at least one and at most twenty.
    #[must_use]
    pub fn mistakes(&self) -> &[Mistake] {
        &self.mistakes
    }

    /// All mistakes as plain text for a terminal: place, sentence, the line itself with a mark, and help.
    #[must_use]
    pub fn render(&self) -> String {
        let parts: Vec<String> = self.mistakes.iter().map(Mistake::render).collect();
        parts.join("\n")
    }
}

impl Diagnostic for DialectError {
    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        Some(Box::new(
            self.mistakes
                .iter()
                .map(|mistake| mistake as &dyn Diagnostic),
        ))
    }
}

/// One mistake in a dialect file.
#[derive(Clone, Debug)]
pub struct Mistake {
    source: Arc<NamedSource<String>>,
    range: Range<usize>,
    message: String,
    help: Option<String>,
}

impl Mistake {
    pub(crate) fn new(
        source: Arc<NamedSource<String>>,
        range: Range<usize>,
        message: String,
        help: Option<String>,
    ) -> Self {
        Self {
            source,
            range,
            message: line(&message),
            help: help.as_deref().map(line),
        }
    }

    /// The file the mistake is in: with `extends` it may be another than the one that was checked.
    #[must_use]
    pub fn file(&self) -> &str {
        self.source.name()
    }

    /// Line of the mistake, from 1.
    #[must_use]
    pub fn line(&self) -> usize {
        self.before().matches('\n').count() + 1
    }

    /// Column of the mistake in characters, from 1.
    #[must_use]
    pub fn column(&self) -> usize {
        self.before()
            .rsplit('\n')
            .next()
            .unwrap_or_default()
            .chars()
            .count()
            + 1
    }

    /// What is wrong, as a fragment of a sentence.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What was expected, and the nearest valid word.
    #[must_use]
    pub fn help(&self) -> Option<&str> {
        self.help.as_deref()
    }

    fn before(&self) -> &str {
        self.source
            .inner()
            .get(..self.range.start)
            .unwrap_or_default()
    }

    fn render(&self) -> String {
        let number = self.line().to_string();
        let margin = " ".repeat(number.len());
        let text = self
            .source
            .inner()
            .lines()
            .nth(self.line() - 1)
            .unwrap_or_default();
        let shown: String = text
            .chars()
            .take(200)
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        let marked = self
            .source
            .inner()
            .get(self.range.clone())
            .unwrap_or_default();
        let marked = marked
            .lines()
            .next()
            .unwrap_or_default()
            .chars()
            .count()
            .clamp(1, 200);
        let mut out = format!("{self}\n{margin} |\n{number} | {shown}\n");
        out += &format!(
            "{margin} | {}{}\n",
            " ".repeat((self.column() - 1).min(200)),
            "^".repeat(marked)
        );
        if let Some(help) = &self.help {
            out += &format!("{margin} = help: {help}\n");
        }
        out
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}:{}: {}",
            self.file(),
            self.line(),
            self.column(),
            self.message
        )
    }
}

impl std::error::Error for Mistake {}

impl Diagnostic for Mistake {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help
            .as_ref()
            .map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&*self.source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let label = LabeledSpan::new_with_span(None, self.range.clone());
        Some(Box::new(std::iter::once(label)))
    }
}

/// A sentence as one line of a terminal or a log: what it quotes may hold anything.
fn line(sentence: &str) -> String {
    sentence.chars().map(shown).collect()
}

/// A file as terminals and logs may show it; places in it stay the same.
pub(crate) fn lines(text: &str) -> String {
    text.chars()
        .map(|c| {
            if matches!(c, '\n' | '\t') {
                c
            } else {
                shown(c)
            }
        })
        .collect()
}

/// A character, or for one that controls what shows it a blank of as many bytes.
fn shown(c: char) -> char {
    match c {
        '\u{80}'..='\u{9f}' => '\u{a0}',
        c if c.is_control() => ' ',
        c => c,
    }
}

/// The mistakes found so far.
#[derive(Debug, Default)]
pub(crate) struct Mistakes {
    list: Vec<Mistake>,
}

impl Mistakes {
    /// Keeps a mistake unless the same place was already complained about (a shared section is read twice).
    pub(crate) fn push(&mut self, mistake: Mistake) {
        let known = self.list.iter().any(|one| {
            one.range == mistake.range
                && one.message == mistake.message
                && Arc::ptr_eq(&one.source, &mistake.source)
        });
        if !known && self.list.len() < MISTAKES_LIMIT {
            self.list.push(mistake);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Sorts by place, so that a report reads like the file.
    pub(crate) fn sorted(mut self) -> Self {
        self.list
            .sort_by(|a, b| (a.file(), a.range.start).cmp(&(b.file(), b.range.start)));
        self
    }
}

/// Help that names the nearest valid word, if one is near, and all valid ones, each once.
pub(crate) fn choose_from(word: &str, valid: &[&str]) -> String {
    let mut seen = HashSet::new();
    let all = valid
        .iter()
        .filter(|word| seen.insert(**word))
        .map(|word| format!("`{word}`"))
        .collect::<Vec<_>>()
        .join(", ");
    match nearest(word, valid.iter().copied()) {
        Some(near) => format!("did you mean `{near}`? valid here: {all}"),
        None if valid.is_empty() => "nothing is valid here".to_owned(),
        None => format!("valid here: {all}"),
    }
}

/// The valid word most like `word`, when it is likely to be what was meant.
pub(crate) fn nearest<'a>(word: &str, valid: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase();
    valid
        .map(|candidate| {
            (
                strsim::jaro_winkler(&lower, &candidate.to_lowercase()),
                candidate,
            )
        })
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}
