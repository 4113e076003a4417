//! How an account's secrets are fetched from where they are.
//!
//! Owns the resolution of [`SecretRef`]. The configuration holds only references; the secret itself lives in a [`SecretString`]
//! from the moment it is read. Must never put a secret, or an argument of a command, into an error or into `Debug`.

mod command;
mod error;
mod file;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use tokend_config::SecretRef;
use zeroize::Zeroizing;

use crate::upstream::Egress;

pub(crate) use error::SecretError;

/// The longest secret, in bytes. A token or a password is far shorter; a mistaken path often leads to something longer.
pub(crate) const MAX_SECRET: usize = 64 * 1024;

/// What the resolution of secrets needs to know of the world.
#[derive(Debug, Clone)]
pub(crate) struct SecretSource {
    /// systemd's directory of credentials, where there is one.
    pub(crate) credentials: Option<PathBuf>,
    /// How long a command may take before it is killed.
    pub(crate) command_timeout: Duration,
    /// The user whose files are trusted beside root's.
    pub(crate) owner: u32,
    /// What a command that asks somebody over the network has to go through.
    pub(crate) egress: Option<Egress>,
}

impl SecretSource {
    /// The world as this process sees it, with the relay it was told of when it started.
    pub(crate) fn of_this_process(command_timeout: Duration, egress: Option<Egress>) -> Self {
        let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").filter(|dir| !dir.is_empty());
        Self {
            credentials: credentials.map(PathBuf::from),
            command_timeout,
            owner: rustix::process::geteuid().as_raw(),
            egress,
        }
    }

    /// The same world, with another limit for commands.
    pub(crate) fn with_command_timeout(self, command_timeout: Duration) -> Self {
        Self {
            command_timeout,
            ..self
        }
    }
}

/// Fetches a secret: UTF-8, one newline at its end removed, not empty, at most [`MAX_SECRET`] bytes.
///
/// Files are read off the runtime's threads, since a file may live on a stalled network disk.
///
/// # Errors
///
/// What is wrong with the place, and what to do about it.
pub(crate) async fn resolve(
    place: &SecretRef,
    source: &SecretSource,
) -> Result<SecretString, SecretError> {
    let bytes = match place {
        SecretRef::Credential(name) => {
            let dir = source
                .credentials
                .as_ref()
                .ok_or_else(|| SecretError::NoCredentialsDirectory { name: name.clone() })?;
            read(dir.join(&**name), file::Trust::Manager).await?
        }
        SecretRef::File(path) => read(path.to_path_buf(), file::Trust::Owner(source.owner)).await?,
        SecretRef::Env(name) => env(name)?,
        SecretRef::Command(argv) => {
            command::output(argv, source.command_timeout, source.egress).await?
        }
    };
    text(&bytes).map_err(|why| why.at(place))
}

async fn read(path: PathBuf, trust: file::Trust) -> Result<Zeroizing<Vec<u8>>, SecretError> {
    let reading = tokio::task::spawn_blocking(move || file::read(&path, trust));
    match reading.await {
        Ok(read) => read,
        Err(_) => Err(SecretError::Interrupted),
    }
}

fn env(name: &str) -> Result<Zeroizing<Vec<u8>>, SecretError> {
    use std::os::unix::ffi::OsStringExt as _;
    let value =
        std::env::var_os(name).ok_or_else(|| SecretError::NoVariable { name: name.into() })?;
    Ok(Zeroizing::new(value.into_vec()))
}

/// What is wrong with a text, before it is known where it came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BadText {
    Empty,
    TooLong,
    NotUtf8,
}

impl BadText {
    fn at(self, place: &SecretRef) -> SecretError {
        let place = place.to_string();
        match self {
            Self::Empty => SecretError::Empty { place },
            Self::TooLong => SecretError::TooLong { place },
            Self::NotUtf8 => SecretError::NotUtf8 { place },
        }
    }
}

fn text(bytes: &[u8]) -> Result<SecretString, BadText> {
    let line = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.len() > MAX_SECRET {
        return Err(BadText::TooLong);
    }
    let text = std::str::from_utf8(line).map_err(|_| BadText::NotUtf8)?;
    if text.is_empty() {
        return Err(BadText::Empty);
    }
    // From &str, not String: the exact allocation is not moved, so no copy is left behind in freed memory.
    Ok(SecretString::from(text))
}
