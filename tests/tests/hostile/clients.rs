//! Clients that are silent, slow, wrong, too many or gone: each has a bounded cost, and other clients do not notice.

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::Duration,
};

use rustix::process::{Pid, Resource, Rlimit};
use tokend_harness::{
    Daemon, Site,
    clock::{PATIENCE, wait_until},
};
use tokend_proto::{FaultCode, Request, Response};

use crate::{
    scene::{Scene, WELL, descriptors, kib},
    wire::{Other, Wire, announce, frame, get, hello},
};

/// Limits small enough to reach, and times short enough to wait for.
const LIMITS: &str = "[limits]\nconnections = 64\nconnections_per_user = 24\nidle_timeout = \"2s\"\nframe_timeout = \"2s\"\n";
const FOR_ALL: &str = "[defaults]\nallow = [{ user = 0 }, { user = 65534 }]\n";

/// One connection takes at most this much of the daemon's memory, in KiB: a frame each way, twice that while they grow, and waiting
/// answers.
const PER_CONNECTION: u64 = 256;

fn own_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// A daemon that holds a token.
fn ready(preamble: &str) -> (Scene, Daemon) {
    let scene = Scene::new(
        &format!(
            "{preamble}{}",
            FOR_ALL.replace("user = 0", &format!("user = {}", own_uid()))
        ),
        "",
        &[],
    );
    let daemon = scene.site.start().unwrap();
    scene.well();
    (scene, daemon)
}

fn served(site: &Site) {
    assert!(site.get(WELL).is_ok());
}

#[test]
fn half_open_connections_up_to_the_limit_leave_others_theirs_and_end_by_themselves() {
    let (scene, daemon) = ready(LIMITS);
    let other = Other::at(&scene.site);
    let mut open: Vec<_> = (0..24)
        .map(|count| {
            let mut wire = Wire::silent(&scene.site);
            // Nothing, half a header, a header and no payload, a greeting and nothing more.
            let part = [vec![], vec![9, 0], announce(60_000).to_vec(), hello()];
            assert!(wire.say(part.get(count % 4).unwrap()));
            wire
        })
        .collect();
    let too_busy = |answer: &Option<Response>| matches!(answer, Some(Response::Fault(fault)) if fault.code == FaultCode::TooBusy);
    wait_until("all slots to be taken", PATIENCE, || {
        too_busy(&Wire::silent(&scene.site).hear())
    })
    .unwrap();
    let said = other.tokenctl(&["get", WELL]);
    assert!(
        said.status.success(),
        "another user has slots of their own: {said:?}"
    );
    wait_until("every one of them to be let go", PATIENCE, || {
        open.iter_mut().all(Wire::ended)
    })
    .unwrap();
    served(&scene.site);
    assert_eq!(scene.sim.log(WELL).token_requests(), 1);
    assert!(daemon.terminate().unwrap().success());
}

#[test]
fn a_frame_in_drops_ends_with_its_deadline_however_long_it_lasts() {
    let (scene, _daemon) = ready(LIMITS);
    let mut wire = Wire::greeted(&scene.site);
    assert!(wire.say(&announce(60_000)));
    // A byte every few milliseconds: always something, never enough.
    wait_until("the daemon to hang up", PATIENCE, || {
        !wire.say(b"x") || wire.ended()
    })
    .unwrap();
    served(&scene.site);
}

