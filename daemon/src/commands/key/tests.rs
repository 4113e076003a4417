//! What a person sees who replaces the key of a store.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use tempfile::TempDir;
use tokend_store::RedbStore;

use super::*;

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
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let environment = Environment::default();
        let exit = run(command, &environment, &mut out, &mut err, Medium::Plain);
        let text = |bytes| {
            let text = String::from_utf8(bytes).expect("UTF-8");
            text.replace(&self.0.path().display().to_string(), "DIR")
        };
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
