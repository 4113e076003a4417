//! Unfinished files with tokens, whose writer was killed.
//!
//! Owns how one is told from a file that is being written: its writer has a lock on it, which the kernel takes from a process that dies. What
//! was only just made may not be locked yet, and has nothing in it.

use std::ffi::{CStr, OsStr};
use std::fs::File;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{self, AtFlags, Dir, FileType, FlockOperation, Mode, OFlags};

use crate::clock;

/// How the hidden names of unfinished files begin.
pub(crate) const HIDDEN: &str = ".tokenctl-";
/// How many digits follow.
pub(crate) const DIGITS: usize = 24;

/// How old an empty file is whose writer is certainly gone: between its making and its lock is nothing that takes time.
const LEFT_OVER_SECONDS: i64 = 60;

/// Locks a file that is being written, for as long as it is open.
pub(crate) fn hold(file: &File) {
    // Where files cannot be locked, only their age tells.
    let _held = fs::flock(file, FlockOperation::NonBlockingLockExclusive);
}

/// Removes the unfinished files of these users whose writers are gone; of all users if none are named.
pub(crate) fn remove(directory: &File, users: &[u32]) {
    each(directory, users, |name| {
        // What cannot be removed is found again by the next start.
        let _failed = fs::unlinkat(directory, name, AtFlags::empty());
    });
}

/// The paths of the unfinished files whose writers are gone, in this directory.
pub(crate) fn find(path: &Path, directory: &File) -> Vec<PathBuf> {
    let mut found = Vec::new();
    each(directory, &[], |name| {
        found.push(path.join(OsStr::from_bytes(name.to_bytes())));
    });
    found
}

fn each(directory: &File, users: &[u32], mut take: impl FnMut(&CStr)) {
    let now = clock::now().as_second();
    for entry in Dir::read_from(directory).into_iter().flatten() {
        let Ok(entry) = entry else { return };
        let name = entry.file_name();
        if is_hidden(name.to_bytes()) && is_left(directory, name, users, now) {
            take(name);
        }
    }
}

fn is_hidden(name: &[u8]) -> bool {
    let digits = name.strip_prefix(HIDDEN.as_bytes());
    digits.is_some_and(|it| it.len() == DIGITS && it.iter().all(u8::is_ascii_hexdigit))
}

fn is_left(directory: &File, name: &CStr, users: &[u32], now: i64) -> bool {
    let Ok(found) = fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) else {
        return false;
    };
    if FileType::from_raw_mode(found.st_mode) != FileType::RegularFile
        || !(users.is_empty() || users.contains(&found.st_uid))
    {
        return false;
    }
    let is_old = now.saturating_sub(found.st_ctime) > LEFT_OVER_SECONDS;
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = fs::openat(directory, name, flags, Mode::empty());
    match file.map(|file| fs::flock(&file, FlockOperation::NonBlockingLockExclusive)) {
        Ok(Ok(())) => found.st_size > 0 || is_old,
        Ok(Err(rustix::io::Errno::WOULDBLOCK)) => false,
        _ => is_old,
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{symlink_metadata, write};

    use super::*;

    #[test]
    fn what_a_killed_writer_left_goes_and_what_is_being_written_stays() {
        let top = tempfile::tempdir().unwrap();
        let at = |name: &str| top.path().join(name);
        let hidden = |digit: &str| format!("{HIDDEN}{}", digit.repeat(DIGITS));
        let (half, held, fresh) = (hidden("1"), hidden("2"), hidden("3"));
        write(at(&half), "half").unwrap();
        write(at(&held), "half").unwrap();
        write(at(&fresh), "").unwrap();
        let others = ["token", ".tokenctl-1.lock", ".tokenctl-x"];
        for name in others {
            write(at(name), "whole").unwrap();
        }
        let link = hidden("4");
        std::os::unix::fs::symlink("token", at(&link)).unwrap();
        let writer = File::open(at(&held)).unwrap();
        hold(&writer);
        let directory = File::open(top.path()).unwrap();
        assert_eq!(find(top.path(), &directory), [at(&half)]);
        remove(&directory, &[u32::MAX - 1]);
        assert!(at(&half).exists(), "another user's");
        remove(&directory, &[rustix::process::geteuid().as_raw()]);
        assert!(!at(&half).exists());
        for stays in [&[held.as_str(), &fresh, &link], &others[..]].concat() {
            assert!(symlink_metadata(at(stays)).is_ok(), "{stays}");
        }
        drop(writer);
        remove(&directory, &[]);
        assert!(!at(&held).exists() && at(&fresh).exists());
        // Empty, and old.
        let name = std::ffi::CString::new(fresh).unwrap();
        let made = fs::statat(&directory, &name, AtFlags::empty())
            .unwrap()
            .st_ctime;
        assert!(!is_left(&directory, &name, &[], made + LEFT_OVER_SECONDS));
        assert!(is_left(
            &directory,
            &name,
            &[],
            made + LEFT_OVER_SECONDS + 1
        ));
    }
}
