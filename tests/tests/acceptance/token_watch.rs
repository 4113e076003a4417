//! `tokenctl watch`, and watches on the wire: renewal without a request, refusals, logins, reloads and restarts.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead as _, BufReader},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, sync_channel},
    time::Duration,
};

use serde_json::Value;
use tokend_harness::{
    Site,
    clock::{PATIENCE, wait_for, wait_until},
    hostile::wire::{Wire, frame},
};
use tokend_proto::{Request, Response};
use tokend_provider_simulator::{Configuration, fault::Fault, spec::Api};

use crate::stage::{FAST, Stage, account, slow};

/// A running `tokenctl watch it`, and its lines.
struct Watch {
    child: Child,
    lines: Receiver<String>,
    errors: std::path::PathBuf,
}

impl Watch {
    fn start(site: &Site, arguments: &[&str]) -> Self {
        let errors = site.path().join("watch.err");
        let mut child = Command::new(&site.binaries().tokenctl)
            .arg("--socket")
            .arg(site.socket())
            .args(["watch", "it"])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(&errors).unwrap())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = sync_channel(64);
        drop(std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        }));
        Self {
            child,
            lines,
            errors,
        }
    }

    fn line(&self) -> String {
        let line = self.lines.recv_timeout(PATIENCE);
        line.unwrap_or_else(|error| panic!("{error}: {:?}", fs::read_to_string(&self.errors)))
    }

    fn event(&self) -> Value {
        serde_json::from_str(&self.line()).unwrap()
    }

    /// The token of the next event, which is one.
    fn token(&self) -> String {
        let event = self.event();
        let token = event.get("access_token").and_then(Value::as_str);
        token.unwrap_or_else(|| panic!("{event}")).to_owned()
    }

    /// How it ended, and what it said that nobody has read.
    fn end(&mut self) -> (ExitStatus, Vec<String>) {
        let ended = wait_for("the watch to end", PATIENCE, || {
            self.child.try_wait().unwrap()
        });
        (ended.unwrap(), self.lines.iter().collect())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // Both fail only if the process is gone already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn a_watched_account_is_renewed_ahead_without_any_get_and_rests_afterwards() {
    let accounts = vec![
        account("it", Api::JwtApi),
        account("other", Api::AdVerification),
    ];
    let stage = Stage::new(accounts, FAST);
    stage.sim.change("it", |behaviour| {
        behaviour.access_lifetime = Duration::from_secs(3)
    });
    stage.sim.change("other", |behaviour| {
        behaviour.access_lifetime = Duration::from_secs(1)
    });
    let _daemon = stage.site.start().unwrap();
    let watch = Watch::start(&stage.site, &["--json"]);
    let mut seen = BTreeSet::new();
    for _ in 0..5 {
        // Renewed ahead: no token ends before its successor is there.
        let token = watch.token();
        assert!(stage.accepted(Api::JwtApi, &token), "delivered and refused");
        assert!(seen.insert(token), "delivered twice");
    }
    assert_eq!(stage.sim.log("it").logins(), 1);
    drop(watch);
    let before = stage.requests();
    // Another client asks for the other account all the time: a dozen lifetimes of the first.
    wait_for("refreshes of the other account", PATIENCE, || {
        drop(stage.site.tokenctl(&["get", "other"]));
        (stage.sim.log("other").refreshes() >= 20).then_some(())
    })
    .unwrap();
    // The last token delivered counts as requested, so it is renewed once.
    assert!(stage.requests() <= before + 2, "{before} requests before");
    assert_eq!(stage.sim.violations(), []);
}

#[test]
fn a_token_that_another_client_reports_is_retired_and_replaced() {
    let stage = Stage::on_demand(Api::JwtApi);
    let _daemon = stage.site.start().unwrap();
    let watch = Watch::start(&stage.site, &["--json"]);
    let refused = watch.token();
    stage.sim.end_access("it");
    stage.once(Fault::before(slow(Duration::from_millis(300))));
    let fresh = stage.reject("it", &refused).line().unwrap();
    assert_eq!(watch.event()["event"], "retired");
    assert_eq!(watch.token(), fresh);
    assert_eq!(stage.sim.log("it").refreshes(), 1);
}

#[test]
fn an_account_without_a_credential_is_unavailable_until_somebody_logs_in() {
    let stage = Stage::of(Api::JwtApi);
    let configuration = Configuration::of(&stage.sim)
        .everywhere(FAST)
        .without_secrets();
    let site = Site::with(&configuration).unwrap();
    let _daemon = site.start().unwrap();
    let watch = Watch::start(&site, &["--json"]);
    let event = watch.event();
    assert_eq!(event["event"], "unavailable", "{event}");
    assert_eq!(event["code"], "login-required", "{event}");
    assert!(event["advice"].as_str().unwrap().contains("tokenctl login"));
    let password = stage.sim.accounts().remove(0).password.unwrap();
    let login = ["login", "it", "--password"];
    let said = site.tokenctl_with(&login, &password).unwrap();
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(stage.accepted(Api::JwtApi, &watch.token()));
    assert_eq!(stage.sim.log("it").logins(), 1);
}

