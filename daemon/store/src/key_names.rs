//! What the sealing key is called.

/// The name of the sealing key among systemd's credentials.
pub const KEY_CREDENTIAL: &str = "tokend.key";
/// The name of the sealing key in the state directory, where no credential gives it.
pub const KEY_FILE: &str = "tokend.key";
