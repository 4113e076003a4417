//! What tests of the daemon's crates share: a configuration on disk.

#![expect(clippy::expect_used, clippy::panic, reason = "for tests")]

use std::sync::Arc;

use tempfile::TempDir;

use crate::{Account, Config, Environment, Overrides};

/// The user the daemon of the tests runs as, so its administrator.
pub const OWNER: u32 = 7;

/// A configuration on disk.
#[derive(Debug)]
pub struct Site(TempDir);

impl Site {
    /// With this text in its file.
    pub fn new(text: &str) -> Self {
        let site = Self(tempfile::tempdir().expect("temporary directory"));
        site.write(text);
        site
    }

    /// Puts another text there.
    pub fn write(&self, text: &str) {
        std::fs::write(self.file(), text).expect("write");
    }

    /// The file of the configuration.
    /// The file.
    pub fn file(&self) -> std::path::PathBuf {
        self.0.path().join("tokend.toml")
    }

    /// The directory of the file.
    pub fn path(&self) -> &std::path::Path {
        self.0.path()
    }

    /// A file only its owner can read.
    pub fn secret(&self, name: &str, text: &str, mode: u32) {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.0.path().join(name);
        std::fs::write(&path, text).expect("write");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("chmod");
    }

    /// A dialect in the directory `dialects`, which the configuration has to name.
    pub fn dialect(&self, name: &str, text: &str) {
        let dir = self.0.path().join("dialects");
        std::fs::create_dir_all(&dir).expect("create");
        std::fs::write(dir.join(format!("{name}.toml")), text).expect("write");
    }

    /// What is read of it.
    pub fn config(&self) -> Config {
        Config::load(&self.file(), &Overrides::default(), &environment())
            .unwrap_or_else(|error| panic!("{error}"))
    }

    /// Its first account.
    pub fn account(&self) -> Arc<Account> {
        Arc::clone(self.config().accounts.first().expect("an account"))
    }
}

/// What that user starts it with.
pub fn environment() -> Environment {
    Environment {
        uid: OWNER,
        home: Some("/nonexistent".into()),
        ..Environment::default()
    }
}
