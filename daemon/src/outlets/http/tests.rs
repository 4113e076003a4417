//! Connections over HTTP: what is slow, large, broken or gone. The driver is the test.

mod framing;
mod races;
mod rests;

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::*;
use crate::broker::inbox::{DriverAnswer, Message};
use crate::testing::{OWNER, Site, name, peer, requests, token};
use tokend_peer::testing::Overheard;
use tokend_process::clock::Clock;

const BOUNDS: Bounds = Bounds {
    pending: 4,
    idle: Duration::from_secs(300),
    frame: Duration::from_secs(10),
};

const TOKEN: &str = "GET /v1/accounts/ads/token HTTP/1.1\r\nhost: t\r\nx-tokend: 1\r\n\r\n";
const WATCH: &str = "GET /v1/accounts/ads/watch HTTP/1.1\r\nhost: t\r\nx-tokend: 1\r\n\r\n";

struct Talk {
    client: DuplexStream,
    received: Vec<u8>,
    driver: mpsc::Receiver<Message>,
    requests: Arc<Requests>,
    serving: JoinHandle<Ended>,
    gone: Arc<AtomicBool>,
    _site: Site,
}

fn config(user: u32) -> String {
    format!(
        "[account.ads]\nprovider = \"oauth2\"\nbase_url = \"http://127.0.0.1:1\"\nusername = \"u\"\nclient_id = \"c\"\nallow = [{{ user = {user} }}]\n"
    )
}

impl Talk {
    fn start() -> Self {
        Self::with_pipe(1 << 20)
    }

    fn with_pipe(room: usize) -> Self {
        let site = Site::new(&config(OWNER));
        let (requests, driver) = requests(&site, &Clock::system(), 64);
        let (client, pipe) = duplex(room);
        let gone = Arc::<AtomicBool>::default();
        let pipe = Overheard::new(pipe, &gone, |_| {});
        let serving = serve(pipe, (peer(OWNER), 0), Arc::clone(&requests), BOUNDS);
        Self {
            client,
            received: Vec::new(),
            driver,
            requests,
            serving: tokio::spawn(serving),
            gone,
            _site: site,
        }
    }

    async fn say(&mut self, text: &str) {
        self.client.write_all(text.as_bytes()).await.unwrap();
    }

    /// Everything up to and with this text.
    async fn until(&mut self, end: &str) -> String {
        loop {
            let found = self
                .received
                .windows(end.len())
                .position(|it| it == end.as_bytes());
            if let Some(at) = found {
                let rest = self.received.split_off(at + end.len());
                let whole = std::mem::replace(&mut self.received, rest);
                return String::from_utf8(whole).unwrap();
            }
            let count = self.client.read_buf(&mut self.received).await.unwrap();
            assert!(
                count > 0,
                "hung up after {:?}",
                String::from_utf8_lossy(&self.received)
            );
        }
    }

