//! Every exit code of the contract except the usage ones, and the messages that go with them.

use std::os::unix::fs::PermissionsExt;

use tokend_proto::{Fault, FaultCode, Response};

use crate::fake::{Act, FakeDaemon, token};
use crate::run::{Ended, TOKEN, bare, bare_command, tokenctl};

fn faulty(fault: Fault) -> Ended {
    tokenctl(
        &FakeDaemon::answering(Response::Fault(fault)),
        &["get", "ads"],
    )
}

#[test]
fn each_fault_has_its_exit_code_and_says_what_to_do() {
    let cases = [
        (FaultCode::UnknownAccount, 78, "tokenctl list"),
        (FaultCode::NotAllowed, 77, "allow rule"),
        (FaultCode::LoginRequired, 79, "tokenctl login"),
        (FaultCode::Misconfigured, 78, "tokend check"),
        (FaultCode::ProviderUnreachable, 75, "tokenctl status"),
        (FaultCode::ProviderBusy, 75, "tokenctl status"),
        (FaultCode::ProviderMisbehaved, 75, "tokenctl status"),
        (FaultCode::Paced, 75, "--wait"),
        (FaultCode::ValidityUnattainable, 78, "--min-validity"),
        (FaultCode::Timeout, 75, "--timeout"),
        (FaultCode::Draining, 75, "try again"),
        (FaultCode::StoreUnavailable, 75, "journalctl"),
        (FaultCode::BadRequest, 70, "same release"),
        (FaultCode::UnsupportedVersion, 70, "same release"),
        (FaultCode::TooBusy, 75, "try again"),
        (FaultCode::ReloadFailed, 78, "tokend check"),
        (FaultCode::InDoubt, 79, "tokenctl login"),
        (FaultCode::Internal, 70, "journalctl"),
        (FaultCode::AuditUnavailable, 75, "journalctl"),
    ];
    assert_eq!(cases.map(|(code, ..)| code), FaultCode::ALL);
    for (code, exit, advice) in cases {
        let Ended {
            code: ended,
            stdout,
            stderr,
        } = faulty(Fault::new(code, "it did not work"));
        assert_eq!((ended, stdout.as_str()), (exit, ""), "{code}");
        assert!(
            stderr.starts_with("tokenctl: it did not work\n  "),
            "{code}: {stderr}"
        );
        assert!(stderr.contains(advice), "{code}: {stderr}");
    }
}

#[test]
fn the_daemon_s_advice_and_the_time_are_told() {
    let fault = Fault::new(FaultCode::Paced, "the rate limit allows no login now")
        .advise("wait, or ask less often")
        .retry_after(250_000);
    let ended = faulty(fault);
    assert_eq!(ended.code, 75);
    let expected = "tokenctl: the rate limit allows no login now\n  wait, or ask less often\n  try again in 4 min 10 s (";
    assert!(ended.stderr.starts_with(expected), "{}", ended.stderr);
}

#[test]
fn what_a_provider_said_cannot_move_the_cursor() {
    let ended = faulty(
        Fault::new(FaultCode::Misconfigured, "evil \u{1b}[2J\nsecond line").advise("more\u{7}"),
    );
    assert_eq!(ended.stderr, "tokenctl: evil  [2J second line\n  more \n");
}

#[test]
fn nobody_there_is_69() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("none.sock");
    let ended = bare(&["get", "ads", "--socket", path.to_str().unwrap()]);
    assert_eq!((ended.code, ended.stdout.as_str()), (69, ""));
    assert!(
        ended
            .stderr
            .starts_with("tokenctl: cannot reach tokend at /"),
        "{}",
        ended.stderr
    );
    assert!(
        ended
            .stderr
            .contains("none.sock: no such file or directory\n  start the daemon"),
        "{}",
        ended.stderr
    );

    // Where the search finds nothing, it says where it looked; on a machine with a system daemon the answer differs.
    let runtime = folder.path().to_str().unwrap();
    let output = bare_command(&["get", "ads"])
        .env("XDG_RUNTIME_DIR", runtime)
        .output()
        .unwrap();
    if !std::path::Path::new("/run/tokend/tokend.sock").exists() {
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(69));
        assert!(
            stderr.contains(&format!(
                "{runtime}/tokend/tokend.sock and /run/user/{}/tokend/tokend.sock and /run/tokend/tokend.sock",
                rustix::process::geteuid().as_raw()
            )),
            "{stderr}"
        );
    }
}

#[test]
fn the_socket_s_argument_comes_before_the_environment() {
    let daemon = FakeDaemon::answering(Response::Token(token(TOKEN)));
    let mut command = bare_command(&["--socket", daemon.socket().to_str().unwrap(), "get", "ads"]);
    let output = command.env("TOKEND_SOCKET", "/nowhere").output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(daemon.seen().len(), 1);
}

#[test]
fn a_socket_that_keeps_us_out_is_77() {
    let daemon = FakeDaemon::answering(Response::Token(token(TOKEN)));
    let socket = daemon.socket();
    std::fs::set_permissions(&socket, PermissionsExt::from_mode(0o000)).unwrap();
    // Root may open any file, so a file's mode cannot show this.
    let refused = std::os::unix::net::UnixStream::connect(&socket).is_err();
    let ended = tokenctl(&daemon, &["get", "ads"]);
    std::fs::set_permissions(&socket, PermissionsExt::from_mode(0o600)).unwrap();
    match refused {
        true => {
            assert_eq!(ended.code, 77);
            assert!(
                ended
                    .stderr
                    .contains("permission denied\n  the socket's mode keeps you out"),
                "{ended:?}"
            );
        }
        false => assert_eq!(ended.code, 0),
    }
}

#[test]
fn a_directory_that_keeps_us_out_is_not_taken_for_the_socket_s_mode() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("tokend.sock");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    for path in [folder.path(), &socket] {
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o666)).unwrap();
    }
    // No mode keeps root out.
    let mut command = match rustix::process::geteuid().is_root() {
        true => {
            let mut command = std::process::Command::new("setpriv");
            command.args(["--reuid", "4242", "--regid", "4242", "--clear-groups"]);
            command.arg(env!("CARGO_BIN_EXE_tokenctl"));
            command
        }
        false => std::process::Command::new(env!("CARGO_BIN_EXE_tokenctl")),
    };
    let output = command.arg("--socket").arg(&socket).args(["get", "ads"]);
    let output = output.output().unwrap();
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o700)).unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(77), "{said}");
    assert!(
        said.contains("you may not enter a directory that leads to the socket"),
        "{said}"
    );
}

#[test]
fn what_is_not_tokend_is_70() {
    let daemon = FakeDaemon::greeting(
        || Act::Raw(b"220 mail.example.com ESMTP\r\n".to_vec()),
        |_, _| Act::Silence,
    );
    let ended = tokenctl(&daemon, &["get", "ads"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (70, ""));
    assert!(
        ended
            .stderr
            .starts_with("tokenctl: the answer is not one of tokend's: frame of"),
        "{}",
        ended.stderr
    );
    assert!(
        ended
            .stderr
            .contains("\n  check that the path is tokend's socket"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_connection_that_ends_is_75() {
    let daemon = FakeDaemon::start(|_, _| Act::Half(Response::Token(token(TOKEN))));
    let ended = tokenctl(&daemon, &["get", "ads"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (75, ""));
    assert!(
        ended
            .stderr
            .contains("in the middle of an answer\n  try again"),
        "{}",
        ended.stderr
    );
}
