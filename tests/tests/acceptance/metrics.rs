//! Metrics as Prometheus reads them, compared with the document that describes them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
    process::{Command, Stdio},
};

use tokend_harness::{
    clock::{PATIENCE, wait_for},
    probe,
};
use tokend_provider_simulator::{
    Configuration,
    fault::{Fault, FaultKind, Rule},
    spec::{AccountSpec, Api},
};

use crate::{
    prometheus::{Metric, promtool, read},
    stage::{FAST, Stage, account},
};

pub(crate) fn metrics(stage: &Stage) -> String {
    let said = stage.site.tokenctl(&["metrics"]).unwrap();
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    said.out
}

fn configured(accounts: Vec<AccountSpec>, preamble: &str) -> Stage {
    let stage = Stage::new(accounts, FAST);
    let mut configuration = Configuration::of(&stage.sim).everywhere(FAST);
    preamble.clone_into(&mut configuration.preamble);
    configuration.write(stage.site.path()).unwrap();
    stage
}

fn documented() -> BTreeMap<String, (String, BTreeSet<String>)> {
    let text = include_str!("../../../daemon/METRICS.md");
    let (_, of_accounts) = text.split_once("## Of each account").unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| `tokend_"));
    rows.map(|line| {
        let mut cells = line.trim_matches('|').split('|').map(str::trim);
        let mut cell = || cells.next().unwrap();
        let (name, kind) = (cell().trim_matches('`').to_owned(), cell().to_owned());
        let mut labels: BTreeSet<_> = cell().split_whitespace().map(str::to_owned).collect();
        if of_accounts.contains(line) {
            labels.insert("account".to_owned());
        }
        (name, (kind, labels))
    })
    .collect()
}

fn value(metrics: &BTreeMap<String, Metric>, name: &str, labels: &[(&str, &str)]) -> f64 {
    let matches = |own: &BTreeMap<String, String>| {
        labels
            .iter()
            .all(|(name, value)| own.get(*name).is_some_and(|own| own == value))
    };
    let metric = metrics.get(name).unwrap_or_else(|| panic!("{name}"));
    let found: Vec<_> = metric
        .series
        .iter()
        .filter(|(_, own, _)| matches(own))
        .collect();
    assert_eq!(found.len(), 1, "{name} {labels:?}: {found:?}");
    found.first().unwrap().2
}

/// A daemon that has done a little of everything, and its metrics.
pub(crate) fn lived_in() -> (Stage, tokend_harness::Daemon) {
    let stage = configured(AccountSpec::four(), "[audit]\nfile = \"audit.jsonl\"\n");
    let daemon = stage.site.start().unwrap();
    for account in ["ads", "jwt", "partner"] {
        stage.site.get(account).unwrap();
        stage.site.get(account).unwrap();
    }
    stage.sim.fail(Rule::once(
        "firebase",
        Fault::before(FaultKind::status(500)),
    ));
    assert_eq!(
        stage.site.tokenctl(&["get", "firebase"]).unwrap().code,
        Some(75)
    );
    assert_eq!(stage.site.tokenctl(&["reload"]).unwrap().code, Some(0));
    let good = fs::read_to_string(stage.site.configuration()).unwrap();
    fs::write(stage.site.configuration(), "nonsense = 1").unwrap();
    assert_eq!(stage.site.tokenctl(&["reload"]).unwrap().code, Some(78));
    fs::write(stage.site.configuration(), good).unwrap();
    (stage, daemon)
}

