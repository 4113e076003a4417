//! Audit records on a full disk: no request waits for them, and every lost record is reported.

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
};

use serde_json::Value;
use tokend_harness::{
    clock::{PATIENCE, wait_until},
    hostile::wire::{Wire, frame, get},
};
use tokend_proto::{FaultCode, Request, Response};

use crate::{
    disk::SmallDisk,
    scene::{FAST, Scene, WELL},
};

fn records(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn released(path: &Path) -> usize {
    let found = records(path);
    found.iter().filter(|it| it["event"] == "release").count()
}

fn full_disk(required: bool) -> (Scene, SmallDisk) {
    let preamble = format!("[audit]\nfile = \"audit/records\"\nrequired = {required}\n");
    let scene = Scene::new(&preamble, FAST, &[]);
    let disk = SmallDisk::mount(&scene.site.path().join("audit"), 256);
    (scene, disk)
}

#[test]
fn a_full_disk_keeps_no_token_back_and_loses_no_record_that_has_room_in_memory() {
    let (scene, disk) = full_disk(false);
    let records_at = scene.site.path().join("audit/records");
    let daemon = scene.site.start().unwrap();
    scene.site.get(WELL).unwrap();
    wait_until("the first release", PATIENCE, || released(&records_at) == 1).unwrap();
    let ballast = disk.fill();
    for _ in 0..20 {
        scene.site.get(WELL).unwrap();
    }
    let trouble = "audit records cannot be written to the file";
    scene.site.log_with(&[trouble]).unwrap();
    scene.site.get(WELL).unwrap();
    drop(ballast);
    wait_until("all of them", PATIENCE, || released(&records_at) == 22).unwrap();
    assert!(daemon.terminate().unwrap().success());
    let seqs: Vec<_> = records(&records_at)
        .iter()
        .map(|it| it["seq"].as_u64().unwrap())
        .collect();
    let expected: Vec<_> = (1..).take(seqs.len()).collect();
    assert_eq!(seqs, expected, "none is missing and none is there twice");
    scene.site.log_with(&["to the file again"]).unwrap();
}

#[test]
fn where_records_are_required_a_full_disk_keeps_tokens_back_until_there_is_room() {
    let (scene, disk) = full_disk(true);
    let records_at = scene.site.path().join("audit/records");
    let daemon = scene.site.start().unwrap();
    scene.site.get(WELL).unwrap();
    let ballast = disk.fill();
    let mut served = 1;
    let refused = loop {
        let said = scene.site.tokenctl(&["get", WELL]).unwrap();
        match said.code {
            Some(0) => served += 1,
            _ => break said,
        }
        assert!(served < 10_000, "releases that leave no record");
    };
    assert_eq!(refused.code, Some(75), "{refused:?}");
    assert!(refused.err.contains("cannot be recorded"), "{refused:?}");
    assert_eq!(refused.out, "");
    // An administrator's repair is not delayed.
    assert_eq!(scene.site.tokenctl(&["status"]).unwrap().code, Some(0));
    drop(ballast);
    wait_until("tokens again", PATIENCE, || scene.site.get(WELL).is_ok()).unwrap();
    served += 1;
    assert!(daemon.terminate().unwrap().success());
    assert_eq!(released(&records_at), served, "each release has its record");
}

#[test]
fn where_records_are_required_a_full_disk_keeps_a_watch_waiting_and_does_not_end_it() {
    let (scene, disk) = full_disk(true);
    let records_at = scene.site.path().join("audit/records");
    let _daemon = scene.site.start().unwrap();
    scene.site.get(WELL).unwrap();
    let ballast = disk.fill();
    wait_until("releases to be refused", PATIENCE, || {
        let said = scene.site.tokenctl(&["get", WELL]).unwrap();
        said.code == Some(75)
    })
    .unwrap();
    let mut wire = Wire::greeted(&scene.site);
    let watch = Request::Watch {
        account: WELL.parse().unwrap(),
        min_validity_ms: None,
    };
    assert!(wire.say(&frame(1, watch)));
    match wire.hear() {
        Some(Response::Unavailable(fault)) => {
            assert_eq!(fault.code, FaultCode::AuditUnavailable);
        }
        other => panic!("{other:?}"),
    }
    drop(ballast);
    // Nothing wakes it: it tries again by itself.
    assert!(matches!(wire.hear(), Some(Response::Token(_))));
    wait_until("the record of the watch", PATIENCE, || {
        records(&records_at)
            .iter()
            .any(|it| it["event"] == "release" && it["request"] == "watch")
    })
    .unwrap();
}

#[test]
fn a_peer_that_may_not_is_refused_and_not_told_to_wait_for_records() {
    let preamble = "[audit]\nfile = \"audit/records\"\nrequired = true\n";
    let theirs = format!("{FAST}allow = [{{ user = 4242 }}]\n");
    let nowhere = "http://127.0.0.1:1".to_owned();
    let scene = Scene::new(preamble, &theirs, &[("theirs", nowhere)]);
    let disk = SmallDisk::mount(&scene.site.path().join("audit"), 256);
    let daemon = scene.site.start().unwrap();
    let ballast = disk.fill();
    let code = |account| scene.site.tokenctl(&["get", account]).unwrap().code;
    wait_until("no room for records", PATIENCE, || code(WELL) == Some(75)).unwrap();
    let refused = scene.site.tokenctl(&["get", "theirs"]).unwrap();
    assert_eq!(refused.code, Some(77), "{refused:?}");
    drop(ballast);
    wait_until("tokens again", PATIENCE, || code(WELL) == Some(0)).unwrap();
    assert!(daemon.terminate().unwrap().success());
    let dir = scene.site.path().join("audit");
    let of_theirs: Vec<_> = written(&dir, "records")
        .iter()
        .flat_map(|(path, _)| records(path))
        .filter(|it| it["account"] == "theirs")
        .collect();
    let [denial] = &of_theirs[..] else {
        panic!("{of_theirs:?}");
    };
    assert_eq!(
        (&denial["event"], &denial["outcome"]),
        (&"denial".into(), &"not-allowed".into())
    );
}

/// Every file in a directory whose name begins so.
fn written(dir: &Path, begins: &str) -> Vec<(PathBuf, u64)> {
    fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(begins))
        .map(|entry| (entry.path(), entry.metadata().unwrap().len()))
        .collect()
}

