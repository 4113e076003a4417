//! The output of commands beside their own findings: help, mistakes of the command line, and why a command failed.

use std::fmt;
use std::io::{self, Write};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use tokend_config::ConfigError;
use tokend_document::{Medium, report};

use crate::arguments::Exit;

/// Where a command prints.
#[expect(missing_debug_implementations, reason = "a writer has no text")]
pub struct Output<'o> {
    /// What was asked for.
    pub out: &'o mut dyn Write,
    /// Everything else.
    pub err: &'o mut dyn Write,
    /// What `err` is, for reports.
    pub medium: Medium,
}

/// Why a command failed.
pub(crate) enum Failure {
    /// Nobody reads what is printed.
    Print,
    /// What goes to standard error, and how the process ends.
    Ends(Exit, String),
}

impl Failure {
    /// With one line on standard error.
    pub(crate) fn line(exit: Exit, line: impl fmt::Display) -> Self {
        Self::Ends(exit, format!("{line}\n"))
    }

    /// A configuration that cannot be used, because of a mistake or temporarily.
    pub(crate) fn config(error: &ConfigError, medium: Medium) -> Self {
        let exit = match error.is_shortage() {
            true => Exit::NotNow,
            false => Exit::Config,
        };
        Self::Ends(exit, report(error.diagnostics(), medium))
    }
}

impl From<io::Error> for Failure {
    fn from(_: io::Error) -> Self {
        Self::Print
    }
}

/// The exit code of a command, after it printed why it failed.
pub(crate) fn finish(done: Result<Exit, Failure>, err: &mut dyn Write) -> Exit {
    match done {
        Ok(exit) => exit,
        Err(Failure::Print) => Exit::Io,
        Err(Failure::Ends(exit, text)) => {
            let printed = err.write_all(text.as_bytes());
            printed.map_or(Exit::Io, |()| exit)
        }
    }
}

/// Prints clap's messages: help and version to `out`, mistakes to `err`.
pub fn usage(error: &clap::Error, output: &mut Output<'_>) -> Exit {
    let mut text = error.render().to_string();
    if let Some(tip) = tip(error) {
        text.push_str(&format!("\n  tip: {tip}\n"));
    }
    if error.use_stderr() {
        return finish(Err(Failure::Ends(Exit::Usage, text)), output.err);
    }
    let printed = output.out.write_all(text.as_bytes());
    printed.map_or(Exit::Io, |()| Exit::Success)
}

/// The probable meaning of an unknown word, for frequent mistakes.
fn tip(error: &clap::Error) -> Option<&'static str> {
    let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidArg) else {
        let is_unknown = error.kind() == ErrorKind::InvalidSubcommand;
        return is_unknown.then_some(
            "`tokend` alone runs the daemon; `tokend --help` shows the commands, and `tokenctl` asks a daemon that runs",
        );
    };
    let is_configuration = error.kind() == ErrorKind::UnknownArgument && word.ends_with(".toml");
    is_configuration.then_some("a configuration is named with `--config FILE`")
}

/// Reports why the daemon does not start: its configuration cannot be used.
pub fn refuse(error: &ConfigError, medium: Medium, err: &mut dyn Write) -> Exit {
    finish(Err(Failure::config(error, medium)), err)
}

#[cfg(test)]
pub(crate) mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::arguments::Cli;

    /// How a command ends, and what it prints.
    pub(crate) fn captured(run: impl FnOnce(&mut Output<'_>) -> Exit) -> (Exit, String, String) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let exit = run(&mut Output {
            out: &mut out,
            err: &mut err,
            medium: Medium::Plain,
        });
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        (exit, text(out), text(err))
    }

    fn shown(line: &[&str]) -> (Exit, String, String) {
        let error = Cli::try_parse_from(line).expect_err("clap has something to say");
        captured(|output| usage(&error, output))
    }

    #[test]
    fn help_goes_to_standard_output_and_mistakes_to_standard_error() {
        let (exit, out, err) = shown(&["tokend", "--help"]);
        assert_eq!((exit, err.as_str()), (Exit::Success, ""));
        assert!(
            out.contains("Examples:") && out.contains("Exit codes:"),
            "{out}"
        );
        let (exit, out, err) = shown(&["tokend", "--sokcet", "x"]);
        assert_eq!((exit, out.as_str()), (Exit::Usage, ""));
        assert!(err.contains("'--socket'"), "{err}");
    }

    #[test]
    fn words_that_are_not_there_lead_to_those_that_are() {
        let (exit, _, err) = shown(&["tokend", "start"]);
        assert_eq!(exit, Exit::Usage);
        assert!(err.contains("`tokend` alone runs the daemon"), "{err}");
        for line in [
            &["tokend", "check", "./a.toml"][..],
            &["tokend", "run", "a.toml"],
        ] {
            let (_, _, err) = shown(line);
            assert!(err.contains("named with `--config FILE`"), "{err}");
        }
        assert!(!shown(&["tokend", "check", "a"]).2.contains("--config"));
    }

    #[test]
    fn nobody_reading_is_an_exit_code_and_no_panic() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        for line in [["tokend", "--help"], ["tokend", "--halp"]] {
            let error = Cli::try_parse_from(line).expect_err("help, or a mistake");
            let mut closed = Output {
                out: &mut Closed,
                err: &mut Closed,
                medium: Medium::Plain,
            };
            assert_eq!(usage(&error, &mut closed), Exit::Io);
        }
    }
}
