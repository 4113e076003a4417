//! Connections that systemd keeps, and the daemon after one that died; and what the kernel keeps of a refusal.

use std::io::Read as _;
use std::os::unix::net::UnixStream;

use rustix::event::{PollFd, PollFlags, poll};
use tokend_config::Limits;

use super::*;

#[tokio::test]
async fn only_a_unit_that_waits_is_kept_and_only_until_its_answer() {
    let mut stage = Stage::new();
    stage.hold("other.json", "held");
    let (manager, notes) = Manager::noting(None);
    let kept = |connection: &UnixStream| Kept {
        is_begun: is_begun(connection),
        handover: Handover::new(manager.clone(), connection.as_fd(), true),
    };
    // What is answered at once.
    for asked in ["demo.service/other.json", "demo.service/other"] {
        let (connection, _) = UnixStream::pair().unwrap();
        let (client, pipe) = duplex(1 << 16);
        let serving = stage.serve_kept(pipe, systemd(), asked, kept(&connection));
        loaded(client).await;
        soon(serving).await.unwrap();
        assert!(!is_begun(&connection));
    }
    assert_eq!(*notes.lock().unwrap(), [""; 0]);
    // The second is refused.
    for is_served in [true, false] {
        let (connection, _) = UnixStream::pair().unwrap();
        let (client, pipe) = duplex(1 << 16);
        let kept = kept(&connection);
        let serving = stage.serve_kept(pipe, systemd(), "demo.service/ads", kept);
        let (_, reply) = stage.asked().await;
        soon(async {
            while notes.lock().unwrap().is_empty() {
                tokio::task::yield_now().await;
            }
        })
        .await;
        assert!(!is_begun(&connection));
        if is_served {
            let token = token("secret-token", 2, stage.requests.clock.steady());
            reply.send(DriverAnswer::Token(Arc::new(token))).unwrap();
            assert_eq!(loaded(client).await, content("secret-token"));
        } else {
            drop(reply);
            assert_eq!(loaded(client).await, Loaded::Refused);
        }
        soon(serving).await.unwrap();
        assert!(is_begun(&connection));
        let notes = std::mem::take(&mut *notes.lock().unwrap());
        let [kept, no_longer] = notes.as_slice() else {
            panic!("{notes:?}");
        };
        assert!(kept.starts_with("FDSTORE=1\n"), "{kept}");
        assert!(no_longer.starts_with("FDSTOREREMOVE=1\n"), "{no_longer}");
    }
}

#[tokio::test]
async fn a_token_never_stands_behind_a_part_of_an_answer_of_a_daemon_that_died() {
    let stage = Stage::new();
    stage.hold("ads", "secret-token");
    let (client, mut pipe) = duplex(1 << 16);
    pipe.write_all(b"secret-to").await.unwrap();
    let kept = Kept {
        is_begun: true,
        handover: None,
    };
    let serving = stage.serve_kept(pipe, systemd(), "demo.service/ads", kept);
    let mut bytes = Vec::new();
    let most = u64::try_from(OVERFLOW).unwrap();
    soon(client.take(most).read_to_end(&mut bytes))
        .await
        .unwrap();
    assert_eq!(bytes.len(), OVERFLOW, "systemd refuses it");
    let (begun, rest) = bytes.split_at(9);
    assert_eq!(begun, b"secret-to");
    assert!(rest.iter().all(|byte| *byte == b' '));
    soon(serving).await.unwrap();
}

#[tokio::test]
async fn a_refusal_that_nobody_reads_takes_little_memory() {
    let stage = Stage::new();
    let limits = Limits {
        frame_timeout: Duration::from_millis(1),
        ..Limits::default()
    };
    let places = Places::new(Arc::clone(&stage.requests), limits);
    let (own, mut client) = UnixStream::pair().unwrap();
    own.set_nonblocking(true).unwrap();
    let own = super::super::UnixStream::try_from(OwnedFd::from(own)).unwrap();
    accept::welcome::<Credentials>(own.into(), &places, stage.shutdown.subscribe());
    let received = tokio::task::spawn_blocking(move || {
        // Until it hangs up.
        poll(&mut [PollFd::new(&client, PollFlags::empty())], None).unwrap();
        let mut received = Vec::new();
        client.read_to_end(&mut received).unwrap();
        received.len()
    });
    let received = soon(received).await.unwrap();
    assert!((1..=64 * 1024).contains(&received), "{received}");
}
