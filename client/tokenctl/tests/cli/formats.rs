//! The formats of `get` as the programs read them that they are for, and its file.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokend_proto::{Response, Token};

use crate::fake::{FakeDaemon, secret, token};
use crate::run::{Ended, TOKEN, bare_command, ended, tokenctl};

fn printed(stdout: impl Into<String>) -> Ended {
    let stdout = stdout.into();
    Ended {
        code: 0,
        stdout,
        stderr: String::new(),
    }
}

/// A daemon with this token of this type.
fn daemon(text: &str, token_type: &str) -> FakeDaemon {
    FakeDaemon::answering(Response::Token(Token {
        access_token: secret(text),
        token_type: token_type.into(),
        ..token(TOKEN)
    }))
}

fn get(text: &str, token_type: &str, options: &[&str]) -> Ended {
    let words = [&["get", "ads"], options].concat();
    tokenctl(&daemon(text, token_type), &words)
}

fn with_env(options: &[&str], env: &[(&str, &str)]) -> Ended {
    let daemon = daemon(TOKEN, "Bearer");
    let mut command = bare_command(&[&["get", "ads"], options].concat());
    command.env("TOKEND_SOCKET", daemon.socket());
    command.envs(env.iter().copied());
    ended(&command.output().unwrap())
}

/// What curl sends to a server when it reads this configuration.
fn request_of_curl(config: &str) -> String {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/path?a=1", server.local_addr().unwrap());
    let answer = thread::spawn(move || {
        let (mut stream, _) = server.accept().unwrap();
        let (mut request, mut buffer) = (Vec::new(), [0; 4096]);
        while !request.ends_with(b"\r\n\r\n") {
            let read = stream.read(&mut buffer).unwrap();
            assert!(read > 0, "curl sends a whole request");
            request.extend_from_slice(buffer.get(..read).unwrap());
        }
        stream
            .write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
            .unwrap();
        String::from_utf8(request).unwrap()
    });
    let mut curl = Command::new("curl")
        .args(["-q", "-fsS", "--noproxy", "*", "-K", "-", &url])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    curl.stdin
        .take()
        .unwrap()
        .write_all(config.as_bytes())
        .unwrap();
    assert!(curl.wait().unwrap().success());
    answer.join().unwrap()
}

#[test]
fn curl_sends_the_token_where_the_api_wants_it() {
    for (token_type, text, sent) in [
        (
            "Bearer",
            TOKEN,
            format!("\r\nAuthorization: Bearer {TOKEN}\r\n"),
        ),
        ("JWT", TOKEN, format!("\r\nAuthorization: JWT {TOKEN}\r\n")),
        (
            "header:X-Api-Key",
            r#"a"b\c"#,
            "\r\nX-Api-Key: a\"b\\c\r\n".into(),
        ),
        (
            r#"header:X-Auth:Key="\"#,
            TOKEN,
            format!("\r\nX-Auth: Key=\"\\{TOKEN}\r\n"),
        ),
        ("cookie:sid", TOKEN, format!("\r\nCookie: sid={TOKEN}\r\n")),
        (
            "query:key",
            "a&b=c+d",
            "GET /path?a=1&key=a%26b%3Dc%2Bd HTTP/1.1\r\n".into(),
        ),
    ] {
        let config = get(text, token_type, &["--format", "curl"]);
        assert_eq!(config.code, 0, "{}", config.stderr);
        // Releases of curl differ in the case of percent-encoding.
        let request = request_of_curl(&config.stdout).replace("%3d", "%3D");
        let request = request.replace("%2b", "%2B");
        assert!(request.contains(&sent), "{token_type}: {request}");
    }
}

#[test]
fn a_file_of_variables_has_quotes_only_where_it_needs_them() {
    let dotenv = |text: &str| get(text, "Bearer", &["--format", "dotenv", "--env-name", "ADS"]);
    assert_eq!(dotenv("ab-._~+/=09"), printed("ADS=ab-._~+/=09\n"));
    assert_eq!(dotenv("a b$c\"#"), printed("ADS='a b$c\"#'\n"));
    for odd in ["it's", "a\\b", "a\nb"] {
        let refused = dotenv(odd);
        assert_eq!((refused.code, refused.stdout.as_str()), (70, ""), "{odd}");
    }
}

