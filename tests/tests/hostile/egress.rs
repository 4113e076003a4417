//! A daemon whose connections go through a relay, `tokend egress`: providers behind TLS, relays that die, and other users who connect to
//! one.

use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    net::TcpListener,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    thread,
};

use rustix::{
    process::{Pid, Resource, Rlimit, Signal, Uid, geteuid, getrlimit, kill_process, setrlimit},
    thread::set_thread_res_uid,
};
use rustls::{ServerConnection, StreamOwned};
use tokend_harness::{
    clock::{PATIENCE, wait_for, wait_until},
    demand::{carried_out, root},
    hostile::tls::{authority, provider, server, silent},
};

use crate::{
    raw::Raw,
    scene::{FAST, Scene, WELL},
};

const TRUSTING: &str = "[http]\ntimeout = \"20s\"\nextra_ca = \"ca.pem\"\n";

/// A relay that a test started.
pub(crate) struct Relay {
    child: Child,
    log: PathBuf,
    pub(crate) address: String,
}

impl Relay {
    pub(crate) fn start(scene: &Scene, options: &[&str]) -> Self {
        let log = scene.site.path().join("relay.log");
        let child = Command::new(&scene.site.binaries().tokend)
            .arg("egress")
            .args(options)
            .env("RUNTIME_DIRECTORY", scene.site.path())
            .env_remove("NOTIFY_SOCKET")
            .env_remove("LISTEN_FDS")
            .env("TOKEND_LOG", "trace")
            .stdin(Stdio::null())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let mut relay = Self {
            child,
            log,
            address: String::new(),
        };
        let address = wait_for("the relay", PATIENCE, || {
            let text = relay.said();
            let (_, rest) = text.split_once(" address=")?;
            let end = rest.find(['\n', ' '])?;
            Some(rest[..end].to_owned())
        });
        relay.address = address.unwrap_or_else(|error| panic!("{error}: {}", relay.said()));
        relay
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // Both fail only if it is already gone.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A scene with a relay in front of its daemon, on the usual socket.
fn relayed(accounts: &[(&str, String)], authority_pem: &str) -> (Scene, Relay) {
    relayed_at(&[], accounts, authority_pem)
}

fn relayed_at(options: &[&str], accounts: &[(&str, String)], pem: &str) -> (Scene, Relay) {
    let mut scene = Scene::new(TRUSTING, FAST, accounts);
    fs::write(scene.site.path().join("ca.pem"), pem).unwrap();
    let relay = Relay::start(&scene, options);
    scene.site = scene
        .site
        .with_variable("TOKEND_EGRESS", relay.address.clone());
    (scene, relay)
}

#[test]
fn providers_behind_tls_are_believed_or_not_as_without_a_relay() {
    for options in [&[][..], &["--listen", "127.0.0.1:0", "--any-local-user"]] {
        believed_or_not(options);
    }
}

fn believed_or_not(options: &[&str]) {
    let (ours, theirs) = (authority("ours"), authority("theirs"));
    let believed = provider("localhost", &ours, |_| {});
    let unbelieved = provider("localhost", &theirs, |_| {});
    let accounts = [
        ("believed", believed.https()),
        ("unbelieved", unbelieved.https()),
    ];
    let (scene, relay) = relayed_at(options, &accounts, &ours.pem());
    let _daemon = scene.site.start().unwrap();
    assert_eq!(scene.site.get("believed").unwrap(), "good");
    let said = scene.site.tokenctl(&["get", "unbelieved"]).unwrap();
    assert_eq!(said.code, Some(75), "{said:?}");
    assert!(said.err.contains("certificate"), "{said:?}");
    assert_eq!((believed.requests(), unbelieved.requests()), (1, 0));
    let doctor = scene.site.tokenctl(&["doctor"]).unwrap();
    assert!(doctor.out.contains("can be reached"), "{doctor:?}");
    assert_eq!(believed.requests(), 1, "a probe is no request");
    // Its provider is spoken to without TLS, so the relay carries the request in the clear.
    scene.well();
    let log = relay.said();
    let accounts = scene.sim.accounts();
    let account = accounts.first().unwrap();
    let token = scene.site.get("well").unwrap();
    for secret in [
        account.password.as_deref().unwrap(),
        &token,
        "good",
        "/api/",
        "Bearer",
    ] {
        assert!(!log.contains(secret), "{log}");
    }
    assert!(log.contains("localhost:"), "{log}");
}

#[test]
fn a_relay_that_dies_in_a_tunnel_leaves_the_attempt_in_doubt_and_the_next_finds_its_way() {
    let ours = authority("ours");
    let config = server("localhost", &ours, |_| {});
    let asked = Raw::start(move |talk| {
        let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
        let mut tls = StreamOwned::new(connection, talk.stream.try_clone().unwrap());
        let mut request = [0; 4096];
        if matches!(tls.read(&mut request), Ok(1..)) {
            talk.count();
            // No answer: waits for the end of the connection.
            drop(tls.read(&mut request));
            drop(tls.flush());
        }
    });
    let (scene, relay) = relayed(&[("silent", asked.https())], &ours.pem());
    let _daemon = scene.site.start().unwrap();
    let waiting = thread::scope(|scope| {
        let getting = scope.spawn(|| scene.site.tokenctl(&["get", "silent"]).unwrap());
        wait_until("the request", PATIENCE, || asked.requests() == 1).unwrap();
        relay.signal(Signal::KILL);
        getting.join().unwrap()
    });
    assert_eq!(waiting.code, Some(75), "{waiting:?}");
    scene.site.log_with(&["outcome=in-doubt"]).unwrap();
    // Without a relay, nothing is sent and nothing is in doubt.
    let said = scene.site.tokenctl(&["get", "well"]).unwrap();
    assert_eq!(said.code, Some(75), "{said:?}");
    let absent = format!("the egress relay at {} cannot be reached", relay.address);
    assert!(said.err.contains(&absent), "{said:?}");
    let address = relay.address.clone();
    drop(relay);
    let _next = Relay::start(&scene, &["--listen", &address]);
    scene.well();
}

#[test]
fn a_relay_finishes_what_it_carries_and_cannot_be_looked_into() {
    let ours = authority("ours");
    let config = server("localhost", &ours, |_| {});
    let (go, gate) = std::sync::mpsc::sync_channel::<()>(1);
    let gate = std::sync::Mutex::new(gate);
    let slow = Raw::start(move |talk| {
        let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
        let mut tls = StreamOwned::new(connection, talk.stream.try_clone().unwrap());
        let mut request = [0; 4096];
        if matches!(tls.read(&mut request), Ok(1..)) {
            talk.count();
            gate.lock().unwrap().recv().unwrap();
            let grant = br#"{"access_token":"late","token_type":"bearer","expires_in":3600}"#;
            drop(tls.write_all(&tokend_harness::hostile::raw::reply("200 OK", "", grant)));
            tls.conn.send_close_notify();
            drop(tls.flush());
        }
    });
    let (scene, mut relay) = relayed(&[("slow", slow.https())], &ours.pem());
    let _daemon = scene.site.start().unwrap();
    let token = thread::scope(|scope| {
        let getting = scope.spawn(|| scene.site.get("slow").unwrap());
        wait_until("the request", PATIENCE, || slow.requests() == 1).unwrap();
        let pid = relay.child.id();
        let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
        let core = limits
            .lines()
            .find(|line| line.starts_with("Max core file size"));
        assert!(
            core.unwrap().split_whitespace().nth(4) == Some("0"),
            "{limits}"
        );
        relay.signal(Signal::TERM);
        wait_until("the relay to stop", PATIENCE, || {
            relay.said().contains("stopping: ")
        })
        .unwrap();
        assert!(
            relay.child.try_wait().unwrap().is_none(),
            "it carries something"
        );
        go.send(()).unwrap();
        getting.join().unwrap()
    });
    assert_eq!(token, "late");
    let status = wait_for("its end", PATIENCE, || relay.child.try_wait().unwrap()).unwrap();
    assert_eq!(status.code(), Some(0));
}

#[test]
fn a_relay_or_a_daemon_that_was_told_nonsense_says_so() {
    let scene = Scene::new("", FAST, &[]);
    let tokend = &scene.site.binaries().tokend;
    let said = |arguments: &[&str], egress: &str| {
        let mut command = Command::new(tokend);
        command
            .args(arguments)
            .env_remove("LISTEN_FDS")
            .env("TOKEND_EGRESS", egress);
        let output = command.stdin(Stdio::null()).output().unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    for (options, word) in [
        (&["--listen", "0.0.0.0:3128"][..], "other machines"),
        (&["--listen", "127.0.0.1:0"], "--any-local-user"),
        (&["--listen", "egress.sock"], "the whole path"),
        (&["--user", "nobody-has-this-name"], "there is no such user"),
    ] {
        let (code, stderr) = said(&[&["egress"], options].concat(), "");
        assert_eq!(code, Some(64), "{stderr}");
        assert!(stderr.contains(word), "{stderr}");
    }
    let configuration = scene.site.configuration().display().to_string();
    for (command, ended) in [("run", 64), ("check", 78)] {
        let (code, stderr) = said(&[command, "--config", &configuration], "far.example:3128");
        assert_eq!(code, Some(ended), "{stderr}");
        assert!(
            stderr.contains("TOKEND_EGRESS")
                && stderr.contains("loopback")
                && stderr.contains("socket"),
            "{stderr}"
        );
    }
}

/// A user whom a relay serves by its options.
const NAMED: u32 = 65_533;

/// How often the provider of the healthy account was asked.
fn asked(scene: &Scene) -> usize {
    let log = scene.sim.log(WELL);
    log.logins() + log.refreshes()
}

/// The result of `what`, run as another user.
fn as_user<T: Send>(user: u32, what: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let as_other = scope.spawn(|| {
            let user = Uid::from_raw(user);
            // For this thread alone, which ends here.
            set_thread_res_uid(user, user, user).unwrap();
            what()
        });
        as_other.join().unwrap()
    })
}

fn ask(relay: &str, target: impl std::fmt::Display) -> UnixStream {
    let mut stream = UnixStream::connect(relay).unwrap();
    let head = format!("CONNECT {target} HTTP/1.1\r\nhost: x\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    stream
}

/// The first bytes of an answer, or all of it if it ends earlier.
fn answered(mut stream: &UnixStream) -> String {
    let mut text = [0; 4096];
    let count = stream.read(&mut text).unwrap();
    String::from_utf8_lossy(text.get(..count).unwrap()).into_owned()
}

#[test]
fn a_relay_by_hand_serves_its_user_and_whom_it_was_told_and_nobody_else() {
    if !carried_out("who may use a relay", root()) {
        return;
    }
    const STRANGER: u32 = 65_532;
    let scene = Scene::new("", FAST, &[]);
    let open = |path: &Path| {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    };
    open(scene.site.path());
    let target = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = target.local_addr().unwrap();
    let alone = Relay::start(&scene, &[]);
    for user in [NAMED, STRANGER] {
        let refused = as_user(user, || UnixStream::connect(&alone.address)).unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::PermissionDenied);
    }
    assert!(answered(&ask(&alone.address, target)).starts_with("HTTP/1.1 200 "));
    drop(alone);
    let relay = Relay::start(&scene, &["--user", &NAMED.to_string()]);
    for user in [0, NAMED] {
        let said = as_user(user, || answered(&ask(&relay.address, target)));
        assert!(said.starts_with("HTTP/1.1 200 "), "{user}: {said}");
    }
    let why = format!(
        "user {STRANGER} may not use it; if that is meant, start it with --user {STRANGER}"
    );
    for _ in 0..100 {
        let said = as_user(STRANGER, || answered(&ask(&relay.address, target)));
        assert!(
            said.starts_with("HTTP/1.1 502 ") && said.contains(&why),
            "{said}"
        );
    }
    let lines = relay.said().matches(&why).count();
    assert!((1..=31).contains(&lines), "{lines} lines");
}

#[test]
#[expect(
    clippy::too_many_lines,
    reason = "one story: each step stands on the one before"
)]
fn one_user_who_takes_all_their_places_is_named_and_stops_nobody_else() {
    if !carried_out("places of another user", root()) {
        return;
    }
    let most = getrlimit(Resource::Nofile).maximum;
    let raised = Rlimit {
        current: most,
        maximum: most,
    };
    setrlimit(Resource::Nofile, raised).unwrap();
    let (scene, relay) = relayed_at(
        &["--user", &NAMED.to_string()],
        &[],
        &authority("ours").pem(),
    );
    let _daemon = scene.site.start().unwrap();
    scene.well();
    let before = asked(&scene);
    let target = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = target.local_addr().unwrap();
    let mut held = Vec::new();
    let last = loop {
        let tunnel = ask(&relay.address, at);
        let said = answered(&tunnel);
        if !said.starts_with("HTTP/1.1 200 ") {
            break said;
        }
        held.push((tunnel, target.accept().unwrap()));
    };
    let own = geteuid().as_raw();
    let full = format!(
        "user {own} has {}, which is all that one user may have",
        held.len()
    );
    assert!(
        last.starts_with("HTTP/1.1 503 ") && last.contains(&full),
        "{last}"
    );
    assert!(held.len() <= 1024, "{}", held.len());
    assert!(
        relay
            .said()
            .contains(&format!("no free place for a connection: {full}"))
    );
    // The daemon runs as the same user.
    let named = format!(
        "the egress relay at {} has no free place ({full})",
        relay.address
    );
    let said = scene.site.tokenctl(&["refresh", WELL]).unwrap();
    assert!(
        said.code == Some(75) && said.err.contains(&named),
        "{said:?}"
    );
    let status = scene.site.tokenctl(&["status", WELL, "--json"]).unwrap();
    assert!(status.out.contains(&named), "{status:?}");
    let doctor = scene.site.tokenctl(&["doctor"]).unwrap();
    assert!(doctor.out.contains(&named), "{doctor:?}");
    assert_eq!(asked(&scene), before, "nothing was sent");
    let said = as_user(NAMED, || answered(&ask(&relay.address, at)));
    assert!(said.starts_with("HTTP/1.1 200 "), "{said}");
    held.truncate(held.len() - 10);
    wait_until("a place", PATIENCE, || {
        scene.site.tokenctl(&["refresh", WELL]).unwrap().code == Some(0)
    })
    .unwrap();
}

