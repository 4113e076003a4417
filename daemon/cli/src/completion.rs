//! The answers for the scripts in `completions` at each press of the tab key.
//!
//! Owns the names of dialects among the answers. Must never print anything but answers: a person is typing.

use std::io::Write;
use std::path::Path;

use clap::CommandFactory as _;
use tokend_completion::{Answers, Paths, complete};

use super::dialect;
use crate::arguments::{Cli, Exit};

/// Prints the possible continuations of `words`; the last word may be unfinished.
pub fn run(words: &[String], out: &mut dyn Write) -> Exit {
    let answers = complete(Cli::command(), words, |argument, typed| {
        let names = || dialect::names(typed.value("dialect_dir").map(Path::new));
        // A dialect's name or a file is possible.
        (argument == "dialect").then(|| Answers {
            words: names(),
            paths: Some(Paths::Files),
        })
    });
    let printed = out.write_all(answers.lines().as_bytes());
    printed.map_or(Exit::Io, |()| Exit::Success)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(line: &str) -> String {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let mut out = Vec::new();
        assert_eq!(run(&words, &mut out), Exit::Success);
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn dialects_are_named_and_files_offered() {
        let shown = answers("dialect show j");
        assert!(shown.starts_with(":files\njwt-api\t"), "{shown}");
        assert_eq!(shown.lines().count(), 2);
        assert!(answers("dialect try --kind login oa").contains("oauth2\t"));
        assert_eq!(answers("--config "), ":files\n");
        assert_eq!(answers("check --state-dir="), ":directories\n");
        assert!(answers("--log-format j").starts_with("journal\ta priority in front"));
        assert_eq!(answers("comp"), "", "what is hidden is not offered");
    }

    #[test]
    fn dialects_of_the_named_directory_are_named_too() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let line = format!("dialect show --dialect-dir {} my", dir.path().display());
        let text = "extends = \"oauth2\"\nsummary = \"mine\"\n";
        std::fs::write(dir.path().join("my-api.toml"), text).expect("write");
        assert_eq!(answers(&line), ":files\nmy-api\tmine\n");
        std::fs::write(dir.path().join("broken.toml"), "nonsense").expect("write");
        assert!(answers(&line.replace(" my", " oa")).contains("oauth2\t"));
    }
}