#[test]
#[expect(
    clippy::too_many_lines,
    reason = "one assertion for each metric, on one daemon"
)]
fn metrics_are_as_documented() {
    let (stage, _daemon) = lived_in();
    let text = metrics(&stage);
    promtool(&["check", "metrics"], &text);
    let found = read(&text);
    let documented = documented();
    let names = |it: Vec<&String>| it.into_iter().cloned().collect::<BTreeSet<_>>();
    assert_eq!(
        names(found.keys().collect()),
        names(documented.keys().collect())
    );
    for (name, (kind, labels)) in &documented {
        let metric = &found[name];
        assert_eq!(&metric.kind, kind, "{name}");
        assert!(!metric.series.is_empty(), "{name}");
        for (_, own, _) in &metric.series {
            let own: BTreeSet<_> = own.keys().filter(|it| *it != "le").cloned().collect();
            assert_eq!(&own, labels, "{name}");
        }
    }
    let is = |name, labels: &[(&str, &str)]| value(&found, name, labels);
    let close = |found: f64, expected: f64| (found - expected).abs() < 0.5;
    assert!(close(
        is(
            "tokend_requests_total",
            &[("request", "get"), ("outcome", "ok")]
        ),
        6.0
    ));
    assert!(close(is("tokend_accounts", &[("state", "valid")]), 3.0));
    assert!(close(
        is(
            "tokend_account_state",
            &[("account", "jwt"), ("state", "valid")]
        ),
        1.0
    ));
    assert!(close(
        is("tokend_account_failures", &[("account", "firebase")]),
        1.0
    ));
    let failed = [
        ("account", "firebase"),
        ("kind", "login"),
        ("outcome", "misbehaved"),
    ];
    assert!(
        close(is("tokend_account_attempts_total", &failed), 1.0),
        "{text}"
    );
    let granted = [
        ("dialect", "jwt-api"),
        ("kind", "login"),
        ("outcome", "granted"),
    ];
    assert!(close(is("tokend_attempts_total", &granted), 1.0));
    let left = is(
        "tokend_account_token_remaining_seconds",
        &[("account", "jwt")],
    );
    assert!((3000.0..=3600.0).contains(&left), "{left}");
    assert!(close(
        is("tokend_reloads_total", &[("result", "refused")]),
        1.0
    ));
    assert!(close(is("tokend_last_reload_successful", &[]), 0.0));
    assert!(is("tokend_store_writes_total", &[("result", "ok")]) > 6.0);
    assert!(is("tokend_connections", &[]) >= 1.0);
    for secret in stage.sim.secrets() {
        assert!(!text.contains(&secret));
    }
}

#[test]
fn counters_survive_a_reload_and_totals_stay_without_accounts() {
    let (stage, daemon) = lived_in();
    let mut text = fs::read_to_string(stage.site.configuration()).unwrap();
    text.insert_str(0, "[metrics]\naccounts = false\n");
    fs::write(stage.site.configuration(), text).unwrap();
    assert_eq!(stage.site.tokenctl(&["reload"]).unwrap().code, Some(0));
    let found = read(&metrics(&stage));
    assert!(!found.keys().any(|name| name.starts_with("tokend_account_")));
    assert!(value(&found, "tokend_accounts", &[("state", "valid")]) > 2.5);
    let granted = [
        ("dialect", "jwt-api"),
        ("kind", "login"),
        ("outcome", "granted"),
    ];
    assert!(value(&found, "tokend_attempts_total", &granted) > 0.5);
    assert!(value(&found, "tokend_last_reload_successful", &[]) > 0.5);
    assert!(daemon.terminate().unwrap().success());
}

#[test]
fn very_many_accounts_come_in_parts_that_make_one_whole() {
    let stage = configured(AccountSpec::four(), "");
    let mut text = fs::read_to_string(stage.site.configuration()).unwrap();
    for number in 0..2_000 {
        let _written = writeln!(
            text,
            "[account.a{number:04}]\nprovider = \"ad-verification\"\nbase_url = \"https://ads.example.com\"\nusername = \"u{number}\"\n"
        );
    }
    fs::write(stage.site.configuration(), text).unwrap();
    let _daemon = stage.site.start().unwrap();
    let found = read(&metrics(&stage));
    assert_eq!(found["tokend_account_state"].series.len(), 20_040);
    assert_eq!(found["tokend_account_attempts_total"].series.len(), 44_088);
    assert_eq!(found["tokend_account_token"].series.len(), 2_004);
}

#[test]
fn http_serves_the_same_and_nothing_else() {
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let preamble = format!("[metrics]\nlisten = \"127.0.0.1:{port}\"\n");
    let stage = configured(AccountSpec::four(), &preamble);
    let daemon = stage.site.start().unwrap();
    let at = |path: &str| format!("http://127.0.0.1:{port}{path}");
    let reply = probe::get(at("/metrics")).send().unwrap();
    assert_eq!(reply.status, 200);
    let kind = reply.headers.get("content-type").unwrap().to_str().unwrap();
    assert_eq!(kind, "text/plain; version=0.0.4; charset=utf-8");
    promtool(&["check", "metrics"], &reply.body);
    let (over_http, over_socket) = (read(&reply.body), read(&metrics(&stage)));
    assert!(over_http.keys().eq(over_socket.keys()));
    for (method, path, status) in [
        ("POST", "/metrics", 405),
        ("HEAD", "/metrics", 405),
        ("GET", "/", 404),
        ("GET", "/metrics/", 404),
        ("DELETE", "/tokens", 404),
    ] {
        let reply = probe::get(at(path)).method(method).send().unwrap();
        assert_eq!(reply.status, status, "{method} {path}");
    }
    // A client that sends nothing, or nonsense, delays no other client.
    let silent: Vec<_> = (0..4)
        .map(|_| std::net::TcpStream::connect(("127.0.0.1", port)).unwrap())
        .collect();
    let mut wrong = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    wrong.write_all(b"\x00\x01\x02 nonsense\r\n\r\n").unwrap();
    assert_eq!(probe::get(at("/metrics")).send().unwrap().status, 200);
    drop(silent);
    assert!(daemon.terminate().unwrap().success());
}

