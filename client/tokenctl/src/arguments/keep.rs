//! The command line of the updater of `exec --file`, which no person types.
//!
//! Owns the words between the processes of one tokenctl. None of them is secret: every user of the machine can read them. Clap does not
//! know this command: to build its grammar would take a part of the time that the command waits for its files.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use tokend_client::AccountName;

/// The files that are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Keep {
    pub(crate) directory: PathBuf,
    pub(crate) accounts: Vec<AccountName>,
    pub(crate) min_validity: Option<Duration>,
}

/// The name of the command.
const KEEP: &str = "keep-files";
const SOCKET: &str = "--socket";
const MIN_VALIDITY: &str = "--min-validity-ms=";

impl Keep {
    /// The words of this, without the socket.
    pub(crate) fn words(&self) -> Vec<OsString> {
        let mut words = vec![KEEP.into()];
        if let Some(shortest) = self.min_validity {
            words.push(format!("{MIN_VALIDITY}{}", shortest.as_millis()).into());
        }
        words.push(self.directory.clone().into());
        words.extend(self.accounts.iter().map(|account| account.as_str().into()));
        words
    }

    /// The socket, and what is kept, if these words, with the name of the program, say it.
    pub(super) fn read(words: &[OsString]) -> Option<(PathBuf, Self)> {
        let (socket, words) = between_processes(words, KEEP)?;
        let first = words.first().and_then(|word| word.to_str());
        let shortest = first.and_then(|word| word.strip_prefix(MIN_VALIDITY));
        let (min_validity, words) = match shortest {
            Some(ms) => {
                let shortest = Duration::from_millis(ms.parse().ok()?);
                (Some(shortest), words.split_first()?.1)
            }
            None => (None, words),
        };
        let (directory, words) = words.split_first()?;
        let accounts = words.iter().map(|word| word.to_str()?.parse().ok());
        let keep = Self {
            directory: directory.into(),
            accounts: accounts.collect::<Option<_>>()?,
            min_validity,
        };
        (!keep.accounts.is_empty()).then(|| (socket.into(), keep))
    }
}

/// The socket and the words behind this command's name, if a process of tokenctl started this one for it.
pub(super) fn between_processes<'w>(
    words: &'w [OsString],
    command: &str,
) -> Option<(&'w OsString, &'w [OsString])> {
    match words {
        [_, option, socket, name, words @ ..] if option == SOCKET && name == command => {
            Some((socket, words))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_say_what_they_were_made_of_and_nothing_else_is_taken_for_them() {
        for min_validity in [None, Some(Duration::from_millis(90_500))] {
            let keep = Keep {
                directory: "/run/user/0/tokenctl-exec-0-1".into(),
                accounts: vec!["ads".parse().unwrap(), "keep-files".parse().unwrap()],
                min_validity,
            };
            let before = ["tokenctl", "--socket", "keep-files"].map(OsString::from);
            let words = [before.to_vec(), keep.words()].concat();
            assert_eq!(Keep::read(&words), Some(("keep-files".into(), keep)));
            for fewer in 0..words.len() - 1 {
                let (fewer, _) = words.split_at(fewer);
                assert_eq!(Keep::read(fewer), None, "{fewer:?}");
            }
        }
        let others: [&[&str]; 4] = [
            &["keep-files", "/dir", "ads"],
            &["--socket", "/s", "keep-files", "/dir", "no account"],
            &[
                "--socket",
                "/s",
                "keep-files",
                "--min-validity-ms=x",
                "/dir",
                "ads",
            ],
            &["--socket", "/s", "get", "/dir", "ads"],
        ];
        for words in others {
            let words: Vec<OsString> = ["tokenctl"].iter().chain(words).map(Into::into).collect();
            assert_eq!(Keep::read(&words), None, "{words:?}");
        }
    }
}
