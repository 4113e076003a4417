//! The permission matrix of secret files, and commands that misbehave.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::time::Duration;

use secrecy::ExposeSecret as _;

use super::*;

const SECRET: &str = "p%40ss word+é";

fn source() -> SecretSource {
    SecretSource {
        credentials: None,
        command_timeout: Duration::from_secs(30),
        owner: rustix::process::geteuid().as_raw(),
        egress: None,
    }
}

fn file(path: &Path) -> SecretRef {
    SecretRef::File(path.into())
}

fn command(argv: &[&str]) -> SecretRef {
    SecretRef::Command(argv.iter().map(|word| Box::from(*word)).collect())
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
                 and change the secret if others have used this machine"
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
            shown.ends_with(&format!("chown 4242 {}", path.display())),
            "{shown}"
        );
        assert!(shown.contains("belongs to user 77"), "{shown}");
    } else {
        assert!(
            matches!(outcome, Err(SecretError::WrongOwner { found, wanted: 4242, .. }) if found == mine)
        );
    }
}

#[tokio::test]
async fn links_directories_and_pipes_are_refused() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let (path, link) = (dir.path().join("secret"), dir.path().join("link"));
    write(&path, SECRET, 0o600);
    symlink(&path, &link).expect("symlink");
    assert_eq!(
        refused(&file(&link), &source()).await,
        format!(
            "file {} is a symbolic link; name the file it leads to",
            link.display()
        )
    );
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
async fn one_newline_is_trimmed_and_nothing_else() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let path = dir.path().join("secret");
    let table = [
        ("a\n", "a"),
        ("a\r\n", "a"),
        ("a\n\n", "a\n"),
        (" a \n", " a "),
        ("a\nb", "a\nb"),
    ];
    for (contents, secret) in table {
        write(&path, contents, 0o600);
        assert_eq!(
            read(&file(&path), &source()).await.expect("readable"),
            secret
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
            format!("file {place} is longer than 65536 bytes; is it the right one?"),
        ),
        (
            "x".repeat(1 << 20).into(),
            format!("file {place} is longer than 65536 bytes; is it the right one?"),
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
    let place = SecretRef::Credential("ads-password".into());
    let with = SecretSource {
        credentials: Some(dir.path().into()),
        ..source()
    };
    // systemd's ACL for the service's user shows as a group permission.
    write(&dir.path().join("ads-password"), SECRET, 0o440);
    assert_eq!(read(&place, &with).await.expect("readable"), SECRET);
    write(&dir.path().join("ads-password"), SECRET, 0o444);
    assert!(refused(&place, &with).await.contains("has mode 0444"));
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
        read(&SecretRef::Env("PATH".into()), &source())
            .await
            .expect("set"),
        home
    );
    assert_eq!(
        refused(&SecretRef::Env("NO_SUCH_VARIABLE_HERE".into()), &source()).await,
        "environment variable NO_SUCH_VARIABLE_HERE is not set; set it where tokend is started, or use { file = \"PATH\" }"
    );
}

#[tokio::test]
async fn a_command_is_run_without_a_shell() {
    let shown = read(
        &command(&["printf", "%s\n", "$HOME `id` p%40ss"]),
        &source(),
    )
    .await;
    assert_eq!(shown.expect("printed"), "$HOME `id` p%40ss");
}

#[tokio::test]
async fn a_command_sees_few_variables_and_no_input() {
    // Both are set by cargo for every test.
    let script = "printf '%s|%s|' \"$CARGO_MANIFEST_DIR$CARGO_PKG_NAME\" \"$PATH\"; cat";
    let shown = read(&command(&["sh", "-c", script]), &source())
        .await
        .expect("printed");
    let path = std::env::var("PATH").expect("every test has a PATH");
    assert_eq!(shown, format!("|{path}|"));
}

#[tokio::test]
async fn a_command_of_a_daemon_without_a_network_is_told_of_the_relay() {
    let script =
        "printf '%s|%s|%s|%s' \"$https_proxy\" \"$HTTPS_PROXY\" \"$http_proxy\" \"$HTTP_PROXY\"";
    let relay = SecretSource {
        egress: Egress::parse("127.0.0.1:3128").ok(),
        ..source()
    };
    let shown = read(&command(&["sh", "-c", script]), &relay).await;
    assert_eq!(
        shown.expect("printed"),
        ["http://127.0.0.1:3128"; 4].join("|")
    );
    let shown = read(&command(&["sh", "-c", script]), &source()).await;
    assert_eq!(shown.expect("printed"), "|||");
}

#[tokio::test]
async fn a_command_that_fails_shows_its_first_complaint_and_never_its_output() {
    let script = format!("echo '{SECRET}'; printf 'gpg: no\\033[2J key\\nmore\\n' >&2; exit 3");
    assert_eq!(
        refused(&command(&["sh", "-c", &script]), &source()).await,
        "command sh failed with exit status: 3; it said: gpg: no\\u{1b}[2J key"
    );
    let script = format!("echo '{SECRET}'; echo 'bad: {SECRET}' >&2; exit 3");
    assert_eq!(
        refused(&command(&["sh", "-c", &script]), &source()).await,
        "command sh failed with exit status: 3; it said: (not shown, as it repeats the output)"
    );
    assert_eq!(
        refused(&command(&["false", SECRET]), &source()).await,
        "command false failed with exit status: 1"
    );
}

#[tokio::test]
async fn a_command_that_is_not_there_says_so() {
    assert_eq!(
        refused(&command(&["no-such-program-here", SECRET]), &source()).await,
        "command no-such-program-here: No such file or directory (os error 2); \
         name a program on $PATH or by its full path, without a shell line"
    );
}

#[tokio::test]
async fn a_command_that_hangs_is_killed_with_all_it_started() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let pid = dir.path().join("pid");
    let script = format!(
        "sleep 1000 & echo $! > {}; echo waiting >&2; wait",
        pid.display()
    );
    // Long enough for a loaded machine to start a shell, so that there is a child to kill.
    let soon = SecretSource {
        command_timeout: Duration::from_secs(2),
        ..source()
    };
    assert_eq!(
        refused(&command(&["sh", "-c", &script]), &soon).await,
        "command sh took longer than 2 s and was killed; does it wait for somebody to type?; it said: waiting"
    );
    let child = fs::read_to_string(&pid).expect("the shell wrote it");
    let stat = format!("/proc/{}/stat", child.trim());
    // Its parent is gone, so nobody may reap it here: dead is enough.
    let alive = || fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z "));
    for _ in 0..10_000 {
        if !alive() {
            return;
        }
        tokio::task::yield_now().await;
    }
    assert!(!alive(), "what the command started is still running");
}

#[tokio::test]
async fn a_command_that_never_stops_talking_is_refused() {
    let endless = command(&[
        "sh",
        "-c",
        "head -c 1000000 /dev/zero | tr '\\0' x; head -c 1000000 /dev/zero >&2",
    ]);
    assert_eq!(
        refused(&endless, &source()).await,
        "command sh is longer than 65536 bytes; is it the right one?"
    );
}

#[test]
fn a_reference_names_its_place_and_hides_arguments() {
    let table = [
        (SecretRef::Credential("c".into()), "credential c"),
        (file(Path::new("/a/b")), "file /a/b"),
        (SecretRef::Env("V".into()), "environment variable V"),
        (command(&["pass", "show", SECRET]), "command pass"),
    ];
    for (place, shown) in table {
        assert_eq!(place.to_string(), shown);
        assert_eq!(format!("{place:?}"), format!("SecretRef({shown})"));
    }
}
