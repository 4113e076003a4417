//! `helper`: what the calling programs are told, by the protocols of git and docker, and of cargo, terraform and keyring in files of their own.

mod cargo;
mod keyring;
mod terraform;

use std::os::unix::fs::symlink;

use tokend_proto::{AccountName, ApiLine, ApisPage, Fault, FaultCode, Request, Response, Token};

use crate::fake::{Act, FakeDaemon, name, secret, token};
use crate::run::{Ended, TOKEN, bare, ended, tokenctl_with_input};

const NEW: &str = "capability[]=authtype\nprotocol=https\nhost=git.example.com\n\n";

/// What the accounts are for.
fn apis(asked: Option<&AccountName>) -> Response {
    let all = [
        (
            "ads",
            &["https://git.example.com", "http://127.0.0.1:8080"][..],
        ),
        ("down", &["https://down.example.com"]),
        ("busy", &["https://busy.example.com"]),
        ("cookie", &["https://cookie.example.com"]),
        ("part", &["https://part.example.com/team"]),
        ("one", &["https://both.example.com"]),
        ("two", &["https://both.example.com"]),
        ("unsaid", &[]),
    ];
    let lines = all.into_iter().map(|(account, urls)| ApiLine {
        account: name(account),
        urls: urls.iter().map(|url| (*url).to_owned()).collect(),
    });
    let lines: Vec<_> = lines
        .filter(|line| asked.is_none_or(|asked| *asked == line.account))
        .collect();
    match lines.is_empty() {
        true => Response::Fault(Fault::new(FaultCode::NotAllowed, "no such account for you")),
        false => Response::Apis(ApisPage {
            apis: lines,
            next: None,
        }),
    }
}

fn daemon_with(granted: Token) -> FakeDaemon {
    FakeDaemon::start(move |_, request| {
        Act::Reply(match request {
            Request::Apis { account, .. } => apis(account.as_ref()),
            Request::Get { account, .. } if account.as_str() == "down" => Response::Fault(
                Fault::new(FaultCode::LoginRequired, "account down needs a login"),
            ),
            Request::Get { account, .. } if account.as_str() == "busy" => Response::Fault(
                Fault::new(FaultCode::TooBusy, "too many requests wait").retry_after(2_000),
            ),
            Request::Get { account, .. } if account.as_str() == "cookie" => {
                Response::Token(Token {
                    token_type: "cookie:session".into(),
                    ..granted.clone()
                })
            }
            Request::Get { .. } | Request::Reject { .. } => Response::Token(granted.clone()),
            other => panic!("{other:?}"),
        })
    })
}

fn daemon() -> FakeDaemon {
    daemon_with(token(TOKEN))
}

fn git(daemon: &FakeDaemon, words: &[&str], question: &str) -> Ended {
    tokenctl_with_input(daemon, &[&["helper", "git"], words].concat(), question)
}

fn silent(ended: &Ended) {
    let nothing = (0, String::new(), String::new());
    assert_eq!(
        (ended.code, ended.stdout.clone(), ended.stderr.clone()),
        nothing
    );
}

#[test]
fn git_gets_the_token_of_the_account_that_is_for_the_url() {
    let ended = git(&daemon(), &["get"], NEW);
    let expected = format!(
        "capability[]=authtype\nauthtype=Bearer\ncredential={TOKEN}\nephemeral=true\npassword_expiry_utc=1700003600\n"
    );
    assert_eq!((ended.code, ended.stdout), (0, expected));
    let old = "protocol=http\nhost=127.0.0.1:8080\n";
    let ended = git(&daemon(), &["--user", "x", "--account", "ads", "get"], old);
    let expected = format!("username=x\npassword={TOKEN}\npassword_expiry_utc=1700003600\n");
    assert_eq!((ended.code, ended.stdout), (0, expected));
}

#[test]
fn a_link_of_that_name_is_the_helper() {
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("git-credential-tokenctl");
    symlink(env!("CARGO_BIN_EXE_tokenctl"), &link).unwrap();
    let daemon = daemon();
    let mut started = assert_cmd::Command::new(link);
    let output = started
        .args(["--account", "ads", "get"])
        .env("TOKEND_SOCKET", daemon.socket())
        .write_stdin(NEW)
        .output()
        .unwrap();
    assert!(ended(&output).stdout.contains(TOKEN));
}

#[test]
fn nothing_is_said_of_another_address() {
    for question in [
        "protocol=https\nhost=github.com\n",
        "protocol=http\nhost=git.example.com\n",
        "protocol=https\nhost=git.example.com:8443\n",
        "protocol=ssh\nhost=git.example.com\n",
        "protocol=https\nhost=evil.test%2f.git.example.com\n",
        "host=git.example.com\n",
        "",
    ] {
        let daemon = daemon();
        for words in [&["get"][..], &["--account", "ads", "get"], &["erase"]] {
            silent(&git(
                &daemon,
                words,
                &format!("{question}password={TOKEN}\n"),
            ));
        }
        let asked = daemon.seen();
        let only_apis = |request: &Request| matches!(request, Request::Apis { .. });
        assert!(asked.iter().all(only_apis), "{question}: {asked:?}");
    }
}

