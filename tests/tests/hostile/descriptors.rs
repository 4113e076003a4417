//! Limits on open files, from too few for anything to enough.

use std::{
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use tokend_harness::{
    Daemon, Said,
    clock::{PATIENCE, Stopwatch},
};

use crate::scene::{Scene, WELL};

/// Limits that are enough for the loader and not for the daemon, and some beyond.
const LIMITS: std::ops::RangeInclusive<u32> = 3..=48;
/// With this many the daemon serves.
const ENOUGH: u32 = 64;

/// Before the program itself runs, the loader reads its libraries, with one descriptor.
fn is_the_loaders(said: &str) -> bool {
    said.contains("while loading shared libraries")
}

fn scene() -> Scene {
    Scene::new("[audit]\nfile = \"audit\"\n", "", &[])
}

/// The output of `tokend check` with this many descriptors.
fn checked(scene: &Scene, limit: u32) -> Said {
    let output = Command::new("prlimit")
        .arg(format!("--nofile={limit}:{limit}"))
        .arg(&scene.site.binaries().tokend)
        .args(["check", "--config"])
        .arg(scene.site.configuration())
        .arg("--state-dir")
        .arg(scene.site.state())
        .envs(scene.site.environment().iter().cloned())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Said {
        code: output.status.code(),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}

#[test]
fn a_right_configuration_is_fine_or_cannot_be_checked_now_with_any_number_of_descriptors() {
    let scene = scene();
    assert!(scene.site.start().unwrap().terminate().unwrap().success());
    for limit in LIMITS {
        let said = checked(&scene, limit);
        match said.code {
            Some(0) => assert!(said.out.contains("is fine"), "{limit}: {said:?}"),
            Some(75) => assert!(said.err.contains("descriptors"), "{limit}: {said:?}"),
            _ => assert!(is_the_loaders(&said.err), "{limit}: {said:?}"),
        }
    }
    assert_eq!(checked(&scene, ENOUGH).code, Some(0));
}

#[test]
fn a_daemon_serves_or_says_that_there_are_too_few_descriptors_whatever_their_number() {
    let scene = scene();
    assert!(scene.site.start().unwrap().terminate().unwrap().success());
    for limit in LIMITS {
        let before = scene.site.log().unwrap().len();
        let under = format!("--nofile={limit}:{limit}");
        let mut daemon = Daemon::spawn_under(&["prlimit", &under], &scene.site).unwrap();
        let watch = Stopwatch::start();
        let ended = loop {
            if let Some(status) = daemon.ended().unwrap() {
                break Some(status);
            }
            if scene.site.tokenctl(&["list"]).unwrap().code == Some(0) {
                break None;
            }
            assert!(watch.elapsed() < PATIENCE, "{limit}: neither");
            thread::park_timeout(Duration::from_millis(10));
        };
        let log = scene.site.log().unwrap().split_off(before);
        let Some(status) = ended else {
            assert!(daemon.terminate().unwrap().success(), "{limit}: {log}");
            continue;
        };
        match status.code() {
            Some(75) => assert!(log.contains("descriptors"), "{limit}: {log}"),
            _ => assert!(is_the_loaders(&log), "{limit}: {status}: {log}"),
        }
    }
    let under = format!("--nofile={ENOUGH}:{ENOUGH}");
    let _daemon = Daemon::start_under(&["prlimit", &under], &scene.site).unwrap();
    scene.well();
    assert!(scene.site.get(WELL).is_ok());
}
