//! A daemon whose connections go through a relay, `tokend egress`: providers behind TLS, and relays that die.

use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::Arc,
};

use rustix::process::{Pid, Signal, kill_process};
use rustls::{ServerConnection, StreamOwned};
use tokend_tests::{
    clock::{PATIENCE, wait_for, wait_until},
    hostile::tls::{authority, provider, server},
};

use crate::{
    raw::Raw,
    scene::{FAST, Scene},
};

const TRUSTING: &str = "[http]\ntimeout = \"20s\"\nextra_ca = \"ca.pem\"\n";

/// A relay on a port of its own choosing, or on the one of another that is gone.
struct Relay {
    child: Child,
    log: PathBuf,
    address: String,
}

impl Relay {
    fn start(scene: &Scene, at: &str) -> Self {
        let log = scene.site.path().join("relay.log");
        let child = Command::new(&scene.site.binaries().tokend)
            .args(["egress", "--listen", at])
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
        // Both fail only if it is gone already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A scene with a relay in front of its daemon.
fn relayed(accounts: &[(&str, String)], authority_pem: &str) -> (Scene, Relay) {
    let mut scene = Scene::new(TRUSTING, FAST, accounts);
    fs::write(scene.site.path().join("ca.pem"), authority_pem).unwrap();
    let relay = Relay::start(&scene, "127.0.0.1:0");
    scene.site = scene
        .site
        .with_variable("TOKEND_EGRESS", relay.address.clone());
    (scene, relay)
}

#[test]
fn providers_behind_tls_are_believed_or_not_as_without_a_relay() {
    let (ours, theirs) = (authority("ours"), authority("theirs"));
    let believed = provider("localhost", &ours, |_| {});
    let unbelieved = provider("localhost", &theirs, |_| {});
    let accounts = [
        ("believed", believed.https()),
        ("unbelieved", unbelieved.https()),
    ];
    let (scene, relay) = relayed(&accounts, &ours.pem());
    let _daemon = scene.site.start().unwrap();
    assert_eq!(scene.site.get("believed").unwrap(), "good");
    let said = scene.site.tokenctl(&["get", "unbelieved"]).unwrap();
    assert_eq!(said.code, Some(75), "{said:?}");
    assert!(said.err.contains("certificate"), "{said:?}");
    assert_eq!((believed.requests(), unbelieved.requests()), (1, 0));
    let doctor = scene.site.tokenctl(&["doctor"]).unwrap();
    assert!(doctor.out.contains("can be reached"), "{doctor:?}");
    assert_eq!(believed.requests(), 1, "a probe is no request");
    // Its provider is spoken to without TLS, so what is said passes the relay in the clear.
    scene.well();
    let log = relay.said();
    let account = &scene.sim.accounts()[0];
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
    let waiting = std::thread::scope(|scope| {
        let getting = scope.spawn(|| scene.site.tokenctl(&["get", "silent"]).unwrap());
        wait_until("the request", PATIENCE, || asked.requests() == 1).unwrap();
        relay.signal(Signal::KILL);
        getting.join().unwrap()
    });
    assert_eq!(waiting.code, Some(75), "{waiting:?}");
    wait_until("the log to tell the doubt", PATIENCE, || {
        scene
            .site
            .log()
            .is_ok_and(|log| log.contains("outcome=in-doubt"))
    })
    .unwrap();
    // Nothing is sent while there is no relay, and nothing in doubt.
    let said = scene.site.tokenctl(&["get", "well"]).unwrap();
    assert_eq!(said.code, Some(75), "{said:?}");
    let absent = format!("the egress relay at {} is not there", relay.address);
    assert!(said.err.contains(&absent), "{said:?}");
    let address = relay.address.clone();
    drop(relay);
    let _next = Relay::start(&scene, &address);
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
            drop(tls.write_all(&tokend_tests::hostile::raw::reply("200 OK", "", grant)));
            tls.conn.send_close_notify();
            drop(tls.flush());
        }
    });
    let (scene, mut relay) = relayed(&[("slow", slow.https())], &ours.pem());
    let _daemon = scene.site.start().unwrap();
    let token = std::thread::scope(|scope| {
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
    let (code, told) = said(&["egress"], "");
    assert_eq!(code, Some(64), "{told}");
    assert!(told.contains("--listen"), "{told}");
    let (code, told) = said(&["egress", "--listen", "0.0.0.0:3128"], "");
    assert_eq!(code, Some(64), "{told}");
    assert!(told.contains("other machines"), "{told}");
    let configuration = scene.site.configuration().display().to_string();
    for (command, ended) in [("run", 64), ("check", 78)] {
        let (code, told) = said(&[command, "--config", &configuration], "far.example:3128");
        assert_eq!(code, Some(ended), "{told}");
        assert!(
            told.contains("TOKEND_EGRESS") && told.contains("loopback"),
            "{told}"
        );
    }
}
