//! Where the daemon's socket is.
//!
//! Owns the search order. It reads the environment and looks whether files exist, but never opens a connection.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::ClientError;

/// Where the system's daemon listens.
const SYSTEM: &str = "/run/tokend/tokend.sock";

/// The path of a daemon's socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocketPath(PathBuf);

impl SocketPath {
    /// Finds the socket: `explicit`, else `$TOKEND_SOCKET`, else the first that exists of
    /// `$XDG_RUNTIME_DIR/tokend/tokend.sock` and `/run/tokend/tokend.sock`.
    ///
    /// What was named, by argument or `$TOKEND_SOCKET`, is used as it is even if it does not exist: asking another
    /// daemon than the one that was named could hand out another account's token.
    ///
    /// # Errors
    /// [`ClientError::NoSocket`] with the places that were looked at.
    pub fn find(explicit: Option<&Path>) -> Result<Self, ClientError> {
        Self::find_in(
            explicit,
            |variable| std::env::var_os(variable),
            Path::new(SYSTEM),
        )
    }

    /// The path itself.
    pub fn as_path(&self) -> &Path {
        &self.0
    }

    fn find_in(
        explicit: Option<&Path>,
        variable: impl Fn(&str) -> Option<OsString>,
        system: &Path,
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
        let own = set("XDG_RUNTIME_DIR").map(|folder| folder.join("tokend/tokend.sock"));
        let tried: Vec<PathBuf> = own.into_iter().chain([system.to_owned()]).collect();
        match tried.iter().find(|path| path.exists()) {
            Some(path) => Ok(Self(path.clone())),
            None => Err(ClientError::NoSocket { tried }),
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

    #[test]
    fn what_is_named_is_used_even_if_it_is_missing() {
        let both = |_: &str| Some(OsString::from("/nowhere/env.sock"));
        let found = SocketPath::find_in(Some(Path::new("/nowhere/arg.sock")), both, Path::new("/"));
        assert_eq!(found.unwrap().as_path(), Path::new("/nowhere/arg.sock"));
        let found = SocketPath::find_in(None, both, Path::new("/"));
        assert_eq!(found.unwrap().as_path(), Path::new("/nowhere/env.sock"));
    }

    #[test]
    fn the_user_s_daemon_comes_before_the_system_s() {
        let folder = tempfile::tempdir().unwrap();
        let own = folder.path().join("tokend/tokend.sock");
        let system = folder.path().join("system.sock");
        let runtime = folder.path().as_os_str().to_owned();
        let variable = |name: &str| (name == "XDG_RUNTIME_DIR").then(|| runtime.clone());
        let find = || SocketPath::find_in(None, variable, &system);

        let missing = find().unwrap_err();
        assert!(
            matches!(&missing, ClientError::NoSocket { tried } if *tried == [own.clone(), system.clone()]),
            "{missing}"
        );
        std::fs::write(&system, "").unwrap();
        assert_eq!(find().unwrap().as_path(), system);
        std::fs::create_dir(own.parent().unwrap()).unwrap();
        std::fs::write(&own, "").unwrap();
        assert_eq!(find().unwrap().as_path(), own);
    }

    #[test]
    fn an_empty_variable_counts_as_unset() {
        let empty = |_: &str| Some(OsString::new());
        let found = SocketPath::find_in(None, empty, Path::new("/dev/null"));
        assert_eq!(found.unwrap().as_path(), Path::new("/dev/null"));
    }
}
