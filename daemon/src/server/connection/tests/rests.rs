//! A connection whose user has asked too much in vain, and the answers it waits for meanwhile.

use std::sync::atomic::AtomicBool;

use super::*;
use tokend_peer::testing::Overheard;

/// The longest a connection rests at a time.
const LONGEST: Duration = Duration::from_secs(2);

fn now() -> Instant {
    sleep(Duration::ZERO).deadline()
}

/// Uses up what the user may ask in vain: each further such request costs the longest wait while the daemon's clock stands still.
fn use_up(requests: &Requests) {
    requests
        .budgets
        .spend(requests.clock.boot_ms(), OWNER, u64::MAX / 2);
}

#[tokio::test(start_paused = true)]
async fn what_is_asked_in_vain_holds_no_answer_back_that_was_asked_for_before() {
    let (clock, _hands) = FakeClock::start(1_000_000, 1_000, "boot");
    let mut talk = Talk::with_clock(&clock, 1 << 20).after_greeting().await;
    talk.say(1, get("ads")).await;
    talk.say(2, get("ads")).await;
    let (first, second) = (talk.wanted().await, talk.wanted().await);
    use_up(&talk.requests);
    let mut vain = Vec::new();
    for id in 3..=100 {
        vain.extend(bytes(id, get("zzz")));
    }
    talk.client.write_all(&vain).await.unwrap();
    let (id, refused) = talk.hear().await;
    assert!(matches!((id, refused), (3, Response::Fault(_))));
    let began = now();
    for (id, reply) in [(1, first), (2, second)] {
        let answer = Arc::new(token("T", 1, talk.requests.clock.steady()));
        reply.send(DriverAnswer::Token(answer)).unwrap();
        let (of, answer) = talk.hear().await;
        assert!(of == id && matches!(answer, Response::Token(_)), "{of}");
        assert_eq!(now(), began, "it was held back");
    }
    // What is asked in vain is put off as before.
    assert_eq!(talk.hear().await.0, 4);
    assert!(now() - began >= LONGEST, "{:?}", now() - began);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_a_refusal_comes_through_a_rest_and_is_paid_for() {
    let (clock, _hands) = FakeClock::start(1_000_000, 1_000, "boot");
    let mut talk = Talk::with_clock(&clock, 1 << 20).after_greeting().await;
    talk.say(1, get("ads")).await;
    let reply = talk.wanted().await;
    use_up(&talk.requests);
    talk.say(2, get("zzz")).await;
    talk.say(3, get("zzz")).await;
    assert_eq!(talk.hear().await.0, 2);
    let began = now();
    tokio::time::advance(LONGEST / 2).await;
    let fault = Fault::new(FaultCode::Paced, "not now");
    reply.send(DriverAnswer::Fault(Box::new(fault))).unwrap();
    assert_eq!(talk.hear().await.0, 1);
    assert!(now() - began < LONGEST, "{:?}", now() - began);
    assert_eq!(talk.hear().await.0, 3);
    assert!(now() - began >= LONGEST * 3 / 2, "{:?}", now() - began);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_rests_ends_with_its_peer_and_none_of_its_requests_waits_on() {
    let (clock, _hands) = FakeClock::start(1_000_000, 1_000, "boot");
    let mut talk = Talk::with_clock(&clock, 1 << 20);
    let (client, pipe) = duplex(1 << 20);
    let gone = Arc::new(AtomicBool::new(false));
    let left = Overheard::new(pipe, &gone, |_| {});
    let requests = Arc::clone(&talk.requests);
    talk.serving = tokio::spawn(serve(left, (peer(OWNER), 0), requests, BOUNDS));
    talk.client = client;
    let mut talk = talk.after_greeting().await;
    talk.say(1, get("ads")).await;
    let reply = talk.wanted().await;
    use_up(&talk.requests);
    for id in 2..=100 {
        talk.say(id, get("zzz")).await;
    }
    assert_eq!(talk.hear().await.0, 2);
    let began = now();
    gone.store(true, Ordering::SeqCst);
    assert!(matches!(talk.ended().await, Ended::Closed));
    assert!(now() - began < LONGEST, "{:?}", now() - began);
    assert!(reply.is_closed());
}

#[tokio::test(start_paused = true)]
async fn what_is_asked_in_vain_is_put_off_on_a_new_connection_too() {
    let (clock, _hands) = FakeClock::start(1_000_000, 1_000, "boot");
    let vain = async |talk: &mut Talk| {
        let began = now();
        talk.say(1, get("zzz")).await;
        assert!(matches!(talk.hear().await, (1, Response::Fault(_))));
        now() - began
    };
    let mut talk = Talk::with_clock(&clock, 1 << 20).after_greeting().await;
    talk.publish("T");
    use_up(&talk.requests);
    // What is held is not held back.
    let began = now();
    talk.say(1, get("ads")).await;
    assert!(matches!(talk.hear().await, (1, Response::Token(_))));
    assert_eq!(now(), began);
    assert!(vain(&mut talk).await >= LONGEST);
    // Another user waits for nothing.
    let (client, pipe) = duplex(1 << 20);
    let requests = Arc::clone(&talk.requests);
    talk.serving = tokio::spawn(serve(pipe, (peer(OWNER + 1), 0), requests, BOUNDS));
    talk.client = client;
    let mut talk = talk.after_greeting().await;
    assert_eq!(vain(&mut talk).await, Duration::ZERO);
}
