//! The grammar: what is understood, what is refused, and that help tells the exit codes.

use clap::CommandFactory as _;
use clap::error::ErrorKind;

use super::*;

fn parse(line: &str) -> Result<Command, clap::Error> {
    Cli::try_parse_from(line.split_whitespace()).map(Cli::into_command)
}

fn run(line: &str) -> RunArgs {
    match parse(line) {
        Ok(Command::Run(args)) => args,
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn the_grammar_has_no_contradictions() {
    Cli::command().debug_assert();
}

#[test]
fn without_a_command_the_daemon_runs() {
    for line in ["tokend", "tokend run"] {
        assert_eq!(run(line).config, None);
    }
    for line in [
        "tokend --config a --socket b",
        "tokend run --config a --socket b",
    ] {
        let args = run(line);
        assert_eq!(args.config, Some("a".into()));
        assert_eq!(
            args.overrides(),
            Overrides {
                socket: Some("b".into()),
                ..Overrides::default()
            }
        );
    }
    let args = run("tokend --log-format json --log-level debug");
    assert_eq!(args.log_format, Some(Format::Json));
    assert_eq!(
        args.log_level.map(|level| level.to_string()),
        Some("debug".to_owned())
    );
}

#[test]
fn nonsense_is_refused() {
    for line in [
        "tokend frobnicate",
        "tokend --log-level inof",
        "tokend --log-format xml",
        "tokend dialect",
        "tokend dialect try x --status 99",
        "tokend dialect try x --body b",
        "tokend dialect try x --status 200 --header nonsense",
        "tokend --config a check",
    ] {
        let error = parse(line).expect_err(line);
        assert_ne!(error.kind(), ErrorKind::DisplayHelp, "{line}");
        assert_ne!(error.kind(), ErrorKind::DisplayVersion, "{line}");
    }
}

#[test]
fn a_reply_to_try_is_read_from_the_command_line() {
    let line = [
        "tokend",
        "dialect",
        "try",
        "x",
        "--status",
        "429",
        "--header",
        "Retry-After: 30",
        "--option",
        "a=b=c",
    ];
    let Ok(Command::Dialect(DialectCommand::Try(args))) =
        Cli::try_parse_from(line).map(Cli::into_command)
    else {
        panic!("it is a valid line");
    };
    assert_eq!(args.status, Some(429));
    assert_eq!(args.headers, [("Retry-After".to_owned(), "30".to_owned())]);
    assert_eq!(args.options, [("a".to_owned(), "b=c".to_owned())]);
}

#[test]
fn help_names_every_exit_code() {
    let help = Cli::command().render_long_help().to_string();
    for exit in [
        Exit::Success,
        Exit::Usage,
        Exit::NoInput,
        Exit::Io,
        Exit::NotNow,
        Exit::Config,
    ] {
        assert!(help.contains(&format!("\n  {:<2}  ", exit as u8)), "{help}");
    }
}

/// What is advised is what the command line takes.
#[test]
fn the_command_that_is_named_can_be_typed() {
    for at in ["127.0.0.1:3128", "[::1]:3128", "/run/tokend/egress.sock"] {
        let expected =
            tokend_upstream::where_to_look(tokend_egress::Egress::parse(at).unwrap(), false);
        let command = expected.split('`').nth(1).unwrap();
        let cli = Cli::try_parse_from(command.split(' '));
        let Command::Egress(args) = cli.unwrap().into_command() else {
            panic!("{command}");
        };
        assert_eq!(args.any_local_user, !at.starts_with('/'), "{command}");
    }
}
