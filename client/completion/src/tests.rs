//! What is offered where, by a grammar that has one of everything.

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, Command};

use super::*;

fn grammar() -> Command {
    let socket = Arg::new("socket")
        .long("socket")
        .short('s')
        .value_hint(ValueHint::FilePath)
        .global(true)
        .help("The socket\nand more");
    Command::new("it").arg(socket).subcommands([
        Command::new("get").about("Print a token").defer(with_get),
        Command::new("list").arg(Arg::new("dir").long("dir").value_hint(ValueHint::DirPath)),
        Command::new("inner").subcommand(Command::new("deep")),
        Command::new("secret").hide(true),
    ])
}

fn with_get(command: Command) -> Command {
    let format = Arg::new("format")
        .long("format")
        .value_parser(PossibleValuesParser::new(["json", "plain"]));
    let header = Arg::new("header").long("header").action(ArgAction::Append);
    let print = Arg::new("print")
        .long("print")
        .short('p')
        .action(ArgAction::SetTrue);
    command.args([Arg::new("account"), format, header, print])
}

/// The answers' lines, where accounts are known by the socket that was named.
fn answers(line: &str) -> String {
    let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
    let found = complete(grammar(), &words, |id, typed| {
        let names = match typed.value("socket") {
            Some("/other") => vec!["elsewhere"],
            _ => vec!["ads", "alpha", "beta"],
        };
        let named = names
            .into_iter()
            .map(|name| (name.to_owned(), "a\tdialect".to_owned()));
        (id == "account").then(|| Answers::words(named.collect()))
    });
    found.lines()
}

#[test]
fn commands_are_offered_but_hidden_ones() {
    assert_eq!(
        answers(""),
        "get\tPrint a token\nlist\t\ninner\t\nhelp\tPrint this message or the help of the given subcommand(s)\n"
    );
    assert_eq!(answers("g"), "get\tPrint a token\n");
    assert_eq!(answers("inner d"), "deep\t\n");
    assert_eq!(answers("nonsense "), "");
}

#[test]
fn accounts_are_asked_for_where_they_stand() {
    assert_eq!(
        answers("get "),
        "ads\ta dialect\nalpha\ta dialect\nbeta\ta dialect\n"
    );
    for line in [
        "get al",
        "get -p al",
        "get --format json al",
        "get --format=json al",
        "-s /x get al",
        "-s/x get al",
        "get -- al",
    ] {
        assert_eq!(answers(line), "alpha\ta dialect\n", "{line}");
    }
    assert_eq!(answers("get ads "), "", "one is enough");
    assert_eq!(answers("get --socket /other "), "elsewhere\ta dialect\n");
    assert_eq!(answers("--socket=/other get "), "elsewhere\ta dialect\n");
    assert_eq!(answers("list "), "");
}

#[test]
fn options_are_offered_until_they_are_given() {
    assert_eq!(
        answers("get --"),
        "--socket\tThe socket\n--format\t\n--header\t\n--print\t\n--help\tPrint help\n"
    );
    assert_eq!(
        answers("get --header a -p --format json --"),
        "--socket\tThe socket\n--header\t\n--help\tPrint help\n"
    );
    assert_eq!(answers("get --f"), "--format\t\n");
    assert_eq!(answers("get -- --f"), "");
}

#[test]
fn values_are_choices_or_paths() {
    assert_eq!(answers("get --format "), "json\t\nplain\t\n");
    assert_eq!(answers("get --format=p"), "--format=plain\t\n");
    assert_eq!(answers("--socket "), ":files\n");
    assert_eq!(answers("list --dir="), ":directories\n");
    assert_eq!(answers("get --header "), "");
}

#[test]
fn nothing_is_answered_to_nothing() {
    assert_eq!(complete(grammar(), &[], |_, _| None), Answers::default());
}
