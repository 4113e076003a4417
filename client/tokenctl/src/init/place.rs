//! Where the configuration is.
//!
//! Owns the paths, which are those where `tokend` looks, and the text of a first configuration.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::geteuid;

use crate::account_file::AccountFile;
use crate::failure::{Exit, Failure};

/// The directory of accounts beside the configuration, as the package has it.
const ACCOUNTS: &str = "accounts.d";

/// The places of a configuration.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) main: PathBuf,
    pub(super) accounts: PathBuf,
    /// Whether it is the machine's.
    pub(super) is_system: bool,
    /// Whether a daemon that is started without options reads it.
    pub(super) is_default: bool,
}

impl Place {
    pub(super) fn find(named: Option<&Path>) -> Result<Self, Failure> {
        let is_system = geteuid().is_root();
        let default = if is_system {
            Some(PathBuf::from("/etc"))
        } else {
            users()
        };
        let default = default.map(|dir| dir.join("tokend/tokend.toml"));
        let main = match (named, &default) {
            (Some(named), _) => std::path::absolute(named).map_err(|error| {
                Failure::usage(format!("--config names no file: {error}"), "name a file")
            })?,
            (None, Some(default)) => default.clone(),
            (None, None) => {
                return Err(Failure::new(
                    Exit::Config,
                    "neither HOME nor XDG_CONFIG_HOME is set, so there is no place for a configuration",
                    "set HOME, or name the file with --config",
                ));
            }
        };
        match (main.parent(), main.file_name()) {
            (Some(dir), Some(_)) => Ok(Self {
                accounts: dir.join(ACCOUNTS),
                is_system,
                is_default: Some(&main) == default.as_ref(),
                main,
            }),
            _ => Err(Failure::usage("--config names no file", "name a file")),
        }
    }

    /// Whether there is a configuration already, or anything else of its name.
    pub(super) fn has_configuration(&self) -> Result<bool, Failure> {
        match fs::symlink_metadata(&self.main) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(Failure::new(
                Exit::NotAllowed,
                format!("{} cannot be looked at: {error}", self.main.display()),
                "run it as the user whose daemon it is to be",
            )),
        }
    }

    pub(super) fn account_file(&self, file: &AccountFile) -> PathBuf {
        self.accounts.join(AccountFile::name_of(&file.name))
    }

    /// The default place of a secret file.
    pub(super) fn secret(&self, file: &str) -> PathBuf {
        let dir = self.main.parent().unwrap_or(Path::new("/"));
        dir.join("secrets").join(file)
    }

    /// A first configuration.
    pub(super) fn text(&self) -> String {
        let sudo = if self.is_system { "sudo " } else { "" };
        let mut text = format!(
            "# The configuration of tokend; tokend.toml(5) has every setting. After a change:\n\
             #   {sudo}tokend check && {sudo}tokenctl reload\n\n\
             # Accounts stand in files of their own.\ninclude_dir = \"{ACCOUNTS}\"\n"
        );
        if self.is_system && has_user("tokend") {
            text.push_str(
                "\n# Who may reload, refresh, log in and forget. It gives nobody a token: that is `allow` of each account.\n\
                 admin = [{ user = \"root\" }, { user = \"tokend\" }]\n",
            );
        }
        text
    }

    /// The permissions of files and of new directories. Nothing in them is secret, and the machine's are read by the daemon's user.
    pub(super) fn modes(&self) -> (u32, u32) {
        if self.is_system {
            (0o644, 0o755)
        } else {
            (0o600, 0o700)
        }
    }
}

/// `XDG_RUNTIME_DIR` for the programs that are started, where this process has none although the user has one: after `su` for instance.
pub(super) fn runtime() -> Option<PathBuf> {
    let is_set = std::env::var_os("XDG_RUNTIME_DIR").is_some_and(|value| !value.is_empty());
    let user = geteuid();
    let own = PathBuf::from(format!("/run/user/{}", user.as_raw()));
    (!is_set && !user.is_root() && own.is_dir()).then_some(own)
}

/// The user's directory of configurations, as the daemon finds it.
fn users() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let named = set("XDG_CONFIG_HOME").map(PathBuf::from);
    named.or_else(|| Some(PathBuf::from(set("HOME")?).join(".config")))
}

/// Whether the system's databases have this user.
fn has_user(name: &str) -> bool {
    let mut asked = Command::new("getent");
    asked.args(["passwd", name]).stdin(Stdio::null());
    asked.output().is_ok_and(|asked| asked.status.success())
}
