//! `get` and its formats, `refresh`, `list`, `reload`.

use std::process::{Command, Stdio};

use tokend_proto::{AccountLine, AccountsPage, Request, Response, Token};

use crate::fake::{FakeDaemon, name, secret, token};
use crate::run::{Ended, TOKEN, tokenctl};

fn daemon() -> FakeDaemon {
    FakeDaemon::answering(Response::Token(token(TOKEN)))
}

fn printed(stdout: impl Into<String>) -> Ended {
    Ended {
        code: 0,
        stdout: stdout.into(),
        stderr: String::new(),
    }
}

#[test]
fn get_prints_the_token_and_a_line_end() {
    assert_eq!(
        tokenctl(&daemon(), &["get", "ads"]),
        printed(format!("{TOKEN}\n"))
    );
    assert_eq!(
        tokenctl(&daemon(), &["get", "ads", "--format", "plain"]),
        printed(format!("{TOKEN}\n"))
    );
}

#[test]
fn get_prints_a_header() {
    let ended = tokenctl(&daemon(), &["get", "ads", "--format", "header"]);
    assert_eq!(ended, printed(format!("Authorization: Bearer {TOKEN}\n")));
    for (kind, scheme) in [("bearer", "Bearer"), ("", "Bearer"), ("JWT", "JWT")] {
        let other = Token {
            token_type: kind.into(),
            ..token(TOKEN)
        };
        let ended = tokenctl(
            &FakeDaemon::answering(Response::Token(other)),
            &["get", "ads", "--format=header"],
        );
        assert_eq!(ended.stdout, format!("Authorization: {scheme} {TOKEN}\n"));
    }
}

fn typed(kind: &str, format: &str) -> Ended {
    let token_type = kind.into();
    let token = Token {
        token_type,
        ..token(TOKEN)
    };
    tokenctl(
        &FakeDaemon::answering(Response::Token(token)),
        &["get", "ads", "--format", format],
    )
}

#[test]
fn a_token_is_presented_as_its_api_wants_it() {
    for (kind, header) in [
        ("header:X-Api-Key", format!("X-Api-Key: {TOKEN}\n")),
        (
            "header:X-Auth:Token token=",
            format!("X-Auth: Token token={TOKEN}\n"),
        ),
        ("Token", format!("Authorization: Token {TOKEN}\n")),
    ] {
        assert_eq!(typed(kind, "header"), printed(header));
    }
    for (kind, place) in [
        ("cookie:sid", "the cookie `sid`"),
        ("query:key", "the query parameter `key`"),
    ] {
        let ended = typed(kind, "header");
        assert_eq!((ended.code, ended.stdout.as_str()), (78, ""));
        assert!(
            ended.stderr.contains(place) && ended.stderr.contains("--format curl"),
            "{}",
            ended.stderr
        );
        assert_eq!(typed(kind, "plain"), printed(format!("{TOKEN}\n")));
    }
    for (kind, shown) in [
        (
            "header:X-Api-Key",
            r#""present":{"in":"header","name":"X-Api-Key","prefix":""}"#,
        ),
        (
            "cookie:sid",
            r#""present":{"in":"cookie","name":"sid","prefix":""}"#,
        ),
        (
            "query:key",
            r#""present":{"in":"query","name":"key","prefix":""}"#,
        ),
    ] {
        let json = typed(kind, "json").stdout;
        assert!(
            json.contains(shown) && json.contains(r#""token_type":"N_A""#),
            "{json}"
        );
    }
    assert!(!typed("Token", "json").stdout.contains("present"));
}

#[test]
fn a_token_that_would_smuggle_a_header_is_refused() {
    let evil = Token {
        access_token: secret("hunter2\r\nX-Admin: 1"),
        ..token("")
    };
    let ended = tokenctl(
        &FakeDaemon::answering(Response::Token(evil)),
        &["get", "ads", "--format", "header"],
    );
    assert_eq!((ended.code, ended.stdout.as_str()), (70, ""));
    assert!(ended.stderr.contains("cannot stand in a header") && !ended.stderr.contains("hunter2"));
}

#[test]
fn get_prints_what_a_shell_evaluates_to_export_the_token() {
    let odd = r#"it's $HOME "quoted" \ & more"#;
    let daemon = FakeDaemon::answering(Response::Token(Token {
        access_token: secret(odd),
        ..token("")
    }));
    let ended = tokenctl(
        &daemon,
        &["get", "ads", "--format", "env", "--env-name", "ADS_TOKEN"],
    );
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    // A program that the shell starts reads it: exported, not merely set.
    let script = format!("{}printenv ADS_TOKEN | head -c -1", ended.stdout);
    let read_back = Command::new("sh").args(["-c", &script]).output().unwrap();
    assert_eq!(String::from_utf8(read_back.stdout).unwrap(), odd);

    let ended = tokenctl(&self::daemon(), &["get", "ads", "--format", "env"]);
    assert_eq!(ended, printed(format!("export ACCESS_TOKEN='{TOKEN}'\n")));
}

#[test]
fn get_prints_json() {
    let daemon = daemon();
    let ended = tokenctl(&daemon, &["get", "ads", "--format", "json"]);
    let expected = format!(
        "{{\"access_token\":\"{TOKEN}\",\"token_type\":\"Bearer\",\"expires_at\":\"2023-11-14T23:13:20Z\",\
         \"expires_in\":3600,\"scope\":null,\"daemon\":{{\"socket\":\"{}\",\"uid\":{}}}}}\n",
        daemon.socket().display(),
        rustix::process::geteuid().as_raw()
    );
    assert_eq!(ended, printed(expected));
    let endless = Token {
        expires_at_ms: None,
        remaining_ms: None,
        scope: Some("read".into()),
        ..token(TOKEN)
    };
    let ended = tokenctl(
        &FakeDaemon::answering(Response::Token(endless)),
        &["get", "ads", "--format", "json"],
    );
    assert!(
        ended
            .stdout
            .contains("\"expires_at\":null,\"expires_in\":null,\"scope\":\"read\","),
        "{ended:?}"
    );
}

#[test]
fn get_passes_its_demands_on() {
    let daemon = daemon();
    tokenctl(&daemon, &["get", "ads"]);
    tokenctl(
        &daemon,
        &["get", "ads", "--min-validity", "10m", "--wait", "1h30m"],
    );
    tokenctl(
        &daemon,
        &["get", "ads", "--wait", "2m", "--timeout", "500ms"],
    );
    let get = |min_validity_ms, wait_ms, timeout_ms| Request::Get {
        account: name("ads"),
        min_validity_ms,
        wait_ms,
        timeout_ms,
    };
    let expected = [
        // The daemon gives up a little earlier than the caller, who gets the answer in time.
        get(None, 0, 29_500),
        get(Some(600_000), 5_400_000, 5_429_500),
        get(None, 120_000, 450),
    ];
    assert_eq!(daemon.seen(), expected);
}

#[test]
fn a_reader_that_went_away_ends_it_quietly() {
    let daemon = daemon();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = Command::new(env!("CARGO_BIN_EXE_tokenctl"));
    command
        .args(["get", "ads"])
        .env("TOKEND_SOCKET", daemon.socket());
    let output = command
        .stdout(writer)
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert_eq!(
        (output.status.code(), output.stderr.as_slice()),
        (Some(74), &b""[..])
    );
}

#[test]
fn output_that_cannot_be_written_is_told() {
    let daemon = daemon();
    let full = std::fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tokenctl"));
    command
        .args(["get", "ads"])
        .env("TOKEND_SOCKET", daemon.socket());
    let output = command
        .stdout(full)
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(74));
    assert!(
        String::from_utf8_lossy(&output.stderr)
            .starts_with("tokenctl: cannot write to standard output")
    );
}

