//! A provider that fails in every possible way: each failure is reported, none harms the daemon, no other account waits.

use tokend_harness::clock::{PATIENCE, wait_until};

use crate::{
    failings::{GOOD, JSON, broken, hanging},
    raw::{FullBacklog, Raw, reply},
    scene::{FAST, Scene, WELL, account, kib},
    secrecy::found,
};

/// Short, so that a provider that hangs does not hold up the test.
const LIMITS: &str = "[http]\nconnect_timeout = \"2s\"\ntimeout = \"3s\"\n";

/// The most memory the daemon may use, whatever a provider sends: it reads 1 MiB of a reply and a few hundred KiB of headers, for each
/// attempt in flight. In KiB, including an idle daemon's memory.
const MEMORY_BOUND: u64 = 96 * 1024;

/// An account for each of these providers, by its name.
fn served_by<'a>(providers: &[(&'a str, Raw)]) -> Vec<(&'a str, String)> {
    providers
        .iter()
        .map(|(name, raw)| (*name, raw.http()))
        .collect()
}

#[test]
fn a_provider_that_hangs_at_any_stage_delays_only_its_own_accounts() {
    let (backlog, hanging) = (FullBacklog::start(), hanging());
    let silent = Raw::start(|talk| talk.stay());
    let mut accounts = served_by(&hanging);
    accounts.push(("connect", backlog.http()));
    accounts.push(("handshake", silent.https()));
    let scene = Scene::new(LIMITS, FAST, &accounts);
    let daemon = scene.site.start().unwrap();
    std::thread::scope(|scope| {
        let waiting: Vec<_> = accounts
            .iter()
            .map(|(name, _)| {
                (
                    name,
                    scope.spawn(|| scene.site.tokenctl(&["get", name]).unwrap()),
                )
            })
            .collect();
        let asked = || hanging.iter().all(|(_, raw)| raw.requests() == 1);
        wait_until("all of them to have been asked", PATIENCE, asked).unwrap();
        scene.well();
        for (name, get) in &waiting {
            assert!(
                !get.is_finished(),
                "{name} had ended before another account was served"
            );
        }
        for (name, get) in waiting {
            let said = get.join().unwrap();
            assert_eq!(said.code, Some(75), "{name}: {said:?}");
            assert!(
                said.err.contains("timed out") && said.err.contains("try again"),
                "{name}: {said:?}"
            );
        }
    });
    for (name, raw) in &hanging {
        assert_eq!(raw.requests(), 1, "{name}: a request is never repeated");
    }
    assert!(daemon.terminate().unwrap().success());
}

#[test]
fn an_answer_that_makes_no_sense_is_told_and_harms_nobody() {
    let broken = broken();
    let accounts = served_by(&broken);
    let chatty = format!("[log]\nlevel = \"trace\"\n{LIMITS}");
    let scene = Scene::new(&chatty, FAST, &accounts);
    let daemon = scene.site.start().unwrap();
    let mut heard = String::new();
    for (name, raw) in &broken {
        let said = scene.site.tokenctl(&["get", name]).unwrap();
        heard += &said.err;
        // A failure that would repeat itself next time is reported as a mistake in the configuration.
        let code = if *name == "not-a-bearer" { 78 } else { 75 };
        assert_eq!(said.code, Some(code), "{name}: {said:?}");
        assert!(
            said.out.is_empty() && said.err.contains(name),
            "{name}: {said:?}"
        );
        let control = |letter: char| letter.is_control() && letter != '\n';
        assert!(
            !said.err.contains(control),
            "{name}: nothing a provider says moves a terminal: {said:?}"
        );
        assert!(
            raw.requests() <= 1,
            "{name}: asked {} times",
            raw.requests()
        );
        assert!(
            raw.written() < 32 << 20,
            "{name}: {} bytes were taken",
            raw.written()
        );
        scene.well();
    }
    assert!(
        kib(&daemon, "VmHWM") < MEMORY_BOUND,
        "{} KiB",
        kib(&daemon, "VmHWM")
    );
    assert!(daemon.terminate().unwrap().success());
    let log = scene.site.log().unwrap();
    assert!(!log.contains("panic"));
    let mut secrets = scene.sim.secrets();
    secrets.extend(broken.iter().filter_map(|(name, _)| account(name).password));
    assert_eq!(found(&log, &secrets), [""; 0], "in the log");
    assert_eq!(found(&heard, &secrets), [""; 0], "in what tokenctl said");
}

