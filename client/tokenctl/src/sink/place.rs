//! Where a sink may put a file with a token.
//!
//! Owns the rules: a directory of the sink's own user that nobody else can write to, reached through directories that only root and that
//! user can change, and through no symbolic link. They hold at each write, not only when the configuration is checked: the way is walked
//! by descriptors, so nobody can exchange a part of it after it was looked at.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::{left_over, words};

/// The longest name of a file: beside it is that of its lock, a hidden one with an ending.
pub(super) const LONGEST_NAME: usize = 249;

/// A directory, and the name of a file in it.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) directory: File,
    pub(super) name: OsString,
}

/// Why a file cannot be there, and what to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unfit {
    pub(super) what: String,
    pub(super) advice: String,
}

/// Holder directory it has to be.
#[derive(Debug, Clone, Copy)]
pub(super) enum Holder {
    /// This user's.
    User(u32),
    /// Any one user's: root checks the sinks of others, and systemd says later who runs them.
    Anyone,
}

impl Unfit {
    fn new(what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            advice: advice.into(),
        }
    }

    pub(super) fn in_one_line(&self) -> String {
        format!("{}; {}", self.what, self.advice)
    }
}

impl Place {
    /// Walks to the directory of this path.
    pub(super) fn open(path: &Path, holder: Holder) -> Result<Self, Unfit> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(Unfit::new(
                format!("{} names no file", shown(path)),
                "name the file, with its directory",
            ));
        };
        if name.len() > LONGEST_NAME {
            return Err(Unfit::new(
                format!("the name of {} is too long", shown(path)),
                format!("give the file a name of at most {LONGEST_NAME} bytes"),
            ));
        }
        let mut here = PathBuf::from("/");
        let mut steps = vec![look(&here, None)?];
        for part in parent.components() {
            let Component::Normal(part) = part else {
                match part {
                    Component::RootDir => continue,
                    _ => {
                        return Err(Unfit::new(
                            format!("{} is not written in full", shown(path)),
                            "begin it with /, and leave out ..",
                        ));
                    }
                }
            };
            here.push(part);
            let above = steps.last().map(|(directory, _, _)| (directory, part));
            let next = look(&here, above)?;
            steps.push(next);
        }
        let user = demand_owner(&steps, holder)?;
        for (_, found, here) in &steps {
            demand_closed(here, found, user)?;
        }
        // Where others may put files of their own, one of theirs would be read once ours is gone.
        if let Some((.., here)) = steps.last().filter(|(_, it, _)| it.st_mode & 0o022 != 0) {
            return Err(Unfit::new(
                format!("others can put files of their own into {}", shown(here)),
                "name a directory that only its user can write to",
            ));
        }
        let Some((directory, ..)) = steps.pop() else {
            return Err(Unfit::new("there is no directory", "name one"));
        };
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let directory = fs::openat(&directory, ".", flags, Mode::empty())
            .map_err(|error| unreachable_place(&here, error))?;
        let place = Self {
            directory: directory.into(),
            name: name.to_owned(),
        };
        place.demand_file(path)?;
        Ok(place)
    }

    /// What stands there, if anything does.
    pub(super) fn stat(&self) -> Option<Stat> {
        fs::statat(&self.directory, &self.name, AtFlags::SYMLINK_NOFOLLOW).ok()
    }

    /// The file that stands there.
    pub(super) fn file(&self) -> Option<File> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = fs::openat(&self.directory, &self.name, flags, Mode::empty());
        file.ok().map(File::from)
    }

    /// Whether this is the same directory as another.
    pub(super) fn is_beside(&self, other: &Self) -> bool {
        let of = |place: &Self| fs::fstat(&place.directory).map(|it| (it.st_dev, it.st_ino));
        matches!((of(self), of(other)), (Ok(one), Ok(two)) if one == two)
    }

    /// Removes the file, also if its directory was moved elsewhere since.
    pub(super) fn remove(&self) -> Result<(), Errno> {
        match fs::unlinkat(&self.directory, &self.name, AtFlags::empty()) {
            Err(Errno::NOENT) => Ok(()),
            removed => removed,
        }
    }

    /// Removes the unfinished files of writers that were killed.
    pub(super) fn clean(&self) {
        left_over::remove(&self.directory, &[]);
    }

    fn demand_file(&self, path: &Path) -> Result<(), Unfit> {
        let kind = match self.stat() {
            None => return Ok(()),
            Some(found) => FileType::from_raw_mode(found.st_mode),
        };
        match kind {
            FileType::RegularFile => Ok(()),
            FileType::Symlink => Err(linked(path)),
            _ => Err(Unfit::new(
                format!("{} is no regular file", shown(path)),
                "name a file, or a new name",
            )),
        }
    }
}

type Step = (OwnedFd, Stat, PathBuf);

/// Opens one directory of the way, below the one before.
fn look(here: &Path, above: Option<(&OwnedFd, &OsStr)>) -> Result<Step, Unfit> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::PATH | OFlags::CLOEXEC;
    let opened = match above {
        None => fs::open(here, flags, Mode::empty()),
        Some((above, name)) => {
            let found = fs::statat(above, name, AtFlags::SYMLINK_NOFOLLOW);
            if found.is_ok_and(|it| FileType::from_raw_mode(it.st_mode) == FileType::Symlink) {
                return Err(linked(here));
            }
            fs::openat(above, name, flags, Mode::empty())
        }
    };
    let directory = opened.map_err(|error| unreachable_place(here, error))?;
    let found = fs::fstat(&directory).map_err(|error| unreachable_place(here, error))?;
    Ok((directory, found, here.to_owned()))
}

