//! A configured proxy that restarts, hangs, or passes on a provider's silence: behind a proxy nobody can say which of the two did not
//! answer.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, Shutdown, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use tokend_harness::{
    clock::{PATIENCE, wait_until},
    hostile::tls::{authority, server, silent},
};

use crate::{
    egress::Relay,
    raw::{Raw, Talk},
    scene::{FAST, Scene},
};

/// Connections that stay on this machine go through no proxy.
const ELSEWHERE: &str = "accounts.example.com";

/// A proxy for CONNECT that resolves every name to this machine.
struct Proxy {
    raw: Raw,
    carried: Arc<Mutex<Vec<TcpStream>>>,
}

impl Proxy {
    fn start() -> Self {
        let carried = Arc::<Mutex<Vec<TcpStream>>>::default();
        let shared = Arc::clone(&carried);
        let raw = Raw::start(move |talk| carry(talk, &shared));
        Self { raw, carried }
    }

    fn url(&self) -> String {
        self.raw
            .https()
            .replace("https://localhost", "http://127.0.0.1")
    }

    /// As at a restart: ends all connections it carries.
    fn die(&self) {
        for stream in self.carried.lock().unwrap().drain(..) {
            // Fails only if it has already ended.
            drop(stream.shutdown(Shutdown::Both));
        }
    }
}

fn carry(talk: &mut Talk, carried: &Mutex<Vec<TcpStream>>) {
    let mut near = talk.stream.try_clone().unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if !matches!(near.read(&mut byte), Ok(1..)) {
            return;
        }
        head.extend(byte);
    }
    let head = String::from_utf8(head).unwrap();
    let port = head.strip_prefix(&format!("CONNECT {ELSEWHERE}:")).unwrap();
    let port = port.split(' ').next().unwrap().parse().unwrap();
    let mut far = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    near.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
    let (mut from_far, mut to_near) = (far.try_clone().unwrap(), near.try_clone().unwrap());
    carried
        .lock()
        .unwrap()
        .extend([near.try_clone().unwrap(), far.try_clone().unwrap()]);
    let back = thread::spawn(move || {
        drop(std::io::copy(&mut from_far, &mut to_near));
        drop(to_near.shutdown(Shutdown::Write));
    });
    drop(std::io::copy(&mut near, &mut far));
    drop(far.shutdown(Shutdown::Write));
    back.join().unwrap();
}

#[test]
fn a_rule_about_no_answer_is_about_the_provider_and_not_about_a_proxy() {
    let ours = authority("ours");
    let far = |holds| silent(server(ELSEWHERE, &ours, |_| {}), holds);
    let (hangs_up, holds, cut) = (far(false), far(true), far(true));
    let elsewhere = |raw: &Raw| raw.https().replace("localhost", ELSEWHERE);
    for options in [
        None,
        Some(&[][..]),
        Some(&["--listen", "127.0.0.1:0", "--any-local-user"]),
    ] {
        let proxy = Proxy::start();
        let preamble = format!(
            "[http]\ntimeout = \"3s\"\nextra_ca = \"ca.pem\"\nproxy = \"{}\"\n",
            proxy.url()
        );
        let accounts = [
            ("cut", elsewhere(&cut)),
            ("hangs-up", elsewhere(&hangs_up)),
            ("holds", elsewhere(&holds)),
        ];
        let mut scene = Scene::new(&preamble, FAST, &accounts);
        fs::write(scene.site.path().join("ca.pem"), ours.pem()).unwrap();
        scene.hanging_up();
        let relay = options.map(|options| Relay::start(&scene, options));
        if let Some(relay) = &relay {
            let address = relay.address.clone();
            scene.site = scene.site.with_variable("TOKEND_EGRESS", address);
        }
        let _daemon = scene.site.start().unwrap();
        let get = |name: &str| scene.site.tokenctl(&["get", name]).unwrap();
        let before = cut.requests();
        let was_cut = thread::scope(|scope| {
            let getting = scope.spawn(|| get("cut"));
            wait_until("the request", PATIENCE, || cut.requests() > before).unwrap();
            proxy.die();
            getting.join().unwrap()
        });
        for (name, said) in [
            ("cut", was_cut),
            ("hangs-up", get("hangs-up")),
            ("holds", get("holds")),
        ] {
            assert_eq!(said.code, Some(75), "{options:?} {name}: {said:?}");
            let status = scene.site.status(name).unwrap().to_string();
            assert!(!status.contains("wrong password"), "{name}: {status}");
            let named = format!("or the proxy {} may have caused it", proxy.url());
            assert!(status.contains(&named), "{name}: {status}");
        }
    }
}
