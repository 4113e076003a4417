//! Whether a credential may be sent to a daemon, and whether others can replace what is in a directory.
//!
//! Owns these rules. A token from the wrong daemon harms nobody who asks for it; a password sent to a socket that another user put there
//! belongs to that user.

use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Component, Path, PathBuf};

use rustix::process::geteuid;
use tokend_client::BlockingClient;

use crate::failure::{Exit, Failure};

/// Fails unless the other end of this connection is root's or the caller's own, or only they could have put the socket there.
pub(crate) fn demand(client: &BlockingClient) -> Result<(), Failure> {
    let socket = client.socket().as_path();
    let me = geteuid().as_raw();
    // The peer of a socket that systemd made is root, whichever user the daemon runs as.
    let peer = client.peer_uid();
    if peer.is_some_and(|uid| [0, me].contains(&uid)) || is_placed_by(socket, me) {
        return Ok(());
    }
    let (runner, advice) = match peer {
        Some(uid) => (
            format!("belongs to user {uid}"),
            format!(
                "nothing was sent; if that is the daemon that is meant, run this as its user: sudo -u '#{uid}' tokenctl login …; \
                 else name the right one with --socket"
            ),
        ),
        None => (
            "runs as a user that the system does not name".to_owned(),
            "nothing was sent; name the right one with --socket".to_owned(),
        ),
    };
    Err(Failure::new(
        Exit::NotAllowed,
        format!(
            "the daemon at {} {runner}, and a credential is sent only to one of root or of your own",
            socket.display()
        ),
        advice,
    ))
}

/// Whether only root and `me` can have put this socket there: in its directory, or by replacing a directory on
/// the way to it.
fn is_placed_by(socket: &Path, me: u32) -> bool {
    let is_ours = |uid: u32| [0, me].contains(&uid);
    let file = fs::symlink_metadata(socket);
    let file = file.is_ok_and(|it| it.file_type().is_socket() && is_ours(it.uid()));
    let folder = std::path::absolute(socket);
    let folder = folder.as_deref().ok().and_then(Path::parent);
    file && folder.and_then(|folder| hold_of(folder, me)) == Some(Hold::Ours)
}

/// Whether nobody but root and the caller can replace what the caller puts into this directory, or the directory itself.
pub(crate) fn keeps_what_is_in(folder: &Path) -> bool {
    hold_of(folder, geteuid().as_raw()).is_some()
}

/// How many symbolic links the kernel follows in one path.
const LINKS: usize = 40;

/// Who can change the entries of a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hold {
    /// Root and the caller alone.
    Ours,
    /// Others can add names, and cannot replace those of other users.
    Shared,
}

/// Goes to a directory as the kernel would, and says who can change its entries; `None` if others can replace
/// anything on the way there, links included.
fn hold_of(folder: &Path, me: u32) -> Option<Hold> {
    let mut ahead: Vec<OsString> = names_of(folder).collect();
    let mut here = PathBuf::from("/");
    let mut hold = hold(&fs::symlink_metadata(&here).ok()?, me)?;
    let mut links = 0;
    while let Some(name) = ahead.pop() {
        if name == ".." {
            here.pop();
        } else {
            here.push(&name);
        }
        let found = fs::symlink_metadata(&here).ok()?;
        if !found.is_symlink() {
            hold = self::hold(&found, me)?;
            continue;
        }
        links += 1;
        // If others can add names, a link of ours may be a second name that they gave it.
        if hold == Hold::Shared || ![0, me].contains(&found.uid()) || links > LINKS {
            return None;
        }
        let target = fs::read_link(&here).ok()?;
        here.pop();
        if target.is_absolute() {
            here = PathBuf::from("/");
        }
        ahead.extend(names_of(&target));
        hold = self::hold(&fs::symlink_metadata(&here).ok()?, me)?;
    }
    Some(hold)
}

/// The names in a path, the last one first.
fn names_of(path: &Path) -> impl Iterator<Item = OsString> {
    let names = path
        .components()
        .rev()
        .filter(|it| matches!(it, Component::Normal(_) | Component::ParentDir));
    names.map(|it| it.as_os_str().to_owned())
}

fn hold(found: &Metadata, me: u32) -> Option<Hold> {
    if !found.is_dir() || ![0, me].contains(&found.uid()) {
        return None;
    }
    match (found.mode() & 0o022 == 0, found.mode() & 0o1000 != 0) {
        (true, _) => Some(Hold::Ours),
        (false, true) => Some(Hold::Shared),
        (false, false) => None,
    }
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

    #[test]
    fn every_directory_that_leads_to_a_socket_is_one_that_others_cannot_replace() {
        let top = tempfile::tempdir().unwrap();
        let me = geteuid().as_raw();
        let at = |name: &str| top.path().join(name);
        fs::create_dir_all(at("a/b")).unwrap();
        let mode = |path: &Path, mode| {
            fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        };
        for path in [at("a"), at("a/b")] {
            mode(&path, 0o755);
        }
        let _listener = UnixListener::bind(at("a/b/s")).unwrap();
        symlink("a/b", at("near")).unwrap();
        symlink(at("a/../near"), at("far")).unwrap();
        symlink("round", at("round")).unwrap();
        let names = ["a/b/s", "a/../a/b/s", "near/s", "far/s"];
        let trusted = || names.map(|name| is_placed_by(&at(name), me));
        assert_eq!(trusted(), [true; 4]);
        assert!(!is_placed_by(&at("round/s"), me));
        // Others can put another `b` in its place, although only we can write to the directory of the socket.
        for others in [0o777, 0o775, 0o722] {
            mode(&at("a"), others);
            assert_eq!(trusted(), [false; 4], "{others:o}");
        }
        // Not if they can only add names.
        mode(&at("a"), 0o1777);
        assert_eq!(trusted(), [true; 4]);
        // But a link there may be one that they made.
        mode(&at("a"), 0o755);
        mode(top.path(), 0o1777);
        assert_eq!(trusted(), [true, true, false, false]);
        mode(top.path(), 0o777);
        assert_eq!(trusted(), [false; 4]);
        mode(top.path(), 0o700);
        if me == 0 {
            use std::os::unix::fs::{chown, lchown};
            lchown(at("near"), Some(4242), None).unwrap();
            assert_eq!(trusted(), [true, true, false, false], "a link of others");
            chown(at("a"), Some(4242), None).unwrap();
            assert_eq!(trusted(), [false; 4], "a directory of others");
        }
    }
}