/// The user whose directory it is.
fn demand_owner(steps: &[Step], holder: Holder) -> Result<u32, Unfit> {
    let Some((_, found, here)) = steps.last() else {
        return Ok(0);
    };
    match holder {
        Holder::Anyone => Ok(found.st_uid),
        Holder::User(user) if found.st_uid == user => Ok(user),
        Holder::User(user) => Err(Unfit::new(
            format!(
                "{} belongs to user {}, and a sink of user {user} writes only to a directory of its own",
                shown(here),
                found.st_uid
            ),
            format!(
                "name a directory of user {user}, or run the sink as user {}",
                found.st_uid
            ),
        )),
    }
}

/// Whether nobody but root and the user can put something else there.
fn demand_closed(here: &Path, found: &Stat, user: u32) -> Result<(), Unfit> {
    if ![0, user].contains(&found.st_uid) {
        return Err(Unfit::new(
            format!(
                "{} belongs to user {}, who could put another directory in its place",
                shown(here),
                found.st_uid
            ),
            format!("name a directory below ones of root and of user {user} only"),
        ));
    }
    let is_own = found.st_mode & 0o1000 == 0;
    match found.st_mode & 0o022 != 0 && is_own {
        true => Err(Unfit::new(
            format!("others can write to the directory {}", shown(here)),
            format!("run: chmod go-w {}", shown(here)),
        )),
        false => Ok(()),
    }
}

fn linked(path: &Path) -> Unfit {
    Unfit::new(
        format!("{} is a symbolic link", shown(path)),
        "write the path that it leads to (realpath prints it)",
    )
}

fn unreachable_place(here: &Path, error: Errno) -> Unfit {
    let advice = match error {
        Errno::NOENT => "make the directory, as the user who runs the sink",
        Errno::ACCESS => "let the user who runs the sink search every directory on the way",
        _ => "name a directory of the user who runs the sink",
    };
    Unfit::new(format!("{}: {error}", shown(here)), advice)
}

pub(super) fn shown(path: &Path) -> String {
    words::plain(&path.display().to_string())
}

#[cfg(test)]
mod tests {
    use std::fs::{Permissions, create_dir, create_dir_all, set_permissions};
    use std::os::unix::fs::{PermissionsExt as _, chown, symlink};

    use rustix::process::geteuid;

    use super::*;

    fn fault(path: &Path) -> String {
        let me = Holder::User(geteuid().as_raw());
        Place::open(path, me).map_or_else(|it| it.what, |_| String::new())
    }

    fn mode(path: &Path, mode: u32) {
        set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_file_is_only_where_its_user_alone_decides_what_is_there() {
        let top = tempfile::tempdir().unwrap();
        let at = |name: &str| top.path().join(name);
        create_dir_all(at("a/b")).unwrap();
        mode(&at("a"), 0o755);
        mode(&at("a/b"), 0o750);
        assert_eq!(fault(&at("a/b/token")), "");
        symlink(at("a"), at("link")).unwrap();
        symlink("elsewhere", at("a/b/linked")).unwrap();
        create_dir(at("a/b/directory")).unwrap();
        for (path, words) in [
            ("link/b/token", "link is a symbolic link"),
            ("a/b/linked", "linked is a symbolic link"),
            ("a/b/directory", "directory is no regular file"),
            ("a/absent/token", "absent: No such file or directory"),
            ("a/../a/b/token", "is not written in full"),
        ] {
            let fault = fault(&at(path));
            assert!(fault.contains(words), "{path}: {fault}");
        }
        for others in [0o770, 0o757, 0o722] {
            mode(&at("a"), others);
            let fault = fault(&at("a/b/token"));
            assert!(fault.contains("others can write to"), "{others:o}: {fault}");
        }
        mode(&at("a"), 0o1777);
        assert_eq!(fault(&at("a/b/token")), "", "names can only be added there");
        mode(&at("a/b"), 0o770);
        assert!(fault(&at("a/b/token")).contains("others can write to"));
        mode(&at("a/b"), 0o1777);
        let fault = fault(&at("a/b/token"));
        assert!(
            fault.contains("others can put files of their own into"),
            "{fault}"
        );
    }

    #[test]
    fn another_users_directory_is_refused_to_all_but_that_user() {
        if !geteuid().is_root() {
            return;
        }
        let top = tempfile::tempdir().unwrap();
        mode(top.path(), 0o755);
        let (own, other) = (top.path().join("own"), top.path().join("own/other"));
        create_dir_all(&other).unwrap();
        chown(&own, Some(4242), None).unwrap();
        let open = |path: &Path, holder| Place::open(&path.join("token"), holder);
        assert!(open(&own, Holder::User(4242)).is_ok());
        assert!(open(&own, Holder::Anyone).is_ok());
        let refused = open(&own, Holder::User(0)).unwrap_err();
        assert!(refused.what.contains("belongs to user 4242"), "{refused:?}");
        // Root's, below one that another user can exchange.
        let refused = open(&other, Holder::User(0)).unwrap_err();
        assert!(refused.what.contains("could put another"), "{refused:?}");
    }
}
