//! The blocking client: what it sends, and how it reads answers and everything that is not an answer.

use std::io::Read as _;
use std::os::unix::net::UnixListener;
use std::time::Duration;

use tokend_client::{
    AccountLine, BlockingClient, ClientError, Deadlines, FaultCode, GetOptions, LoginSecret,
    Patience, SocketPath,
};
use tokend_proto::{
    AccountsPage, Fault, FrameBuffer, Request, Response, StatusPage, VERSION, decode_client,
};

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

fn client(daemon: &FakeDaemon) -> BlockingClient {
    BlockingClient::connect(&daemon.socket().into()).unwrap()
}

fn ads() -> GetOptions {
    GetOptions::new(name("ads"))
}

#[test]
#[expect(
    clippy::too_many_lines,
    reason = "one call after the other, each with its request"
)]
fn every_call_sends_its_request() {
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
    let mut client = client(&daemon);
    let ads = name("ads");
    let seconds = Duration::from_secs;
    let patience = Patience::default().wait(seconds(40));
    let options = GetOptions::new(ads.clone())
        .min_validity(seconds(60))
        .wait(seconds(2))
        .timeout(seconds(3));
    assert_eq!(client.get(&options).unwrap(), token("t").into());
    assert_eq!(
        client.admin().refresh(&ads, patience).unwrap(),
        Some(token("t").into())
    );
    assert_eq!(
        client
            .reject(&ads, secret("old"), Patience::default())
            .unwrap(),
        Some(token("t").into())
    );
    assert!(client.admin().status(Some(&ads)).unwrap().is_empty());
    assert!(client.list().unwrap().is_empty());
    assert_eq!(client.whoami().unwrap(), whoami());
    assert_eq!(client.admin().reload().unwrap(), "done");
    assert_eq!(
        client
            .admin()
            .login(&ads, LoginSecret::Password(secret("pw")))
            .unwrap(),
        "done"
    );
    assert_eq!(client.admin().forget(&ads).unwrap(), "done");
    let expected = [
        Request::Get {
            account: ads.clone(),
            min_validity_ms: Some(60_000),
            wait_ms: 2_000,
            timeout_ms: 2_700,
        },
        Request::Refresh {
            account: ads.clone(),
            wait_ms: 40_000,
            timeout_ms: 69_500,
        },
        Request::Reject {
            account: ads.clone(),
            token: secret("old"),
            wait_ms: 0,
            timeout_ms: 29_500,
        },
        Request::Status {
            account: Some(ads.clone()),
            after: None,
        },
        Request::List { after: None },
        Request::Whoami,
        Request::Reload,
        Request::Login {
            account: ads.clone(),
            secret: LoginSecret::Password(secret("pw")),
        },
        Request::Forget { account: ads },
    ];
    assert_eq!(daemon.seen(), expected);
    assert_eq!(daemon.connections(), 1);
}

#[test]
fn all_pages_are_collected() {
    let line = |text: &str| AccountLine {
        account: name(text),
        dialect: "oauth2".into(),
    };
    let daemon = FakeDaemon::start(move |_, request| {
        let page = match request {
            Request::List { after: None } => AccountsPage {
                accounts: vec![line("a"), line("b")],
                next: Some(name("b")),
            },
            Request::List { after: Some(after) } if after.as_str() == "b" => AccountsPage {
                accounts: vec![line("c")],
                next: None,
            },
            other => panic!("{other:?}"),
        };
        Act::Reply(Response::Accounts(page))
    });
    let names: Vec<_> = client(&daemon)
        .list()
        .unwrap()
        .into_iter()
        .map(|line| line.account)
        .collect();
    assert_eq!(names, [name("a"), name("b"), name("c")]);
}

#[test]
fn pages_that_do_not_advance_are_refused() {
    let line = AccountLine {
        account: name("a"),
        dialect: "oauth2".into(),
    };
    let page = AccountsPage {
        accounts: vec![line],
        next: Some(name("a")),
    };
    let daemon = FakeDaemon::answering(Response::Accounts(page));
    assert!(matches!(
        client(&daemon).list(),
        Err(ClientError::Protocol { .. })
    ));
    assert_eq!(daemon.seen().len(), 2);
}

#[test]
fn a_fault_arrives_whole_and_the_connection_stays() {
    let fault = Fault::new(FaultCode::Paced, "the rate limit allows no login now")
        .advise("wait")
        .retry_after(250_000);
    let daemon = FakeDaemon::start({
        let fault = fault.clone();
        move |index, _| match index {
            0 => Act::Reply(Response::Fault(fault.clone())),
            _ => Act::Reply(Response::Token(token("t"))),
        }
    });
    let mut client = client(&daemon);
    let error = client.get(&ads()).unwrap_err();
    assert_eq!(error.to_string(), "the rate limit allows no login now");
    assert_eq!(error.advice(), Some("wait"));
    assert_eq!(error.retry_after(), Some(Duration::from_secs(250)));
    assert!(matches!(error, ClientError::Fault(found) if found == fault));
    assert_eq!(client.get(&ads()).unwrap(), token("t").into());
    assert_eq!(daemon.connections(), 1);
}

