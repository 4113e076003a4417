//! The memory of a daemon, read from outside: what is forgotten is gone from there too. Needs root.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt as _,
};

use tokend_tests::{
    clock::{PATIENCE, wait_until},
    harness::Daemon,
    secrecy::Search,
};

use crate::scene::{FAST, Scene, WELL, kib};

/// Pages that are the kernel's and not to be read in this way.
const OF_THE_KERNEL: [&str; 4] = ["[vvar]", "[vvar_vclock]", "[vdso]", "[vsyscall]"];

/// What is found in all the memory a process can read, or the part of it that was not to be had: then nothing can be said. It may only
/// have been given back meanwhile. Needs root.
fn in_memory(daemon: &Daemon, search: &Search) -> Result<Vec<String>, String> {
    let proc = format!("/proc/{}", daemon.pid());
    let memory = File::open(format!("{proc}/mem")).unwrap();
    let mut found = Vec::new();
    for line in fs::read_to_string(format!("{proc}/maps")).unwrap().lines() {
        let mut words = line.split_whitespace();
        let (range, access) = (words.next().unwrap(), words.next().unwrap());
        if !access.starts_with('r') || OF_THE_KERNEL.iter().any(|name| line.ends_with(name)) {
            continue;
        }
        let (from, to) = range.split_once('-').unwrap();
        let [from, to] = [from, to].map(|end| u64::from_str_radix(end, 16).unwrap());
        let mut bytes = vec![0; usize::try_from(to - from).unwrap()];
        let read = memory.read_exact_at(&mut bytes, from);
        read.map_err(|error| format!("{line}: {error}"))?;
        found.extend(search.found(&bytes));
    }
    Ok(found)
}

#[test]
fn nothing_of_an_account_is_left_in_memory_once_it_is_forgotten() {
    let scene = Scene::new("", FAST, &[]);
    let daemon = scene.site.start().unwrap();
    scene.well();
    let token = scene.site.get(WELL).unwrap();
    let search = Search::of(std::slice::from_ref(&token));
    wait_until("the scan to find what is there", PATIENCE, || {
        in_memory(&daemon, &search).is_ok_and(|found| found.contains(&token))
    })
    .unwrap();
    for _ in 0..3 {
        scene.well();
    }
    let said = scene.site.tokenctl(&["forget", "--yes", WELL]).unwrap();
    assert_eq!(said.code, Some(0), "{said:?}");
    let search = Search::of(&scene.sim.secrets());
    let clean = wait_until("the memory to be clean", PATIENCE, || {
        in_memory(&daemon, &search).is_ok_and(|found| found.is_empty())
    });
    assert!(clean.is_ok(), "{:?}", in_memory(&daemon, &search));
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
