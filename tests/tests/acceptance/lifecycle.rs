//! Start, stop, crash and reload.

use std::{
    fs,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use rustix::process::Signal;
use tokend_harness::{
    Daemon,
    clock::{PATIENCE, wait_for, wait_until},
};
use tokend_provider_simulator::{
    Configuration,
    fault::{Fault, FaultKind, Rule},
    spec::{AccountSpec, Api, Endpoint, Reuse},
};

use crate::stage::{FAST, ON_DEMAND, Stage, account, slow};

#[test]
fn a_restart_with_valid_tokens_causes_no_request() {
    let stage = Stage::new(AccountSpec::four(), "");
    let daemon = stage.site.start().unwrap();
    let names = ["ads", "jwt", "partner", "firebase"];
    let tokens = names.map(|name| stage.site.get(name).unwrap());
    let before = stage.sim.full_log().token_requests();
    daemon.kill().unwrap();
    let daemon = stage.site.start().unwrap();
    assert_eq!(
        names.map(|name| stage.site.get(name).unwrap()),
        tokens,
        "after kill -9"
    );
    assert!(daemon.terminate().unwrap().success());
    let _daemon = stage.site.start().unwrap();
    assert_eq!(
        names.map(|name| stage.site.get(name).unwrap()),
        tokens,
        "after SIGTERM"
    );
    assert_eq!(stage.sim.full_log().token_requests(), before);
}

#[test]
fn a_crash_between_send_and_commit_is_in_doubt_and_not_replayed() {
    crash_between_send_and_commit(Api::Oauth2);
}

#[test]
fn a_crash_between_send_and_commit_does_not_replay_a_token_that_works_once() {
    crash_between_send_and_commit(Api::JwtApi);
}

fn crash_between_send_and_commit(api: Api) {
    let stage = Stage::on_demand(api);
    stage
        .sim
        .change("it", |behaviour| behaviour.reuse = Reuse::RevokeFamily);
    let daemon = stage.site.start().unwrap();
    let token = stage.site.get("it").unwrap();
    stage.sim.end_access("it");
    stage
        .sim
        .fail(Rule::once("it", Fault::after(FaultKind::Hang)).at(Endpoint::Refresh));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| stage.reject("it", &token));
        wait_until("the provider to have spent the token", PATIENCE, || {
            stage
                .sim
                .log("it")
                .count(|entry| entry.endpoint == Endpoint::Refresh && entry.processed)
                == 1
        })
        .unwrap();
        daemon.kill().unwrap();
        assert_ne!(waiting.join().unwrap().code, Some(0));
    });
    let _daemon = stage.site.start().unwrap();
    let token = stage.eventually("it");
    assert!(stage.accepted(api, &token));
    let log = stage.sim.log("it");
    assert_eq!((log.refreshes_with(1), log.logins()), (1, 2));
    assert_eq!(stage.sim.violations(), []);
}

#[test]
fn kill_at_any_moment_of_a_rotation_loses_no_token_and_replays_none() {
    kill_at_any_moment_of_a_rotation(Api::Oauth2);
}

#[test]
fn kill_at_any_moment_of_a_rotation_in_a_header_replays_none() {
    kill_at_any_moment_of_a_rotation(Api::JwtApi);
}

fn kill_at_any_moment_of_a_rotation(api: Api) {
    let stage = Stage::on_demand(api);
    stage
        .sim
        .change("it", |behaviour| behaviour.reuse = Reuse::RevokeFamily);
    let mut daemon = stage.site.start().unwrap();
    stage.site.get("it").unwrap();
    for round in 0u64..25 {
        let stopped = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stopped.load(Ordering::Relaxed) {
                    drop(stage.site.tokenctl(&["refresh", "it"]));
                }
            });
            // Each round stops at another step of a rotation: some requests later, and some part of a request later.
            let requests = stage.requests() + 1 + usize::try_from(round % 3).unwrap();
            wait_until("requests", PATIENCE, || stage.requests() >= requests).unwrap();
            let spin = 2000 * round;
            std::hint::black_box((0..spin).fold(0u64, |sum, number| sum ^ number.wrapping_mul(31)));
            daemon.kill().unwrap();
            stopped.store(true, Ordering::Relaxed);
        });
        daemon = stage.site.start().unwrap();
        let token = stage.eventually("it");
        assert!(stage.accepted(api, &token), "round {round}");
    }
    assert_eq!(stage.sim.violations(), []);
    let log = stage.sim.log("it");
    assert!(log.refreshes_by_serial().values().all(|count| *count == 1));
    drop(daemon);
}

