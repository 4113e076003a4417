//! What a caller over HTTP reads that gets no token, from the daemon's own socket.

use rustix::process::Signal;
use tokend_harness::demand::{carried_out, root};
use tokend_provider_simulator::{
    Configuration,
    fault::{FaultKind, RetryAfter},
};

use super::*;
use crate::policy::command_of;
use crate::stage::{FAST, ON_DEMAND, account};

/// A problem of this status and code, with the seconds of its `Retry-After`.
#[track_caller]
fn problem(answer: &Answer, status: u16, code: &str) -> Option<u64> {
    assert_eq!(
        (answer.status, &*answer.code()),
        (status, code),
        "{answer:?}"
    );
    let problem = answer.json();
    assert!(
        problem.get("advice").is_some_and(Value::is_string),
        "{problem}"
    );
    let seconds = problem.get("retry_after").and_then(Value::as_u64);
    let header = answer.retry_after.parse().ok();
    assert_eq!(header, seconds, "{answer:?}");
    seconds
}

#[test]
fn a_login_that_is_required_and_a_provider_that_is_down_are_told_apart() {
    let stage = Stage::on_demand(Api::JwtApi);
    let _daemon = start(&stage, "");
    let site = &stage.site;
    stage.once(Fault::before(slow(Duration::from_secs(3))));
    let late = ask(site, "/v1/accounts/it/token?timeout=1");
    assert_eq!((late.status, &*late.code()), (504, "timeout"));
    // The attempt went on.
    let token = ask(site, "/v1/accounts/it/token").json();
    assert_eq!(stage.requests(), 1);
    stage.sim.end_access("it");
    stage.sim.end_refresh("it");
    stage.sim.change_secret("it", "another password");
    let report = json!({"token": token["access_token"]});
    let refused = post(site, "/v1/accounts/it/reject", &report);
    assert_eq!((refused.status, &*refused.code()), (409, "login-required"));
    assert!(refused.json()["advice"].is_string(), "{refused:?}");
    let again = ask(site, "/v1/accounts/it/token");
    assert_eq!((again.status, &*again.code()), (409, "login-required"));
}

#[test]
fn a_provider_that_is_away_or_wants_time_is_a_problem_and_no_old_token() {
    let accounts = vec![account("it", Api::JwtApi)];
    let lines = format!("{FAST}{ON_DEMAND}");
    let stage = Stage::new(accounts, &lines);
    let nowhere = Configuration::of(&stage.sim).everywhere(&lines).account(
        account("away", Api::JwtApi),
        "http://127.0.0.1:1",
        &lines,
    );
    nowhere.write(stage.site.path()).unwrap();
    let _daemon = start(&stage, "");
    let site = &stage.site;
    let answer = ask(site, "/v1/accounts/away/token");
    problem(&answer, 504, "provider-unreachable");
    let old = stage.expired(Api::JwtApi);
    let path = "/v1/accounts/it/token";
    stage.once(Fault::before(FaultKind::status(503)));
    let answer = ask(site, path);
    let seconds = problem(&answer, 503, "provider-busy");
    assert!(
        seconds.is_some() && !answer.body.contains(&old),
        "{answer:?}"
    );
    // Its own word on when to ask again holds, and nothing is asked before.
    let asks_for = Some(RetryAfter::Seconds(120));
    stage.once(Fault::before(FaultKind::Throttled {
        retry_after: asks_for,
    }));
    let answer = ask_until(site, path, |it| it.retry_after.len() == 3);
    problem(&answer, 503, "provider-busy");
    let requests = stage.requests();
    for answer in [
        answer,
        ask(site, path),
        ask(site, "/v1/accounts/it/token?wait=1"),
    ] {
        let seconds = answer.json()["retry_after"].as_u64();
        assert!(matches!(seconds, Some(100..=120)), "{answer:?}");
    }
    assert_eq!(stage.requests(), requests);
    // A stream says the same, and lives on.
    let mut watch = curl(site, &["-N", "-H", "X-Tokend: 1"]);
    watch.arg("http://tokend/v1/accounts/it/watch");
    let mut watch = watch.stdout(Stdio::piped()).spawn().unwrap();
    let lines = io::BufRead::lines(io::BufReader::new(watch.stdout.take().unwrap()));
    let mut lines = lines.map_while(Result::ok);
    let unavailable = lines.find(|it| it.contains("\"unavailable\"")).unwrap();
    assert!(
        unavailable.contains("provider-busy") && !unavailable.contains(&old),
        "{unavailable}"
    );
    watch.kill().unwrap();
    watch.wait().unwrap();
}

