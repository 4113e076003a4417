//! A record whose name was damaged on the disk is put back at a start, so that its account keeps its login.

use std::fs;

use crate::{
    scene::{Scene, WELL},
    store::{DATABASE, asked},
};

/// Changes the last letter of the account's name everywhere in the database; the record itself stays whole.
fn damage_the_name(scene: &Scene) {
    let path = scene.site.state().join(DATABASE);
    let mut bytes = fs::read(&path).unwrap();
    let named = bytes.windows(5).enumerate();
    let named: Vec<_> = named
        .filter(|(_, window)| *window == b"well#")
        .map(|(at, _)| at)
        .collect();
    assert!(!named.is_empty());
    for at in named {
        *bytes.get_mut(at + 3).unwrap() = b'k';
    }
    fs::write(path, bytes).unwrap();
}

const PUT_BACK: &str = "the stored record had a damaged name and was put back";

/// A token of the account, whose record has a damaged name from here on.
fn token_of_a_damaged_record(scene: &Scene) -> String {
    let daemon = scene.site.start().unwrap();
    let token = scene.site.get(WELL).unwrap();
    assert!(daemon.terminate().unwrap().success());
    damage_the_name(scene);
    token
}

/// The account serves this token, and nobody logs in.
fn has_kept_its_login(scene: &Scene, token: &str) {
    assert_eq!(scene.site.get(WELL).unwrap(), token);
    let log = scene.site.log().unwrap();
    assert_eq!(log.matches(PUT_BACK).count(), 1, "{log}");
    // The refresh token is there too, so no login follows.
    scene.well();
    assert_eq!(asked(scene), (1, 1, 2));
}

#[test]
fn an_account_that_a_reload_adds_has_its_record_although_the_name_is_damaged() {
    // So many that the reload adds few.
    let others = ["a", "b", "c", "d", "e", "f"].map(|name| (name, "http://127.0.0.1:1".to_owned()));
    let scene = Scene::new("", "", &others);
    let token = token_of_a_damaged_record(&scene);
    let file = scene.site.configuration();
    let with = fs::read_to_string(&file).unwrap();
    let own = format!("\"{WELL}\"]");
    let is_other = |section: &&str| !section.starts_with(&own);
    let sections: Vec<_> = with.split("[account.").filter(is_other).collect();
    let without = sections.join("[account.");
    assert!(without.len() < with.len());
    fs::write(&file, without).unwrap();
    let _daemon = scene.site.start().unwrap();
    assert!(!scene.site.log().unwrap().contains(PUT_BACK));
    fs::write(&file, with).unwrap();
    assert_eq!(scene.site.tokenctl(&["reload"]).unwrap().code, Some(0));
    has_kept_its_login(&scene, &token);
}

#[test]
fn an_account_whose_record_has_a_damaged_name_keeps_its_login() {
    let scene = Scene::new("", "", &[]);
    let token = token_of_a_damaged_record(&scene);
    let daemon = scene.site.start().unwrap();
    has_kept_its_login(&scene, &token);
    assert!(daemon.terminate().unwrap().success());
    // The record was put back on the disk, and not only in memory.
    let before = scene.site.log().unwrap().len();
    let _daemon = scene.site.start().unwrap();
    scene.well();
    let log = scene.site.log().unwrap().split_off(before);
    assert!(
        !log.contains(PUT_BACK) && !log.contains("cannot be opened"),
        "{log}"
    );
    assert_eq!(scene.sim.log(WELL).logins(), 1);
}