/// Denials on one connection: of another user's account, and of many unknown ones.
fn deny(scene: &Scene, times: u64) {
    let mut wire = Wire::greeted(&scene.site);
    for batch in 0..times / 50 {
        for id in 0..50 {
            let account = match id % 2 {
                0 => "theirs".to_owned(),
                _ => format!("zzz-{batch}-{id}"),
            };
            assert!(wire.say(&get(id + 2, &account)));
        }
        for _ in 0..50 {
            assert!(matches!(wire.hear(), Some(Response::Fault(_))));
        }
    }
}

/// How many tokens are released meanwhile. Their records fill less than one file.
const SERVED: usize = 100;

#[test]
fn denials_without_end_cost_no_release_its_record_and_nobody_a_token() {
    let preamble =
        "[audit]\nfile = \"audit/records\"\nrequired = true\nmax_size = \"64KiB\"\nkeep = 1\n";
    let theirs = format!("{FAST}allow = [{{ user = 4242 }}]\n");
    let nowhere = "http://127.0.0.1:1".to_owned();
    let scene = Scene::new(preamble, &theirs, &[("theirs", nowhere)]);
    let dir = scene.site.path().join("audit");
    fs::create_dir(&dir).unwrap();
    let daemon = scene.site.start().unwrap();
    thread::scope(|threads| {
        let stranger = threads.spawn(|| deny(&scene, 30_000));
        for _ in 0..SERVED {
            scene.site.get(WELL).unwrap();
        }
        stranger.join().unwrap();
    });
    assert!(daemon.terminate().unwrap().success());
    let files = written(&dir, "records");
    let all: Vec<_> = files.iter().flat_map(|(path, _)| records(path)).collect();
    let releases = all.iter().filter(|it| it["event"] == "release").count();
    assert_eq!(releases, SERVED, "each release has its record");
    let denied: u64 = all
        .iter()
        .filter(|it| it["event"] == "denial")
        .map(|it| it["count"].as_u64().unwrap_or(1))
        .sum();
    assert_eq!(denied, 30_000, "each is counted");
    let log = scene.site.log().unwrap().len() as u64;
    let bytes: u64 = files.iter().map(|(_, length)| length).sum();
    assert!(
        log + bytes < 200_000,
        "{log} bytes of log and {bytes} of records"
    );
}
