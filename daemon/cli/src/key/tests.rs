//! What a person sees who replaces the key of a store.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use tempfile::TempDir;
use tokend_store::{RedbStore, SealingKey};

use super::*;
use crate::printing::tests::captured;

struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("temporary directory");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).expect("chmod");
        Self(dir)
    }

    /// A first start.
    fn started(self) -> Self {
        let state = StateDir::acquire(self.0.path()).expect("acquire");
        let key =
            SealingKey::load_or_create(&self.0.path().join(KEY_FILE), &state).expect("a new key");
        drop(RedbStore::open(state, key).expect("a new store"));
        self
    }

    /// What the command says and how it ends; the directory is written as `DIR`.
    fn run(&self, command: &KeyCommand) -> (Exit, String, String) {
        let environment = Environment::default();
        let (exit, out, err) = captured(|output| run(command, &environment, output));
        let text = |text: String| text.replace(&self.0.path().display().to_string(), "DIR");
        (exit, text(out), text(err))
    }

    fn rotate(&self, change: impl FnOnce(&mut RotateArgs)) -> (Exit, String, String) {
        let mut args = RotateArgs {
            state_dir: Some(self.0.path().to_path_buf()),
            ..RotateArgs::default()
        };
        change(&mut args);
        self.run(&KeyCommand::Rotate(args))
    }
}

#[test]
fn a_key_file_is_replaced_and_said_where_it_is() {
    let place = Place::new().started();
    let (exit, out, err) = place.rotate(|_| {});
    assert_eq!((exit, err.as_str()), (Exit::Success, ""));
    assert_eq!(
        out,
        "0 records are sealed with the new key\nit is in DIR/tokend.key; back it up with the store\n"
    );
    drop(place.started());
}

#[test]
fn a_key_for_a_credential_is_made_and_used() {
    let place = Place::new().started();
    let new = place.0.path().join("new");
    let make = KeyCommand::New { file: new.clone() };
    let (exit, out, _) = place.run(&make);
    assert_eq!(
        (exit, out.as_str()),
        (Exit::Success, "a new key is in DIR/new\n")
    );
    let (exit, _, err) = place.run(&make);
    assert_eq!(exit, Exit::Config);
    assert!(err.starts_with("tokend: DIR/new is there already"), "{err}");
    let (exit, out, err) = place.rotate(|args| args.new_key = Some(new.clone()));
    assert_eq!((exit, err.as_str()), (Exit::Success, ""));
    assert!(out.contains("make DIR/new the credential"), "{out}");
    let (exit, out, _) = place.rotate(|args| args.new_key = Some(new));
    assert_eq!(exit, Exit::Success);
    assert!(
        out.starts_with("the store is sealed with the new key already"),
        "{out}"
    );
}

#[test]
fn a_running_daemon_and_an_empty_directory_are_told() {
    let place = Place::new();
    let (exit, out, err) = place.rotate(|_| {});
    assert_eq!((exit, out.as_str()), (Exit::Config, ""));
    assert_eq!(
        err,
        "tokend: DIR holds no store yet: start tokend once, or name another directory with --state-dir\n"
    );
    let place = place.started();
    let held = StateDir::acquire(place.0.path()).expect("acquire");
    let (exit, _, err) = place.rotate(|_| {});
    drop(held);
    assert_eq!(exit, Exit::NotNow);
    assert!(err.contains("is in use by another tokend"), "{err}");
    let (exit, _, err) = place.rotate(|args| args.new_key = Some(place.0.path().join("none")));
    assert_eq!(exit, Exit::Config);
    assert_eq!(err, "tokend: DIR/none: there is no such file\n");
}