#[test]
fn nobody_there_is_told_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = SocketPath::from(folder.path().join("none.sock"));
    let missing = BlockingClient::connect(&path).unwrap_err();
    assert!(
        missing
            .to_string()
            .ends_with("none.sock: no such file or directory"),
        "{missing}"
    );
    assert!(missing.advice().unwrap().starts_with("start the daemon ("));

    drop(UnixListener::bind(path.as_path()).unwrap());
    let dead = BlockingClient::connect(&path).unwrap_err();
    assert!(
        dead.to_string().ends_with("none.sock: connection refused"),
        "{dead}"
    );

    let long = SocketPath::from(folder.path().join("x".repeat(200)));
    assert!(matches!(
        BlockingClient::connect(&long),
        Err(ClientError::NotReachable { .. })
    ));
}

#[test]
fn a_queue_that_stays_full_ends_at_the_deadline() {
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
    let mut held = Vec::new();
    let full = loop {
        match BlockingClient::connect_with(&path.clone().into(), impatient()) {
            Ok(client) => held.push(client),
            Err(error) => break error,
        }
        assert!(held.len() < 100, "the queue never fills");
    };
    assert!(
        full.to_string().contains("queue of connections stays full"),
        "{full}"
    );
}

#[test]
fn a_silent_daemon_ends_at_the_deadline() {
    let daemon = FakeDaemon::start(|_, _| Act::Silence);
    let mut client = BlockingClient::connect_with(&daemon.socket().into(), short()).unwrap();
    let error = client
        .get(&ads().timeout(Duration::from_millis(50)))
        .unwrap_err();
    assert!(
        matches!(error, ClientError::TimedOut { limit } if limit == Duration::from_millis(250)),
        "{error}"
    );
    assert!(matches!(client.list(), Err(ClientError::TimedOut { .. })));
    // A late answer must not reach the next request: each began anew.
    assert_eq!(daemon.connections(), 2);
}

#[test]
fn a_daemon_that_never_greets_ends_at_the_deadline() {
    let daemon = FakeDaemon::greeting(|| Act::Silence, |_, _| Act::Silence);
    let mut client = BlockingClient::connect_with(&daemon.socket().into(), short()).unwrap();
    for said in [
        client.list().map(drop),
        client.admin().reload().map(drop),
        client.whoami().map(drop),
    ] {
        let error = said.unwrap_err();
        assert!(
            matches!(error, ClientError::Silent { limit, .. } if limit == short().answer),
            "{error}"
        );
    }
    // With a timeout of its own, a request waits for a daemon that is being started.
    let error = client
        .get(&ads().timeout(Duration::from_millis(300)))
        .unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("says nothing: no greeting came within 300 ms"),
        "{error}"
    );
    assert!(
        error.advice().unwrap().contains("tokenctl doctor"),
        "{error}"
    );
}

/// The bytes that reach a daemon which comes up after its client has given up.
fn left_behind(call: impl FnOnce(&mut BlockingClient) -> ClientError) -> Vec<Request> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokend.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let mut client = BlockingClient::connect_with(&path.into(), short()).unwrap();
    let error = call(&mut client);
    assert!(matches!(error, ClientError::Silent { .. }), "{error}");
    drop(client);
    let (mut stream, _) = listener.accept().unwrap();
    let mut received = FrameBuffer::new();
    let mut requests = Vec::new();
    loop {
        while let Some(payload) = received.next_frame().unwrap() {
            requests.push(decode_client(payload).unwrap().request);
        }
        match stream.read(received.spare()).unwrap() {
            0 => return requests,
            count => received.filled(count),
        }
    }
}

#[test]
fn what_must_not_be_made_twice_is_not_left_to_a_daemon_that_comes_up_later() {
    let brief = Patience::default().timeout(Duration::from_millis(100));
    let login = |client: &mut BlockingClient| {
        let entered = LoginSecret::Password(secret("typed"));
        client.admin().login(&name("ads"), entered).unwrap_err()
    };
    let seen = [
        left_behind(login),
        left_behind(|client| client.admin().forget(&name("ads")).unwrap_err()),
        left_behind(|client| client.admin().reload().unwrap_err()),
        left_behind(|client| client.admin().refresh(&name("ads"), brief).unwrap_err()),
        left_behind(|client| {
            let reported = client.reject(&name("ads"), secret("t"), brief);
            reported.unwrap_err()
        }),
    ];
    for requests in seen {
        assert!(
            matches!(requests[..], [Request::Hello { .. }]),
            "{requests:?}"
        );
    }
    // A request that may be repeated goes with the greeting, and costs no round trip.
    let requests = left_behind(|client| client.list().unwrap_err());
    assert!(
        matches!(requests[..], [Request::Hello { .. }, Request::List { .. }]),
        "{requests:?}"
    );
}