#[test]
fn refresh_says_so_and_prints_only_when_asked() {
    let daemon = daemon();
    let ended = tokenctl(
        &daemon,
        &["refresh", "ads", "--wait", "1m", "--timeout", "2m"],
    );
    let note = "tokenctl: ads has a new token, good for 1 h\n";
    assert_eq!(
        ended,
        Ended {
            code: 0,
            stdout: String::new(),
            stderr: note.into()
        }
    );
    let ended = tokenctl(&daemon, &["refresh", "ads", "--print"]);
    assert_eq!(
        ended,
        Ended {
            code: 0,
            stdout: format!("{TOKEN}\n"),
            stderr: note.into()
        }
    );
    let refresh = |wait_ms, timeout_ms| Request::Refresh {
        account: name("ads"),
        wait_ms,
        timeout_ms,
    };
    assert_eq!(
        daemon.seen(),
        [refresh(60_000, 119_500), refresh(0, 29_500)]
    );
}

#[test]
fn list_prints_names_and_dialects() {
    let line = |account: &str, dialect: &str| AccountLine {
        account: name(account),
        dialect: dialect.into(),
    };
    let accounts = vec![line("ads", "ad-verification"), line("crm", "oauth2")];
    let daemon = FakeDaemon::answering(Response::Accounts(AccountsPage {
        accounts,
        next: None,
    }));
    assert_eq!(
        tokenctl(&daemon, &["list"]),
        printed("ads\tad-verification\ncrm\toauth2\n")
    );
    let json = "[{\"account\":\"ads\",\"dialect\":\"ad-verification\"},{\"account\":\"crm\",\"dialect\":\"oauth2\"}]\n";
    assert_eq!(tokenctl(&daemon, &["list", "--json"]), printed(json));
}

#[test]
fn reload_says_what_the_daemon_said() {
    let daemon = FakeDaemon::answering(Response::Done {
        message: "4 accounts, 1 of them new\u{1b}[2J".into(),
    });
    let ended = tokenctl(&daemon, &["reload"]);
    let said = "tokenctl: 4 accounts, 1 of them new [2J\n";
    assert_eq!(
        ended,
        Ended {
            code: 0,
            stdout: String::new(),
            stderr: said.into()
        }
    );
    assert_eq!(daemon.seen(), [Request::Reload]);
}
