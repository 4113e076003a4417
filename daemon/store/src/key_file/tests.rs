//! Keys are made once, whole and private, and taken from nowhere that others could have read.

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use tempfile::TempDir;

use super::*;

struct Place {
    dir: TempDir,
    state: StateDir,
}

fn place() -> Place {
    let dir = TempDir::new().unwrap();
    let state = StateDir::acquire(&dir.path().join("state")).unwrap();
    Place { dir, state }
}

impl Place {
    fn key(&self) -> PathBuf {
        self.dir.path().join("key")
    }

    fn write(&self, bytes: &[u8], mode: u32) {
        fs::write(self.key(), bytes).unwrap();
        fs::set_permissions(self.key(), Permissions::from_mode(mode)).unwrap();
    }

    fn load(&self) -> Result<SealingKey, KeyError> {
        SealingKey::load_or_create(&self.key(), &self.state)
    }
}

#[test]
fn a_key_is_made_once_private_and_whole() {
    let place = place();
    place.load().unwrap();
    let bytes = fs::read(place.key()).unwrap();
    let mode = fs::metadata(place.key()).unwrap().permissions().mode();
    assert_eq!((bytes.len(), mode & 0o7777), (KEY_BYTES, 0o600));
    assert_ne!(bytes, [0; KEY_BYTES]);

    place.load().unwrap();
    assert_eq!(fs::read(place.key()).unwrap(), bytes);
    let left: Vec<_> = fs::read_dir(place.dir.path()).unwrap().collect();
    assert_eq!(
        left.len(),
        2,
        "the key and the state directory, nothing else: {left:?}"
    );
}

#[test]
fn a_key_made_by_someone_else_a_moment_earlier_counts() {
    let place = place();
    place.write(&[9; KEY_BYTES], 0o600);
    assert!(matches!(create(&place.key()), Err(KeyError::Exists { .. })));
    place.load().unwrap();
    assert_eq!(fs::read(place.key()).unwrap(), [9; KEY_BYTES]);
}

#[test]
fn only_what_was_left_half_made_is_taken_away() {
    let place = place();
    let left = ["key.0123456789abcdef.new", "key.next.00000000deadbeef.new"];
    let kept = [
        "key",
        "key.next",
        "key.new",
        "key.old.new",
        "key.0123456789abcde.new",
        "monkey.0123456789abcdef.new",
    ];
    for file in left.iter().chain(&kept) {
        fs::write(place.dir.path().join(file), [7; KEY_BYTES]).unwrap();
    }
    remove_half_made(&place.key());
    for file in left {
        assert!(!place.dir.path().join(file).exists(), "{file}");
    }
    for file in kept {
        assert!(place.dir.path().join(file).exists(), "{file}");
    }
}

#[test]
fn a_missing_key_is_not_made_anew_beside_a_database_or_its_marker() {
    for name in ["tokend.redb", "tokend.marker"] {
        let place = place();
        fs::write(place.state.path().join(name), "").unwrap();
        let error = place.load().unwrap_err();
        assert!(matches!(error, KeyError::Missing { .. }), "{error}");
        assert!(error.to_string().contains("restore the key"));
        assert!(!place.key().exists());
    }
}

#[test]
fn a_key_of_the_wrong_length_is_refused() {
    for (length, expected) in [
        (0, "0 bytes,"),
        (31, "31 bytes,"),
        (33, "33 bytes or more,"),
        (4096, "33 bytes or more,"),
    ] {
        let place = place();
        place.write(&vec![b'k'; length], 0o600);
        let message = place.load().unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
        assert!(
            !message.contains("kk"),
            "no byte of the key is in the message"
        );
    }
}

#[test]
fn a_key_others_can_reach_is_refused() {
    for mode in [0o640, 0o604, 0o620, 0o610, 0o666] {
        let place = place();
        place.write(&[7; KEY_BYTES], mode);
        let error = place.load().unwrap_err();
        assert!(
            matches!(error, KeyError::TooOpen { .. }),
            "{mode:o}: {error}"
        );
        assert!(error.to_string().contains("chmod 600"));
    }
    let place = place();
    place.write(&[7; KEY_BYTES], 0o400);
    place.load().unwrap();
}

#[test]
fn a_key_of_another_user_is_refused() {
    let path = Path::new("/k");
    assert!(check_access(path, 1000, 0o100_600, 1000).is_ok());
    let error = check_access(path, 0, 0o100_600, 1000).unwrap_err();
    assert!(matches!(
        error,
        KeyError::WrongOwner {
            owner: 0,
            us: 1000,
            ..
        }
    ));
}

#[test]
fn a_link_a_directory_or_a_pipe_is_no_key() {
    let place = place();
    let real = place.dir.path().join("real");
    fs::write(&real, [7; KEY_BYTES]).unwrap();
    fs::set_permissions(&real, Permissions::from_mode(0o600)).unwrap();
    symlink(&real, place.key()).unwrap();
    assert!(matches!(place.load(), Err(KeyError::NotAFile { .. })));

    fs::remove_file(place.key()).unwrap();
    fs::create_dir(place.key()).unwrap();
    assert!(matches!(place.load(), Err(KeyError::NotAFile { .. })));

    fs::remove_dir(place.key()).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        place.key(),
        rustix::fs::FileType::Fifo,
        Mode::RUSR,
        0,
    )
    .unwrap();
    assert!(
        matches!(place.load(), Err(KeyError::NotAFile { .. })),
        "and does not wait"
    );
}

#[test]
fn a_credential_is_read_when_there_is_one() {
    let place = place();
    let dir = place.dir.path();
    assert!(
        SealingKey::from_credentials_dir(dir, "key")
            .unwrap()
            .is_none()
    );
    // As systemd sets it: readable through an access list, which shows in the group bits.
    place.write(&[7; KEY_BYTES], 0o440);
    assert!(
        SealingKey::from_credentials_dir(dir, "key")
            .unwrap()
            .is_some()
    );
    place.write(b"short", 0o440);
    assert!(matches!(
        SealingKey::from_credentials_dir(dir, "key"),
        Err(KeyError::WrongLength { bytes: 5, .. })
    ));
}

#[test]
fn a_key_that_cannot_be_made_is_told() {
    let place = place();
    let path = place.dir.path().join("missing").join("key");
    let error = SealingKey::load_or_create(&path, &place.state).unwrap_err();
    assert!(matches!(error, KeyError::Io { .. }));
    assert!(error.to_string().contains("missing/key"), "{error}");
}