#[test]
fn the_stores_own_key_files_are_no_key_to_seal_it_with_by_any_name() {
    let own = "tokend.key";
    let next = "tokend.key.next";
    let half_made = "tokend.key.next.0123456789abcdef.new";
    for committed in [false, true] {
        for named in [
            own,
            next,
            half_made,
            "hard",
            "soft",
            "through/tokend.key.next",
        ] {
            for leads_to in [own, next] {
                for old_key in [None, Some(own), Some(next)] {
                    let place = Place::new().started();
                    let path = |name: &str| place.0.path().join(name);
                    make_key_file(&path(next)).expect("made");
                    make_key_file(&path(half_made)).expect("made");
                    if committed {
                        // Sealed with the new key, which has not taken the old one's place.
                        fs::rename(path(next), path("new")).expect("rename");
                        let (exit, ..) = place.rotate(|args| args.new_key = Some(path("new")));
                        assert_eq!(exit, Exit::Success);
                        fs::rename(path("new"), path(next)).expect("rename");
                        make_key_file(&path(half_made)).expect("made");
                    }
                    fs::hard_link(path(leads_to), path("hard")).expect("link");
                    std::os::unix::fs::symlink(leads_to, path("soft")).expect("link");
                    std::os::unix::fs::symlink(".", path("through")).expect("link");
                    let (exit, out, err) = place.rotate(|args| {
                        args.old_key = old_key.map(path);
                        args.new_key = Some(path(named));
                    });
                    assert_eq!((exit, out.as_str()), (Exit::Config, ""), "{named}: {err}");
                    let expected =
                        format!("tokend: DIR/{named} is one of the store's own key files");
                    assert!(err.starts_with(&expected), "{err}");
                    // What it says to do instead works, and the store opens with the key in its file.
                    let (exit, _, err) = place.rotate(|_| {});
                    assert_eq!((exit, err.as_str()), (Exit::Success, ""), "{named}");
                    drop(place.started());
                }
            }
        }
    }
}

/// A user nobody has on any machine of ours, and another.
const THEM: u32 = 40_123;
const OTHER: u32 = 40_124;

#[test]
fn root_seals_a_users_store_with_keys_that_only_root_can_read() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let place = Place::new().started();
    let give = |path: &Path, uid| std::os::unix::fs::chown(path, Some(uid), Some(uid)).unwrap();
    let inside = fs::read_dir(place.0.path()).unwrap();
    for path in inside.map(|entry| entry.unwrap().path()) {
        give(&path, THEM);
    }
    give(place.0.path(), THEM);
    // As `sudo tokend key new` leaves them in a directory of root's, with the steps of the help.
    let roots = tempfile::tempdir().unwrap();
    fs::set_permissions(roots.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let made = |name: &str| {
        let file = roots.path().join(name);
        let (exit, ..) = place.run(&KeyCommand::New { file: file.clone() });
        assert_eq!(exit, Exit::Success);
        file
    };
    let rotate = |old: Option<&Path>, new: &Path| {
        // Only this thread gives its privileges up.
        std::thread::scope(|scope| {
            let rotate = || {
                place.rotate(|args| {
                    args.old_key = old.map(Path::to_path_buf);
                    args.new_key = Some(new.to_path_buf());
                })
            };
            scope.spawn(rotate).join().unwrap()
        })
    };
    let (first, second, third) = (made("1"), made("2"), made("3"));
    give(&third, THEM);
    let kept = place.0.path().join(KEY_FILE);
    for (old, new) in [
        (Some(&*kept), &first),
        (Some(&*first), &second),
        (Some(&*second), &third),
    ] {
        let (exit, out, err) = rotate(old, new);
        assert_eq!((exit, err.as_str()), (Exit::Success, ""));
        assert!(out.starts_with("0 records are sealed"), "{out}");
    }
    // Nothing of root's is left where the daemon could not read it.
    for entry in fs::read_dir(place.0.path()).unwrap() {
        use std::os::unix::fs::MetadataExt as _;
        assert_eq!(entry.unwrap().metadata().unwrap().uid(), THEM);
    }
    // A stranger may have made theirs up, or know it.
    let strangers = made("4");
    give(&strangers, OTHER);
    let (exit, _, err) = rotate(Some(&third), &strangers);
    assert_eq!(exit, Exit::Config);
    assert!(err.contains("belongs to user 40124"), "{err}");
}
