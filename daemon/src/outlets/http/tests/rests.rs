//! A user who asks in vain without end, with a new connection for each request.

use tokend_process::clock::testing::FakeClock;
use tokio::time::Instant;

use super::*;
use crate::broker::budget::testing::{LONGEST, use_up};

const OWN: &str = "accounts/ads/token";
const VAIN: [&str; 5] = [
    "accounts/nope/token",
    "accounts/%20/token",
    "accounts/ads/token?min_validity=x",
    "nothing",
    "whoami",
];

fn now() -> Instant {
    sleep(Duration::ZERO).deadline()
}

/// What is answered on a connection of its own, and after which time.
async fn asked(requests: &Arc<Requests>, user: u32, path: &str) -> (String, Duration) {
    let began = now();
    let (mut client, pipe) = duplex(1 << 16);
    let serving = tokio::spawn(serve(pipe, (peer(user), 0), Arc::clone(requests), BOUNDS));
    let request =
        format!("GET /v1/{path} HTTP/1.1\r\nhost: t\r\nx-tokend: 1\r\nconnection: close\r\n\r\n");
    client.write_all(request.as_bytes()).await.unwrap();
    let mut said = String::new();
    client.read_to_string(&mut said).await.unwrap();
    drop(client);
    assert!(matches!(serving.await.unwrap(), Ended::Closed));
    (said, now() - began)
}

#[tokio::test(start_paused = true)]
async fn whoever_asks_over_http_in_vain_waits_on_new_connections_too_and_nobody_else_does() {
    let (clock, _hands) = FakeClock::start(1_000_000, 1_000, "boot");
    let site = Site::new(&config(20));
    let (requests, _driver) = requests(&site, &clock, 64);
    let snapshot = requests.registry.snapshot();
    let served = snapshot.served(&name("ads")).unwrap();
    (served.cell).publish(token("secret-token", 1, clock.steady()));
    for (uid, vain) in (30..).zip(VAIN) {
        assert_eq!(use_up(&requests.budgets, &clock, uid), None);
        let (said, took) = asked(&requests, uid, vain).await;
        assert_eq!(took, Duration::ZERO, "{said}");
        let owed = requests.budgets.owed(clock.boot_ms(), uid);
        assert!(owed.is_some(), "it cost nothing: {vain}");
    }
    let most = || requests.budgets.spend(clock.boot_ms(), 20, u64::MAX / 2);
    for vain in VAIN {
        most();
        let (said, took) = asked(&requests, 20, vain).await;
        assert!(!said.contains("secret-token"), "{said}");
        assert!(took >= LONGEST, "{vain}: {took:?}");
    }
    most();
    let (said, took) = asked(&requests, 20, OWN).await;
    assert!(said.contains("secret-token"), "{said}");
    assert_eq!(took, Duration::ZERO, "what is held is not held back");
    let (_, took) = asked(&requests, 21, VAIN[0]).await;
    assert_eq!(took, Duration::ZERO, "another user");
}
