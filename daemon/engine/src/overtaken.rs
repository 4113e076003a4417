//! What a refresh may have done to the held token.

/// Whether a refresh was sent while this token was held. What that means for the token is decided when it is to be served: the plan may
/// have changed by then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Overtaken {
    /// None that the provider may have processed.
    No,
    /// One is in flight.
    UnderWay,
    /// One may have been processed and brought no new token.
    Perhaps,
}

impl Overtaken {
    /// The restored state; `died` says that a refresh was in flight when the daemon died.
    pub(crate) const fn restored(stored: bool, died: bool) -> Self {
        match stored || died {
            true => Self::Perhaps,
            false => Self::No,
        }
    }
}
