//! Rules by the digest of a program, beside a user without rights who has many processes of large programs.
//!
//! Acting as another user needs root. Without root the test says so and passes, except with `CI=true`.

use std::{
    fs::{self, File},
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, UNIX_EPOCH},
};

use tokend_harness::{
    Daemon, Site,
    clock::{PATIENCE, wait_until},
    demand::{carried_out, root},
};
use tokend_provider_simulator::{Configuration, Simulator, spec::Api};

use crate::{
    scene::{FAST, account},
    wire::copy_program,
};

/// Users that no machine has: one with a rule for its program, one with a rule for itself, and one without a rule.
const RIGHTFUL: u32 = 4001;
const PLAIN: u32 = 4003;
const CROWD: u32 = 4002;
/// More than there are turns, places in the queue and connections examined together.
const PROCESSES: usize = 110;
/// Reading it in one go takes longer than a turn at anything else; almost all of it is a hole.
const LARGE: u64 = 300 << 20;
/// The number of such programs that they share.
const PROGRAMS: usize = 5;

struct Place {
    site: Site,
    _sim: Simulator,
    _daemon: Daemon,
    program: PathBuf,
}

impl Place {
    fn start() -> Self {
        let site = Site::new().unwrap();
        fs::set_permissions(site.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let program = site.path().join("tokenctl");
        copy_program(&site.binaries().tokenctl, &program).unwrap();
        let sum = Command::new("sha256sum").arg(&program).output().unwrap();
        let sum = String::from_utf8(sum.stdout).unwrap();
        let digest = sum.split_whitespace().next().unwrap();
        let rules = [
            ("by-program", format!("{{ sha256 = \"{digest}\" }}")),
            ("by-user", format!("{{ user = {PLAIN} }}")),
        ];
        let sim = Simulator::start(rules.iter().map(|(name, _)| account(name)).collect()).unwrap();
        let base_url = sim.base_url(Api::JwtApi);
        let configuration = rules
            .iter()
            .fold(Configuration::default(), |all, (name, rule)| {
                all.account(
                    account(name),
                    &base_url,
                    &format!("allow = [{rule}]\n{FAST}"),
                )
            });
        configuration.write(site.path()).unwrap();
        let daemon = site.start().unwrap();
        Self {
            site,
            _sim: sim,
            _daemon: daemon,
            program,
        }
    }

    fn get(&self, user: u32, program: &Path, name: &str, timeout: &str) -> Command {
        let mut command = Command::new(program);
        command
            .uid(user)
            .gid(user)
            .arg("--socket")
            .arg(self.site.socket())
            .args(["get", name, "--timeout", timeout])
            .stdin(Stdio::null());
        command
    }

    /// A `get` by a user with a right, which fails if it takes longer than a person notices on a busy machine.
    fn get_soon(&self, user: u32, name: &str) -> Output {
        self.get(user, &self.program, name, "8s").output().unwrap()
    }
}

/// Ends with the test.
struct Crowd(Vec<Child>);

impl Crowd {
    fn of(place: &Place, programs: &[PathBuf]) -> Self {
        let crowd = programs.iter().cycle().take(PROCESSES).map(|program| {
            place
                .get(CROWD, program, "by-program", "60s")
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap()
        });
        Self(crowd.collect())
    }

    /// The exit codes of the processes that have ended.
    fn codes(&mut self) -> Vec<Option<i32>> {
        let ended = self.0.iter_mut().filter_map(|it| it.try_wait().unwrap());
        ended.map(|status| status.code()).collect()
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // Fails for processes that have ended.
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// Copies of `tokenctl` with a long hole behind it, and those of the crowd.
fn large_programs(place: &Place) -> Vec<PathBuf> {
    let programs = (0..PROGRAMS).map(|number| {
        let path = place.site.path().join(format!("large-{number}"));
        copy_program(&place.program, &path).unwrap();
        let file = File::options().write(true).open(&path).unwrap();
        file.set_len(LARGE).unwrap();
        std::os::unix::fs::chown(&path, Some(CROWD), Some(CROWD)).unwrap();
        path
    });
    programs.collect()
}

/// Changes the times of files until it is stopped, so that no digest stays cached.
fn touch(programs: &[PathBuf], stop: &AtomicBool) {
    let mut seconds = 1_000_000_000;
    while !stop.load(Ordering::SeqCst) {
        for program in programs {
            seconds += 1;
            let time = UNIX_EPOCH + Duration::from_secs(seconds);
            File::open(program).unwrap().set_modified(time).unwrap();
        }
        thread::park_timeout(Duration::from_millis(20));
    }
}

#[test]
fn a_hundred_processes_of_large_programs_keep_nobody_from_being_told_by_theirs() {
    if !carried_out("rules by digest beside another user", root()) {
        return;
    }
    let place = Place::start();
    let programs = large_programs(&place);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| touch(&programs, &stop));
        let tested = scope.spawn(|| beside_the_crowd(&place, &programs)).join();
        stop.store(true, Ordering::SeqCst);
        tested.unwrap();
    });
}

fn beside_the_crowd(place: &Place, programs: &[PathBuf]) {
    let mut crowd = Crowd::of(place, programs);
    // Their queue is full, so the first is asked to come again.
    wait_until("the line of the crowd to be full", PATIENCE, || {
        crowd.codes().contains(&Some(75))
    })
    .unwrap();
    for (user, name) in [(RIGHTFUL, "by-program"), (PLAIN, "by-user")] {
        for _ in 0..3 {
            let output = place.get_soon(user, name);
            assert_eq!(output.status.code(), Some(0), "{name}: {output:?}");
        }
    }
    // Some of them were still there meanwhile, and none received a token.
    assert!(crowd.codes().len() < PROCESSES, "there was no crowd");
    let codes = crowd.codes();
    assert!(
        codes.iter().all(|code| matches!(code, Some(75 | 77))),
        "{codes:?}"
    );
}
