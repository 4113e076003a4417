//! Helpers: tokens for programs that ask in a protocol of their own.
//!
//! Owns that a token goes only to an address its account is for, and that standard output has answers of the protocol and nothing else. A
//! token that such an address cannot have is told loudly; about any other address nothing is said, so that the caller asks its next helper.

mod caller;
mod cargo;
mod destination;
mod docker;
mod git;
mod keyring;
mod question;
mod terraform;

use std::path::Path;

use crate::arguments::{Helper, Protocol};
use crate::clock;
use crate::failure::Failure;
use caller::Caller;

/// Answers one question.
pub(crate) fn run(socket: Option<&Path>, options: &Helper) -> Result<(), Failure> {
    let caller = Caller {
        socket,
        options,
        begun: clock::steady(),
    };
    match options.protocol {
        Protocol::Git => git::answer(&caller),
        Protocol::Docker => docker::answer(&caller),
        Protocol::Cargo => cargo::answer(&caller),
        Protocol::Terraform => terraform::answer(&caller),
        Protocol::Keyring => keyring::answer(&caller),
    }
}
