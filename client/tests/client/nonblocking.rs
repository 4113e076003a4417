//! The async client: many requests on one connection, and their results when it ends.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokend_client::{
    ApiError, AuthorizedError, Client, ClientError, Deadlines, FaultCode, GetOptions, LoginSecret,
    MAX_IN_FLIGHT, Patience, SocketPath,
};
use tokend_proto::{AccountsPage, Fault, Request, Response, StatusPage, VERSION};

use crate::fake::{Act, FakeDaemon, name, secret, token, whoami};

type Greeting = fn() -> Act;

/// Short where the test waits for the deadline, default where it must not be met.
fn short() -> Deadlines {
    let ms = Duration::from_millis(100);
    Deadlines::default().answer(ms).grace(ms)
}

fn impatient() -> Deadlines {
    Deadlines::default().connect(Duration::from_millis(100))
}

async fn client(daemon: &FakeDaemon) -> Client {
    Client::connect(&daemon.socket().into()).await.unwrap()
}

fn ads() -> GetOptions {
    GetOptions::new(name("ads"))
}

#[tokio::test]
async fn every_call_has_its_answer() {
    let daemon = FakeDaemon::start(|_, request| {
        Act::Reply(match request {
            Request::Get { .. } | Request::Refresh { .. } | Request::Reject { .. } => {
                Response::Token(token("t"))
            }
            Request::Status { .. } => Response::Status(StatusPage {
                accounts: vec![],
                next: None,
            }),
            Request::List { .. } => Response::Accounts(AccountsPage {
                accounts: vec![],
                next: None,
            }),
            Request::Whoami => Response::Whoami(Box::new(whoami())),
            _ => Response::Done {
                message: "done".into(),
            },
        })
    });
    let client = client(&daemon).await;
    let (admin, ads) = (client.admin(), name("ads"));
    assert_eq!(
        client.get(&GetOptions::new(ads.clone())).await.unwrap(),
        token("t").into()
    );
    assert_eq!(
        admin.refresh(&ads, Patience::default()).await.unwrap(),
        Some(token("t").into())
    );
    assert_eq!(
        client
            .reject(&ads, secret("old"), Patience::default())
            .await
            .unwrap(),
        Some(token("t").into())
    );
    assert!(admin.status(None).await.unwrap().is_empty());
    assert!(client.list().await.unwrap().is_empty());
    assert_eq!(client.whoami().await.unwrap(), whoami());
    assert_eq!(admin.reload().await.unwrap(), "done");
    assert_eq!(
        admin
            .login(&ads, LoginSecret::RefreshToken(secret("rt")))
            .await
            .unwrap(),
        "done"
    );
    assert_eq!(admin.forget(&ads).await.unwrap(), "done");
    let names: Vec<_> = daemon.seen().iter().map(Request::name).collect();
    assert_eq!(
        names,
        [
            "get", "refresh", "reject", "status", "list", "whoami", "reload", "login", "forget"
        ]
    );
    assert_eq!(daemon.connections(), 1);
}