#[test]
fn sigterm_lets_an_attempt_finish_and_keeps_what_it_brought() {
    let stage = Stage::on_demand(Api::JwtApi);
    let daemon = stage.site.start().unwrap();
    stage.once(Fault::after(slow(Duration::from_millis(700))));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| stage.site.tokenctl(&["get", "it"]).unwrap());
        wait_until("the request", PATIENCE, || stage.requests() == 1).unwrap();
        assert!(daemon.terminate().unwrap().success());
        let said = waiting.join().unwrap();
        assert!(matches!(said.code, Some(0 | 75)), "{said:?}");
    });
    assert!(!stage.site.socket().exists(), "the socket is gone");
    let _daemon = stage.site.start().unwrap();
    stage.site.get("it").unwrap();
    assert_eq!(stage.requests(), 1);
}

#[test]
fn sigterm_ends_a_start_that_waits_for_a_secret() {
    let stage = Stage::of(Api::JwtApi);
    stage.sim.change_secret("it", "not what the file says");
    let daemon = stage.site.start().unwrap();
    let said = stage.site.tokenctl(&["get", "it"]).unwrap();
    assert_eq!(said.code, Some(79), "{said:?}");
    assert!(daemon.terminate().unwrap().success());
    let asked = stage.site.path().join("asked");
    let command = format!(
        "password = {{ command = [\"sh\", \"-c\", \"touch {}; exec sleep 600\"] }}",
        asked.display()
    );
    let text = fs::read_to_string(stage.site.configuration()).unwrap();
    let lines = text.lines().map(|line| match line.starts_with("password") {
        true => &*command,
        false => line,
    });
    let text = lines.collect::<Vec<_>>().join("\n");
    fs::write(stage.site.configuration(), text).unwrap();
    let daemon = Daemon::spawn(&stage.site).unwrap();
    wait_until("the command to run", PATIENCE, || asked.exists()).unwrap();
    assert!(daemon.terminate().unwrap().success());
    let log = stage.site.log().unwrap();
    assert!(log.contains("stopping before anybody was served"), "{log}");
    assert!(!stage.site.socket().exists(), "the socket is gone");
}

#[test]
fn a_second_daemon_on_the_same_state_is_refused() {
    let stage = Stage::of(Api::JwtApi);
    let _daemon = stage.site.start().unwrap();
    let token = stage.site.get("it").unwrap();
    let second = Daemon::spawn(&stage.site).unwrap();
    assert!(!second.wait().unwrap().success());
    assert_eq!(
        stage.site.get("it").unwrap(),
        token,
        "the first one is not disturbed"
    );
}

#[test]
fn reload_adds_and_removes_accounts_and_keeps_the_rest() {
    let accounts = vec![
        account("it", Api::JwtApi),
        account("other", Api::AdVerification),
    ];
    let stage = Stage::new(accounts, FAST);
    let all = Configuration::of(&stage.sim).everywhere(FAST);
    all.clone()
        .without("other")
        .write(stage.site.path())
        .unwrap();
    let daemon = stage.site.start().unwrap();
    let token = stage.site.get("it").unwrap();
    assert_eq!(
        stage.site.tokenctl(&["get", "other"]).unwrap().code,
        Some(78)
    );

    all.write(stage.site.path()).unwrap();
    let said = stage.site.tokenctl(&["reload"]).unwrap();
    assert_eq!(said.code, Some(0), "{said:?}");
    let other = stage.site.get("other").unwrap();

    all.clone().without("it").write(stage.site.path()).unwrap();
    daemon.signal(Signal::HUP).unwrap();
    wait_until("the account to be gone", PATIENCE, || {
        stage.site.tokenctl(&["get", "it"]).unwrap().code == Some(78)
    })
    .unwrap();
    assert_eq!(stage.site.get("other").unwrap(), other);

    all.write(stage.site.path()).unwrap();
    assert_eq!(stage.site.tokenctl(&["reload"]).unwrap().code, Some(0));
    assert_eq!(
        stage.site.get("it").unwrap(),
        token,
        "its credential was kept sealed"
    );
    assert_eq!(stage.requests(), 1);
}

