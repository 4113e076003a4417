//! `request`: the token goes to its API and nowhere else, and a refused one is followed by a newer one once.

mod bodies;
mod network;
mod refusals;
mod screen;

use std::path::Path;

use tokend_proto::{ApiLine, ApisPage, Fault, FaultCode, Request, Response, Token};

use crate::api::{Api, Conversation};
use crate::fake::{Act, FakeDaemon, name, secret, token};
use crate::run::{Ended, TOKEN, bare, bare_command, ended, tokenctl};

/// The first token, and the one that follows its refusal.
fn old() -> String {
    format!("{TOKEN}.old")
}

fn new() -> String {
    format!("{TOKEN}.new")
}

/// A daemon whose account `ads` is for this address, and `down` needs a login. It takes 401 for a refusal, and 400 with a word.
fn daemon(url: &str) -> FakeDaemon {
    typed("Bearer", url)
}

fn typed(kind: &str, url: &str) -> FakeDaemon {
    let (kind, urls) = (kind.to_owned(), vec![url.to_owned()]);
    FakeDaemon::start(move |_, request| {
        let of = |text: &str| Token {
            access_token: secret(text),
            token_type: kind.clone(),
            ..token(text)
        };
        Act::Reply(match request {
            Request::Apis { account, .. } => {
                let account = account.clone().unwrap_or_else(|| name("ads"));
                let urls = match account.as_str() {
                    "silent" => Vec::new(),
                    _ => urls.clone(),
                };
                Response::Apis(ApisPage {
                    apis: vec![ApiLine { account, urls }],
                    next: None,
                })
            }
            Request::Get { account, .. } if account.as_str() == "down" => login_required(),
            Request::Get { .. } => Response::Token(of(&old())),
            Request::Refusal { status, body, .. } => Response::Refusal {
                is_refusal: *status == 401 || body.expose().contains("token expired"),
            },
            Request::Reject { account, .. } if account.as_str() == "sour" => login_required(),
            Request::Reject { token, .. } => {
                assert_eq!(token.expose(), old());
                Response::Token(of(&new()))
            }
            other => panic!("{other:?}"),
        })
    })
}

fn login_required() -> Response {
    Response::Fault(Fault::new(
        FaultCode::LoginRequired,
        "the account needs a login",
    ))
}

/// An API that takes only the newer token.
fn strict() -> Api {
    Api::start(|conversation| {
        conversation.read_body()?;
        match conversation.seen.has_token(&new()) {
            true => conversation.answer("200 OK", "welcome"),
            false => conversation.answer("401 Unauthorized", "who are you"),
        }
    })
}

fn generous() -> Api {
    Api::start(|conversation| {
        conversation.read_body()?;
        conversation.answer("200 OK", "welcome")
    })
}

fn request(api: &Api, words: &[&str]) -> Ended {
    tokenctl(&daemon(&api.url("/")), &[&["request"], words].concat())
}

fn kinds(daemon: &FakeDaemon) -> Vec<&'static str> {
    daemon
        .seen()
        .iter()
        .map(|request| request.kind().as_str())
        .collect()
}

#[test]
fn the_token_is_sent_and_the_answer_printed() {
    let api = generous();
    let daemon = daemon(&api.url("/v1"));
    let url = api.url("/v1/a/../users?x=1#fragment");
    let ended = tokenctl(&daemon, &["request", "get", &url, "-H", "X-Trace: 7"]);
    assert_eq!(
        (ended.code, ended.stdout.as_str(), ended.stderr.as_str()),
        (0, "welcome", "")
    );
    let [seen] = &api.seen()[..] else {
        panic!("{:?}", api.seen())
    };
    assert!(
        seen.head.starts_with("GET /v1/users?x=1 HTTP/1.1\r\n"),
        "{seen:?}"
    );
    assert!(seen.has_token(&old()), "{seen:?}");
    assert_eq!(seen.header("x-trace"), Some("7"));
    assert_eq!(
        seen.header("host"),
        Some(&*format!("127.0.0.1:{}", api.port()))
    );
    // The answer is short, so it is looked at.
    assert_eq!(kinds(&daemon), ["apis", "get", "refusal"]);
}