#[test]
fn requests_that_are_not_finished_keep_nobody_from_reading() {
    let stage = configured(
        vec![account("it", Api::JwtApi)],
        "[metrics]\nlisten = \"unix:metrics.sock\"\n",
    );
    let _daemon = stage.site.start().unwrap();
    let socket = stage.site.path().join("metrics.sock");
    let connect = || UnixStream::connect(&socket).unwrap();
    let half: Vec<_> = (0..100)
        .map(|_| {
            let mut stream = connect();
            stream.write_all(b"GET /metrics HTTP/1.1\r\nHo").unwrap();
            stream
        })
        .collect();
    let mut reader = connect();
    // Sooner than the time limit ends the other connections.
    let soon = Some(std::time::Duration::from_secs(4));
    reader.set_read_timeout(soon).unwrap();
    reader
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: tokend\r\n\r\n")
        .unwrap();
    let mut start = [0; 13];
    reader.read_exact(&mut start).unwrap();
    assert_eq!(&start, b"HTTP/1.1 200 ");
    drop(half);
}

#[test]
fn only_those_who_are_allowed_read_them() {
    let own = rustix::process::geteuid().as_raw();
    let stage = configured(
        AccountSpec::four(),
        "admin = [{ user = 4242 }]\n[metrics]\nlisten = \"unix:metrics.sock\"\n",
    );
    let ask = |stage: &Stage| {
        let mut stream = UnixStream::connect(stage.site.path().join("metrics.sock")).unwrap();
        stream
            .write_all(b"GET /metrics HTTP/1.1\r\nHost: tokend\r\n\r\n")
            .unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        reply
    };
    let daemon = stage.site.start().unwrap();
    let said = stage.site.tokenctl(&["metrics"]).unwrap();
    assert_eq!((said.code, said.out.as_str()), (Some(77), ""), "{said:?}");
    let reply = ask(&stage);
    assert!(reply.starts_with("HTTP/1.1 403 "), "{reply}");
    assert!(!reply.contains("tokend_"));
    assert!(daemon.terminate().unwrap().success());

    let text = fs::read_to_string(stage.site.configuration()).unwrap();
    let allow = format!("[metrics]\nallow = [{{ user = {own} }}]\n");
    fs::write(
        stage.site.configuration(),
        text.replace("[metrics]\n", &allow),
    )
    .unwrap();
    let _daemon = stage.site.start().unwrap();
    read(&metrics(&stage));
    let reply = ask(&stage);
    assert!(reply.starts_with("HTTP/1.1 200 "), "{reply}");
    assert!(reply.contains("tokend_account_state{account=\"ads\""));
}

#[test]
fn a_socket_that_systemd_passes_for_metrics_is_one_of_tcp() {
    let stage = configured(vec![account("it", Api::JwtApi)], "");
    let site = &stage.site;
    let socket = site.path().join("passed.sock");
    let mut daemon = Command::new("systemd-socket-activate")
        .args(["--fdname=metrics", "-l"])
        .arg(&socket)
        .arg(&site.binaries().tokend)
        .args(["run", "--config"])
        .arg(site.configuration())
        .arg("--state-dir")
        .arg(site.state())
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("systemd-socket-activate, which tests/setup installs with systemd");
    // It starts the daemon for the first connection.
    let connected = wait_for("the socket", PATIENCE, || UnixStream::connect(&socket).ok());
    let status = wait_for("the daemon to refuse", PATIENCE, || {
        daemon.try_wait().unwrap()
    });
    let mut log = String::new();
    let mut stderr = daemon.stderr.take().unwrap();
    stderr.read_to_string(&mut log).unwrap();
    assert!(connected.is_ok(), "{log}");
    assert_eq!(status.unwrap().code(), Some(78), "{log}");
    let wanted = "what systemd passed for metrics is not a listening TCP socket";
    assert!(log.contains(wanted), "{log}");
}
