//! Why a secret could not be fetched, with advice. Carries places, never contents.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokend_config::is_shortage;
use tokend_notation::NotASecret;

use super::limits::{MAX_SECRET, MOST_LINKS};

/// Why a secret could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The daemon was not started with credentials.
    #[error(
        "credential {name}: $CREDENTIALS_DIRECTORY is not set; add LoadCredential={name}:PATH to the systemd unit, \
         or use {{ file = \"PATH\" }} when not running under systemd"
    )]
    NoCredentialsDirectory {
        /// The name of the credential.
        name: Box<str>,
    },
    /// The file cannot be opened or read.
    #[error("file {}: {source}{}", path.display(), advice(source))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The path is a symbolic link that other users can redirect.
    #[error(
        "file {} is a symbolic link, and other users can change {}, which it goes by; name the file it leads to",
        path.display(), step.display()
    )]
    Symlink {
        /// The link.
        path: PathBuf,
        /// The directory or link on its way that other users can change.
        step: PathBuf,
    },
    /// The path is a loop or too long a chain of links.
    #[error("file {} goes by more than {MOST_LINKS} symbolic links; name the file it leads to", path.display())]
    TooManyLinks {
        /// The path.
        path: PathBuf,
    },
    /// The path leads to something that is not a file.
    #[error("file {} is not a regular file", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// The file belongs to another user, who could change it.
    #[error(
        "file {} belongs to user {found}; it must belong to user {wanted} (who runs tokend) or root: chown {wanted} {}{}",
        path.display(), path.display(), mounted(*as_mounted, path)
    )]
    WrongOwner {
        /// The file.
        path: PathBuf,
        /// Its owner.
        found: u32,
        /// The required owner.
        wanted: u32,
        /// Whether the configuration already says that it is mounted.
        as_mounted: bool,
    },
    /// Other users can read or change the file.
    #[error(
        "file {} has mode {mode:04o}, so others can reach the secret: chmod 600 {}, and change the secret if others have used this machine{}",
        path.display(), path.display(), mounted(*as_mounted, path)
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// Whether the configuration already says that it is mounted, or the file can never be mounted.
        as_mounted: bool,
    },
    /// The variable is not in the daemon's environment.
    #[error(
        "environment variable {name} is not set; set it where tokend is started, or use {{ file = \"PATH\" }}"
    )]
    NoVariable {
        /// The variable.
        name: Box<str>,
    },
    /// The program could not be started.
    #[error(
        "command {program}: {source}; name a program on $PATH or by its full path, without a shell line"
    )]
    CommandNotStarted {
        /// The program.
        program: String,
        /// The system's error.
        source: std::io::Error,
    },
    /// The program's output could not be read.
    #[error("command {program}: its output cannot be read: {source}")]
    CommandBroken {
        /// The program.
        program: String,
        /// The system's error.
        source: std::io::Error,
    },
    /// The program ended with a failure.
    #[error("command {program} failed with {how}{}", it_said(complaint))]
    CommandFailed {
        /// The program.
        program: String,
        /// Its exit status in words.
        how: String,
        /// The first line it wrote to standard error.
        complaint: Option<String>,
    },
    /// The program took too long and was killed.
    #[error(
        "command {program} took longer than {} and was killed; does it wait for somebody to type?{}",
        seconds(*after), it_said(complaint)
    )]
    CommandTimedOut {
        /// The program.
        program: String,
        /// Its time limit.
        after: Duration,
        /// The first line it wrote to standard error.
        complaint: Option<String>,
    },
    /// A command printed nothing before it ended.
    #[error("{place} printed nothing before it ended")]
    NothingPrinted {
        /// The place, in words.
        place: String,
    },
    /// The contents are not a valid secret.
    #[error("{place} {why}{}", remedy(*why))]
    NotASecret {
        /// The place, in words.
        place: String,
        /// The problem with the contents.
        why: NotASecret,
    },
    /// The contents are longer than any secret.
    #[error("{place} is longer than {MAX_SECRET} bytes; is it the right one?")]
    TooLong {
        /// The place, in words.
        place: String,
    },
    /// The daemon is stopping.
    #[error("reading was interrupted because tokend is stopping")]
    Interrupted,
}

impl SecretError {
    /// Whether the machine has a temporary shortage: of descriptors, memory or processes.
    pub fn is_shortage(&self) -> bool {
        match self {
            Self::Unreadable { source, .. }
            | Self::CommandNotStarted { source, .. }
            | Self::CommandBroken { source, .. } => is_shortage(source),
            _ => false,
        }
    }
}

fn advice(source: &std::io::Error) -> &'static str {
    if is_shortage(source) {
        return "; raise the limit (LimitNOFILE= in the unit) or find out what uses it up";
    }
    match source.kind() {
        std::io::ErrorKind::NotFound => "; create it with mode 600, or correct the path",
        std::io::ErrorKind::PermissionDenied => {
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
            "; take the others out, or add `whole = true` to the reference if all of them are the secret"
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

fn seconds(duration: Duration) -> String {
    format!("{} s", duration.as_secs_f64())
}