#[test]
fn a_good_answer_in_the_wrong_wrapping_is_taken() {
    let wrapped = [
        (
            "text",
            Raw::answering("200 OK", "Content-Type: text/plain\r\n", GOOD),
        ),
        ("untyped", Raw::answering("200 OK", "", GOOD)),
        (
            "chunked",
            Raw::saying(format!(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{GOOD}\r\n0\r\n\r\n",
                GOOD.len()
            )),
        ),
        (
            "after-100",
            Raw::saying(
                [
                    &b"HTTP/1.1 100 Continue\r\n\r\n"[..],
                    &reply("200 OK", JSON, GOOD.as_bytes()),
                ]
                .concat(),
            ),
        ),
        (
            "until-the-end",
            Raw::saying(format!("HTTP/1.0 200 OK\r\n\r\n{GOOD}")),
        ),
    ];
    let accounts = served_by(&wrapped);
    let scene = Scene::new(LIMITS, FAST, &accounts);
    let _daemon = scene.site.start().unwrap();
    for (name, raw) in &wrapped {
        assert_eq!(scene.site.get(name).unwrap(), "good", "{name}");
        assert_eq!(raw.requests(), 1, "{name}");
    }
}

/// The JWT API takes its refresh token in a header.
#[test]
fn a_refresh_token_that_cannot_be_sent_back_gives_way_to_a_login() {
    let answers = [("nul", "r\\u0000x"), ("line-end", "r\\r\\nX-More: y")];
    let providers = answers.map(|(name, refresh)| {
        let body = GOOD.replace(r#""r""#, &format!("\"{refresh}\""));
        (name, Raw::answering("200 OK", JSON, &body))
    });
    let accounts = served_by(&providers);
    let scene = Scene::new(LIMITS, FAST, &accounts);
    let _daemon = scene.site.start().unwrap();
    for (name, raw) in &providers {
        assert_eq!(scene.site.get(name).unwrap(), "good", "{name}");
        let said = scene.site.tokenctl(&["refresh", name]).unwrap();
        assert_eq!(
            (said.code, raw.requests()),
            (Some(0), 2),
            "{name}: {said:?}"
        );
    }
    scene.well();
}

#[test]
fn no_redirect_takes_a_credential_elsewhere() {
    let elsewhere = Raw::answering("200 OK", JSON, GOOD);
    let location = format!("Location: {}/login\r\n", elsewhere.http());
    let statuses = [
        "301 Moved",
        "302 Found",
        "303 See Other",
        "307 Temporary",
        "308 Permanent",
    ];
    let redirecting = statuses.map(|status| Raw::answering(status, &location, ""));
    let names = ["r301", "r302", "r303", "r307", "r308"];
    let accounts: Vec<_> = names
        .into_iter()
        .zip(redirecting.iter().map(Raw::http))
        .collect();
    let scene = Scene::new(LIMITS, FAST, &accounts);
    let _daemon = scene.site.start().unwrap();
    for name in names {
        let said = scene.site.tokenctl(&["get", name]).unwrap();
        // A server in front of the provider may have sent it: no verdict about the account.
        assert_eq!(said.code, Some(75), "{name}: {said:?}");
        assert!(
            said.err.contains(&elsewhere.http()),
            "where it wanted to go must be shown: {said:?}"
        );
    }
    assert_eq!(elsewhere.requests(), 0);
}

#[test]
fn a_storm_of_errors_is_asked_no_more_often_than_the_pace() {
    let storm = Raw::answering("503 Service Unavailable", "", "no");
    let pace = r#"pacing = { attempts = { burst = 4, every = "1h" }, logins = { burst = 3, every = "1h" } }"#;
    let scene = Scene::new(LIMITS, pace, &[("storm", storm.http())]);
    let daemon = scene.site.start().unwrap();
    for _ in 0..20 {
        for command in ["get", "refresh"] {
            let said = scene.site.tokenctl(&[command, "storm"]).unwrap();
            assert_eq!(said.code, Some(75), "{said:?}");
        }
    }
    assert_eq!(
        storm.requests(),
        3,
        "all three logins were used, since `refresh` shortens the backoff, and no more"
    );
    // A debit is durable: neither an end nor a crash gives any of it back.
    assert!(daemon.terminate().unwrap().success());
    for _ in 0..3 {
        let daemon = scene.site.start().unwrap();
        assert_eq!(
            scene.site.tokenctl(&["refresh", "storm"]).unwrap().code,
            Some(75)
        );
        daemon.kill().unwrap();
    }
    assert_eq!(storm.requests(), 3);
    let _daemon = scene.site.start().unwrap();
    scene.well();
}

#[test]
#[expect(
    clippy::too_many_lines,
    reason = "a table of cases, and what is said of each"
)]
fn retry_after_is_honoured_up_to_a_day_and_nonsense_is_no_harm() {
    const DAY: u64 = 86_400_000;
    let busy = |line: &str| Raw::answering("429 Too Many Requests", line, "");
    // The Retry-After value, and the bounds of the wait in milliseconds.
    let cases = [
        ("seconds", "Retry-After: 40\r\n", 20_000, 40_000),
        (
            "date",
            "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nRetry-After: Sun, 06 Nov 1994 08:50:37 GMT\r\n",
            40_000,
            60_000,
        ),
        (
            "past",
            "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nRetry-After: Sun, 06 Nov 1994 08:00:00 GMT\r\n",
            0,
            300_000,
        ),
        (
            "leap",
            "Date: Fri, 02 Jan 1970 00:00:00 GMT\r\nRetry-After: Fri, 06 Nov 2026 08:49:37 GMT\r\n",
            DAY - 60_000,
            DAY,
        ),
        (
            "end-of-time",
            "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\nRetry-After: Fri, 31 Dec 9999 23:59:59 GMT\r\n",
            DAY - 60_000,
            DAY,
        ),
        ("years", "Retry-After: 315360000\r\n", DAY - 60_000, DAY),
        (
            "overflow",
            "Retry-After: 99999999999999999999999999\r\n",
            DAY - 60_000,
            DAY,
        ),
        ("infinite", "Retry-After: 1e999\r\n", DAY - 60_000, DAY),
        (
            "several",
            "Retry-After: 1\r\nRetry-After: 400\r\nRetry-After: 2\r\n",
            380_000,
            400_000,
        ),
        ("joined", "Retry-After: 1, 400, 2\r\n", 380_000, 400_000),
        (
            "unix",
            "Date: Fri, 06 Nov 2026 08:49:37 GMT\r\nRetry-After: 1793955037\r\n",
            40_000,
            60_000,
        ),
        ("negative", "Retry-After: -1\r\n", 0, 300_000),
        ("word", "Retry-After: soon\r\n", 0, 300_000),
        ("fraction", "Retry-After: 1e9\r\n", 0, DAY),
        ("empty", "Retry-After: \r\n", 0, 300_000),
        ("absent", "", 0, 300_000),
    ];
    let providers: Vec<_> = cases
        .iter()
        .map(|(name, line, ..)| (*name, busy(line)))
        .collect();
    let accounts = served_by(&providers);
    let scene = Scene::new(LIMITS, FAST, &accounts);
    let daemon = scene.site.start().unwrap();
    let wait = |name: &str| {
        let said = scene.site.tokenctl(&["get", name]).unwrap();
        assert_eq!(said.code, Some(75), "{name}: {said:?}");
        let status = scene.site.status(name).unwrap();
        status
            .pointer("/problem/retry_after_ms")
            .and_then(serde_json::Value::as_u64)
            .unwrap_or_default()
    };
    for (name, _, least, most) in cases {
        let wait = wait(name);
        assert!((least..=most).contains(&wait), "{name}: {wait} ms");
    }
    // Kept across a crash: a provider that asked not to be disturbed is not asked.
    daemon.kill().unwrap();
    let _daemon = scene.site.start().unwrap();
    for (name, raw) in providers
        .iter()
        .filter(|(name, _)| ["seconds", "date", "leap", "years"].contains(name))
    {
        assert!(wait(name) > 0, "{name}");
        assert_eq!(
            scene.site.tokenctl(&["refresh", name]).unwrap().code,
            Some(75),
            "{name}"
        );
        assert_eq!(raw.requests(), 1, "{name}: not even on demand");
    }
}

#[test]
fn a_connection_that_never_stood_spends_no_refresh_token() {
    let scene = Scene::new(LIMITS, FAST, &[]);
    let _daemon = scene.site.start().unwrap();
    let token = scene.site.get(WELL).unwrap();
    let api = tokend_provider_simulator::spec::Api::JwtApi;
    scene.sim.down(api);
    for _ in 0..3 {
        let said = scene.site.tokenctl(&["refresh", WELL]).unwrap();
        assert_eq!(said.code, Some(75), "{said:?}");
        assert_eq!(
            scene.site.get(WELL).unwrap(),
            token,
            "served while it is valid"
        );
    }
    scene.sim.up(api).unwrap();
    scene.well();
    let log = scene.sim.log(WELL);
    assert_eq!(
        (log.logins(), log.refreshes_with(1)),
        (1, 1),
        "nothing was in doubt, so no login was needed"
    );
    assert_eq!(scene.sim.violations(), []);
}