    /// The head and the body of the next answer.
    async fn answer(&mut self) -> (String, String) {
        let head = self.until("\r\n\r\n").await;
        let length = head
            .split("content-length: ")
            .nth(1)
            .map_or("0", |it| it.split('\r').next().unwrap());
        let length: usize = length.parse().unwrap();
        while self.received.len() < length {
            assert!(self.client.read_buf(&mut self.received).await.unwrap() > 0);
        }
        let rest = self.received.split_off(length);
        let body = std::mem::replace(&mut self.received, rest);
        (head, String::from_utf8(body).unwrap())
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

    fn publish(&self, text: &str, grant: u64) {
        let registry = &self.requests.registry;
        let served = Arc::clone(registry.snapshot().served(&name("ads")).unwrap());
        let token = token(text, grant, self.requests.clock.steady());
        registry
            .publications()
            .publish(served.key, &served.cell, token);
    }
}

#[tokio::test(start_paused = true)]
async fn requests_that_come_at_once_are_answered_in_their_order() {
    let mut talk = Talk::start();
    talk.publish("T", 1);
    let health = "GET /v1/health HTTP/1.1\r\nhost: t\r\nx-tokend: 1\r\n\r\n";
    let lost = "GET / HTTP/1.1\r\nhost: t\r\nx-tokend: 1\r\n\r\n";
    talk.say(&[TOKEN, health, lost].concat().repeat(30)).await;
    for _ in 0..30 {
        let (head, body) = talk.answer().await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        assert!(
            head.contains("cache-control: no-store") && body.contains("\"T\""),
            "{head}"
        );
        assert!(talk.answer().await.1.contains("\"ok\""));
        assert!(talk.answer().await.1.contains("unknown-path"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_head_has_one_deadline_however_it_trickles() {
    let mut talk = Talk::start();
    for byte in ["G", "E", "T"] {
        talk.say(byte).await;
        sleep(Duration::from_secs(4)).await;
    }
    assert!(matches!(talk.ended().await, Ended::Unfinished));
    assert!(matches!(Talk::start().ended().await, Ended::Idle));
    // Behind a request, silence has the same time again.
    let mut talk = Talk::start();
    talk.publish("T", 1);
    sleep(BOUNDS.idle / 2).await;
    talk.say(TOKEN).await;
    talk.answer().await;
    sleep(BOUNDS.idle * 3 / 4).await;
    talk.say(TOKEN).await;
    talk.answer().await;
    assert!(matches!(talk.ended().await, Ended::Idle));
}

#[tokio::test(start_paused = true)]
async fn what_is_no_http_or_too_long_ends_the_connection() {
    let long = format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "x".repeat(20_000));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(70));
    for (text, status) in [
        ("\u{0}\u{0}\u{0}\u{8}tokend\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nhost t\r\n\r\n", "400"),
        (&long, "431"),
        (&many, "431"),
    ] {
        let mut talk = Talk::start();
        talk.say(text).await;
        let (head, _) = talk.answer().await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
        assert!(matches!(talk.ended().await, Ended::Protocol(_)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_slow_or_too_long_is_refused() {
    let head = |more: &str| {
        format!(
            "POST /v1/accounts/ads/reject HTTP/1.1\r\nhost: t\r\nx-tokend: 1\r\ncontent-type: application/json\r\n{more}\r\n\r\n"
        )
    };
    let mut talk = Talk::start();
    talk.say(&head("content-length: 20")).await;
    talk.say("{").await;
    let (answer, body) = talk.answer().await;
    assert!(
        answer.starts_with("HTTP/1.1 408 ") && body.contains("too-slow"),
        "{answer}"
    );
    assert!(answer.contains("connection: close"), "{answer}");
    talk.serving.await.unwrap();

    let mut talk = Talk::start();
    talk.say(&head("transfer-encoding: chunked")).await;
    talk.say(&format!("10001\r\n{}\r\n", "x".repeat(0x10001)))
        .await;
    let (answer, body) = talk.answer().await;
    assert!(
        answer.starts_with("HTTP/1.1 413 ") && body.contains("too-large"),
        "{answer}"
    );
    talk.serving.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn whoever_hangs_up_waits_no_longer() {
    for is_behind in [false, true] {
        let mut talk = Talk::start();
        talk.say(TOKEN).await;
        let Some(Message::Wanted { reply: _reply, .. }) = talk.driver.recv().await else {
            panic!()
        };
        if is_behind {
            // Nobody reads what lies before the end.
            talk.say(TOKEN).await;
            talk.gone.store(true, SeqCst);
        } else {
            drop(talk.client);
        }
        assert!(matches!(talk.driver.recv().await, Some(Message::Left(..))));
        talk.serving.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_waits_gets_the_answer_however_late() {
    let mut talk = Talk::start();
    talk.say(TOKEN).await;
    let Some(Message::Wanted { reply, .. }) = talk.driver.recv().await else {
        panic!()
    };
    sleep(BOUNDS.idle * 10).await;
    let fault = Fault::new(tokend_proto::FaultCode::Paced, "not now").retry_after(1_500);
    reply.send(DriverAnswer::Fault(Box::new(fault))).unwrap();
    let (head, body) = talk.answer().await;
    assert!(
        head.starts_with("HTTP/1.1 429 ") && head.contains("retry-after: 2"),
        "{head}"
    );
    assert!(body.contains("\"code\":\"paced\""), "{body}");
}

#[tokio::test(start_paused = true)]
async fn a_watch_tells_each_token_and_on_silence_that_it_lives() {
    let mut talk = Talk::start();
    talk.publish("one", 1);
    talk.say(WATCH).await;
    let head = talk.until("\r\n\r\n").await;
    assert!(head.contains("content-type: application/jsonl"), "{head}");
    assert!(talk.until("}\n").await.contains("\"one\""));
    assert_eq!(talk.until("\r\n1\r\n\n").await, "\r\n1\r\n\n");
    talk.publish("two", 2);
    assert!(talk.until("}\n").await.contains("\"two\""));
    // At its end the stream says why.
    talk.requests.registry.publications().drain();
    let last = talk.until("0\r\n\r\n").await;
    assert!(
        last.contains("\"ended\"") && last.contains("draining"),
        "{last}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_nobody_reads_ends_and_costs_no_memory() {
    let mut talk = Talk::with_pipe(256);
    talk.publish(&"x".repeat(30_000), 1);
    talk.say(WATCH).await;
    for grant in 2..100 {
        tokio::task::yield_now().await;
        talk.publish(&"x".repeat(30_000), grant);
    }
    assert!(matches!(talk.ended().await, Ended::NotTaken));
}

#[tokio::test(start_paused = true)]
async fn a_peer_without_the_right_gets_a_problem_and_no_watch() {
    let mut talk = Talk::start();
    talk.publish("secret-token", 1);
    let (client, pipe) = duplex(1 << 20);
    let stranger = (peer(OWNER + 1), 0);
    let serving = serve(pipe, stranger, Arc::clone(&talk.requests), BOUNDS);
    drop(tokio::spawn(serving));
    talk.client = client;
    for text in [TOKEN, WATCH] {
        talk.say(text).await;
        let (head, body) = talk.answer().await;
        assert!(head.starts_with("HTTP/1.1 403 "), "{head}");
        assert!(
            body.contains("not-allowed") && !body.contains("secret-token"),
            "{body}"
        );
    }
}

#[tokio::test]
async fn an_account_says_whether_its_api_refuses_tokens_with_good_answers() {
    for (rule, is_so) in [
        ("", false),
        ("[[rejection]]\nstatus = 200\ntext = \"expired\"\n", true),
    ] {
        let site = Site::new("");
        site.dialect("mine", &format!("extends = \"oauth2\"\n{rule}"));
        let account = config(OWNER).replace("oauth2", "mine");
        site.write(&format!("dialect_dir = \"dialects\"\n{account}"));
        let (requests, _driver) = requests(&site, &Clock::system(), 64);
        let (mut client, pipe) = duplex(1 << 16);
        let serving = tokio::spawn(serve(pipe, (peer(OWNER), 0), requests, BOUNDS));
        let request =
            "GET /v1/accounts HTTP/1.1\r\nhost: t\r\nx-tokend: 1\r\nconnection: close\r\n\r\n";
        client.write_all(request.as_bytes()).await.unwrap();
        let mut said = String::new();
        client.read_to_string(&mut said).await.unwrap();
        assert!(matches!(serving.await.unwrap(), Ended::Closed));
        let line = format!("\"urls\":[],\"refused_below_400\":{is_so}}}");
        assert!(said.contains(&line), "{said}");
    }
}
