//! What a configuration means, and what is said about each mistake in it.

mod api;
mod good;
mod many;
mod mistakes;
mod page;
mod rules;
mod shortages;
mod unchanged;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::*;
use tempfile::TempDir;
use tokend_document::{Medium, report};
use tokend_policy::Directory;

/// A directory with a configuration in it.
struct Site(TempDir);

impl Site {
    fn new(main: &str) -> Self {
        let site = Self(tempfile::tempdir().expect("temporary directory"));
        site.with("tokend.toml", main)
    }

    fn with(self, name: &str, text: &str) -> Self {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("mkdir");
        fs::write(path, text).expect("write");
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn load(&self) -> Result<Config, ConfigError> {
        let (config, _) = self.load_over(RuleOrigins::default(), &|_| None)?;
        Ok(config)
    }

    fn load_over(
        &self,
        origins: RuleOrigins,
        in_force: &InForce<'_>,
    ) -> Result<(Config, RuleOrigins), ConfigError> {
        let directory = Directory::fixed(
            vec![("root", 0), ("deploy", 1000)],
            vec![("ci", 50), ("operators", 60)],
        );
        let environment = Environment {
            uid: 7,
            home: Some("/home/t".into()),
            ..Environment::default()
        };
        let (files, path) = (Files::system(), self.path("tokend.toml"));
        let reading = reading::Reading::new(&files, directory, origins);
        load::load(
            reading,
            &path,
            &Overrides::default(),
            &environment,
            in_force,
        )
    }

    fn good(&self) -> Config {
        self.load()
            .unwrap_or_else(|error| panic!("{}", self.shown(&error)))
    }

    /// What is read where this is in force.
    fn good_after(&self, in_force: &InForce<'_>) -> Config {
        self.load_over(RuleOrigins::default(), in_force)
            .unwrap_or_else(|error| panic!("{}", self.shown(&error)))
            .0
    }

    /// The report, with the temporary directory written as `DIR`.
    fn shown(&self, error: &ConfigError) -> String {
        self.anonymous(&report(error.diagnostics(), Medium::Plain))
    }

    fn anonymous(&self, text: &str) -> String {
        text.replace(&self.0.path().display().to_string(), "DIR")
    }
}

fn account(config: &Config, name: &str) -> Arc<Account> {
    let found = config
        .accounts
        .iter()
        .find(|account| account.name.as_str() == name);
    Arc::clone(found.expect("the account"))
}
