//! A daemon whose wall clock is set, forwards and back, while it runs, between two starts, and between two boots.
//!
//! Only the daemon's clock is wrong, through `libfaketime`; the providers and this test have the right time. Nothing sets the boot clock.
//! Another boot is another boot id, in a mount namespace of the daemon's own.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::Value;
use tokend_harness::{
    Daemon, Site,
    clock::{PATIENCE, Stopwatch, wait_for},
    probe,
};
use tokend_provider_simulator::{Configuration, Simulator, spec::Api};

use crate::scene::{FAST, account};

pub(crate) const HOUR: i64 = 3600;
const YEAR: i64 = 365 * 24 * HOUR;
/// One attempt, and one more each hour: a daemon that forgets a debit is found out.
const PACED: &str = r#"
refresh = "on-demand"
pacing = { attempts = { burst = 2, every = "1h" }, logins = { burst = 2, every = "1h" }, host = { burst = 5000, every = "10ms" }, host_in_flight = 1000 }
"#;
/// An account whose tokens live an hour.
const LONG: &str = "long";
/// An account whose tokens live seconds.
const SHORT: &str = "short";
/// An account that may not be asked for a long time.
const SLOW: &str = "slow";

/// Seconds back to 1970.
fn to_1970() -> i64 {
    10 - i64::try_from(Stopwatch::start().now().unix.as_secs()).unwrap()
}

fn steps() -> [i64; 6] {
    [HOUR, -HOUR, 10 * YEAR, -10 * YEAR, to_1970(), 0]
}

pub(crate) struct Clockwork {
    sim: Simulator,
    pub(crate) site: Site,
    short: Duration,
}

