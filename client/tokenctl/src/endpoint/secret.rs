//! What a program has to send to an endpoint that is its own.
//!
//! Owns how it is made, kept and compared. It is worth a token only together with the user who asks.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::fs::{Mode, OFlags, open};
use rustix::process::geteuid;
use rustix::rand::{GetRandomFlags, getrandom};
use tokend_client::SecretText;

use crate::failure::{Exit, Failure};
use crate::secret_file::SecretFile;

/// 256 bits, in hexadecimal digits.
const LENGTH: usize = 64;

/// A secret of one endpoint.
pub(super) struct Secret(SecretText);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

impl Secret {
    /// A secret that nobody has.
    pub(super) fn new() -> Result<Self, Failure> {
        let mut random = [0; LENGTH / 2];
        let failed = |why: String| {
            let what = format!("the system gives no random number: {why}");
            Failure::new(Exit::TryLater, what, "try again")
        };
        getrandom(&mut random, GetRandomFlags::empty())
            .map_err(|error| failed(error.to_string()))?;
        let digits: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let secret = SecretText::new(digits).map_err(|error| failed(error.to_string()))?;
        Ok(Self(secret))
    }

    /// The secret in this file, which outlives a restart; made there if there is none.
    pub(super) fn in_file(path: &Path) -> Result<Self, Failure> {
        if let Some(kept) = kept(path) {
            return Ok(kept);
        }
        let made = Self::new()?;
        SecretFile::new(path.to_owned(), 0o600, None).write(made.text().as_bytes())?;
        Ok(made)
    }

    /// Whether this is it. How long that takes does not tell where it differs.
    pub(super) fn is(&self, sent: &[u8]) -> bool {
        let sent = std::str::from_utf8(sent).ok();
        let sent = sent.and_then(|sent| SecretText::new(sent).ok());
        sent.is_some_and(|sent| sent == self.0)
    }

    pub(super) fn text(&self) -> &str {
        self.0.expose()
    }

    #[cfg(test)]
    pub(super) fn known(text: &str) -> Self {
        Self(SecretText::new(text).unwrap())
    }
}

/// What is in the file, if it is this user's alone and a secret.
fn kept(path: &Path) -> Option<Secret> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(open(path, flags, Mode::empty()).ok()?);
    let found = file.metadata().ok()?;
    let is_ours = found.is_file() && found.uid() == geteuid().as_raw() && found.mode() & 0o077 == 0;
    let mut text = String::with_capacity(LENGTH + 1);
    file.take(LENGTH as u64 + 1)
        .read_to_string(&mut text)
        .ok()?;
    let is_secret = text.len() == LENGTH && text.bytes().all(|it| it.is_ascii_hexdigit());
    let secret = SecretText::new(text).ok()?;
    (is_ours && is_secret).then_some(Secret(secret))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_secret_outlives_a_restart_and_one_that_others_could_read_does_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        let first = Secret::in_file(&path).unwrap();
        assert_eq!(first.text().len(), LENGTH);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let again = Secret::in_file(&path).unwrap();
        assert!(again.is(first.text().as_bytes()));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let other = Secret::in_file(&path).unwrap();
        assert!(!other.is(first.text().as_bytes()));
        fs::write(&path, "short").unwrap();
        assert_eq!(Secret::in_file(&path).unwrap().text().len(), LENGTH);
        assert_eq!(format!("{other:?}"), "Secret(redacted)");
    }

    #[test]
    fn only_the_whole_secret_is_it() {
        let secret = Secret::known("right");
        for wrong in [&b""[..], b"righ", b"right ", b"RIGHT", b"\xff"] {
            assert!(!secret.is(wrong));
        }
        assert!(secret.is(b"right"));
    }
}
