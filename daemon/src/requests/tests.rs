//! What is answered on the spot, and what is asked of the driver.

mod apis;
mod pages;
mod permissions;
mod release;
mod sinks;

use std::sync::Arc;

use tokend_engine::{Timestamp, Want};
use tokend_policy::Needs;
use tokend_process::clock::Clock;
use tokend_proto::{LoginSecret, SecretText};
use tokio::sync::mpsc;

use super::asking::LONGEST_WAIT;
use super::refusal::{brought_back, crowded, nameless, overtaken};
use super::*;
use crate::broker::inbox::{DriverAnswer, Message};
use crate::broker::publications::IssuedToken;
use crate::testing::{Site, answer, get, name, peer, soon, token};

const ACCOUNTS: &str = "
[account.ads]
provider = \"oauth2\"
base_url = \"http://127.0.0.1:1\"
username = \"u\"
client_id = \"c\"
password = { env = \"X\" }
allow = [{ user = 7 }, { user = 20 }]

[account.bids]
provider = \"oauth2\"
base_url = \"http://127.0.0.1:1\"
username = \"u\"
client_id = \"c\"
allow = [{ user = 30 }]
";

struct Bench {
    requests: Arc<Requests>,
    driver: mpsc::Receiver<Message>,
    _site: Site,
}

fn bench(text: &str) -> Bench {
    let site = Site::new(text);
    let (requests, driver) = crate::testing::requests(&site, &Clock::system(), 16);
    Bench {
        requests,
        driver,
        _site: site,
    }
}

impl Bench {
    fn publish(&self, account: &str, text: &str, grant: u64) {
        let now = self.requests.clock.steady();
        self.requests
            .registry
            .snapshot()
            .served(&name(account))
            .unwrap()
            .cell
            .publish(token(text, grant, now));
    }

    fn now(&self, uid: u32, request: Request) -> Response {
        match self.requests.handle(&peer(uid), request) {
            Reply::Ready(response) => response,
            Reply::Pending(_) => panic!("it was not answered on the spot"),
        }
    }

    fn fault(&self, uid: u32, request: Request) -> Fault {
        match self.now(uid, request) {
            Response::Fault(fault) => fault,
            other => panic!("{other:?}"),
        }
    }

    /// What the driver is asked.
    fn passed_on(&mut self, uid: u32, request: Request) -> Message {
        let Reply::Pending(_) = self.requests.handle(&peer(uid), request) else {
            panic!("answered on the spot")
        };
        loop {
            match self.driver.try_recv().unwrap() {
                // Of one that nobody waited for.
                Message::Left(..) => {}
                message => return message,
            }
        }
    }
}

fn reject(account: &str, text: &str) -> Request {
    Request::Reject {
        account: name(account),
        token: SecretText::new(text).unwrap(),
        wait_ms: 0,
        timeout_ms: 1000,
    }
}

fn at_least(ms: u64) -> Request {
    Request::Get {
        account: name("ads"),
        min_validity_ms: Some(ms),
        wait_ms: 0,
        timeout_ms: 1000,
    }
}

#[tokio::test]
async fn a_token_that_is_not_valid_for_long_enough_is_asked_of_the_driver() {
    let mut bench = bench(ACCOUNTS);
    bench.publish("ads", "T", 1);
    assert!(matches!(
        bench.now(20, at_least(3_500_000)),
        Response::Token(_)
    ));
    let Message::Wanted {
        demand,
        want: Want::Get,
        ..
    } = bench.passed_on(20, at_least(3_700_000))
    else {
        panic!()
    };
    assert_eq!(demand.min_validity, Some(Duration::from_secs(3_700)));
    let expired = IssuedToken {
        held: tokend_engine::TokenFacts {
            expires: Some(bench.requests.clock.steady()),
            ..token("T", 1, Timestamp::ZERO).held
        },
        ..token("T", 1, Timestamp::ZERO)
    };
    bench
        .requests
        .registry
        .snapshot()
        .served(&name("ads"))
        .unwrap()
        .cell
        .publish(expired);
    assert!(matches!(
        bench.passed_on(20, get("ads")),
        Message::Wanted {
            want: Want::Get,
            ..
        }
    ));
}

#[tokio::test]
async fn times_are_bounded() {
    let mut bench = bench(ACCOUNTS);
    let request = Request::Get {
        account: name("ads"),
        min_validity_ms: Some(u64::MAX),
        wait_ms: u64::MAX,
        timeout_ms: u64::MAX,
    };
    let Message::Wanted { demand, .. } = bench.passed_on(20, request) else {
        panic!()
    };
    assert!(demand.answer_by <= bench.requests.clock.steady().after(LONGEST_WAIT));
    assert!(demand.start_by <= demand.answer_by);
}

#[tokio::test]
async fn a_rejection_counts_only_for_the_token_held() {
    let mut bench = bench(ACCOUNTS);
    bench.publish("ads", "new", 5);
    match bench.now(20, reject("ads", "old")) {
        Response::Token(token) => {
            assert_eq!((token.access_token.expose(), token.grant), ("new", 5))
        }
        other => panic!("{other:?}"),
    }
    let Message::Wanted { want, .. } = bench.passed_on(20, reject("ads", "new")) else {
        panic!()
    };
    assert_eq!(want, Want::Rejected(tokend_engine::GrantId(5)));
    bench
        .requests
        .registry
        .snapshot()
        .served(&name("ads"))
        .unwrap()
        .cell
        .retire();
    assert!(matches!(
        bench.passed_on(20, reject("ads", "new")),
        Message::Wanted {
            want: Want::Get,
            ..
        }
    ));
}

#[tokio::test]
async fn a_busy_driver_is_waited_for_and_a_dead_one_is_told() {
    let site = Site::new(ACCOUNTS);
    let (requests, mut driver) = crate::testing::requests(&site, &Clock::system(), 1);
    let first = requests.handle(&peer(20), get("ads"));
    let second = requests.handle(&peer(20), get("ads"));
    let serve = async {
        for _ in 0..2 {
            let Some(Message::Wanted { reply, .. }) = driver.recv().await else {
                panic!()
            };
            reply.send(DriverAnswer::Done("x".into())).unwrap();
        }
    };
    let (one, two, ()) = soon(async { tokio::join!(answer(first), answer(second), serve) }).await;
    assert_eq!(
        (&one, &two),
        (
            &Response::Done {
                message: "x".into()
            },
            &Response::Done {
                message: "x".into()
            }
        )
    );
    drop(driver);
    match soon(answer(requests.handle(&peer(20), get("ads")))).await {
        Response::Fault(fault) => assert_eq!(fault.code, FaultCode::Draining),
        other => panic!("{other:?}"),
    }
}

#[test]
fn that_something_is_to_be_asked_again_is_said_with_when_and_not_twice() {
    for fault in [
        crowded(7),
        nameless(),
        overtaken(),
        brought_back(&name("ads")),
    ] {
        assert!(fault.retry_after_ms.is_some(), "{fault:?}");
        let advice = fault.advice.unwrap_or_default();
        assert!(!advice.contains("again"), "{advice}");
    }
}

#[test]
fn the_time_of_a_get_contains_its_decision() {
    let site = Site::new(ACCOUNTS);
    let (clock, hands) =
        tokend_process::clock::testing::FakeClock::start(1_790_000_000_000, 0, "a");
    let (requests, driver) = crate::testing::requests(&site, &clock, 16);
    let bench = Bench {
        requests,
        driver,
        _site: site,
    };
    bench.publish("ads", "held", 1);
    let (requests, snapshot) = (&bench.requests, bench.requests.registry.snapshot());
    let began = clock.since_boot();
    let decided = requests.decide_by_what_is_known(&snapshot, &peer(7), &get("ads"));
    hands.advance(Duration::from_secs(3));
    let reply = requests.answer(&peer(7), get("ads"), decided, began);
    assert!(matches!(reply, Reply::Ready(Response::Token(_))));
    let counters = format!("{:?}", requests.metrics.counters());
    assert!(counters.contains("nanos: 3000000000"), "{counters}");
}

/// What a forget is told when nobody answers for the store's thread.
async fn unanswered(driver_ends: bool) -> Fault {
    let mut bench = bench(&format!("admin = [{{ user = 7 }}]\n{ACCOUNTS}"));
    let forget = Request::Forget {
        account: name("former"),
    };
    let asked = bench.requests.handle(&peer(7), forget);
    let serve = async {
        let Some(Message::Former { reply, .. }) = bench.driver.recv().await else {
            panic!()
        };
        reply.send(Vec::new()).unwrap();
        let Some(Message::Store(job)) = bench.driver.recv().await else {
            panic!()
        };
        if driver_ends {
            bench.driver.close();
        }
        drop(job);
    };
    let (response, ()) = soon(async { tokio::join!(answer(asked), serve) }).await;
    let Response::Fault(fault) = response else {
        panic!("{response:?}")
    };
    fault
}

#[tokio::test]
async fn a_stop_is_told_otherwise_than_an_end_of_the_stores_thread() {
    let stopping = unanswered(true).await;
    assert_eq!(stopping.code, FaultCode::Draining, "{stopping:?}");
    let ended = unanswered(false).await;
    assert_eq!(ended.code, FaultCode::StoreUnavailable, "{ended:?}");
    assert!(ended.message.contains("thread has ended"), "{ended:?}");
}
