//! Compares the page of a program with its command line.
//!
//! Owns the comparison and its sentences, which say what to write and where. It works both ways: what is missing, and what does not exist.

use std::collections::BTreeSet;

use clap::{Arg, Command};

use crate::page::{Entry, Kind, Page};

/// The section for options that every command has.
const EVERY: &str = "Options of every command";

/// What is wrong with `page`, for a program with this command line and these exit codes; empty if nothing is.
///
/// Each command without subcommands has an `.Ss` below COMMANDS with its options; options of all commands stand below "Options of every
/// command".
pub fn differences(page: &Page, mut program: Command, codes: &[&str]) -> Vec<String> {
    program.build();
    let file = page.path().display().to_string();
    let options: Vec<&Entry> = page.all(Kind::Option).collect();
    let mut wrong = Vec::new();
    let mut leaves = Vec::new();
    collect(&program, "", &mut leaves);
    for (name, command) in &leaves {
        if !page.subsections("COMMANDS").contains(name) {
            wrong.push(format!(
                "the command `{name}` is not described: add `.Ss {name}` below `.Sh COMMANDS` in {file}, with an `.It Fl -OPTION` for \
                 each of its options"
            ));
            continue;
        }
        for arg in visible(command) {
            let entry = options.iter().find(|entry| {
                [name, EVERY].contains(&entry.subsection.as_str()) && entry.names == names(arg)
            });
            wrong.extend(described(arg, entry.copied(), name, &file));
        }
    }
    for arg in visible(&program) {
        let entry = options.iter().find(|entry| entry.names == names(arg));
        wrong.extend(described(arg, entry.copied(), EVERY, &file));
    }
    for heading in page.subsections("COMMANDS") {
        if heading != EVERY && !leaves.iter().any(|(name, _)| *name == heading) {
            wrong.push(format!(
                "{file} describes a command `{heading}`, which does not exist"
            ));
        }
    }
    for entry in options {
        let there = match leaves.iter().find(|(name, _)| *name == entry.subsection) {
            Some((_, command)) => has(command, entry),
            None => has(&program, entry),
        };
        if !there {
            wrong.push(format!(
                "{file} describes {} below {:?}, which does not exist there",
                entry.names.join(", "),
                entry.subsection
            ));
        }
    }
    let described: BTreeSet<&str> = page
        .all(Kind::Code)
        .flat_map(|entry| &entry.names)
        .map(String::as_str)
        .collect();
    let codes: BTreeSet<&str> = codes.iter().copied().collect();
    for code in described.symmetric_difference(&codes) {
        wrong.push(match codes.contains(code) {
            true => format!("exit code {code} is not described: add `.It {code}` below `.Sh EXIT STATUS` in {file}"),
            false => format!("{file} describes exit code {code}, which does not exist"),
        });
    }
    wrong
}

/// The exit codes of a help text: the lines behind "Exit codes:" that begin with a number.
pub fn exit_codes(help: &str) -> Vec<&str> {
    let (_, codes) = help.split_once("Exit codes:").unwrap_or_default();
    let first = codes
        .lines()
        .filter_map(|line| line.split_whitespace().next());
    first
        .filter(|word| word.bytes().all(|byte| byte.is_ascii_digit()))
        .collect()
}

fn collect<'c>(command: &'c Command, path: &str, leaves: &mut Vec<(String, &'c Command)>) {
    // `help` is clap's own command, and every page has it as --help.
    for inner in command
        .get_subcommands()
        .filter(|inner| !inner.is_hide_set() && inner.get_name() != "help")
    {
        let name = format!("{path} {}", inner.get_name()).trim().to_owned();
        match inner.has_subcommands() {
            true => collect(inner, &name, leaves),
            false => leaves.push((name, inner)),
        }
    }
}

fn visible(command: &Command) -> impl Iterator<Item = &Arg> {
    command
        .get_arguments()
        .filter(|arg| !arg.is_hide_set() && !arg.is_positional())
}

fn names(arg: &Arg) -> Vec<String> {
    let short = arg.get_short().map(|letter| format!("-{letter}"));
    let long = arg.get_long().map(|word| format!("--{word}"));
    short.into_iter().chain(long).collect()
}

fn has(command: &Command, entry: &Entry) -> bool {
    visible(command).any(|arg| names(arg) == entry.names)
}

/// What is wrong with the page's description of an option.
fn described(arg: &Arg, entry: Option<&Entry>, command: &str, file: &str) -> Option<String> {
    let shown = names(arg).join(", ");
    let Some(entry) = entry else {
        let item = names(arg)
            .iter()
            .map(|name| format!("Fl {}", name.get(1..).unwrap_or_default()))
            .collect::<Vec<_>>();
        return Some(format!(
            "{shown} of `{command}` is not described: add `.It {}` below `.Ss {command}` in {file}",
            item.join(" , ")
        ));
    };
    // A flag's values are true and false, which nobody types.
    let values = arg.get_possible_values();
    let missing = values
        .iter()
        .filter(|_| arg.get_action().takes_values())
        .map(|value| value.get_name())
        .find(|value| !entry.text.split_whitespace().any(|word| word == *value))?;
    Some(format!(
        "{shown} of `{command}` may be {missing}, which {file} does not say: add `.Cm {missing}` to it"
    ))
}
