//! How mistakes are shown to people: sentence, place, the line itself with a mark, advice.

use std::fmt;

use miette::{
    GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError, MietteSpanContents,
    SourceCode, SourceSpan, SpanContents,
};

use crate::diagnostic::{Diagnostic, Diagnostics};

/// The destination of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Medium {
    /// Lines and colours.
    Terminal,
    /// Plain ASCII except for quoted text.
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

/// A report of all mistakes.
pub fn report(diagnostics: &Diagnostics, medium: Medium) -> String {
    let each = diagnostics.kept().iter();
    let mut text: String = each.map(|one| shown(&Report(one), medium)).collect();
    if diagnostics.more() > 0 {
        text.push_str(&format!("  and {} more mistakes\n", diagnostics.more()));
    }
    text
}

fn shown(report: &Report<'_>, medium: Medium) -> String {
    let theme = match medium {
        Medium::Terminal => GraphicalTheme::unicode(),
        Medium::Plain => GraphicalTheme::none(),
    };
    let mut text = String::new();
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_width(120)
        .with_links(false);
    match handler.render_report(&mut text, report) {
        Ok(()) => text.push('\n'),
        // Without the quoted line, the sentence and the advice are still useful.
        Err(_) => text = format!("{}\n", report.0),
    }
    text
}

/// The sentence alone, since the report shows place and advice in lines of their own.
#[derive(Debug)]
struct Report<'a>(&'a Diagnostic);

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.excerpt() {
            Some(_) => f.write_str(self.0.message()),
            None => write!(f, "{}: {}", self.0.file(), self.0.message()),
        }
    }
}

impl std::error::Error for Report<'_> {}

impl miette::Diagnostic for Report<'_> {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        let help = self.0.help()?;
        Some(Box::new(help))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.0.excerpt().is_some().then_some(self)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let marked = self.0.excerpt()?.marked.clone();
        let label = LabeledSpan::new_with_span(None, marked);
        Some(Box::new(std::iter::once(label)))
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
        let excerpt = self.0.excerpt().ok_or(MietteError::OutOfBounds)?;
        if span.offset() + span.len() > excerpt.text.len() {
            return Err(MietteError::OutOfBounds);
        }
        Ok(Box::new(MietteSpanContents::new_named(
            self.0.file().to_owned(),
            excerpt.text.as_bytes(),
            SourceSpan::from(0..excerpt.text.len()),
            excerpt.line - 1,
            excerpt.column - 1,
            1,
        )))
    }
}

/// `1 account`, `2 accounts`.
#[must_use]
pub fn counted(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    }
}