impl Clockwork {
    pub(crate) fn new(short: Duration) -> Self {
        let accounts = [LONG, SHORT, SLOW].map(account).to_vec();
        let sim = Simulator::start(accounts).unwrap();
        sim.change(SHORT, |it| it.access_lifetime = short);
        let site = Site::new().unwrap();
        let base = sim.base_url(Api::JwtApi);
        // Each kind of account has lines of its own.
        [(LONG, FAST), (SHORT, FAST), (SLOW, PACED)]
            .into_iter()
            .fold(Configuration::default(), |all, (name, lines)| {
                all.account(account(name), &base, lines)
            })
            .write(site.path())
            .unwrap();
        let clock = site.path().join("clock").display().to_string();
        let site = site
            .with_variable("LD_PRELOAD", library().display().to_string())
            .with_variable("FAKETIME_TIMESTAMP_FILE", clock)
            .with_variable("FAKETIME_NO_CACHE", "1")
            .with_variable("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .with_variable("FAKETIME_DISABLE_SHM", "1")
            .with_variable("NO_FAKE_STAT", "1");
        let clockwork = Self { sim, site, short };
        clockwork.set(0);
        clockwork
    }

    /// Sets the daemon's wall clock to this many seconds before or after the right time.
    pub(crate) fn set(&self, offset: i64) {
        let new = self.site.path().join("clock.new");
        fs::write(&new, format!("{offset:+}")).unwrap();
        // In one step: an unreadable clock would be the right one.
        fs::rename(new, self.site.path().join("clock")).unwrap();
    }

    /// Starts a daemon that believes the machine was rebooted.
    fn reboot(&self, number: u32) -> Daemon {
        let id = self.site.path().join("boot_id");
        fs::write(&id, format!("00000000-0000-4000-8000-{number:012}\n")).unwrap();
        let id = id.display().to_string();
        let mut program = vec!["unshare", "--mount"];
        if !rustix::process::geteuid().is_root() {
            program.push("--map-root-user");
        }
        let script = r#"mount --bind "$0" /proc/sys/kernel/random/boot_id && exec "$@""#;
        program.extend(["sh", "-c", script, &id]);
        Daemon::start_under(&program, &self.site).unwrap()
    }

    fn requests(&self, account: &str) -> (usize, usize) {
        let log = self.sim.log(account);
        (log.logins(), log.refreshes())
    }

    fn accepted(&self, token: &str) -> bool {
        let url = format!(
            "{}{}",
            self.sim.base_url(Api::JwtApi),
            Api::JwtApi.resource()
        );
        probe::get(url).bearer(token).send().unwrap().status == 200
    }

    /// Asks for the short-lived token until another one comes: when the first has ended and no later, with one request.
    fn outlives_one(&self) {
        let first = self.site.get(SHORT).unwrap();
        let before = self.requests(SHORT);
        wait_for("another token", PATIENCE + self.short, || {
            let over = !self.accepted(&first);
            let now = self.site.get(SHORT).unwrap();
            assert!(
                !over || now != first,
                "a token is served that its provider no longer accepts"
            );
            (now != first).then_some(())
        })
        .unwrap();
        let (logins, refreshes) = self.requests(SHORT);
        assert_eq!((logins, refreshes), (before.0, before.1 + 1));
    }

    /// The output of `tokenctl get` for the long-lived token: the same token, with less than an hour left and nearly all of it, and an
    /// expiry in the daemon's own time.
    fn still(&self, token: &str, offset: i64) {
        let said = self.site.tokenctl(&["get", LONG, "--format", "json"]);
        let reply = said.unwrap().json().unwrap();
        assert_eq!(
            reply.get("access_token").and_then(Value::as_str),
            Some(token)
        );
        let left = reply.get("expires_in").and_then(Value::as_i64).unwrap();
        assert!((3000..=HOUR).contains(&left), "{reply}");
        let ends = reply.get("expires_at").and_then(Value::as_str).unwrap();
        let status = self.site.status(LONG).unwrap();
        let again = status.get("expires_at").and_then(Value::as_str).unwrap();
        let wall = i64::try_from(Stopwatch::start().now().unix.as_secs()).unwrap() + offset;
        for ends in [ends, again] {
            let ends = unix(ends);
            assert!(
                (wall + left - 60..=wall + left + 60).contains(&ends),
                "{reply}, {status}: {ends} is not {left} s after {wall}"
            );
        }
    }

    /// The account that may not be asked is not asked, and its message says for how long.
    fn is_paced(&self) {
        let asked = self.requests(SLOW);
        let said = self.site.tokenctl(&["refresh", SLOW]).unwrap();
        assert_eq!(said.code, Some(75), "{said:?}");
        assert_eq!(self.requests(SLOW), asked);
    }
}

/// Seconds of an RFC 3339 time in UTC.
fn unix(text: &str) -> i64 {
    let number = |range: std::ops::Range<usize>| text.get(range).unwrap().parse::<i64>().unwrap();
    let (year, month, day) = (number(0..4), number(5..7), number(8..10));
    let (hour, minute, second) = (number(11..13), number(14..16), number(17..19));
    // Days from 1970, with years that begin in March.
    let (year, month) = if month < 3 {
        (year - 1, month + 9)
    } else {
        (year, month - 3)
    };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    (days - 719_468) * 86_400 + hour * HOUR + minute * 60 + second
}

/// Debian's path, on any machine.
fn library() -> PathBuf {
    let beneath = fs::read_dir("/usr/lib").unwrap();
    let beneath = beneath.map(|entry| entry.unwrap().path());
    let places = beneath.chain([PathBuf::from("/usr/lib")]);
    let found = places
        .map(|place| place.join("faketime/libfaketimeMT.so.1"))
        .find(|path| Path::exists(path));
    assert!(
        found.is_some(),
        "there is no libfaketime; tests/setup installs it"
    );
    found.unwrap()
}

#[test]
fn a_time_is_read_as_it_is_written() {
    assert_eq!(unix("1970-01-01T00:00:00Z"), 0);
    assert_eq!(unix("2000-02-29T12:00:01Z"), 951_825_601);
    assert_eq!(unix("2026-11-25T08:55:05Z"), 1_795_596_905);
}

#[test]
fn steps_of_the_wall_clock_under_a_running_daemon_cost_no_request_and_no_token_its_life() {
    let work = Clockwork::new(Duration::from_secs(3));
    let daemon = work.site.start().unwrap();
    let token = work.site.get(LONG).unwrap();
    for offset in steps() {
        work.set(offset);
        work.still(&token, offset);
        work.outlives_one();
    }
    assert_eq!(work.requests(LONG), (1, 0));
    assert!(daemon.terminate().unwrap().success());
    assert_eq!(work.sim.violations(), []);
}

#[test]
fn a_restart_with_another_wall_clock_serves_what_was_held_and_keeps_the_pace() {
    let work = Clockwork::new(Duration::from_secs(3));
    let mut daemon = work.site.start().unwrap();
    let token = work.site.get(LONG).unwrap();
    let slow = work.site.get(SLOW).unwrap();
    let said = work.site.tokenctl(&["refresh", SLOW, "--print"]).unwrap();
    let slower = said.line().unwrap();
    assert_ne!(slow, slower);
    work.is_paced();
    for (offset, kill) in steps().into_iter().zip([true, false].into_iter().cycle()) {
        match kill {
            true => daemon.kill().unwrap(),
            false => assert!(daemon.terminate().unwrap().success()),
        }
        work.set(offset);
        daemon = work.site.start().unwrap();
        work.still(&token, offset);
        assert_eq!(work.site.get(SLOW).unwrap(), slower);
        work.is_paced();
    }
    assert_eq!((work.requests(LONG), work.requests(SLOW)), ((1, 0), (1, 1)));
    assert_eq!(work.sim.violations(), []);
}

#[test]
fn a_first_start_in_1970_loses_nothing_when_the_clock_is_set_right() {
    let work = Clockwork::new(Duration::from_secs(3));
    work.set(to_1970());
    let daemon = work.site.start().unwrap();
    let token = work.site.get(LONG).unwrap();
    work.still(&token, to_1970());
    work.outlives_one();
    work.set(0);
    work.still(&token, 0);
    work.outlives_one();
    daemon.kill().unwrap();
    let daemon = work.site.start().unwrap();
    work.still(&token, 0);
    work.outlives_one();
    assert_eq!(work.requests(LONG), (1, 0));
    assert!(daemon.terminate().unwrap().success());
    assert_eq!(work.sim.violations(), []);
}

#[test]
fn after_a_reboot_with_a_wrong_wall_clock_no_stale_token_is_served_and_no_burst_follows() {
    let work = Clockwork::new(Duration::from_secs(3));
    let daemon = work.site.start().unwrap();
    let token = work.site.get(LONG).unwrap();
    let slow = work.site.get(SLOW).unwrap();
    let said = work.site.tokenctl(&["refresh", SLOW]).unwrap();
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_ne!(work.site.get(SLOW).unwrap(), slow);
    daemon.kill().unwrap();
    // The clock was right before and after: nothing is lost.
    let daemon = work.reboot(1);
    work.still(&token, 0);
    work.is_paced();
    daemon.kill().unwrap();
    // The clock shows 1970, so nobody knows how long the machine was off.
    work.set(to_1970());
    let daemon = work.reboot(2);
    let next = work.site.get(LONG).unwrap();
    assert_ne!(next, token, "whether it lives cannot be known");
    assert_eq!(work.requests(LONG), (1, 1));
    work.is_paced();
    work.outlives_one();
    // The clock is set right once the network is there.
    work.set(0);
    work.still(&next, 0);
    work.is_paced();
    daemon.kill().unwrap();
    // The clock is ten years ahead: the token counts as expired, and costs one request.
    work.set(10 * YEAR);
    let daemon = work.reboot(3);
    let last = work.site.get(LONG).unwrap();
    assert_ne!(last, next);
    work.still(&last, 10 * YEAR);
    work.outlives_one();
    let (logins, refreshes) = work.requests(LONG);
    assert!(
        logins + refreshes <= 3,
        "{logins} logins, {refreshes} refreshes"
    );
    assert!(daemon.terminate().unwrap().success());
    assert_eq!(work.sim.violations(), []);
}