#[test]
fn what_can_be_read_goes_through_no_relay_of_another_user() {
    if !carried_out("a relay of another user", root()) {
        return;
    }
    const OTHER: u32 = 65_533;
    let ours = authority("ours");
    let safe = provider("localhost", &ours, |_| {});
    let mut scene = Scene::new(TRUSTING, FAST, &[("safe", safe.https())]);
    fs::write(scene.site.path().join("ca.pem"), ours.pem()).unwrap();
    let theirs = scene.site.path().join("theirs");
    fs::create_dir(&theirs).unwrap();
    std::os::unix::fs::chown(&theirs, Some(OTHER), None).unwrap();
    let socket = theirs.join("egress.sock");
    let listener = as_user(OTHER, || std::os::unix::net::UnixListener::bind(&socket)).unwrap();
    let own = Relay::start(&scene, &[]);
    let address = own.address.clone();
    // Whichever user runs it, the relay passes everything on.
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (near, far) = (stream.unwrap(), UnixStream::connect(&address).unwrap());
            let back = (far.try_clone().unwrap(), near.try_clone().unwrap());
            for (mut from, mut to) in [(near, far), back] {
                thread::spawn(move || {
                    drop(std::io::copy(&mut from, &mut to));
                    drop(to.shutdown(std::net::Shutdown::Write));
                });
            }
        }
    });
    let text = socket.display().to_string();
    scene.site = scene.site.with_variable("TOKEND_EGRESS", text.clone());
    let _daemon = scene.site.start().unwrap();
    assert_eq!(scene.site.get("safe").unwrap(), "good");
    let said = scene.site.tokenctl(&["get", WELL]).unwrap();
    let refused = format!("the egress relay at {text} is run by user {OTHER}, who could read");
    assert!(
        said.code == Some(75) && said.err.contains(&refused),
        "{said:?}"
    );
    assert_eq!(asked(&scene), 0);
}

