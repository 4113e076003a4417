//! How the process ends.

use std::process::ExitCode;

use tokend_egress::Ended;

/// How the process ends, after sysexits.h.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
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
