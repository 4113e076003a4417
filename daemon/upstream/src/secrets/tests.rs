//! The permission matrix of secret files, and commands that misbehave.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::time::Duration;

use secrecy::ExposeSecret as _;

use super::*;
use tokend_egress::Egress;

mod commands;

const SECRET: &str = "p%40ss word+é";

fn source() -> SecretSource {
    SecretSource {
        credentials: None,
        command_timeout: Duration::from_secs(30),
        owner: rustix::process::geteuid().as_raw(),
        egress: None,
        person: None,
    }
}

fn file(path: &Path) -> SecretRef {
    of_mode(path, FileMode::Private)
}

fn mounted(path: &Path) -> SecretRef {
    of_mode(path, FileMode::AsMounted)
}

fn of_mode(path: &Path, mode: FileMode) -> SecretRef {
    let path = path.into();
    SecretPlace::File { path, mode }.into()
}

fn whole(secret: SecretRef) -> SecretRef {
    SecretRef {
        whole: true,
        ..secret
    }
}

fn command(argv: &[&str]) -> SecretRef {
    SecretPlace::Command(argv.iter().map(|word| Box::from(*word)).collect()).into()
}

fn write(path: &Path, contents: impl AsRef<[u8]>, mode: u32) {
    fs::write(path, contents).expect("write");
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("chmod");
}

async fn read(place: &SecretRef, source: &SecretSource) -> Result<String, SecretError> {
    resolve(place, source)
        .await
        .map(|secret| secret.expose_secret().to_owned())
}

async fn refused(place: &SecretRef, source: &SecretSource) -> String {
    let error = resolve(place, source).await.expect_err("must be refused");
    let (shown, debugged) = (error.to_string(), format!("{error:?}"));
    assert!(
        !shown.contains(SECRET) && !debugged.contains(SECRET),
        "{shown} {debugged}"
    );
    shown
}

#[tokio::test]
async fn the_permission_matrix_of_a_file() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let path = dir.path().join("secret");
    for mode in [0o600, 0o400, 0o700] {
        write(&path, SECRET, mode);
        assert_eq!(
            read(&file(&path), &source()).await.expect("readable"),
            SECRET,
            "{mode:o}"
        );
    }
    for mode in [
        0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o644, 0o666, 0o777,
    ] {
        write(&path, SECRET, mode);
        let shown = refused(&file(&path), &source()).await;
        let path = path.display();
        assert_eq!(
            shown,
            format!(
                "file {path} has mode {mode:04o}, so others can reach the secret: chmod 600 {path}, \
                 and change the secret if others have used this machine; if a container runtime mounts it and its mode cannot be \
                 changed, write {{ file = \"{path}\", mode = \"as-mounted\" }}"
            )
        );
    }
}

#[tokio::test]
async fn a_file_of_another_user_is_refused_and_one_of_root_is_not() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let path = dir.path().join("secret");
    write(&path, SECRET, 0o600);
    let mine = rustix::process::geteuid().as_raw();
    let somebody = SecretSource {
        owner: 4242,
        ..source()
    };
    let outcome = read(&file(&path), &somebody).await;
    if mine == 0 {
        assert_eq!(outcome.expect("root's files are trusted"), SECRET);
        rustix::fs::chown(&path, Some(rustix::fs::Uid::from_raw(77)), None).expect("chown");
        let shown = refused(&file(&path), &somebody).await;
        assert!(
            shown.contains(&format!("chown 4242 {};", path.display())),
            "{shown}"
        );
        assert!(shown.contains("belongs to user 77"), "{shown}");
    } else {
        assert!(
            matches!(outcome, Err(SecretError::File { why: FileError::WrongOwner { found, wanted: 4242, .. }, .. }) if found == mine)
        );
    }
}

/// What the kubelet makes of a secret: the file is a link to one in a directory that a link leads to.
fn as_kubernetes_mounts(dir: &Path, file_mode: u32) -> PathBuf {
    let data = dir.join("..2026_11_30");
    fs::create_dir(&data).expect("mkdir");
    write(&data.join("secret"), SECRET, file_mode);
    symlink("..2026_11_30", dir.join("..data")).expect("symlink");
    symlink("..data/secret", dir.join("secret")).expect("symlink");
    dir.join("secret")
}

