//! Why a secret could not be fetched, with advice. Carries places, never contents.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use tokend_config::is_shortage;
use tokend_notation::NotASecret;

use super::limits::{MAX_SECRET, MOST_LINKS};

/// Why a secret could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The daemon was not started with credentials.
    #[error(
        "credential {0}: $CREDENTIALS_DIRECTORY is not set; add LoadCredential={0}:PATH to the systemd unit, \
         or use {{ file = \"PATH\" }} when not running under systemd"
    )]
    NoCredentialsDirectory(Box<str>),
    /// The file cannot be used.
    #[error("file {}{}", path.display(), why.words(path))]
    File {
        /// The file.
        path: PathBuf,
        /// The problem with it.
        why: FileError,
    },
    /// The variable is not in the daemon's environment.
    #[error(
        "environment variable {0} is not set; set it where tokend is started, or use {{ file = \"PATH\" }}"
    )]
    NoVariable(Box<str>),
    /// The program could not be run to its end.
    #[error("command {program}{why}")]
    Command {
        /// The program.
        program: String,
        /// The problem with it.
        why: CommandError,
    },
    /// The command at this place printed nothing before it ended.
    #[error("{0} printed nothing before it ended")]
    NothingPrinted(String),
    /// The contents of this place are not a valid secret.
    #[error("{0} {1}{rest}", rest = remedy(*.1))]
    NotASecret(String, NotASecret),
    /// The contents of this place are longer than any secret.
    #[error("{0} is longer than {MAX_SECRET} bytes; check that it is the right one")]
    TooLong(String),
    /// The daemon is stopping.
    #[error("reading was interrupted because tokend is stopping")]
    Interrupted,
}

/// Why a file cannot be used.
#[derive(Debug)]
pub enum FileError {
    /// It cannot be opened or read.
    Unreadable(io::Error),
    /// The path is a symbolic link, and other users can change this directory or link on its way.
    Symlink(PathBuf),
    /// The path is a loop or too long a chain of links.
    TooManyLinks,
    /// The path leads to something that is not a file.
    NotAFile,
    /// The file belongs to another user, who could change it.
    WrongOwner {
        /// Its owner.
        found: u32,
        /// The required owner.
        wanted: u32,
        /// Whether the configuration already says that it is mounted.
        as_mounted: bool,
    },
    /// Other users can read or change the file.
    Exposed {
        /// Its permission bits.
        mode: u32,
        /// Whether the configuration already says that it is mounted, or the file can never be mounted.
        as_mounted: bool,
    },
}

/// Why a command gave no output. The text is the first line that the program wrote to standard error.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The program could not be started.
    #[error(
        ": {0}; name a program on $PATH or give its full path; a shell command line does not work here"
    )]
    NotStarted(io::Error),
    /// The program's output could not be read.
    #[error(": its output cannot be read: {0}")]
    Broken(io::Error),
    /// The program ended with a failure.
    #[error(" failed with {0}{rest}", rest = it_said(.1))]
    Failed(ExitStatus, Option<String>),
    /// The program took longer than this and was killed.
    #[error(
        " took longer than {} s and was killed; does it wait for input?{}",
        .0.as_secs_f64(), it_said(.1)
    )]
    TimedOut(Duration, Option<String>),
}

impl SecretError {
    /// Whether the machine has a temporary shortage: of descriptors, memory or processes.
    pub fn is_shortage(&self) -> bool {
        match self {
            Self::File {
                why: FileError::Unreadable(error),
                ..
            }
            | Self::Command {
                why: CommandError::NotStarted(error) | CommandError::Broken(error),
                ..
            } => is_shortage(error),
            _ => false,
        }
    }
}

impl<E: Into<io::Error>> From<E> for FileError {
    fn from(error: E) -> Self {
        Self::Unreadable(error.into())
    }
}

impl FileError {
    /// The message behind the name of the file at `path`.
    fn words(&self, path: &Path) -> String {
        let shown = path.display();
        match self {
            Self::Unreadable(error) => format!(": {error}{}", advice(error)),
            Self::Symlink(step) => format!(
                " is a symbolic link through {}, which other users can change; name the file that it leads to",
                step.display()
            ),
            Self::TooManyLinks => {
                format!(
                    " leads through more than {MOST_LINKS} symbolic links; name the file that it leads to"
                )
            }
            Self::NotAFile => " is not a regular file".to_owned(),
            Self::WrongOwner {
                found,
                wanted,
                as_mounted,
            } => format!(
                " belongs to user {found}; it must belong to user {wanted} (who runs tokend) or root: chown {wanted} {shown}{}",
                mounted(*as_mounted, path)
            ),
            Self::Exposed { mode, as_mounted } => format!(
                " has mode {mode:04o}, so others can reach the secret: chmod 600 {shown}, and change the secret if others have used this machine{}",
                mounted(*as_mounted, path)
            ),
        }
    }
}

fn advice(source: &io::Error) -> &'static str {
    if is_shortage(source) {
        return "; raise the limit (LimitNOFILE= in the unit) or find out what uses it up";
    }
    match source.kind() {
        io::ErrorKind::NotFound => "; create it with mode 600, or correct the path",
        io::ErrorKind::PermissionDenied => {
            "; it and its directories must be readable by the user who runs tokend"
        }
        _ => "",
    }
}

/// Further advice about a file whose owner and mode cannot be changed here.
fn mounted(as_mounted: bool, path: &Path) -> String {
    match as_mounted {
        true => String::new(),
        false => format!(
            "; if a container runtime mounts it and its mode cannot be changed, write {{ file = \"{}\", mode = \"as-mounted\" }}",
            path.display()
        ),
    }
}

fn remedy(why: NotASecret) -> &'static str {
    match why {
        NotASecret::SeveralLines(_) => {
            "; remove the others, or add `whole = true` to the reference if all lines are the secret"
        }
        NotASecret::Control => {
            "; correct it, or add `whole = true` to the reference if it is meant"
        }
        _ => "",
    }
}

fn it_said(complaint: &Option<String>) -> String {
    complaint
        .as_ref()
        .map_or_else(String::new, |line| format!("; it said: {line}"))
}
