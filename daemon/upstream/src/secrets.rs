//! Fetches an account's secrets from their places.
//!
//! Owns the resolution of [`SecretRef`]. The configuration holds only references; the secret itself lives in a [`SecretString`]
//! from the moment it is read. Must never put a secret, or an argument of a command, into an error or into `Debug`.

mod command;
mod error;
mod file;
mod limits;
mod source;
mod steps;
#[cfg(test)]
mod tests;
mod trust;

use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

use secrecy::SecretString;
use tokend_config::{FileMode, SecretPlace, SecretRef};
use tokend_notation::{Lines, NotASecret};
use zeroize::Zeroizing;

use tokend_process::stack;

pub use command::KEPT_VARIABLES;
pub use error::{CommandError, FileError, SecretError};
pub use limits::MAX_SECRET;
pub use source::{Person, SecretSource};

/// A fetched secret.
#[derive(Debug)]
pub struct Fetched {
    /// The secret to send to the provider.
    pub secret: SecretString,
    /// The number of further lines in the command's output, which are not part of the secret.
    pub left_out: usize,
}

/// Fetches a secret: the one [`tokend_notation::secret`] finds there, at most [`MAX_SECRET`] bytes.
pub async fn resolve(
    place: &SecretRef,
    source: &SecretSource,
) -> Result<SecretString, SecretError> {
    fetch(place, source).await.map(|fetched| fetched.secret)
}

/// Fetches a secret, and reports how many lines were left out.
///
/// Files are read off the runtime's threads, since a file may be on a stalled network disk.
///
/// # Errors
///
/// The problem with the place, and the advice.
pub async fn fetch(place: &SecretRef, source: &SecretSource) -> Result<Fetched, SecretError> {
    let bytes = match &place.place {
        SecretPlace::Credential(name) => {
            let dir = source
                .credentials
                .as_ref()
                .ok_or_else(|| SecretError::NoCredentialsDirectory(name.clone()))?;
            read(dir.join(&**name), trust::Trust::Manager).await?
        }
        SecretPlace::File { path, mode } => {
            let trust = match mode {
                FileMode::Private => trust::Trust::Owner(source.owner),
                FileMode::AsMounted => trust::Trust::Mount(source.owner),
            };
            read(path.to_path_buf(), trust).await?
        }
        SecretPlace::Env(name) => {
            let value = std::env::var_os(&**name);
            let value = value.ok_or_else(|| SecretError::NoVariable(name.clone()))?;
            Zeroizing::new(value.into_vec())
        }
        SecretPlace::Command(argv) => command::output(argv, source).await?,
    };
    text(&bytes, place)
}

async fn read(path: PathBuf, trust: trust::Trust) -> Result<Zeroizing<Vec<u8>>, SecretError> {
    let reading = stack::wiped_off_the_runtime(move || {
        file::read(&path, trust).map_err(|why| SecretError::File { path, why })
    });
    reading.await.unwrap_or(Err(SecretError::Interrupted))
}

/// Whether the contents of a place are a valid secret.
pub fn judge(bytes: &[u8], place: &SecretRef) -> Result<(), SecretError> {
    text(bytes, place).map(drop)
}

fn text(bytes: &[u8], place: &SecretRef) -> Result<Fetched, SecretError> {
    let lines = match (place.whole, &place.place) {
        (true, _) => Lines::All,
        (false, SecretPlace::Command(_)) => Lines::First,
        (false, _) => Lines::One,
    };
    let shown = || place.to_string();
    let found = match tokend_notation::secret(bytes, lines) {
        Ok(found) if found.text.len() <= MAX_SECRET => found,
        Err(why) if bytes.len() <= MAX_SECRET + 1 => {
            return Err(match why {
                NotASecret::Empty if place.is_command() => SecretError::NothingPrinted(shown()),
                why => SecretError::NotASecret(shown(), why),
            });
        }
        Ok(_) | Err(_) => return Err(SecretError::TooLong(shown())),
    };
    Ok(Fetched {
        // From &str, not String: the exact allocation is not moved, so no copy is left behind in freed memory.
        secret: SecretString::from(found.text),
        left_out: found.left_out,
    })
}
