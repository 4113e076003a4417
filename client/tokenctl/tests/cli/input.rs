//! Secrets on standard input: `reject`, `login`, and the question of `forget`.

use tokend_client::LoginSecret;
use tokend_proto::{Request, Response};

use crate::fake::{FakeDaemon, name, secret, token};
use crate::run::{Ended, TOKEN, tokenctl, tokenctl_with_input};

fn done() -> FakeDaemon {
    FakeDaemon::answering(Response::Done {
        message: "ads is logged in".into(),
    })
}

#[test]
fn reject_reads_the_token_and_says_a_sentence() {
    let daemon = FakeDaemon::answering(Response::Token(token(TOKEN)));
    let note = "tokenctl: ads has a new token, good for 1 h\n";
    for input in ["refused", "refused\n", "refused\r\n"] {
        let ended = tokenctl_with_input(&daemon, &["reject", "ads"], input);
        assert_eq!(
            ended,
            Ended {
                code: 0,
                stdout: String::new(),
                stderr: note.into()
            }
        );
    }
    let ended = tokenctl_with_input(
        &daemon,
        &["reject", "ads", "--print", "--wait", "1s"],
        "refused\n",
    );
    assert_eq!(
        ended,
        Ended {
            code: 0,
            stdout: format!("{TOKEN}\n"),
            stderr: note.into()
        }
    );
    let reject = |wait_ms, timeout_ms| {
        let token = secret("refused");
        Request::Reject {
            account: name("ads"),
            token,
            wait_ms,
            timeout_ms,
        }
    };
    let expected = [
        reject(0, 29_500),
        reject(0, 29_500),
        reject(0, 29_500),
        reject(1_000, 30_500),
    ];
    assert_eq!(daemon.seen(), expected);
}

#[test]
fn login_reads_each_kind_of_credential() {
    let daemon = done();
    type Wrap = fn(tokend_client::SecretText) -> LoginSecret;
    let cases: [(&[&str], Wrap); 4] = [
        (&["login", "ads"], LoginSecret::Password),
        (&["login", "ads", "--password"], LoginSecret::Password),
        (
            &["login", "ads", "--refresh-token"],
            LoginSecret::RefreshToken,
        ),
        (
            &["login", "ads", "--client-secret"],
            LoginSecret::ClientSecret,
        ),
    ];
    for (arguments, _) in cases {
        let ended = tokenctl_with_input(&daemon, arguments, " hunter2 \n");
        let said = "tokenctl: ads is logged in\n";
        assert_eq!(
            ended,
            Ended {
                code: 0,
                stdout: String::new(),
                stderr: said.into()
            }
        );
    }
    let login = |wrap: Wrap| Request::Login {
        account: name("ads"),
        secret: wrap(secret(" hunter2 ")),
    };
    assert_eq!(daemon.seen(), cases.map(|(_, wrap)| login(wrap)));
}

#[test]
fn input_that_is_no_secret_is_refused_before_the_daemon_is_asked() {
    let daemon = done();
    let long = "h".repeat(50_000);
    for (input, expected) in [
        ("", "is empty"),
        ("\n", "is empty"),
        (
            "hunter2\nhunter2\n",
            "has 2 lines, and a secret is one line",
        ),
        ("hunter2\0\n", "holds a NUL byte"),
        (&long, "longer than 49152 bytes"),
    ] {
        for arguments in [["login", "ads"], ["reject", "ads"]] {
            let ended = tokenctl_with_input(&daemon, &arguments, input);
            assert_eq!((ended.code, ended.stdout.as_str()), (64, ""));
            assert!(ended.stderr.contains(expected), "{}", ended.stderr);
            assert!(
                !ended.stderr.contains("hunter2") && !ended.stderr.contains("hhh"),
                "{}",
                ended.stderr
            );
        }
    }
    assert!(daemon.seen().is_empty());
}

#[test]
fn forget_is_not_done_unasked() {
    let daemon = FakeDaemon::answering(Response::Done {
        message: "ads is forgotten".into(),
    });
    let ended = tokenctl(&daemon, &["forget", "ads"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (64, ""));
    assert!(
        ended.stderr.contains("tokenctl forget --yes ads"),
        "{}",
        ended.stderr
    );
    assert!(daemon.seen().is_empty());
    let ended = tokenctl(&daemon, &["forget", "--yes", "ads"]);
    assert_eq!(
        ended,
        Ended {
            code: 0,
            stdout: String::new(),
            stderr: "tokenctl: ads is forgotten\n".into()
        }
    );
    assert_eq!(
        daemon.seen(),
        [Request::Forget {
            account: name("ads")
        }]
    );
}
