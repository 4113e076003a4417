//! Watches: what is told when, and what a reload does to one. The driver is the test.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use super::*;
use crate::broker::publications::TokenCell;
use crate::broker::registry::Snapshot;
use tokend_engine::Timestamp;
use tokend_peer::testing::Overheard;

fn watch(min_validity_ms: Option<u64>) -> Request {
    Request::Watch {
        account: name("ads"),
        min_validity_ms,
    }
}

fn fault(code: FaultCode, message: &str, retry_ms: Option<u64>) -> DriverAnswer {
    let mut fault = Fault::new(code, message);
    fault.retry_after_ms = retry_ms;
    DriverAnswer::Fault(Box::new(fault))
}

/// A connection with one watch, on a clock that moves by hand.
struct Watching {
    talk: Talk,
    hands: Arc<FakeClock>,
}

impl Watching {
    async fn start(held: Option<(&str, u64)>, min_validity_ms: Option<u64>) -> Self {
        let (clock, hands) = FakeClock::start(1_000_000, 1_000, "boot");
        let mut talk = Talk::with_clock(&clock, 1 << 20).after_greeting().await;
        if let Some((text, grant)) = held {
            Self::serve_in(&talk, text, grant);
        }
        talk.say(1, watch(min_validity_ms)).await;
        Self { talk, hands }
    }

    fn serve_in(talk: &Talk, text: &str, grant: u64) {
        let registry = &talk.requests.registry;
        let (key, cell) = of_ads(&registry.snapshot());
        let token = token(text, grant, talk.requests.clock.steady());
        registry.publications().publish(key, &cell, token);
    }

    fn serve(&self, text: &str, grant: u64) {
        Self::serve_in(&self.talk, text, grant);
    }

    fn retire(&self) {
        let registry = &self.talk.requests.registry;
        let (key, cell) = of_ads(&registry.snapshot());
        drop(registry.publications().retire(key, &cell));
    }

    async fn token(&mut self) -> (String, u64) {
        match self.talk.hear().await {
            (1, Response::Token(token)) => (token.access_token.expose().to_owned(), token.grant),
            other => panic!("{other:?}"),
        }
    }

    async fn is_retired(&mut self, grant: u64) {
        assert_eq!(self.talk.hear().await, (1, Response::Retired { grant }));
    }

    async fn unavailable(&mut self) -> (FaultCode, String) {
        match self.talk.hear().await {
            (1, Response::Unavailable(fault)) => (fault.code, fault.message),
            other => panic!("{other:?}"),
        }
    }

    /// Time passes on all clocks.
    async fn pass(&self, time: Duration) {
        self.hands.advance(time);
        sleep(time).await;
    }

    /// What was asked is answered, and nothing else was told before.
    async fn nothing_was_told(&mut self) {
        self.talk.say(9, Request::List { after: None }).await;
        let (id, answer) = self.talk.hear().await;
        assert_eq!(id, 9, "{answer:?}");
    }

    /// The end of the watch. Nothing follows it on the connection, which goes on.
    async fn ends_with(&mut self, code: FaultCode) {
        match self.talk.hear().await {
            (1, Response::Fault(fault)) => assert_eq!(fault.code, code),
            other => panic!("{other:?}"),
        }
        self.nothing_was_told().await;
        let counters = format!("{:?}", self.talk.requests.metrics.counters());
        assert!(counters.contains("watches: 0"), "{counters}");
    }
}

fn of_ads(snapshot: &Snapshot) -> (tokend_engine::AccountKey, Arc<TokenCell>) {
    let served = snapshot.served(&name("ads")).unwrap();
    (served.key, Arc::clone(&served.cell))
}

