//! The outcome of an attempt, in one word.
//!
//! Owns these words, which are a promise: log, metrics and audit records use them. Must never decide anything.

use crate::event::ProviderAnswer;

/// The outcome of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AttemptOutcome {
    /// A grant.
    Granted,
    /// The provider says to come back later.
    Busy,
    /// The long-lived credential is wrong.
    CredentialRejected,
    /// The refresh token is no longer good.
    RefreshRejected,
    /// The request is wrong.
    Misconfigured,
    /// Not an answer the dialect knows, and nothing was processed.
    Misbehaved,
    /// Not an answer the dialect knows, and the request may have been processed.
    MisbehavedInDoubt,
    /// Not the provider's own answer.
    Unrecognised,
    /// The request did not leave.
    NotSent,
    /// The request may have left, and no answer came.
    InDoubt,
    /// There was no request.
    NotBegun,
}

impl AttemptOutcome {
    /// All of them, in display order.
    pub const ALL: [Self; 11] = [
        Self::Granted,
        Self::Busy,
        Self::CredentialRejected,
        Self::RefreshRejected,
        Self::Misconfigured,
        Self::Misbehaved,
        Self::MisbehavedInDoubt,
        Self::Unrecognised,
        Self::NotSent,
        Self::InDoubt,
        Self::NotBegun,
    ];

    /// Its stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Granted => "granted",
            Self::Busy => "busy",
            Self::CredentialRejected => "credential-rejected",
            Self::RefreshRejected => "refresh-rejected",
            Self::Misconfigured => "misconfigured",
            Self::Misbehaved => "misbehaved",
            Self::MisbehavedInDoubt => "misbehaved-in-doubt",
            Self::Unrecognised => "unrecognised",
            Self::NotSent => "not-sent",
            Self::InDoubt => "in-doubt",
            Self::NotBegun => "not-begun",
        }
    }

    /// The outcome for an answer; `None` is an attempt that ended without a request.
    #[must_use]
    pub const fn of(answer: Option<ProviderAnswer>) -> Self {
        let Some(answer) = answer else {
            return Self::NotBegun;
        };
        match answer {
            ProviderAnswer::Granted(_) => Self::Granted,
            ProviderAnswer::Busy { .. } => Self::Busy,
            ProviderAnswer::CredentialRejected => Self::CredentialRejected,
            ProviderAnswer::RefreshRejected => Self::RefreshRejected,
            ProviderAnswer::Misconfigured
            | ProviderAnswer::Renewed {
                misconfigured: true,
                ..
            } => Self::Misconfigured,
            ProviderAnswer::Misbehaved {
                maybe_processed: false,
            }
            | ProviderAnswer::Renewed { .. } => Self::Misbehaved,
            ProviderAnswer::Misbehaved {
                maybe_processed: true,
            } => Self::MisbehavedInDoubt,
            ProviderAnswer::Unrecognised => Self::Unrecognised,
            ProviderAnswer::NotSent => Self::NotSent,
            ProviderAnswer::MaybeSent => Self::InDoubt,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::event::GrantFacts;

    #[test]
    fn whatever_is_answered_comes_to_one_of_all() {
        let renewed = |misconfigured| ProviderAnswer::Renewed {
            refresh_lifetime: None,
            misconfigured,
        };
        let misbehaved = |maybe_processed| ProviderAnswer::Misbehaved { maybe_processed };
        let answers = [
            ProviderAnswer::Granted(GrantFacts::default()),
            ProviderAnswer::Busy {
                retry_after: Some(Duration::ZERO),
            },
            ProviderAnswer::CredentialRejected,
            ProviderAnswer::RefreshRejected,
            ProviderAnswer::Misconfigured,
            misbehaved(false),
            misbehaved(true),
            ProviderAnswer::Unrecognised,
            ProviderAnswer::NotSent,
            ProviderAnswer::MaybeSent,
        ];
        let outcomes = answers.map(|answer| AttemptOutcome::of(Some(answer)));
        assert_eq!(outcomes, AttemptOutcome::ALL[..10]);
        assert_eq!(AttemptOutcome::of(None), AttemptOutcome::ALL[10]);
        for (answer, outcome) in [(true, "misconfigured"), (false, "misbehaved")] {
            assert_eq!(AttemptOutcome::of(Some(renewed(answer))).as_str(), outcome);
        }
    }
}
