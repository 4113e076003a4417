//! The store on a bad day: full, read-only, failing, damaged, swapped, or without its key. It is never re-created by accident.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
    time::Duration,
};

use tokend_harness::{
    Daemon, Site,
    clock::{PATIENCE, wait_until},
};
use tokend_provider_simulator::{
    fault::{Fault, FaultKind, Rule},
    spec::Endpoint,
};

use crate::{
    disk::{FailingWrites, SmallDisk},
    scene::{Scene, WELL},
};

pub(crate) const DATABASE: &str = "tokend.redb";
const MARKER: &str = "tokend.marker";
const KEY: &str = "tokend.key";

fn scene() -> Scene {
    Scene::new("", "", &[])
}

/// The numbers of logins, of refreshes that presented the first refresh token, and of all requests.
pub(crate) fn asked(scene: &Scene) -> (usize, usize, usize) {
    let log = scene.sim.log(WELL);
    (log.logins(), log.refreshes_with(1), log.token_requests())
}

/// The exit code of a daemon that may start once a condition has passed by itself.
pub(crate) const LATER: i32 = 75;
/// The exit code of a daemon that waits for a person, and that systemd does not restart.
pub(crate) const A_PERSON: i32 = 78;

/// Starts a daemon that must refuse to start and exit with this code; returns its log.
pub(crate) fn refused(site: &Site, code: i32) -> String {
    let before = site.log().unwrap_or_default().len();
    let ended = Daemon::spawn(site).unwrap().wait().unwrap();
    let log = site.log().unwrap().split_off(before);
    assert_eq!(ended.code(), Some(code), "{ended}: {log}");
    log
}

fn refresh_is_refused(scene: &Scene) {
    let before = asked(scene);
    let said = scene.site.tokenctl(&["refresh", WELL]).unwrap();
    assert_eq!(said.code, Some(75), "{said:?}");
    assert!(said.err.contains("store"), "{said:?}");
    assert_eq!(
        asked(scene),
        before,
        "nothing leaves before its intent is durable"
    );
}

#[test]
fn a_disk_too_full_for_a_first_start_leaves_no_half_store() {
    let scene = scene();
    let disk = SmallDisk::mount(&scene.site.state(), 16);
    let log = refused(&scene.site, LATER);
    assert!(log.contains("space"), "{log}");
    assert!(
        !scene.site.state().join(MARKER).exists(),
        "there is no store yet"
    );
    disk.remount("size=16384k");
    let daemon = scene.site.start().unwrap();
    scene.well();
    assert!(daemon.terminate().unwrap().success());
}

#[test]
fn a_full_disk_costs_no_login_and_no_token() {
    let scene = scene();
    let disk = SmallDisk::mount(&scene.site.state(), 16_384);
    let daemon = scene.site.start().unwrap();
    let token = scene.site.get(WELL).unwrap();
    let ballast = disk.fill();
    assert_eq!(scene.site.get(WELL).unwrap(), token);
    // The database may have room left inside itself; either a token comes or nothing was asked.
    for _ in 0..20 {
        let before = asked(&scene).2;
        let said = scene.site.tokenctl(&["refresh", WELL]).unwrap();
        match said.code {
            Some(0) => assert_eq!(asked(&scene).2, before + 1),
            _ => assert_eq!((said.code, asked(&scene).2), (Some(75), before), "{said:?}"),
        }
        assert_eq!(scene.site.get(WELL).ok(), scene.sim.newest_access(WELL));
    }
    // Neither a crash nor a start on the full disk makes anything worse.
    daemon.kill().unwrap();
    match scene.site.start() {
        Ok(daemon) => daemon.kill().unwrap(),
        Err(refused) => assert!(refused.to_string().contains("space"), "{refused}"),
    }
    drop(ballast);
    let _daemon = scene.site.start().unwrap();
    assert_eq!(scene.site.get(WELL).ok(), scene.sim.newest_access(WELL));
    scene.well();
    let (logins, first, _) = asked(&scene);
    assert_eq!((logins, first), (1, 1));
    assert_eq!(scene.sim.violations(), []);
}