#[test]
fn a_bad_configuration_on_reload_keeps_the_old_one_and_says_why() {
    let stage = Stage::of(Api::JwtApi);
    let _daemon = stage.site.start().unwrap();
    let token = stage.site.get("it").unwrap();
    let good = fs::read_to_string(stage.site.configuration()).unwrap();
    let bad = [
        good.replace("base_url", "base_ulr"),
        good.replace("jwt-api", "jwt-apy"),
        format!("{good}\n[account.x]\n"),
        "not toml at all [".to_owned(),
    ];
    for text in bad {
        fs::write(stage.site.configuration(), text).unwrap();
        let said = stage.site.tokenctl(&["reload"]).unwrap();
        assert_eq!(said.code, Some(78), "{said:?}");
        assert!(!said.err.is_empty());
        assert_eq!(stage.site.get("it").unwrap(), token);
    }
    fs::write(stage.site.configuration(), good).unwrap();
    assert_eq!(stage.site.tokenctl(&["reload"]).unwrap().code, Some(0));
    assert_eq!(stage.requests(), 1);
}

#[test]
fn a_reload_names_the_settings_that_wait_for_a_restart() {
    let stage = Stage::of(Api::JwtApi);
    let before = fs::read_to_string(stage.site.configuration()).unwrap();
    let daemon = stage.site.start().unwrap();
    let reload = || {
        let said = stage.site.tokenctl(&["reload"]).unwrap();
        assert_eq!(said.code, Some(0), "{said:?}");
        said.err
    };
    let (remedy, http) = (
        "restart tokend to apply the changes of `http` in [listen], `connections` in [limits]",
        stage.site.path().join("http.sock"),
    );
    let more = "[listen]\nhttp = \"http.sock\"\n[limits]\nconnections = 100\n";
    fs::write(stage.site.configuration(), format!("{more}{before}")).unwrap();
    let said = reload();
    assert!(said.contains(remedy), "{said}");
    let examined = stage.site.tokenctl(&["doctor"]).unwrap().out;
    assert!(examined.contains(remedy), "{examined}");
    // The same with the configuration it was started with: there is nothing to restart for.
    fs::write(stage.site.configuration(), &before).unwrap();
    assert!(!reload().contains("restart"));
    let examined = stage.site.tokenctl(&["doctor"]).unwrap().out;
    assert!(!examined.contains("restart tokend"), "{examined}");
    assert_eq!(stage.site.log().unwrap().matches(remedy).count(), 1);

    // The advice works.
    fs::write(stage.site.configuration(), format!("{more}{before}")).unwrap();
    assert!(reload().contains(remedy) && !http.exists());
    assert!(daemon.terminate().unwrap().success());
    let _daemon = stage.site.start().unwrap();
    assert!(http.exists() && !reload().contains("restart"));
}

#[test]
fn the_doctor_misses_a_socket_of_listen_that_was_removed() {
    let stage = Stage::of(Api::JwtApi);
    let before = fs::read_to_string(stage.site.configuration()).unwrap();
    let listen = "[listen]\nhttp = \"http.sock\"\noidc_agent = \"oidc.sock\"\n";
    fs::write(stage.site.configuration(), format!("{listen}{before}")).unwrap();
    let daemon = stage.site.start().unwrap();
    let lost = || {
        let examined = stage.site.tokenctl(&["doctor"]).unwrap();
        let lines = examined.out.lines().map(str::to_owned);
        lines
            .filter(|it| it.contains("nobody can connect"))
            .collect::<Vec<_>>()
    };
    assert_eq!(lost(), [""; 0]);
    let http = stage.site.path().join("http.sock");
    fs::remove_file(&http).unwrap();
    assert!(
        matches!(&lost()[..], [it] if it.contains("http.sock")),
        "{:?}",
        lost()
    );
    // Another one in its place does not help.
    let _other = std::os::unix::net::UnixListener::bind(&http).unwrap();
    assert!(
        matches!(&lost()[..], [it] if it.contains("http.sock")),
        "{:?}",
        lost()
    );
    fs::remove_file(&http).unwrap();
    assert!(daemon.terminate().unwrap().success());
    let _daemon = stage.site.start().unwrap();
    assert_eq!(lost(), [""; 0]);
}