#[test]
fn curl_and_python_read_the_netrc_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("netrc");
    let ended = get(
        TOKEN,
        "Bearer",
        &[
            "--format",
            "netrc",
            "--machine",
            "api.example.com",
            "--output",
            file.to_str().unwrap(),
        ],
    );
    assert_eq!(ended, printed(""));
    assert_eq!(
        fs::read_to_string(&file).unwrap(),
        format!("machine api.example.com login oauth2 password {TOKEN}\n")
    );
    let script =
        "import netrc, sys; print(netrc.netrc(sys.argv[1]).authenticators('api.example.com')[2])";
    let read = Command::new("python3")
        .args(["-c", script])
        .arg(&file)
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8(read.stdout).unwrap(),
        format!("{TOKEN}\n")
    );

    let other = get(
        TOKEN,
        "Bearer",
        &["--format", "netrc", "--machine", "h", "--user", "me"],
    );
    assert_eq!(
        other,
        printed(format!("machine h login me password {TOKEN}\n"))
    );
    for odd in ["a b", "a\"b", "a#b"] {
        let refused = get(odd, "Bearer", &["--format", "netrc", "--machine", "h"]);
        assert_eq!((refused.code, refused.stdout.as_str()), (70, ""), "{odd}");
    }
}

#[test]
fn xoauth2_is_the_message_of_a_mailbox() {
    let options = ["--format", "xoauth2", "--user", "me@example.com"];
    let ended = get(TOKEN, "Bearer", &options);
    let message = STANDARD.decode(ended.stdout.trim_end()).unwrap();
    let expected = format!("user=me@example.com\u{1}auth=Bearer {TOKEN}\u{1}\u{1}");
    assert_eq!(String::from_utf8(message).unwrap(), expected);
    let refused = get(TOKEN, "header:X-Api-Key", &options);
    assert_eq!((refused.code, refused.stdout.as_str()), (78, ""));
}

#[test]
fn an_exec_credential_has_the_version_that_was_asked_for() {
    const INFO: &str = "KUBERNETES_EXEC_INFO";
    let credential = |version: &str| {
        printed(format!(
            "{{\"apiVersion\":\"client.authentication.k8s.io/{version}\",\"kind\":\"ExecCredential\",\
             \"status\":{{\"token\":\"{TOKEN}\",\"expirationTimestamp\":\"2023-11-14T23:13:20Z\"}}}}\n"
        ))
    };
    let options = ["--format", "kubernetes"];
    assert_eq!(with_env(&options, &[]), credential("v1"));
    for version in ["v1", "v1beta1"] {
        let asked = format!(
            "{{\"apiVersion\":\"client.authentication.k8s.io/{version}\",\"kind\":\"ExecCredential\"}}"
        );
        assert_eq!(with_env(&options, &[(INFO, &asked)]), credential(version));
    }
    let refused = with_env(
        &options,
        &[(INFO, "{\"apiVersion\":\"client.authentication.k8s.io/v2\"}")],
    );
    assert_eq!((refused.code, refused.stdout.as_str()), (78, ""));
    assert!(
        refused.stderr.contains("client.authentication.k8s.io/v2"),
        "{}",
        refused.stderr
    );
    let refused = get(TOKEN, "cookie:sid", &options);
    assert_eq!((refused.code, refused.stdout.as_str()), (78, ""));
}

#[test]
fn a_workflow_masks_the_token_before_it_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("env");
    fs::write(&file, "BEFORE=1\n").unwrap();
    let options = ["--format", "github", "--env-name", "ADS"];
    let ended = with_env(&options, &[("GITHUB_ENV", file.to_str().unwrap())]);
    assert_eq!(ended, printed(format!("::add-mask::{TOKEN}\n")));
    assert_eq!(
        fs::read_to_string(&file).unwrap(),
        format!("BEFORE=1\nADS={TOKEN}\n")
    );

    let outside = with_env(&options, &[]);
    assert_eq!((outside.code, outside.stdout.as_str()), (78, ""));
    let gone = with_env(&options, &[("GITHUB_ENV", "/nonexistent/env")]);
    assert_eq!(gone.code, 74, "{}", gone.stderr);
}