#[test]
fn an_address_without_its_token_ends_git() {
    for (question, code, about) in [
        (
            "protocol=https\nhost=down.example.com\n",
            79,
            "account down needs a login",
        ),
        ("protocol=https\nhost=both.example.com\n", 78, "one and two"),
    ] {
        let ended = git(&daemon(), &["get"], question);
        assert_eq!(
            (ended.code, ended.stdout.as_str()),
            (code, "quit=1\n"),
            "{}",
            ended.stderr
        );
        assert!(ended.stderr.contains(about), "{}", ended.stderr);
    }
    for text in ["line\nbreak", "b lank", "\u{fc}"] {
        let granted = Token {
            access_token: secret(text),
            ..token(TOKEN)
        };
        let ended = git(&daemon_with(granted), &["get"], NEW);
        assert_eq!((ended.code, ended.stdout.as_str()), (70, "quit=1\n"));
        assert!(!ended.stderr.contains(text), "{}", ended.stderr);
    }
    let granted = Token {
        token_type: "cookie:session".into(),
        ..token(TOKEN)
    };
    let ended = git(&daemon_with(granted), &["get"], NEW);
    assert_eq!((ended.code, ended.stdout.as_str()), (78, "quit=1\n"));
}

#[test]
fn a_named_account_that_cannot_be_looked_at_ends_git() {
    for (account, code, about) in [
        ("unsaid", 78, "[account.unsaid.api]"),
        ("absent", 77, "no such account for you"),
    ] {
        let ended = git(&daemon(), &["--account", account, "get"], NEW);
        assert_eq!(
            (ended.code, ended.stdout.as_str()),
            (code, "quit=1\n"),
            "{}",
            ended.stderr
        );
        assert!(ended.stderr.contains(about), "{}", ended.stderr);
    }
    // Which addresses are ours is not known without the daemon, so that git goes on unless an account is named.
    for (named, out) in [(&[][..], ""), (&["--account", "ads"], "quit=1\n")] {
        let words = ["helper", "git", "get", "--socket", "/nonexistent/socket"];
        let mut command = crate::run::bare_command(&[&words[..], named].concat());
        let ended = ended(&command.write_stdin(NEW).output().unwrap());
        assert_eq!(
            (ended.code, ended.stdout.as_str()),
            (69, out),
            "{}",
            ended.stderr
        );
    }
}

/// The limit is for all that is asked, so also for what tokens are for.
#[test]
#[expect(clippy::disallowed_methods, reason = "the test times whole programs")]
fn a_helper_ends_within_its_time_limit() {
    let daemon = FakeDaemon::start(|_, _| Act::Silence);
    let begun = std::time::Instant::now();
    let question = "sparse+https://git.example.com/";
    let cargo = format!(
        "{{\"v\":1,\"kind\":\"get\",\"operation\":\"read\",\"registry\":{{\"index-url\":\"{question}\"}},\"args\":[\"--timeout\",\"1s\"]}}\n"
    );
    for (words, input, code) in [
        (&["git", "--timeout", "1s", "get"][..], NEW, 75),
        (&["docker", "--timeout", "1s", "get"], "git.example.com", 1),
        (&["cargo", "--cargo-plugin"], &cargo, 0),
        (
            &["terraform", "--timeout", "1s", "get", "git.example.com"],
            "",
            75,
        ),
        (
            &[
                "keyring",
                "--timeout",
                "1s",
                "get",
                "https://git.example.com",
            ],
            "",
            75,
        ),
    ] {
        let ended = tokenctl_with_input(&daemon, &[&["helper"], words].concat(), input);
        assert_eq!(ended.code, code, "{words:?} {}", ended.stderr);
        assert!(!ended.stdout.contains(TOKEN), "{}", ended.stdout);
    }
    // Ten seconds each, if the limit were not for that.
    assert!(begun.elapsed() < std::time::Duration::from_secs(25));
}

#[test]
fn erase_reports_the_very_token_that_was_refused() {
    for (what, refused) in [("password", "old"), ("credential", "old.too")] {
        let daemon = daemon();
        let question =
            format!("protocol=https\nhost=git.example.com\nusername=u\n{what}={refused}\n");
        silent(&git(&daemon, &["erase"], &question));
        let seen = daemon.seen();
        let Some(Request::Reject { account, token, .. }) = seen.last() else {
            panic!("{seen:?}")
        };
        assert_eq!((account.as_str(), token.expose()), ("ads", refused));
    }
    // Without a value nothing is known to be refused.
    let daemon = daemon();
    silent(&git(
        &daemon,
        &["erase"],
        "protocol=https\nhost=git.example.com\n",
    ));
    assert_eq!(daemon.connections(), 0);
}

#[test]
fn what_git_stores_and_what_is_new_to_us_does_nothing() {
    let daemon = daemon();
    for operation in ["store", "approve-next-year"] {
        silent(&git(
            &daemon,
            &[operation],
            &format!("{NEW}password={TOKEN}\n"),
        ));
    }
    let ended = git(&daemon, &["capability"], "");
    assert_eq!(ended.stdout, "version 0\ncapability authtype\n");
    assert_eq!(daemon.connections(), 0);
}