#[test]
fn a_read_only_state_directory_is_told_and_nothing_is_lost() {
    let scene = scene();
    let disk = SmallDisk::mount(&scene.site.state(), 16_384);
    let daemon = scene.site.start().unwrap();
    let token = scene.site.get(WELL).unwrap();
    assert!(daemon.terminate().unwrap().success());
    disk.remount("ro");
    let log = refused(&scene.site, LATER);
    assert!(log.to_lowercase().contains("read-only"), "{log}");
    disk.remount("rw");
    let _daemon = scene.site.start().unwrap();
    assert_eq!(scene.site.get(WELL).unwrap(), token);
    assert_eq!(asked(&scene), (1, 0, 1));
}

#[test]
fn while_the_store_refuses_writes_tokens_are_served_and_nothing_is_asked() {
    let scene = scene();
    let daemon = scene.site.start().unwrap();
    let token = scene.site.get(WELL).unwrap();
    for error in ["ENOSPC", "EIO", "EROFS"] {
        let failing = FailingWrites::of(&daemon, error);
        refresh_is_refused(&scene);
        assert_eq!(scene.site.get(WELL).unwrap(), token, "{error}");
        failing.end(&daemon);
    }
    wait_until("the store to be used again", PATIENCE, || {
        scene.site.tokenctl(&["refresh", WELL]).unwrap().code == Some(0)
    })
    .unwrap();
    assert_eq!(asked(&scene), (1, 1, 2));
    assert_eq!(scene.sim.violations(), []);
}

fn is_unpersisted(scene: &Scene) -> bool {
    let status = scene.site.status(WELL).unwrap();
    status.get("unpersisted").unwrap().as_bool().unwrap()
}

/// A daemon that holds a rotated refresh token which the store refuses.
fn unpersisted(scene: &Scene) -> (Daemon, FailingWrites) {
    let daemon = scene.site.start().unwrap();
    scene.site.get(WELL).unwrap();
    let slow = FaultKind::Slow { ms: 4_000 };
    scene
        .sim
        .fail(Rule::once(WELL, Fault::before(slow)).at(Endpoint::Refresh));
    let failing = std::thread::scope(|scope| {
        let refresh = scope.spawn(|| scene.site.tokenctl(&["refresh", WELL]).unwrap());
        wait_until("the request", PATIENCE, || asked(scene).2 == 2).unwrap();
        let failing = FailingWrites::of(&daemon, "EIO");
        assert!(
            !refresh.is_finished(),
            "the answer was to come after the disk began to fail"
        );
        let said = refresh.join().unwrap();
        assert_eq!(said.code, Some(0), "what was granted is served: {said:?}");
        failing
    });
    assert_eq!(scene.site.get(WELL).ok(), scene.sim.newest_access(WELL));
    assert!(is_unpersisted(scene));
    refresh_is_refused(scene);
    (daemon, failing)
}

#[test]
fn a_rotated_token_the_store_refuses_is_kept_served_and_stored_when_it_can_be() {
    let scene = scene();
    let (daemon, failing) = unpersisted(&scene);
    failing.end(&daemon);
    wait_until("the write to land", PATIENCE, || !is_unpersisted(&scene)).unwrap();
    daemon.kill().unwrap();
    let _daemon = scene.site.start().unwrap();
    assert_eq!(scene.site.get(WELL).ok(), scene.sim.newest_access(WELL));
    scene.well();
    let log = scene.sim.log(WELL);
    assert_eq!(
        (log.logins(), log.refreshes_with(1), log.refreshes_with(2)),
        (1, 1, 1)
    );
    assert_eq!(scene.sim.violations(), []);
}

#[test]
fn a_rotation_that_never_became_durable_costs_one_login_and_no_replay() {
    let scene = scene();
    let (daemon, failing) = unpersisted(&scene);
    daemon.kill().unwrap();
    drop(failing);
    let _daemon = scene.site.start().unwrap();
    let said = scene.site.tokenctl(&["refresh", WELL]).unwrap();
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(asked(&scene), (2, 1, 3));
    assert_eq!(scene.sim.violations(), []);
}

pub(crate) fn copy(from: &Path, to: &Path) {
    drop(fs::remove_dir_all(to));
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
    fs::set_permissions(to, fs::Permissions::from_mode(0o700)).unwrap();
}

