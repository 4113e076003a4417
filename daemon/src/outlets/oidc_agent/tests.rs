//! Conversations over a pipe that race with reloads; the driver is the test.

mod rests;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use tokend_peer::testing::Overheard;
use tokend_process::clock::Clock;
use tokio::io::duplex;

use super::*;
use crate::broker::inbox::{DriverAnswer, Message};
use crate::broker::registry::Snapshot;
use crate::testing::{Site, name, peer, registry, requests, token};

const ROUNDS: usize = 10_000;
const BOUNDS: Bounds = Bounds {
    pending: 4,
    idle: Duration::from_secs(300),
    frame: Duration::from_secs(60),
};

/// A configuration in which this user has a right to the token.
fn site(user: u32) -> Site {
    Site::new(&format!(
        "[account.ads]\nprovider = \"oauth2\"\nbase_url = \"http://127.0.0.1:1\"\nusername = \"u\"\nclient_id = \"c\"\nallow = [{{ user = {user} }}]\n"
    ))
}

fn snapshot(site: &Site) -> Arc<Snapshot> {
    Arc::clone(&registry(&site.config()).snapshot())
}

/// Takes the right away again and again while a request is under way, of a token that is held and of one that is waited for. Returns how many
/// tokens came, and how many of them when the reload was over.
async fn race(request: &str) -> (usize, usize) {
    let with = site(20);
    let (held, waited, without) = (snapshot(&with), snapshot(&with), snapshot(&site(21)));
    let (requests, mut driver) = requests(&with, &Clock::system(), 64);
    let now = requests.clock.steady();
    let served = held.served(&name("ads")).unwrap();
    served.cell.publish(token("secret-token", 1, now));
    let (gone, late) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
    let mut tokens = 0;
    for round in 0..ROUNDS {
        gone.store(false, SeqCst);
        let is_held = round % 2 == 0;
        let before = if is_held { &held } else { &waited };
        requests.registry.replace(Arc::clone(before));
        let (mut client, pipe) = duplex(1 << 16);
        let (taken, counted) = (Arc::clone(&gone), Arc::clone(&late));
        let pipe = Overheard::new(pipe, &Arc::default(), move |bytes| {
            if taken.load(SeqCst) && bytes.windows(12).any(|part| part == b"secret-token") {
                counted.fetch_add(1, SeqCst);
            }
        });
        let serving = tokio::spawn(serve(pipe, (peer(20), 0), Arc::clone(&requests), BOUNDS));
        client.write_all(request.as_bytes()).await.unwrap();
        let reply = match is_held {
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
        if let Some(reply) = reply {
            let token = Arc::new(token("secret-token", 2, now));
            reply.send(DriverAnswer::Token(token)).unwrap();
        }
        let mut said = String::new();
        client.read_to_string(&mut said).await.unwrap();
        let is_token = said.contains("secret-token");
        assert!(is_token || said.contains("failure"), "{said}");
        tokens += usize::from(is_token);
        drop(client);
        reload.await.unwrap();
        assert!(matches!(serving.await.unwrap(), Ended::Closed));
    }
    (tokens, late.load(SeqCst))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn no_client_of_oidc_agent_gets_a_token_once_the_reload_that_took_the_right_away_is_done() {
    let (tokens, late) = race(r#"{"request":"access_token","account":"ads"}"#).await;
    assert_eq!(late, 0, "{tokens} of {ROUNDS} came before");
    let (tokens, late) = race(r#"{"request":"access_token","issuer":"http://127.0.0.1:1/"}"#).await;
    assert_eq!(late, 0, "{tokens} of {ROUNDS} came before");
}
