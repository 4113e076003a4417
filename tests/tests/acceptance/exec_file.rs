//! `tokenctl exec --file` with a daemon: files over renewals, restarts, reloads, and providers that are down.

use std::{
    collections::BTreeSet,
    fs,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use tempfile::TempDir;
use tokend_harness::{
    Site,
    clock::{PATIENCE, wait_for, wait_until},
};
use tokend_provider_simulator::spec::Api;

use crate::stage::{FAST, Stage, account};

/// A command that has the token of `it` in a file, until this is dropped.
struct Running {
    child: Child,
    runtime: TempDir,
    errors: PathBuf,
}

impl Running {
    fn start(site: &Site) -> Self {
        let runtime = tempfile::tempdir_in("/dev/shm").unwrap();
        let errors = site.path().join("exec.err");
        let child = Command::new(&site.binaries().tokenctl)
            .arg("--socket")
            .arg(site.socket())
            .args(["exec", "--file", "it", "--", "sleep", "1000"])
            .env("XDG_RUNTIME_DIR", runtime.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&errors).unwrap())
            .spawn()
            .unwrap();
        let running = Self {
            child,
            runtime,
            errors,
        };
        running.token();
        running
    }

    fn directories(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.runtime.path()).unwrap().flatten();
        entries.map(|entry| entry.path()).collect()
    }

    fn now(&self) -> Option<String> {
        let mut files = self.directories().into_iter().map(|it| it.join("it"));
        files.find_map(|file| fs::read_to_string(file).ok())
    }

    /// The token in the file, once there is one.
    fn token(&self) -> String {
        let found = wait_for("a token in the file", PATIENCE, || self.now());
        found.unwrap_or_else(|error| panic!("{error}: {}", self.said()))
    }

    fn is_gone(&self) {
        wait_until("the file to go", PATIENCE, || self.now().is_none()).unwrap();
    }

    fn has(&self, token: &str) {
        let what = "the newer token in the file";
        wait_until(what, PATIENCE, || self.now().as_deref() == Some(token))
            .unwrap_or_else(|error| panic!("{error}: {}", self.said()));
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.errors).unwrap()
    }

    fn says(&self, words: &str) {
        wait_until(words, PATIENCE, || self.said().contains(words))
            .unwrap_or_else(|error| panic!("{error}: {}", self.said()));
    }

    /// Ends the command, which never ended by itself, and shows that nothing is left.
    fn end(mut self) {
        assert_eq!(self.child.try_wait().unwrap(), None);
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let what = "the directory to go";
        wait_until(what, PATIENCE, || self.directories().is_empty()).unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only if the process is gone already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn reload_with(site: &Site, from: &str, to: &str) {
    let path = site.configuration();
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(&path, text.replace(from, to)).unwrap();
    let said = site.tokenctl(&["reload"]).unwrap();
    assert_eq!(said.code, Some(0), "{said:?}");
}

#[test]
fn a_file_is_never_without_a_good_token_over_renewals() {
    let stage = Stage::new(vec![account("it", Api::JwtApi)], FAST);
    stage.sim.change("it", |behaviour| {
        behaviour.access_lifetime = Duration::from_secs(3);
    });
    let _daemon = stage.site.start().unwrap();
    let running = Running::start(&stage.site);
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
    assert_eq!(
        (stage.sim.log("it").logins(), running.said()),
        (1, String::new())
    );
    running.end();
}

#[test]
fn a_file_is_kept_fresh_over_restarts_of_the_daemon() {
    let stage = Stage::on_demand(Api::JwtApi);
    let mut daemon = stage.site.start().unwrap();
    let running = Running::start(&stage.site);
    for is_killed in [false, true] {
        let before = running.token();
        match is_killed {
            true => daemon.kill().unwrap(),
            false => assert!(daemon.terminate().unwrap().success()),
        }
        assert_eq!(
            running.now(),
            Some(before.clone()),
            "it is good all the same"
        );
        daemon = stage.site.start().unwrap();
        let fresh = stage.reject("it", &before).line().unwrap();
        running.has(&fresh);
    }
    drop(daemon);
    running.end();
}

#[test]
fn a_reload_that_takes_the_right_away_takes_the_file_and_not_the_command() {
    let stage = Stage::on_demand(Api::JwtApi);
    let _daemon = stage.site.start().unwrap();
    let running = Running::start(&stage.site);
    let taken = "[account.\"it\"]\nallow = [{ user = 4000 }]";
    reload_with(&stage.site, "[account.\"it\"]", taken);
    running.is_gone();
    running.says("you may not have the token");
    let said = running.said();
    assert!(
        said.lines().count() == 1 && said.contains("its file is gone"),
        "{said}"
    );
    running.end();
}

#[test]
fn a_file_goes_with_its_token_while_the_provider_is_down_and_comes_back() {
    let stage = Stage::new(vec![account("it", Api::JwtApi)], FAST);
    stage.sim.change("it", |behaviour| {
        behaviour.access_lifetime = Duration::from_secs(3);
    });
    let _daemon = stage.site.start().unwrap();
    let running = Running::start(&stage.site);
    stage.sim.down(Api::JwtApi);
    running.is_gone();
    running.says("its file is gone until there is a newer one");
    running.says("no newer token at present: ");
    stage.sim.up(Api::JwtApi).unwrap();
    assert!(stage.accepted(Api::JwtApi, &running.token()));
    running.says("its file has the newest token again");
    running.end();
}

#[test]
fn a_file_goes_at_the_end_of_its_token_while_the_daemon_is_away() {
    let stage = Stage::on_demand(Api::JwtApi);
    stage.sim.change("it", |behaviour| {
        behaviour.access_lifetime = Duration::from_secs(3);
    });
    let daemon = stage.site.start().unwrap();
    let running = Running::start(&stage.site);
    let last = running.token();
    daemon.kill().unwrap();
    running.is_gone();
    running.says("its token has ended, and its file is gone");
    let _daemon = stage.site.start().unwrap();
    assert_ne!(running.token(), last);
    running.end();
}

#[test]
fn a_refused_token_is_out_of_the_file_before_the_newer_one_is_in_it() {
    let stage = Stage::on_demand(Api::JwtApi);
    let _daemon = stage.site.start().unwrap();
    let running = Running::start(&stage.site);
    let refused = running.token();
    stage.sim.end_access("it");
    let fresh = stage.reject("it", &refused).line().unwrap();
    running.has(&fresh);
    running.end();
}
