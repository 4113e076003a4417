//! What tests of those who go through a relay share: a relay, and a provider of a few lines.

mod provider;

use std::future::pending;
use std::net::SocketAddr;
use std::path::Path;

use tokend_process::listen::SocketOrigin;
use tokio::net::{TcpListener, UnixListener};

use crate::Relay;
use crate::listening::{Listening, Users};
use crate::places::Bounds;

pub use self::provider::{Act, Provider, grant, raw, reply};

/// A relay on a loopback address, with room for this many, until the test ends.
///
/// # Panics
/// When there is no port.
#[expect(clippy::expect_used, reason = "for tests")]
pub async fn start(room: usize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    serve_in_test(Listening::Tcp(listener), room);
    address
}

/// The same on a Unix socket, for the user of the test.
///
/// # Panics
/// When there can be no socket.
#[expect(clippy::expect_used, reason = "for tests")]
pub fn start_at(path: &Path, room: usize) {
    let listener = UnixListener::bind(path).expect("a socket");
    let users = Users::of(&[]).expect("no names");
    serve_in_test(
        Listening::Unix(listener, SocketOrigin::Inherited, users),
        room,
    );
}

fn serve_in_test(listening: Listening, room: usize) {
    let bounds = Bounds {
        all: room,
        each: room,
    };
    drop(tokio::spawn(async move {
        Relay::new(bounds).serve(&listening, pending()).await
    }));
}
