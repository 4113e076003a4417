//! What clients are told that get no token.

use tokend_harness::{clock::wait_until, demand::root};
use tokend_provider_simulator::fault::{Fault, FaultKind, RetryAfter};

use super::{clients::uid, *};
use crate::stage::slow;

#[test]
fn a_client_without_a_token_is_told_what_to_do() {
    for client in clients() {
        let agent = Agent::of_it();
        agent.configure("", |it| it.everywhere(FAST).without_secrets());
        let daemon = agent.stage.site.start().unwrap();
        let said = agent.failed(client, wish("it"));
        assert!(said.contains("tokenctl login it"), "{said}");
        assert!(daemon.terminate().unwrap().success());
        let said = agent.failed(client, wish("it"));
        assert!(!said.is_empty());
        assert_eq!(agent.stage.requests(), 0);
    }
}

#[test]
fn unknown_accounts_and_those_of_others_are_refused_alike() {
    for client in clients() {
        let agent = Agent::new(
            vec![account("it", Api::JwtApi), account("theirs", Api::JwtApi)],
            "",
            FAST,
        );
        agent.configure(NO_ADMIN, |_| {
            let base = agent.stage.sim.base_url(Api::JwtApi);
            Configuration::default().account(
                account("theirs", Api::JwtApi),
                &base,
                "allow = [{ user = 4242 }]",
            )
        });
        let _daemon = agent.stage.site.start().unwrap();
        let said = |name: &str| {
            let said = agent.failed(client, wish(name));
            assert!(said.contains("operation forbidden"), "{said}");
            said.replace(name, "NAME")
        };
        let theirs = said("theirs");
        assert!(theirs.contains("there is no account NAME"), "{theirs}");
        assert_eq!(theirs, said("nobodys"));
        let never = agent.failed(client, wish("no/account"));
        assert!(never.contains("there is no account"), "{never}");
        assert_eq!(agent.stage.sim.newest_access("theirs"), None);
        let by = |it: &Value| it["outlet"] == "oidc-agent" && it["uid"] == uid();
        agent.denial(|it| by(it) && it["account"] == "theirs");
        agent.denial(|it| by(it) && it["account"] == "nobodys");
        // That name is none of an account.
        agent.denial(|it| by(it) && it["account"].is_null());
    }
}

#[test]
fn a_caller_is_who_the_kernel_says() {
    if !carried_out("a caller of another user", root()) {
        return;
    }
    for client in clients() {
        let agent = Agent::with_lines("allow = [{ user = 0 }]");
        let _daemon = agent.stage.site.start().unwrap();
        agent.got(client, wish("it"));
        let mut command = agent.command(client, wish("it"), &user_of(STRANGER));
        let said = failed(&command.output().unwrap());
        assert!(said.contains("operation forbidden"), "{said}");
        assert!(said.contains("user 4001"), "{said}");
        agent.denial(|it| it["uid"] == 4001 && it["outlet"] == "oidc-agent");
        assert_eq!(agent.stage.requests(), 1);
    }
}

#[test]
fn a_token_for_a_scope_or_an_audience_is_refused_in_the_words_of_the_protocol() {
    for client in clients() {
        let agent = Agent::of_it();
        let _daemon = agent.stage.site.start().unwrap();
        for (scope, audience, word) in [
            ("openid", "", "invalid_scope"),
            ("", "https://api.example", "invalid_target"),
        ] {
            let asked = Wish {
                scope,
                audience,
                ..wish("it")
            };
            let said = agent.failed(client, asked);
            assert!(said.contains(word), "{said}");
        }
        assert_eq!(agent.stage.requests(), 0);
    }
}

#[test]
fn other_requests_of_the_protocol_are_refused_and_change_nothing() {
    let agent = Agent::of_it();
    let _daemon = agent.stage.site.start().unwrap();
    let (error, info) = refused(&agent.ask(&json!({"request": "add", "config": {}})));
    assert_eq!(error, "Bad Request: Unknown request type.");
    assert!(info.contains("tokenctl login"), "{info}");
    for request in ["id_token", "mytoken"] {
        let (error, _) = refused(&agent.ask(&json!({"request": request, "account": "it"})));
        assert_eq!(error, "operation forbidden");
    }
    for request in ["remove_all", "lock", "gen", "file_read", "reauthenticate"] {
        refused(&agent.ask(&json!({"request": request, "account": "it"})));
    }
    let (error, _) = refused(&agent.ask(&json!({"request": "access_token"})));
    assert!(error.starts_with("Bad Request: "), "{error}");
    let (error, _) = refused(&agent.ask(&json!({})));
    assert_eq!(error, "Bad Request: No request type.");
    assert_eq!(agent.stage.requests(), 0);
}

#[test]
fn a_provider_that_is_away_or_wants_time_is_told_as_that_and_no_old_token_comes() {
    for client in clients() {
        let agent = Agent::of_it();
        let _daemon = agent.stage.site.start().unwrap();
        let old = agent.stage.expired(Api::JwtApi);
        agent.stage.once(Fault::before(FaultKind::status(503)));
        let said = agent.failed(client, wish("it"));
        assert!(said.contains("503"), "{said}");
        assert!(!said.contains(&old), "{said}");
    }
    let agent = Agent::of_it();
    let _daemon = agent.stage.site.start().unwrap();
    agent.stage.once(Fault::before(FaultKind::Throttled {
        retry_after: Some(RetryAfter::Seconds(120)),
    }));
    let (_, info) = refused(&agent.ask(&token_of("it")));
    assert!(info.contains("try again in"), "{info}");
}

#[test]
fn a_client_that_waits_when_the_daemon_stops_gets_its_token_and_a_later_one_none() {
    let agent = Agent::of_it();
    let daemon = agent.stage.site.start().unwrap();
    agent.stage.once(Fault::after(slow(Duration::from_secs(2))));
    let late = agent.connect();
    let mut early = agent.connect();
    early
        .write_all(token_of("it").to_string().as_bytes())
        .unwrap();
    wait_until("the request to wait", PATIENCE, || {
        agent.stage.site.status("it").unwrap()["waiters"] == 1
    })
    .unwrap();
    daemon.signal(rustix::process::Signal::TERM).unwrap();
    wait_until("the daemon to drain", PATIENCE, || {
        UnixStream::connect(agent.socket()).is_err()
    })
    .unwrap();
    let mut late = late;
    late.write_all(token_of("it").to_string().as_bytes())
        .unwrap();
    let late: Value = serde_json::from_str(&rest(late)).unwrap();
    let (error, _) = refused(&late);
    assert!(error.contains("stopping"), "{error}");
    let early: Value = serde_json::from_str(&rest(early)).unwrap();
    assert_eq!(early["access_token"], agent.newest(), "{early}");
    assert!(daemon.wait().unwrap().success());
}
