//! A user who asks an outlet in vain without end, with a new connection for each request: shown in one way, for each protocol of bytes.

use std::sync::Arc;
use std::time::Duration;

use tokend_policy::Peer;
use tokend_process::clock::Clock;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::time::sleep;

use crate::broker::budget::testing::{LONGEST, use_up};
use crate::requests::Requests;
use crate::server::connection::Ended;
use crate::testing::{name, peer, token};

/// The connection, its peer, and what answers.
type Served = (DuplexStream, (Peer, u64), Arc<Requests>);

/// What is answered on a connection of its own, and after which time.
pub(super) async fn asked<F>(
    serve: impl Fn(Served) -> F,
    requests: &Arc<Requests>,
    user: u32,
    request: &str,
) -> (String, Duration)
where
    F: Future<Output = Ended> + Send + 'static,
{
    let now = || sleep(Duration::ZERO).deadline();
    let began = now();
    let (mut client, pipe) = duplex(1 << 16);
    let serving = tokio::spawn(serve((pipe, (peer(user), 0), Arc::clone(requests))));
    client.write_all(request.as_bytes()).await.unwrap();
    let mut said = String::new();
    client.read_to_string(&mut said).await.unwrap();
    drop(client);
    assert!(matches!(serving.await.unwrap(), Ended::Closed));
    (said, now() - began)
}

/// Shows that user 20, who alone may have the token of `ads`, waits for what it asks in vain and not for its `own` token, and that others do
/// not wait. Time is paused.
pub(super) async fn is_put_off<F>(
    serve: impl Fn(Served) -> F,
    requests: &Arc<Requests>,
    clock: &Clock,
    vain: &[String],
    own: &str,
) where
    F: Future<Output = Ended> + Send + 'static,
{
    let snapshot = requests.registry.snapshot();
    let served = snapshot.served(&name("ads")).unwrap();
    (served.cell).publish(token("secret-token", 1, clock.steady()));
    for (uid, vain) in (30..).zip(vain) {
        assert_eq!(use_up(&requests.budgets, clock, uid), None);
        let (said, took) = asked(&serve, requests, uid, vain).await;
        assert_eq!(took, Duration::ZERO, "{said}");
        let owed = requests.budgets.owed(clock.boot_ms(), uid);
        assert!(owed.is_some(), "it cost nothing: {vain}");
    }
    let most = || requests.budgets.spend(clock.boot_ms(), 20, u64::MAX / 2);
    for vain in vain {
        most();
        let (said, took) = asked(&serve, requests, 20, vain).await;
        assert!(!said.contains("secret-token"), "{said}");
        assert!(took >= LONGEST, "{vain}: {took:?}");
    }
    most();
    let (said, took) = asked(&serve, requests, 20, own).await;
    assert!(said.contains("secret-token"), "{said}");
    assert_eq!(took, Duration::ZERO, "what is held is not held back");
    let (_, took) = asked(&serve, requests, 21, vain.first().unwrap()).await;
    assert_eq!(took, Duration::ZERO, "another user");
}
