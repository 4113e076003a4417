//! How mistakes are shown to people: sentence, place, the line itself with a mark, advice.

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme};
use tokend_dialect::DialectError;

use crate::config::{ConfigError, Report};

/// Where a report goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Medium {
    /// Lines and colours.
    Terminal,
    /// Plain ASCII but for what is quoted.
    Plain,
}

impl Medium {
    /// For text that goes to `stream`.
    pub(crate) fn of(stream: &impl std::io::IsTerminal) -> Self {
        let colours = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        if colours && stream.is_terminal() { Self::Terminal } else { Self::Plain }
    }
}

/// Every mistake of a configuration.
pub(crate) fn config(error: &ConfigError, medium: Medium) -> String {
    let mut text: String = error.dialects().iter().map(|error| dialect(error, medium)).collect();
    text.extend(error.mistakes().iter().map(|mistake| one(&Report(mistake), medium)));
    if error.more() > 0 {
        text.push_str(&format!("  and {} more mistakes\n", error.more()));
    }
    text
}

/// Every mistake of a dialect.
pub(crate) fn dialect(error: &DialectError, medium: Medium) -> String {
    error.mistakes().iter().map(|mistake| one(mistake, medium)).collect()
}

fn one(diagnostic: &dyn Diagnostic, medium: Medium) -> String {
    let theme = match medium {
        Medium::Terminal => GraphicalTheme::unicode(),
        Medium::Plain => GraphicalTheme::none(),
    };
    let mut text = String::new();
    let handler = GraphicalReportHandler::new_themed(theme).with_width(120).with_links(false).with_context_lines(0);
    match handler.render_report(&mut text, diagnostic) {
        Ok(()) => text.push('\n'),
        // Without its line, the sentence and the advice are still worth having.
        Err(_) => text = format!("{diagnostic}\n"),
    }
    text
}
