//! Secrets on standard input: `reject`, `login`, and the question of `forget`.

use tokend_client::LoginSecret;
use tokend_proto::{
    CredentialField, CredentialStatus, Fault, FaultCode, NamedSecret, Request, Response,
    SecretOrigin,
};

use crate::fake::{Act, FakeDaemon, name, secret, token};
use crate::run::{Ended, TOKEN, tokenctl, tokenctl_with_input};

/// A daemon that knows these fields of the account.
pub(crate) fn login_daemon(fields: Vec<CredentialField>) -> FakeDaemon {
    let status = CredentialStatus {
        account: name("ads"),
        fields,
        can_refresh: true,
        has_refresh_token: false,
        refresh_entered_at_ms: None,
        refresh_entered_by: None,
    };
    FakeDaemon::start(move |_, request| {
        Act::Reply(match request {
            Request::Credential { .. } => Response::Credential(Box::new(status.clone())),
            _ => Response::Done {
                message: "ads is logged in".into(),
            },
        })
    })
}

/// A daemon of before fields had names.
fn older() -> FakeDaemon {
    FakeDaemon::start(|_, request| {
        Act::Reply(match request {
            Request::Credential { .. } | Request::Enter { .. } => {
                Response::Fault(Fault::new(FaultCode::BadRequest, "unknown request"))
            }
            _ => Response::Done {
                message: "ads is logged in".into(),
            },
        })
    })
}

/// A required field that nobody has given.
pub(crate) fn field(field: &str) -> CredentialField {
    CredentialField {
        field: field.into(),
        description: String::new(),
        required: true,
        multiline: false,
        origin: SecretOrigin::Missing,
        entered_at_ms: None,
        entered_by: None,
    }
}

pub(crate) fn named((field, text): (&str, &str)) -> NamedSecret {
    NamedSecret {
        field: field.into(),
        secret: secret(text),
    }
}

/// What was sent to the daemon by the names of fields.
pub(crate) fn entered(daemon: &FakeDaemon) -> Vec<NamedSecret> {
    let sent = daemon
        .seen()
        .into_iter()
        .filter_map(|request| match request {
            Request::Enter { secrets, .. } => Some(secrets),
            Request::Credential { .. } => None,
            other => panic!("{other:?}"),
        });
    sent.flatten().collect()
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
fn login_reads_each_kind_of_credential_that_older_daemons_know() {
    let daemon = older();
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
    let mut seen = daemon.seen();
    seen.retain(|request| matches!(request, Request::Login { .. }));
    assert_eq!(seen, cases.map(|(_, wrap)| login(wrap)));
    let named = ["login", "ads", "--field", "pin"];
    let ended = tokenctl_with_input(&daemon, &named, "hunter2\n");
    assert_eq!(ended.code, 70, "{ended:?}");
    assert!(ended.stderr.contains("unknown request"), "{ended:?}");
}

#[test]
fn secrets_are_entered_by_the_names_of_their_fields() {
    let key = CredentialField {
        multiline: true,
        ..field("private_key")
    };
    let optional = CredentialField {
        required: false,
        ..field("client_secret")
    };
    let kept = CredentialField {
        origin: SecretOrigin::Entered,
        ..field("password")
    };
    let configured = CredentialField {
        origin: SecretOrigin::Configured,
        ..field("password")
    };
    let pem = "-----BEGIN-----\nhunter2\n-----END-----";
    let two = vec![field("password"), field("pin"), optional.clone()];
    let cases: [(Vec<_>, &[&str], &str, &[_]); 7] = [
        (vec![field("password")], &[], "pw\n", &[("password", "pw")]),
        (
            two.clone(),
            &[],
            "pw\n0815\n",
            &[("password", "pw"), ("pin", "0815")],
        ),
        (
            two,
            &["--field", "client_secret"],
            "cs\n",
            &[("client_secret", "cs")],
        ),
        (vec![key, configured], &[], pem, &[("private_key", pem)]),
        (
            vec![kept.clone(), optional.clone()],
            &[],
            "new",
            &[("password", "new")],
        ),
        (vec![optional], &[], "cs", &[("client_secret", "cs")]),
        (
            vec![kept, field("pin")],
            &["--field", "pin", "--field", "password"],
            "0815\nnew",
            &[("pin", "0815"), ("password", "new")],
        ),
    ];
    for (fields, options, input, sent) in cases {
        let daemon = login_daemon(fields);
        let arguments = [&["login", "ads"], options].concat();
        let ended = tokenctl_with_input(&daemon, &arguments, input);
        assert_eq!(ended.code, 0, "{options:?}: {}", ended.stderr);
        let sent: Vec<_> = sent.iter().copied().map(named).collect();
        assert_eq!(entered(&daemon), sent);
    }
}

#[test]
fn input_that_does_not_fit_what_is_wanted_is_refused_without_showing_it() {
    let configured = CredentialField {
        origin: SecretOrigin::Configured,
        ..field("password")
    };
    let two = || vec![field("password"), field("pin")];
    let key = CredentialField {
        multiline: true,
        ..field("private_key")
    };
    let cases: [(Vec<_>, &[&str], &str, &str); 5] = [
        (
            two(),
            &[],
            "hunter2\n",
            "in this order: password of ads, pin of ads",
        ),
        (
            two(),
            &[],
            "hunter2\nhunter3\nhunter4\n",
            "another number of lines",
        ),
        (
            vec![field("pin"), key],
            &[],
            "hunter2\n",
            "run this on a terminal",
        ),
        (vec![configured], &[], "hunter2\n", "--refresh-token"),
        (
            two(),
            &["--field", "pin", "--field", "pin"],
            "hunter2\n",
            "named twice",
        ),
    ];
    for (fields, options, input, expected) in cases {
        let daemon = login_daemon(fields);
        let arguments = [&["login", "ads"], options].concat();
        let ended = tokenctl_with_input(&daemon, &arguments, input);
        assert_eq!((ended.code, ended.stdout.as_str()), (64, ""));
        assert!(ended.stderr.contains(expected), "{}", ended.stderr);
        assert!(!ended.stderr.contains("hunter"), "{}", ended.stderr);
        assert!(entered(&daemon).is_empty());
    }
}

#[test]
fn input_that_is_no_secret_is_refused_before_the_daemon_is_asked() {
    let daemon = login_daemon(vec![field("password")]);
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
    assert!(entered(&daemon).is_empty());
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
