//! Requests over HTTP racing with a reload that takes the right away.

use std::sync::atomic::AtomicUsize;

use super::*;
use crate::broker::registry::Snapshot;

const ROUNDS: usize = 10_000;

/// A configuration in which this user has the right to the token, which is held or not.
fn snapshot(site: &Site, held: bool, now: tokend_engine::Timestamp) -> Arc<Snapshot> {
    let snapshot = Arc::clone(&crate::testing::registry(&site.config()).snapshot());
    if held {
        let served = snapshot.served(&name("ads")).unwrap();
        served.cell.publish(token("secret-token", 1, now));
    }
    snapshot
}

/// Takes the right away again and again while this request is under way. Returns how many answers had the token, and in how many of these it
/// was written after the reload was done.
async fn race(request: &str, held: impl Fn(usize) -> bool) -> (usize, usize) {
    let (with, without) = (Site::new(&config(20)), Site::new(&config(21)));
    let (requests, mut driver) = requests(&with, &Clock::system(), 64);
    let now = requests.clock.steady();
    let without = snapshot(&without, false, now);
    let (gone, late) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
    let mut tokens = 0;
    for round in 0..ROUNDS {
        gone.store(false, SeqCst);
        let held = held(round);
        requests
            .registry
            .replace(snapshot(&with, held, requests.clock.steady()));
        let (mut client, pipe) = duplex(1 << 20);
        let (is_gone, count) = (Arc::clone(&gone), Arc::clone(&late));
        let pipe = Overheard::new(pipe, &Arc::default(), move |bytes| {
            if is_gone.load(SeqCst) && bytes.windows(12).any(|part| part == b"secret-token") {
                count.fetch_add(1, SeqCst);
            }
        });
        let serving = serve(pipe, (peer(20), 0), Arc::clone(&requests), BOUNDS);
        let serving = tokio::spawn(serving);
        client.write_all(request.as_bytes()).await.unwrap();
        let reply = match held {
            true => None,
            false => match driver.recv().await {
                Some(Message::Wanted { reply, .. }) => Some(reply),
                other => panic!("{other:?}"),
            },
        };
        let (registry, next) = (Arc::clone(&requests.registry), Arc::clone(&without));
        let taken = Arc::clone(&gone);
        let reload = tokio::task::spawn_blocking(move || {
            registry.replace(next);
            taken.store(true, SeqCst);
        });
        if round % 3 == 0 {
            tokio::task::yield_now().await;
        }
        if let Some(reply) = reply {
            let token = Arc::new(token("secret-token", 1, requests.clock.steady()));
            drop(reply.send(DriverAnswer::Token(token)));
        }
        let mut received = Vec::new();
        let is_over = |received: &[u8]| {
            let text = String::from_utf8_lossy(received);
            text.contains("not-allowed")
                || text.contains("too-busy")
                || text.contains("secret-token\"")
        };
        while !is_over(&received) {
            assert!(client.read_buf(&mut received).await.unwrap() > 0, "hung up");
        }
        tokens += usize::from(String::from_utf8_lossy(&received).contains("secret-token"));
        reload.await.unwrap();
        serving.abort();
        while driver.try_recv().is_ok() {}
    }
    (tokens, late.load(SeqCst))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn no_token_leaves_over_http_once_the_reload_that_took_the_right_away_is_done() {
    let (tokens, late) = race(TOKEN, |round| round % 2 == 0).await;
    assert_eq!(late, 0, "{tokens} of {ROUNDS} came before");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn no_watch_over_http_delivers_once_the_reload_that_took_the_right_away_is_done() {
    let (tokens, late) = race(WATCH, |_| true).await;
    assert_eq!(late, 0, "{tokens} of {ROUNDS} came before");
}
