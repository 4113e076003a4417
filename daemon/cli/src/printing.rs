//! The output of commands beside their own findings: help, mistakes of the command line, and why a configuration cannot be used.

use std::io::{self, Write};

use clap::error::{ContextKind, ContextValue, ErrorKind};

use tokend_config::ConfigError;

use crate::arguments::Exit;

/// Prints clap's messages: help and version to `out`, mistakes to `err`.
pub fn usage(error: &clap::Error, out: &mut impl Write, err: &mut impl Write) -> Exit {
    let mut text = error.render().to_string();
    if let Some(tip) = tip(error) {
        text.push_str(&format!("\n  tip: {tip}\n"));
    }
    if error.use_stderr() {
        finish(err.write_all(text.as_bytes()).map(|()| Exit::Usage))
    } else {
        finish(out.write_all(text.as_bytes()).map(|()| Exit::Success))
    }
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

/// Reports why the daemon does not start: a configuration that cannot be used, because of a mistake or temporarily.
pub fn refuse(report: &str, error: &ConfigError, err: &mut impl Write) -> Exit {
    let exit = match error.is_shortage() {
        true => Exit::NotNow,
        false => Exit::Config,
    };
    finish(err.write_all(report.as_bytes()).map(|()| exit))
}

/// The exit code of a command whose output could also fail.
pub(crate) fn finish(done: io::Result<Exit>) -> Exit {
    done.unwrap_or(Exit::Io)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::arguments::Cli;

    fn shown(line: &[&str]) -> (Exit, String, String) {
        let error = Cli::try_parse_from(line).expect_err("clap has something to say");
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let exit = usage(&error, &mut out, &mut err);
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        (exit, text(out), text(err))
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
        let error = Cli::try_parse_from(["tokend", "--help"]).expect_err("help");
        assert_eq!(usage(&error, &mut Closed, &mut Closed), Exit::Io);
    }
}
