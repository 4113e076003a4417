//! The format of log lines, and which lines are logged.
//!
//! Owns [`Format`] and [`Level`], which the command line, the environment and the configuration can all set. The daemon decides where
//! lines go.

use std::fmt;
use std::str::FromStr;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{Builder, LevelFilter};

/// The environment variable that overrides the configured level.
pub const LEVEL_VARIABLE: &str = "TOKEND_LOG";

/// The format of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// [`Format::Journal`] where standard error is the journal, [`Format::Human`] otherwise.
    #[default]
    Auto,
    /// Time, level, message, values; colours on a terminal unless `$NO_COLOR` is set.
    Human,
    /// A priority in front, as in sd-daemon(3). No time, since the journal adds its own.
    Journal,
    /// One JSON object a line.
    Json,
}

impl Format {
    /// The words for it in the configuration and on the command line.
    pub const WORDS: [(&str, Self); 4] = [
        ("auto", Self::Auto),
        ("human", Self::Human),
        ("journal", Self::Journal),
        ("json", Self::Json),
    ];
}

/// A level (`info`) or a list of directives (`info,tokend::broker::driver=debug`), as tracing-subscriber's `EnvFilter` reads them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Level(String);

/// A text that is neither a level nor a list of directives.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is not a log level; use error, warn, info, debug, trace or off, or directives such as info,tokend=debug"
)]
pub struct BadLevel {
    text: String,
}

impl FromStr for Level {
    type Err = BadLevel;

    fn from_str(text: &str) -> Result<Self, BadLevel> {
        let bad = || BadLevel {
            text: text.to_owned(),
        };
        // EnvFilter takes an unknown bare word for the name of a module, so `inof` would silence the daemon.
        let known = |word: &str| LEVELS.iter().any(|level| level.eq_ignore_ascii_case(word));
        let directives: Vec<&str> = text.split(',').map(str::trim).collect();
        if !directives
            .iter()
            .all(|word| known(word) || word.contains(['=', ':', '[']))
        {
            return Err(bad());
        }
        // EnvFilter counts from after a blank but cuts from before it: with a blank it would read another module, or panic.
        let text = directives.join(",");
        reader().parse(&text).map_err(|_| bad())?;
        Ok(Self(text))
    }
}

const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];

impl Default for Level {
    fn default() -> Self {
        Self("info".to_owned())
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Level {
    /// The level asked for by `$TOKEND_LOG`, where it is set and not empty.
    ///
    /// # Errors
    ///
    /// The variable is set to something that is not a level.
    pub fn from_environment() -> Result<Option<Self>, BadLevel> {
        match std::env::var(LEVEL_VARIABLE) {
            Ok(text) if !text.is_empty() => text.parse().map(Some),
            _ => Ok(None),
        }
    }

    /// The level as a filter of tracing-subscriber.
    pub fn filter(&self) -> EnvFilter {
        reader()
            .with_default_directive(LevelFilter::ERROR.into())
            .parse_lossy(&self.0)
    }
}

/// Compares values of fields as text. As a regular expression a short value can take minutes and gigabytes to compile.
fn reader() -> Builder {
    EnvFilter::builder().with_regex(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_of_a_field_is_no_regular_expression() {
        for value in [
            "(",
            "[a",
            "u.............................................................?u",
        ] {
            let text = format!("info,[span{{field={value}}}]=debug");
            assert_eq!(
                text.parse::<Level>().map(|level| level.to_string()),
                Ok(text.clone())
            );
            drop(text.parse::<Level>().expect("a level").filter());
        }
    }

    #[test]
    fn blanks_around_a_directive_are_no_part_of_it() {
        let level: Level = " info , tokend=debug ".parse().expect("a level");
        assert_eq!(level.to_string(), "info,tokend=debug");
        assert_eq!(level.filter().to_string(), "tokend=debug,info");
    }

    #[test]
    fn a_word_that_is_no_level_is_refused() {
        for text in [
            "inof",
            "info,tokend::broker::driver=louder",
            "[",
            "x y",
            " [d[ {=\u{20a}\u{34b}}",
        ] {
            assert!(text.parse::<Level>().is_err(), "{text}");
        }
    }
}
