//! An API on a real socket: it counts requests, and answers each as a script says.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;

use rcgen::{CertifiedIssuer, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tempfile::TempDir;

/// How much of a body is kept for looking at.
const KEPT: usize = 64 * 1024;

/// A request as it came.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    /// The first line and the headers, in lower case but for the first line and values.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    pub(crate) length: u64,
}

impl Seen {
    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().skip(1);
        lines.find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub(crate) fn has_token(&self, token: &str) -> bool {
        self.header("authorization") == Some(&format!("Bearer {token}"))
    }
}

/// One connection, of which the head of a request was read.
pub(crate) struct Conversation<'c> {
    pub(crate) seen: Seen,
    stream: &'c mut dyn Stream,
    /// What was read behind the head.
    rest: Vec<u8>,
    /// At the end, what the client still sends is answered with a reset.
    resets: bool,
}

pub(crate) trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

type Script = dyn Fn(&mut Conversation<'_>) -> io::Result<()> + Send + Sync;

pub(crate) struct Api {
    port: u16,
    scheme: &'static str,
    folder: TempDir,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Api {
    pub(crate) fn start(
        script: impl Fn(&mut Conversation<'_>) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self::listen(None, Arc::new(script))
    }

    /// With a certificate for 127.0.0.1 of an authority that only [`authority`](Self::authority) names.
    pub(crate) fn encrypted(
        script: impl Fn(&mut Conversation<'_>) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let mut params = rcgen::CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let issuer = CertifiedIssuer::self_signed(params, key).unwrap();
        let key = KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &issuer).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        let api = Self::listen(Some(Arc::new(config)), Arc::new(script));
        std::fs::write(api.authority(), issuer.pem()).unwrap();
        api
    }

    fn listen(tls: Option<Arc<ServerConfig>>, script: Arc<Script>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let api = Self {
            port: listener.local_addr().unwrap().port(),
            scheme: if tls.is_some() { "https" } else { "http" },
            folder: tempfile::tempdir().unwrap(),
            seen: Arc::default(),
        };
        let seen = Arc::clone(&api.seen);
        // Ends with the test's process.
        drop(thread::spawn(move || {
            for stream in listener.incoming() {
                let (tls, script, seen) = (tls.clone(), Arc::clone(&script), Arc::clone(&seen));
                drop(thread::spawn(move || {
                    let tcp = stream.unwrap();
                    // A client that goes away is part of many tests.
                    let done = match tls {
                        None => converse(&mut &tcp, &seen, &*script),
                        Some(config) => {
                            let mut stream =
                                StreamOwned::new(ServerConnection::new(config).unwrap(), &tcp);
                            let done = converse(&mut stream, &seen, &*script);
                            stream.conn.send_close_notify();
                            stream.flush().and(done)
                        }
                    };
                    match done {
                        Ok(true) => drop(tcp),
                        _ => close(&tcp),
                    }
                }));
            }
        }));
        api
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}://127.0.0.1:{}{path}", self.scheme, self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The file with the authority of its certificate.
    pub(crate) fn authority(&self) -> PathBuf {
        self.folder.path().join("authority.pem")
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

/// Without a reset for what was not read: it would take the answer away from the client.
fn close(mut tcp: &TcpStream) {
    drop(tcp.shutdown(Shutdown::Write));
    drop(io::copy(&mut tcp, &mut io::sink()));
}

/// Whether the connection ends with a reset.
fn converse(stream: &mut dyn Stream, all: &Mutex<Vec<Seen>>, script: &Script) -> io::Result<bool> {
    let mut head = Vec::new();
    let mut piece = [0; 4096];
    let end = loop {
        if let Some(end) = head.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        match stream.read(&mut piece)? {
            0 => return Ok(false),
            count => head.extend_from_slice(&piece[..count]),
        }
    };
    let rest = head.split_off(end);
    let seen = Seen {
        head: String::from_utf8(head).unwrap(),
        ..Seen::default()
    };
    let at = {
        let mut all = all.lock().unwrap();
        all.push(seen.clone());
        all.len() - 1
    };
    let mut conversation = Conversation {
        seen,
        stream,
        rest,
        resets: false,
    };
    let done = script(&mut conversation);
    all.lock().unwrap()[at] = conversation.seen;
    done.map(|()| conversation.resets)
}

impl Conversation<'_> {
    /// Reads the whole body, and keeps its beginning.
    pub(crate) fn read_body(&mut self) -> io::Result<()> {
        if self.seen.header("expect").is_some() {
            self.stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        let length: Option<u64> = self
            .seen
            .header("content-length")
            .map(|length| length.parse().unwrap());
        let is_chunked = self.seen.header("transfer-encoding") == Some("chunked");
        match (length, is_chunked) {
            (Some(length), _) => self.take(length),
            (None, true) => loop {
                let line = self.line()?;
                let size = u64::from_str_radix(line.trim(), 16).unwrap();
                self.take(size)?;
                self.line()?;
                if size == 0 {
                    return Ok(());
                }
            },
            (None, false) => Ok(()),
        }
    }

    fn read(&mut self, piece: &mut [u8]) -> io::Result<usize> {
        if self.rest.is_empty() {
            return self.stream.read(piece);
        }
        let count = piece.len().min(self.rest.len());
        piece[..count].copy_from_slice(&self.rest[..count]);
        self.rest.drain(..count);
        Ok(count)
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        let mut byte = [0];
        while !line.ends_with('\n') {
            if self.read(&mut byte)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            line.push(char::from(byte[0]));
        }
        Ok(line)
    }

    /// Ends the connection while the client still sends.
    pub(crate) fn reset(&mut self) {
        self.resets = true;
    }

    pub(crate) fn take(&mut self, mut left: u64) -> io::Result<()> {
        let mut piece = vec![0; 64 * 1024];
        while left > 0 {
            let most = piece.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let count = self.read(&mut piece[..most])?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            left -= count as u64;
            self.seen.length += count as u64;
            let room = KEPT.saturating_sub(self.seen.body.len());
            self.seen.body.extend_from_slice(&piece[..count.min(room)]);
        }
        Ok(())
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)?;
        self.stream.flush()
    }

    /// Answers as a whole.
    pub(crate) fn answer(&mut self, status: &str, body: &str) -> io::Result<()> {
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        self.send(format!("{head}{body}").as_bytes())
    }

    /// Waits until the client has gone away.
    pub(crate) fn wait_for_the_end(&mut self) -> io::Result<()> {
        io::copy(&mut self.stream, &mut io::sink()).map(|_| ())
    }
}