#[test]
fn a_caller_that_waits_when_the_daemon_stops_gets_its_token_and_a_later_one_a_problem() {
    let stage = Stage::on_demand(Api::JwtApi);
    let daemon = start(&stage, "");
    stage.once(Fault::after(slow(Duration::from_secs(2))));
    let (late, early) = (connect(&stage.site), connect(&stage.site));
    say(&early, TOKEN);
    wait_until("the caller to wait", PATIENCE, || {
        stage.site.status("it").unwrap()["waiters"] == 1
    })
    .unwrap();
    daemon.signal(Signal::TERM).unwrap();
    wait_until("the daemon to drain", PATIENCE, || {
        UnixStream::connect(socket(&stage.site)).is_err()
    })
    .unwrap();
    // Its connection was there before.
    say(&late, TOKEN);
    let said = rest(late);
    assert!(
        said.starts_with("HTTP/1.1 503 ") && said.contains("\"draining\""),
        "{said}"
    );
    let said = rest(early);
    let newest = stage.sim.newest_access("it").unwrap();
    assert!(
        said.starts_with("HTTP/1.1 200 ") && said.contains(&newest),
        "{said}"
    );
    assert!(daemon.wait().unwrap().success());
}

#[test]
fn over_http_too_the_accounts_of_others_are_like_those_that_are_not_there() {
    let stage = Stage::new(
        vec![account("it", Api::JwtApi), account("theirs", Api::JwtApi)],
        FAST,
    );
    let base = stage.sim.base_url(Api::JwtApi);
    let mut configuration = Configuration::default().account(
        account("theirs", Api::JwtApi),
        &base,
        "allow = [{ user = 4242 }]",
    );
    let listen = "[listen]\nhttp = \"http.sock\"\n";
    configuration.preamble = format!("admin = [{{ user = 4242 }}]\n{listen}");
    configuration.write(stage.site.path()).unwrap();
    let _daemon = stage.site.start().unwrap();
    let site = &stage.site;
    for what in ["token", "watch", "status"] {
        let refused = |name: &str| {
            let answer = ask(site, &format!("/v1/accounts/{name}/{what}"));
            problem(&answer, 403, "not-allowed");
            answer.body.replace(name, "NAME")
        };
        assert_eq!(refused("theirs"), refused("nobodys"), "{what}");
    }
    for (what, body) in [
        ("reject", json!({"token": "a-token"})),
        ("refusal", json!({"status": 401})),
    ] {
        let refused = |name: &str| {
            let answer = post(site, &format!("/v1/accounts/{name}/{what}"), &body);
            problem(&answer, 403, "not-allowed");
            answer.body.replace(name, "NAME")
        };
        assert_eq!(refused("theirs"), refused("nobodys"), "{what}");
    }
    assert_eq!(ask(site, "/v1/accounts").json()["accounts"], json!([]));
    assert_eq!(stage.sim.newest_access("theirs"), None);
}

#[test]
fn over_http_too_a_caller_is_who_the_kernel_says() {
    if !carried_out("a caller of another user", root()) {
        return;
    }
    let lines = format!("{FAST}{ON_DEMAND}\nallow = [{{ user = 0 }}]");
    let stage = Stage::new(vec![account("it", Api::JwtApi)], &lines);
    let open = fs::Permissions::from_mode(0o755);
    fs::set_permissions(stage.site.path(), open).unwrap();
    let _daemon = start(&stage, "");
    assert_eq!(ask(&stage.site, "/v1/accounts/it/token").status, 200);
    // What a caller says of itself counts for nothing.
    let headers = [
        "X-Tokend: 1",
        "Authorization: Basic cm9vdDo=",
        "X-Remote-User: root",
    ];
    let mut command = command_of("4001");
    command
        .args(["curl", "--silent", "--unix-socket"])
        .arg(socket(&stage.site))
        .args(headers.map(|it| ["-H", it]).concat())
        .arg("http://root@tokend/v1/accounts/it/token");
    let said = command.output().unwrap();
    let problem: Value = serde_json::from_slice(&said.stdout).unwrap();
    assert_eq!(problem["code"], "not-allowed", "{problem}");
    assert!(
        problem["detail"].as_str().unwrap().contains("4001"),
        "{problem}"
    );
    assert_eq!(stage.requests(), 1);
}
