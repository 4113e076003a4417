//! What is in the process and around it when everything has gone wrong: no secret that should not be there.

use std::{collections::BTreeSet, fs};

use base64::{Engine as _, prelude::BASE64_STANDARD, prelude::BASE64_URL_SAFE_NO_PAD};
use tokend_tests::simulator::fault::{Fault, FaultKind, Rule};

use crate::{
    disk::FailingWrites,
    raw::Raw,
    scene::{FAST, Scene, WELL},
    wire::{Wire, announce, hello},
};

/// A secret in every form it takes on its way: as it is, percent-encoded, in JSON, in both alphabets of base64 and in hexadecimal.
fn forms(secret: &str) -> BTreeSet<String> {
    let json = serde_json::to_string(secret).unwrap();
    let hex = secret.bytes().map(|byte| format!("{byte:02x}"));
    BTreeSet::from([
        secret.to_owned(),
        form_urlencoded::byte_serialize(secret.as_bytes()).collect(),
        json.trim_matches('"').to_owned(),
        BASE64_STANDARD
            .encode(secret)
            .trim_end_matches('=')
            .to_owned(),
        BASE64_URL_SAFE_NO_PAD.encode(secret),
        hex.collect(),
        secret
            .bytes()
            .map(|byte| format!("\\u{byte:04x}"))
            .collect(),
    ])
}

/// Secrets in a text, in whatever form.
pub(crate) fn found(text: &str, secrets: &[String]) -> Vec<String> {
    let all = secrets.iter().flat_map(|secret| forms(secret));
    all.filter(|form| text.contains(form)).collect()
}

/// Everything `tokenctl` shows of an account, but its token.
fn shown(scene: &Scene, account: &str) -> String {
    let commands: [&[&str]; 4] = [
        &["refresh", account],
        &["status", account],
        &["status", account, "--json"],
        &["get", account, "--min-validity", "100d"],
    ];
    let said = commands.map(|command| scene.site.tokenctl(command).unwrap());
    said.map(|said| format!("{}{}", said.out, said.err))
        .concat()
}

#[test]
fn no_failure_brings_a_secret_into_the_open() {
    // What a provider is sent comes back in its answer, in every wrapping: in JSON, in HTML, as a header, in a redirect.
    let echo = |status: &'static str, wrap: fn(&str) -> (String, String)| {
        Raw::start(move |talk| {
            let request = talk.request();
            let (headers, body) = wrap(&request);
            talk.say(&crate::raw::reply(status, &headers, body.as_bytes()));
            talk.hang_up();
        })
    };
    let echoing = [
        (
            "e-json",
            echo("500 Oops", |request| {
                (
                    String::new(),
                    serde_json::json!({ "detail": request }).to_string(),
                )
            }),
        ),
        (
            "e-code",
            echo("400 Bad Request", |request| {
                (
                    String::new(),
                    serde_json::json!({ "error": request, "error_description": request })
                        .to_string(),
                )
            }),
        ),
        (
            "e-html",
            echo("502 Bad Gateway", |request| {
                (
                    "Content-Type: text/html\r\n".into(),
                    format!("<pre>{request}</pre>"),
                )
            }),
        ),
        (
            "e-base64",
            echo("422 Unprocessable", |request| {
                (String::new(), BASE64_STANDARD.encode(request))
            }),
        ),
        (
            "e-type",
            echo("200 OK", |request| {
                (
                    String::new(),
                    serde_json::json!({ "access_token": "t", "token_type": request }).to_string(),
                )
            }),
        ),
        (
            "e-where",
            echo("307 Elsewhere", |request| {
                let body = request.rsplit("\r\n").next().unwrap_or_default();
                (
                    format!("Location: https://example.com/?{body}\r\n"),
                    String::new(),
                )
            }),
        ),
        (
            "e-header",
            echo("503 Later", |request| {
                let body = request.rsplit("\r\n").next().unwrap_or_default();
                (
                    format!("Retry-After: {body}\r\nWWW-Authenticate: {body}\r\n"),
                    String::new(),
                )
            }),
        ),
    ];
    let accounts: Vec<_> = echoing
        .iter()
        .map(|(name, raw)| (*name, raw.http()))
        .collect();
    let scene = Scene::new(
        "[log]\nlevel = \"trace\"\n[audit]\nfile = \"audit.jsonl\"\n[http]\ntimeout = \"2s\"\n",
        FAST,
        &accounts,
    );
    let daemon = scene.site.start().unwrap();
    let mut said = String::new();
    for (name, _) in &echoing {
        said += &scene.site.tokenctl(&["get", name]).unwrap().err;
        said += &shown(&scene, name);
    }
    scene.well();
    let faults = [
        FaultKind::Reset,
        FaultKind::Garbage,
        FaultKind::Truncated,
        FaultKind::status(500),
        FaultKind::Hang,
    ];
    for kind in faults {
        scene.sim.fail(Rule::once(WELL, Fault::after(kind)));
        said += &shown(&scene, WELL);
    }
    let token = scene.site.get(WELL).unwrap();
    for _ in 0..2 {
        said += &scene
            .site
            .tokenctl_with(&["reject", WELL], &token)
            .unwrap()
            .err;
    }
    // A token in a message the daemon refuses: cut, too long, and of a word it does not know.
    for bytes in [hello(), announce(70_000).to_vec(), announce(200).to_vec()] {
        let mut wire = Wire::silent(&scene.site);
        wire.say(&[&bytes[..], &announce(200), token.as_bytes()].concat());
        wire.stream.shutdown(std::net::Shutdown::Write).unwrap();
        said += &format!("{:?}", wire.hear_out());
    }
    let failing = FailingWrites::of(&daemon, "EIO");
    said += &shown(&scene, WELL);
    failing.end(&daemon);
    assert!(daemon.terminate().unwrap().success());

    let secrets = scene.sim.secrets();
    assert!(
        secrets.len() >= 5,
        "credentials and tokens of several grants"
    );
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
}

#[test]
fn the_process_cannot_be_dumped_or_looked_into_by_its_own_user() {
    let scene = Scene::new("", FAST, &[]);
    let daemon = scene.site.start().unwrap();
    scene.well();
    let proc = format!("/proc/{}", daemon.pid());
    // A process that may not be dumped has its files in /proc owned by root, whoever it runs as.
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
    // Killed in the way that dumps core elsewhere, it leaves nothing in its directory.
    daemon.signal(rustix::process::Signal::ABORT).unwrap();
    daemon.wait().unwrap();
    let left = fs::read_dir(scene.site.path()).unwrap();
    assert!(left.into_iter().all(|entry| {
        !entry
            .unwrap()
            .file_name()
            .to_string_lossy()
            .contains("core")
    }));
}
