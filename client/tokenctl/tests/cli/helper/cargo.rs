//! What cargo is told by `cargo-credential-tokenctl`. Each answer is a line, and the exit code is 0, since cargo hides the words of a
//! provider that fails.

use std::os::unix::fs::symlink;

use serde_json::{Value, json};
use tokend_client::FaultCode;
use tokend_proto::{Fault, Response, Token};

use super::{REASONS, daemon, daemon_with};
use crate::fake::{Act, FakeDaemon, token};
use crate::run::{Ended, TOKEN, bare, ended, tokenctl_with_input};

fn ask(kind: &str, index: &str, args: &[&str]) -> String {
    let registry =
        json!({"index-url": index, "name": "example", "headers": ["WWW-Authenticate: Cargo"]});
    json!({"v": 1, "kind": kind, "operation": "read", "registry": registry, "args": args, "new-in-2030": {}})
        .to_string()
}

fn cargo(daemon: &FakeDaemon, said: &str) -> Ended {
    tokenctl_with_input(daemon, &["helper", "cargo", "--cargo-plugin"], said)
}

/// What follows the hello.
fn answers(ended: &Ended) -> Vec<Value> {
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    let mut lines = ended.stdout.lines();
    assert_eq!(lines.next(), Some(r#"{"v":[1]}"#));
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn answer(daemon: &FakeDaemon, said: &str) -> Value {
    let mut all = answers(&cargo(daemon, said));
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

fn message(answer: &Value) -> &str {
    assert_eq!(answer["Err"]["kind"], "other", "{answer}");
    answer["Err"]["message"].as_str().unwrap()
}

const INDEX: &str = "sparse+https://git.example.com/index/";

#[test]
fn cargo_gets_the_header_of_the_account_that_is_for_the_index() {
    let granted = |token: &str| {
        json!({"Ok": {"kind": "get", "token": token, "cache": "expires", "expiration": 1_700_003_600,
            "operation_independent": true}})
    };
    let bearer = format!("Bearer {TOKEN}");
    for index in [
        INDEX,
        "registry+https://git.example.com/index.git",
        "https://git.example.com/index.git",
        "sparse+http://127.0.0.1:8080/",
    ] {
        assert_eq!(
            answer(&daemon(), &ask("get", index, &[])),
            granted(&bearer),
            "{index}"
        );
    }
    let named = ask("get", INDEX, &["--account", "ads", "--timeout", "5s"]);
    assert_eq!(answer(&daemon(), &named), granted(&bearer));
    let bare = Token {
        token_type: "header:Authorization".into(),
        ..token(TOKEN)
    };
    let said = answer(&daemon_with(bare), &ask("get", INDEX, &[]));
    assert_eq!(said, granted(TOKEN));
    let endless = Token {
        expires_at_ms: None,
        ..token(TOKEN)
    };
    let said = answer(&daemon_with(endless), &ask("get", INDEX, &[]));
    assert_eq!(said["Ok"]["cache"], "session", "{said}");
    // Several requests in one conversation.
    let both = format!("{}\n{}\n", ask("get", INDEX, &[]), ask("login", INDEX, &[]));
    assert_eq!(answers(&cargo(&daemon(), &both)).len(), 2);
}

#[test]
fn a_link_of_that_name_is_the_provider() {
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("cargo-credential-tokenctl");
    symlink(env!("CARGO_BIN_EXE_tokenctl"), &link).unwrap();
    let daemon = daemon();
    let mut started = assert_cmd::Command::new(link);
    let output = started
        .arg("--cargo-plugin")
        .env("TOKEND_SOCKET", daemon.socket())
        .write_stdin(ask("get", INDEX, &[]))
        .output()
        .unwrap();
    assert!(ended(&output).stdout.contains(TOKEN));
}

#[test]
fn cargo_goes_on_to_its_next_provider_for_another_registry() {
    for index in [
        "sparse+https://index.crates.io/",
        "https://github.com/rust-lang/crates.io-index",
        "sparse+http://git.example.com/",
        "sparse+https://git.example.com:8443/",
        "sparse+https://part.example.com/",
        "ssh://git@git.example.com/index.git",
        "sparse+https://user@git.example.com/",
        "",
    ] {
        for args in [&[][..], &["--account", "ads"]] {
            let said = answer(&daemon(), &ask("get", index, args));
            assert_eq!(
                said,
                json!({"Err": {"kind": "url-not-supported"}}),
                "{index}"
            );
        }
    }
}

#[test]
fn cargo_is_told_why_there_is_no_token() {
    for (host, _, about) in REASONS {
        let said = answer(
            &daemon(),
            &ask("get", &format!("sparse+https://{host}/"), &[]),
        );
        assert!(message(&said).contains(about), "{said}");
    }
    for (account, about) in [
        ("unsaid", "[account.unsaid.api]"),
        ("absent", "no such account for you"),
        ("a/b", "account name may hold"),
    ] {
        let said = answer(&daemon(), &ask("get", INDEX, &["--account", account]));
        assert!(message(&said).contains(about), "{said}");
    }
    let draining = FakeDaemon::start(|_, _| {
        Act::Reply(Response::Fault(Fault::new(
            FaultCode::Draining,
            "tokend stops",
        )))
    });
    let said = answer(&draining, &ask("get", INDEX, &[]));
    assert!(message(&said).contains("tokend stops"), "{said}");
    let mut command = crate::run::bare_command(&["helper", "cargo", "--cargo-plugin"]);
    let output = command
        .env("TOKEND_SOCKET", "/nonexistent/socket")
        .write_stdin(ask("get", INDEX, &[]))
        .output()
        .unwrap();
    let said = answers(&ended(&output)).remove(0);
    assert!(message(&said).contains("cannot reach tokend"), "{said}");
}

#[test]
fn cargo_is_told_what_the_provider_does_not_do() {
    for kind in ["login", "logout", "sell"] {
        let daemon = daemon();
        let said = answer(&daemon, &ask(kind, INDEX, &[]));
        assert_eq!(said, json!({"Err": {"kind": "operation-not-supported"}}));
        assert_eq!(daemon.connections(), 0);
    }
}

#[test]
fn what_is_no_request_is_answered_and_never_repeated() {
    let later = ask("get", INDEX, &[]).replace(r#""v":1"#, r#""v":2"#);
    for (said, about) in [
        (later, "version of the protocol"),
        ("{\"kind\":\"hunter3\"".to_owned(), "no request"),
        ("\n".to_owned(), "no request"),
        (
            ask("get", INDEX, &["--hunter3"]),
            "options of cargo-credential-tokenctl",
        ),
        (
            ask("get", INDEX, &["--mode", "creds"]),
            "--mode has no meaning",
        ),
        (
            ask("get", INDEX, &["--help"]),
            "options of cargo-credential-tokenctl",
        ),
    ] {
        let daemon = daemon();
        let answer = answer(&daemon, &said);
        assert!(message(&answer).contains(about), "{answer}");
        assert!(!answer.to_string().contains("hunter3"), "{answer}");
        assert_eq!(daemon.connections(), 0);
    }
    let endless = cargo(&daemon(), &"x".repeat(100_000));
    assert_eq!((endless.code, endless.stdout.lines().count()), (64, 1));
    // Nobody asks.
    assert_eq!(answers(&cargo(&daemon(), "")), [Value::Null; 0]);
    for words in [
        &["helper", "cargo"][..],
        &["helper", "cargo", "get"],
        &["helper", "git", "--cargo-plugin"],
        &["helper", "cargo", "--cargo-plugin", "get"],
    ] {
        assert_eq!(bare(words).code, 64, "{words:?}");
    }
}
