//! A store that is removed, replaced or emptied while a daemon uses it.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use tokend_harness::{
    Daemon,
    clock::{PATIENCE, wait_until},
};

use crate::{
    scene::{Scene, WELL},
    store::{A_PERSON, DATABASE, asked, refused},
};

/// Where the open database can still be read, by root.
fn open_file(daemon: &Daemon) -> PathBuf {
    let descriptors = fs::read_dir(format!("/proc/{}/fd", daemon.pid())).unwrap();
    let mut paths = descriptors.map(|entry| entry.unwrap().path());
    let is_database = |path: &PathBuf| {
        let target = fs::read_link(path).unwrap_or_default();
        target.to_string_lossy().contains(DATABASE)
    };
    paths.find(is_database).unwrap()
}

fn nothing_is_asked(scene: &Scene, token: &str, what: &str) {
    let before = asked(scene);
    let said = scene.site.tokenctl(&["refresh", WELL]).unwrap();
    assert_eq!(said.code, Some(75), "{what}: {said:?}");
    assert_eq!(asked(scene), before, "{what}");
    assert_eq!(scene.site.get(WELL).unwrap(), token, "{what}");
    let doctor = scene.site.tokenctl(&["doctor"]).unwrap();
    assert_eq!(doctor.code, Some(75), "{what}: {doctor:?}");
    let words = "removed, replaced or emptied";
    assert!(doctor.out.contains(words), "{what}: {doctor:?}");
    scene.site.log_with(&[words]).unwrap();
}

#[test]
fn a_store_taken_from_its_daemon_is_told_and_nothing_is_asked_that_could_not_be_kept() {
    type Harm = fn(&Path);
    let harms: [(&str, Harm); 3] = [
        ("removed", |database| fs::remove_file(database).unwrap()),
        ("replaced", |database| {
            let copy = database.with_extension("copy");
            fs::copy(database, &copy).unwrap();
            fs::rename(&copy, database).unwrap();
        }),
        ("cut", |database| {
            fs::File::options()
                .write(true)
                .open(database)
                .and_then(|file| file.set_len(4096))
                .unwrap();
        }),
    ];
    for (what, harm) in harms {
        let scene = Scene::new("", "", &[]);
        let daemon = scene.site.start().unwrap();
        let token = scene.site.get(WELL).unwrap();
        harm(&scene.site.state().join(DATABASE));
        nothing_is_asked(&scene, &token, what);
        // A reload reads from memory and says nothing about the file.
        assert_eq!(scene.site.tokenctl(&["reload"]).unwrap().code, Some(0));
        nothing_is_asked(&scene, &token, what);
        daemon.kill().unwrap();
        match what {
            // The copy is as good as the file it replaced, because nothing was written after it.
            "replaced" => {
                let _daemon = scene.site.start().unwrap();
                assert_eq!(scene.site.get(WELL).unwrap(), token);
            }
            _ => drop(refused(&scene.site, A_PERSON)),
        }
        assert_eq!(asked(&scene), (1, 0, 1), "{what}: no login was spent on it");
    }
}

#[test]
fn a_store_that_was_removed_is_saved_from_the_daemon_that_has_it_open() {
    let scene = Scene::new("", "", &[]);
    let database = scene.site.state().join(DATABASE);
    let aside = scene.site.path().join("aside");
    let daemon = scene.site.start().unwrap();
    let token = scene.site.get(WELL).unwrap();
    // Back in its place, it is the file that the daemon has open.
    fs::rename(&database, &aside).unwrap();
    nothing_is_asked(&scene, &token, "moved");
    fs::rename(&aside, &database).unwrap();
    wait_until("the store to be used again", PATIENCE, || {
        scene.site.tokenctl(&["refresh", WELL]).unwrap().code == Some(0)
    })
    .unwrap();
    let token = scene.site.get(WELL).unwrap();
    fs::remove_file(&database).unwrap();
    nothing_is_asked(&scene, &token, "removed");
    let requests = asked(&scene);
    // As the operations guide says.
    fs::copy(open_file(&daemon), &aside).unwrap();
    daemon.kill().unwrap();
    fs::copy(&aside, &database).unwrap();
    fs::set_permissions(&database, fs::Permissions::from_mode(0o600)).unwrap();
    let _daemon = scene.site.start().unwrap();
    assert_eq!(scene.site.get(WELL).unwrap(), token);
    assert_eq!(asked(&scene), requests);
    scene.well();
    assert_eq!(scene.sim.violations(), []);
}
