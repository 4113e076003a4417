//! What pip, uv and the backend of Python's keyring are told.

use std::os::unix::fs::symlink;

use super::{REASONS, daemon};
use crate::run::{Ended, TOKEN, bare, ended, tokenctl};

fn keyring(words: &[&str]) -> Ended {
    tokenctl(&daemon(), &[&["helper", "keyring"], words].concat())
}

#[test]
fn keyring_prints_the_token_or_the_user_before_it() {
    for (words, expected) in [
        (&["get", "https://git.example.com/simple/", "me"][..], ""),
        (&["get", "https://git.example.com"], ""),
        (
            &["--mode", "creds", "get", "https://git.example.com"],
            "oauth2\n",
        ),
        (
            &["--mode=creds", "get", "http://127.0.0.1:8080/", "me"],
            "me\n",
        ),
        (
            &["get", "--mode", "creds", "https://git.example.com", "a\nb"],
            "oauth2\n",
        ),
        (
            &[
                "--mode",
                "creds",
                "--user",
                "aws",
                "get",
                "https://git.example.com",
                "me",
            ],
            "aws\n",
        ),
    ] {
        let ended = keyring(words);
        let all = (0, format!("{expected}{TOKEN}\n"), String::new());
        assert_eq!((ended.code, ended.stdout, ended.stderr), all, "{words:?}");
    }
}

#[test]
fn a_link_of_that_name_is_keyring() {
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("keyring");
    symlink(env!("CARGO_BIN_EXE_tokenctl"), &link).unwrap();
    let daemon = daemon();
    let mut started = assert_cmd::Command::new(link);
    let output = started
        .args(["get", "https://git.example.com/simple/", "me"])
        .env("TOKEND_SOCKET", daemon.socket())
        .output()
        .unwrap();
    assert_eq!(ended(&output).stdout, format!("{TOKEN}\n"));
}

#[test]
fn keyring_has_nothing_for_another_address() {
    for service in [
        "https://pypi.org/simple/",
        "http://git.example.com/",
        "pypi.org",
        // What pip and uv ask for after the URL, of which the scheme may have been http.
        "git.example.com",
        "127.0.0.1:8080",
        "user@git.example.com",
        "https://user:secret@git.example.com/",
        "part.example.com",
        "login-of-a-program",
        "",
    ] {
        for mode in ["password", "creds"] {
            let ended = keyring(&["--mode", mode, "get", service, "me"]);
            let nothing = (1, String::new(), String::new());
            assert_eq!(
                (ended.code, ended.stdout, ended.stderr),
                nothing,
                "{service}"
            );
        }
    }
}

#[test]
fn keyring_says_why_there_is_no_token() {
    for (host, code, about) in REASONS {
        let ended = keyring(&["get", &format!("https://{host}/simple/"), "me"]);
        assert_eq!((ended.code, ended.stdout.as_str()), (code, ""), "{host}");
        assert!(ended.stderr.contains(about), "{}", ended.stderr);
    }
    for (account, code) in [("unsaid", 78), ("absent", 77)] {
        let words = ["--account", account, "get", "https://git.example.com"];
        let ended = keyring(&words);
        assert_eq!((ended.code, ended.stdout.as_str()), (code, ""), "{account}");
    }
    let words = ["helper", "keyring", "get", "https://git.example.com"];
    let mut command = crate::run::bare_command(&words);
    let output = command
        .env("TOKEND_SOCKET", "/nonexistent/socket")
        .output()
        .unwrap();
    let ended = ended(&output);
    assert_eq!((ended.code, ended.stdout.as_str()), (69, ""));
}

#[test]
fn keyring_stores_and_deletes_nothing() {
    for (operation, what) in [
        ("set", "nothing was stored"),
        ("del", "nothing was deleted"),
    ] {
        for (service, code) in [
            ("https://git.example.com/", 78),
            ("https://pypi.org/", 1),
            ("git.example.com", 1),
        ] {
            let ended = keyring(&[operation, service, "me"]);
            assert_eq!((ended.code, ended.stdout.as_str()), (code, ""));
            assert!(ended.stderr.contains(what), "{}", ended.stderr);
        }
    }
    for words in [
        &["helper", "keyring", "get"][..],
        &["helper", "keyring", "diagnose", "a.test"],
        &["helper", "keyring", "get", "a.test", "me", "more"],
        &["helper", "keyring", "--mode", "all", "get", "a.test"],
        &["helper", "docker", "--mode", "creds", "get"],
    ] {
        assert_eq!(bare(words).code, 64, "{words:?}");
    }
}
