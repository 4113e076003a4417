//! Conversations over a pipe, on paused time; the driver is the test.

mod reloads;
mod rests;
mod versions;
mod watches;

use std::sync::atomic::Ordering;

use tokend_proto::{MAX_FRAME, VERSION, decode_server};
use tokio::io::{DuplexStream, duplex};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::*;
use crate::broker::inbox::{AnswerSender, DriverAnswer, Message};
use crate::broker::publications::IssuedToken;
use crate::testing::{OWNER, Site, get, name, peer, requests, token};
use tokend_process::clock::Clock;
use tokend_process::clock::testing::FakeClock;

const BOUNDS: Bounds = Bounds {
    pending: 4,
    idle: Duration::from_secs(300),
    frame: Duration::from_secs(10),
};

struct Talk {
    client: DuplexStream,
    received: FrameBuffer,
    driver: mpsc::Receiver<Message>,
    requests: Arc<Requests>,
    serving: JoinHandle<Ended>,
    _site: Site,
}

impl Talk {
    fn start() -> Self {
        Self::with_pipe(1 << 20)
    }

    fn with_pipe(room: usize) -> Self {
        Self::with_clock(&Clock::system(), room)
    }

    fn with_clock(clock: &Clock, room: usize) -> Self {
        let site = Site::new(
            "[account.ads]\nprovider = \"oauth2\"\nbase_url = \"http://127.0.0.1:1\"\nusername = \"u\"\nclient_id = \"c\"\npassword = { env = \"X\" }\n",
        );
        let (requests, driver) = requests(&site, clock, 64);
        let (client, server) = duplex(room);
        let serving = tokio::spawn(serve(
            server,
            (peer(OWNER), 0),
            Arc::clone(&requests),
            BOUNDS,
        ));
        Self {
            client,
            received: FrameBuffer::new(),
            driver,
            requests,
            serving,
            _site: site,
        }
    }

    async fn greeted() -> Self {
        Self::start().after_greeting().await
    }

    async fn after_greeting(mut self) -> Self {
        let talk = &mut self;
        talk.say(0, Request::hello("test")).await;
        assert!(matches!(
            talk.hear().await,
            (
                0,
                Response::Welcome {
                    version: VERSION,
                    ..
                }
            )
        ));
        self
    }

    async fn say(&mut self, id: u64, request: Request) {
        self.client.write_all(&bytes(id, request)).await.unwrap();
    }

    async fn hear(&mut self) -> (u64, Response) {
        loop {
            if let Some(payload) = self.received.next_frame().unwrap() {
                let ServerFrame { id, response } = decode_server(payload).unwrap();
                return (id.0, response);
            }
            let count = self.client.read(self.received.spare()).await.unwrap();
            assert!(count > 0, "the daemon hung up");
            self.received.filled(count);
        }
    }

    async fn fault(&mut self) -> FaultCode {
        match self.hear().await.1 {
            Response::Fault(fault) => fault.code,
            other => panic!("{other:?}"),
        }
    }

    async fn ended(self) -> Ended {
        // The client stays: only the daemon ends it.
        let Self {
            serving,
            client: _client,
            ..
        } = self;
        serving.await.unwrap()
    }

    async fn wanted(&mut self) -> AnswerSender {
        match self.driver.recv().await {
            Some(Message::Wanted { reply, .. }) => reply,
            other => panic!("{other:?}"),
        }
    }

    fn publish(&self, text: &str) {
        let now = self.requests.clock.steady();
        self.requests
            .registry
            .snapshot()
            .served(&name("ads"))
            .unwrap()
            .cell
            .publish(token(text, 1, now));
    }
}

fn bytes(id: u64, request: Request) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(
        &ClientFrame {
            id: RequestId(id),
            request,
        },
        &mut bytes,
    )
    .unwrap();
    bytes
}

fn done(message: &str) -> DriverAnswer {
    DriverAnswer::Done(message.to_owned())
}

#[tokio::test(start_paused = true)]
async fn hello_comes_first_and_once() {
    let mut talk = Talk::start();
    talk.say(3, get("ads")).await;
    assert_eq!(talk.fault().await, FaultCode::BadRequest);
    assert!(matches!(talk.ended().await, Ended::Protocol(_)));

    let mut talk = Talk::greeted().await;
    talk.say(1, Request::hello("again")).await;
    assert_eq!(talk.fault().await, FaultCode::BadRequest);
    assert!(matches!(talk.ended().await, Ended::Protocol(_)));
}

