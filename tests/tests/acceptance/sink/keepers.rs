//! Who keeps the file of a sink, and what becomes of it when nobody does: two sinks, mistakes that are made later, no token.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use rustix::process::{Pid, Signal, test_kill_process};
use tokend_harness::clock::{PATIENCE, wait_for, wait_until};
use tokend_provider_simulator::spec::Api;

use super::{PLAIN, Running, configure};
use crate::stage::Stage;

fn names(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().flatten();
    let names = names.map(|it| it.file_name().into_string().unwrap());
    names.collect()
}

#[test]
fn a_second_sink_says_who_keeps_the_file_and_touches_nothing() {
    let stage = Stage::on_demand(Api::JwtApi);
    let _daemon = stage.site.start().unwrap();
    let mut first = Running::start(&stage.site, PLAIN);
    let token = first.token();
    let other = stage.site.path().join("other.toml");
    fs::copy(stage.site.path().join("feed.toml"), &other).unwrap();
    let second = ["sink", "--file", other.to_str().unwrap()];
    let said = stage.site.tokenctl(&second).unwrap();
    assert_eq!(said.code, Some(75), "{said:?}");
    let who = format!("sink feed, process {}", first.child.id());
    assert!(said.err.contains(&who), "{said:?}");
    assert!(
        said.err.contains("give this sink a path of its own"),
        "{said:?}"
    );
    assert_eq!(first.now(), Some(token.clone()));
    // Its lock ends with a killed process.
    first.signal(Signal::KILL);
    let (out, away) = (
        stage.site.path().join("out"),
        stage.site.path().join("away"),
    );
    assert!(out.join(".token.lock").exists());
    fs::remove_file(&first.file).unwrap();
    let mut first = Running::start(&stage.site, PLAIN);
    // One that loses its directory does not take the file of another that is there now.
    fs::rename(&out, &away).unwrap();
    first.says("make the directory");
    configure(&stage.site, PLAIN);
    let mut second = Running::begin_as(&stage.site, "other");
    second.token();
    first.says("kept by another sink (sink other, process");
    first.signal(Signal::TERM);
    assert_eq!(names(&away), [""; 0]);
    assert_eq!(second.now(), Some(token));
    second.signal(Signal::TERM);
    assert_eq!(names(&out), [""; 0]);
}

#[test]
fn a_mistake_that_is_made_later_takes_the_file_along() {
    let stage = Stage::on_demand(Api::JwtApi);
    let _daemon = stage.site.start().unwrap();
    let mut running = Running::start(&stage.site, PLAIN);
    running.signal(Signal::KILL);
    assert!(running.now().is_some());
    let mut mistaken = Running::begin(&stage.site, &format!("{PLAIN}format = \"yaml\""));
    assert_eq!(mistaken.ended().code(), Some(78));
    assert_eq!(mistaken.now(), None);
    assert!(
        mistaken
            .said()
            .contains("which an earlier start left, is removed")
    );
    // What no sink wrote is nobody's to remove.
    fs::write(&mistaken.file, "mine").unwrap();
    let mut mistaken = Running::begin(&stage.site, &format!("{PLAIN}format = \"yaml\""));
    assert_eq!(mistaken.ended().code(), Some(78));
    assert_eq!(mistaken.now().as_deref(), Some("mine"));
    // A restart leaves the file only to a successor with that file.
    let elsewhere = PLAIN.replace("FILE", "FILE2");
    for (next, stays) in [
        ("pth = \"FILE\"", false),
        (&*elsewhere, false),
        (PLAIN, true),
    ] {
        let mut running = Running::start(&stage.site, PLAIN);
        let token = stage.site.get("it").unwrap();
        running.has(&token);
        configure(&stage.site, next);
        running.signal(Signal::USR1);
        assert_eq!(running.now(), stays.then_some(token), "{next}");
    }
}

#[test]
fn a_sink_without_a_token_for_its_file_has_a_problem() {
    let stage = Stage::on_demand(Api::JwtApi);
    let _daemon = stage.site.start().unwrap();
    let running = Running::start(&stage.site, PLAIN);
    let problem = || {
        let status = stage.site.status("it").unwrap();
        let sinks = status.get("sinks").unwrap().as_array().unwrap().clone();
        let problem = sinks.first()?.get("problem")?.as_str()?;
        Some(problem.to_owned())
    };
    assert_eq!(problem(), None);
    stage.sim.down(Api::JwtApi);
    let refused = running.token();
    drop(stage.site.tokenctl_with(&["reject", "it"], &refused));
    running.is_gone();
    let problem = wait_for("a problem", PATIENCE, problem).unwrap();
    assert!(problem.contains("token"), "{problem}");
    let said = stage.site.tokenctl(&["doctor", "it"]).unwrap();
    assert!(said.out.contains("cannot keep "), "{said:?}");
    stage.sim.up(Api::JwtApi).unwrap();
    running.token();
    running.says("its file has the newest token again");
}

#[test]
fn a_command_of_a_change_ends_with_its_sink() {
    let stage = Stage::on_demand(Api::JwtApi);
    let _daemon = stage.site.start().unwrap();
    let number = stage.site.path().join("number");
    let script = "echo $$ >\"$0.new\"; mv \"$0.new\" \"$0\"; sleep 1000; true";
    let lines = format!(
        "{PLAIN}on_change = {{ command = [\"sh\", \"-c\", '''{script}''', \"{}\"] }}\n",
        number.display()
    );
    let mut running = Running::start(&stage.site, &lines);
    let text = wait_for("the command", PATIENCE, || fs::read_to_string(&number).ok()).unwrap();
    let command = Pid::from_raw(text.trim().parse().unwrap()).unwrap();
    test_kill_process(command).unwrap();
    running.signal(Signal::TERM);
    let is_gone = || test_kill_process(command).is_err() || is_zombie(command);
    wait_until("the command to end", PATIENCE, is_gone).unwrap();
    assert!(!running.said().contains("on_change"), "{}", running.said());
}

/// Nobody may wait for a process whose parent is gone, on a machine without an init.
fn is_zombie(process: Pid) -> bool {
    let path = format!("/proc/{}/stat", process.as_raw_nonzero());
    fs::read_to_string(path).is_ok_and(|it| it.contains(") Z "))
}

#[test]
fn the_lock_is_for_the_sinks_user_alone() {
    let stage = Stage::on_demand(Api::JwtApi);
    let _daemon = stage.site.start().unwrap();
    let _running = Running::start(&stage.site, PLAIN);
    let lock = stage.site.path().join("out/.token.lock");
    assert_eq!(
        fs::metadata(lock).unwrap().permissions().mode() & 0o777,
        0o600
    );
}
