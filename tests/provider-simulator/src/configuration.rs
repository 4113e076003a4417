//! Writes tokend configurations and their secret files.
//!
//! The only place of the tests that knows the daemon's configuration keys, and the only one of the simulator that knows of a daemon at
//! all. Adapt it here when the keys change.

use std::{
    fmt::Write as _,
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use super::{running::Simulator, spec::AccountSpec};

/// A configuration under construction.
#[derive(Clone, Debug, Default)]
pub struct Configuration {
    /// Lines before the first account.
    pub preamble: String,
    entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    account: AccountSpec,
    base_url: String,
    /// TOML lines of the account's section.
    lines: String,
    /// Whether its secrets are written to files or left to `tokenctl login`.
    secrets: bool,
}

impl Configuration {
    /// All accounts of a simulator, each at its provider's own port.
    #[must_use]
    pub fn of(simulator: &Simulator) -> Self {
        simulator
            .accounts()
            .into_iter()
            .fold(Self::default(), |configuration, account| {
                let base_url = simulator.base_url(account.api);
                configuration.account(account, &base_url, "")
            })
    }

    /// One more account; `lines` is TOML for its section.
    #[must_use]
    pub fn account(mut self, account: AccountSpec, base_url: &str, lines: &str) -> Self {
        let (base_url, lines) = (base_url.to_owned(), lines.to_owned());
        self.entries.push(Entry {
            account,
            base_url,
            lines,
            secrets: true,
        });
        self
    }

    /// The same configuration with `lines` of TOML added to every account.
    #[must_use]
    pub fn everywhere(mut self, lines: &str) -> Self {
        for entry in &mut self.entries {
            entry.lines = format!("{}\n{lines}", entry.lines);
        }
        self
    }

    /// The same configuration without references to long-lived secrets.
    #[must_use]
    pub fn without_secrets(mut self) -> Self {
        self.entries
            .iter_mut()
            .for_each(|entry| entry.secrets = false);
        self
    }

    /// The same configuration without one account.
    #[must_use]
    pub fn without(mut self, account: &str) -> Self {
        self.entries.retain(|entry| entry.account.name != account);
        self
    }

    /// Writes `tokend.toml` and `secrets/` into `directory` and returns the path of `tokend.toml`.
    ///
    /// # Errors
    /// When the directory cannot be written.
    pub fn write(&self, directory: &Path) -> io::Result<PathBuf> {
        let held = directory.join("secrets");
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&held)?;
        let mut text = format!("{}\n", self.preamble);
        for entry in &self.entries {
            text.push_str(&entry.section(&held)?);
        }
        let path = directory.join("tokend.toml");
        fs::write(&path, text)?;
        Ok(path)
    }
}

impl Entry {
    fn section(&self, held: &Path) -> io::Result<String> {
        let account = &self.account;
        let mut text = format!("\n[account.{}]\n", toml_string(&account.name));
        let plain = [
            ("provider", Some(account.api.dialect())),
            ("base_url", Some(self.base_url.as_str())),
            ("username", account.username.as_deref()),
            ("client_id", account.client_id.as_deref()),
        ];
        for (key, value) in plain {
            if let Some(value) = value {
                let _ = writeln!(text, "{key} = {}", toml_string(value));
            }
        }
        let secret = [
            ("password", &account.password),
            ("client_secret", &account.client_secret),
        ];
        for (key, value) in secret {
            if let (Some(value), true) = (value, self.secrets) {
                let path = held.join(format!("{}-{key}", account.name));
                write_secret(&path, value)?;
                let path = toml_string(&path.display().to_string());
                let _ = writeln!(text, "{key} = {{ file = {path} }}");
            }
        }
        text.push_str(self.lines.trim());
        text.push('\n');
        Ok(text)
    }
}

/// Writes a secret file as tokend requires it: readable by its owner only, and complete whenever a daemon reads it.
///
/// # Errors
/// When it cannot be written.
pub fn write_secret(path: &Path, secret: &str) -> io::Result<()> {
    let unfinished = path.with_extension("unfinished");
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&unfinished)?;
    file.write_all(secret.as_bytes())?;
    file.write_all(b"\n")?;
    fs::rename(unfinished, path)
}

/// A TOML basic string; JSON's escapes are a subset of TOML's.
fn toml_string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
