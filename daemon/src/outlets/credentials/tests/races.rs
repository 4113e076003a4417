//! Units that load a credential while a reload takes their right away.

use std::sync::atomic::AtomicUsize;

use super::*;
use crate::broker::registry::Snapshot;
use crate::testing::registry;

const ROUNDS: usize = 10_000;

fn snapshot(site: &Site) -> Arc<Snapshot> {
    Arc::clone(&registry(&site.config()).snapshot())
}

/// Takes the right away again and again while a unit loads its credential: of a token that is held, and of one that is waited for. Returns
/// how many units got it, and how many of them when the reload was over.
async fn race() -> (usize, usize) {
    let mut stage = Stage::new();
    let (held, waited) = (snapshot(&stage.site), snapshot(&stage.site));
    let without = snapshot(&site(|rule| rule.replace("demo.service", "nobody.service")));
    let now = stage.requests.clock.steady();
    let served = held.served(&name("ads")).unwrap();
    served.cell.publish(token("secret-token", 1, now));
    let (gone, late) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
    let mut got = 0;
    for round in 0..ROUNDS {
        gone.store(false, SeqCst);
        let is_held = round % 2 == 0;
        let before = if is_held { &held } else { &waited };
        stage.requests.registry.replace(Arc::clone(before));
        let (client, pipe) = duplex(1 << 16);
        let (taken, counted) = (Arc::clone(&gone), Arc::clone(&late));
        let pipe = Overheard::new(pipe, &Arc::default(), move |bytes| {
            if taken.load(SeqCst) && bytes.starts_with(b"secret-token") {
                counted.fetch_add(1, SeqCst);
            }
        });
        let serving = stage.serve(pipe, systemd(), "demo.service/ads");
        let reply = match is_held {
            true => None,
            false => Some(stage.asked().await.1),
        };
        let (registry, next) = (Arc::clone(&stage.requests.registry), Arc::clone(&without));
        let taken = Arc::clone(&gone);
        let reload = tokio::task::spawn_blocking(move || {
            registry.replace(next);
            taken.store(true, SeqCst);
        });
        if let Some(reply) = reply {
            let token = Arc::new(token("secret-token", 2, now));
            reply.send(DriverAnswer::Token(token)).unwrap();
        }
        let loaded = loaded(client).await;
        let is_token = loaded == content("secret-token");
        assert!(is_token || loaded == Loaded::Refused, "{loaded:?}");
        got += usize::from(is_token);
        reload.await.unwrap();
        soon(serving).await.unwrap();
    }
    (got, late.load(SeqCst))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn no_credential_leaves_once_the_reload_that_took_the_right_away_is_done() {
    let (got, late) = race().await;
    assert_eq!(late, 0, "{got} of {ROUNDS} came before");
}
