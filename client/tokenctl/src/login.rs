//! `login`: a person enters a credential.
//!
//! Owns the order: the daemon is found and trusted before anything is typed.

use std::path::Path;

use tokend_client::LoginSecret;

use crate::arguments::{Kind, Login};
use crate::connection::connect;
use crate::failure::Failure;
use crate::{input, output, trust};

/// Asks for the credential, and sends it to the daemon.
pub(crate) fn run(socket: Option<&Path>, options: &Login) -> Result<(), Failure> {
    let Login { account, kind } = options;
    if input::is_terminal() {
        // Connects first, so that a person does not type a password for a daemon that is absent or not theirs.
        // The connection is not kept: the daemon gives a silent peer little time.
        let mut client = connect(socket)?;
        trust::demand(&client)?;
        client.greet()?;
    }
    let secret = match kind {
        Kind::Password => LoginSecret::Password(input::secret(&format!("password of {account}"))?),
        Kind::RefreshToken => {
            LoginSecret::RefreshToken(input::secret(&format!("refresh token of {account}"))?)
        }
        Kind::ClientSecret => {
            LoginSecret::ClientSecret(input::secret(&format!("client secret of {account}"))?)
        }
    };
    let mut client = connect(socket)?;
    trust::demand(&client)?;
    let said = client.admin().login(account, secret)?;
    output::note(&said);
    Ok(())
}