#[test]
fn a_url_that_is_not_the_accounts_is_never_asked() {
    let api = generous();
    let daemon = daemon(&api.url("/v1"));
    for (words, code) in [
        (vec!["GET".to_owned(), api.url("/v2")], 78),
        (
            vec![
                "--account=ads".to_owned(),
                "GET".to_owned(),
                api.url("/v10"),
            ],
            78,
        ),
        (
            vec![
                "--account=silent".to_owned(),
                "GET".to_owned(),
                api.url("/v1"),
            ],
            78,
        ),
        (vec!["GET".to_owned(), api.url("/v1/%2e%2e%2f../admin")], 78),
        (
            vec!["GET".to_owned(), "http://example.com/v1".to_owned()],
            64,
        ),
        (
            vec![
                "GET".to_owned(),
                api.url("/v1"),
                "-HAuthorization: x".to_owned(),
            ],
            64,
        ),
        (
            vec!["GET".to_owned(), api.url("/v1"), "-HHost: x".to_owned()],
            64,
        ),
        (
            vec!["GET".to_owned(), api.url("/v1"), "more".to_owned()],
            64,
        ),
        (vec!["G=T".to_owned(), api.url("/v1")], 64),
        (vec!["GET".to_owned()], 64),
    ] {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let ended = tokenctl(&daemon, &[&["request"], &words[..]].concat());
        assert_eq!(ended.code, code, "{words:?}: {}", ended.stderr);
        assert_eq!(ended.stdout, "");
    }
    assert_eq!(api.seen().len(), 0);
    assert!(!kinds(&daemon).contains(&"get"), "{:?}", kinds(&daemon));
}

#[test]
fn a_refused_url_comes_with_what_the_accounts_are_for() {
    let api = generous();
    let daemon = daemon(&api.url("/v1"));
    let said = tokenctl(&daemon, &["request", "GET", &api.url("/v2")]).stderr;
    assert!(
        said.contains(&format!("ads is for {}", api.url("/v1"))),
        "{said}"
    );
    let said = tokenctl(
        &daemon,
        &["request", "--account=silent", "GET", &api.url("/v1")],
    )
    .stderr;
    assert!(
        said.contains("nobody has said what the token of silent is for"),
        "{said}"
    );
}

#[test]
fn a_redirect_is_printed_and_not_followed() {
    let elsewhere = generous();
    let to = elsewhere.url("/take?secret=1");
    let api = Api::start(move |conversation| {
        let answer =
            format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 5\r\n\r\nmoved");
        conversation.send(answer.as_bytes())
    });
    let ended = request(&api, &["GET", &api.url("/")]);
    assert_eq!((ended.code, ended.stdout.as_str()), (0, "moved"));
    let note = format!("leads to {};", elsewhere.url("/take"));
    assert!(ended.stderr.contains(&note), "{}", ended.stderr);
    assert_eq!((api.seen().len(), elsewhere.seen().len()), (1, 0));
    // A server that puts the token into the place it leads to.
    let api = Api::start(|conversation| {
        let token = old();
        let answer = format!("HTTP/1.1 307 Go\r\nLocation: /{token}\r\nContent-Length: 0\r\n\r\n");
        conversation.send(answer.as_bytes())
    });
    let ended = request(&api, &["POST", &api.url("/"), "-d", "x"]);
    assert!(
        ended.stderr.contains("with the token in it"),
        "{}",
        ended.stderr
    );
    assert_eq!((ended.code, api.seen().len()), (0, 1));
}