fn take(file: &str, from: &Path, to: &Path) {
    fs::copy(from.join(file), to.join(file)).unwrap();
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of ways to change a store")]
fn a_store_that_is_not_as_it_was_left_is_refused_and_never_begun_anew() {
    type Damage = fn(&Path, &Path);
    let damages: [(&str, Damage, &str); 15] = [
        (
            "database deleted",
            |state, _| fs::remove_file(state.join(DATABASE)).unwrap(),
            "missing",
        ),
        (
            "database empty",
            |state, _| fs::write(state.join(DATABASE), "").unwrap(),
            "missing or empty",
        ),
        (
            "database cut",
            |state, _| cut(&state.join(DATABASE), 2),
            "damaged",
        ),
        (
            "database cut short",
            |state, _| cut(&state.join(DATABASE), 1000),
            "damaged",
        ),
        (
            "database overwritten",
            |state, _| fs::write(state.join(DATABASE), "not ours").unwrap(),
            "damaged",
        ),
        (
            "database and key deleted",
            |state, _| {
                fs::remove_file(state.join(DATABASE)).unwrap();
                fs::remove_file(state.join(KEY)).unwrap();
            },
            "missing",
        ),
        (
            "database of another host",
            |state, other| take(DATABASE, other, state),
            "not the database",
        ),
        (
            "database and marker of another host",
            |state, other| {
                for file in [DATABASE, MARKER] {
                    fs::copy(other.join(file), state.join(file)).unwrap();
                }
            },
            "key is not the one",
        ),
        (
            "key deleted",
            |state, _| fs::remove_file(state.join(KEY)).unwrap(),
            "missing",
        ),
        (
            "key of another host",
            |state, other| take(KEY, other, state),
            "key is not the one",
        ),
        ("key cut", |state, _| cut(&state.join(KEY), 2), "16 bytes"),
        (
            "key open to others",
            |state, _| set_mode(&state.join(KEY), 0o644),
            "chmod 600",
        ),
        (
            "directory open to others",
            |state, _| set_mode(state, 0o755),
            "chmod 700",
        ),
        (
            "marker overwritten",
            |state, _| fs::write(state.join(MARKER), "hello").unwrap(),
            "marker",
        ),
        (
            "database is a directory",
            |state, _| {
                fs::remove_file(state.join(DATABASE)).unwrap();
                fs::create_dir(state.join(DATABASE)).unwrap();
            },
            DATABASE,
        ),
    ];
    let (scene, other) = (scene(), scene());
    for scene in [&scene, &other] {
        let daemon = scene.site.start().unwrap();
        scene.site.get(WELL).unwrap();
        assert!(daemon.terminate().unwrap().success());
    }
    let pristine = scene.site.path().join("pristine");
    copy(&scene.site.state(), &pristine);
    for (name, damage, words) in damages {
        damage(&scene.site.state(), &other.site.state());
        let log = refused(&scene.site, A_PERSON);
        assert!(log.contains(words), "{name}: {log}");
        // Reported again the next time: the refusal itself changed nothing.
        assert!(refused(&scene.site, A_PERSON).contains(words), "{name}");
        copy(&pristine, &scene.site.state());
    }
    let _daemon = scene.site.start().unwrap();
    assert_eq!(scene.site.get(WELL).ok(), scene.sim.newest_access(WELL));
    assert_eq!(asked(&scene), (1, 0, 1), "no damage cost a login");
}

fn cut(path: &Path, by: u64) {
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    let length = file.metadata().unwrap().size();
    file.set_len(length / by).unwrap();
}

#[test]
#[expect(
    clippy::too_many_lines,
    reason = "one story: each step stands on the one before"
)]
fn flipped_bits_cost_at_most_the_record_they_are_in_and_no_login() {
    let scene = scene();
    let daemon = scene.site.start().unwrap();
    let token = scene.site.get(WELL).unwrap();
    assert!(daemon.terminate().unwrap().success());
    let pristine = scene.site.path().join("pristine");
    copy(&scene.site.state(), &pristine);
    let bytes = fs::read(pristine.join(DATABASE)).unwrap();
    // Only where there is content, because zeros are unused pages. Places all over, and always the record's name and the record itself.
    let used = bytes.iter().enumerate().filter(|(_, byte)| **byte != 0);
    let used: Vec<_> = used.map(|(at, _)| at).collect();
    let named = bytes.windows(5).enumerate();
    let named: Vec<_> = named
        .filter(|(_, window)| *window == b"well#")
        .map(|(at, _)| at)
        .collect();
    let inside = named.iter().map(|at| at + 200);
    let all_over = used.iter().copied().step_by(used.len() / 16);
    let places: Vec<_> = all_over
        .chain(inside)
        .chain(named.iter().copied())
        .collect();
    let (mut refusals, mut set_aside, mut unharmed) = (0, 0, 0);
    for at in &places {
        copy(&pristine, &scene.site.state());
        let mut bytes = bytes.clone();
        *bytes.get_mut(*at).unwrap() ^= 0x10;
        fs::write(scene.site.state().join(DATABASE), bytes).unwrap();
        let before = scene.site.log().unwrap().len();
        match scene.site.start() {
            Err(_) => {
                let log = scene.site.log().unwrap().split_off(before);
                let words = ["restore", "newer tokend", "key is not the one"];
                assert!(words.iter().any(|it| log.contains(it)), "byte {at}: {log}");
                refused(&scene.site, A_PERSON);
                refusals += 1;
            }
            Ok(daemon) => {
                let said = scene.site.tokenctl(&["get", WELL]).unwrap();
                match said.code {
                    Some(0) => {
                        assert_eq!(said.line().unwrap(), token, "byte {at}");
                        unharmed += 1;
                    }
                    _ => {
                        assert_eq!(said.code, Some(75), "byte {at}: {said:?}");
                        set_aside += 1;
                    }
                }
                daemon.kill().unwrap();
            }
        }
        assert_eq!(
            asked(&scene),
            (1, 0, 1),
            "byte {at}: no login was spent on it"
        );
    }
    assert_eq!(refusals + set_aside + unharmed, places.len());
    assert!(
        refusals > 0 && set_aside > 0,
        "{refusals} refusals, {set_aside} set aside, {unharmed} unharmed"
    );
}

