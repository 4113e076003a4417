//! What a refresh may have done to the token held.

/// Whether a refresh was sent while the token held was held. What that does to the token is looked up when it is to be served: the plan may
/// have changed by then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Overtaken {
    /// None that the provider may have processed.
    No,
    /// One is under way.
    UnderWay,
    /// One may have been processed, and brought no token to take its place.
    Perhaps,
}

impl Overtaken {
    /// As it is restored, with whether a refresh was under way when the daemon died.
    pub(crate) const fn restored(stored: bool, died: bool) -> Self {
        match stored || died {
            true => Self::Perhaps,
            false => Self::No,
        }
    }
}
