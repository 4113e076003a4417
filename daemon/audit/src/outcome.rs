//! The words of records for causes and outcomes.
//!
//! Owns these words, which are a promise (`AUDIT.md`).

use tokend_engine::AttemptOutcome;
use tokend_proto::{Fault, FaultCode, RequestKind};

/// The outcome of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It went well.
    Ok,
    /// The request was answered with this fault.
    Fault(FaultCode),
    /// The outcome of an attempt.
    Attempt(AttemptOutcome),
    /// The client left before the answer.
    Abandoned,
    /// Records were lost.
    Lost,
    /// The daemon ended before everything was stored.
    Unsaved,
    /// The daemon ended before everything was finished.
    CutShort,
    /// The daemon ended because a part of it died.
    Died,
}

impl Outcome {
    /// Success, or this fault.
    pub fn of(fault: Option<&Fault>) -> Self {
        fault.map_or(Self::Ok, |fault| Self::Fault(fault.code))
    }

    /// The stable name of the outcome.
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

/// The cause of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Trigger {
    /// A request of a peer.
    Request(RequestKind),
    /// A signal.
    Signal,
    /// A name in the configuration that was unknown before.
    Names,
}

impl Trigger {
    /// The stable name of the cause.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Request(kind) => kind.as_str(),
            Self::Signal => "signal",
            Self::Names => "names",
        }
    }
}