/// Each task gets the token of its own account although there are more tasks than turns.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_requests_share_one_connection() {
    let daemon = FakeDaemon::start(|_, request| {
        Act::Reply(Response::Token(token(request.account().unwrap().as_str())))
    });
    let client = client(&daemon).await;
    let tasks = (0..MAX_IN_FLIGHT * 4).map(|index| {
        let client = client.clone();
        tokio::spawn(async move {
            let account = name(&format!("account-{index}"));
            let answered = client.get(&GetOptions::new(account.clone())).await.unwrap();
            assert_eq!(answered.access_token.expose(), account.as_str());
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    assert_eq!(
        (daemon.connections(), daemon.seen().len()),
        (1, MAX_IN_FLIGHT * 4)
    );
}

/// Secrets of the largest size overflow the socket's buffer, so that frames wait to be written and are not mixed up.
#[tokio::test]
async fn requests_larger_than_the_socket_s_buffer_arrive_whole() {
    let daemon = FakeDaemon::start(|_, request| match request {
        Request::Reject { token: refused, .. } => {
            Act::Reply(Response::Token(token(&refused.expose()[..4])))
        }
        other => panic!("{other:?}"),
    });
    let client = client(&daemon).await;
    let tasks = (0..MAX_IN_FLIGHT).map(|index| {
        let client = client.clone();
        let refused = format!("{index:04}{}", "x".repeat(40_000));
        tokio::spawn(async move {
            let newer = client
                .reject(&name("ads"), secret(&refused), Patience::default())
                .await
                .unwrap()
                .unwrap();
            assert_eq!(newer.access_token.expose(), &refused[..4]);
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
}

#[tokio::test]
async fn answers_may_overtake_each_other() {
    // Holds the first answer back until the second request is there.
    let daemon = FakeDaemon::start(|index, _| match index {
        0 => Act::Silence,
        _ => Act::Raw(
            [(2, "second"), (1, "first")]
                .map(|(id, text)| {
                    let mut bytes = Vec::new();
                    let response = Response::Token(token(text));
                    let frame = tokend_proto::ServerFrame {
                        id: tokend_proto::RequestId(id),
                        response,
                    };
                    tokend_proto::encode(&frame, &mut bytes).unwrap();
                    bytes
                })
                .concat(),
        ),
    });
    let client = client(&daemon).await;
    let options = ads();
    let (first, second) = tokio::join!(client.get(&options), client.get(&options));
    assert_eq!(first.unwrap(), token("first").into());
    assert_eq!(second.unwrap(), token("second").into());
}

#[tokio::test]
async fn a_dropped_call_does_not_disturb_the_others() {
    let held = Arc::new(AtomicBool::new(true));
    let daemon = FakeDaemon::start({
        let held = Arc::clone(&held);
        move |_, _| match held.load(Ordering::SeqCst) {
            true => Act::Silence,
            // Answers the abandoned request too, late.
            false => Act::Reply(Response::Token(token("t"))),
        }
    });
    let client = client(&daemon).await;
    let options = ads();
    tokio::select! {
        biased;
        _ = client.get(&options) => panic!("nobody answers"),
        () = until(|| daemon.seen().len() == 1) => {}
    }
    held.store(false, Ordering::SeqCst);
    assert_eq!(client.get(&options).await.unwrap(), token("t").into());
    assert_eq!(daemon.connections(), 1);
}

#[tokio::test]
async fn a_silent_daemon_ends_at_the_deadline_and_is_left() {
    let daemon = FakeDaemon::start(|index, _| match index {
        0 => Act::Silence,
        _ => Act::Reply(Response::Token(token("t"))),
    });
    let client = Client::connect_with(&daemon.socket().into(), short())
        .await
        .unwrap();
    let error = client
        .get(&ads().timeout(Duration::from_millis(50)))
        .await
        .unwrap_err();
    assert!(
        matches!(error, ClientError::TimedOut { limit } if limit == Duration::from_millis(250)),
        "{error}"
    );
    assert_eq!(client.get(&ads()).await.unwrap(), token("t").into());
    assert_eq!(daemon.connections(), 2);
}

#[tokio::test]
async fn a_daemon_that_stops_talking_ends_every_call_at_its_deadline() {
    let drops = FakeDaemon::start(|_, _| Act::Drops(Response::Token(token("t"))));
    let half = FakeDaemon::start(|_, _| Act::Raw(vec![40, 0, 0, 0, 1, 2, 3]));
    for daemon in [&drops, &half] {
        let error = client(daemon)
            .await
            .get(&ads().timeout(Duration::from_millis(300)))
            .await
            .unwrap_err();
        assert!(matches!(error, ClientError::TimedOut { .. }), "{error}");
    }
    // A daemon that greeted, was restarted, and no longer greets.
    let greeted = AtomicBool::new(false);
    let once = move || match greeted.swap(true, Ordering::SeqCst) {
        false => Act::Reply(Response::Welcome {
            version: VERSION,
            daemon: "fake".into(),
        }),
        true => Act::Silence,
    };
    let daemon = FakeDaemon::greeting(once, |_, _| Act::ReplyAndClose(Response::Token(token("t"))));
    let client = Client::connect_with(&daemon.socket().into(), short())
        .await
        .unwrap();
    client.get(&ads()).await.unwrap();
    let error = client
        .get(&ads().timeout(Duration::from_millis(300)))
        .await
        .unwrap_err();
    assert!(matches!(error, ClientError::Silent { .. }), "{error}");
    let error = client.admin().status(None).await.unwrap_err();
    assert!(matches!(error, ClientError::Silent { .. }), "{error}");
}

/// Whoever connects anew holds the others up until its own deadline, but not those whose time is over.
#[tokio::test]
async fn a_call_ends_at_its_deadline_while_another_connects() {
    let greeted = AtomicBool::new(false);
    let once = move || match greeted.swap(true, Ordering::SeqCst) {
        false => Act::Reply(Response::Welcome {
            version: VERSION,
            daemon: "fake".into(),
        }),
        true => Act::Silence,
    };
    let daemon = FakeDaemon::greeting(once, |_, _| Act::Silence);
    let deadlines = Deadlines::default().connect(Duration::from_secs(60));
    let client = Client::connect_with(&daemon.socket().into(), deadlines)
        .await
        .unwrap();
    let get = |timeout: Duration| {
        let client = client.clone();
        tokio::spawn(async move { client.get(&ads().timeout(timeout)).await })
    };
    let (first, second) = (Duration::from_millis(300), Duration::from_secs(2));
    let (first, second) = (get(first), get(second));
    until(|| daemon.seen().len() == 2).await;
    let error = first.await.unwrap().unwrap_err();
    assert!(matches!(error, ClientError::TimedOut { .. }), "{error}");
    let connects = get(Duration::from_secs(60));
    until(|| daemon.connections() == 2).await;
    let error = second.await.unwrap().unwrap_err();
    assert!(matches!(error, ClientError::TimedOut { .. }), "{error}");
    assert!(!connects.is_finished(), "it still connects");
    connects.abort();
}

#[tokio::test]
async fn connecting_to_what_is_not_tokend_fails() {
    let silent = FakeDaemon::greeting(|| Act::Silence, |_, _| Act::Silence);
    let error = Client::connect_with(&silent.socket().into(), impatient())
        .await
        .unwrap_err();
    assert!(matches!(error, ClientError::Silent { .. }), "{error}");

    let garbage = || Act::Raw(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec());
    let future = || {
        Act::Reply(Response::Welcome {
            version: VERSION + 1,
            daemon: "tokend 9".into(),
        })
    };
    let cases: [(Greeting, &str); 2] = [(garbage, "frame of"), (future, "chose version 3")];
    for (greeting, expected) in cases {
        let daemon = FakeDaemon::greeting(greeting, |_, _| Act::Silence);
        let error = Client::connect(&daemon.socket().into()).await.unwrap_err();
        assert!(matches!(error, ClientError::Protocol { .. }), "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    }

    let busy = || {
        Act::ReplyAndClose(Response::Fault(Fault::new(
            FaultCode::TooBusy,
            "too many connections",
        )))
    };
    let daemon = FakeDaemon::greeting(busy, |_, _| Act::Silence);
    let error = Client::connect(&daemon.socket().into()).await.unwrap_err();
    assert!(
        matches!(&error, ClientError::Fault(fault) if fault.code == FaultCode::TooBusy),
        "{error}"
    );

    let nowhere = SocketPath::from(daemon.socket().with_extension("none"));
    let error = Client::connect(&nowhere).await.unwrap_err();
    assert!(
        error.to_string().ends_with("no such file or directory"),
        "{error}"
    );
}

#[tokio::test]
async fn a_queue_that_stays_full_ends_at_the_deadline() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("full.sock");
    let address = rustix::net::SocketAddrUnix::new(&path).unwrap();
    let listener = rustix::net::socket(
        rustix::net::AddressFamily::UNIX,
        rustix::net::SocketType::STREAM,
        None,
    )
    .unwrap();
    rustix::net::bind(&listener, &address).unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    let tasks = (0..4).map(|_| {
        let path = SocketPath::from(path.clone());
        tokio::spawn(async move { Client::connect_with(&path, impatient()).await.unwrap_err() })
    });
    let mut waiting = 0;
    for task in tasks.collect::<Vec<_>>() {
        match task.await.unwrap() {
            // The queue accepts one connection, which nobody answers.
            ClientError::Silent { .. } => {}
            error => {
                let message = error.to_string();
                assert!(
                    message.ends_with("its queue of connections stays full"),
                    "{message}"
                );
                waiting += 1;
            }
        }
    }
    assert!(waiting >= 1);
}

#[tokio::test]
async fn garbage_among_answers_ends_every_call_with_the_reason() {
    let daemon = FakeDaemon::start(|index, _| match index {
        0 => Act::Silence,
        _ => Act::ReplyAs(99, Response::Token(token("t"))),
    });
    let client = client(&daemon).await;
    let options = ads();
    let (first, second) = tokio::join!(client.get(&options), client.get(&options));
    for error in [first.unwrap_err(), second.unwrap_err()] {
        assert!(error.to_string().contains("answers request 99"), "{error}");
    }
}

#[tokio::test]
async fn a_lost_connection_is_made_again_and_only_gets_are_repeated() {
    let daemon = FakeDaemon::start(|index, _| match index {
        1 | 3 => Act::Half(Response::Token(token("t"))),
        _ => Act::Reply(Response::Token(token("t"))),
    });
    let client = client(&daemon).await;
    assert_eq!(client.get(&ads()).await.unwrap(), token("t").into());
    assert_eq!(
        client.get(&ads()).await.unwrap(),
        token("t").into(),
        "sent once more on a new connection"
    );
    let lost = client
        .admin()
        .refresh(&name("ads"), Patience::default())
        .await
        .unwrap_err();
    assert!(matches!(lost, ClientError::Lost { .. }), "{lost}");
    assert_eq!(
        daemon.seen().len(),
        4,
        "a refresh that may have been processed is not sent again"
    );
    assert_eq!(client.get(&ads()).await.unwrap(), token("t").into());
    assert_eq!(daemon.connections(), 3);
}

#[tokio::test]
async fn a_daemon_that_is_gone_is_told_as_such() {
    let daemon = FakeDaemon::start(|_, _| Act::ReplyAndClose(Response::Token(token("t"))));
    let client = client(&daemon).await;
    client.get(&ads()).await.unwrap();
    drop(daemon);
    let error = client.get(&ads()).await.unwrap_err();
    assert!(matches!(error, ClientError::NotReachable { .. }), "{error}");
}

#[tokio::test]
async fn a_refused_token_is_rejected_once() {
    let daemon = FakeDaemon::start(|_, request| {
        Act::Reply(Response::Token(match request {
            Request::Get { .. } => token("old"),
            Request::Reject { token: refused, .. } if refused.expose() == "old" => token("new"),
            other => panic!("{other:?}"),
        }))
    });
    let client = client(&daemon).await;
    let used = Mutex::new(Vec::new());
    let api = async |accepts: &str| {
        used.lock().unwrap().clear();
        let options = ads();
        let answer = client.authorized(&options, async |token| {
            used.lock()
                .unwrap()
                .push(token.access_token.expose().to_owned());
            match token.access_token.expose() == accepts {
                true => Ok("report"),
                false => Err(ApiError::TokenRefused(401)),
            }
        });
        answer.await
    };
    assert_eq!(api("old").await.unwrap(), "report");
    assert_eq!(*used.lock().unwrap(), ["old"]);
    assert_eq!(api("new").await.unwrap(), "report");
    assert_eq!(*used.lock().unwrap(), ["old", "new"]);
    assert!(matches!(api("other").await, Err(AuthorizedError::Api(401))));
    assert_eq!(*used.lock().unwrap(), ["old", "new"]);

    let seen = daemon.seen().len();
    let failed = client
        .authorized(&ads(), async |_| Err::<(), _>(ApiError::Other(500)))
        .await;
    assert!(matches!(failed, Err(AuthorizedError::Api(500))));
    assert_eq!(daemon.seen().len(), seen + 1, "nothing was rejected");
}

#[tokio::test]
async fn secrets_stay_out_of_debug() {
    let daemon = FakeDaemon::start(|_, _| Act::ReplyAs(99, Response::Token(token("hunter2"))));
    let client = client(&daemon).await;
    let error = client
        .reject(&name("ads"), secret("hunter2"), Patience::default())
        .await
        .unwrap_err();
    let shown = format!("{client:?} {error:?} {error}");
    assert!(!shown.contains("hunter2"), "{shown}");
}

/// Waits until a condition holds.
async fn until(condition: impl Fn() -> bool) {
    let holds = async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(20), holds).await;
    waited.expect("the condition holds within 20 s");
}
