//! A standard error that nobody reads, that is closed, full, or shared with a process that changed its flags: nothing waits for a log
//! line.

use std::{
    fs::{self, File, OpenOptions},
    io::Read as _,
    path::PathBuf,
};

use rustix::{
    fs::{CWD, FileType, Mode, OFlags, fcntl_setfl, mknodat},
    pipe::fcntl_setpipe_size,
    pty::{OpenptFlags, openpt, ptsname, unlockpt},
    termios::{Action, tcflow},
};
use tokend_harness::{
    Daemon, Site,
    clock::{PATIENCE, Stopwatch, wait_until},
    hostile::wire::{Wire, frame},
};
use tokend_proto::Request;
use tokend_provider_simulator::{Configuration, Simulator};

use crate::scene::{FAST, Scene, WELL, account};

/// A pipe for the daemon's standard error, and its reader.
struct Pipe {
    path: PathBuf,
    reader: File,
    text: String,
}

impl Pipe {
    /// A pipe that takes no more than a page until a process reads it.
    fn new(scene: &Scene) -> Self {
        let path = scene.site.path().join("stderr");
        mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        // Opened in both directions: the daemon finds a reader, and this one never goes away.
        let reader = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .unwrap();
        fcntl_setpipe_size(&reader, 4096).unwrap();
        fcntl_setfl(&reader, OFlags::NONBLOCK).unwrap();
        Self {
            path,
            reader,
            text: String::new(),
        }
    }

