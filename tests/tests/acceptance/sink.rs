//! `tokenctl sink`: a file that another program reads, over renewals, refusals, restarts and kills, and what is refused before it runs.

use std::{
    collections::BTreeSet,
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tokend_harness::{
    Site,
    clock::{PATIENCE, wait_for, wait_until},
};
use tokend_provider_simulator::spec::Api;

use crate::stage::{FAST, Stage, account};

mod configurations;
mod keepers;
mod others;
mod races;

/// A sink called `feed` of the account `it`, until this is dropped.
struct Running {
    child: Child,
    file: PathBuf,
    errors: PathBuf,
}

/// The configuration of a sink beside the daemon's, which writes `out/token`.
fn configure(site: &Site, lines: &str) -> PathBuf {
    let out = site.path().join("out");
    fs::create_dir_all(&out).unwrap();
    fs::set_permissions(&out, Permissions::from_mode(0o700)).unwrap();
    let path = site.path().join("feed.toml");
    let file = out.join("token").display().to_string();
    let text = format!("account = \"it\"\n{}", lines.replace("FILE", &file));
    fs::write(&path, text).unwrap();
    path
}

const PLAIN: &str = "path = \"FILE\"\n";

impl Running {
    fn start(site: &Site, lines: &str) -> Self {
        let running = Self::begin(site, lines);
        running.token();
        running
    }

    fn begin(site: &Site, lines: &str) -> Self {
        configure(site, lines);
        Self::begin_as(site, "feed")
    }

    /// The sink of this name, whose configuration is written.
    fn begin_as(site: &Site, name: &str) -> Self {
        let configuration = site.path().join(format!("{name}.toml"));
        let errors = site.path().join(format!("{name}.err"));
        let child = Command::new(&site.binaries().tokenctl)
            .arg("--socket")
            .arg(site.socket())
            .args(["sink", "--file"])
            .arg(configuration)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&errors).unwrap())
            .spawn()
            .unwrap();
        Self {
            child,
            file: site.path().join("out/token"),
            errors,
        }
    }

    fn now(&self) -> Option<String> {
        fs::read_to_string(&self.file).ok()
    }

    fn token(&self) -> String {
        let found = wait_for("a token in the file", PATIENCE, || self.now());
        found.unwrap_or_else(|error| panic!("{error}: {}", self.said()))
    }

    fn is_gone(&self) {
        wait_until("the file to go", PATIENCE, || self.now().is_none())
            .unwrap_or_else(|error| panic!("{error}: {}", self.said()));
    }

    fn has(&self, text: &str) {
        let what = "the newer token in the file";
        wait_until(what, PATIENCE, || self.now().as_deref() == Some(text))
            .unwrap_or_else(|error| panic!("{error}: {}", self.said()));
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.errors).unwrap()
    }

    fn says(&self, words: &str) {
        wait_until(words, PATIENCE, || self.said().contains(words))
            .unwrap_or_else(|error| panic!("{error}: {}", self.said()));
    }

    fn ended(&mut self) -> ExitStatus {
        let ended = wait_for("the sink to end", PATIENCE, || {
            self.child.try_wait().unwrap()
        });
        ended.unwrap_or_else(|error| panic!("{error}: {}", self.said()))
    }

    fn signal(&mut self, signal: Signal) -> ExitStatus {
        let process = Pid::from_child(&self.child);
        kill_process(process, signal).unwrap();
        self.ended()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only if the process is gone already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn change(site: &Site, from: &str, to: &str) {
    let path = site.configuration();
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(&path, text.replace(from, to)).unwrap();
    let said = site.tokenctl(&["reload"]).unwrap();
    assert_eq!(said.code, Some(0), "{said:?}");
}

const ALLOWED: &str = "[account.\"it\"]";
const DENIED: &str = "[account.\"it\"]\nallow = [{ user = 4000 }]";

#[test]
fn a_sink_always_holds_a_good_token_over_renewals() {
    let stage = Stage::new(vec![account("it", Api::JwtApi)], FAST);
    let lifetime = |it: &mut tokend_provider_simulator::spec::Behaviour| {
        it.access_lifetime = Duration::from_secs(3);
    };
    stage.sim.change("it", lifetime);
    let _daemon = stage.site.start().unwrap();
    // In memory: a busy disk can take longer for a write than these tokens live.
    let memory = tempfile::tempdir_in("/dev/shm").unwrap();
    let file = memory.path().join("token");
    let mut running = Running::begin(&stage.site, &format!("path = \"{}\"", file.display()));
    running.file = file;
    running.token();
    assert_eq!(mode(&running.file), 0o600);
    let mut seen = BTreeSet::new();
    wait_until("four renewals", PATIENCE, || {
        let token = running.now().expect("never gone");
        assert!(
            stage.accepted(Api::JwtApi, &token),
            "in the file and refused"
        );
        seen.insert(token);
        seen.len() == 5
    })
    .unwrap();
    assert_eq!(running.said(), "");
}

#[test]
fn a_refused_token_is_replaced_and_one_that_ends_without_a_newer_one_is_removed() {
    let stage = Stage::on_demand(Api::JwtApi);
    let life = |seconds| {
        stage.sim.change("it", |it| {
            it.access_lifetime = Duration::from_secs(seconds);
        });
    };
    let _daemon = stage.site.start().unwrap();
    let mut running = Running::start(&stage.site, PLAIN);
    let refused = running.token();
    life(4);
    let fresh = stage.reject("it", &refused).line().unwrap();
    running.has(&fresh);
    stage.sim.down(Api::JwtApi);
    running.is_gone();
    running.says("no newer token at present: ");
    life(3600);
    stage.sim.up(Api::JwtApi).unwrap();
    assert!(stage.accepted(Api::JwtApi, &running.token()));
    assert_eq!(running.child.try_wait().unwrap(), None);
}

#[test]
fn a_killed_sink_leaves_what_its_successor_removes_unless_it_is_still_the_token() {
    let stage = Stage::on_demand(Api::JwtApi);
    let daemon = stage.site.start().unwrap();
    let mut running = Running::start(&stage.site, PLAIN);
    let first = running.token();
    running.signal(Signal::KILL);
    assert_eq!(running.now().as_deref(), Some(&*first), "nobody was there");
    // The same token: the file stays.
    let mut running = Running::begin(&stage.site, PLAIN);
    let next = stage.reject("it", &first).line().unwrap();
    running.has(&next);
    running.signal(Signal::KILL);
    // Another token: the file of before is replaced.
    let newest = stage.reject("it", &next).line().unwrap();
    let mut running = Running::begin(&stage.site, PLAIN);
    running.has(&newest);
    running.signal(Signal::KILL);
    // No daemon, so nobody says that the token may still be used.
    drop(daemon);
    let running = Running::begin(&stage.site, PLAIN);
    running.is_gone();
    let _daemon = stage.site.start().unwrap();
    running.token();
}

#[test]
fn a_stopped_sink_takes_its_file_along_and_a_restarted_one_leaves_it() {
    let stage = Stage::on_demand(Api::JwtApi);
    let _daemon = stage.site.start().unwrap();
    for (signal, stays) in [
        (Signal::TERM, false),
        (Signal::INT, false),
        (Signal::USR1, true),
    ] {
        let mut running = Running::start(&stage.site, PLAIN);
        assert!(!running.signal(signal).success());
        assert_eq!(running.now().is_some(), stays, "{signal:?}");
        assert_eq!(running.said(), "", "{signal:?}");
    }
}

#[test]
fn a_sink_goes_on_over_restarts_and_kills_of_the_daemon() {
    let stage = Stage::on_demand(Api::JwtApi);
    let mut daemon = stage.site.start().unwrap();
    let running = Running::start(&stage.site, PLAIN);
    for is_killed in [false, true] {
        let before = running.token();
        match is_killed {
            true => daemon.kill().unwrap(),
            false => assert!(daemon.terminate().unwrap().success()),
        }
        assert_eq!(running.now(), Some(before.clone()), "still good");
        daemon = stage.site.start().unwrap();
        let fresh = stage.reject("it", &before).line().unwrap();
        running.has(&fresh);
    }
}

#[test]
fn a_reload_that_takes_the_right_away_takes_the_file_and_ends_the_sink() {
    let stage = Stage::on_demand(Api::JwtApi);
    let _daemon = stage.site.start().unwrap();
    for _ in 0..5 {
        let mut running = Running::start(&stage.site, PLAIN);
        change(&stage.site, ALLOWED, DENIED);
        assert_eq!(running.ended().code(), Some(77));
        assert_eq!(running.now(), None);
        assert!(running.said().contains("you may not have the token"));
        // One that starts without the right finds the file of before, and removes it.
        fs::write(&running.file, "old").unwrap();
        let mut denied = Running::begin(&stage.site, PLAIN);
        assert_eq!(denied.ended().code(), Some(77));
        assert_eq!(denied.now(), None);
        change(&stage.site, DENIED, ALLOWED);
    }
}

/// Reloads race with renewals: whatever a sink has heard before, nothing stays after the reload that took the right away.
#[test]
fn no_file_outlives_the_right_when_reloads_race_with_new_tokens() {
    let stage = Stage::on_demand(Api::JwtApi);
    let _daemon = stage.site.start().unwrap();
    for _ in 0..20 {
        let mut running = Running::start(&stage.site, PLAIN);
        let before = running.token();
        std::thread::scope(|scope| {
            scope.spawn(|| stage.site.tokenctl_with(&["reject", "it"], &before));
            change(&stage.site, ALLOWED, DENIED);
        });
        assert_eq!(running.ended().code(), Some(77), "{}", running.said());
        assert_eq!(running.now(), None, "nothing comes after it has ended");
        change(&stage.site, DENIED, ALLOWED);
    }
}

#[test]
fn login_required_leaves_no_file_and_the_sink_waits_for_the_login() {
    let stage = Stage::on_demand(Api::JwtApi);
    let _daemon = stage.site.start().unwrap();
    let said = stage.site.tokenctl(&["forget", "--yes", "it"]).unwrap();
    assert_eq!(said.code, Some(0), "{said:?}");
    let configuration = fs::read_to_string(stage.site.configuration()).unwrap();
    let lines = configuration.lines().filter(|it| !it.contains("password"));
    let without: Vec<_> = lines.collect();
    fs::write(stage.site.configuration(), without.join("\n")).unwrap();
    assert_eq!(stage.site.tokenctl(&["reload"]).unwrap().code, Some(0));
    fs::create_dir_all(stage.site.path().join("out")).unwrap();
    fs::write(stage.site.path().join("out/token"), "old").unwrap();
    let running = Running::begin(&stage.site, PLAIN);
    running.says("tokenctl login it");
    running.is_gone();
    let password = stage.sim.accounts().remove(0).password.unwrap();
    let said = stage.site.tokenctl_with(&["login", "it"], &password);
    assert_eq!(said.unwrap().code, Some(0));
    assert!(stage.accepted(Api::JwtApi, &running.token()));
}

#[test]
fn a_directory_taken_away_takes_the_token_along_and_one_that_is_back_has_it_again() {
    let stage = Stage::on_demand(Api::JwtApi);
    let _daemon = stage.site.start().unwrap();
    let running = Running::start(&stage.site, PLAIN);
    let (out, away) = (
        stage.site.path().join("out"),
        stage.site.path().join("away"),
    );
    fs::rename(&out, &away).unwrap();
    running.says("make the directory, as the user who runs the sink");
    // A directory that others can write to is none, nor is a link to one.
    fs::create_dir(&out).unwrap();
    fs::set_permissions(&out, Permissions::from_mode(0o777)).unwrap();
    running.says("others can write to the directory");
    fs::remove_dir(&out).unwrap();
    symlink(&away, &out).unwrap();
    running.says("out is a symbolic link");
    fs::remove_file(&out).unwrap();
    fs::create_dir(&out).unwrap();
    fs::set_permissions(&out, Permissions::from_mode(0o700)).unwrap();
    running.token();
    running.says("its file has the newest token again");
    let left: Vec<_> = fs::read_dir(&away).unwrap().collect();
    assert!(
        left.is_empty(),
        "no token stays where nobody looks after it: {left:?}"
    );
    // A file that another program removes or writes over is written again.
    let token = running.token();
    fs::remove_file(&running.file).unwrap();
    running.has(&token);
    fs::write(out.join("other"), "other").unwrap();
    fs::rename(out.join("other"), &running.file).unwrap();
    running.has(&token);
}

#[test]
fn what_is_to_be_done_on_a_change_is_done_once_for_each_token_and_by_each_start() {
    let stage = Stage::on_demand(Api::JwtApi);
    let _daemon = stage.site.start().unwrap();
    let log = stage.site.path().join("changes");
    let script = r#"printf "%s %s %s %s\n" "$TOKEND_SINK" "$TOKEND_ACCOUNT" "$(cat "$TOKEND_FILE")" "${ACCESS_TOKEN-none}" >>"$0""#;
    let lines = |extra: &str| {
        let log = log.display();
        format!(
            "{PLAIN}on_change = {{ command = [\"sh\", \"-c\", '''{script}''', \"{log}\"]{extra} }}\n"
        )
    };
    let changes = |count: usize| {
        wait_until("the command to have run", PATIENCE, || {
            fs::read_to_string(&log).is_ok_and(|it| it.lines().count() == count)
        })
        .unwrap();
        fs::read_to_string(&log).unwrap()
    };
    let mut running = Running::start(&stage.site, &lines(""));
    let first = running.token();
    changes(1);
    let second = stage.reject("it", &first).line().unwrap();
    let log = changes(2);
    assert_eq!(
        log,
        format!("feed it {first} none\nfeed it {second} none\n")
    );
    // A successor does it for the same token too: the one before may have been killed before it did.
    running.signal(Signal::KILL);
    let running = Running::begin(&stage.site, &lines(", token_in_environment = true"));
    assert!(changes(3).ends_with(&format!("feed it {second} {second}\n")));
    let third = stage.reject("it", &second).line().unwrap();
    running.has(&third);
    assert!(changes(4).ends_with(&format!("feed it {third} {third}\n")));
}

#[test]
fn a_failed_command_is_reported_and_the_next_token_runs_it_again() {
    let stage = Stage::on_demand(Api::JwtApi);
    let _daemon = stage.site.start().unwrap();
    let flag = stage.site.path().join("flag");
    let command = format!("[\"test\", \"-e\", \"{}\"]", flag.display());
    let running = Running::start(
        &stage.site,
        &format!("{PLAIN}on_change = {{ command = {command} }}\n"),
    );
    running.says(
        "sink feed: on_change: test ended with 1; it is done again when the token changes next",
    );
    let next = stage.reject("it", &running.token()).line().unwrap();
    running.has(&next);
    wait_until("a second report", PATIENCE, || {
        running.said().matches("ended with 1").count() == 2
    })
    .unwrap();
    assert!(!running.said().contains(&next));
}

#[test]
fn a_signal_reaches_the_process_of_a_file() {
    let stage = Stage::on_demand(Api::JwtApi);
    let _daemon = stage.site.start().unwrap();
    let seen = stage.site.path().join("seen");
    let script = format!(
        "trap 'echo >>{}' HUP; while :; do sleep 0.05; done",
        seen.display()
    );
    let mut program = Command::new("sh").args(["-c", &script]).spawn().unwrap();
    let numbers = stage.site.path().join("pid");
    fs::write(&numbers, format!("{}\n", program.id())).unwrap();
    let lines = format!(
        "{PLAIN}on_change = {{ signal = \"HUP\", pid_file = \"{}\" }}\n",
        numbers.display()
    );
    let running = Running::start(&stage.site, &lines);
    // The first one may come before the shell has its trap.
    let next = stage.reject("it", &running.token()).line().unwrap();
    running.has(&next);
    wait_until("the signal", PATIENCE, || {
        let is_there = seen.exists() || program.try_wait().unwrap().is_some();
        if !is_there {
            drop(stage.reject("it", &running.token()));
        }
        is_there
    })
    .unwrap();
    drop(program.kill());
    program.wait().unwrap();
    fs::write(&numbers, "1\n").unwrap();
    drop(stage.reject("it", &running.token()));
    running.says("has no number of a process");
}
