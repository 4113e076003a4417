//! A provider of bytes: accepts connections and does with each what a test says, far below what HTTP allows.
//!
//! Counts requests and the bytes it could write. It is the only server that the tests write by hand; for everything that is not about
//! bytes they use the provider simulator. Must never outlive its test: dropping it closes the port.

use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use rustix::net::{AddressFamily, SocketType, bind, getsockname, listen, socket};

/// What a test does with one connection.
type Play = dyn Fn(&mut Talk) + Send + Sync;

/// A port that behaves as a test says.
pub struct Raw {
    address: SocketAddr,
    counts: Arc<Counts>,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Counts {
    requests: AtomicUsize,
    written: AtomicU64,
    closed: AtomicBool,
}

/// One connection, from the provider's side.
pub struct Talk {
    /// The connection itself.
    pub stream: TcpStream,
    counts: Arc<Counts>,
}

impl Raw {
    /// Listens on a free port of loopback.
    pub fn start(play: impl Fn(&mut Talk) + Send + Sync + 'static) -> Self {
        Self::on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap(), play)
    }

    /// Accepts connections on a port that is already listened on, for example one that the test chose.
    pub fn on(listener: TcpListener, play: impl Fn(&mut Talk) + Send + Sync + 'static) -> Self {
        let address = listener.local_addr().unwrap();
        let counts = Arc::new(Counts::default());
        let (play, shared): (Arc<Play>, _) = (Arc::new(play), Arc::clone(&counts));
        let accepting = std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if shared.closed.load(Ordering::SeqCst) {
                    return;
                }
                let (play, counts) = (Arc::clone(&play), Arc::clone(&shared));
                std::thread::spawn(move || play(&mut Talk { stream, counts }));
            }
        });
        Self {
            address,
            counts,
            accepting: Some(accepting),
        }
    }

    /// Answers every request with these bytes and hangs up.
    pub fn saying(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Self::start(move |talk| {
            talk.request();
            talk.say(&bytes);
            talk.hang_up();
        })
    }

    /// Answers every request with this status, these header lines and this body.
    pub fn answering(status: &str, headers: &str, body: impl AsRef<[u8]>) -> Self {
        Self::saying(reply(status, headers, body.as_ref()))
    }

    /// Its base URL.
    pub fn http(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its base URL for TLS.
    pub fn https(&self) -> String {
        format!("https://localhost:{}", self.address.port())
    }

    /// How many requests have arrived in whole.
    pub fn requests(&self) -> usize {
        self.counts.requests.load(Ordering::SeqCst)
    }

    /// How many bytes the other side, or the system on its behalf, has accepted.
    pub fn written(&self) -> u64 {
        self.counts.written.load(Ordering::SeqCst)
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        self.counts.closed.store(true, Ordering::SeqCst);
        // Wakes the accepting thread, so that it sees the end.
        drop(TcpStream::connect(self.address));
        if let Some(accepting) = self.accepting.take() {
            drop(accepting.join());
        }
    }
}

impl Talk {
    /// Reads one request to its end and returns it as text; if the connection ends earlier, what had arrived.
    pub fn request(&mut self) -> String {
        let mut seen = Vec::new();
        let mut piece = [0; 4096];
        while let Ok(count @ 1..) = self.stream.read(&mut piece) {
            seen.extend(piece.iter().take(count));
            if whole(&seen) {
                self.count();
                break;
            }
        }
        String::from_utf8_lossy(&seen).into_owned()
    }

    /// Counts a request.
    pub fn count(&self) {
        self.counts.requests.fetch_add(1, Ordering::SeqCst);
    }

    /// Writes, and returns whether the other side still reads.
    pub fn say(&mut self, bytes: &[u8]) -> bool {
        let said = self.stream.write_all(bytes).is_ok();
        if said {
            let count = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            self.counts.written.fetch_add(count, Ordering::SeqCst);
        }
        said
    }

    /// Sends the same bytes again and again until the other side stops reading.
    pub fn say_forever(&mut self, bytes: &[u8]) {
        while self.say(bytes) {}
    }

    /// Sends one byte at a time, with a pause in between, again and again until the other side stops reading.
    pub fn trickle(&mut self, bytes: &[u8]) {
        let mut bytes = bytes.iter().cycle();
        while bytes.next().is_some_and(|byte| self.say(&[*byte])) {
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }

    /// Stays silent until the other side goes away.
    pub fn stay(&mut self) {
        let mut piece = [0; 4096];
        while let Ok(1..) = self.stream.read(&mut piece) {}
    }

    /// Sends nothing more, and stays until the other side goes away.
    pub fn hang_up(&mut self) {
        drop(self.stream.shutdown(Shutdown::Write));
        self.stay();
    }

    /// Ends with RST instead of FIN.
    pub fn reset(&mut self) {
        rustix::net::sockopt::set_socket_linger(&self.stream, Some(Duration::ZERO)).unwrap();
    }
}

/// An HTTP/1.1 answer.
pub fn reply(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

fn whole(seen: &[u8]) -> bool {
    let text = String::from_utf8_lossy(seen).to_ascii_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"))
        .map_or(0, |length| length.trim().parse().unwrap());
    body.len() >= length
}

/// A port whose queue of connections is full, so that new connections wait.
pub struct FullBacklog {
    address: SocketAddr,
    _listener: std::os::fd::OwnedFd,
    _fillers: Vec<std::os::fd::OwnedFd>,
}

impl FullBacklog {
    /// Listens on a free port of loopback, and fills its queue.
    pub fn start() -> Self {
        let listener = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        bind(&listener, &SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        listen(&listener, 0).unwrap();
        let address = SocketAddr::try_from(getsockname(&listener).unwrap()).unwrap();
        // The queue holds one connection more than requested; the rest stay half-open.
        let fillers = (0..8).map(|_| {
            let filler = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
            rustix::io::ioctl_fionbio(&filler, true).unwrap();
            let _pending = rustix::net::connect(&filler, &address);
            filler
        });
        Self {
            address,
            _fillers: fillers.collect(),
            _listener: listener,
        }
    }

    /// Its base URL.
    pub fn http(&self) -> String {
        format!("http://{}", self.address)
    }
}
