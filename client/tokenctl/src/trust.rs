//! Whether a daemon may be told a credential.
//!
//! Owns that rule. A token goes the other way and harms nobody who asks for it; a password that is typed for a socket that somebody
//! else has put there is theirs.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

use rustix::process::geteuid;
use tokend_client::BlockingClient;

use crate::failure::{Exit, Failure};

/// Fails unless the other end of this connection is root's or the caller's own, or only they could have put the socket there.
pub(crate) fn demand(client: &BlockingClient) -> Result<(), Failure> {
    let socket = client.socket().as_path();
    let me = geteuid().as_raw();
    // A socket that systemd made has root's peer, whoever the daemon runs as.
    let peer = client.peer_uid();
    if peer.is_some_and(|uid| [0, me].contains(&uid)) || is_placed_by(socket, me) {
        return Ok(());
    }
    let (whose, advice) = match peer {
        Some(uid) => (
            format!("belongs to user {uid}"),
            format!(
                "nothing was sent; if that is the daemon that is meant, run this as its user: sudo -u '#{uid}' tokenctl login …; \
                 else name the right one with --socket"
            ),
        ),
        None => (
            "is of a user the system does not tell".to_owned(),
            "nothing was sent; name the right one with --socket".to_owned(),
        ),
    };
    Err(Failure::new(
        Exit::NotAllowed,
        format!(
            "the daemon at {} {whose}, and a credential is sent only to one of root or of your own",
            socket.display()
        ),
        advice,
    ))
}

/// Whether nobody but root and `me` can have put this socket where it is.
fn is_placed_by(socket: &Path, me: u32) -> bool {
    let is_ours = |uid: u32| [0, me].contains(&uid);
    let file = fs::symlink_metadata(socket);
    let file = file.is_ok_and(|it| it.file_type().is_socket() && is_ours(it.uid()));
    let folder = socket.parent().map(fs::symlink_metadata);
    let folder = folder.and_then(Result::ok);
    file && folder.is_some_and(|it| it.is_dir() && is_ours(it.uid()) && it.mode() & 0o022 == 0)
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn a_socket_is_trusted_only_where_nobody_else_can_put_one() {
        let folder = tempfile::tempdir().unwrap();
        let me = geteuid().as_raw();
        let socket = folder.path().join("s");
        let _listener = UnixListener::bind(&socket).unwrap();
        let with_mode = |mode| {
            fs::set_permissions(folder.path(), Permissions::from_mode(mode)).unwrap();
            is_placed_by(&socket, me)
        };
        assert!(with_mode(0o700) && with_mode(0o755));
        for mode in [0o777, 0o1777, 0o770, 0o722] {
            assert!(!with_mode(mode), "{mode:o}");
        }
        assert!(with_mode(0o700));
        assert!(!is_placed_by(Path::new("/nowhere/s"), me));
        let link = folder.path().join("link");
        symlink(&socket, &link).unwrap();
        assert!(!is_placed_by(&link, me), "a link leads anywhere");
        fs::write(folder.path().join("file"), "").unwrap();
        assert!(!is_placed_by(&folder.path().join("file"), me));
        if me == 0 {
            use std::os::unix::fs::chown;
            chown(&socket, Some(4242), None).unwrap();
            assert!(!is_placed_by(&socket, me));
            assert!(is_placed_by(&socket, 4242), "its own");
            chown(&socket, Some(0), None).unwrap();
            chown(folder.path(), Some(4242), None).unwrap();
            assert!(!is_placed_by(&socket, me));
        }
    }
}
