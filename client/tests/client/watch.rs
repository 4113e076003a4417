//! Watches of both clients: what they tell, how they end, and that a wait that is given up loses nothing.

use std::time::Duration;

use tokend_client::{BlockingClient, ClientError, FaultCode, WatchEvent, WatchOptions};
use tokend_proto::{Fault, Request, Response};

use crate::fake::{Act, FakeDaemon, name, token};

fn ads() -> WatchOptions {
    WatchOptions::new(name("ads")).min_validity(Duration::from_secs(60))
}

fn denied() -> Fault {
    Fault::new(FaultCode::NotAllowed, "the right is gone")
}

fn down() -> Fault {
    Fault::new(FaultCode::ProviderUnreachable, "it is down").retry_after(1_000)
}

/// A watch with one event of each kind, and its end.
fn daemon() -> FakeDaemon {
    FakeDaemon::start(|_, request| {
        assert_eq!(
            *request,
            Request::Watch {
                account: name("ads"),
                min_validity_ms: Some(60_000),
            }
        );
        Act::Replies(vec![
            Response::Token(token("one")),
            Response::Retired { grant: 1 },
            Response::Unavailable(down()),
            Response::Token(token("two")),
            Response::Fault(denied()),
        ])
    })
}

fn events() -> [WatchEvent; 4] {
    [
        WatchEvent::Token(token("one").into()),
        WatchEvent::Retired,
        WatchEvent::Unavailable(down()),
        WatchEvent::Token(token("two").into()),
    ]
}

fn is_denied(error: &ClientError) -> bool {
    matches!(error, ClientError::Fault(fault) if *fault == denied())
}

fn blocking(daemon: &FakeDaemon) -> BlockingClient {
    BlockingClient::connect(&daemon.socket().into()).unwrap()
}

#[test]
fn a_blocking_watch_tells_each_event_and_stays_ended() {
    let daemon = daemon();
    let mut watch = blocking(&daemon).watch(&ads()).unwrap();
    for event in events() {
        assert_eq!(watch.next().unwrap(), event);
    }
    for _ in 0..2 {
        assert!(is_denied(&watch.next().unwrap_err()));
    }
    assert_eq!(daemon.seen().len(), 1, "one request for all of it");
}

#[test]
fn a_blocking_watch_in_which_nothing_happens_says_so_and_goes_on() {
    let daemon = FakeDaemon::answering(Response::Token(token("one")));
    let mut watch = blocking(&daemon).watch(&ads()).unwrap();
    assert_eq!(
        watch.next().unwrap(),
        WatchEvent::Token(token("one").into())
    );
    for _ in 0..2 {
        let nothing = watch.next_within(Duration::from_millis(20)).unwrap();
        assert_eq!(nothing, None);
    }
}

#[test]
fn a_blocking_watch_whose_connection_is_lost_is_not_made_again() {
    let daemon =
        FakeDaemon::start(|_, _| Act::RepliesAndClose(vec![Response::Token(token("one"))]));
    let mut watch = blocking(&daemon).watch(&ads()).unwrap();
    assert_eq!(
        watch.next().unwrap(),
        WatchEvent::Token(token("one").into())
    );
    for _ in 0..2 {
        assert!(matches!(watch.next(), Err(ClientError::Lost { .. })));
    }
    assert_eq!(daemon.connections(), 2, "that of the client, and one more");
}

#[test]
fn a_daemon_without_watches_refuses_one_in_its_words() {
    let unknown = Fault::new(FaultCode::BadRequest, "this request is not known");
    let daemon = FakeDaemon::answering(Response::Fault(unknown.clone()));
    let mut watch = blocking(&daemon).watch(&ads()).unwrap();
    assert!(matches!(watch.next(), Err(ClientError::Fault(fault)) if fault == unknown));
    let daemon = FakeDaemon::answering(Response::Done {
        message: "what?".into(),
    });
    let mut watch = blocking(&daemon).watch(&ads()).unwrap();
    assert!(matches!(watch.next(), Err(ClientError::Protocol { .. })));
}

#[cfg(feature = "async")]
mod nonblocking {
    use tokend_client::Client;

    use super::*;

    #[tokio::test]
    async fn an_async_watch_tells_each_event_and_stays_ended() {
        let daemon = daemon();
        let client = Client::connect(&daemon.socket().into()).await.unwrap();
        let mut watch = client.watch(&ads()).await.unwrap();
        for event in events() {
            assert_eq!(watch.next().await.unwrap(), event);
        }
        for _ in 0..2 {
            assert!(is_denied(&watch.next().await.unwrap_err()));
        }
    }

    #[tokio::test]
    async fn a_wait_that_is_given_up_loses_nothing() {
        // The answer comes a byte at a time.
        let daemon = FakeDaemon::start(|_, _| Act::Drops(Response::Retired { grant: 1 }));
        let client = Client::connect(&daemon.socket().into()).await.unwrap();
        let mut watch = client.watch(&ads()).await.unwrap();
        let mut given_up = 0;
        let event = loop {
            match tokio::time::timeout(Duration::from_millis(30), watch.next()).await {
                Ok(event) => break event.unwrap(),
                Err(_elapsed) => given_up += 1,
            }
        };
        assert_eq!(event, WatchEvent::Retired);
        assert!(given_up > 1, "{given_up}");
    }
}
