//! Reloads between a request and its answer.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use super::*;
use tokend_peer::testing::Overheard;

/// So often a reload races with answers; where there are many at once, with as many answers in all.
const ROUNDS: usize = 10_000;

/// A pipe that counts how often a token is written once the right to it is gone. Its other end stays.
fn watched(pipe: DuplexStream, gone: &Arc<AtomicBool>, late: &Arc<AtomicUsize>) -> Overheard {
    let (gone, late) = (Arc::clone(gone), Arc::clone(late));
    Overheard::new(pipe, &Arc::default(), move |bytes| {
        if gone.load(SeqCst) && bytes.windows(12).any(|part| part == b"secret-token") {
            late.fetch_add(1, SeqCst);
        }
    })
}

/// A configuration in which user 20 has a right to the token, or not.
fn snapshot(site: &Site, held: Option<IssuedToken>) -> Arc<crate::broker::registry::Snapshot> {
    let snapshot = Arc::clone(&crate::testing::registry(&site.config()).snapshot());
    if let Some(held) = held {
        snapshot.served(&name("ads")).unwrap().cell.publish(held);
    }
    snapshot
}

fn account(user: u32) -> Site {
    Site::new(&format!(
        "[account.ads]\nprovider = \"oauth2\"\nbase_url = \"http://127.0.0.1:1\"\nusername = \"u\"\nclient_id = \"c\"\nallow = [{{ user = {user} }}]\n"
    ))
}

/// Takes the right away again and again while `count` requests are under way; returns how many answers were tokens.
async fn race(rounds: usize, count: u64, held: bool) -> (usize, usize) {
    let (with, without) = (account(20), account(21));
    let (requests, mut driver) = requests(&with, &Clock::system(), 64);
    let (gone, late) = (Arc::<AtomicBool>::default(), Arc::default());
    let without = snapshot(&without, None);
    let mut tokens = 0;
    for _ in 0..rounds {
        gone.store(false, SeqCst);
        let now = requests.clock.steady();
        let served = held.then(|| token("secret-token", 1, now));
        requests.registry.replace(snapshot(&with, served));
        let (client, pipe) = duplex(1 << 20);
        let watched = watched(pipe, &gone, &late);
        let serving = tokio::spawn(serve(watched, (peer(20), 0), Arc::clone(&requests), BOUNDS));
        let mut sent = bytes(0, Request::hello("racer"));
        for id in 1..=count {
            sent.extend(bytes(id, get("ads")));
        }
        let (mut reader, mut writer) = tokio::io::split(client);
        writer.write_all(&sent).await.unwrap();
        let reply = match held {
            true => None,
            false => match driver.recv().await {
                Some(Message::Wanted { reply, .. }) => Some(reply),
                other => panic!("{other:?}"),
            },
        };
        let (next, taken, registry) = (
            Arc::clone(&without),
            Arc::clone(&gone),
            Arc::clone(&requests.registry),
        );
        let reload = tokio::task::spawn_blocking(move || {
            registry.replace(next);
            taken.store(true, SeqCst);
        });
        if let Some(reply) = reply {
            let token = Arc::new(token("secret-token", 2, now));
            reply.send(DriverAnswer::Token(token)).unwrap();
        }
        let mut received = FrameBuffer::new();
        let mut answers = 0;
        while answers <= count {
            if let Some(payload) = received.next_frame().unwrap() {
                let response = decode_server(payload).unwrap().response;
                tokens += usize::from(matches!(response, Response::Token(_)));
                answers += 1;
                continue;
            }
            let read = reader.read(received.spare()).await.unwrap();
            assert!(read > 0, "the daemon hung up");
            received.filled(read);
        }
        reload.await.unwrap();
        serving.abort();
    }
    (tokens, late.load(SeqCst))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn no_token_leaves_once_the_reload_that_took_the_right_away_is_done() {
    let (waited, late) = race(ROUNDS, 1, false).await;
    assert_eq!(late, 0, "{waited} of {ROUNDS} came before");
    let (held, late) = race(ROUNDS / 40, 40, true).await;
    assert_eq!(late, 0, "{held} of {ROUNDS} came before");
}
