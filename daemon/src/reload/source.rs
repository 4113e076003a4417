//! Where a configuration is read from.

use std::path::{Path, PathBuf};

use tokend_config::{Config, ConfigError, Environment, Files, InForce, Overrides};
use tokend_policy::Directory;

/// The file a configuration begins with, and what goes before it or stands in for it.
#[derive(Debug, Clone)]
pub(crate) struct ConfigSource {
    file: PathBuf,
    overrides: Overrides,
    environment: Environment,
}

impl ConfigSource {
    pub(crate) fn new(file: PathBuf, overrides: Overrides, environment: Environment) -> Self {
        Self {
            file,
            overrides,
            environment,
        }
    }

    /// The file it begins with.
    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    /// Reads what is on disk now.
    ///
    /// # Errors
    /// Every mistake in it.
    pub(crate) fn load(&self) -> Result<Config, ConfigError> {
        self.load_keeping(Directory::system(), &|_| None)
    }

    /// The same, with names of users and groups as this directory knows them, and accounts in force as the very same values where nothing
    /// of them differs.
    ///
    /// # Errors
    /// Every mistake in it.
    pub(crate) fn load_keeping(
        &self,
        directory: Directory,
        in_force: &InForce<'_>,
    ) -> Result<Config, ConfigError> {
        let files = Files::system();
        Config::load_keeping(
            &files,
            directory,
            &self.file,
            &self.overrides,
            &self.environment,
            in_force,
        )
    }
}