#[test]
fn frames_cut_anywhere_harm_nobody() {
    let (scene, daemon) = ready("");
    let conversation = [
        hello(),
        get(2, WELL),
        frame(3, Request::List { after: None }),
    ]
    .concat();
    for cut in 0..conversation.len() {
        let mut wire = Wire::silent(&scene.site);
        assert!(wire.say(conversation.get(..cut).unwrap()));
        wire.stream.shutdown(std::net::Shutdown::Write).unwrap();
        let answers = wire.hear_out();
        assert!(
            answers
                .iter()
                .all(|answer| !matches!(answer, Response::Fault(_))),
            "cut at {cut}: {answers:?}"
        );
    }
    served(&scene.site);
    assert_eq!(scene.sim.log(WELL).token_requests(), 1);
    wait_until("every connection to be let go", PATIENCE, || {
        descriptors(&daemon) < 40
    })
    .unwrap();
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of lies")]
fn lying_lengths_and_broken_words_end_the_connection_that_said_them() {
    let (scene, daemon) = ready(LIMITS);
    let before = kib(&daemon, "VmRSS");
    let version = |oldest, newest| {
        frame(
            1,
            Request::Hello {
                magic: tokend_proto::MAGIC,
                oldest,
                newest,
                client: "a test".into(),
            },
        )
    };
    let with = |mut bytes: Vec<u8>, at: usize, byte: u8| {
        *bytes.get_mut(at).unwrap() = byte;
        [hello(), bytes].concat()
    };
    let listing = frame(2, Request::List { after: None });
    // A length that is longer than what the message takes, and one that claims a string of 2^60 bytes.
    let padded = [
        announce(u32::try_from(listing.len()).unwrap()).to_vec(),
        listing.get(4..).unwrap().to_vec(),
        vec![0; 4],
    ]
    .concat();
    let huge = with(get(2, WELL), 16, 0xff);
    let lies = [
        announce(u32::MAX).to_vec(),
        announce(64 * 1024 + 1).to_vec(),
        announce(0).to_vec(),
        [hello(), announce(u32::MAX).to_vec()].concat(),
        [hello(), padded].concat(),
        huge,
        [hello(), hello()].concat(),
        listing,
        version(3, 900),
        version(0, 0),
        frame(
            1,
            Request::Hello {
                magic: *b"tokenx",
                oldest: 1,
                newest: 1,
                client: "a test".into(),
            },
        ),
        b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
        vec![0xff; 70_000],
    ];
    for lie in &lies {
        let mut wire = Wire::silent(&scene.site);
        // The daemon may hang up before it has read all of it.
        wire.say(lie);
        let answers = wire.hear_out();
        let last = answers.last();
        assert!(
            matches!(last, None | Some(Response::Fault(_))),
            "{:?}: {answers:?}",
            lie.get(..20)
        );
        served(&scene.site);
    }
    assert!(
        kib(&daemon, "VmRSS") < before + 8 * 1024,
        "no claim was believed"
    );
    assert_eq!(scene.sim.log(WELL).token_requests(), 1);
}

#[test]
fn a_flood_of_one_user_leaves_another_served() {
    let (scene, daemon) = ready(LIMITS);
    let other = Other::at(&scene.site);
    let (done, answers, refusals) = (
        AtomicBool::new(false),
        AtomicUsize::new(0),
        AtomicUsize::new(0),
    );
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let burst = [hello(), (2..40).flat_map(|id| get(id, WELL)).collect()].concat();
                while !done.load(Ordering::SeqCst) {
                    let mut wires: Vec<_> = (0..4).map(|_| Wire::silent(&scene.site)).collect();
                    for wire in &mut wires {
                        wire.say(&burst);
                    }
                    for wire in &mut wires {
                        wire.stream.shutdown(std::net::Shutdown::Write).unwrap();
                        for answer in wire.hear_out() {
                            let counter = if matches!(answer, Response::Fault(_)) {
                                &refusals
                            } else {
                                &answers
                            };
                            counter.fetch_add(1, Ordering::SeqCst);
                        }
                    }
                }
            });
        }
        let flooded = wait_until("the flood", PATIENCE, || {
            answers.load(Ordering::SeqCst) > 2_000
        });
        let said: Vec<_> = (0..10).map(|_| other.tokenctl(&["get", WELL])).collect();
        done.store(true, Ordering::SeqCst);
        flooded.unwrap();
        for said in said {
            assert!(said.status.success(), "{said:?}");
        }
    });
    assert!(refusals.load(Ordering::SeqCst) > 0, "the limit was met");
    served(&scene.site);
    assert!(
        kib(&daemon, "VmHWM") < 128 * 1024,
        "{} KiB",
        kib(&daemon, "VmHWM")
    );
    assert_eq!(
        scene.sim.log(WELL).token_requests(),
        1,
        "a token that is held costs no request"
    );
}

