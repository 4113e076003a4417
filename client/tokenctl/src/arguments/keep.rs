//! The command line of the updater of `exec --file`, which no person types.
//!
//! Owns the words between the processes of one tokenctl. None of them is secret: every user of the machine can read them.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::PathBufValueParser;
use clap::{Arg, ArgMatches};
use tokend_client::AccountName;

use super::options::{duration, duration_arg, flag};
use crate::failure::Failure;

/// The files that are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Keep {
    /// Whether this process only starts the updater, so that it is no child of the command.
    pub(crate) starts_another: bool,
    pub(crate) directory: PathBuf,
    /// Each account, and when its first token ends, on the clock that counts since the machine was started.
    pub(crate) accounts: Vec<(AccountName, Option<Duration>)>,
    pub(crate) min_validity: Option<Duration>,
}

/// The name of the command.
pub(crate) const KEEP: &str = "keep-files";
/// The flag of the process that only starts the updater.
pub(crate) const START: &str = "--start";

impl Keep {
    /// The words of this, without the socket.
    pub(crate) fn words(&self) -> Vec<std::ffi::OsString> {
        let mut words = vec![KEEP.into()];
        if self.starts_another {
            words.push(START.into());
        }
        if let Some(shortest) = self.min_validity {
            words.push(format!("--min-validity={}ms", shortest.as_millis()).into());
        }
        words.push(self.directory.clone().into());
        words.extend(self.accounts.iter().map(|(account, ends)| match ends {
            Some(ends) => format!("{account}={}", ends.as_millis()).into(),
            None => account.as_str().into(),
        }));
        words
    }
}

pub(super) fn grammar(command: clap::Command) -> clap::Command {
    let directory = Arg::new("directory")
        .required(true)
        .value_parser(PathBufValueParser::new());
    let accounts = Arg::new("accounts").num_args(1..).required(true);
    command.args([
        flag("start", "Start the updater and end"),
        duration_arg("min-validity", "How long each token must still live"),
        directory,
        accounts,
    ])
}

pub(super) fn read(matches: &ArgMatches) -> Result<Keep, Failure> {
    let words = matches.get_many::<String>("accounts").into_iter().flatten();
    let directory = matches.get_one::<PathBuf>("directory").cloned();
    Ok(Keep {
        starts_another: matches.get_flag("start"),
        directory: directory.unwrap_or_default(),
        accounts: words
            .map(|word| read_account(word))
            .collect::<Result<_, _>>()?,
        min_validity: duration(matches, "min-validity")?,
    })
}

fn read_account(word: &str) -> Result<(AccountName, Option<Duration>), Failure> {
    let wrong = || {
        Failure::usage(
            "an account of the updater is wrong",
            "use tokenctl exec --file, which starts it",
        )
    };
    let (account, ends) = match word.split_once('=') {
        Some((account, ms)) => (
            account,
            Some(Duration::from_millis(ms.parse().map_err(|_| wrong())?)),
        ),
        None => (word, None),
    };
    Ok((account.parse().map_err(|_| wrong())?, ends))
}
