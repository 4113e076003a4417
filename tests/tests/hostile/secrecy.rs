//! The daemon's memory, files and output after every possible failure: no secret where none belongs.

use std::{fs, os::unix::process::ExitStatusExt as _, process::Command};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use rustix::process::Signal;
use serde_json::json;
use tokend_harness::{
    Daemon,
    clock::{PATIENCE, wait_until},
};
use tokend_provider_simulator::fault::{Fault, FaultKind, RetryAfter, Rule};

use crate::{
    disk::FailingWrites,
    failings::JSON,
    raw::{Raw, reply},
    scene::{FAST, Scene, WELL},
    wire::{Other, Wire, announce, hello},
};

pub(crate) use tokend_tests::secrecy::found;

/// The tokens that an echoing provider grants. Without digits: text that looks like a token is always hidden, and these must be
/// recognised.
const GRANTED: [&str; 2] = [
    "open~barley/said+the~bearer",
    "open~sesame/said+the~refresher",
];

/// The form in which a provider echoes a request: a status, header lines, and a body.
type Wrap = fn(&str) -> (&'static str, String, String);

/// Every form: in JSON, as a code, in HTML, in base64, as a type of token, in a redirect, in headers.
fn wrappings() -> [(&'static str, Wrap); 7] {
    [
        ("json", |sent| {
            let body = json!({ "detail": sent });
            ("500 Oops", String::new(), body.to_string())
        }),
        ("code", |sent| {
            let body = json!({ "error": line(sent), "error_description": sent });
            ("400 Bad Request", String::new(), body.to_string())
        }),
        ("html", |sent| {
            let html = "Content-Type: text/html\r\n".to_owned();
            ("502 Bad Gateway", html, format!("<title>{sent}</title>"))
        }),
        ("base64", |sent| {
            let body = BASE64_STANDARD.encode(sent);
            ("422 Unprocessable", String::new(), body)
        }),
        ("type", |sent| {
            let body = json!({ "access_token": "t", "token_type": line(sent) });
            ("200 OK", String::new(), body.to_string())
        }),
        ("where", |sent| {
            let place = format!("Location: https://example.com/{0}?{0}\r\n", line(sent));
            ("307 Elsewhere", place, String::new())
        }),
        ("header", |sent| {
            let headers = format!("Retry-After: {0}\r\nWWW-Authenticate: {0}\r\n", line(sent));
            ("503 Later", headers, String::new())
        }),
    ]
}

/// The first line of the request, because a header has only one.
fn line(sent: &str) -> &str {
    sent.lines().next().unwrap_or_default()
}

/// The secret part of a request, on one line: its body or, if it has none, the refresh token in its header.
fn carried(request: &str) -> &str {
    let token = request
        .lines()
        .find_map(|line| line.strip_prefix("refresh-token: "));
    token.or_else(|| request.lines().last()).unwrap_or_default()
}

/// A provider that echoes the request, the secret part first, because only the beginning of a long text is reported. A granting one echoes
/// only refreshes, and gives tokens for every login.
fn echo(wrap: Wrap, grants: bool) -> Raw {
    let [access, refresh] = GRANTED;
    let granted = json!({ "access_token": access, "refresh_token": refresh, "expires_in": 3600 });
    Raw::start(move |talk| {
        let request = talk.request();
        let (status, headers, body) = match grants && request.starts_with("POST /auth/jwt/login") {
            true => ("200 OK", JSON.to_owned(), granted.to_string()),
            false => wrap(&format!("{}\r\n{request}", carried(&request))),
        };
        talk.say(&reply(status, &headers, body.as_bytes()));
        talk.hang_up();
    })
}

/// Providers that echo a login (`e-`) or a refresh (`r-`), in every form.
fn echoing() -> Vec<(String, Raw)> {
    let kinds = [("e", false), ("r", true)].into_iter();
    let providers = kinds.flat_map(|(letter, grants)| {
        wrappings().map(|(name, wrap)| (format!("{letter}-{name}"), echo(wrap, grants)))
    });
    providers.collect()
}

/// Everything that `tokenctl` shows of an account, except its token.
fn shown(scene: &Scene, account: &str) -> String {
    let commands: [&[&str]; 4] = [
        &["refresh", account],
        &["status", account],
        &["status", account, "--json"],
        &["get", account, "--min-validity", "100d"],
    ];
    output(scene, &commands)
}

/// The standard output and standard error of these `tokenctl` commands.
fn output(scene: &Scene, commands: &[&[&str]]) -> String {
    let said = commands
        .iter()
        .map(|command| scene.site.tokenctl(command).unwrap());
    said.map(|said| said.out + &said.err).collect()
}

/// The messages about providers that echo the request.
fn echoed(scene: &Scene, echoing: &[(String, Raw)]) -> String {
    let mut said = String::new();
    for (name, raw) in echoing {
        said += &scene.site.tokenctl(&["get", name]).unwrap().err;
        said += &shown(scene, name);
        let least = if name.starts_with("r-") { 2 } else { 1 };
        assert!(raw.requests() >= least, "{name} had nothing to send back");
    }
    for path in ["login", "refresh"] {
        assert!(
            said.contains(&format!("[redacted] POST /auth/jwt/{path}")),
            "the reply is shown without the secret: {said}"
        );
    }
    said
}

/// The messages about a refresh that fails, in every way the simulator knows.
fn failed(scene: &Scene) -> String {
    let soon = RetryAfter::Text("soon".to_owned());
    let kinds = [
        FaultKind::Reset,
        FaultKind::Garbage,
        FaultKind::Truncated,
        FaultKind::status(500),
        FaultKind::Hang,
        FaultKind::Slow { ms: 200 },
        FaultKind::Throttled { retry_after: None },
        FaultKind::Throttled {
            retry_after: Some(soon),
        },
        FaultKind::Huge { bytes: 3_000_000 },
        FaultKind::Trickle,
        FaultKind::WrongContentType,
        FaultKind::redirect("https://example.com/"),
    ];
    let met = || scene.sim.log(WELL).count(|entry| entry.fault.is_some());
    let mut said = String::new();
    for (already, kind) in kinds.into_iter().enumerate() {
        let what = format!("{kind:?}");
        scene.sim.fail(Rule::once(WELL, Fault::after(kind)));
        said += &shown(scene, WELL);
        assert_eq!(met(), already + 1, "{what} was met");
        // So that the next attempt is again a refresh that fails.
        wait_until("the account to be well", PATIENCE, || {
            scene.site.tokenctl(&["refresh", WELL]).unwrap().code == Some(0)
        })
        .unwrap();
    }
    said
}

/// The messages about a rejected token, and about frames that the daemon refuses.
fn refused(scene: &Scene) -> String {
    let token = scene.site.get(WELL).unwrap();
    let mut said = String::new();
    for _ in 0..2 {
        let rejected = scene.site.tokenctl_with(&["reject", WELL], &token);
        said += &rejected.unwrap().err;
    }
    // Cut off, too long, and with an unknown word.
    for bytes in [hello(), announce(70_000).to_vec(), announce(200).to_vec()] {
        let mut wire = Wire::silent(&scene.site);
        wire.say(&[&bytes[..], &announce(200), token.as_bytes()].concat());
        wire.stream.shutdown(std::net::Shutdown::Write).unwrap();
        said += &format!("{:?}", wire.hear_out());
    }
    said
}

#[test]
fn no_failure_brings_a_secret_into_the_open() {
    let echoing = echoing();
    let accounts: Vec<_> = echoing
        .iter()
        .map(|(name, raw)| (name.as_str(), raw.http()))
        .collect();
    let scene = Scene::new(
        "[log]\nlevel = \"trace\"\n[audit]\nfile = \"audit.jsonl\"\n[http]\ntimeout = \"2s\"\n",
        FAST,
        &accounts,
    );
    let daemon = scene.site.start().unwrap();
    let mut said = echoed(&scene, &echoing);
    scene.well();
    said += &failed(&scene);
    said += &refused(&scene);
    let failing = FailingWrites::of(&daemon, "EIO");
    said += &shown(&scene, WELL);
    failing.end(&daemon);
    let metrics = output(&scene, &[&["metrics"]]);
    let status = output(&scene, &[&["status", "--json"]]);
    assert!(metrics.contains("tokend_requests_total"), "{metrics}");
    assert!(status.contains("\"r-header\""), "{status}");
    assert!(daemon.terminate().unwrap().success());

    let mut secrets = scene.sim.secrets();
    assert!(
        secrets.len() >= 5,
        "credentials and tokens of several grants"
    );
    secrets.extend(GRANTED.map(str::to_owned));
    let log = scene.site.log().unwrap();
    assert!(log.contains("connection ended"), "every level is on");
    assert!(
        !log.contains("panic"),
        "nor is there a panic that could tell one"
    );
    assert_eq!(found(&log, &secrets), [""; 0], "in the log");
    let audit = fs::read_to_string(scene.site.path().join("audit.jsonl")).unwrap();
    assert!(audit.contains("release") && audit.contains("e-header"));
    assert_eq!(found(&audit, &secrets), [""; 0], "in the audit records");
    assert_eq!(found(&said, &secrets), [""; 0], "in what tokenctl said");
    assert_eq!(found(&metrics, &secrets), [""; 0], "in the metrics");
    assert_eq!(found(&status, &secrets), [""; 0], "in the status of all");
}

/// Whether a program started this way may open a file for reading; its error if not.
fn may_open(wrapper: &[&str], path: &str) -> Result<(), String> {
    let input = format!("if={path}");
    // Opens the file, and reads nothing.
    let line = [wrapper, &["dd", input.as_str(), "count=0", "status=none"]].concat();
    let (program, arguments) = line.split_first().unwrap();
    let mut command = Command::new(program);
    let output = command.args(arguments).env("LC_ALL", "C").output().unwrap();
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

/// Its own user may not look into the daemon; if root runs the tests, the daemon runs as nobody, because permissions do not bind root.
fn is_closed_to_its_own_user() {
    let scene = Scene::new("", FAST, &[]);
    let root = rustix::process::geteuid().is_root();
    let other = root.then(|| Other::at(&scene.site));
    let mut wrapper = Vec::new();
    if other.is_some() {
        wrapper.extend(["setpriv", "--reuid", Other::UID, "--regid", Other::UID]);
        wrapper.extend(["--clear-groups", "--"]);
        let owner = format!("{0}:{0}", Other::UID);
        let mut give = Command::new("chown");
        let status = give.args(["-R", &owner]).arg(scene.site.path()).status();
        assert!(status.unwrap().success());
    }
    let daemon = Daemon::spawn_under(&wrapper, &scene.site).unwrap();
    wait_until("a token", PATIENCE, || match &other {
        Some(other) => other.tokenctl(&["get", WELL]).status.success(),
        None => scene.site.get(WELL).is_ok(),
    })
    .unwrap();
    assert_eq!(may_open(&wrapper, "/proc/self/mem"), Ok(()));
    for file in ["mem", "maps", "environ"] {
        let refusal = may_open(&wrapper, &format!("/proc/{}/{file}", daemon.pid())).unwrap_err();
        let closed = ["Permission denied", "Operation not permitted"];
        assert!(
            closed.iter().any(|words| refusal.contains(words)),
            "{refusal}"
        );
    }
}

#[test]
fn the_process_cannot_be_dumped_or_looked_into_by_its_own_user() {
    let scene = Scene::new("", FAST, &[]);
    // A place where it may leave a dump, and where the test would find it.
    let place = format!("--chdir={}", scene.site.path().display());
    let wrapper = ["env", place.as_str(), "prlimit", "--core=unlimited"];
    let daemon = Daemon::start_under(&wrapper, &scene.site).unwrap();
    scene.well();
    let proc = format!("/proc/{}", daemon.pid());
    let limits = fs::read_to_string(format!("{proc}/limits")).unwrap();
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"))
        .unwrap();
    assert_eq!(
        core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(),
        ["0", "0"]
    );
    let status = fs::read_to_string(format!("{proc}/status")).unwrap();
    assert!(status.contains("NoNewPrivs:\t1"), "{status}");
    let environment = fs::read(format!("{proc}/environ")).unwrap_or_default();
    let arguments = fs::read(format!("{proc}/cmdline")).unwrap();
    let secrets = scene.sim.secrets();
    for bytes in [environment, arguments] {
        assert_eq!(found(&String::from_utf8_lossy(&bytes), &secrets), [""; 0]);
    }
    // Killed by a signal that dumps core elsewhere, it leaves nothing in its directory.
    daemon.signal(Signal::ABORT).unwrap();
    let ended = daemon.wait().unwrap();
    assert_eq!(ended.signal(), Some(Signal::ABORT.as_raw()));
    assert!(!ended.core_dumped(), "{ended}");
    let left = fs::read_dir(scene.site.path()).unwrap();
    assert!(left.into_iter().all(|entry| {
        !entry
            .unwrap()
            .file_name()
            .to_string_lossy()
            .contains("core")
    }));
    is_closed_to_its_own_user();
}