#[test]
fn mistakes_of_the_command_line_are_told_with_64() {
    for words in [
        &["helper"][..],
        &["helper", "git"],
        &["helper", "svn", "get"],
        &["helper", "git", "--user", "", "get"],
        &["helper", "git", "--user", "a\nb", "get"],
        &["helper", "git", "--account", "a/b", "get"],
    ] {
        let ended = bare(words);
        assert_eq!((ended.code, ended.stdout.as_str()), (64, ""), "{words:?}");
    }
}

/// Why there is no token for an address that has an account: the address, the exit code of tokenctl, and what it says.
const REASONS: [(&str, i32, &str); 4] = [
    ("down.example.com", 79, "account down needs a login"),
    ("busy.example.com", 75, "try again in 2 s"),
    ("both.example.com", 78, "one and two"),
    ("cookie.example.com", 78, "in the cookie `session`"),
];

const NOTHING: &str = "credentials not found in native keychain\n";

fn docker(daemon: &FakeDaemon, words: &[&str], question: &str) -> Ended {
    tokenctl_with_input(daemon, &[&["helper", "docker"], words].concat(), question)
}

#[test]
fn docker_gets_the_token_of_the_account_that_is_for_the_registry() {
    for (server, user) in [
        ("git.example.com", "oauth2"),
        ("https://git.example.com/v1/", "oauth2"),
        ("127.0.0.1:8080", "me"),
    ] {
        let words = match user {
            "me" => vec!["--account", "ads", "--user", "me", "get"],
            _ => vec!["get"],
        };
        let ended = docker(&daemon(), &words, &format!("{server}\n"));
        let expected = format!(
            "{{\"ServerURL\":\"{server}\",\"Username\":\"{user}\",\"Secret\":\"{TOKEN}\"}}\n"
        );
        assert_eq!(
            (ended.code, ended.stdout, ended.stderr),
            (0, expected, String::new())
        );
    }
}

#[test]
fn docker_is_told_in_its_own_words_that_there_is_nothing() {
    for server in [
        "docker.io",
        "https://index.docker.io/v1/",
        "http://git.example.com",
        "git.example.com:5000",
        "user@git.example.com",
        "127.0.0.1",
        "",
    ] {
        let daemon = daemon();
        let ended = docker(&daemon, &["get"], server);
        let nothing = (1, NOTHING.to_owned(), String::new());
        assert_eq!(
            (ended.code, ended.stdout, ended.stderr),
            nothing,
            "{server}"
        );
    }
}

#[test]
fn docker_is_told_why_there_is_no_token() {
    for (server, about) in [
        ("down.example.com", "account down needs a login"),
        ("both.example.com", "one and two"),
    ] {
        let ended = docker(&daemon(), &["get"], server);
        assert_eq!(
            (ended.code, ended.stdout.lines().count()),
            (1, 1),
            "{}",
            ended.stdout
        );
        assert!(ended.stdout.contains(about), "{}", ended.stdout);
        assert!(ended.stderr.contains(about), "{}", ended.stderr);
    }
    let granted = Token {
        token_type: "cookie:session".into(),
        ..token(TOKEN)
    };
    let ended = docker(&daemon_with(granted), &["get"], "git.example.com");
    assert!(
        ended.code == 1 && !ended.stdout.contains(TOKEN),
        "{}",
        ended.stdout
    );
    let socket = ["--socket", "/nonexistent/socket"];
    let mut command =
        crate::run::bare_command(&[&["helper", "docker", "get"], &socket[..]].concat());
    let output = command.write_stdin("git.example.com").output().unwrap();
    let ended = crate::run::ended(&output);
    assert!(
        ended.code == 1 && ended.stdout.contains("cannot reach tokend"),
        "{}",
        ended.stdout
    );
}

#[test]
fn docker_stores_nothing_erases_nothing_and_lists_nothing() {
    let entered =
        |server: &str| format!(r#"{{"ServerURL":"{server}","Username":"u","Secret":"hunter3"}}"#);
    silent(&docker(&daemon(), &["store"], &entered("git.example.com")));
    let lost = docker(&daemon(), &["store"], &entered("registry.example.com"));
    assert!(
        lost.code == 1 && lost.stdout.contains("nothing was stored"),
        "{}",
        lost.stdout
    );
    let strange = docker(
        &daemon(),
        &["store"],
        "{\"ServerURL\":\"x\",\"Secret\":\"hunter3",
    );
    assert_eq!(strange.code, 1);
    for ended in [lost, strange] {
        assert!(!ended.stdout.contains("hunter3") && !ended.stderr.contains("hunter3"));
    }
    let daemon = daemon();
    silent(&docker(&daemon, &["erase"], "git.example.com"));
    assert_eq!(docker(&daemon, &["list"], "").stdout, "{}\n");
    let version = docker(&daemon, &["version"], "").stdout;
    assert!(
        version.starts_with("docker-credential-tokenctl v"),
        "{version}"
    );
    assert_eq!(docker(&daemon, &["sell"], "").code, 1);
    assert_eq!(daemon.connections(), 0);
}
