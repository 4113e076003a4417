//! Many clients, one provider: what they share, and who must never wait for another.

use std::{
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
    sync::Arc,
    time::Duration,
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokend_client::{AccountName, Client, GetOptions, SocketPath};
use tokend_harness::{
    clock::{PATIENCE, wait_until},
    hostile::wire::{Wire, get},
};
use tokend_provider_simulator::{
    fault::{Fault, FaultKind, Rule},
    spec::Api,
};
use tokio::{sync::Barrier, task::JoinSet};

use crate::stage::{FAST, ON_DEMAND, Stage, account, slow};

const CLIENTS: usize = 1000;

/// A thousand connections need as many descriptors, here and in the daemon, which inherits the limit.
fn allow_many_descriptors() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = 4096.min(maximum.unwrap_or(u64::MAX));
    if current.is_some_and(|current| current < wanted) {
        setrlimit(
            Resource::Nofile,
            Rlimit {
                current: Some(wanted),
                maximum,
            },
        )
        .unwrap();
    }
}

#[test]
fn a_thousand_clients_asking_at_once_for_an_expired_token_cause_one_request() {
    allow_many_descriptors();
    let stage = Stage::on_demand(Api::AdVerification);
    stage.sim.change("it", |behaviour| {
        behaviour.access_lifetime = Duration::from_millis(300)
    });
    let _daemon = stage.site.start().unwrap();
    let expired = stage.site.get("it").unwrap();
    wait_until("the token to expire", PATIENCE, || {
        !stage.accepted(Api::AdVerification, &expired)
    })
    .unwrap();
    stage
        .sim
        .change("it", |behaviour| behaviour.access_lifetime = PATIENCE * 20);
    // Slow enough that all of them ask during the attempt.
    stage.once(Fault::before(slow(Duration::from_millis(500))));

    let path = SocketPath::from(stage.site.socket());
    let name: AccountName = "it".parse().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let tokens = runtime.block_on(async {
        let start = Arc::new(Barrier::new(CLIENTS));
        let mut clients = JoinSet::new();
        for _ in 0..CLIENTS {
            let (path, name, start) = (path.clone(), name.clone(), Arc::clone(&start));
            clients.spawn(async move {
                let client = Client::connect(&path).await.unwrap();
                start.wait().await;
                let token = client.get(&GetOptions::new(name).timeout(PATIENCE)).await;
                token.map(|token| token.access_token.expose().to_owned())
            });
        }
        clients.join_all().await
    });
    let fresh = stage.sim.newest_access("it").unwrap();
    assert_eq!(tokens.len(), CLIENTS);
    for token in tokens {
        assert_eq!(token.unwrap(), fresh);
    }
    let log = stage.sim.log("it");
    assert_eq!((log.logins(), log.refreshes()), (1, 1));
    assert_eq!(stage.sim.violations(), []);
}

#[test]
fn ten_processes_that_report_the_same_token_cause_one_attempt() {
    let stage = Stage::on_demand(Api::JwtApi);
    let _daemon = stage.site.start().unwrap();
    let refused = stage.site.get("it").unwrap();
    stage.sim.end_access("it");
    stage.once(Fault::before(slow(Duration::from_millis(200))));
    let answers: Vec<_> = std::thread::scope(|scope| {
        let calls: Vec<_> = (0..10)
            .map(|_| scope.spawn(|| stage.reject("it", &refused)))
            .collect();
        calls
            .into_iter()
            .map(|call| call.join().unwrap().line().unwrap())
            .collect()
    });
    let fresh = stage.sim.newest_access("it").unwrap();
    assert_eq!(answers, vec![fresh.clone(); 10]);
    assert_eq!(stage.sim.log("it").refreshes(), 1);
    assert_eq!(
        stage.reject("it", &refused).line().unwrap(),
        fresh,
        "late, and still answered"
    );
    assert_eq!(
        stage.sim.log("it").refreshes(),
        1,
        "an old token is no reason to ask"
    );
    assert_eq!(stage.sim.violations(), []);
}

