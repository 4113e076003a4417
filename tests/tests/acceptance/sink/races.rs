//! Sinks racing with reloads that take the right away: real programs, with all that the daemon writes to them overheard.
//!
//! Owns the order: once a reload is answered, no token may be written to any of the sinks, which a look into the buffers of their sockets
//! at that moment tells exactly.

use std::{
    fs,
    io::Write as _,
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    io::ioctl_fionread,
    net::{RecvFlags, Shutdown, recv, shutdown},
};
use tokend_client::{BlockingClient, SocketPath, WatchEvent, WatchOptions};
use tokend_harness::clock::{PATIENCE, wait_for, wait_until};
use tokend_proto::{FrameBuffer, Response, decode_server};
use tokend_provider_simulator::spec::Api;

use super::{ALLOWED, DENIED};
use crate::stage::Stage;

/// Sinks that one reload takes the right from: as many as may report of one user.
const AT_ONCE: usize = 32;
/// How many sinks race: a sample in every run, unless this variable has another number.
const SAMPLE: usize = 640;
const VARIABLE: &str = "TOKEND_SINK_RACES";

/// What the daemon has written to one sink.
struct Heard {
    from_daemon: UnixStream,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    frames: FrameBuffer,
    read: usize,
    /// Where the first frame that is not complete begins.
    begins: usize,
    /// How much the daemon had written when the reload was answered.
    written: Option<usize>,
    tokens: usize,
    late: usize,
}

impl Heard {
    /// Passes on what has arrived; `false` at the end.
    fn pass(&self, mut to_sink: &UnixStream) -> bool {
        let mut watched = [PollFd::new(&self.from_daemon, PollFlags::IN)];
        poll(&mut watched, None).unwrap();
        let mut bytes = [0; 16 * 1024];
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, count) = match recv(&self.from_daemon, &mut bytes[..], RecvFlags::DONTWAIT) {
            Ok(received) => received,
            Err(error) => return error == rustix::io::Errno::AGAIN,
        };
        let bytes = bytes.get(..count).unwrap();
        state.read += count;
        state.take(bytes);
        drop(state);
        // The sink may be gone.
        count > 0 && to_sink.write_all(bytes).is_ok()
    }

    fn answered(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = ioctl_fionread(&self.from_daemon).unwrap();
        state.written = Some(state.read + usize::try_from(waiting).unwrap());
    }
}

impl State {
    fn take(&mut self, mut bytes: &[u8]) {
        loop {
            while let Some(payload) = self.frames.next_frame().unwrap() {
                let length = tokend_proto::HEADER_LEN + payload.len();
                if let Response::Token(_) = decode_server(payload).unwrap().response {
                    self.tokens += 1;
                    self.late += usize::from(self.written.is_some_and(|it| self.begins >= it));
                }
                self.begins += length;
            }
            if bytes.is_empty() {
                return;
            }
            let taken = self.frames.push(bytes);
            bytes = bytes.get(taken..).unwrap();
        }
    }
}

#[derive(Default)]
struct All {
    sinks: Vec<Arc<Heard>>,
    is_answered: bool,
}

/// Stands between the sinks and the daemon.
struct Between {
    path: PathBuf,
    all: Arc<Mutex<All>>,
    passing: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

impl Between {
    fn start(path: PathBuf, daemon: PathBuf) -> Self {
        let listener = UnixListener::bind(&path).unwrap();
        let between = Self {
            path,
            all: Arc::default(),
            passing: Arc::default(),
        };
        let (all, passing) = (Arc::clone(&between.all), Arc::clone(&between.passing));
        // It ends with the test's process.
        thread::spawn(move || {
            for sink in listener.incoming() {
                let sink = sink.unwrap();
                let heard = Arc::new(Heard {
                    from_daemon: UnixStream::connect(&daemon).unwrap(),
                    state: Mutex::default(),
                });
                let mut all = all.lock().unwrap();
                all.sinks.push(Arc::clone(&heard));
                // Nothing has been asked over this one.
                heard.state.lock().unwrap().written = all.is_answered.then_some(0);
                drop(all);
                passing
                    .lock()
                    .unwrap()
                    .push(thread::spawn(move || pass(&heard, &sink)));
            }
        });
        between
    }

    /// The reload is answered: what is written from now on is late.
    fn answered(&self) {
        let mut all = self.all.lock().unwrap();
        all.is_answered = true;
        all.sinks.iter().for_each(|it| it.answered());
    }

