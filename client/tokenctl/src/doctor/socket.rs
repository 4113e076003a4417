//! Checks the daemon's socket: which path and why, whether a socket is there, and why no daemon answers.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

use tokend_client::{ClientError, SocketPath, how_to_start};

use super::finding::Finding;
use super::machine::Absence;
use crate::failure::Exit;

const TOPIC: &str = "socket";

/// The findings about the socket, and its path if there is one.
pub(super) fn look(named: Option<&Path>) -> (Vec<Finding>, Option<SocketPath>) {
    let path = match SocketPath::find(named) {
        Ok(path) => path,
        Err(error) => {
            let finding = match &error {
                ClientError::KeptOut { .. } => Finding::problem(
                    TOPIC,
                    Exit::NotAllowed,
                    error.to_string(),
                    error.advice().unwrap_or_default(),
                ),
                _ => Finding::problem(TOPIC, Exit::Unavailable, error.to_string(), how_to_start()),
            };
            return (vec![finding], None);
        }
    };
    let how = how(named, &path);
    let finding = match fs::symlink_metadata(path.as_path()) {
        Err(error) if error.kind() == ErrorKind::NotFound => Finding::problem(
            TOPIC,
            Exit::Unavailable,
            format!("{path}, {how}, does not exist"),
            format!("{}, or name the right one", how_to_start()),
        ),
        Err(error) => Finding::problem(
            TOPIC,
            Exit::NotAllowed,
            format!("{path}, {how}, cannot be looked at: {error}"),
            "the directories on the way must let you through (ls -ld shows their modes)",
        ),
        Ok(it) if !it.file_type().is_socket() => Finding::problem(
            TOPIC,
            Exit::Unavailable,
            format!("{path}, {how}, is not a socket"),
            "name the right one with --socket or TOKEND_SOCKET",
        ),
        Ok(it) => Finding::ok(
            TOPIC,
            format!(
                "{path}, {how}: mode {:04o}, user {}, group {}",
                it.mode() & 0o7777,
                it.uid(),
                it.gid()
            ),
        ),
    };
    // After a problem found here, an attempt to connect would only repeat it.
    let there = finding.exit != Exit::Unavailable;
    (vec![finding], there.then_some(path))
}

/// The step of the search that found it.
fn how(named: Option<&Path>, found: &SocketPath) -> String {
    if named.is_some() {
        return "named by --socket".to_owned();
    }
    if std::env::var_os("TOKEND_SOCKET").is_some_and(|value| !value.is_empty()) {
        return "named by $TOKEND_SOCKET".to_owned();
    }
    match found.is_own() {
        true => "a daemon of your own".to_owned(),
        false => "the system's".to_owned(),
    }
}

/// Why no daemon answers at a socket that exists; `absence` is systemd's explanation.
pub(super) fn unreachable(error: &ClientError, absence: Option<&Absence>) -> Finding {
    let kind = match error {
        ClientError::NotReachable { source, .. } => source.kind(),
        _ => ErrorKind::Other,
    };
    match (kind, absence) {
        (ErrorKind::ConnectionRefused, Some(Absence { why, exit, advice })) => Finding::problem(
            "daemon",
            *exit,
            format!("nobody listens at the socket of the daemon: {why}"),
            advice,
        ),
        (ErrorKind::ConnectionRefused, None) => Finding::problem(
            "daemon",
            Exit::Unavailable,
            "nobody listens at the socket: it is left over from a daemon that no longer runs",
            format!("{}; it replaces the socket", how_to_start()),
        ),
        (ErrorKind::PermissionDenied, _) => Finding::problem(
            "daemon",
            Exit::NotAllowed,
            "the socket's mode keeps you out",
            "join the group it belongs to, or ask for another `socket_mode`",
        ),
        _ => Finding::problem(
            "daemon",
            Exit::Unavailable,
            error.to_string(),
            error.advice().unwrap_or(how_to_start()),
        ),
    }
}
