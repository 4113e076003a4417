//! Paths that are not files, files that never answer, and files that may not grow.

use std::{
    fs,
    os::unix::net::UnixListener,
    path::{Path, PathBuf},
    process::Command,
};

use rustix::process::Signal;
use tokend_harness::{
    Daemon,
    clock::{PATIENCE, wait_until},
    demand::{carried_out, tracing},
};

use crate::{
    scene::{Scene, WELL},
    store::refused,
};

/// The same, as a mistake in the configuration.
const A_PERSON: i32 = 78;

fn fifo(path: &Path) {
    let kind = rustix::fs::FileType::Fifo;
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, path, kind, mode, 0).unwrap();
}

/// A scene with directories for accounts and dialects.
fn scene() -> (Scene, PathBuf, PathBuf) {
    let preamble = "include_dir = \"accounts.d\"\ndialect_dir = \"dialects\"\n";
    let scene = Scene::new(preamble, "", &[]);
    let (accounts, dialects) = (
        scene.site.path().join("accounts.d"),
        scene.site.path().join("dialects"),
    );
    fs::create_dir(&accounts).unwrap();
    fs::create_dir(&dialects).unwrap();
    (scene, accounts, dialects)
}

#[test]
fn what_is_no_regular_file_is_refused_by_name_and_holds_neither_reloads_nor_the_end() {
    let (scene, accounts, dialects) = scene();
    let daemon = scene.site.start().unwrap();
    scene.well();
    let bound = accounts.join("socket.toml");
    let mut socket = None;
    for (path, wanted) in [
        (accounts.join("pipe.toml"), "a FIFO"),
        (dialects.join("pipe.toml"), "a FIFO"),
        (bound.clone(), "a socket"),
        (accounts.join("device.toml"), "a device"),
    ] {
        match wanted {
            "a FIFO" => fifo(&path),
            "a socket" => socket = Some(UnixListener::bind(&path).unwrap()),
            _ => std::os::unix::fs::symlink("/dev/zero", &path).unwrap(),
        }
        let name = path.file_name().unwrap().to_str().unwrap();
        let check = Command::new(&scene.site.binaries().tokend)
            .arg("check")
            .arg("--config")
            .arg(scene.site.configuration())
            .arg("--state-dir")
            .arg(scene.site.path().join("none"))
            .output()
            .unwrap();
        let checked = String::from_utf8_lossy(&check.stderr).into_owned();
        assert_eq!(check.status.code(), Some(A_PERSON), "{checked}");
        let said = scene.site.tokenctl(&["reload"]).unwrap();
        assert_eq!(said.code, Some(A_PERSON), "{said:?}");
        for text in [&checked, &said.err] {
            assert!(text.contains(name) && text.contains(wanted), "{text}");
        }
        daemon.signal(Signal::HUP).unwrap();
        fs::remove_file(&path).unwrap();
        assert_eq!(scene.site.tokenctl(&["reload"]).unwrap().code, Some(0));
    }
    drop(socket);
    fifo(&accounts.join("pipe.toml"));
    daemon.signal(Signal::HUP).unwrap();
    assert!(daemon.terminate().unwrap().success());
    assert!(refused(&scene.site, A_PERSON).contains("a FIFO"));
}

#[test]
fn a_configuration_that_does_not_answer_holds_neither_the_end_nor_a_token() {
    if !carried_out("a file system that hangs", tracing()) {
        return;
    }
    let (scene, accounts, _) = scene();
    let slow = accounts.join("slow.toml");
    fs::write(&slow, "").unwrap();
    let slow = slow.display().to_string();
    let trace = scene.site.path().join("trace").display().to_string();
    let daemon = scene.site.start().unwrap();
    scene.well();
    let mut strace = Command::new("strace")
        .args(["-f", "-qq", "-o", &trace, "-P", &slow])
        .args(["-e", "trace=?open,openat,?stat,statx"])
        .args(["-e", "inject=?open,openat,?stat,statx:delay_enter=60s"])
        .args(["-p", &daemon.pid().to_string()])
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let held = || {
        let status = fs::read_to_string(format!("/proc/{}/status", daemon.pid()));
        status.is_ok_and(|status| !status.contains("TracerPid:\t0\n"))
    };
    wait_until("strace to hold the daemon", PATIENCE, held).unwrap();
    daemon.signal(Signal::HUP).unwrap();
    let hangs = || fs::read_to_string(&trace).is_ok_and(|trace| trace.contains("slow.toml"));
    wait_until("the reload to hang", PATIENCE, hangs).unwrap();
    scene.well();
    daemon.signal(Signal::HUP).unwrap();
    daemon.signal(Signal::TERM).unwrap();
    // strace holds the hanging thread, even beyond the end of the process.
    let main = format!("/proc/{0}/task/{0}/status", daemon.pid());
    let over = || fs::read_to_string(&main).is_ok_and(|status| status.contains("Z (zombie)"));
    let ended = wait_until("the daemon to end", PATIENCE, over);
    drop(strace.kill());
    drop(strace.wait());
    ended.unwrap();
    assert!(daemon.wait().unwrap().success());
    assert!(scene.site.log().unwrap().contains("stopped"));
}

#[test]
fn a_limit_on_the_size_of_files_is_told_like_a_full_disk() {
    let scene = Scene::new("", "", &[]);
    assert!(scene.site.start().unwrap().terminate().unwrap().success());
    // More than an empty store, and less than the room that is kept for outcomes.
    let daemon = Daemon::start_under(&["prlimit", "--fsize=262144"], &scene.site).unwrap();
    let said = scene.site.tokenctl(&["get", WELL, "--wait", "0s"]).unwrap();
    assert_eq!(said.code, Some(75), "{said:?}");
    assert!(said.err.contains("the store cannot be written"), "{said:?}");
    let limit = "the limit on the size of files";
    scene.site.log_with(&[limit]).unwrap();
    assert_eq!(scene.sim.log(WELL).token_requests(), 0);
    // If it were asked to end, it would wait for room a while, as on a full disk.
    daemon.kill().unwrap();
    // Too small even for a new store.
    let scene = Scene::new("", "", &[]);
    let under = ["prlimit", "--fsize=8192"];
    let ended = Daemon::spawn_under(&under, &scene.site)
        .unwrap()
        .wait()
        .unwrap();
    assert_eq!(ended.code(), Some(75), "{}", scene.site.log().unwrap());
    let _daemon = scene.site.start().unwrap();
    scene.well();
}