    /// Once all sinks have ended: how many tokens they were sent, and how many of these late.
    fn end(&self) -> (usize, usize) {
        let passing = std::mem::take(&mut *self.passing.lock().unwrap());
        passing.into_iter().for_each(|it| it.join().unwrap());
        let all = std::mem::take(&mut *self.all.lock().unwrap());
        all.sinks.iter().fold((0, 0), |(tokens, late), it| {
            let state = it.state.lock().unwrap();
            (tokens + state.tokens, late + state.late)
        })
    }
}

fn pass(heard: &Heard, sink: &UnixStream) {
    thread::scope(|scope| {
        scope.spawn(|| {
            // Either end may be gone.
            drop(std::io::copy(&mut &*sink, &mut &heard.from_daemon));
            let _gone = shutdown(&heard.from_daemon, Shutdown::Write);
        });
        while heard.pass(sink) {}
        let _gone = shutdown(sink, Shutdown::Both);
    });
}

struct Sink {
    child: Child,
    file: PathBuf,
}

impl Sink {
    fn start(stage: &Stage, socket: &Path, folder: &Path, number: usize) -> Self {
        let file = folder.join(format!("{number}/token"));
        let child = Command::new(&stage.site.binaries().tokenctl)
            .arg("--socket")
            .arg(socket)
            .args(["sink", "--file"])
            .arg(folder.join(format!("feed{number}.toml")))
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { child, file }
    }

    fn is_written(&self) -> bool {
        self.file.exists()
    }

    /// It ends, and its file is gone.
    fn ends(&mut self) {
        let ended = || self.child.try_wait().unwrap();
        let status = wait_for("the sink to end", PATIENCE, ended).unwrap();
        assert_eq!(status.code(), Some(77));
        assert!(!self.is_written(), "{:?} outlives the right", self.file);
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        // Both fail only if it has ended.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// One race: when the reload begins is told by the round.
fn race(stage: &Stage, between: &Between, folder: &Path, round: usize) -> (usize, usize) {
    let reach =
        || BlockingClient::connect(&SocketPath::find(Some(&stage.site.socket())).unwrap()).unwrap();
    let start = |number| Sink::start(stage, &between.path, folder, number);
    let mut sinks: Vec<_> = (0..AT_ONCE).map(start).collect();
    let while_starting = round % 4 == 3;
    let (enough, token) = match while_starting {
        true => (round % AT_ONCE, None),
        false => (AT_ONCE, Some(stage.site.get("it").unwrap())),
    };
    let are_written = || sinks.iter().filter(|it| it.is_written()).count() >= enough;
    wait_until("the sinks to have written", PATIENCE, are_written).unwrap();
    let text = fs::read_to_string(stage.site.configuration()).unwrap();
    fs::write(stage.site.configuration(), text.replace(ALLOWED, DENIED)).unwrap();
    let mut admin = reach();
    admin.greet().unwrap();
    let mut observer = reach()
        .watch(&WatchOptions::new("it".parse().unwrap()))
        .unwrap();
    let asked = stage.requests();
    thread::scope(|scope| {
        if let Some(token) = token {
            scope.spawn(move || stage.site.tokenctl_with(&["reject", "it"], &token));
        }
        match round % 4 {
            // When the new token is on its way, and when it is told.
            1 => wait_until("a request", PATIENCE, || stage.requests() > asked).unwrap(),
            2 => while !matches!(observer.next(), Ok(WatchEvent::Retired) | Err(_)) {},
            _ => {}
        }
        admin.admin().reload().unwrap();
        between.answered();
    });
    sinks.iter_mut().for_each(Sink::ends);
    let counts = between.end();
    fs::write(stage.site.configuration(), text).unwrap();
    reach().admin().reload().unwrap();
    counts
}

#[test]
fn no_token_reaches_a_sink_once_the_reload_that_took_the_right_away_is_answered() {
    let races = std::env::var(VARIABLE).map_or(SAMPLE, |it| it.parse().unwrap());
    let stage = Stage::on_demand(Api::JwtApi);
    let _daemon = stage.site.start().unwrap();
    let memory = tempfile::tempdir_in("/dev/shm").unwrap();
    for number in 0..AT_ONCE {
        let out = memory.path().join(number.to_string());
        fs::create_dir(&out).unwrap();
        let text = format!("account = \"it\"\npath = \"{}/token\"\n", out.display());
        fs::write(memory.path().join(format!("feed{number}.toml")), text).unwrap();
    }
    let between = Between::start(memory.path().join("socket"), stage.site.socket());
    let rounds = races.div_ceil(AT_ONCE);
    let (mut tokens, mut late) = (0, 0);
    for round in 0..rounds {
        let (more, later) = race(&stage, &between, memory.path(), round);
        tokens += more;
        late += later;
    }
    assert_eq!(late, 0, "of {tokens}, in {} races", rounds * AT_ONCE);
    assert!(
        tokens > rounds * AT_ONCE,
        "{tokens} tokens were sent in all"
    );
}