#[test]
fn the_status_decides_the_exit_code_and_the_body_is_printed_all_the_same() {
    for (status, code) in [
        ("204 No Content", 0),
        ("304 Not Modified", 0),
        ("400 Bad", 22),
        ("403 No", 22),
        ("500 Oh", 22),
        ("999 What", 22),
    ] {
        let api = Api::start(move |conversation| {
            let body = if status.starts_with(['2', '3']) {
                ""
            } else {
                "why"
            };
            conversation.answer(status, body)
        });
        let ended = request(&api, &["GET", &api.url("/")]);
        let body = if code == 0 { "" } else { "why" };
        assert_eq!(
            (ended.code, ended.stdout.as_str()),
            (code, body),
            "{}",
            ended.stderr
        );
        let number = status.split(' ').next().unwrap();
        assert_eq!(ended.stderr.contains(number), code != 0, "{}", ended.stderr);
    }
}

#[test]
fn the_head_is_printed_where_it_was_asked_for() {
    let api = generous();
    let ended = request(&api, &["GET", &api.url("/"), "-i"]);
    assert_eq!(
        ended.stdout,
        "HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\nwelcome"
    );
    let api = Api::start(|conversation| {
        conversation.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1234567\r\n\r\n")
    });
    let ended = request(&api, &["HEAD", &api.url("/"), "-i"]);
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (0, "HTTP/1.1 200 OK\r\ncontent-length: 1234567\r\n\r\n")
    );
}

#[test]
fn the_token_stands_where_its_api_wants_it() {
    for (kind, shown) in [
        ("header:X-Api-Key", format!("\r\nx-api-key: {}\r\n", old())),
        (
            "cookie:session",
            format!("\r\ncookie: session={}\r\n", old()),
        ),
        ("query:key", format!("GET /?a=b&key={} HTTP/1.1\r\n", old())),
    ] {
        let api = generous();
        let daemon = typed(kind, &api.url("/"));
        let ended = tokenctl(&daemon, &["request", "GET", &api.url("/?a=b")]);
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        let head = &api.seen()[0].head;
        assert!(head.contains(&shown), "{head}");
        assert!(!head.contains("authorization"), "{head}");
    }
    let api = generous();
    let daemon = typed("header:X-Api-Key", &api.url("/"));
    let ended = tokenctl(
        &daemon,
        &["request", "GET", &api.url("/"), "-Hx-api-key: mine"],
    );
    assert_eq!((ended.code, api.seen().len()), (64, 0), "{}", ended.stderr);
}

#[test]
fn the_program_beside_tokenctl_does_nothing_else() {
    let run = |words: &[&str]| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_tokenctl-request"))
            .args(words)
            .output();
        ended(&output.unwrap())
    };
    let other = run(&["get", "ads"]);
    assert_eq!(other.code, 64, "{}", other.stderr);
    assert!(
        other.stderr.contains("tokenctl request METHOD URL"),
        "{}",
        other.stderr
    );
    assert_eq!(
        run(&["request", "--help"]).stdout,
        bare(&["request", "--help"]).stdout
    );
    // A copy of tokenctl alone.
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("tokenctl");
    std::fs::copy(env!("CARGO_BIN_EXE_tokenctl"), &copy).unwrap();
    let output = std::process::Command::new(&copy)
        .args(["request", "GET", "https://example.com/"])
        .output();
    let alone = ended(&output.unwrap());
    assert_eq!(alone.code, 126, "{}", alone.stderr);
    assert!(alone.stderr.contains("same release"), "{}", alone.stderr);
}

/// Runs it with certificates and a proxy of the environment.
fn with_environment(daemon: &FakeDaemon, words: &[&str], variables: &[(&str, &Path)]) -> Ended {
    let mut command = bare_command(&[&["request"], words].concat());
    command.env("TOKEND_SOCKET", daemon.socket());
    for (name, value) in variables {
        command.env(name, value);
    }
    ended(&command.output().unwrap())
}

/// Ends a request as an API without a body would.
fn no_content(conversation: &mut Conversation<'_>) -> std::io::Result<()> {
    conversation.read_body()?;
    conversation.answer("200 OK", "")
}