#[test]
fn options_that_the_format_does_not_use_are_mistakes() {
    for (options, about) in [
        (&["--machine", "h"][..], "add --format netrc"),
        (&["--user", "me"], "add --format netrc"),
        (&["--format", "json", "--env-name", "A"], "add --format env"),
        (&["--format", "netrc"], "add --machine HOST"),
        (&["--format", "xoauth2"], "add --user NAME"),
        (&["--format", "netrc", "--machine", "a b"], "without blanks"),
        (&["--mode", "600"], "--output"),
        (
            &["--format", "github", "--output", "x"],
            "leave out --output",
        ),
        (&["--output", "x", "--mode", "755"], "600, 640 or 644"),
        (&["--output", "x", "--mode", "+600"], "600, 640 or 644"),
        (
            &["--output", "x", "--owner", "4294967295"],
            "number of no user",
        ),
        (
            &["--output", "x", "--owner", "0:4294967295"],
            "number of no user",
        ),
        (&["--output", "x", "--mode", "040"], "600, 640 or 644"),
        (
            &["--output", "x", "--owner", "nobody-of-that-name"],
            "use its number",
        ),
    ] {
        let ended = get(TOKEN, "Bearer", options);
        assert_eq!((ended.code, ended.stdout.as_str()), (64, ""), "{options:?}");
        assert!(
            ended.stderr.contains(about),
            "{options:?}: {}",
            ended.stderr
        );
    }
}

fn output(path: &Path, more: &[&str]) -> Ended {
    get(
        TOKEN,
        "Bearer",
        &[&["--output", path.to_str().unwrap()], more].concat(),
    )
}

/// The names in a directory.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[test]
fn a_file_is_replaced_with_its_permissions_and_nothing_is_left_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    assert_eq!(output(&file, &[]), printed(""));
    let mode = |file: &Path| fs::metadata(file).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&file), 0o600);
    let before = fs::metadata(&file).unwrap().ino();

    assert_eq!(output(&file, &["--mode", "640"]), printed(""));
    assert_eq!(mode(&file), 0o640);
    assert_ne!(
        fs::metadata(&file).unwrap().ino(),
        before,
        "written in place"
    );
    assert_eq!(fs::read_to_string(&file).unwrap(), format!("{TOKEN}\n"));
    assert_eq!(names(folder.path()), ["token"]);
}

#[test]
fn a_file_belongs_to_its_owner() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    let own = rustix::process::geteuid().as_raw();
    let ended = output(&file, &["--owner", &own.to_string()]);
    assert_eq!(ended, printed(""));
    if own == 0 {
        assert_eq!(output(&file, &["--owner", "nobody:65534"]), printed(""));
        let found = fs::metadata(&file).unwrap();
        assert_eq!((found.uid(), found.gid()), (65534, 65534));
        assert_eq!(found.permissions().mode() & 0o777, 0o600);
    } else {
        let refused = output(&file, &["--owner", "0"]);
        assert_eq!(refused.code, 74);
        assert!(
            refused.stderr.contains("leave out --owner"),
            "{}",
            refused.stderr
        );
        assert_eq!(names(folder.path()), ["token"]);
    }
}

#[test]
fn a_file_that_cannot_be_written_is_told_before_a_token_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let (link, target) = (folder.path().join("link"), folder.path().join("target"));
    fs::write(&target, "kept").unwrap();
    symlink(&target, &link).unwrap();
    let absent = folder.path().join("absent/token");
    for (path, code, about) in [
        (link.as_path(), 78, "is a symbolic link"),
        (folder.path(), 78, "is no regular file"),
        (absent.as_path(), 74, "make the directory"),
        (Path::new("/"), 64, "names no file"),
    ] {
        let daemon = daemon(TOKEN, "Bearer");
        let ended = tokenctl(&daemon, &["get", "ads", "--output", path.to_str().unwrap()]);
        assert_eq!((ended.code, ended.stdout.as_str()), (code, ""), "{path:?}");
        assert!(ended.stderr.contains(about), "{path:?}: {}", ended.stderr);
        assert!(daemon.seen().is_empty(), "{path:?}");
    }
    assert_eq!(fs::read_to_string(&target).unwrap(), "kept");
}
