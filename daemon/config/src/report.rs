//! How mistakes are shown to people: sentence, place, the line itself with a mark, advice.

use std::fmt;

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, SourceCode};
use tokend_dialect::DialectError;

use crate::{ConfigError, Report};

/// Where a report goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Medium {
    /// Lines and colours.
    Terminal,
    /// Plain ASCII but for what is quoted.
    Plain,
}

impl Medium {
    /// For text that goes to `stream`.
    pub fn of(stream: &impl std::io::IsTerminal) -> Self {
        let colours = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        if colours && stream.is_terminal() {
            Self::Terminal
        } else {
            Self::Plain
        }
    }
}

/// Every mistake of a configuration.
pub fn config(error: &ConfigError, medium: Medium) -> String {
    let mut text: String = error
        .dialects()
        .iter()
        .map(|error| dialect(error, medium))
        .collect();
    text.extend(
        error
            .mistakes()
            .iter()
            .map(|mistake| one(&Report(mistake), medium)),
    );
    if error.more() > 0 {
        text.push_str(&format!("  and {} more mistakes\n", error.more()));
    }
    text
}

/// Every mistake of a dialect.
pub fn dialect(error: &DialectError, medium: Medium) -> String {
    error
        .mistakes()
        .iter()
        .map(|mistake| one(&Sentence(mistake), medium))
        .collect()
}

/// A dialect's mistake without its place in the sentence, as the report shows the place in a line of its own.
#[derive(Debug)]
struct Sentence<'a>(&'a tokend_dialect::Mistake);

impl fmt::Display for Sentence<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.message())
    }
}

impl std::error::Error for Sentence<'_> {}

impl Diagnostic for Sentence<'_> {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Diagnostic::help(self.0)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.0.source_code()
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        self.0.labels()
    }
}

fn one(diagnostic: &dyn Diagnostic, medium: Medium) -> String {
    let theme = match medium {
        Medium::Terminal => GraphicalTheme::unicode(),
        Medium::Plain => GraphicalTheme::none(),
    };
    let mut text = String::new();
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_width(120)
        .with_links(false);
    match handler.render_report(&mut text, diagnostic) {
        Ok(()) => text.push('\n'),
        // Without its line, the sentence and the advice are still worth having.
        Err(_) => text = format!("{diagnostic}\n"),
    }
    text
}
/// `1 account`, `2 accounts`.
#[must_use]
pub fn counted(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    }
}
