//! The features of the Rust client for HTTP libraries, each at an API that takes the newest token only.
//!
//! Owns what is shown of each: it uses the token, the next one after that has expired, and the next after a refusal, which it reports itself
//! and follows by one more request. Another host gets no token. Where there is none, its error has our words, and nothing is sent.

mod reqwest;
mod tonic;
mod tower;

use std::{
    fs,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokend_client::{Account, Client, Deadlines, GetOptions};
use tokend_harness::{
    clock::{PATIENCE, wait_until},
    hostile::raw::{Raw, reply},
};
use tokend_provider_simulator::{
    fault::{Fault, FaultKind, Rule},
    spec::{Api, Endpoint},
};
use tokio::runtime::{Builder, Runtime};

use crate::languages::Scene;

/// What a library is shown with.
struct Case<'a> {
    scene: &'a Scene,
    /// Sends one request to a URL: the API's status, or the words of the library's error.
    send: &'a dyn Fn(&str) -> Result<u16, String>,
    /// The API of the account, and how many requests have come there.
    url: &'a str,
    requests: &'a dyn Fn() -> usize,
}

/// Of the simulated API.
fn requests(scene: &Scene) -> usize {
    let log = scene.stage.sim.full_log();
    log.count(|entry| entry.endpoint == Endpoint::Resource)
}

/// The account, as every library is given it.
fn account(scene: &Scene) -> Account {
    let socket = scene.stage.site.socket();
    let client = Client::lazy_with(Some(socket.into()), Deadlines::default());
    client.account(GetOptions::new("it".parse().unwrap()))
}

fn runtime() -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(1).enable_all().build().unwrap()
}

/// A chain of errors, as programs print it.
fn words(error: &(dyn std::error::Error + 'static)) -> String {
    let chain = std::iter::successors(Some(error), |error| error.source());
    let texts: Vec<_> = chain.map(ToString::to_string).collect();
    texts.join(": ")
}

impl Case<'_> {
    fn show(&self) {
        let sim = &self.scene.stage.sim;
        self.works("the token of the login", 1, 0);
        sim.end_access("it");
        self.works("a new token after a refusal", 2, 1);

        let life = |seconds| {
            let life = Duration::from_secs(seconds);
            sim.change("it", |it| it.access_lifetime = life);
        };
        life(2);
        sim.end_access("it");
        self.works("one that lives shortly", 2, 1);
        life(3600);
        let short = sim.newest_access("it").unwrap();
        let expired = || !self.scene.stage.accepted(Api::JwtApi, &short);
        wait_until("the token to expire", PATIENCE, expired).unwrap();
        self.works("a new token after the old one has expired", 1, 1);

        sim.end_access("it");
        for endpoint in [Endpoint::Refresh, Endpoint::Login] {
            sim.fail(
                Rule::once("it", Fault::before(FaultKind::status(503)))
                    .at(endpoint)
                    .forever(),
            );
        }
        self.fails("the provider is down", "the provider is busy", 1);
        sim.heal();
        let site = &self.scene.stage.site;
        let path = site.configuration();
        let text = fs::read_to_string(&path).unwrap();
        let it = "[account.\"it\"]";
        let denied = text.replace(it, &format!("{it}\nallow = [{{ user = 4000 }}]"));
        for (configuration, is_allowed) in [(&denied, false), (&text, true)] {
            fs::write(&path, configuration).unwrap();
            let said = site.tokenctl(&["reload"]).unwrap();
            assert_eq!(said.code, Some(0), "{said:?}");
            if !is_allowed {
                self.fails("the policy denies it", "add a rule that matches you", 0);
            }
        }
        let forgotten = site.tokenctl(&["forget", "it", "--yes"]).unwrap();
        assert_eq!(forgotten.code, Some(0), "{forgotten:?}");
        self.fails("the account needs a login", "tokenctl login it", 0);
        assert_eq!(sim.violations(), []);
    }

    /// `sent` requests come to the API, and `newer` to the provider.
    #[track_caller]
    fn works(&self, what: &str, sent: usize, newer: usize) {
        let stage = &self.scene.stage;
        let before = ((self.requests)(), stage.requests());
        assert_eq!((self.send)(self.url), Ok(200), "{what}");
        let after = ((self.requests)(), stage.requests());
        assert_eq!(after, (before.0 + sent, before.1 + newer), "{what}");
    }

    #[track_caller]
    fn fails(&self, what: &str, words: &str, sent: usize) {
        let before = (self.requests)();
        let said = (self.send)(self.url).unwrap_err();
        assert!(said.contains(words), "{what}: {said}");
        assert_eq!((self.requests)(), before + sent, "{what}");
    }
}

/// A server of no account, and what it was sent.
struct Stranger {
    raw: Raw,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Stranger {
    fn start() -> Self {
        let heard: Arc<Mutex<Vec<String>>> = Arc::default();
        let all = Arc::clone(&heard);
        let raw = Raw::start(move |talk| {
            let request = talk.request();
            all.lock().unwrap().push(request.to_lowercase());
            talk.say(&reply("401 Unauthorized", "", b"who are you?"));
        });
        Self { raw, heard }
    }

    /// It gets the request without the token, once, and its refusal is no reason to report one.
    fn gets_no_token(&self, scene: &Scene, send: &dyn Fn(&str) -> Result<u16, String>) {
        let before = scene.stage.requests();
        let url = format!("{}{}", self.raw.http(), Api::JwtApi.resource());
        assert_eq!(send(&url), Ok(401));
        let heard = self.heard.lock().unwrap();
        assert_eq!(heard.len(), 1, "{heard:?}");
        let is_told = heard.iter().any(|it| it.contains("authorization"));
        assert!(!is_told, "{heard:?}");
        assert_eq!(scene.stage.requests(), before);
    }
}
