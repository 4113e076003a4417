//! What terraform and tofu are told by `terraform-credentials-tokenctl`.

use super::{REASONS, daemon, daemon_with, silent};
use crate::fake::{FakeDaemon, token};
use crate::run::{Ended, TOKEN, bare, ended, tokenctl_with_input};
use tokend_proto::Token;

fn terraform(daemon: &FakeDaemon, words: &[&str], input: &str) -> Ended {
    tokenctl_with_input(daemon, &[&["helper", "terraform"], words].concat(), input)
}

#[test]
fn terraform_gets_the_token_of_the_account_that_is_for_the_host() {
    let expected = (0, format!("{{\"token\":\"{TOKEN}\"}}\n"), String::new());
    for words in [
        &["get", "git.example.com"][..],
        &["--account", "ads", "get", "git.example.com:443"],
    ] {
        let ended = terraform(&daemon(), words, "");
        assert_eq!((ended.code, ended.stdout, ended.stderr), expected);
    }
}

#[test]
fn terraform_is_told_that_there_is_nothing_for_another_host() {
    for host in [
        "app.terraform.io",
        "git.example.com:8443",
        "127.0.0.1:8080",
        "user@git.example.com",
        "",
    ] {
        for words in [&["get", host][..], &["--account", "ads", "get", host]] {
            let ended = terraform(&daemon(), words, "");
            let nothing = (0, "{}\n".to_owned(), String::new());
            assert_eq!((ended.code, ended.stdout, ended.stderr), nothing, "{host}");
        }
    }
}

#[test]
fn terraform_is_told_why_there_is_no_token() {
    let part = (
        "part.example.com",
        78,
        "for a part of https://part.example.com only",
    );
    for (host, code, about) in REASONS.into_iter().chain([part]) {
        let ended = terraform(&daemon(), &["get", host], "");
        assert_eq!((ended.code, ended.stdout.as_str()), (code, ""), "{host}");
        assert!(ended.stderr.contains(about), "{}", ended.stderr);
    }
    for (account, code) in [("unsaid", 78), ("absent", 77)] {
        let words = ["--account", account, "get", "git.example.com"];
        let ended = terraform(&daemon(), &words, "");
        assert_eq!((ended.code, ended.stdout.as_str()), (code, ""), "{account}");
    }
    for place in ["Token", "header:X-Key", "header:Authorization"] {
        let granted = Token {
            token_type: place.into(),
            ..token(TOKEN)
        };
        let ended = terraform(&daemon_with(granted), &["get", "git.example.com"], "");
        assert_eq!((ended.code, ended.stdout.as_str()), (78, ""), "{place}");
    }
    let mut command = crate::run::bare_command(&["helper", "terraform", "get", "git.example.com"]);
    let output = command
        .env("TOKEND_SOCKET", "/nonexistent/socket")
        .output()
        .unwrap();
    let ended = ended(&output);
    assert_eq!((ended.code, ended.stdout.as_str()), (69, ""));
}

#[test]
fn terraform_stores_nothing_and_forgets_nothing() {
    let daemon = daemon();
    let stored = terraform(
        &daemon,
        &["store", "git.example.com"],
        r#"{"token":"hunter3"}"#,
    );
    assert_eq!((stored.code, stored.stdout.as_str()), (78, ""));
    assert!(
        stored.stderr.contains("nothing was stored"),
        "{}",
        stored.stderr
    );
    assert!(!stored.stderr.contains("hunter3"));
    silent(&terraform(&daemon, &["forget", "git.example.com"], ""));
    assert_eq!(
        terraform(&daemon, &["sell", "git.example.com"], "").code,
        64
    );
    assert_eq!(daemon.connections(), 0);
    for words in [
        &["helper", "terraform", "get"][..],
        &["helper", "terraform", "get", "a.test", "b.test"],
        &["helper", "git", "get", "a.test"],
        &["helper", "docker", "get", "a.test"],
    ] {
        assert_eq!(bare(words).code, 64, "{words:?}");
    }
}
