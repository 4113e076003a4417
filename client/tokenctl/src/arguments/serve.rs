//! The command line of the server of `exec --as`, which no person types.
//!
//! Owns the words between the processes of one tokenctl. None of them is secret: every user of the machine can read them. Clap does not
//! know this command, as it does not know that of the updater.

use std::ffi::OsString;
use std::path::PathBuf;

use tokend_client::AccountName;

use super::endpoint::EndpointKind;
use super::keep::between_processes;

/// An endpoint beside a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Serve {
    pub(crate) kind: EndpointKind,
    pub(crate) account: AccountName,
    pub(crate) purposes: Vec<String>,
    /// The configuration of an external account, and the directory for what is made of it.
    pub(crate) credentials: Option<(PathBuf, PathBuf)>,
}

/// The name of the command.
const SERVE: &str = "serve-endpoint";
const CREDENTIALS: &str = "--credentials";

impl Serve {
    /// The words of this, without the socket.
    pub(crate) fn words(&self) -> Vec<OsString> {
        let mut words: Vec<OsString> = vec![
            SERVE.into(),
            self.kind.to_string().into(),
            self.account.as_str().into(),
        ];
        if let Some((file, directory)) = &self.credentials {
            words.extend([CREDENTIALS.into(), file.into(), directory.into()]);
        }
        words.extend(self.purposes.iter().map(|it| format!("--for={it}").into()));
        words
    }

    /// The socket, and what is served, if these words, with the name of the program, say it.
    pub(super) fn read(words: &[OsString]) -> Option<(PathBuf, Self)> {
        let (socket, words) = between_processes(words, SERVE)?;
        let [kind, account, words @ ..] = words else {
            return None;
        };
        let (credentials, words) = match words {
            [option, file, directory, words @ ..] if option == CREDENTIALS => {
                (Some((file.into(), directory.into())), words)
            }
            words => (None, words),
        };
        let purpose = |word: &OsString| Some(word.to_str()?.strip_prefix("--for=")?.to_owned());
        let serve = Self {
            kind: EndpointKind::named(kind.to_str()?)?,
            account: account.to_str()?.parse().ok()?,
            purposes: words.iter().map(purpose).collect::<Option<_>>()?,
            credentials,
        };
        Some((socket.into(), serve))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_say_what_they_were_made_of_and_nothing_else_is_taken_for_them() {
        let serve = |purposes: &[&str], credentials| Serve {
            kind: EndpointKind::ExternalAccount,
            account: "ads".parse().unwrap(),
            purposes: purposes.iter().map(|it| (*it).to_owned()).collect(),
            credentials,
        };
        let files = Some((PathBuf::from("/a b"), PathBuf::from("--for=x")));
        for made in [
            serve(&[], None),
            serve(&["a", "--for"], None),
            serve(&["a"], files),
        ] {
            let mut words: Vec<OsString> = vec!["tokenctl".into(), "--socket".into(), "/s".into()];
            words.extend(made.words());
            assert_eq!(Serve::read(&words), Some((PathBuf::from("/s"), made)));
            words.push("more".into());
            assert_eq!(Serve::read(&words), None);
        }
        assert_eq!(
            Serve::read(&["tokenctl".into(), "get".into(), "ads".into()]),
            None
        );
    }
}
