//! A relay between a broker and a third-party server, which notes requests and can be cut.
//!
//! Passes bytes on unchanged, so that the broker sees exactly what the server writes, and reads along. It must never keep a body, because
//! bodies carry credentials.

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
};

/// A request as seen on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Method and path with query.
    pub request: String,
    /// Status of the answer, once there is one.
    pub status: Option<u16>,
}

/// A running relay; its threads end with the process.
#[derive(Debug)]
pub struct Tap {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Tap {
    /// Relays a free port to `server`.
    ///
    /// # Errors
    /// When there is no free port.
    pub fn on(server: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let seen = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&seen);
        thread::Builder::new()
            .name("tap".to_owned())
            .spawn(move || {
                for stream in listener.incoming().flatten() {
                    // A server that is down appears as a connection that ends at once.
                    if let Ok(upstream) = TcpStream::connect(server) {
                        drop(relay(stream, upstream, &noted));
                    }
                }
            })?;
        Ok(Self { address, seen })
    }

    /// The address for the broker.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All requests, in order.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        lock(&self.seen).clone()
    }

    /// The number of requests that began with `request`, such as `POST /login`.
    #[must_use]
    pub fn count(&self, request: &str) -> usize {
        lock(&self.seen)
            .iter()
            .filter(|seen| seen.request.starts_with(request))
            .count()
    }
}

fn lock(seen: &Mutex<Vec<Seen>>) -> MutexGuard<'_, Vec<Seen>> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

fn relay(client: TcpStream, server: TcpStream, seen: &Arc<Mutex<Vec<Seen>>>) -> io::Result<()> {
    let (client_too, server_too) = (client.try_clone()?, server.try_clone()?);
    let requests = Arc::clone(seen);
    thread::Builder::new().spawn(move || {
        copy(client, server, |bytes| {
            let head = bytes
                .split(|byte| *byte == b'\r')
                .next()
                .unwrap_or_default();
            let head = String::from_utf8_lossy(head);
            if let Some(request) = head.strip_suffix(" HTTP/1.1") {
                lock(&requests).push(Seen {
                    request: request.to_owned(),
                    status: None,
                });
            }
        });
    })?;
    let answers = Arc::clone(seen);
    thread::Builder::new().spawn(move || {
        copy(server_too, client_too, |bytes| {
            let head = String::from_utf8_lossy(bytes.get(..12).unwrap_or_default());
            let status = head
                .strip_prefix("HTTP/1.1 ")
                .and_then(|status| status.parse().ok());
            if let (Some(status), Some(last)) = (status, lock(&answers).last_mut()) {
                last.status = Some(status);
            }
        });
    })?;
    Ok(())
}

/// Every header begins a write of its own: brokers send one request at a time, and servers answer in order.
fn copy(mut from: TcpStream, mut to: TcpStream, note: impl Fn(&[u8])) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        let bytes = buffer.get(..length).unwrap_or_default();
        note(bytes);
        if to.write_all(bytes).is_err() {
            break;
        }
    }
    // The other direction notices and ends as well.
    drop(to.shutdown(Shutdown::Both));
    drop(from.shutdown(Shutdown::Both));
}