#[test]
fn a_provider_that_hangs_delays_only_its_own_account() {
    let accounts = vec![
        account("it", Api::AdVerification),
        account("other", Api::JwtApi),
    ];
    let stage = Stage::new(accounts, &format!("{FAST}{ON_DEMAND}"));
    let _daemon = stage.site.start().unwrap();
    stage
        .sim
        .fail(Rule::once("it", Fault::before(FaultKind::Hang)).forever());
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            stage
                .site
                .tokenctl(&["get", "it", "--timeout", "5s"])
                .unwrap()
        });
        wait_until("the hanging request", PATIENCE, || stage.requests() == 1).unwrap();
        for _ in 0..3 {
            let token = stage.site.get("other").unwrap();
            assert!(stage.accepted(Api::JwtApi, &token));
            assert_eq!(
                stage.site.tokenctl(&["refresh", "other"]).unwrap().code,
                Some(0)
            );
        }
        assert!(
            !waiting.is_finished(),
            "the other account was served meanwhile"
        );
        let said = waiting.join().unwrap();
        assert_eq!(said.code, Some(75), "{said:?}");
    });
    assert_eq!(stage.requests(), 1, "an attempt in flight is not repeated");
}

#[test]
fn clients_that_stay_silent_or_stop_half_way_delay_nobody() {
    let stage = Stage::of(Api::JwtApi);
    let _daemon = stage.site.start().unwrap();
    let silent: Vec<_> = (0..20)
        .map(|count| {
            let mut stream = UnixStream::connect(stage.site.socket()).unwrap();
            // The beginning of a frame of 1,000 bytes, or nothing at all.
            let beginning = if count % 2 == 0 {
                &[0xe8, 0x03, 0, 0, 1, 2][..]
            } else {
                &[]
            };
            stream.write_all(beginning).unwrap();
            stream
        })
        .collect();
    let token = stage.site.get("it").unwrap();
    assert_eq!(stage.site.get("it").unwrap(), token);
    drop(silent);
}

#[test]
fn a_client_that_speaks_nonsense_is_told_off_and_the_rest_is_served() {
    let stage = Stage::of(Api::JwtApi);
    let _daemon = stage.site.start().unwrap();
    let nonsense: [&[u8]; 4] = [
        b"GET / HTTP/1.1\r\n\r\n",
        &[0xff; 64],
        &[4, 0, 0, 0, 9, 9, 9, 9],
        &[0, 0, 0, 0],
    ];
    for bytes in nonsense {
        let mut stream = UnixStream::connect(stage.site.socket()).unwrap();
        stream.write_all(bytes).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut answer = Vec::new();
        // The daemon closes the connection, after an answer or without one.
        drop(stream.read_to_end(&mut answer));
        assert!(stage.site.get("it").is_ok());
    }
}

#[test]
fn a_client_that_hangs_up_cancels_no_attempt() {
    let stage = Stage::of(Api::JwtApi);
    let _daemon = stage.site.start().unwrap();
    stage.once(Fault::before(slow(Duration::from_millis(800))));
    let said = stage
        .site
        .tokenctl(&["get", "it", "--timeout", "200ms"])
        .unwrap();
    assert_eq!(said.code, Some(75), "{said:?}");
    wait_until("the attempt to end by itself", PATIENCE, || {
        stage.sim.log("it").grants() == 1
    })
    .unwrap();
    stage.eventually("it");
    assert_eq!(stage.requests(), 1);
    assert_eq!(stage.sim.log("it").count(|entry| entry.abandoned), 0);
}

#[test]
fn a_connection_full_of_requests_ends_with_its_client_and_none_of_them_counts_any_longer() {
    let stage = Stage::on_demand(Api::JwtApi);
    let _daemon = stage.site.start().unwrap();
    stage.once(Fault::before(slow(PATIENCE)));
    let waiting = || {
        let status = stage.site.tokenctl(&["status", "it", "--json"]).unwrap();
        status.json().unwrap()[0]["waiters"].as_u64()
    };
    let mut wire = Wire::greeted(&stage.site);
    // As many as the daemon reads from one connection, and more.
    let requests: Vec<u8> = (2..102).flat_map(|id| get(id, "it")).collect();
    assert!(wire.say(&requests));
    wait_until("as many to wait as may", PATIENCE, || waiting() == Some(64)).unwrap();
    drop(wire);
    let soon = Duration::from_secs(15);
    wait_until("nobody to wait", soon, || waiting() == Some(0)).unwrap();
}