#[tokio::test(start_paused = true)]
async fn a_version_nobody_shares_is_refused_with_words() {
    let mut talk = Talk::start();
    let hello = Request::Hello {
        magic: *b"tokend",
        oldest: VERSION + 1,
        newest: VERSION + 2,
        client: String::new(),
    };
    talk.say(0, hello).await;
    assert_eq!(talk.fault().await, FaultCode::UnsupportedVersion);
    assert!(matches!(talk.ended().await, Ended::Protocol(_)));
}

#[tokio::test(start_paused = true)]
async fn what_is_no_frame_ends_the_connection() {
    let too_long = u32::try_from(MAX_FRAME + 1).unwrap().to_le_bytes().to_vec();
    let mut garbage = 8u32.to_le_bytes().to_vec();
    garbage.extend([0xff; 8]);
    for bytes in [
        too_long,
        b"GET / HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(),
        garbage,
    ] {
        let mut talk = Talk::start();
        talk.client.write_all(&bytes).await.unwrap();
        assert_eq!(talk.fault().await, FaultCode::BadRequest, "{bytes:?}");
        assert!(
            matches!(talk.ended().await, Ended::Protocol(_)),
            "{bytes:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_frame_that_was_begun_has_one_deadline_however_it_trickles() {
    let mut talk = Talk::greeted().await;
    let frame = bytes(1, get("ads"));
    let begun = sleep(Duration::ZERO).deadline();
    for byte in &frame[..3] {
        talk.client.write_all(&[*byte]).await.unwrap();
        sleep(Duration::from_secs(4)).await;
    }
    assert!(matches!(talk.ended().await, Ended::Unfinished));
    let now = sleep(Duration::ZERO).deadline();
    assert!(
        now - begun < Duration::from_secs(13),
        "the last byte did not start the time again"
    );
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_never_says_hello_is_let_go() {
    let mut talk = Talk::start();
    let begun = sleep(Duration::ZERO).deadline();
    talk.client.write_all(&[1]).await.unwrap();
    assert!(matches!(talk.ended().await, Ended::Unfinished));
    assert_eq!(sleep(Duration::ZERO).deadline() - begun, BOUNDS.frame);
    // Nothing at all was begun.
    assert!(matches!(Talk::start().ended().await, Ended::Idle));
}

#[tokio::test(start_paused = true)]
async fn hanging_up_is_told_apart() {
    let mut talk = Talk::greeted().await;
    talk.client.shutdown().await.unwrap();
    assert!(matches!(talk.ended().await, Ended::Closed));
    let mut talk = Talk::greeted().await;
    talk.client.write_all(&[9, 0]).await.unwrap();
    talk.client.shutdown().await.unwrap();
    assert!(matches!(talk.ended().await, Ended::CutOff));
}

#[tokio::test(start_paused = true)]
async fn a_silent_connection_ends_but_not_while_it_waits() {
    let mut talk = Talk::greeted().await;
    talk.say(1, get("ads")).await;
    let reply = talk.wanted().await;
    sleep(BOUNDS.idle * 10).await;
    reply.send(done("late")).unwrap();
    assert_eq!(
        talk.hear().await,
        (
            1,
            Response::Done {
                message: "late".into()
            }
        )
    );
    assert!(matches!(talk.ended().await, Ended::Idle));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_is_let_go_and_costs_no_memory() {
    let mut talk = Talk::with_pipe(256);
    talk.publish(&"x".repeat(40_000));
    let mut requests = bytes(0, Request::hello("deaf"));
    for id in 1..100 {
        requests.extend(bytes(id, get("ads")));
    }
    // Whatever of it the daemon does not take stays in the pipe.
    let _deaf = timeout(Duration::from_secs(1), talk.client.write_all(&requests)).await;
    assert!(matches!(talk.ended().await, Ended::NotTaken));
}

#[tokio::test(start_paused = true)]
async fn many_answers_that_are_read_all_come() {
    let mut talk = Talk::greeted().await;
    talk.publish(&"x".repeat(40_000));
    let requests: Vec<u8> = (1..50).flat_map(|id| bytes(id, get("ads"))).collect();
    talk.client.write_all(&requests).await.unwrap();
    for id in 1..50 {
        let (got, response) = talk.hear().await;
        assert!(got == id && matches!(response, Response::Token(_)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_right_behind_hello_is_answered() {
    let mut talk = Talk::start();
    talk.publish("T");
    let mut both = bytes(0, Request::hello("eager"));
    both.extend(bytes(1, get("ads")));
    talk.client.write_all(&both).await.unwrap();
    assert!(matches!(talk.hear().await, (0, Response::Welcome { .. })));
    match talk.hear().await {
        (1, Response::Token(token)) => assert_eq!(token.access_token.expose(), "T"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn answers_may_overtake_each_other() {
    let mut talk = Talk::greeted().await;
    talk.say(1, get("ads")).await;
    talk.say(2, get("ads")).await;
    let (first, second) = (talk.wanted().await, talk.wanted().await);
    second.send(done("second")).unwrap();
    assert_eq!(
        talk.hear().await,
        (
            2,
            Response::Done {
                message: "second".into()
            }
        )
    );
    first.send(done("first")).unwrap();
    assert_eq!(
        talk.hear().await,
        (
            1,
            Response::Done {
                message: "first".into()
            }
        )
    );
}

#[tokio::test(start_paused = true)]
async fn more_than_may_wait_is_not_read_until_one_is_answered() {
    let mut talk = Talk::greeted().await;
    for id in 1..=6 {
        talk.say(id, get("ads")).await;
    }
    let mut waiting = Vec::new();
    for _ in 0..BOUNDS.pending {
        waiting.push(talk.wanted().await);
    }
    sleep(BOUNDS.frame * 3).await;
    assert!(talk.driver.try_recv().is_err(), "the fifth waits its turn");
    waiting.remove(0).send(done("one")).unwrap();
    assert_eq!(talk.hear().await.0, 1);
    let fifth = talk.wanted().await;
    fifth.send(done("five")).unwrap();
    assert_eq!(talk.hear().await.0, 5);
    talk.wanted().await.send(done("six")).unwrap();
    assert_eq!(talk.hear().await.0, 6);
}

#[tokio::test(start_paused = true)]
async fn a_late_use_tells_the_driver_once() {
    let mut talk = Talk::greeted().await;
    let now = talk.requests.clock.steady();
    let late = IssuedToken {
        ahead: now,
        ..token("T", 1, now)
    };
    talk.requests
        .registry
        .snapshot()
        .served(&name("ads"))
        .unwrap()
        .cell
        .publish(late);
    for id in 1..=3 {
        talk.say(id, get("ads")).await;
        assert!(matches!(talk.hear().await.1, Response::Token(_)));
    }
    assert!(matches!(talk.driver.try_recv(), Ok(Message::Asked(_))));
    assert!(talk.driver.try_recv().is_err(), "only the first");
    let snapshot = talk.requests.registry.snapshot();
    assert!(
        snapshot
            .served(&name("ads"))
            .unwrap()
            .cell
            .token()
            .as_ref()
            .unwrap()
            .reported
            .load(Ordering::Relaxed)
    );
}

#[tokio::test(start_paused = true)]
async fn a_typing_error_is_told_with_the_name_that_was_meant_and_a_search_is_not() {
    let mut talk = Talk::greeted().await;
    let mut meant = 0;
    for id in 1..=10 {
        talk.say(id, get("adz")).await;
        let (_, Response::Fault(fault)) = talk.hear().await else {
            panic!()
        };
        assert_eq!(fault.code, FaultCode::UnknownAccount);
        meant += usize::from(fault.advice.unwrap().contains("did you mean ads?"));
    }
    assert_eq!(meant, HINTS);
    talk.say(11, Request::List { after: None }).await;
    assert!(matches!(talk.hear().await.1, Response::Accounts(page) if page.accounts.len() == 1));
}

#[tokio::test(start_paused = true)]
async fn whoever_asks_in_vain_without_end_waits_and_nobody_else_does() {
    // The daemon's clock stands still, so that nothing is paid off however slow the machine is.
    let (clock, _hands) = FakeClock::start(1_000_000, 1_000, "boot");
    let talk = Talk::with_clock(&clock, 1 << 20);
    let mut talk = talk.after_greeting().await;
    talk.publish("T");
    let began = sleep(Duration::ZERO).deadline();
    for id in 1..=4_200 {
        talk.say(id, get("zzz")).await;
        assert_eq!(talk.fault().await, FaultCode::UnknownAccount);
    }
    let now = sleep(Duration::ZERO).deadline();
    assert!(
        now - began > Duration::from_millis(100),
        "{:?}",
        now - began
    );
    // What is held is given on the same connection, and nothing of it is counted.
    talk.say(1, Request::List { after: None }).await;
    talk.hear().await;
    for id in 2..=100 {
        talk.say(id, get("ads")).await;
        assert!(matches!(talk.hear().await.1, Response::Token(_)));
    }
    let (client, server) = duplex(1 << 20);
    let other = (peer(OWNER + 1), 0);
    drop(tokio::spawn(serve(
        server,
        other,
        Arc::clone(&talk.requests),
        BOUNDS,
    )));
    talk.client = client;
    talk.say(0, Request::hello("other")).await;
    talk.hear().await;
    let began = sleep(Duration::ZERO).deadline();
    for id in 1..=100 {
        talk.say(id, get("zzz")).await;
        talk.fault().await;
    }
    assert_eq!(sleep(Duration::ZERO).deadline(), began, "another user's");
}