    /// A terminal in its place, and the functions that stop and start its output as `^S` and `^Q` do.
    fn terminal() -> (Self, File) {
        let reader = File::from(openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap());
        unlockpt(&reader).unwrap();
        let path: PathBuf = ptsname(&reader, Vec::new())
            .unwrap()
            .to_str()
            .unwrap()
            .into();
        let keys = rustix::fs::open(&path, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
        fcntl_setfl(&reader, OFlags::NONBLOCK).unwrap();
        let pipe = Self {
            path,
            reader,
            text: String::new(),
        };
        (pipe, keys.into())
    }

    fn fill(&self) {
        let full = |text: &[u8]| {
            matches!(
                rustix::io::write(&self.reader, text),
                Err(rustix::io::Errno::AGAIN)
            )
        };
        let mut text = vec![b'.'; 4095];
        text.push(b'\n');
        assert!(!full(&text), "a new pipe is empty");
        assert!(full(b"."), "and full now");
    }

    /// Everything that can be read until the text contains `word`.
    fn read_until(&mut self, word: &str) -> &str {
        let mut more = vec![0; 1 << 16];
        wait_until(word, PATIENCE, || {
            while let Ok(count @ 1..) = self.reader.read(&mut more) {
                self.text += &String::from_utf8_lossy(more.get(..count).unwrap());
            }
            self.text.contains(word)
        })
        .unwrap_or_else(|error| {
            panic!(
                "{error:#}: {} bytes, the last {:?}",
                self.text.len(),
                self.text.lines().last()
            )
        });
        &self.text
    }

    fn daemon(&self, scene: &Scene) -> Daemon {
        started_to(scene, &self.path.display().to_string())
    }
}

/// A daemon with this standard error.
fn started_to(scene: &Scene, target: &str) -> Daemon {
    let script = format!("exec \"$@\" 2>>{target}");
    Daemon::start_under(&["sh", "-c", &script, "sh"], &scene.site).unwrap()
}

fn ends_soon(daemon: Daemon) {
    let watch = Stopwatch::start();
    assert!(daemon.terminate().unwrap().success());
    // The time limits of a drain are far longer; that of the log is two seconds.
    assert!(watch.elapsed().as_secs() < 10, "{:?}", watch.elapsed());
}

#[test]
fn a_log_that_nobody_reads_keeps_nobody_waiting_and_what_was_dropped_is_told() {
    let names: Vec<_> = (0..50).map(|number| format!("busy-{number}")).collect();
    let specs = names
        .iter()
        .map(|name| account(name))
        .chain([account(WELL)]);
    let sim = Simulator::start(specs.collect()).unwrap();
    let site = Site::with(&Configuration::of(&sim).everywhere(FAST)).unwrap();
    let scene = Scene {
        sim,
        site: site.with_variable("TOKEND_LOG", "trace"),
    };
    let mut pipe = Pipe::new(&scene);
    pipe.fill();
    let daemon = pipe.daemon(&scene);
    scene.site.get(WELL).unwrap();
    let dropped = || {
        let metrics = scene.site.tokenctl(&["metrics"]).unwrap().out;
        let line = metrics
            .lines()
            .find(|line| line.contains("{reason=\"dropped\"}"));
        line.unwrap()
            .rsplit(' ')
            .next()
            .unwrap()
            .parse::<u32>()
            .unwrap()
    };
    wait_until("more lines than there is room for", PATIENCE, || {
        let mut wire = Wire::greeted(&scene.site);
        for _ in 0..10 {
            for (id, name) in (1..).zip(&names) {
                assert!(wire.say(&refresh(id, name)));
            }
            names.iter().for_each(|_| drop(wire.hear().unwrap()));
        }
        dropped() > 0
    })
    .unwrap();
    assert_eq!(scene.site.tokenctl(&["reload"]).unwrap().code, Some(0));
    scene.well();
    assert!(
        pipe.read_until(
            "log lines were dropped because the reader of standard error did not keep up"
        )
        .contains("ready"),
        "what came before is there"
    );
    pipe.text.clear();
    assert!(daemon.terminate().unwrap().success());
    pipe.read_until("stopped");
}

fn refresh(id: u64, account: &str) -> Vec<u8> {
    let request = Request::Refresh {
        account: account.parse().unwrap(),
        wait_ms: 10_000,
        timeout_ms: 10_000,
    };
    frame(id, request)
}

#[test]
fn a_terminal_whose_output_is_stopped_keeps_nobody_waiting_and_loses_no_line() {
    let scene = Scene::new("", FAST, &[]);
    let (mut terminal, keys) = Pipe::terminal();
    let daemon = terminal.daemon(&scene);
    terminal.read_until("ready");
    tcflow(&keys, Action::OOff).unwrap();
    scene.well();
    assert_eq!(scene.site.tokenctl(&["reload"]).unwrap().code, Some(0));
    scene.well();
    let reloaded = " is in force";
    let mut more = vec![0; 1 << 16];
    let count = terminal.reader.read(&mut more).unwrap_or(0);
    let shown = String::from_utf8_lossy(more.get(..count).unwrap()).into_owned();
    assert!(!shown.contains(reloaded), "it is stopped: {shown}");
    tcflow(&keys, Action::OOn).unwrap();
    terminal.read_until(reloaded);
    tcflow(&keys, Action::OOff).unwrap();
    scene.well();
    ends_soon(daemon);
}

#[test]
fn a_daemon_ends_in_time_though_nobody_reads_its_last_lines() {
    let scene = Scene::new("", FAST, &[]);
    let pipe = Pipe::new(&scene);
    pipe.fill();
    let daemon = pipe.daemon(&scene);
    scene.well();
    ends_soon(daemon);
    // A daemon that does not come up says so by its exit code.
    fs::write(scene.site.configuration(), "nonsense = 1\n").unwrap();
    let script = format!("exec \"$@\" 2>>{}", pipe.path.display());
    let daemon = Daemon::spawn_under(&["sh", "-c", &script, "sh"], &scene.site).unwrap();
    assert_eq!(daemon.wait().unwrap().code(), Some(78));
}

#[test]
fn a_standard_error_that_is_closed_full_or_set_by_others_costs_lines_only() {
    let scene = Scene::new("", FAST, &[]);
    // The reader of the log has gone.
    let pipe = Pipe::new(&scene);
    let daemon = pipe.daemon(&scene);
    drop(pipe);
    scene.well();
    ends_soon(daemon);
    // There is no standard error, or a disk that takes nothing.
    for target in ["&-", "/dev/full"] {
        let script = format!("exec \"$@\" 2>{target}");
        let daemon = Daemon::start_under(&["sh", "-c", &script, "sh"], &scene.site).unwrap();
        scene.well();
        assert_eq!(
            scene.site.tokenctl(&["reload"]).unwrap().code,
            Some(0),
            "{target}"
        );
        ends_soon(daemon);
    }
}

#[test]
fn a_standard_error_that_others_made_not_to_wait_loses_no_line() {
    let scene = Scene::new("", FAST, &[]);
    let mut pipe = Pipe::new(&scene);
    pipe.fill();
    let script = "import os, sys; os.dup2(os.open(sys.argv[1], os.O_WRONLY | os.O_NONBLOCK), 2); os.execv(sys.argv[2], sys.argv[2:])";
    let path = pipe.path.display().to_string();
    let daemon = Daemon::start_under(&["python3", "-c", script, &path], &scene.site).unwrap();
    scene.well();
    pipe.read_until("ready");
    assert!(daemon.terminate().unwrap().success());
    assert!(!pipe.read_until("stopped").contains("dropped"));
}

#[test]
fn lines_that_a_user_causes_are_limited_and_the_rest_are_counted() {
    let scene = Scene::new("", FAST, &[]);
    let daemon = scene.site.start().unwrap();
    for _ in 0..500 {
        let mut stranger = Wire::silent(&scene.site);
        stranger.say(b"GET / HTTP/1.1\r\n\r\n");
        stranger.hear_out();
    }
    scene.well();
    assert!(daemon.terminate().unwrap().success());
    let log = scene.site.log().unwrap();
    let ended = log
        .lines()
        .filter(|line| line.contains("connection ended: "))
        .count();
    assert!(ended <= 31, "{ended} lines");
    let uid = rustix::process::geteuid().as_raw();
    let expected =
        format!("and 470 more like it from user {uid} in the last minute: connection ended: ");
    assert!(log.contains(&expected), "{log}");
}
