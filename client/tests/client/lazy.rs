//! Clients that are made before the daemon: they wait for it, also while it is restarted, but never longer than they may.

use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;
use tokend_client::{
    BlockingClient, Client, ClientError, Deadlines, FaultCode, GetOptions, Patience, SocketPath,
};
use tokend_proto::{Fault, Request, Response};

use crate::fake::{Act, FakeDaemon, name, secret, token};

/// A place where a daemon comes up when a client has already looked there.
struct Later {
    folder: TempDir,
    daemon: FakeDaemon,
}

impl Later {
    fn new(daemon: FakeDaemon) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder, daemon }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("later.sock")
    }

    fn socket(&self) -> Option<SocketPath> {
        Some(self.path().into())
    }

    fn comes_up(&self) {
        symlink(self.daemon.socket(), self.path()).unwrap();
    }
}

fn ads() -> GetOptions {
    GetOptions::new(name("ads"))
}

fn brief() -> GetOptions {
    ads().timeout(Duration::from_millis(250))
}

/// A daemon that stops during the first request and is there again for the next.
fn restarted() -> FakeDaemon {
    let stopping = || Fault::new(FaultCode::Draining, "the daemon is stopping");
    FakeDaemon::start(move |number, _| match number {
        0 => Act::ReplyAndClose(Response::Fault(stopping())),
        1 => Act::Close,
        _ => Act::Reply(Response::Token(token("t"))),
    })
}

#[test]
fn a_lazy_blocking_client_waits_for_a_daemon() {
    let later = Later::new(FakeDaemon::answering(Response::Token(token("t"))));
    let mut client = BlockingClient::lazy_with(later.socket(), Deadlines::default());
    assert!(matches!(
        client.get(&brief()),
        Err(ClientError::NotReachable { .. })
    ));
    thread::scope(|threads| {
        let waiting = threads.spawn(|| client.token("ads"));
        later.comes_up();
        assert_eq!(waiting.join().unwrap().unwrap(), token("t").into());
    });
}

#[tokio::test]
async fn a_lazy_client_waits_for_a_daemon() {
    let later = Later::new(FakeDaemon::answering(Response::Token(token("t"))));
    let client = Client::lazy_with(later.socket(), Deadlines::default());
    assert!(matches!(
        client.get(&brief()).await,
        Err(ClientError::NotReachable { .. })
    ));
    let waiting = tokio::spawn(async move { client.token("ads").await });
    later.comes_up();
    assert_eq!(waiting.await.unwrap().unwrap(), token("t").into());
}

#[test]
fn a_lazy_blocking_client_waits_for_a_restart() {
    let daemon = restarted();
    let socket = Some(daemon.socket().into());
    let mut client = BlockingClient::lazy_with(socket, Deadlines::default());
    assert_eq!(client.token("ads").unwrap(), token("t").into());
    assert_eq!(daemon.seen().len(), 3);
}

#[tokio::test]
async fn a_lazy_client_waits_for_a_restart() {
    let daemon = restarted();
    let client = Client::lazy_with(Some(daemon.socket().into()), Deadlines::default());
    assert_eq!(client.token("ads").await.unwrap(), token("t").into());
    assert_eq!(daemon.seen().len(), 3);
}

/// What any other client is told, a lazy one is told after its wait.
#[tokio::test]
async fn a_client_that_was_connected_is_told_of_a_stop_at_once() {
    let daemon = restarted();
    let client = Client::connect(&daemon.socket().into()).await.unwrap();
    let error = client.token("ads").await.unwrap_err();
    assert!(
        matches!(&error, ClientError::Fault(fault) if fault.code == FaultCode::Draining),
        "{error}"
    );
}

/// A rejection may have been processed, so that it is not made again.
#[tokio::test]
async fn what_must_not_be_made_twice_is_not_made_twice_by_a_lazy_client() {
    let count = AtomicUsize::new(0);
    let daemon = FakeDaemon::start(move |_, request| {
        assert!(matches!(request, Request::Reject { .. }));
        count.fetch_add(1, Ordering::SeqCst);
        Act::Close
    });
    let socket = || Some(daemon.socket().into());
    let client = Client::lazy_with(socket(), Deadlines::default());
    let patience = Patience::default();
    let answered = client.reject(&name("ads"), secret("t"), patience).await;
    assert!(matches!(answered, Err(ClientError::Lost { .. })));
    let mut client = BlockingClient::lazy_with(socket(), Deadlines::default());
    let answered = client.reject(&name("ads"), secret("t"), patience);
    assert!(matches!(answered, Err(ClientError::Lost { .. })));
    assert_eq!(daemon.seen().len(), 2, "once each");
}

/// No start of a daemon would help here; the test's own patience would be over after 30 seconds.
#[tokio::test]
async fn what_does_not_pass_with_a_start_is_told_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    std::fs::write(&path, "").unwrap();
    let long = ads().timeout(Duration::from_secs(3600));
    let client = Client::lazy_with(Some(path.clone().into()), Deadlines::default());
    assert!(matches!(
        client.get(&long).await,
        Err(ClientError::NotReachable { .. })
    ));
    let mut client = BlockingClient::lazy_with(Some(path.into()), Deadlines::default());
    assert!(matches!(
        client.get(&long),
        Err(ClientError::NotReachable { .. })
    ));
    let error = client.token("not a name").unwrap_err();
    assert!(matches!(error, ClientError::Name(_)), "{error}");
    assert!(error.advice().is_some());
}
