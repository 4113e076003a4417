//! Where the daemon's socket is.
//!
//! Owns the search order. It reads the environment and looks whether files exist, but never opens a connection, and never passes over
//! a socket that is there and keeps the caller out: the next one would be another daemon's.

use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::ClientError;

/// Where the system's daemon listens.
const SYSTEM: &str = "/run/tokend/tokend.sock";

/// Where every user's directory for sockets is, as pam_systemd(8) has it.
const USERS: &str = "/run/user";

/// A daemon's socket below a directory for sockets.
const BELOW: &str = "tokend/tokend.sock";

/// The path of a daemon's socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocketPath(PathBuf);

impl SocketPath {
    /// Finds the socket: `explicit`, else `$TOKEND_SOCKET`, else the first that exists of
    /// `$XDG_RUNTIME_DIR/tokend/tokend.sock`, `/run/user/UID/tokend/tokend.sock` and `/run/tokend/tokend.sock`.
    ///
    /// The second is where the first is in a session; cron, `su` and `env -i` do not set the variable, and the
    /// same command must not ask another daemon because of that.
    ///
    /// A path given by argument or `$TOKEND_SOCKET` is used as it is even if it does not exist: asking another
    /// daemon than the one that was named could hand out another account's token.
    ///
    /// # Errors
    /// [`ClientError::NoSocket`] with the places that were looked at, and [`ClientError::KeptOut`] where one of them may not be
    /// looked at.
    pub fn find(explicit: Option<&Path>) -> Result<Self, ClientError> {
        Self::find_in(
            explicit,
            |variable| std::env::var_os(variable),
            &Places::of_this_machine(),
        )
    }

    /// Where the system's daemon listens, whether it is there or not.
    #[cfg(feature = "blocking")]
    pub(crate) fn of_system() -> Self {
        Self(SYSTEM.into())
    }

    /// Whether it is below the caller's own runtime directory, and so belongs to the caller's own daemon.
    pub fn is_own(&self) -> bool {
        let named = std::env::var_os("XDG_RUNTIME_DIR").filter(|folder| !folder.is_empty());
        let own = named.map(PathBuf::from).into_iter();
        own.chain([Places::of_this_machine().of_user])
            .any(|folder| self.0.starts_with(folder))
    }

    /// The path itself.
    pub fn as_path(&self) -> &Path {
        &self.0
    }

    fn find_in(
        explicit: Option<&Path>,
        variable: impl Fn(&str) -> Option<OsString>,
        places: &Places,
    ) -> Result<Self, ClientError> {
        let set = |name: &str| {
            variable(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        if let Some(named) = explicit
            .map(Path::to_owned)
            .or_else(|| set("TOKEND_SOCKET"))
        {
            return Ok(Self(named));
        }
        let session = set("XDG_RUNTIME_DIR").map(|folder| folder.join(BELOW));
        let of_user = places.of_user.join(BELOW);
        let mut tried: Vec<PathBuf> = session.into_iter().collect();
        if !tried.contains(&of_user) {
            tried.push(of_user);
        }
        tried.push(places.system.clone());
        for path in &tried {
            match fs::metadata(path) {
                Ok(_) => return Ok(Self(path.clone())),
                Err(error) => match error.kind() {
                    ErrorKind::NotFound | ErrorKind::NotADirectory => {}
                    _ => {
                        return Err(ClientError::KeptOut {
                            path: path.clone(),
                            source: Arc::new(error),
                        });
                    }
                },
            }
        }
        Err(ClientError::NoSocket { tried })
    }
}

/// Where sockets are on a machine.
struct Places {
    of_user: PathBuf,
    system: PathBuf,
}

impl Places {
    fn of_this_machine() -> Self {
        let uid = rustix::process::geteuid().as_raw();
        Self {
            of_user: Path::new(USERS).join(uid.to_string()),
            system: SYSTEM.into(),
        }
    }
}

impl<P: Into<PathBuf>> From<P> for SocketPath {
    fn from(path: P) -> Self {
        Self(path.into())
    }
}

impl std::fmt::Display for SocketPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.display().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nowhere() -> Places {
        Places {
            of_user: "/nowhere".into(),
            system: "/nowhere/system.sock".into(),
        }
    }

    #[test]
    fn what_is_named_is_used_even_if_it_is_missing() {
        let both = |_: &str| Some(OsString::from("/nowhere/env.sock"));
        let named = Path::new("/nowhere/arg.sock");
        let found = SocketPath::find_in(Some(named), both, &nowhere());
        assert_eq!(found.unwrap().as_path(), named);
        let found = SocketPath::find_in(None, both, &nowhere());
        assert_eq!(found.unwrap().as_path(), Path::new("/nowhere/env.sock"));
    }

    #[test]
    fn the_user_s_daemon_comes_before_the_system_s_with_and_without_a_session() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let places = Places {
            of_user: at("of-user"),
            system: at("system.sock"),
        };
        let (session, of_user) = (at("session").join(BELOW), at("of-user").join(BELOW));
        let runtime = at("session").into_os_string();
        let variable = |name: &str| (name == "XDG_RUNTIME_DIR").then(|| runtime.clone());
        let find = || SocketPath::find_in(None, variable, &places);
        let without = || SocketPath::find_in(None, |_| None, &places);

        let all = [session.clone(), of_user.clone(), places.system.clone()];
        let missing = find().unwrap_err();
        assert!(
            matches!(&missing, ClientError::NoSocket { tried } if *tried == all),
            "{missing}"
        );
        for found in [&places.system, &of_user, &session] {
            fs::create_dir_all(found.parent().unwrap()).unwrap();
            fs::write(found, "").unwrap();
            assert_eq!(find().unwrap().as_path(), found);
        }
        assert_eq!(without().unwrap().as_path(), of_user);
        fs::remove_file(of_user).unwrap();
        assert_eq!(without().unwrap().as_path(), places.system);
    }

    #[test]
    fn a_socket_that_may_not_be_looked_at_is_not_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        // A name that is too long is refused even to root, which no mode keeps out.
        let closed = folder.path().join("x".repeat(300));
        let system = folder.path().join("system.sock");
        fs::write(&system, "").unwrap();
        let places = Places {
            of_user: closed.clone(),
            system,
        };
        let kept_out = SocketPath::find_in(None, |_| None, &places).unwrap_err();
        assert!(
            matches!(&kept_out, ClientError::KeptOut { path, .. } if path.starts_with(&closed)),
            "{kept_out}"
        );
    }

    #[test]
    fn an_empty_variable_counts_as_unset() {
        let empty = |_: &str| Some(OsString::new());
        let places = Places {
            system: "/dev/null".into(),
            ..nowhere()
        };
        let found = SocketPath::find_in(None, empty, &places);
        assert_eq!(found.unwrap().as_path(), Path::new("/dev/null"));
    }
}