#[test]
fn answers_in_drops_and_half_answers_end_at_the_deadline() {
    let drops = FakeDaemon::start(|_, _| Act::Drops(Response::Token(token("t"))));
    let half = FakeDaemon::start(|_, _| Act::Raw(vec![40, 0, 0, 0, 1, 2, 3]));
    for daemon in [&drops, &half] {
        let error = client(daemon)
            .get(&ads().timeout(Duration::from_millis(300)))
            .unwrap_err();
        assert!(matches!(error, ClientError::TimedOut { .. }), "{error}");
    }
    let greeting = || {
        Act::Drops(Response::Welcome {
            version: VERSION,
            daemon: "slow".into(),
        })
    };
    let daemon = FakeDaemon::greeting(greeting, |_, _| Act::Silence);
    let error = client(&daemon)
        .get(&ads().timeout(Duration::from_millis(300)))
        .unwrap_err();
    assert!(matches!(error, ClientError::Silent { .. }), "{error}");
}

#[test]
fn what_is_not_the_protocol_is_told_as_such() {
    let garbage = || Act::Raw(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec());
    let future = || {
        Act::Reply(Response::Welcome {
            version: VERSION + 1,
            daemon: "tokend 9".into(),
        })
    };
    let answer = || Act::ReplyAs(7, Response::Token(token("t")));
    let undecodable = || Act::Raw([&8_u32.to_le_bytes()[..], &[0xff; 8]].concat());
    let cases: [(Greeting, &str); 4] = [
        (garbage, "frame of 1347703880 bytes"),
        (future, "tokend 9 chose version 3"),
        (answer, "not a greeting"),
        (undecodable, "does not hold a message"),
    ];
    for (greeting, expected) in cases {
        let daemon = FakeDaemon::greeting(greeting, |_, _| Act::Silence);
        let error = client(&daemon).get(&ads()).unwrap_err();
        assert!(matches!(error, ClientError::Protocol { .. }), "{error}");
        assert!(error.to_string().contains(expected), "{error}");
        assert!(error.advice().unwrap().contains("same release"));
    }
}

#[test]
fn wrong_answers_are_refused() {
    let daemon = FakeDaemon::start(|_, _| Act::ReplyAs(99, Response::Token(token("t"))));
    let error = client(&daemon).get(&ads()).unwrap_err();
    assert!(error.to_string().contains("answers request 99"), "{error}");

    let daemon = FakeDaemon::answering(Response::Done {
        message: String::new(),
    });
    let error = client(&daemon).get(&ads()).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("got a confirmation instead of a token"),
        "{error}"
    );
}

#[test]
fn a_connection_turned_down_says_why() {
    let busy = || {
        Act::ReplyAndClose(Response::Fault(Fault::new(
            FaultCode::TooBusy,
            "too many connections",
        )))
    };
    let daemon = FakeDaemon::greeting(busy, |_, _| Act::Silence);
    let error = client(&daemon).get(&ads()).unwrap_err();
    assert!(
        matches!(&error, ClientError::Fault(fault) if fault.code == FaultCode::TooBusy),
        "{error}"
    );
}

#[test]
fn an_answer_cut_short_is_lost() {
    let daemon = FakeDaemon::start(|_, _| Act::Half(Response::Token(token("t"))));
    let error = client(&daemon).get(&ads()).unwrap_err();
    assert!(
        error.to_string().contains("in the middle of an answer"),
        "{error}"
    );
    assert_eq!(
        daemon.connections(),
        1,
        "a connection that never worked is not tried again"
    );
}

#[test]
fn a_kept_connection_that_died_is_made_again() {
    let daemon = FakeDaemon::start(|_, _| Act::ReplyAndClose(Response::Token(token("t"))));
    let mut client = client(&daemon);
    for _ in 0..3 {
        assert_eq!(client.get(&ads()).unwrap(), token("t").into());
    }
    assert_eq!((daemon.connections(), daemon.seen().len()), (3, 3));
}

#[test]
fn only_what_may_be_repeated_is_repeated() {
    let daemon = FakeDaemon::start(|index, _| match index {
        0 => Act::Reply(Response::Token(token("t"))),
        _ => Act::Close,
    });
    let mut first = client(&daemon);
    first.get(&ads()).unwrap();
    let lost = first
        .admin()
        .refresh(&name("ads"), Patience::default())
        .unwrap_err();
    assert!(matches!(lost, ClientError::Lost { .. }), "{lost}");
    assert_eq!(
        daemon.seen().len(),
        2,
        "a refresh that may have been processed is not sent again"
    );

    let daemon = FakeDaemon::start(|index, _| match index {
        0 | 2 => Act::Reply(Response::Token(token("t"))),
        _ => Act::Close,
    });
    let mut second = client(&daemon);
    second.get(&ads()).unwrap();
    assert_eq!(
        second.get(&ads()).unwrap(),
        token("t").into(),
        "a get is sent once more"
    );
    assert_eq!(daemon.seen().len(), 3);
}

#[test]
fn secrets_stay_out_of_debug() {
    let daemon = FakeDaemon::start(|_, _| Act::ReplyAs(99, Response::Token(token("hunter2"))));
    let mut client = client(&daemon);
    let error = client
        .reject(&name("ads"), secret("hunter2"), Patience::default())
        .unwrap_err();
    let shown = format!("{client:?} {error:?} {error}");
    assert!(!shown.contains("hunter2"), "{shown}");
}
