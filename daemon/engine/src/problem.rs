//! How an attempt failed, in the fewest words that decide something.

/// How an attempt failed, as far as a waiter is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Problem {
    /// A secret that the request needs could not be fetched; nothing was sent or debited.
    Unprepared,
    /// The provider was not reached, nothing was sent.
    Unreachable,
    /// The provider asks to come later.
    Busy,
    /// The dialect does not know the provider's answer.
    Misbehaved,
    /// No answer came; the outcome is not known.
    InDoubt,
    /// The refresh token was refused.
    RefreshRejected,
    /// The token came with no lifetime left.
    BornExpired,
    /// Something in front of the provider answered, or the provider in words that no rule knows.
    Unrecognised,
}
