//! The source of a configuration.

use std::path::{Path, PathBuf};

use tokend_config::{Config, ConfigError, Environment, Files, InForce, Overrides};
use tokend_policy::Directory;

/// The main file of a configuration, and the settings that override or replace it.
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

    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    /// Reads the configuration on disk now.
    ///
    /// # Errors
    /// All mistakes in it.
    pub(crate) fn load(&self) -> Result<Config, ConfigError> {
        self.load_keeping(Directory::system(), &|_| None)
    }

    /// The same, with names of users and groups from this directory. An account equal to the one in force keeps the very same value.
    ///
    /// # Errors
    /// All mistakes in it.
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
