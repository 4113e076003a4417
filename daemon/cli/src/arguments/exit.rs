//! How the process ends.

use std::io;
use std::process::ExitCode;

use tokend_egress::Ended;
use tokend_store::{KeyError, OpenError, RotateError};

/// How the process ends, after sysexits.h.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// All is well, or the daemon has stopped as it was told.
    Success = 0,
    /// The command line makes no sense.
    Usage = 64,
    /// A file given on the command line cannot be read.
    NoInput = 66,
    /// Nobody reads what is printed.
    Io = 74,
    /// The daemon cannot run now, or could not go on; starting it again may help.
    NotNow = 75,
    /// The configuration, a dialect, the place of a secret, or the state directory has mistakes.
    Config = 78,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        (exit as u8).into()
    }
}

impl From<Ended> for Exit {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::Stopped => Self::Success,
            Ended::Usage => Self::Usage,
            Ended::Config => Self::Config,
            Ended::NotNow => Self::NotNow,
        }
    }
}

/// Whether a person has to mend something, if the store refused. Otherwise a restart may help.
pub fn is_mistake_of_store(error: &anyhow::Error) -> Option<bool> {
    if let Some(error) = error.downcast_ref::<RotateError>() {
        return Some(match error {
            RotateError::Open(error) => is_mistake_of_open(error),
            RotateError::Key(error) => is_mistake_of_key(error),
            // The next start finds that out.
            RotateError::InDoubt { .. }
            | RotateError::InDoubtElsewhere { .. }
            | RotateError::NotInPlace { .. } => false,
            _ => true,
        });
    }
    let open = error.downcast_ref().map(is_mistake_of_open);
    open.or_else(|| error.downcast_ref().map(is_mistake_of_key))
}

fn is_mistake_of_open(error: &OpenError) -> bool {
    match error {
        OpenError::InUse { .. } | OpenError::NoRandomness => false,
        OpenError::Io(failure) => is_lasting(&failure.source),
        _ => true,
    }
}

fn is_mistake_of_key(error: &KeyError) -> bool {
    match error {
        KeyError::NoRandomness => false,
        KeyError::Io(failure) => is_lasting(&failure.source),
        _ => true,
    }
}

/// Permissions and paths do not change by themselves.
pub fn is_lasting(error: &io::Error) -> bool {
    use io::ErrorKind::{IsADirectory, NotADirectory, NotFound, PermissionDenied};
    matches!(
        error.kind(),
        PermissionDenied | NotFound | NotADirectory | IsADirectory
    )
}
