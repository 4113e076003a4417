//! The default paths.
//!
//! Owns the default paths, following systemd and the XDG base directory specification. Pure: the environment is an argument.

use std::ffi::OsString;
use std::path::PathBuf;

/// What the default paths depend on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment {
    /// The effective user.
    pub uid: u32,
    /// `$STATE_DIRECTORY`: set by systemd for `StateDirectory=`.
    pub state_directory: Option<PathBuf>,
    /// `$RUNTIME_DIRECTORY`: set by systemd for `RuntimeDirectory=`.
    pub runtime_directory: Option<PathBuf>,
    /// `$XDG_STATE_HOME`.
    pub xdg_state_home: Option<PathBuf>,
    /// `$XDG_RUNTIME_DIR`.
    pub xdg_runtime_dir: Option<PathBuf>,
    /// `$XDG_CONFIG_HOME`.
    pub xdg_config_home: Option<PathBuf>,
    /// `$HOME`.
    pub home: Option<PathBuf>,
}

impl Environment {
    /// The environment of this process.
    pub fn of_this_process() -> Self {
        Self::new(rustix::process::geteuid().as_raw(), |name| {
            std::env::var_os(name)
        })
    }

    fn new(uid: u32, variable: impl Fn(&str) -> Option<OsString>) -> Self {
        // A relative path would mean another place in every directory, so the XDG specification says to ignore it. systemd may name
        // several directories, separated by colons; the first one counts.
        let path = |name| {
            let value = variable(name)?.into_string().ok()?;
            let first = PathBuf::from(value.split(':').next()?);
            first.is_absolute().then_some(first)
        };
        Self {
            uid,
            state_directory: path("STATE_DIRECTORY"),
            runtime_directory: path("RUNTIME_DIRECTORY"),
            xdg_state_home: path("XDG_STATE_HOME"),
            xdg_runtime_dir: path("XDG_RUNTIME_DIR"),
            xdg_config_home: path("XDG_CONFIG_HOME"),
            home: path("HOME"),
        }
    }

    /// The configuration: `/etc/tokend/tokend.toml` for root, else below `$XDG_CONFIG_HOME` or `~/.config`.
    pub fn config_file(&self) -> PathBuf {
        let dir = self.user_dir(self.xdg_config_home.as_ref(), ".config");
        dir.unwrap_or_else(|| "/etc".into())
            .join("tokend/tokend.toml")
    }

    /// The state: `$STATE_DIRECTORY`, `/var/lib/tokend` for root, else below `$XDG_STATE_HOME` or `~/.local/state`.
    pub fn state_dir(&self) -> PathBuf {
        if let Some(dir) = &self.state_directory {
            return dir.clone();
        }
        let dir = self.user_dir(self.xdg_state_home.as_ref(), ".local/state");
        dir.unwrap_or_else(|| "/var/lib".into()).join("tokend")
    }

    /// The socket: in `$RUNTIME_DIRECTORY`, `/run/tokend` for root, else below `$XDG_RUNTIME_DIR`, where clients look first.
    pub fn socket(&self) -> PathBuf {
        if let Some(dir) = &self.runtime_directory {
            return dir.join("tokend.sock");
        }
        let dir = self.xdg_runtime_dir.clone().filter(|_| self.uid != 0);
        dir.unwrap_or_else(|| "/run".into())
            .join("tokend/tokend.sock")
    }

    /// A directory of the user's own, which root does not use.
    fn user_dir(&self, xdg: Option<&PathBuf>, below_home: &str) -> Option<PathBuf> {
        let dir = xdg.cloned();
        let dir = dir.or_else(|| Some(self.home.as_ref()?.join(below_home)));
        dir.filter(|_| self.uid != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(uid: u32, variables: &[(&str, &str)]) -> Environment {
        Environment::new(uid, |name| {
            variables
                .iter()
                .find(|(n, _)| *n == name)
                .map(|(_, value)| value.into())
        })
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table of cases")]
    fn the_default_places() {
        let table: [(Environment, [&str; 3]); 5] = [
            (
                environment(
                    0,
                    &[
                        ("HOME", "/root"),
                        ("XDG_RUNTIME_DIR", "/run/user/0"),
                        ("XDG_STATE_HOME", "/x"),
                    ],
                ),
                [
                    "/etc/tokend/tokend.toml",
                    "/var/lib/tokend",
                    "/run/tokend/tokend.sock",
                ],
            ),
            (
                environment(
                    7,
                    &[("HOME", "/home/u"), ("XDG_RUNTIME_DIR", "/run/user/7")],
                ),
                [
                    "/home/u/.config/tokend/tokend.toml",
                    "/home/u/.local/state/tokend",
                    "/run/user/7/tokend/tokend.sock",
                ],
            ),
            (
                environment(
                    7,
                    &[
                        ("XDG_CONFIG_HOME", "/c"),
                        ("XDG_STATE_HOME", "/s"),
                        ("HOME", "/home/u"),
                    ],
                ),
                [
                    "/c/tokend/tokend.toml",
                    "/s/tokend",
                    "/run/tokend/tokend.sock",
                ],
            ),
            (
                environment(
                    7,
                    &[
                        ("STATE_DIRECTORY", "/var/lib/private/tokend:/b"),
                        ("RUNTIME_DIRECTORY", "/run/t"),
                    ],
                ),
                [
                    "/etc/tokend/tokend.toml",
                    "/var/lib/private/tokend",
                    "/run/t/tokend.sock",
                ],
            ),
            (
                environment(
                    7,
                    &[
                        ("XDG_CONFIG_HOME", "c"),
                        ("XDG_STATE_HOME", ""),
                        ("XDG_RUNTIME_DIR", "./r"),
                    ],
                ),
                [
                    "/etc/tokend/tokend.toml",
                    "/var/lib/tokend",
                    "/run/tokend/tokend.sock",
                ],
            ),
        ];
        for (environment, [config, state, socket]) in table {
            assert_eq!(environment.config_file(), PathBuf::from(config));
            assert_eq!(environment.state_dir(), PathBuf::from(state));
            assert_eq!(environment.socket(), PathBuf::from(socket));
        }
    }
}
