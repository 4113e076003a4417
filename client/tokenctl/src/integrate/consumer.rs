//! What is known of a program that uses tokens.
//!
//! Owns the shape of an entry. No line may put a token into an argument, where every local user reads it; each line must fail, and start
//! nothing, when there is no token. `ACCOUNT` stands for the account and for nothing else. A test executes every entry.

/// A program that uses tokens.
pub(super) struct Consumer {
    /// What it is called on the command line.
    pub(super) name: &'static str,
    /// What one gets by it.
    pub(super) about: &'static str,
    /// What must be there first, and what to replace.
    pub(super) needs: &'static str,
    /// The files with the lines that go there.
    pub(super) parts: &'static [(&'static str, &'static str)],
}

/// Where an account is told what its token is for.
pub(super) const CONFIGURATION: &str =
    "the daemon's configuration, unless the account's dialect says it";
