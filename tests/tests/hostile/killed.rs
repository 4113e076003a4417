//! Clients that die instead of hanging up, in the middle of a frame or of an answer, and clients that close one direction only.

use std::{
    net::Shutdown,
    os::fd::OwnedFd,
    process::{Child, Command, Stdio},
};

use tokend_harness::{
    Daemon, built,
    clock::{PATIENCE, wait_until},
};
use tokend_proto::{Request, Response};
use tokend_provider_simulator::fault::{Fault, FaultKind, Rule};

use crate::{
    scene::{Scene, WELL, descriptors},
    wire::{Wire, announce, frame, get, hello},
};

/// How many at once, within the number of connections that one user may have.
const MANY: usize = 20;
/// A delay of the reply that is long enough to kill the client that waits for it.
const LATE: FaultKind = FaultKind::Slow { ms: 6_000 };

fn ready() -> (Scene, Daemon, usize) {
    let scene = Scene::new("", "", &[]);
    let daemon = scene.site.start().unwrap();
    scene.site.get(WELL).unwrap();
    let before = descriptors(&daemon);
    (scene, daemon, before)
}

/// A process that holds the only end of a connection, until it is killed.
fn held(wire: Wire) -> Child {
    Command::new("sleep")
        .arg("1000")
        .stdin(OwnedFd::from(wire.stream))
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// As kill -9 does.
fn kill(clients: Vec<Child>) {
    for mut client in clients {
        client.kill().unwrap();
        assert!(!client.wait().unwrap().success());
    }
}

/// Nothing is left of the dead clients, and new clients are served without another request to the provider.
fn unharmed(scene: &Scene, daemon: &Daemon, before: usize, requests: usize) {
    wait_until("the descriptors to be given back", PATIENCE, || {
        descriptors(daemon) <= before
    })
    .unwrap();
    assert_eq!(scene.site.get(WELL).ok(), scene.sim.newest_access(WELL));
    assert_eq!(scene.sim.log(WELL).token_requests(), requests);
    assert_eq!(scene.sim.violations(), []);
}

fn listings() -> Vec<u8> {
    (2..400)
        .flat_map(|id| frame(id, Request::List { after: None }))
        .collect()
}

#[test]
fn clients_killed_in_the_middle_of_a_frame_harm_nobody() {
    let (scene, daemon, before) = ready();
    let whole = [hello(), get(2, WELL)].concat();
    let cuts: Vec<usize> = (0..whole.len()).collect();
    for some in cuts.chunks(MANY) {
        let clients = some.iter().map(|cut| {
            let mut wire = Wire::silent(&scene.site);
            assert!(wire.say(whole.get(..*cut).unwrap()));
            held(wire)
        });
        kill(clients.collect());
    }
    let mut wire = Wire::greeted(&scene.site);
    assert!(wire.say(&announce(60_000)));
    kill(vec![held(wire)]);
    unharmed(&scene, &daemon, before, 1);
}

#[test]
fn clients_killed_in_the_middle_of_an_answer_harm_nobody() {
    let (scene, daemon, before) = ready();
    let listings = listings();
    for round in 0..3 * MANY {
        let mut wire = Wire::greeted(&scene.site);
        wire.say(&listings);
        if round % 2 == 0 {
            assert!(matches!(wire.hear(), Some(Response::Accounts(_))));
        }
        kill(vec![held(wire)]);
    }
    unharmed(&scene, &daemon, before, 1);
}

#[test]
fn an_attempt_whose_callers_are_all_killed_is_finished_and_its_token_kept() {
    let (scene, daemon, before) = ready();
    scene.sim.fail(Rule::once(WELL, Fault::after(LATE)));
    let tokenctl = built().unwrap().tokenctl;
    let callers = (0..MANY).map(|_| {
        Command::new(&tokenctl)
            .arg("--socket")
            .arg(scene.site.socket())
            .args(["refresh", WELL])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    });
    let callers: Vec<Child> = callers.collect();
    wait_until(
        "the one request, and everybody to wait for it",
        PATIENCE,
        || scene.sim.log(WELL).token_requests() == 2 && descriptors(&daemon) >= before + MANY,
    )
    .unwrap();
    kill(callers);
    wait_until("the new token", PATIENCE, || {
        scene.site.get(WELL).ok() == scene.sim.newest_access(WELL)
    })
    .unwrap();
    unharmed(&scene, &daemon, before, 2);
    // The refresh token of the reply is stored as well: the next refresh needs no login.
    scene.well();
    assert_eq!(scene.sim.log(WELL).logins(), 1);
    assert!(daemon.terminate().unwrap().success());
}

#[test]
fn clients_that_close_one_direction_are_answered_or_let_go() {
    let (scene, daemon, before) = ready();
    for _ in 0..MANY {
        // Sends nothing more, and still receives the answer.
        let mut speaks_no_more = Wire::greeted(&scene.site);
        assert!(speaks_no_more.say(&get(2, WELL)));
        speaks_no_more.stream.shutdown(Shutdown::Write).unwrap();
        let answers = speaks_no_more.hear_out();
        assert!(
            matches!(answers.as_slice(), [Response::Token(_)]),
            "{answers:?}"
        );
        // Receives nothing more, and the connection ends at the next answer.
        let mut hears_no_more = Wire::greeted(&scene.site);
        hears_no_more.stream.shutdown(Shutdown::Read).unwrap();
        wait_until("the daemon to hang up", PATIENCE, || {
            !hears_no_more.say(&get(2, WELL))
        })
        .unwrap();
    }
    unharmed(&scene, &daemon, before, 1);
}