#[tokio::test(start_paused = true)]
async fn a_watch_delivers_the_held_token_at_once_and_each_newer_one_once() {
    let mut it = Watching::start(Some(("one", 1)), None).await;
    assert_eq!(it.token().await, ("one".to_owned(), 1));
    it.serve("one", 1);
    it.nothing_was_told().await;
    it.serve("two", 2);
    assert_eq!(it.token().await, ("two".to_owned(), 2));
    assert!(it.talk.driver.try_recv().is_err(), "nobody was asked");
    let counters = format!("{:?}", it.talk.requests.metrics.counters());
    assert!(counters.contains("watches: 1"), "{counters}");
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_is_slow_gets_the_newest_token_only() {
    let mut it = Watching::start(Some(("one", 1)), None).await;
    it.token().await;
    for grant in 2..=50 {
        it.serve("more", grant);
    }
    assert_eq!(it.token().await.1, 50);
    it.nothing_was_told().await;
}

#[tokio::test(start_paused = true)]
async fn a_retired_token_is_told_and_the_driver_is_asked_once_until_there_is_another() {
    let mut it = Watching::start(Some(("one", 1)), None).await;
    it.token().await;
    it.retire();
    it.is_retired(1).await;
    let reply = it.talk.wanted().await;
    // Wakes in the meantime make no second waiter.
    let (key, _) = of_ads(&it.talk.requests.registry.snapshot());
    for _ in 0..10 {
        it.talk.requests.registry.publications().wake(key);
        it.nothing_was_told().await;
    }
    assert!(it.talk.driver.try_recv().is_err());
    it.serve("two", 2);
    assert_eq!(it.token().await, ("two".to_owned(), 2));
    assert!(reply.is_closed(), "it does not wait any more");
}

#[tokio::test(start_paused = true)]
async fn a_reason_is_told_once_and_the_driver_is_asked_again_when_it_said() {
    let mut it = Watching::start(None, None).await;
    let paced = || fault(FaultCode::Paced, "the rate limit is reached", Some(5_000));
    it.talk.wanted().await.send(paced()).unwrap();
    it.is_retired(0).await;
    assert_eq!(it.unavailable().await.0, FaultCode::Paced);
    for _ in 0..3 {
        it.pass(Duration::from_millis(4_900)).await;
        it.nothing_was_told().await;
        assert!(it.talk.driver.try_recv().is_err(), "too early");
        it.pass(Duration::from_millis(200)).await;
        it.talk.wanted().await.send(paced()).unwrap();
        it.nothing_was_told().await;
    }
    let required = fault(FaultCode::LoginRequired, "only a person can help", None);
    it.pass(Duration::from_secs(5)).await;
    it.talk.wanted().await.send(required).unwrap();
    assert_eq!(it.unavailable().await.0, FaultCode::LoginRequired);
    // A login brings a token without anybody asking.
    it.serve("two", 2);
    assert_eq!(it.token().await.1, 2);
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_begins_without_a_token_ends_an_earlier_ones_and_one_that_lives_too_short_does_not()
 {
    let down = || fault(FaultCode::ProviderUnreachable, "it is down", Some(5_000));
    // The token lives an hour, and is asked for with two.
    let mut it = Watching::start(Some(("one", 1)), Some(7_200_000)).await;
    let asked = |it: Option<Message>| match it {
        Some(Message::Wanted { reply, .. }) => reply,
        other => panic!("{other:?}"),
    };
    asked(it.talk.driver.recv().await).send(down()).unwrap();
    assert_eq!(it.unavailable().await.0, FaultCode::ProviderUnreachable);
    // Now it is refused, or forgotten.
    it.retire();
    it.pass(Duration::from_secs(6)).await;
    asked(it.talk.driver.recv().await).send(down()).unwrap();
    it.is_retired(0).await;
    // The reason is known already, and the end is told once.
    it.pass(Duration::from_secs(6)).await;
    asked(it.talk.driver.recv().await).send(down()).unwrap();
    it.nothing_was_told().await;
}

#[tokio::test(start_paused = true)]
async fn a_reason_without_a_time_never_makes_a_watch_spin() {
    let mut it = Watching::start(None, None).await;
    for _ in 0..5 {
        let at_once = fault(FaultCode::TooBusy, "not now", Some(0));
        it.talk.wanted().await.send(at_once).unwrap();
        // The clock stands still: it is not asked again however often it looks.
        sleep(Duration::from_secs(100)).await;
        assert!(it.talk.driver.try_recv().is_err());
        it.pass(Duration::from_millis(250)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_that_expires_is_told_and_a_new_one_asked_for() {
    let mut it = Watching::start(Some(("one", 1)), None).await;
    it.token().await;
    it.pass(Duration::from_secs(3_590)).await;
    it.nothing_was_told().await;
    assert!(it.talk.driver.try_recv().is_err());
    it.pass(Duration::from_secs(40)).await;
    it.is_retired(1).await;
    it.talk.wanted().await;
}

#[tokio::test(start_paused = true)]
async fn a_token_that_lives_too_short_is_replaced_and_used_until_it_ends() {
    let mut it = Watching::start(Some(("one", 1)), Some(3_000_000)).await;
    it.token().await;
    it.pass(Duration::from_secs(590)).await;
    it.nothing_was_told().await;
    assert!(it.talk.driver.try_recv().is_err());
    it.pass(Duration::from_secs(40)).await;
    match it.talk.driver.recv().await {
        Some(Message::Wanted { demand, reply, .. }) => {
            assert_eq!(demand.min_validity, Some(Duration::from_secs(3_000)));
            let down = fault(
                FaultCode::ProviderUnreachable,
                "it is down",
                Some(9_000_000),
            );
            reply.send(down).unwrap();
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(it.unavailable().await.0, FaultCode::ProviderUnreachable);
    it.nothing_was_told().await;
    it.pass(Duration::from_secs(3_000)).await;
    it.is_retired(1).await;
}

#[tokio::test(start_paused = true)]
async fn a_validity_that_no_token_has_ends_a_watch() {
    let mut it = Watching::start(None, Some(u64::MAX)).await;
    let never = fault(FaultCode::ValidityUnattainable, "an hour is all", None);
    it.talk.wanted().await.send(never).unwrap();
    it.ends_with(FaultCode::ValidityUnattainable).await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_a_watch_that_has_its_token() {
    let mut it = Watching::start(Some(("one", 1)), None).await;
    it.token().await;
    it.talk.requests.registry.publications().drain();
    it.ends_with(FaultCode::Draining).await;
}

fn config(text: &str) -> Arc<Snapshot> {
    Arc::clone(&crate::testing::registry(&Site::new(text).config()).snapshot())
}

fn account(allow: &str) -> String {
    format!(
        "[account.ads]\nprovider = \"oauth2\"\nbase_url = \"http://127.0.0.1:1\"\nusername = \"u\"\nclient_id = \"c\"\nallow = [{allow}]\n"
    )
}

#[tokio::test(start_paused = true)]
async fn a_reload_that_takes_the_right_away_ends_a_watch_at_once() {
    for (next, code) in [
        (account("{ user = 4000 }"), FaultCode::NotAllowed),
        (
            account(&format!("{{ user = {OWNER}, may = [\"status\"] }}")),
            FaultCode::NotAllowed,
        ),
        (String::new(), FaultCode::UnknownAccount),
    ] {
        for held in [Some(("one", 1)), None] {
            let mut it = Watching::start(held, None).await;
            match held {
                Some(_) => drop(it.token().await),
                None => drop(it.talk.wanted().await),
            }
            it.talk.requests.registry.replace(config(&next));
            it.ends_with(code).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_reload_that_leaves_the_right_tells_a_watch_nothing() {
    let mut it = Watching::start(Some(("one", 1)), None).await;
    it.token().await;
    let next = config(&account(&format!(
        "{{ user = 4000 }}, {{ user = {OWNER} }}"
    )));
    let now = it.talk.requests.clock.steady();
    of_ads(&next).1.publish(token("one", 1, now));
    it.talk.requests.registry.replace(next);
    it.nothing_was_told().await;
    it.serve("two", 2);
    assert_eq!(it.token().await.1, 2);
}

#[tokio::test(start_paused = true)]
async fn a_reload_that_changes_what_a_token_is_for_tells_it_again() {
    let mut it = Watching::start(Some(("one", 1)), None).await;
    it.token().await;
    let own = account(&format!("{{ user = {OWNER} }}"));
    for api in [
        "urls = \"https://a.test\"",
        "present = { header = \"X-Key\" }",
    ] {
        let next = config(&format!("{own}[account.ads.api]\n{api}\n"));
        let now = it.talk.requests.clock.steady();
        of_ads(&next).1.publish(token("one", 1, now));
        it.talk.requests.registry.replace(next);
        assert_eq!(it.token().await, ("one".to_owned(), 1), "{api}");
        it.nothing_was_told().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_account_that_became_another_is_watched_on_by_its_name() {
    let mut it = Watching::start(Some(("one", 1)), None).await;
    it.token().await;
    // With another before it the name has another key.
    let own = account(&format!("{{ user = {OWNER} }}"));
    let next = config(&(own.replace("account.ads", "account.aaa") + &own));
    it.talk.requests.registry.replace(next);
    it.is_retired(1).await;
    drop(it.talk.wanted().await);
    it.serve("another", 1);
    assert_eq!(it.token().await, ("another".to_owned(), 1));
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_watches_is_not_idle_and_serves_other_requests() {
    let mut it = Watching::start(Some(("one", 1)), None).await;
    it.token().await;
    sleep(BOUNDS.idle * 3).await;
    it.talk.say(2, get("ads")).await;
    assert!(matches!(it.talk.hear().await, (2, Response::Token(_))));
    it.serve("two", 2);
    assert_eq!(it.token().await.1, 2);
}

#[tokio::test(start_paused = true)]
async fn a_watch_takes_the_place_of_a_waiting_request() {
    let mut it = Watching::start(Some(("one", 1)), None).await;
    it.token().await;
    for id in 2..=u64::try_from(BOUNDS.pending).unwrap() {
        it.talk.say(id, watch(None)).await;
        assert!(matches!(it.talk.hear().await, (_, Response::Token(_))));
    }
    it.talk.say(9, Request::List { after: None }).await;
    assert!(
        timeout(Duration::from_secs(9), it.talk.hear())
            .await
            .is_err()
    );
    it.talk.requests.registry.publications().drain();
    let mut ended = 0;
    while let (1..=4, answer) = it.talk.hear().await {
        assert!(matches!(answer, Response::Fault(_)));
        ended += 1;
    }
    assert!(ended >= 1, "the first that ended made room");
}

#[tokio::test(start_paused = true)]
async fn a_watcher_that_never_reads_is_let_go_and_costs_no_memory() {
    let mut talk = Talk::with_pipe(256);
    talk.publish(&"x".repeat(40_000));
    let mut asked = bytes(0, Request::hello("deaf"));
    asked.extend(bytes(1, watch(None)));
    talk.client.write_all(&asked).await.unwrap();
    let registry = Arc::clone(&talk.requests.registry);
    let publishing = async {
        for grant in 2..1_000 {
            let (key, cell) = of_ads(&registry.snapshot());
            let now = talk.requests.clock.steady();
            let token = token(&"x".repeat(40_000), grant, now);
            registry.publications().publish(key, &cell, token);
            yield_now().await;
        }
    };
    publishing.await;
    assert!(matches!(talk.ended().await, Ended::NotTaken));
}

#[tokio::test(start_paused = true)]
async fn a_peer_without_the_right_gets_no_watch() {
    let mut it = Watching::start(Some(("one", 1)), None).await;
    it.token().await;
    let (client, server) = duplex(1 << 20);
    let other = (peer(OWNER + 1), 0);
    drop(tokio::spawn(serve(
        server,
        other,
        Arc::clone(&it.talk.requests),
        BOUNDS,
    )));
    it.talk.client = client;
    it.talk.say(0, Request::hello("other")).await;
    it.talk.hear().await;
    it.talk.say(1, watch(None)).await;
    assert_eq!(it.talk.fault().await, FaultCode::NotAllowed);
    it.serve("two", 2);
    it.nothing_was_told().await;
}

/// A pipe that counts how often the token is written once the right to it is gone.
fn overheard(pipe: DuplexStream, gone: &Arc<AtomicBool>, late: &Arc<AtomicUsize>) -> Overheard {
    let (gone, late) = (Arc::clone(gone), Arc::clone(late));
    Overheard::new(pipe, &Arc::default(), move |bytes| {
        if gone.load(SeqCst) && bytes.windows(12).any(|part| part == b"secret-token") {
            late.fetch_add(1, SeqCst);
        }
    })
}

/// Takes the right away again and again while a token is published to a watch; returns how many tokens left after that.
async fn race(rounds: usize) -> (usize, usize) {
    let with = account("{ user = 20 }");
    let (site, without) = (Site::new(&with), config(&account("{ user = 21 }")));
    let (requests, _driver) = requests(&site, &Clock::system(), 64);
    let (gone, late) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
    let mut before = 0;
    for round in 0..rounds {
        gone.store(false, SeqCst);
        let next = config_of(&site);
        let (key, cell) = of_ads(&next);
        let now = requests.clock.steady();
        cell.publish(token("first", 1, now));
        requests.registry.replace(next);
        let (client, pipe) = duplex(1 << 20);
        let watched = overheard(pipe, &gone, &late);
        let serving = tokio::spawn(serve(watched, (peer(20), 0), Arc::clone(&requests), BOUNDS));
        let (mut reader, mut writer) = tokio::io::split(client);
        let mut asked = bytes(0, Request::hello("racer"));
        asked.extend(bytes(1, watch(None)));
        writer.write_all(&asked).await.unwrap();
        let mut received = FrameBuffer::new();
        let mut reload = None;
        loop {
            let Some(payload) = received.next_frame().unwrap() else {
                let read = reader.read(received.spare()).await.unwrap();
                assert!(read > 0, "the daemon hung up");
                received.filled(read);
                continue;
            };
            match decode_server(payload).unwrap().response {
                Response::Token(token) if token.grant == 1 => {
                    let registry = Arc::clone(&requests.registry);
                    let (next, taken) = (Arc::clone(&without), Arc::clone(&gone));
                    reload = Some(tokio::task::spawn_blocking(move || {
                        registry.replace(next);
                        taken.store(true, SeqCst);
                    }));
                    if round % 3 == 0 {
                        yield_now().await;
                    }
                    let newer = token_of(2, now);
                    requests.registry.publications().publish(key, &cell, newer);
                }
                Response::Token(_) => before += 1,
                Response::Fault(fault) => {
                    assert_eq!(fault.code, FaultCode::NotAllowed);
                    break;
                }
                Response::Welcome { .. } => {}
                other => panic!("{other:?}"),
            }
        }
        reload.unwrap().await.unwrap();
        serving.abort();
    }
    (before, late.load(SeqCst))
}

fn config_of(site: &Site) -> Arc<Snapshot> {
    Arc::clone(&crate::testing::registry(&site.config()).snapshot())
}

fn token_of(grant: u64, now: Timestamp) -> IssuedToken {
    token("secret-token", grant, now)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn no_watch_delivers_once_the_reload_that_took_the_right_away_is_done() {
    let (before, late) = race(10_000).await;
    assert_eq!(late, 0, "{before} of 10000 came before");
}
