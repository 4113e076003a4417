//! A scripted daemon on a real socket: it speaks the protocol, or breaks it in a chosen way.
//!
//! Shared with the tests of tokenctl, which include this file by path.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test's daemon fails the test"
)]

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tempfile::TempDir;
use tokend_proto::{
    AccountName, ClientFrame, FrameBuffer, Id, MAGIC, Namespaces, Request, RequestId, Response,
    SecretText, ServerFrame, Token, VERSION, Whoami, decode_client, encode,
};

/// What the scripted daemon does with a request.
#[derive(Debug)]
pub(crate) enum Act {
    /// Answers it.
    Reply(Response),
    /// Answers it several times.
    Replies(Vec<Response>),
    /// The same, and closes.
    RepliesAndClose(Vec<Response>),
    /// Answers it with another id.
    ReplyAs(u64, Response),
    /// Sends these bytes instead of a frame.
    Raw(Vec<u8>),
    /// Sends half of the answer and closes.
    Half(Response),
    /// Answers it and closes.
    ReplyAndClose(Response),
    /// Closes without an answer.
    Close,
    /// Sends the answer one byte at a time, too slowly for any client to wait.
    Drops(Response),
    /// Sends nothing.
    Silence,
}

/// A daemon whose answers are a closure of the request and how many requests came before it.
pub(crate) struct FakeDaemon {
    folder: TempDir,
    seen: Arc<Mutex<Vec<Request>>>,
    connections: Arc<AtomicUsize>,
    open: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

type Greeting = dyn Fn() -> Act + Send + Sync;
type Script = dyn Fn(usize, &Request) -> Act + Send + Sync;

impl FakeDaemon {
    /// A daemon that greets politely and then follows the script.
    pub(crate) fn start(script: impl Fn(usize, &Request) -> Act + Send + Sync + 'static) -> Self {
        let welcome = || {
            Act::Reply(Response::Welcome {
                version: VERSION,
                daemon: "fake".into(),
            })
        };
        Self::greeting(welcome, script)
    }

    /// A daemon that treats a greeting otherwise.
    pub(crate) fn greeting(
        greeting: impl Fn() -> Act + Send + Sync + 'static,
        script: impl Fn(usize, &Request) -> Act + Send + Sync + 'static,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("tokend.sock")).unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let connections = Arc::new(AtomicUsize::new(0));
        let open = Arc::new(AtomicUsize::new(0));
        let stop = Arc::new(AtomicBool::new(false));
        let greeting: Arc<Greeting> = Arc::new(greeting);
        let script: Arc<Script> = Arc::new(script);
        let thread = thread::spawn({
            let (seen, connections, open, stop) = (
                Arc::clone(&seen),
                Arc::clone(&connections),
                Arc::clone(&open),
                Arc::clone(&stop),
            );
            move || {
                for stream in listener.incoming() {
                    if stop.load(Ordering::SeqCst) {
                        break;
                    }
                    connections.fetch_add(1, Ordering::SeqCst);
                    open.fetch_add(1, Ordering::SeqCst);
                    let (seen, greeting) = (Arc::clone(&seen), Arc::clone(&greeting));
                    let (script, open) = (Arc::clone(&script), Arc::clone(&open));
                    // Ends when the client goes away, and every test's clients do.
                    drop(thread::spawn(move || {
                        serve(stream.unwrap(), &seen, &*greeting, &*script);
                        open.fetch_sub(1, Ordering::SeqCst);
                    }));
                }
            }
        });
        Self {
            folder,
            seen,
            connections,
            open,
            stop,
            thread: Some(thread),
        }
    }

    /// A daemon that gives every request the same answer.
    pub(crate) fn answering(response: Response) -> Self {
        Self::start(move |_, _| Act::Reply(response.clone()))
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("tokend.sock")
    }

    /// The requests so far, greetings left out.
    pub(crate) fn seen(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }

    /// How many connections have not ended.
    #[allow(
        dead_code,
        clippy::allow_attributes,
        reason = "the tests of tokenctl do not ask for it"
    )]
    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for FakeDaemon {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        drop(UnixStream::connect(self.socket()));
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

pub(crate) fn name(text: &str) -> AccountName {
    text.parse().expect("a name in a test is valid")
}

pub(crate) fn secret(text: &str) -> SecretText {
    SecretText::new(text).expect("a secret in a test is short")
}

pub(crate) fn token(text: &str) -> Token {
    Token {
        access_token: secret(text),
        token_type: "Bearer".into(),
        expires_at_ms: Some(1_700_003_600_000),
        remaining_ms: Some(3_600_000),
        scope: None,
        grant: 1,
    }
}

fn serve(mut stream: UnixStream, seen: &Mutex<Vec<Request>>, greeting: &Greeting, script: &Script) {
    let mut received = FrameBuffer::new();
    loop {
        while let Some(payload) = received.next_frame().expect("a client sends frames") {
            let ClientFrame { id, request } =
                decode_client(payload).expect("a client sends requests");
            let act = match &request {
                Request::Hello { magic, .. } => {
                    assert_eq!(*magic, MAGIC);
                    greeting()
                }
                _ => {
                    let mut seen = seen.lock().unwrap();
                    seen.push(request.clone());
                    script(seen.len() - 1, &request)
                }
            };
            if !act.perform(&mut stream, id) {
                return;
            }
        }
        match stream.read(received.spare()) {
            Ok(0) | Err(_) => return,
            Ok(count) => received.filled(count),
        }
    }
}

impl Act {
    /// Whether the connection goes on.
    fn perform(self, stream: &mut UnixStream, id: RequestId) -> bool {
        let (bytes, goes_on) = match self {
            Self::Drops(response) => {
                // Ends when the client goes away.
                let gone = |byte: &u8| {
                    thread::park_timeout(Duration::from_millis(100));
                    stream.write_all(&[*byte]).is_err()
                };
                return !frame(id, response).iter().any(gone);
            }
            Self::Reply(response) => (frame(id, response), true),
            Self::Replies(responses) => (frames(id, responses), true),
            Self::RepliesAndClose(responses) => (frames(id, responses), false),
            Self::ReplyAs(id, response) => (frame(RequestId(id), response), true),
            Self::Raw(bytes) => (bytes, true),
            Self::Half(response) => {
                let mut bytes = frame(id, response);
                bytes.truncate(bytes.len() / 2);
                (bytes, false)
            }
            Self::ReplyAndClose(response) => (frame(id, response), false),
            Self::Close => (Vec::new(), false),
            Self::Silence => (Vec::new(), true),
        };
        // A client that gave up meanwhile is not the daemon's problem.
        stream.write_all(&bytes).is_ok() && goes_on
    }
}

fn frames(id: RequestId, responses: Vec<Response>) -> Vec<u8> {
    let each = responses.into_iter().map(|response| frame(id, response));
    each.flatten().collect()
}

fn frame(id: RequestId, response: Response) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(&ServerFrame { id, response }, &mut bytes).expect("an answer in a test fits a frame");
    bytes
}

/// A possible report about the caller.
pub(crate) fn whoami() -> Whoami {
    Whoami {
        user: Id {
            id: 1000,
            name: Some("deploy".into()),
        },
        group: Id { id: 50, name: None },
        pid: 7,
        groups: Ok(Vec::new()),
        more_groups: 0,
        unit: Ok(Some("backup.service".into())),
        user_unit: Ok(None),
        executable: Err("it may not".into()),
        sha256: Err("it may not".into()),
        namespaces: Ok(Namespaces {
            nested_pid: None,
            other_user: None,
        }),
        administrator: Vec::new(),
        accounts: Vec::new(),
    }
}