#[test]
fn clients_that_leave_in_mid_answer_leave_nothing_behind() {
    let (scene, daemon) = ready("");
    let before = descriptors(&daemon);
    let requests: Vec<u8> = (2..400)
        .flat_map(|id| {
            frame(
                id,
                Request::Status {
                    account: None,
                    after: None,
                },
            )
        })
        .collect();
    for round in 0..100_usize {
        let mut wire = Wire::greeted(&scene.site);
        wire.say(&requests);
        if round % 2 == 0 {
            wire.hear();
        }
        // The client is gone, with most of the answers unread.
    }
    wait_until("the descriptors to be given back", PATIENCE, || {
        descriptors(&daemon) <= before
    })
    .unwrap();
    served(&scene.site);
    assert!(
        kib(&daemon, "VmHWM") < 96 * 1024,
        "{} KiB",
        kib(&daemon, "VmHWM")
    );
}

#[test]
fn a_client_that_reads_no_answer_is_let_go() {
    let (scene, _daemon) = ready(LIMITS);
    let wire = Wire::greeted(&scene.site);
    let requests: Vec<u8> = (2..200)
        .flat_map(|id| {
            frame(
                id,
                Request::Status {
                    account: None,
                    after: None,
                },
            )
        })
        .collect();
    wire.stream
        .set_write_timeout(Some(Duration::from_millis(50)))
        .unwrap();
    // Asks again and again, until the daemon drops a client that does not read its answers.
    let gone = || match std::io::Write::write(&mut &wire.stream, &requests) {
        Ok(_) => false,
        Err(error) => error.kind() == std::io::ErrorKind::BrokenPipe,
    };
    wait_until("the daemon to hang up", PATIENCE, gone).unwrap();
    served(&scene.site);
}

#[test]
fn memory_grows_with_the_connections_allowed_and_no_further() {
    const CONNECTIONS: u64 = 200;
    let limits = "[limits]\nconnections = 256\nconnections_per_user = 256\n";
    let (scene, daemon) = ready(limits);
    let before = kib(&daemon, "VmRSS");
    let open: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let mut wire = Wire::greeted(&scene.site);
            // A frame of the largest size, without its last byte.
            wire.say(&announce(64 * 1024));
            wire.say(&[b'x'; 64 * 1024 - 1]);
            wire
        })
        .collect();
    served(&scene.site);
    let after = kib(&daemon, "VmRSS");
    assert!(
        after < before + CONNECTIONS * PER_CONNECTION,
        "{before} KiB before, {after} KiB after"
    );
    drop(open);
    served(&scene.site);
}

#[test]
#[expect(
    clippy::too_many_lines,
    reason = "one story: each step stands on the one before"
)]
fn without_descriptors_those_connected_are_served_and_the_rest_once_there_are_some() {
    let (scene, daemon) = ready("");
    let mut connected = Wire::greeted(&scene.site);
    let pid = Pid::from_raw(i32::try_from(daemon.pid()).unwrap());
    let limit = |current| {
        let maximum = rustix::process::prlimit(
            pid,
            Resource::Nofile,
            Rlimit {
                current: Some(current),
                maximum: Some(4096),
            },
        );
        maximum.unwrap()
    };
    limit(u64::try_from(descriptors(&daemon)).unwrap() + 4);
    let mut waiting: Vec<_> = (0..30)
        .map(|_| {
            let mut wire = Wire::silent(&scene.site);
            wire.say(&hello());
            wire
        })
        .collect();
    scene.site.log_with(&["Too many open files"]).unwrap();
    assert!(connected.say(&get(2, WELL)));
    assert!(
        matches!(connected.hear(), Some(Response::Token(_))),
        "who is connected is served"
    );
    // An attempt needs a descriptor too. The daemon reports the shortage, sends nothing, and loses no token.
    let account = WELL.parse().unwrap();
    connected.say(&frame(
        3,
        Request::Refresh {
            account,
            wait_ms: 0,
            timeout_ms: 30_000,
        },
    ));
    let answer = connected.hear();
    assert!(
        matches!(&answer, Some(Response::Fault(fault)) if fault.code == FaultCode::ProviderUnreachable),
        "{answer:?}"
    );
    limit(1024);
    for wire in &mut waiting {
        assert!(
            matches!(wire.hear(), Some(Response::Welcome { .. })),
            "whoever waited is served"
        );
    }
    scene.well();
    let log = scene.sim.log(WELL);
    assert_eq!((log.logins(), log.refreshes_with(1)), (1, 1));
    let lines = scene
        .site
        .log()
        .unwrap()
        .matches("Too many open files")
        .count();
    assert!(
        lines < 100,
        "{lines} lines: the log does not fill the disk meanwhile"
    );
}