/// Damage that the database library meets only on its way to a record, and not when it opens the store.
#[test]
fn damage_that_is_met_when_records_are_read_waits_for_a_person_too() {
    const PAGE: usize = 4096;
    let scene = scene();
    let daemon = scene.site.start().unwrap();
    let token = scene.site.get(WELL).unwrap();
    assert!(daemon.terminate().unwrap().success());
    let pristine = scene.site.path().join("pristine");
    copy(&scene.site.state(), &pristine);
    let mut bytes = fs::read(pristine.join(DATABASE)).unwrap();
    let named: Vec<_> = bytes
        .windows(5)
        .enumerate()
        .filter(|(_, window)| *window == b"well#")
        .map(|(at, _)| at)
        .collect();
    assert!(!named.is_empty());
    for at in named {
        // The number of the page's entries. The first byte, which gives the kind of page, is checked when a table is opened.
        let page = at / PAGE * PAGE;
        bytes[page + 2..page + 4].fill(0xff);
    }
    fs::write(scene.site.state().join(DATABASE), bytes).unwrap();
    for _ in 0..2 {
        let log = refused(&scene.site, A_PERSON);
        assert!(
            log.contains("stop tokend and restore the state directory"),
            "{log}"
        );
    }
    copy(&pristine, &scene.site.state());
    let _daemon = scene.site.start().unwrap();
    assert_eq!(scene.site.get(WELL).unwrap(), token);
    assert_eq!(asked(&scene), (1, 0, 1), "no damage cost a login");
}

#[test]
fn an_older_copy_of_the_store_costs_one_login() {
    let scene = scene();
    let older = scene.site.path().join("older");
    let daemon = scene.site.start().unwrap();
    scene.site.get(WELL).unwrap();
    assert!(daemon.terminate().unwrap().success());
    copy(&scene.site.state(), &older);
    let daemon = scene.site.start().unwrap();
    scene.well();
    daemon.kill().unwrap();
    copy(&older, &scene.site.state());
    let _daemon = scene.site.start().unwrap();
    // Nothing in the copy shows that it is old; the provider shows it by refusing the spent token.
    let refreshed = || scene.site.tokenctl(&["refresh", WELL]).unwrap().code == Some(0);
    wait_until("a token", PATIENCE + Duration::from_secs(30), refreshed).unwrap();
    scene.well();
    let log = scene.sim.log(WELL);
    assert_eq!(log.logins(), 2, "one, and not one for each try");
}