#[test]
fn a_provider_that_is_down_is_told_and_a_token_follows_when_it_is_back() {
    let stage = Stage::on_demand(Api::JwtApi);
    stage.sim.down(Api::JwtApi);
    let _daemon = stage.site.start().unwrap();
    let watch = Watch::start(&stage.site, &["--json"]);
    let event = watch.event();
    assert_eq!(event["code"], "provider-unreachable", "{event}");
    stage.sim.up(Api::JwtApi).unwrap();
    let token = wait_for("a token", PATIENCE, || {
        let event = watch.event();
        event["access_token"].as_str().map(str::to_owned)
    })
    .unwrap();
    assert!(stage.accepted(Api::JwtApi, &token));
    assert_eq!(stage.sim.violations(), []);
}

#[test]
fn a_reload_that_takes_the_right_away_ends_a_watch_with_77() {
    let stage = Stage::on_demand(Api::JwtApi);
    let _daemon = stage.site.start().unwrap();
    let mut watch = Watch::start(&stage.site, &[]);
    watch.line();
    let path = stage.site.configuration();
    let text = fs::read_to_string(&path).unwrap();
    let taken = text.replace(
        "[account.\"it\"]",
        "[account.\"it\"]\nallow = [{ user = 4000 }]",
    );
    assert_ne!(text, taken);
    fs::write(&path, taken).unwrap();
    let said = stage.site.tokenctl(&["reload"]).unwrap();
    assert_eq!(said.code, Some(0), "{said:?}");
    let (ended, unread) = watch.end();
    assert_eq!((ended.code(), unread), (Some(77), vec![]));
    let said = fs::read_to_string(&watch.errors).unwrap();
    assert!(said.contains("you may not have the token"), "{said}");
}

#[test]
fn a_restart_of_the_daemon_is_survived_and_no_token_comes_twice() {
    let stage = Stage::on_demand(Api::JwtApi);
    let mut daemon = stage.site.start().unwrap();
    let watch = Watch::start(&stage.site, &[]);
    let mut last = watch.line();
    for is_killed in [false, true] {
        match is_killed {
            true => daemon.kill().unwrap(),
            false => assert!(daemon.terminate().unwrap().success()),
        }
        daemon = stage.site.start().unwrap();
        let fresh = stage.reject("it", &last).line().unwrap();
        assert_eq!(watch.line(), fresh);
        last = fresh;
    }
    let said = fs::read_to_string(&watch.errors).unwrap();
    assert!(said.contains("trying again"), "{said}");
    drop(daemon);
}

#[test]
fn ten_thousand_watches_of_one_account_cause_one_attempt() {
    const CONNECTIONS: u64 = 4;
    const EACH: u64 = 2_500;
    let stage = Stage::on_demand(Api::JwtApi);
    let path = stage.site.configuration();
    let text = fs::read_to_string(&path).unwrap();
    fs::write(
        &path,
        format!("[limits]\nrequests_per_connection = 4096\n{text}"),
    )
    .unwrap();
    let _daemon = stage.site.start().unwrap();
    let mut wires: Vec<_> = (0..CONNECTIONS)
        .map(|_| Wire::greeted(&stage.site))
        .collect();
    let mut refused = None;
    for wire in &mut wires {
        for id in 1..=EACH {
            let watch = Request::Watch {
                account: "it".parse().unwrap(),
                min_validity_ms: None,
            };
            assert!(wire.say(&frame(id, watch)));
            match wire.hear() {
                Some(Response::Token(token)) => refused = Some(token),
                other => panic!("{other:?}"),
            }
        }
    }
    let refused = refused.unwrap();
    let metrics = stage.site.tokenctl(&["metrics"]).unwrap().out;
    assert!(metrics.contains("\ntokend_watches 10000\n"), "{metrics}");
    stage.sim.end_access("it");
    stage.once(Fault::before(slow(Duration::from_millis(300))));
    let fresh = stage
        .reject("it", refused.access_token.expose())
        .line()
        .unwrap();
    for wire in &mut wires {
        let mut fresh_ones = 0;
        while fresh_ones < EACH {
            match wire.hear() {
                Some(Response::Token(token)) => {
                    assert_eq!(token.access_token.expose(), fresh);
                    fresh_ones += 1;
                }
                Some(Response::Retired { grant }) => assert_eq!(grant, refused.grant),
                other => panic!("{other:?}"),
            }
        }
    }
    let log = stage.sim.log("it");
    assert_eq!((log.logins(), log.refreshes()), (1, 1));
    drop(wires);
    wait_until("the watches to end", PATIENCE, || {
        let metrics = stage.site.tokenctl(&["metrics"]).unwrap().out;
        metrics.contains("\ntokend_watches 0\n")
    })
    .unwrap();
}

#[test]
fn each_delivery_has_an_audit_record_of_its_own() {
    let stage = Stage::on_demand(Api::JwtApi);
    let path = stage.site.configuration();
    let file = stage.site.path().join("audit.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    let audit = format!("[audit]\nfile = {:?}\n{text}", file.display().to_string());
    fs::write(&path, audit).unwrap();
    let daemon = stage.site.start().unwrap();
    let watch = Watch::start(&stage.site, &[]);
    let first = watch.line();
    stage.reject("it", &first).line().unwrap();
    watch.line();
    drop(watch);
    assert!(daemon.terminate().unwrap().success());
    let records = fs::read_to_string(&file).unwrap();
    let released = records
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|record| record["event"] == "release" && record["request"] == "watch");
    let tokens: BTreeSet<_> = released.map(|record| record["token"].to_string()).collect();
    assert_eq!(tokens.len(), 2, "{records}");
}