#[tokio::test]
async fn a_link_is_followed_where_nobody_else_can_turn_it_elsewhere() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let path = as_kubernetes_mounts(dir.path(), 0o600);
    let read_by = async |path: &Path| read(&file(path), &source()).await;
    assert_eq!(read_by(&path).await.expect("readable"), SECRET);
    // The kubelet's own directory is open to all, and sticky.
    fs::set_permissions(dir.path(), Permissions::from_mode(0o1777)).expect("chmod");
    assert_eq!(read_by(&path).await.expect("readable"), SECRET);
    for mode in [0o777, 0o770, 0o702] {
        fs::set_permissions(dir.path(), Permissions::from_mode(mode)).expect("chmod");
        let shown = refused(&file(&path), &source()).await;
        let expected = format!(
            "file {} is a symbolic link through {}, which other users can change; name the file that it leads to",
            path.display(),
            dir.path().display()
        );
        assert_eq!(shown, expected, "{mode:o}");
    }
    fs::set_permissions(dir.path(), Permissions::from_mode(0o700)).expect("chmod");
    // An absolute link, one by way of `..`, and one in a directory that only may be gone through.
    let inner = dir.path().join("inner");
    fs::create_dir(&inner).expect("mkdir");
    symlink(&path, inner.join("absolute")).expect("symlink");
    symlink("../secret", inner.join("back")).expect("symlink");
    fs::set_permissions(&inner, Permissions::from_mode(0o300)).expect("chmod");
    for link in ["absolute", "back"] {
        assert_eq!(read_by(&inner.join(link)).await.expect("readable"), SECRET);
    }
    symlink("round", dir.path().join("round")).expect("symlink");
    let shown = refused(&file(&dir.path().join("round")), &source()).await;
    assert!(shown.contains("more than 40 symbolic links"), "{shown}");
    // What a link leads to must be private like any other.
    let open = dir.path().join("..2026_11_30/secret");
    fs::set_permissions(open, Permissions::from_mode(0o640)).expect("chmod");
    assert!(refused(&file(&path), &source()).await.contains("mode 0640"));
    assert_eq!(
        read(&mounted(&path), &source()).await.expect("readable"),
        SECRET
    );
}

#[tokio::test]
async fn a_mounted_file_may_be_readable_and_never_writable_by_others() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let path = dir.path().join("secret");
    for mode in [0o400, 0o440, 0o444, 0o640, 0o644, 0o600] {
        write(&path, SECRET, mode);
        let outcome = read(&mounted(&path), &source()).await;
        assert_eq!(outcome.expect("readable"), SECRET, "{mode:o}");
    }
    for mode in [0o660, 0o646, 0o666, 0o622] {
        write(&path, SECRET, mode);
        let shown = refused(&mounted(&path), &source()).await;
        assert!(shown.contains(&format!("has mode {mode:04o}")), "{shown}");
        assert!(!shown.contains("as-mounted"), "it is said already: {shown}");
    }
}

#[tokio::test]
async fn directories_and_pipes_are_refused() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let not_a_file = format!("file {} is not a regular file", dir.path().display());
    assert_eq!(refused(&file(dir.path()), &source()).await, not_a_file);

    let pipe = dir.path().join("pipe");
    let made = std::process::Command::new("mkfifo")
        .arg(&pipe)
        .status()
        .expect("mkfifo");
    assert!(made.success());
    let not_a_file = format!("file {} is not a regular file", pipe.display());
    assert_eq!(refused(&file(&pipe), &source()).await, not_a_file);
}

#[tokio::test]
async fn a_missing_file_says_so() {
    let shown = refused(&file(Path::new("/nowhere/secret")), &source()).await;
    assert_eq!(
        shown,
        "file /nowhere/secret: No such file or directory (os error 2); create it with mode 600, or correct the path"
    );
}