#[test]
fn an_account_that_becomes_another_one_on_reload_never_serves_the_old_ones_token() {
    let first = account("it", Api::JwtApi);
    let stage = Stage::new(vec![first.clone()], FAST);
    let second = account("second", Api::JwtApi).known_as("somebody@else.example");
    stage.sim.add(second.clone());
    let _daemon = stage.site.start().unwrap();
    let old = stage.site.get("it").unwrap();
    let renamed = AccountSpec {
        name: "it".to_owned(),
        ..second
    };
    let base_url = stage.sim.base_url(Api::JwtApi);
    Configuration::default()
        .account(renamed, &base_url, FAST)
        .write(stage.site.path())
        .unwrap();
    assert_eq!(stage.site.tokenctl(&["reload"]).unwrap().code, Some(0));
    let new = stage.eventually("it");
    assert_ne!(new, old);
    assert_eq!(stage.sim.newest_access("second"), Some(new));
}

#[test]
fn a_configuration_it_cannot_use_stops_the_daemon_with_78() {
    let stage = Stage::of(Api::JwtApi);
    fs::write(
        stage.site.configuration(),
        "[account.it]\nprovidr = \"jwt-api\"\n",
    )
    .unwrap();
    let status = Daemon::spawn(&stage.site).unwrap().wait().unwrap();
    assert_eq!(status.code(), Some(78));
    let log = stage.site.log().unwrap();
    assert!(
        log.contains("providr") && log.contains("provider"),
        "names the nearest key: {log}"
    );
}

#[test]
fn a_key_that_is_not_the_stores_is_told_as_such() {
    let stage = Stage::of(Api::JwtApi);
    let daemon = stage.site.start().unwrap();
    stage.site.get("it").unwrap();
    assert!(daemon.terminate().unwrap().success());
    let keys: Vec<_> = fs::read_dir(stage.site.state())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().contains("key"))
        .collect();
    let [key] = &keys[..] else {
        panic!("one key file, not {keys:?}")
    };
    let mut bytes = fs::read(key).unwrap();
    // The last character that belongs to the key, whatever the encoding.
    let at = bytes.iter().rposition(u8::is_ascii_alphanumeric).unwrap();
    bytes[at - 8] = if bytes[at - 8] == b'0' { b'1' } else { b'0' };
    fs::write(key, bytes).unwrap();
    let status = Daemon::spawn(&stage.site).unwrap().wait().unwrap();
    assert!(!status.success());
    assert!(stage.site.log().unwrap().contains("key"));
    assert_eq!(stage.requests(), 1);
}

#[test]
fn accounts_without_a_provider_in_reach_do_not_hold_up_the_start() {
    let stage = Stage::new(
        vec![account("it", Api::JwtApi)],
        &format!("{FAST}refresh = \"always\""),
    );
    stage.sim.down(Api::JwtApi);
    let _daemon = stage.site.start().unwrap();
    assert_eq!(
        stage
            .site
            .tokenctl(&["list"])
            .unwrap()
            .line()
            .unwrap()
            .lines()
            .count(),
        1
    );
    stage.sim.up(Api::JwtApi).unwrap();
    wait_for("a token", PATIENCE, || stage.site.get("it").ok()).unwrap();
}

#[test]
fn refresh_on_demand_means_no_request_without_being_asked() {
    let stage = Stage::new(
        vec![
            account("it", Api::JwtApi),
            account("other", Api::AdVerification),
        ],
        &format!("{FAST}{ON_DEMAND}"),
    );
    let _daemon = stage.site.start().unwrap();
    stage.site.get("other").unwrap();
    assert_eq!(stage.requests(), 0);
}
