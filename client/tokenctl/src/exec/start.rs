//! Starting a process beside the command, in the process that becomes the command: the updater of files, and the server of an endpoint.
//!
//! Owns how it comes to be apart from the command: the process that is started leaves a copy of itself and ends, so that is no child of the
//! command, which may wait for all of its children. An updater is started before the tokens are asked for, so that it gets ready
//! meanwhile, and it is there before the command is and before any file has a token, so that no token is ever without somebody who removes
//! it. Must never put a token among arguments.

use std::ffi::OsString;
use std::io::{self, ErrorKind, Read as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{PidfdFlags, child_subreaper, getpid, pidfd_open, set_child_subreaper};
use tokend_client::AccountName;

use super::handover;
use super::obtained::Obtained;
use super::runtime::{Runtime, TokenDirectory};
use crate::arguments::{Exec, Keep};
use crate::failure::{Exit, Failure};

/// This program, even if another release was installed meanwhile.
const SELF: &str = "/proc/self/exe";

/// What an updater says when the files are there.
pub(super) const READY: u8 = b'r';

/// An updater that has no token yet. If it never gets one, it ends without a word.
pub(crate) struct Updater {
    accounts: Vec<AccountName>,
    /// Until the files are there.
    directory: Option<TokenDirectory>,
    beside: Beside,
}

impl Updater {
    /// Starts it.
    pub(crate) fn start(runtime: &Runtime, socket: &Path, options: &Exec) -> Result<Self, Failure> {
        demand_init("--file", "; or use --fd")?;
        let mut accounts = Vec::new();
        for (account, _) in &options.tokens {
            // An account may have two variables, and has one file.
            if !accounts.contains(account) {
                accounts.push(account.clone());
            }
        }
        let directory = runtime.make()?;
        let keep = Keep {
            directory: directory.path().to_owned(),
            accounts,
            min_validity: options.min_validity,
        };
        match Beside::start(socket, keep.words()) {
            Ok(beside) => Ok(Self {
                accounts: keep.accounts,
                directory: Some(directory),
                beside,
            }),
            Err(error) => {
                directory.remove();
                Err(not_begun(Exit::TryLater, &error.to_string()))
            }
        }
    }

    /// Gives it the first tokens, and returns once the files are there and nothing that is sent to the command can end it.
    pub(super) fn give(
        mut self,
        options: &Exec,
        tokens: &[Obtained],
    ) -> Result<TokenDirectory, Failure> {
        let first = |account: &AccountName| {
            let mut all = options.tokens.iter().zip(tokens);
            let found = all.find(|((of, _), _)| of == account);
            found.map(|(_, obtained)| (obtained.secret(), obtained.ends))
        };
        let tokens: Vec<_> = self.accounts.iter().filter_map(first).collect();
        let said = self.beside.talk(|mut conversation| {
            let mut answer = [0];
            handover::send(&tokens, conversation)?;
            Ok(conversation.read(&mut answer)? == 1 && answer == [READY])
        });
        match (said, self.directory.take()) {
            (Ok(Some(true)), Some(directory)) => Ok(directory),
            (said, directory) => {
                self.directory = directory;
                Err(match said {
                    Ok(_) => not_begun(Exit::Io, "it ended"),
                    Err(error) => not_begun(Exit::TryLater, &error.to_string()),
                })
            }
        }
    }
}

impl Drop for Updater {
    fn drop(&mut self) {
        if let Some(directory) = self.directory.take() {
            directory.remove();
        }
    }
}

/// Refuses an option that needs a process beside the command where that would be its child after all: the kernel would end it together
/// with the command, before it removes anything.
pub(super) fn demand_init(option: &str, otherwise: &str) -> Result<(), Failure> {
    match getpid().is_init() {
        false => Ok(()),
        true => Err(Failure::new(
            Exit::Config,
            format!("{option} cannot be used by the first process of a container or of the system"),
            format!("start it below an init, as `docker run --init` does{otherwise}"),
        )),
    }
}

fn not_begun(exit: Exit, why: &str) -> Failure {
    Failure::new(
        exit,
        format!("the process that keeps the files fresh did not begin: {why}"),
        "see the line above if there is one; /proc must be mounted; or use --fd",
    )
}

/// A process of tokenctl that comes to be beside this one.
pub(super) struct Beside {
    conversation: UnixStream,
    /// What was started, which ends by itself as soon as its copy is there.
    between: Option<Child>,
}

impl Beside {
    /// Starts it, with a conversation as its standard input and this process as its standard output.
    pub(super) fn start(socket: &Path, words: Vec<OsString>) -> io::Result<Self> {
        let (conversation, theirs) = UnixStream::pair()?;
        // Taken of this process while it lives, so that the other cannot take another of the same number for it.
        let this = pidfd_open(getpid(), PidfdFlags::empty())?;
        let mut starter = Command::new(SELF);
        starter
            .arg0("tokenctl")
            .arg("--socket")
            .arg(std::path::absolute(socket)?)
            .args(words)
            .env_clear()
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::from(this));
        // The copy must not come to this process when its parent has ended.
        let adopts = child_subreaper().unwrap_or_default();
        if adopts.is_some() {
            set_child_subreaper(None)?;
        }
        let mut beside = Self {
            conversation,
            between: Some(starter.spawn()?),
        };
        if adopts.is_some() {
            beside.wait();
            set_child_subreaper(adopts)?;
        }
        Ok(beside)
    }

    /// Talks to it; `None` if it ended meanwhile.
    pub(super) fn talk<T>(
        &mut self,
        talk: impl FnOnce(&UnixStream) -> io::Result<T>,
    ) -> io::Result<Option<T>> {
        let talked = talk(&self.conversation);
        self.wait();
        match talked {
            Ok(said) => Ok(Some(said)),
            // It has ended.
            Err(error)
                if [ErrorKind::BrokenPipe, ErrorKind::ConnectionReset].contains(&error.kind()) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// The command must not find a child that it did not start.
    fn wait(&mut self) {
        if let Some(mut between) = self.between.take() {
            // If this process ignores the end of its children, there is nothing to wait for.
            drop(between.wait());
        }
    }
}
