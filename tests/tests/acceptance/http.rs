//! HTTP and JSON on a Unix socket, as curl speaks it, against `proto/openapi.json`.

mod failures;
mod limits;

use std::{
    fs,
    io::{self, Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    os::unix::{fs::PermissionsExt as _, net::UnixStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use serde_json::{Value, json};
use tokend_harness::{
    Daemon, Site,
    clock::{PATIENCE, wait_for, wait_until},
};
use tokend_provider_simulator::{fault::Fault, spec::Api};

use crate::stage::{Stage, slow};

/// The contract, whose words these tests compare with.
const CONTRACT: &str = include_str!("../../../proto/openapi.json");

/// The last request of a connection.
const TOKEN: &str =
    "GET /v1/accounts/it/token HTTP/1.1\r\nhost: t\r\nx-tokend: 1\r\nconnection: close\r\n\r\n";

/// An answer over HTTP.
#[derive(Debug)]
struct Answer {
    status: u16,
    kind: String,
    /// The value of `Retry-After`, if it is there.
    retry_after: String,
    body: String,
}

impl Answer {
    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The code of a problem, after a look at its other members.
    #[track_caller]
    fn code(&self) -> String {
        let problem = self.json();
        let text = |key: &str| problem.get(key).and_then(Value::as_str).unwrap().to_owned();
        assert_eq!(self.kind, "application/problem+json", "{problem}");
        assert_eq!(
            problem.get("status"),
            Some(&json!(self.status)),
            "{problem}"
        );
        let code = text("code");
        assert_eq!(text("type"), format!("urn:tokend:problem:{code}"));
        assert!(!text("title").is_empty() && !text("detail").is_empty());
        assert!(
            CONTRACT.contains(&format!("`{code}` ({})", self.status)),
            "{problem}"
        );
        code
    }
}

fn socket(site: &Site) -> PathBuf {
    site.path().join("http.sock")
}

/// Lets the daemon of this site listen, and starts it.
fn start(stage: &Stage, more: &str) -> Daemon {
    let path = stage.site.configuration();
    let text = fs::read_to_string(&path).unwrap();
    fs::write(
        &path,
        format!("[listen]\nhttp = \"http.sock\"\n{more}{text}"),
    )
    .unwrap();
    stage.site.start().unwrap()
}

fn curl(site: &Site, arguments: &[&str]) -> Command {
    let mut command = Command::new("curl");
    command
        .args([
            "--silent",
            "--show-error",
            "--max-time",
            "60",
            "--unix-socket",
        ])
        .arg(socket(site))
        .args(arguments)
        .stdin(Stdio::null());
    command
}

/// Asks for this path, with these arguments of curl.
fn ask_with(site: &Site, path: &str, arguments: &[&str]) -> Answer {
    let written = "\n%{http_code} %{content_type} %header{retry-after}";
    let url = format!("http://tokend{path}");
    let output = curl(site, arguments)
        .args(["-w", written, &url])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{path}: {error}");
    let (body, end) = text.rsplit_once('\n').unwrap();
    let mut end = end.splitn(3, ' ');
    let mut next = || end.next().unwrap().to_owned();
    let (status, kind, retry_after) = (next(), next(), next());
    Answer {
        status: status.parse().unwrap(),
        kind,
        retry_after,
        body: body.to_owned(),
    }
}

fn ask(site: &Site, path: &str) -> Answer {
    ask_with(site, path, &["-H", "X-Tokend: 1"])
}

/// Asks until the answer is like this: right after a failure the rate limit lets nobody begin.
fn ask_until(site: &Site, path: &str, like: impl Fn(&Answer) -> bool) -> Answer {
    let asked = || Some(ask(site, path)).filter(&like);
    wait_for("an answer", PATIENCE, asked).unwrap()
}

/// A connection that the test itself speaks on.
fn connect(site: &Site) -> UnixStream {
    let stream = UnixStream::connect(socket(site)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn say(mut stream: &UnixStream, text: &str) {
    stream.write_all(text.as_bytes()).unwrap();
}

/// What comes on it until its end.
fn rest(mut stream: UnixStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

fn post(site: &Site, path: &str, body: &Value) -> Answer {
    let body = body.to_string();
    let arguments = [
        "-H",
        "X-Tokend: 1",
        "-H",
        "Content-Type: application/json",
        "-d",
        &body,
    ];
    ask_with(site, path, &arguments)
}

#[test]
fn the_answers_are_those_of_tokenctl() {
    let stage = Stage::on_demand(Api::JwtApi);
    let _daemon = start(&stage, "");
    let site = &stage.site;
    let health = ask(site, "/v1/health");
    assert_eq!((health.status, &*health.kind), (200, "application/json"));
    assert_eq!(health.json()["status"], "ok");

    let without_daemon = |arguments: &[&str]| {
        let mut printed = site.tokenctl(arguments).unwrap().json().unwrap();
        printed.as_object_mut().unwrap().remove("daemon");
        printed
    };
    let token = ask(site, "/v1/accounts/it/token");
    assert_eq!(token.status, 200, "{token:?}");
    let (mut over_http, mut printed) = (
        token.json(),
        without_daemon(&["get", "it", "--format", "json"]),
    );
    for answer in [&mut over_http, &mut printed] {
        assert!(
            answer
                .as_object_mut()
                .unwrap()
                .remove("expires_in")
                .is_some()
        );
    }
    assert_eq!(over_http, printed);

    let mut who = ask(site, "/v1/whoami").json();
    let mut printed = without_daemon(&["whoami", "--json"]);
    for who in [&mut who, &mut printed] {
        for own in ["pid", "executable", "sha256", "executable_is_there"] {
            who.as_object_mut().unwrap().remove(own);
        }
    }
    assert_eq!(who, printed);

    let one = ask(site, "/v1/accounts/it/status").json();
    assert_eq!(
        (&one["account"], &one["state"]),
        (&json!("it"), &json!("valid"))
    );
    let all = ask(site, "/v1/status").json();
    assert_eq!(
        (&all["accounts"][0]["account"], &all["next"]),
        (&json!("it"), &Value::Null)
    );
    let printed = site
        .tokenctl(&["status", "--json"])
        .unwrap()
        .json()
        .unwrap();
    let keys = |it: &Value| it.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&one), keys(&printed[0]));

    let accounts = ask(site, "/v1/accounts").json();
    assert_eq!(accounts["accounts"][0]["account"], "it");
    assert!(accounts["accounts"][0]["urls"].is_array());
    assert_eq!(accounts["accounts"][0]["refused_below_400"], false);
}

#[test]
fn a_refused_token_is_reported_and_the_next_one_comes() {
    let stage = Stage::on_demand(Api::JwtApi);
    let _daemon = start(&stage, "");
    let site = &stage.site;
    let first = ask(site, "/v1/accounts/it/token").json();
    assert!(stage.accepted(Api::JwtApi, first["access_token"].as_str().unwrap()));
    stage.sim.end_access("it");
    let verdict = |status: u16, body: &str| {
        let answer = json!({"status": status, "body": body});
        post(site, "/v1/accounts/it/refusal", &answer).json()["refused"].clone()
    };
    assert_eq!(
        (verdict(401, ""), verdict(200, "")),
        (json!(true), json!(false))
    );
    let report = json!({"token": first["access_token"]});
    let second = post(site, "/v1/accounts/it/reject", &report);
    assert_eq!(second.status, 200, "{second:?}");
    let fresh = second.json()["access_token"].as_str().unwrap().to_owned();
    assert!(stage.accepted(Api::JwtApi, &fresh));
    // An old report brings the newer token and costs nothing.
    let again = post(site, "/v1/accounts/it/reject", &report).json();
    assert_eq!(again["access_token"], json!(fresh));
    assert_eq!(stage.requests(), 2);
}

#[test]
#[expect(clippy::too_many_lines, reason = "one row for each refusal")]
fn what_cannot_be_answered_is_a_problem_with_code_and_advice() {
    let stage = Stage::on_demand(Api::JwtApi);
    let _daemon = start(&stage, "");
    let site = &stage.site;
    let header = ["-H", "X-Tokend: 1"];
    for (path, arguments, status, code) in [
        ("/v1/health", &[][..], 403, "header-required"),
        ("/v1/health", &["-H", "X-Tokend: 2"], 403, "header-required"),
        (
            "/v1/health",
            &["-H", "X-Tokend: 1", "-H", "Origin: null"],
            403,
            "origin-refused",
        ),
        ("/v1/nothing", &header, 404, "unknown-path"),
        ("/", &header, 404, "unknown-path"),
        (
            "/v1/accounts/nobodys/token",
            &header,
            404,
            "unknown-account",
        ),
        ("/v1/accounts/..%2fit/token", &header, 400, "bad-request"),
        (
            "/v1/accounts/it/token?scope=x",
            &header,
            400,
            "invalid-scope",
        ),
        (
            "/v1/accounts/it/token?audience=x",
            &header,
            400,
            "invalid-target",
        ),
        (
            "/v1/accounts/it/watch?resource=x",
            &header,
            400,
            "invalid-target",
        ),
        (
            "/v1/accounts/it/token?min-validity=1",
            &header,
            400,
            "bad-request",
        ),
        (
            "/v1/accounts/it/token?min_validity=1m",
            &header,
            400,
            "bad-request",
        ),
        (
            "/v1/accounts/it/token?wait=1&wait=2",
            &header,
            400,
            "bad-request",
        ),
        (
            "/v1/accounts/it/token?min_validity=3000000",
            &header,
            422,
            "validity-unattainable",
        ),
        (
            "/v1/status",
            &["-H", "X-Tokend: 1", "-X", "DELETE"],
            405,
            "method-not-allowed",
        ),
        ("/v1/accounts/it/reject", &header, 405, "method-not-allowed"),
        (
            "/v1/accounts/it/reject",
            &["-H", "X-Tokend: 1", "-d", "{}"],
            415,
            "unsupported-media-type",
        ),
    ] {
        let answer = ask_with(site, path, arguments);
        let found = (answer.status, answer.code());
        assert_eq!(found, (status, code.to_owned()), "{path}");
        let problem = answer.json();
        assert!(problem["advice"].is_string() || status == 400, "{problem}");
    }
}

#[test]
fn each_release_and_each_denial_says_by_which_outlet() {
    let stage = Stage::on_demand(Api::JwtApi);
    let file = stage.site.path().join("audit.jsonl");
    let daemon = start(
        &stage,
        &format!("[audit]\nfile = {:?}\n", file.display().to_string()),
    );
    let site = &stage.site;
    assert_eq!(ask(site, "/v1/accounts/it/token").status, 200);
    assert_eq!(ask(site, "/v1/accounts/other/token").status, 404);
    site.get("it").unwrap();
    assert!(daemon.terminate().unwrap().success());
    let outlets = |file: &str, event: &str| {
        let records = fs::read_to_string(site.path().join(file)).unwrap();
        let records = records
            .lines()
            .map(|it| serde_json::from_str::<Value>(it).unwrap());
        let of_event = records.filter(|it| it["event"] == event);
        of_event.map(|it| it["outlet"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(
        outlets("audit.jsonl", "release"),
        [json!("http"), Value::Null]
    );
    assert_eq!(outlets("audit.jsonl.denied", "denial"), [json!("http")]);
}

#[test]
fn a_watch_streams_each_newer_token_and_its_end() {
    let stage = Stage::on_demand(Api::JwtApi);
    let daemon = start(&stage, "");
    let site = &stage.site;
    let headers = ["-N", "-H", "X-Tokend: 1", "-H", "Accept: text/event-stream"];
    let mut watch = curl(site, &headers)
        .arg("http://tokend/v1/accounts/it/watch")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = io::BufRead::lines(io::BufReader::new(watch.stdout.take().unwrap()));
    let mut event = || {
        let name = lines.find_map(|line| Some(line.unwrap().strip_prefix("event: ")?.to_owned()));
        let data = lines.next().unwrap().unwrap();
        let data: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(data.get("event").and_then(Value::as_str), name.as_deref());
        data
    };
    let first = event();
    stage.sim.end_access("it");
    post(
        site,
        "/v1/accounts/it/reject",
        &json!({"token": first["access_token"]}),
    );
    assert_eq!(event()["event"], "retired");
    let second = event();
    assert!(stage.accepted(Api::JwtApi, second["access_token"].as_str().unwrap()));
    assert_ne!(first["access_token"], second["access_token"]);
    assert!(daemon.terminate().unwrap().success());
    let retired_or_ended = event();
    assert_eq!(retired_or_ended["code"], "draining", "{retired_or_ended}");
    assert!(watch.wait().unwrap().success());
}

/// Passes connections at a loopback port on to the socket, for programs that know no Unix sockets.
fn port(site: &Site) -> u16 {
    let (listener, path) = (TcpListener::bind("127.0.0.1:0").unwrap(), socket(site));
    let port = listener.local_addr().unwrap().port();
    drop(std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let Ok(socket) = UnixStream::connect(&path) else {
                return;
            };
            let (from, to) = (stream.try_clone().unwrap(), socket.try_clone().unwrap());
            drop(std::thread::spawn(move || pass_on(from, to)));
            drop(std::thread::spawn(move || pass_back(socket, stream)));
        }
    }));
    port
}

fn pass_on(mut from: TcpStream, mut to: UnixStream) {
    // Either end may be gone first.
    drop(io::copy(&mut from, &mut to));
    drop(to.shutdown(Shutdown::Both));
}

fn pass_back(mut from: UnixStream, mut to: TcpStream) {
    drop(io::copy(&mut from, &mut to));
    drop(to.shutdown(Shutdown::Both));
}

/// The provider answers, so that nothing waits, and a failure is the daemon's.
#[test]
fn the_daemon_keeps_its_contract_with_whatever_schemathesis_thinks_of() {
    let tool = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../target/real-servers/schemathesis/venv/bin/schemathesis");
    assert!(tool.exists(), "run tests/setup first");
    let stage = Stage::on_demand(Api::JwtApi);
    let _daemon = start(&stage, "");
    // No token lives as long as some requests ask for.
    let settings = "[checks.positive_data_acceptance]\nexpected-statuses = [\"2xx\", \"403\", \"404\", \"409\", \"422\", \"429\", \"5xx\"]\n";
    fs::write(stage.site.path().join("schemathesis.toml"), settings).unwrap();
    let contract = concat!(env!("CARGO_MANIFEST_DIR"), "/../proto/openapi.json");
    let url = format!("http://127.0.0.1:{}", port(&stage.site));
    let output = Command::new(tool)
        .args([
            "run",
            contract,
            "--url",
            &url,
            "--no-color",
            "--generation-deterministic",
        ])
        // A timeout of nothing is a 504, and nobody else's fault; a watch has no end.
        .args([
            "--checks",
            "all",
            "--exclude-checks",
            "ignored_auth,not_a_server_error",
        ])
        .args(["--exclude-path", "/v1/accounts/{account}/watch"])
        .args([
            "--phases",
            "examples,coverage,fuzzing",
            "--max-examples",
            "10",
        ])
        .current_dir(stage.site.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    let log = stage.site.log().unwrap();
    assert!(!log.contains("ERROR"), "{log}");
}
