//! Completes a command line at the cursor, from the program's own grammar.
//!
//! Owns the walk through the words before the cursor and the lines a shell reads. The shells' scripts know nothing of commands and
//! options, so a new one is completed without a change to them. Must never fail: a command line that makes no sense has no completions.
//! Only the programs of this workspace use it, so its types are not `#[non_exhaustive]`.

mod walk;

use std::fmt::Write as _;

use clap::builder::{StyledStr, ValueHint};
use clap::{Arg, ArgAction, Command};

use walk::Walk;

/// The most words offered; nobody reads more, and a shell takes long over them.
const MOST: usize = 1000;

/// The completions at the cursor.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Answers {
    /// Words, each with a line about it.
    pub words: Vec<(String, String)>,
    /// Whether a file or a directory may stand there too.
    pub paths: Option<Paths>,
}

/// The kind of paths that may stand at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paths {
    /// Files, and directories on the way to them.
    Files,
    /// Directories only.
    Directories,
}

/// The text typed before the cursor.
#[derive(Debug, Clone, Copy)]
pub struct Typed<'t>(&'t [(String, String)]);

impl<'t> Typed<'t> {
    /// The value of an option, by the option's id.
    pub fn value(&self, id: &str) -> Option<&'t str> {
        self.0
            .iter()
            .rev()
            .find(|(own, _)| own == id)
            .map(|(_, value)| value.as_str())
    }
}

impl Answers {
    /// Words without paths.
    pub fn words(words: Vec<(String, String)>) -> Self {
        Self { words, paths: None }
    }

    /// The lines the scripts of the shells read: `:files` or `:directories`, then a word, a tab and what it means.
    pub fn lines(&self) -> String {
        let mut text = match self.paths {
            Some(Paths::Files) => ":files\n".to_owned(),
            Some(Paths::Directories) => ":directories\n".to_owned(),
            None => String::new(),
        };
        for (word, about) in self.words.iter().take(MOST) {
            // Writing to a string cannot fail.
            let _written = writeln!(text, "{word}\t{}", one_line(about));
        }
        text
    }
}

/// The completions at the cursor behind `words`; the last word is the text typed of the current one, and may be empty.
///
/// `values` is asked for what only a program knows, by the id of the argument: names of accounts, say. What it answers need not
/// begin with what was typed.
pub fn complete(
    mut program: Command,
    words: &[String],
    values: impl FnOnce(&str, Typed<'_>) -> Option<Answers>,
) -> Answers {
    program.build();
    let Some((current, before)) = words.split_last() else {
        return Answers::default();
    };
    let walk = Walk::through(&program, before);
    let (start, found) = if let Some(arg) = walk.pending {
        ("", of_argument(arg, &walk, values))
    } else if let Some((option, value)) = walk.option_with_value(current) {
        let start = current
            .get(..current.len() - value.len())
            .unwrap_or_default();
        (start, of_argument(option, &walk, values))
    } else if walk.takes_options() && current.starts_with('-') {
        ("", Answers::words(options(&walk)))
    } else {
        let mut found = walk
            .positional()
            .map(|arg| of_argument(arg, &walk, values))
            .unwrap_or_default();
        found.words.extend(commands(&walk));
        ("", found)
    };
    let words = found
        .words
        .into_iter()
        .map(|(word, about)| (format!("{start}{word}"), about));
    Answers {
        words: words
            .filter(|(word, _)| word.starts_with(current.as_str()))
            .collect(),
        paths: found.paths,
    }
}

fn of_argument(
    arg: &Arg,
    walk: &Walk<'_>,
    values: impl FnOnce(&str, Typed<'_>) -> Option<Answers>,
) -> Answers {
    if let Some(answers) = values(arg.get_id().as_str(), Typed(&walk.values)) {
        return answers;
    }
    let choices = arg.get_possible_values();
    let words = choices
        .iter()
        .filter(|choice| !choice.is_hide_set())
        .map(|choice| {
            (
                choice.get_name().to_owned(),
                choice
                    .get_help()
                    .map(StyledStr::to_string)
                    .unwrap_or_default(),
            )
        });
    let paths = match arg.get_value_hint() {
        ValueHint::DirPath => Some(Paths::Directories),
        ValueHint::AnyPath | ValueHint::FilePath => Some(Paths::Files),
        _ => None,
    };
    Answers {
        words: words.collect(),
        paths,
    }
}

/// The options that are not on the line yet.
fn options(walk: &Walk<'_>) -> Vec<(String, String)> {
    let free = walk.command.get_arguments().filter(|arg| {
        let again = matches!(arg.get_action(), ArgAction::Append | ArgAction::Count);
        !arg.is_hide_set() && !arg.is_positional() && (again || !walk.used.contains(arg.get_id()))
    });
    free.filter_map(|arg| {
        let long = arg.get_long().map(|word| format!("--{word}"));
        let word = long.or_else(|| arg.get_short().map(|letter| format!("-{letter}")))?;
        Some((
            word,
            arg.get_help().map(StyledStr::to_string).unwrap_or_default(),
        ))
    })
    .collect()
}

fn commands(walk: &Walk<'_>) -> Vec<(String, String)> {
    if !walk.takes_commands() {
        return Vec::new();
    }
    let visible = walk
        .command
        .get_subcommands()
        .filter(|command| !command.is_hide_set());
    visible
        .map(|command| {
            let about = command
                .get_about()
                .map(StyledStr::to_string)
                .unwrap_or_default();
            (command.get_name().to_owned(), about)
        })
        .collect()
}

/// The first line, without characters that end a field or move a cursor.
fn one_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    line.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests;
