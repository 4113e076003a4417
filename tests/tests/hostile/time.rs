//! Clocks that jump: the machine's boot clock while the daemon is stopped, and the provider's clock in its replies.
//!
//! The boot clock jumps in a time namespace; that needs root. Steps of the wall clock are in `wall_clock`.

use std::{
    process::{Child, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use rustix::process::{Pid, Signal, kill_process};
use tokend_harness::clock::{PATIENCE, wait_until};

use crate::{
    disk::as_root,
    raw::{Raw, reply},
    scene::{FAST, Scene, WELL},
};

/// Starts a daemon that takes its time namespace for the machine's own: a daemon that knew otherwise would rightly not compare its clock
/// with times stored outside.
const UNKNOWING: &str = "mount --bind /dev/null \"/proc/$$/timens_offsets\" && exec \"$0\" \"$@\"";

/// A daemon whose boot clock is ahead, as after a suspend of this many seconds. The wall clock is the same for all.
struct Later(Child);

impl Later {
    fn start(scene: &Scene, seconds: u64) -> Self {
        let (site, seconds) = (&scene.site, seconds.to_string());
        let child = as_root("unshare")
            .args([
                "--time",
                "--boottime",
                &seconds,
                "--monotonic",
                &seconds,
                "--mount",
                "--fork",
                "--kill-child",
                "--",
                "sh",
                "-c",
                UNKNOWING,
            ])
            .arg(&site.binaries().tokend)
            .args(["run", "--config"])
            .arg(site.configuration())
            .arg("--state-dir")
            .arg(site.state())
            .arg("--socket")
            .arg(site.socket())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let later = Self(child);
        let serves = || site.tokenctl(&["list"]).unwrap().code == Some(0);
        wait_until("the daemon to serve", PATIENCE, serves).unwrap();
        later
    }
}

impl Drop for Later {
    fn drop(&mut self) {
        let pid = Pid::from_raw(i32::try_from(self.0.id()).unwrap()).unwrap();
        // The daemon dies with it; the state directory is free once it is gone.
        let _gone = kill_process(pid, Signal::KILL);
        drop(self.0.wait());
    }
}

#[test]
fn time_the_machine_slept_counts_though_the_wall_clock_does_not_tell() {
    const HOUR: u64 = 3600;
    let scene = Scene::new("", "", &[]);
    let daemon = scene.site.start().unwrap();
    let first = scene.site.get(WELL).unwrap();
    assert!(daemon.terminate().unwrap().success());
    let asked = || {
        let log = scene.sim.log(WELL);
        (log.logins(), log.refreshes())
    };
    {
        let _later = Later::start(&scene, HOUR / 2);
        assert_eq!(
            scene.site.get(WELL).unwrap(),
            first,
            "half its life is left"
        );
        assert_eq!(asked(), (1, 0));
    }
    {
        let _later = Later::start(&scene, 2 * HOUR);
        assert_ne!(
            scene.site.get(WELL).unwrap(),
            first,
            "it expired while the machine slept"
        );
        assert_eq!(asked(), (1, 1), "one refresh, no login");
    }
    {
        // The boot clock is behind the stored time, which no kernel allows: the token's age cannot be known.
        let _daemon = scene.site.start().unwrap();
        scene.site.get(WELL).unwrap();
        let (logins, refreshes) = asked();
        assert!(
            logins == 1 && refreshes <= 2,
            "{logins} logins, {refreshes} refreshes: no burst"
        );
    }
    {
        let _later = Later::start(&scene, 400 * 24 * HOUR);
        scene.site.get(WELL).unwrap();
        assert_eq!(
            asked().0,
            2,
            "a refresh token that expired in the meantime is not presented: one login"
        );
        assert!(asked().1 <= 2);
    }
    assert_eq!(scene.sim.violations(), []);
}

/// A token with its issue time and its expiry, both in Unix seconds.
fn jwt(issued: i64, ends: i64) -> String {
    let part = |json: String| BASE64_URL_SAFE_NO_PAD.encode(json);
    let claims = format!("{{\"iat\":{issued},\"exp\":{ends}}}");
    format!(
        "{}.{}.c2ln",
        part(r#"{"alg":"HS256"}"#.to_owned()),
        part(claims)
    )
}

#[test]
fn where_a_provider_contradicts_itself_about_time_the_shorter_life_counts() {
    const NOW: i64 = 1_790_000_000;
    const FUTURE: i64 = 4_000_000_000;
    let grant = |token: String, expires_in: i64, date: &str| {
        let body = format!(
            "{{\"access_token\":\"{token}\",\"token_type\":\"bearer\",\"expires_in\":{expires_in}}}"
        );
        Raw::answering("200 OK", &format!("Date: {date}\r\n"), body)
    };
    let (today, past, far) = (
        "Mon, 21 Sep 2026 12:53:20 GMT",
        "Thu, 01 Jan 1970 00:16:40 GMT",
        "Fri, 01 Jan 2100 00:00:00 GMT",
    );
    let providers = [
        ("shorter-jwt", grant(jwt(NOW, NOW + 600), 3600, today), 600),
        ("longer-jwt", grant(jwt(NOW, NOW + 86_400), 600, today), 600),
        ("date-of-1970", grant(jwt(1000, 1600), 3600, past), 600),
        (
            "date-of-2100",
            grant(jwt(FUTURE, FUTURE + 600), 3600, far),
            600,
        ),
        ("date-alone", grant("opaque".to_owned(), 600, past), 600),
    ];
    let accounts: Vec<_> = providers
        .iter()
        .map(|(name, raw, _)| (*name, raw.http()))
        .collect();
    let scene = Scene::new("", FAST, &accounts);
    let _daemon = scene.site.start().unwrap();
    for (name, raw, seconds) in &providers {
        scene.site.get(name).unwrap();
        let status = scene.site.status(name).unwrap();
        let lifetime = status
            .get("lifetime_ms")
            .and_then(serde_json::Value::as_u64);
        // A fraction of a second may be cut off: the provider's clock shows whole seconds.
        let right = (seconds - 1) * 1000..=seconds * 1000;
        assert!(right.contains(&lifetime.unwrap()), "{name}: {status}");
        scene.site.get(name).unwrap();
        assert_eq!(raw.requests(), 1, "{name}");
    }
}

#[test]
fn a_provider_whose_date_leaps_from_answer_to_answer_changes_no_life() {
    let answers = AtomicUsize::new(0);
    let leaping = Raw::start(move |talk| {
        talk.request();
        // A year by its own clock, and a token that expires ten minutes after that.
        let (date, ends) = match answers.fetch_add(1, Ordering::SeqCst) % 3 {
            0 => ("Mon, 21 Sep 2026 12:53:20 GMT", 1_789_995_200 + 600),
            1 => ("Thu, 01 Jan 1970 00:16:40 GMT", 1000 + 600),
            _ => ("Fri, 01 Jan 2100 00:00:00 GMT", 4_102_444_800 + 600),
        };
        let token = jwt(ends - 600, ends);
        let body = format!(
            "{{\"access_token\":\"{token}\",\"refresh_token\":\"r\",\"token_type\":\"bearer\",\"expires_in\":3600}}"
        );
        talk.say(&reply(
            "200 OK",
            &format!("Date: {date}\r\n"),
            body.as_bytes(),
        ));
        talk.hang_up();
    });
    let scene = Scene::new("", FAST, &[("leaping", leaping.http())]);
    let _daemon = scene.site.start().unwrap();
    for count in 1..=6 {
        let said = scene.site.tokenctl(&["refresh", "leaping"]).unwrap();
        assert_eq!(said.code, Some(0), "{said:?}");
        let status = scene.site.status("leaping").unwrap();
        let lifetime = status
            .get("lifetime_ms")
            .and_then(serde_json::Value::as_u64);
        assert!((599_000..=600_000).contains(&lifetime.unwrap()), "{status}");
        scene.site.get("leaping").unwrap();
        assert_eq!(leaping.requests(), count);
    }
}
