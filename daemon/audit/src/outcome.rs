//! What was asked for and how it ended, in the words of records.
//!
//! Owns these words, which are a promise (`AUDIT.md`).

use tokend_engine::AttemptOutcome;
use tokend_proto::{Fault, FaultCode, RequestKind};

/// How something ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It went well.
    Ok,
    /// The fault that was answered.
    Fault(FaultCode),
    /// What came of an attempt.
    Attempt(AttemptOutcome),
    /// Nobody waited for the answer any more.
    Abandoned,
    /// Records were lost.
    Lost,
    /// The daemon ended, and not everything could be stored.
    Unsaved,
    /// The daemon ended before everything was finished.
    CutShort,
    /// The daemon ended because a part of it died.
    Died,
}

impl Outcome {
    /// Well, or with this fault.
    pub fn of(fault: Option<&Fault>) -> Self {
        fault.map_or(Self::Ok, |fault| Self::Fault(fault.code))
    }

    /// Its stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Fault(code) => code.as_str(),
            Self::Attempt(outcome) => outcome.as_str(),
            Self::Abandoned => "abandoned",
            Self::Lost => "lost",
            Self::Unsaved => "unsaved",
            Self::CutShort => "cut-short",
            Self::Died => "died",
        }
    }
}

/// What asked for something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Trigger {
    /// A request of a peer.
    Request(RequestKind),
    /// A signal.
    Signal,
    /// A name of the configuration that nobody had before.
    Names,
}

impl Trigger {
    /// Its stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Request(kind) => kind.as_str(),
            Self::Signal => "signal",
            Self::Names => "names",
        }
    }
}
