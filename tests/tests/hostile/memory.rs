//! The memory of a daemon, read from outside: forgotten secrets are gone from heap and stacks. Needs root.

use std::{
    fs::{self, File},
    hash::{BuildHasher as _, RandomState},
    os::unix::fs::FileExt as _,
};

use serde_json::json;
use tokend_harness::{
    Daemon, Site,
    clock::{PATIENCE, wait_until},
};
use tokend_provider_simulator::{Configuration, Simulator};
use tokend_tests::secrecy::Search;

use crate::{
    failings::JSON,
    raw::{Raw, reply},
    scene::{FAST, Scene, WELL, account, kib},
};

/// Pages that belong to the kernel and cannot be read this way.
const OF_THE_KERNEL: [&str; 4] = ["[vvar]", "[vvar_vclock]", "[vdso]", "[vsyscall]"];

/// The forms found in all the memory that a process can read, or the range that could not be read, because then the answer is unknown.
/// Such a range may only have been freed meanwhile. Needs root.
fn in_memory(daemon: &Daemon, search: &Search) -> Result<Vec<String>, String> {
    in_mappings(daemon, search, 'r')
}

/// The same of mappings with this access.
fn in_mappings(daemon: &Daemon, search: &Search, access: char) -> Result<Vec<String>, String> {
    let wanted = access;
    let proc = format!("/proc/{}", daemon.pid());
    let memory = File::open(format!("{proc}/mem")).unwrap();
    let mut found = Vec::new();
    for line in fs::read_to_string(format!("{proc}/maps")).unwrap().lines() {
        let mut words = line.split_whitespace();
        let (range, access) = (words.next().unwrap(), words.next().unwrap());
        if !access.contains(wanted) || OF_THE_KERNEL.iter().any(|name| line.ends_with(name)) {
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

/// The lengths of other providers' tokens: shorter and longer than a block of the hash that fingerprints them, and no multiple of it.
const LENGTHS: [usize; 6] = [17, 40, 100, 119, 1200, 5000];
/// How many consecutive bytes of a secret are searched for. Fewer occur by chance, or in common words.
const PIECE: usize = 16;

/// A new random text of this many bytes.
fn unseen(length: usize) -> String {
    let state = RandomState::new();
    let words = (0u32..).map(|word| format!("{:016x}", state.hash_one(word)));
    let text: String = words.take(length / 16 + 1).collect();
    text.chars().take(length).collect()
}

/// A provider that grants the same for every request.
fn granting(access: &str, refresh: &str) -> Raw {
    let granted = json!({ "access_token": access, "refresh_token": refresh, "expires_in": 3600 });
    let body = granted.to_string();
    Raw::start(move |talk| {
        talk.request();
        talk.say(&reply("200 OK", JSON, body.as_bytes()));
        talk.hang_up();
    })
}

/// Sends every kind of secret through the daemon in every way, and forgets the account. Returns all secrets.
fn use_and_forget(site: &Site, sim: &Simulator, others: &[(String, String)]) -> Vec<String> {
    let mut secrets = Vec::new();
    let mut said = |words: &[&str], input: &str, code: i32| {
        let said = site.tokenctl_with(words, &format!("{input}\n")).unwrap();
        assert_eq!(said.code, Some(code), "{words:?}: {said:?}");
        secrets.push(input.to_owned());
    };
    // A password and a refresh token that are refused, and a password that replaces another.
    said(&["login", WELL, "--password"], &unseen(27), 79);
    let password = sim.accounts().remove(0).password.unwrap();
    for _ in 0..2 {
        said(&["login", WELL, "--password"], &password, 0);
    }
    said(&["login", WELL, "--refresh-token"], &unseen(61), 79);
    for (name, access) in others {
        assert_eq!(site.get(name).unwrap(), *access);
        said(&["reject", name], access, 0);
        said(
            &["login", name, "--refresh-token"],
            &unseen(access.len()),
            0,
        );
    }
    for name in [WELL]
        .into_iter()
        .chain(others.iter().map(|(name, _)| name.as_str()))
    {
        said(&["forget", "--yes", name], "", 0);
    }
    secrets.retain(|secret| !secret.is_empty());
    secrets.extend(sim.secrets());
    secrets
}

#[test]
fn no_piece_of_what_was_forgotten_is_left_in_heap_or_stacks() {
    let sim = Simulator::start(vec![account(WELL)]).unwrap();
    let mut configuration = Configuration::of(&sim).everywhere(FAST).without_secrets();
    let (mut providers, mut others, mut secrets) = (Vec::new(), Vec::new(), Vec::new());
    for length in LENGTHS {
        let (access, refresh) = (unseen(length), unseen(length + 9));
        let provider = granting(&access, &refresh);
        let name = format!("a{length}");
        let other = account(&name);
        secrets.extend(other.password.clone());
        configuration = configuration.account(other, &provider.http(), FAST);
        secrets.push(refresh);
        secrets.push(access.clone());
        others.push((name, access));
        providers.push(provider);
    }
    let site = Site::with(&configuration).unwrap();
    let daemon = site.start().unwrap();
    let (name, access) = &others[0];
    assert_eq!(site.get(name).unwrap(), *access);
    let search = Search::of_pieces(std::slice::from_ref(access), PIECE);
    let held = in_mappings(&daemon, &search, 'w');
    assert!(!held.unwrap().is_empty(), "the scan finds what is there");
    secrets.extend(use_and_forget(&site, &sim, &others));
    let search = Search::of_pieces(&secrets, PIECE);
    let clean = wait_until("the memory to be clean", PATIENCE, || {
        in_mappings(&daemon, &search, 'w').is_ok_and(|found| found.is_empty())
    });
    assert!(clean.is_ok(), "{:?}", in_mappings(&daemon, &search, 'w'));
}

/// KiB of locked memory of a daemon that is started under another program, and its log.
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
