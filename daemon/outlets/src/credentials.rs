//! Credentials for units: `LoadCredential=ID:/path.sock` of systemd.exec(5).
//!
//! Owns what a connection asks for, whether the kernel proves that, and the content of a credential. systemd says both the unit and the
//! credential in the address of its own end of the connection, sends nothing, and reads until the end. It understands no refusal: an
//! empty answer is an empty credential, with which the unit starts. Only an answer of more than 1 MiB, or a connection that breaks, keeps
//! the unit from starting. So what is refused is answered with [`OVERFLOW`] blanks.

mod caller;
mod content;
mod request;

pub use caller::{Unproved, proved};
pub use content::{Format, Unfit};
pub use request::CredentialRequest;

/// How many bytes make systemd refuse a credential, so that its unit does not start: one more than its `CREDENTIAL_SIZE_MAX`.
pub const OVERFLOW: usize = (1 << 20) + 1;
