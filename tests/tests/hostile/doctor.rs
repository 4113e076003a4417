//! `tokenctl doctor` on a bad day: it finds a full disk, a disk that cannot be written, and a clock that was set.

use std::time::Duration;

use serde_json::Value;
use tokend_harness::Site;

use crate::{
    disk::SmallDisk,
    scene::{Scene, WELL},
    wall_clock::{Clockwork, HOUR},
};

/// The finding about a topic, as severity, message and advice; and the exit code.
fn found(site: &Site, topic: &str) -> (Option<i32>, Vec<[String; 3]>) {
    let said = site.tokenctl(&["doctor", "--json"]).unwrap();
    let all: Vec<Value> =
        serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {said:?}"));
    let about = all.iter().filter(|it| it["topic"] == topic);
    let text = |it: &Value, key: &str| it[key].as_str().unwrap_or_default().to_owned();
    let about = about.map(|it| ["severity", "message", "advice"].map(|key| text(it, key)));
    (said.code, about.collect())
}

fn one(site: &Site, topic: &str) -> (Option<i32>, [String; 3]) {
    let (code, mut about) = found(site, topic);
    assert_eq!(about.len(), 1, "{topic}: {about:?}");
    (code, about.remove(0))
}

#[test]
fn a_disk_without_room_or_that_cannot_be_written_is_found() {
    let scene = Scene::new("", "", &[]);
    let disk = SmallDisk::mount(&scene.site.state(), 256 << 10);
    let daemon = scene.site.start().unwrap();
    let token = scene.site.get(WELL).unwrap();
    let (code, [severity, message, _]) = one(&scene.site, "store");
    assert_eq!((code, severity.as_str()), (Some(0), "ok"), "{message}");
    assert!(message.contains("MiB left"), "{message}");

    disk.remount("size=16384k");
    let (code, [severity, message, advice]) = one(&scene.site, "store");
    assert_eq!((code, severity.as_str()), (Some(0), "warning"), "{message}");
    assert!(
        message.contains("MiB left") && advice.contains("make room"),
        "{message} {advice}"
    );

    // A file system with an open writer cannot be made read-only; another one in its place can.
    let other = SmallDisk::mount(&scene.site.state(), 16_384);
    other.remount("ro");
    let (code, [severity, message, advice]) = one(&scene.site, "store");
    assert_eq!(
        (code, severity.as_str()),
        (Some(75), "problem"),
        "{message}"
    );
    assert!(message.contains("read-only"), "{message}");
    assert!(advice.contains("mount it for writing"), "{advice}");
    assert_eq!(scene.site.get(WELL).unwrap(), token);
    drop(other);
    assert!(daemon.terminate().unwrap().success());
}

#[test]
fn a_clock_that_was_set_is_found_and_one_that_was_set_right_again_is_not() {
    let work = Clockwork::new(Duration::from_secs(3600));
    let _daemon = work.site.start().unwrap();
    let set = |it: &[String; 3]| it[1].contains("since the daemon started");
    let about = |work: &Clockwork| {
        let (_, about) = found(&work.site, "clock");
        about.into_iter().find(set).unwrap()
    };
    assert_eq!(about(&work)[0], "ok");
    for offset in [HOUR, -HOUR] {
        work.set(offset);
        let [severity, message, advice] = about(&work);
        assert_eq!(severity, "warning", "{message}");
        let seconds = message
            .split_whitespace()
            .find_map(|word| word.parse().ok());
        assert!((3590..=3610).contains(&seconds.unwrap()), "{message}");
        assert!(advice.contains("tokens are not affected"), "{advice}");
    }
    work.set(0);
    assert_eq!(about(&work)[0], "ok");
}