#[tokio::test]
async fn a_secret_is_one_line_without_what_editors_put_around_it() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let path = dir.path().join("secret");
    let table = [
        ("a\n", "a"),
        ("a\r\n", "a"),
        ("a\n\n", "a"),
        ("a\r", "a"),
        (" a \n", " a "),
        ("\u{feff}a\n", "a"),
    ];
    for (contents, secret) in table {
        write(&path, contents, 0o600);
        let outcome = read(&file(&path), &source()).await;
        assert_eq!(outcome.expect("readable"), secret, "{contents:?}");
    }
    write(&path, format!("{SECRET}\nuser: me\n\n"), 0o600);
    assert_eq!(
        refused(&file(&path), &source()).await,
        format!(
            "file {} has 2 lines, and a secret is one line; remove the others, or add `whole = true` to the reference if all \
             lines are the secret",
            path.display()
        )
    );
    let outcome = read(&whole(file(&path)), &source()).await;
    assert_eq!(outcome.expect("readable"), format!("{SECRET}\nuser: me"));
    write(&path, format!("{SECRET}\0\n"), 0o600);
    for secret in [file(&path), whole(file(&path))] {
        assert!(
            refused(&secret, &source())
                .await
                .contains("holds a NUL byte")
        );
    }
}

#[tokio::test]
async fn empty_long_and_binary_contents_are_refused() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let path = dir.path().join("secret");
    let place = path.display().to_string();
    let longest = "x".repeat(MAX_SECRET);
    let table: [(Vec<u8>, String); 5] = [
        (vec![], format!("file {place} is empty")),
        (b"\n".to_vec(), format!("file {place} is empty")),
        (
            b"caf\xe9".to_vec(),
            format!("file {place} is not UTF-8 text; a secret that is sent to a provider must be"),
        ),
        (
            format!("{longest}x\n").into(),
            format!("file {place} is longer than 65536 bytes; check that it is the right one"),
        ),
        (
            "x".repeat(1 << 20).into(),
            format!("file {place} is longer than 65536 bytes; check that it is the right one"),
        ),
    ];
    for (contents, expected) in table {
        write(&path, contents, 0o600);
        assert_eq!(refused(&file(&path), &source()).await, expected);
    }
    write(&path, format!("{longest}\n"), 0o600);
    assert_eq!(
        read(&file(&path), &source()).await.expect("fits").len(),
        MAX_SECRET
    );
}

#[tokio::test]
async fn credentials_come_from_systemds_directory() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let place = SecretRef::from(SecretPlace::Credential("ads-password".into()));
    let with = SecretSource {
        credentials: Some(dir.path().into()),
        ..source()
    };
    // systemd's ACL for the service's user shows as a group permission.
    write(&dir.path().join("ads-password"), SECRET, 0o440);
    assert_eq!(read(&place, &with).await.expect("readable"), SECRET);
    write(&dir.path().join("ads-password"), SECRET, 0o444);
    let shown = refused(&place, &with).await;
    assert!(
        shown.contains("has mode 0444") && !shown.contains("as-mounted"),
        "{shown}"
    );
    assert_eq!(
        refused(&place, &source()).await,
        "credential ads-password: $CREDENTIALS_DIRECTORY is not set; add LoadCredential=ads-password:PATH to the systemd unit, \
         or use { file = \"PATH\" } when not running under systemd"
    );
}

#[tokio::test]
async fn variables_come_from_the_environment() {
    let home = std::env::var("PATH").expect("every test has a PATH");
    assert_eq!(
        read(&SecretRef::from(SecretPlace::Env("PATH".into())), &source())
            .await
            .expect("set"),
        home
    );
    assert_eq!(
        refused(
            &SecretRef::from(SecretPlace::Env("NO_SUCH_VARIABLE_HERE".into())),
            &source()
        )
        .await,
        "environment variable NO_SUCH_VARIABLE_HERE is not set; set it where tokend is started, or use { file = \"PATH\" }"
    );
}

#[test]
fn a_reference_names_its_place_and_hides_arguments() {
    let table = [
        (
            SecretRef::from(SecretPlace::Credential("c".into())),
            "credential c",
        ),
        (file(Path::new("/a/b")), "file /a/b"),
        (
            SecretRef::from(SecretPlace::Env("V".into())),
            "environment variable V",
        ),
        (command(&["pass", "show", SECRET]), "command pass"),
    ];
    for (place, shown) in table {
        assert_eq!(place.to_string(), shown);
        assert_eq!(format!("{place:?}"), format!("SecretRef({shown})"));
    }
}
