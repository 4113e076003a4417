//! Follows the words before the cursor through a grammar.
//!
//! Owns which command they lead to, the options and values on the way, and the kind of the next word. A word that makes no sense is
//! skipped, because the line may be unfinished.

use clap::{Arg, Command, Id};

/// Where the words before the cursor lead.
#[derive(Debug)]
pub(crate) struct Walk<'c> {
    /// The command they name.
    pub(crate) command: &'c Command,
    /// The option whose value comes next.
    pub(crate) pending: Option<&'c Arg>,
    /// Options on the line so far.
    pub(crate) used: Vec<Id>,
    /// Their values.
    pub(crate) values: Vec<(String, String)>,
    /// The number of the command's arguments so far that are not options.
    positionals: usize,
    /// Whether `--` said that no option follows.
    only_words: bool,
}

impl<'c> Walk<'c> {
    pub(crate) fn through(program: &'c Command, before: &[String]) -> Self {
        let mut walk = Self {
            command: program,
            pending: None,
            used: Vec::new(),
            values: Vec::new(),
            positionals: 0,
            only_words: false,
        };
        before.iter().for_each(|word| walk.step(word));
        walk
    }

    fn step(&mut self, word: &str) {
        if let Some(arg) = self.pending.take() {
            return self.give(arg, word);
        }
        if self.only_words {
            self.positionals += 1;
        } else if word == "--" {
            self.only_words = true;
        } else if let Some(long) = word.strip_prefix("--") {
            let (name, value) = match long.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (long, None),
            };
            if let Some(arg) = self.find(|arg| arg.get_long() == Some(name)) {
                self.option(arg, value);
            }
        } else if word.len() > 1 && word.starts_with('-') {
            self.letters(word.get(1..).unwrap_or_default());
        } else if let Some(inner) = self
            .command
            .find_subcommand(word)
            .filter(|_| self.takes_commands())
        {
            self.command = inner;
            self.positionals = 0;
        } else {
            self.positionals += 1;
        }
    }

    /// Short options in one word; the first that takes a value takes the rest.
    fn letters(&mut self, letters: &str) {
        for (at, letter) in letters.char_indices() {
            let Some(arg) = self.find(|arg| arg.get_short() == Some(letter)) else {
                return;
            };
            let rest = letters.get(at + letter.len_utf8()..).unwrap_or_default();
            let takes = arg.get_action().takes_values();
            self.option(arg, (takes && !rest.is_empty()).then_some(rest));
            if takes {
                return;
            }
        }
    }

    fn option(&mut self, arg: &'c Arg, value: Option<&str>) {
        self.used.push(arg.get_id().clone());
        match value {
            Some(value) => self.give(arg, value),
            None if arg.get_action().takes_values() => self.pending = Some(arg),
            None => {}
        }
    }

    fn give(&mut self, arg: &Arg, value: &str) {
        // What a shell would have made of it before running the line.
        let value = match (value.strip_prefix("~/"), std::env::var("HOME")) {
            (Some(rest), Ok(home)) => format!("{home}/{rest}"),
            _ => value.to_owned(),
        };
        self.values.push((arg.get_id().to_string(), value));
    }

    /// The option and the value in a word such as `--format=js`.
    pub(crate) fn option_with_value<'w>(&self, word: &'w str) -> Option<(&'c Arg, &'w str)> {
        let (name, value) = word
            .strip_prefix("--")
            .filter(|_| self.takes_options())?
            .split_once('=')?;
        let arg = self.find(|arg| arg.get_long() == Some(name))?;
        arg.get_action().takes_values().then_some((arg, value))
    }

    /// The positional argument that comes next.
    pub(crate) fn positional(&self) -> Option<&'c Arg> {
        let mut all = self.command.get_positionals();
        all.nth(self.positionals)
    }

    pub(crate) fn takes_options(&self) -> bool {
        !self.only_words
    }

    pub(crate) fn takes_commands(&self) -> bool {
        !self.only_words && self.positionals == 0
    }

    fn find(&self, is: impl Fn(&Arg) -> bool) -> Option<&'c Arg> {
        self.command.get_arguments().find(|arg| is(arg))
    }
}
