//! A silent daemon: every command ends in time, with 75 and the place to look at.

use std::os::unix::net::UnixListener;
use std::thread;
use std::time::Duration;

use tokend_client::{BlockingClient, Deadlines};
use tokend_proto::{Request, Response};

use crate::fake::{Act, FakeDaemon, token};
use crate::run::{Ended, TOKEN, bare_command, ended};

/// The most that a busy machine adds to a limit.
const SLACK: Duration = Duration::from_secs(5);

/// Runs a command, which is killed and fails the test if it takes longer than `limit`.
fn within(limit: Duration, socket: &str, arguments: &[&str]) -> Ended {
    let mut command = bare_command(arguments);
    command
        .env("TOKEND_SOCKET", socket)
        .write_stdin("typed-secret\n")
        .timeout(limit + SLACK);
    ended(&command.output().unwrap())
}

fn tells_where_to_look(said: &Ended) {
    let all = format!("{}{}", said.stdout, said.stderr);
    assert!(
        all.contains("says nothing") || all.contains("queue of connections stays full"),
        "{said:?}"
    );
    assert!(
        all.contains("tokenctl doctor") || all.contains("journalctl"),
        "{said:?}"
    );
}

#[test]
fn a_request_with_a_timeout_ends_with_it_whatever_the_daemon_leaves_unsaid() {
    let silent = FakeDaemon::greeting(|| Act::Silence, |_, _| Act::Silence);
    let stuck = FakeDaemon::start(|_, _| Act::Silence);
    let half = FakeDaemon::start(|_, _| Act::Raw(vec![40, 0, 0, 0, 1, 2, 3]));
    let drops = FakeDaemon::start(|_, _| Act::Drops(Response::Token(token(TOKEN))));
    for daemon in [&silent, &stuck, &half, &drops] {
        let socket = daemon.socket();
        for command in ["get", "refresh", "reject"] {
            let arguments = [command, "ads", "--timeout", "500ms"];
            let limit = Duration::from_millis(500);
            let said = within(limit, socket.to_str().unwrap(), &arguments);
            assert_eq!((said.code, said.stdout.as_str()), (75, ""), "{said:?}");
            assert!(said.stderr.contains("500 ms\n"), "{said:?}");
        }
    }
    let socket = silent.socket();
    let get = ["get", "ads", "--timeout", "300ms"];
    tells_where_to_look(&within(SLACK, socket.to_str().unwrap(), &get));
}

#[test]
fn every_other_command_gives_a_daemon_that_never_greets_ten_seconds() {
    let silent = FakeDaemon::greeting(|| Act::Silence, |_, _| Act::Silence);
    let socket = silent.socket();
    let socket = socket.to_str().unwrap();
    let commands: [&[&str]; 9] = [
        &["status"],
        &["status", "ads"],
        &["list"],
        &["whoami"],
        &["reload"],
        &["metrics"],
        &["login", "ads"],
        &["forget", "--yes", "ads"],
        &["doctor"],
    ];
    thread::scope(|scope| {
        for command in commands {
            scope.spawn(move || {
                let said = within(Duration::from_secs(10), socket, command);
                assert_eq!(said.code, 75, "{command:?}: {said:?}");
                tells_where_to_look(&said);
            });
        }
    });
    // A person who reads this repeats the command, so nothing of the first one may happen later.
    let repeatable = |it: &Request| {
        !matches!(
            it,
            Request::Login { .. } | Request::Forget { .. } | Request::Reload
        )
    };
    assert!(silent.seen().iter().all(repeatable), "{:?}", silent.seen());
}

#[test]
fn a_queue_of_connections_that_stays_full_is_69_within_the_timeout() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("full.sock");
    let _listener = UnixListener::bind(&path).unwrap();
    let impatient = Deadlines::default().connect(Duration::from_millis(50));
    let mut held = Vec::new();
    while let Ok(client) = BlockingClient::connect_with(&path.clone().into(), impatient) {
        held.push(client);
        assert!(held.len() < 10_000, "the queue never fills");
    }
    let socket = path.to_str().unwrap();
    let get = ["get", "ads", "--timeout", "300ms"];
    let said = within(Duration::from_millis(300), socket, &get);
    assert_eq!(said.code, 69, "{said:?}");
    tells_where_to_look(&said);
    let said = within(Duration::from_secs(5), socket, &["list"]);
    assert_eq!(said.code, 69, "{said:?}");
    tells_where_to_look(&said);
}