#[test]
fn a_rule_about_no_answer_is_about_the_provider_and_not_about_the_relay() {
    let ours = authority("ours");
    let (hangs_up, holds) = (
        silent(server("localhost", &ours, |_| {}), false),
        silent(server("localhost", &ours, |_| {}), true),
    );
    for options in [&[][..], &["--listen", "127.0.0.1:0", "--any-local-user"]] {
        let accounts = [("hangs-up", hangs_up.https()), ("holds", holds.https())];
        let (scene, relay) = relayed_at(options, &accounts, &ours.pem());
        scene.hanging_up();
        let _daemon = scene.site.start().unwrap();
        let said = scene.site.tokenctl(&["get", "hangs-up"]).unwrap();
        assert_eq!(said.code, Some(79), "{said:?}");
        assert!(
            said.err.contains("it hangs up on a wrong password"),
            "{said:?}"
        );
        let before = holds.requests();
        let said = thread::scope(|scope| {
            let getting = scope.spawn(|| scene.site.tokenctl(&["get", "holds"]).unwrap());
            wait_until("the request", PATIENCE, || holds.requests() > before).unwrap();
            relay.signal(Signal::KILL);
            getting.join().unwrap()
        });
        assert_eq!(said.code, Some(75), "{said:?}");
        let status = scene.site.status("holds").unwrap().to_string();
        assert!(!status.contains("wrong password"), "{status}");
    }
}
