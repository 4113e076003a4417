//! Changes around a store: permissions under a running daemon, the whole directory exchanged for another host's, and an unreadable disk.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, chown},
    path::Path,
};

use tokend_harness::{
    Daemon,
    clock::{PATIENCE, wait_until},
};

use crate::{
    scene::{Scene, WELL},
    store::{A_PERSON, asked, copy, refused},
    wire::Other,
};

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn permissions_opened_under_a_running_daemon_are_told_at_its_next_start() {
    let scene = Scene::new("", "", &[]);
    let daemon = scene.site.start().unwrap();
    scene.well();
    let state = scene.site.state();
    set_mode(&state, 0o755);
    // Open files stay open: a change of modes does not affect processes that have them.
    scene.well();
    set_mode(&state, 0o700);
    set_mode(&state.join("tokend.key"), 0o644);
    assert!(daemon.terminate().unwrap().success());
    let log = refused(&scene.site, A_PERSON);
    assert!(log.contains("chmod 600"), "{log}");
    set_mode(&state.join("tokend.key"), 0o600);
    let _daemon = scene.site.start().unwrap();
    assert_eq!(scene.site.get(WELL).ok(), scene.sim.newest_access(WELL));
    assert_eq!(asked(&scene).0, 1, "no login was spent on it");
    assert_eq!(scene.sim.violations(), []);
}

/// Gives everything in a directory to another user.
fn give(path: &Path, user: u32) {
    chown(path, Some(user), Some(user)).unwrap();
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            give(&entry.unwrap().path(), user);
        }
    }
}

#[test]
#[expect(
    clippy::too_many_lines,
    reason = "one story: each step stands on the one before"
)]
fn a_directory_taken_from_its_daemon_costs_no_token_and_no_login() {
    let scene = Scene::new("", "", &[]);
    // Permissions do not bind root, so there the daemon runs as nobody.
    let other = rustix::process::geteuid()
        .is_root()
        .then(|| Other::at(&scene.site));
    let mut program = Vec::new();
    if other.is_some() {
        give(scene.site.path(), Other::UID.parse().unwrap());
        program.extend(["setpriv", "--reuid", Other::UID, "--regid", Other::UID]);
        program.extend(["--clear-groups", "--"]);
    }
    let said = |arguments: &[&str]| match &other {
        Some(other) => {
            let output = other.tokenctl(arguments);
            let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            (output.status.code(), text)
        }
        None => {
            let said = scene.site.tokenctl(arguments).unwrap();
            (said.code, said.out.trim().to_owned())
        }
    };
    let start = || {
        let daemon = Daemon::spawn_under(&program, &scene.site).unwrap();
        let serves = || said(&["list"]).0 == Some(0);
        wait_until("the daemon to serve", PATIENCE, serves).unwrap();
        daemon
    };
    let daemon = start();
    let (code, token) = said(&["get", WELL]);
    assert_eq!(code, Some(0));
    let state = scene.site.state();
    set_mode(&state, 0o000);
    assert_eq!(said(&["get", WELL]), (Some(0), token));
    // Whether or not the open files are enough to continue: nothing is sent whose outcome could not be stored.
    let before = asked(&scene).2;
    let (code, _) = said(&["refresh", WELL]);
    let left = asked(&scene).2 - before;
    assert!(
        matches!((code, left), (Some(0), 1) | (Some(75), 0)),
        "{code:?}, {left} requests"
    );
    set_mode(&state, 0o700);
    let (code, text) = said(&["refresh", WELL]);
    assert_eq!(code, Some(0), "{text}");
    daemon.kill().unwrap();
    // With the whole directory taken, it refuses to start, and nothing re-creates the store.
    for path in [
        state.clone(),
        state.join("tokend.redb"),
        state.join("tokend.key"),
    ] {
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        set_mode(&path, 0o000);
        let before = scene.site.log().unwrap().len();
        let ended = Daemon::spawn_under(&program, &scene.site)
            .unwrap()
            .wait()
            .unwrap();
        let log = scene.site.log().unwrap().split_off(before);
        assert!(!ended.success(), "{}: {log}", path.display());
        assert!(log.to_lowercase().contains("permission denied"), "{log}");
        set_mode(&path, mode);
    }
    let _daemon = start();
    assert_eq!(
        said(&["get", WELL]).1,
        scene.sim.newest_access(WELL).unwrap()
    );
    assert_eq!(asked(&scene).0, 1, "no login was spent on it");
    assert_eq!(scene.sim.violations(), []);
}

#[test]
fn the_whole_directory_of_another_host_is_that_hosts_login_and_costs_none() {
    let (scene, other) = (Scene::new("", "", &[]), Scene::new("", "", &[]));
    for scene in [&scene, &other] {
        let daemon = scene.site.start().unwrap();
        scene.site.get(WELL).unwrap();
        assert!(daemon.terminate().unwrap().success());
    }
    let own = scene.site.path().join("own");
    copy(&scene.site.state(), &own);
    // Its account is at another provider, so nothing in it belongs to this host, as at a first start.
    copy(&other.site.state(), &scene.site.state());
    let daemon = scene.site.start().unwrap();
    scene.site.get(WELL).unwrap();
    assert_eq!(asked(&scene), (2, 0, 2), "a login, and nobody else's token");
    daemon.kill().unwrap();
    copy(&own, &scene.site.state());
    let _daemon = scene.site.start().unwrap();
    scene.site.get(WELL).unwrap();
    assert_eq!(asked(&scene), (2, 0, 2), "its own directory goes on");
    assert_eq!(other.sim.log(WELL).token_requests(), 1);
}

#[test]
fn a_disk_that_cannot_be_read_is_told_and_nothing_is_begun_anew() {
    let scene = Scene::new("", "", &[]);
    let daemon = scene.site.start().unwrap();
    let token = scene.site.get(WELL).unwrap();
    assert!(daemon.terminate().unwrap().success());
    // Only root may look into the daemon, and only once it runs.
    let trace = scene.site.path().join("trace").display().to_string();
    for call in ["pread64", "flock"] {
        let inject = format!("inject={call}:error=EIO");
        let filter = format!("trace={call}");
        let program = [
            "strace", "-D", "-f", "-qq", "-o", &trace, "-e", &filter, "-e", &inject,
        ];
        let before = scene.site.log().unwrap().len();
        let ended = Daemon::spawn_under(&program, &scene.site)
            .unwrap()
            .wait()
            .unwrap();
        let log = scene.site.log().unwrap().split_off(before);
        assert!(!ended.success(), "{call}: {log}");
        assert!(
            log.to_lowercase().contains("input/output error"),
            "{call}: {log}"
        );
    }
    let _daemon = scene.site.start().unwrap();
    assert_eq!(scene.site.get(WELL).unwrap(), token);
    assert_eq!(asked(&scene), (1, 0, 1));
}
