//! A subscription: what it shows while its watch tells this and that, and that looking at it asks nobody.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokend_client::{
    Client, ClientError, Deadlines, FaultCode, GetOptions, Subscription, Token, TokenSource,
};
use tokend_proto::{Fault, Request, Response};

use crate::fake::{Act, FakeDaemon, name, secret, token};

fn subscribed(daemon: &FakeDaemon) -> Subscription {
    let client = Client::lazy_with(Some(daemon.socket().into()), Deadlines::default());
    client.subscribe(GetOptions::new(name("ads")).min_validity(Duration::from_secs(60)))
}

/// A token that lives this long, behind another with another grant.
fn living(text: &str, life: Duration) -> tokend_proto::Token {
    tokend_proto::Token {
        remaining_ms: Some(life.as_millis().try_into().unwrap()),
        grant: 2,
        ..token(text)
    }
}

fn fault(code: FaultCode) -> Fault {
    Fault::new(code, "as the test wants it")
}

fn is_fault<T>(answered: &Result<T, ClientError>, code: FaultCode) -> bool {
    matches!(answered, Err(ClientError::Fault(fault)) if fault.code == code)
}

/// Waits until the subscription shows what is expected.
async fn shows(
    subscription: &Subscription,
    expected: impl Fn(&Result<Arc<Token>, ClientError>) -> bool,
) {
    let waiting = async {
        while !expected(&subscription.token()) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(20), waiting).await;
    assert!(waited.is_ok(), "it shows {:?}", subscription.token());
}

fn is_token(text: &str) -> impl Fn(&Result<Arc<Token>, ClientError>) -> bool {
    let wanted = secret(text);
    move |shown| matches!(shown, Ok(token) if token.access_token == wanted)
}

fn is_between(shown: &Result<Arc<Token>, ClientError>) -> bool {
    matches!(shown, Err(ClientError::NoToken { .. }))
}

#[tokio::test]
async fn a_held_token_is_had_without_any_request() {
    let daemon = FakeDaemon::answering(Response::Token(token("one")));
    let subscription = subscribed(&daemon);
    assert!(is_between(&subscription.token()), "nothing has come yet");
    assert_eq!(*subscription.ready().await.unwrap(), token("one").into());
    for _ in 0..10_000 {
        assert!(subscription.token().is_ok());
    }
    let source: Arc<dyn TokenSource> = Arc::new(subscription.clone());
    assert_eq!(*source.token().await.unwrap(), token("one").into());
    assert_eq!(
        daemon.seen(),
        [Request::Watch {
            account: name("ads"),
            min_validity_ms: Some(60_000)
        }]
    );
}

#[tokio::test]
async fn a_token_is_not_shown_beyond_its_end_though_nobody_says_a_word() {
    let life = Duration::from_millis(50);
    let daemon = FakeDaemon::start(move |_, _| Act::Reply(Response::Token(living("one", life))));
    let subscription = subscribed(&daemon);
    shows(&subscription, is_token("one")).await;
    shows(&subscription, is_between).await;
    let error = subscription.token().unwrap_err();
    assert!(error.to_string().contains("has ended"), "{error}");
    assert!(error.advice().is_some());
}

/// One watch that tells everything there is, and is then denied; the next one is allowed again.
#[tokio::test]
async fn each_thing_a_watch_tells_is_shown() {
    for (last, expected) in [
        (Response::Retired { grant: 1 }, None),
        (
            Response::Unavailable(fault(FaultCode::LoginRequired)),
            Some(FaultCode::LoginRequired),
        ),
        (
            Response::Fault(fault(FaultCode::NotAllowed)),
            Some(FaultCode::NotAllowed),
        ),
    ] {
        let reply = last.clone();
        let daemon = FakeDaemon::start(move |_, _| {
            Act::Replies(vec![Response::Token(token("one")), reply.clone()])
        });
        let subscription = subscribed(&daemon);
        match expected {
            None => shows(&subscription, is_between).await,
            Some(code) => {
                shows(&subscription, |shown| is_fault(shown, code)).await;
                // Nothing to wait for: only a person can change it.
                assert!(is_fault(&subscription.ready().await, code));
            }
        }
    }
}

#[tokio::test]
async fn a_right_that_comes_back_is_noticed() {
    let allowed = Arc::new(AtomicBool::new(false));
    let daemon = FakeDaemon::start({
        let allowed = Arc::clone(&allowed);
        move |_, _| match allowed.load(Ordering::SeqCst) {
            true => Act::Reply(Response::Token(token("one"))),
            false => Act::Reply(Response::Fault(fault(FaultCode::NotAllowed))),
        }
    });
    let subscription = subscribed(&daemon);
    shows(&subscription, |shown| {
        is_fault(shown, FaultCode::NotAllowed)
    })
    .await;
    allowed.store(true, Ordering::SeqCst);
    shows(&subscription, is_token("one")).await;
}

#[tokio::test]
async fn a_restart_of_the_daemon_is_ridden_over() {
    let daemon = FakeDaemon::start(|number, _| match number {
        0 => Act::RepliesAndClose(vec![Response::Token(token("one"))]),
        1 | 2 => Act::Close,
        _ => Act::Reply(Response::Token(token("two"))),
    });
    let subscription = subscribed(&daemon);
    // In between it says that the connection was lost; `ready` waits for the next daemon.
    shows(&subscription, |shown| {
        matches!(shown, Err(ClientError::Lost { .. }))
    })
    .await;
    let newer = subscription.ready().await.unwrap();
    assert_eq!(newer.access_token, secret("two"));
}

#[tokio::test]
async fn without_a_daemon_it_says_so_within_its_limit() {
    let client = Client::lazy_with(Some("/nowhere/tokend.sock".into()), Deadlines::default());
    let options = GetOptions::new(name("ads")).timeout(Duration::from_millis(250));
    let subscription = client.subscribe(options);
    for _ in 0..2 {
        let error = subscription.ready().await.unwrap_err();
        assert!(matches!(error, ClientError::NotReachable { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_refused_token_is_taken_down_before_the_watch_says_so() {
    let daemon = FakeDaemon::start(|_, request| {
        Act::Reply(match request {
            Request::Watch { .. } => Response::Token(token("one")),
            Request::Reject { token: refused, .. } if *refused == secret("one") => {
                Response::Token(token("two"))
            }
            _ => Response::Fault(fault(FaultCode::ProviderUnreachable)),
        })
    });
    let subscription = subscribed(&daemon);
    let one = subscription.ready().await.unwrap();
    let two = subscription.reject(&one).await.unwrap();
    assert_eq!(two.access_token, secret("two"));
    assert!(
        is_between(&subscription.token()),
        "the watch has not said it"
    );
    let answered = subscription.reject(&two).await;
    assert!(is_fault(&answered, FaultCode::ProviderUnreachable));
}

#[tokio::test]
async fn the_watch_ends_with_the_last_clone() {
    let daemon = FakeDaemon::answering(Response::Token(token("one")));
    let subscription = subscribed(&daemon);
    let clone = subscription.clone();
    clone.ready().await.unwrap();
    drop(subscription);
    assert!(clone.token().is_ok());
    assert_eq!(daemon.open(), 1);
    drop(clone);
    let ended = tokio::time::timeout(Duration::from_secs(20), async {
        while daemon.open() > 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    assert!(
        ended.await.is_ok(),
        "{} connections are open",
        daemon.open()
    );
}
