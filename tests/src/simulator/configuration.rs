//! Writes a tokend configuration and its secret files for accounts of the simulator.
//!
//! The only place that knows the daemon's configuration keys; adapt it here when they change.

use std::{
    fmt::Write as _,
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use super::{
    Simulator,
    spec::{AccountSpec, Api},
};

/// Whether the long-lived secrets are written and referred to, or left to `tokenctl login`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secrets {
    /// One 0600 file each.
    Files,
    /// Not at all.
    None,
}

/// Writes `tokend.toml` and `secrets/` into `directory` for `accounts` and returns the path of the former.
///
/// # Errors
/// When the directory cannot be written.
pub fn write_configuration(
    simulator: &Simulator,
    accounts: &[AccountSpec],
    secrets: Secrets,
    directory: &Path,
) -> io::Result<PathBuf> {
    let held = directory.join("secrets");
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&held)?;
    let mut text =
        String::from("# For the provider simulator; nothing in it is worth protecting.\n");
    for account in accounts {
        let base_url = simulator.base_url(account.api);
        text.push_str(&section(account, &base_url, secrets, &held)?);
    }
    let path = directory.join("tokend.toml");
    fs::write(&path, text)?;
    Ok(path)
}

fn section(
    account: &AccountSpec,
    base_url: &str,
    secrets: Secrets,
    held: &Path,
) -> io::Result<String> {
    let mut text = String::new();
    let mut line = |key: &str, value: &str| {
        let _ = writeln!(text, "{key} = {}", toml_string(value));
    };
    line("provider", account.api.dialect());
    line("base_url", base_url);
    if let Some(username) = &account.username {
        line("username", username);
    }
    if let Some(client_id) = &account.client_id {
        line("client_id", client_id);
    }
    let fields = [
        ("password", &account.password),
        ("client_secret", &account.client_secret),
    ];
    for (field, secret) in fields {
        if let (Some(secret), Secrets::Files) = (secret, secrets) {
            let path = held.join(format!("{}-{field}", account.name));
            write_secret(&path, secret)?;
            let path = toml_string(&path.display().to_string());
            let _ = writeln!(text, "{field} = {{ file = {path} }}");
        }
    }
    if account.api == Api::Oauth2 {
        let grant = if account.username.is_some() {
            "password"
        } else {
            "client_credentials"
        };
        let _ = writeln!(text, "options = {{ grant = {} }}", toml_string(grant));
    }
    Ok(format!("\n[account.{}]\n{text}", toml_key(&account.name)))
}

/// Writes a secret file as tokend wants it: readable by its owner only.
///
/// # Errors
/// When it cannot be written.
pub fn write_secret(path: &Path, secret: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(secret.as_bytes())?;
    file.write_all(b"\n")
}

/// A TOML basic string; JSON's escapes are a subset of TOML's.
fn toml_string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn toml_key(name: &str) -> String {
    let bare = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if bare {
        name.to_owned()
    } else {
        toml_string(name)
    }
}
