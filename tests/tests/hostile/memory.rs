//! The memory of a daemon, read from outside: what is forgotten is gone from there too. Needs root.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt as _,
};

use tokend_tests::{
    clock::{PATIENCE, wait_until},
    harness::Daemon,
};

use crate::scene::{FAST, Scene, WELL, kib};

/// How often each of these is in the memory of a process. Needs root.
fn in_memory(daemon: &Daemon, needles: &[String]) -> Vec<(String, usize)> {
    let proc = format!("/proc/{}", daemon.pid());
    let memory = File::open(format!("{proc}/mem")).unwrap();
    let mut counts: Vec<_> = needles.iter().map(|needle| (needle.clone(), 0)).collect();
    for line in fs::read_to_string(format!("{proc}/maps")).unwrap().lines() {
        let mut words = line.split_whitespace();
        let (range, access) = (words.next().unwrap(), words.next().unwrap());
        if !access.starts_with("rw") || line.contains("[v") {
            continue;
        }
        let (from, to) = range.split_once('-').unwrap();
        let [from, to] = [from, to].map(|end| u64::from_str_radix(end, 16).unwrap());
        let mut bytes = vec![0; usize::try_from(to - from).unwrap()];
        if memory.read_exact_at(&mut bytes, from).is_err() {
            continue;
        }
        for (needle, count) in &mut counts {
            *count += occurrences(&bytes, needle.as_bytes());
        }
    }
    counts
}

fn occurrences(bytes: &[u8], needle: &[u8]) -> usize {
    let Some((first, rest)) = needle.split_first() else {
        return 0;
    };
    let starts = bytes.iter().enumerate().filter(|(_, byte)| *byte == first);
    starts
        .filter(|(at, _)| {
            bytes
                .get(at + 1..)
                .is_some_and(|bytes| bytes.starts_with(rest))
        })
        .count()
}

#[test]
fn nothing_of_an_account_is_left_in_memory_once_it_is_forgotten() {
    let scene = Scene::new("", FAST, &[]);
    let daemon = scene.site.start().unwrap();
    scene.well();
    let token = scene.site.get(WELL).unwrap();
    let held = in_memory(&daemon, std::slice::from_ref(&token));
    assert!(
        held.iter().all(|(_, count)| *count > 0),
        "the scan finds what is there"
    );
    for _ in 0..3 {
        scene.well();
    }
    let said = scene.site.tokenctl(&["forget", "--yes", WELL]).unwrap();
    assert_eq!(said.code, Some(0), "{said:?}");
    let secrets = scene.sim.secrets();
    let left = || {
        in_memory(&daemon, &secrets)
            .into_iter()
            .filter(|(_, count)| *count > 0)
            .collect::<Vec<_>>()
    };
    let clean = wait_until("the memory to be clean", PATIENCE, || left().is_empty());
    assert!(clean.is_ok(), "{:?}", left());
}

/// KiB of locked memory of a daemon that is started by way of another program, and what it logged.
fn locked(program: &[&str]) -> (u64, String) {
    let scene = Scene::new("", "", &[]);
    let daemon = Daemon::spawn_under(program, &scene.site).unwrap();
    wait_until("the daemon to serve", PATIENCE, || {
        scene.site.get(WELL).is_ok()
    })
    .unwrap();
    let locked = kib(&daemon, "VmLck:");
    assert!(daemon.terminate().unwrap().success());
    (locked, scene.site.log().unwrap())
}

#[test]
fn memory_is_locked_where_no_limit_can_turn_that_against_the_daemon() {
    let limited = ["prlimit", "--memlock=8388608:8388608"];
    let (kib, log) = locked(&limited);
    assert!(kib > 8192, "root may lock more than the limit: {kib} KiB");
    assert!(!log.contains("not locked"), "{log}");
    let unprivileged = ["setpriv", "--bounding-set=-ipc_lock,-sys_resource"];
    let (kib, log) = locked(&[limited, unprivileged].concat());
    assert_eq!(kib, 0, "{log}");
    assert!(
        log.contains("memory is not locked") && log.contains("LimitMEMLOCK=infinity"),
        "{log}"
    );
}
