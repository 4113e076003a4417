//! What was waited for leaves only by the configuration that is in force then.

use tokend_config::Config;

use super::*;

fn account(rules: &str) -> String {
    format!(
        "[account.ads]\nprovider = \"oauth2\"\nbase_url = \"http://127.0.0.1:1\"\nusername = \"u\"\nclient_id = \"c\"\nallow = [{rules}]\n"
    )
}

const ALL: &str = "{ user = 20, may = [\"get\", \"status\", \"reject\", \"refresh\", \"login\"] }";

fn requests() -> [Request; 5] {
    [
        get("ads"),
        reject("ads", "held"),
        Request::Refresh {
            account: name("ads"),
            wait_ms: 0,
            timeout_ms: 20_000,
        },
        Request::Login {
            account: name("ads"),
            secret: LoginSecret::RefreshToken(SecretText::new("rt").unwrap()),
        },
        Request::Status {
            account: Some(name("ads")),
            after: None,
        },
    ]
}

/// Has `request` wait, puts other rules in force, and has the driver answer with a token or what is asked for.
async fn overtaken(request: Request, before: &str, after: &str) -> Release {
    overtaken_by(request, before, after, true).await
}

/// The same; the account serves that token under the other rules, or it was retired with the configuration before.
async fn overtaken_by(request: Request, before: &str, after: &str, serves: bool) -> Release {
    let mut bench = bench(&account(before));
    bench.publish("ads", "held", 1);
    if matches!(request, Request::Get { .. }) {
        let snapshot = bench.requests.registry.snapshot();
        snapshot.served(&name("ads")).unwrap().cell.retire();
    }
    let Reply::Pending(pending) = bench.requests.handle(&peer(20), request) else {
        panic!("it was answered on the spot")
    };
    let config: Config = Site::new(after).config();
    let next = Arc::clone(&crate::testing::registry(&config).snapshot());
    if let Some(served) = next.served(&name("ads")).filter(|_| serves) {
        served
            .cell
            .publish(token("new", 2, bench.requests.clock.steady()));
    }
    bench.requests.registry.replace(next);
    let serve = async {
        let now = bench.requests.clock.steady();
        match bench.driver.recv().await.unwrap() {
            Message::Wanted { reply, .. } => {
                let token = Arc::new(token("new", 2, now));
                reply.send(DriverAnswer::Token(token)).unwrap();
            }
            Message::Login { reply, .. } => {
                reply.send(DriverAnswer::Done("stored".into())).unwrap()
            }
            Message::Status { reply, .. } => reply.send(Vec::new()).unwrap(),
            other => panic!("{other:?}"),
        }
    };
    let (answered, ()) = soon(async { tokio::join!(pending, serve) }).await;
    bench.requests.release(&peer(20), answered)
}

fn code(release: Release) -> FaultCode {
    match release {
        Release::Answer(Response::Fault(fault)) => fault.code,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_was_waited_for_is_decided_again_where_another_configuration_is_in_force() {
    for request in requests() {
        let said = format!("{request:?}");
        let (is_login, is_status) = (
            matches!(request, Request::Login { .. }),
            matches!(request, Request::Status { .. }),
        );
        let released = overtaken(request, ALL, &account("{ user = 21 }")).await;
        if is_login {
            // It was done, and who did it learns that it was.
            assert!(
                matches!(released, Release::Answer(Response::Done { .. })),
                "{said}"
            );
        } else if is_status {
            assert!(matches!(released, Release::Again(_)), "{said}");
        } else {
            assert_eq!(code(released), FaultCode::NotAllowed, "{said}");
        }
    }
}

#[tokio::test]
async fn an_account_that_went_or_became_another_has_no_token_to_leave() {
    for request in requests().into_iter().take(3) {
        let released = overtaken(request.clone(), ALL, "").await;
        let gone = code(released);
        assert!(
            matches!(gone, FaultCode::NotAllowed | FaultCode::UnknownAccount),
            "{gone:?}"
        );
        // With another before it the name has another key.
        let other = account(ALL).replace("account.ads", "account.aaa") + &account(ALL);
        let released = overtaken(request, ALL, &other).await;
        assert_eq!(code(released), FaultCode::TooBusy);
    }
}

#[tokio::test]
async fn whoever_keeps_part_of_the_rights_is_told_what_that_part_allows() {
    let [_, reject, refresh, ..] = requests();
    for (request, left) in [(reject, "reject"), (refresh, "refresh")] {
        let rules = format!("{{ user = 20, may = [\"{left}\"] }}");
        let released = overtaken(request, ALL, &account(&rules)).await;
        assert!(
            matches!(&released, Release::Answer(Response::Done { message }) if message.contains("has a new token")),
            "{released:?}"
        );
    }
}

#[tokio::test]
async fn whoever_keeps_the_right_by_another_rule_is_served() {
    for request in requests().into_iter().take(3) {
        let rules = format!("{{ user = 30 }}, {ALL}");
        match overtaken(request, ALL, &account(&rules)).await {
            Release::Answer(Response::Token(token)) => assert_eq!(token.grant, 2),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_token_that_was_retired_with_the_configuration_before_does_not_leave() {
    for request in requests().into_iter().take(3) {
        let released = overtaken_by(request, ALL, &account(ALL), false).await;
        assert_eq!(code(released), FaultCode::TooBusy);
    }
}

#[tokio::test]
async fn a_token_that_its_api_wants_otherwise_by_then_does_not_leave() {
    for request in requests().into_iter().take(3) {
        let after = account(ALL) + "[account.ads.api]\npresent = { header = \"X-Key\" }\n";
        let released = overtaken(request, ALL, &after).await;
        assert_eq!(code(released), FaultCode::TooBusy);
    }
}

#[tokio::test]
async fn a_rule_that_needs_more_facts_than_were_read_is_not_decided_without_them() {
    let bench = bench(&account(ALL));
    let Reply::Pending(pending) = bench.requests.handle(&peer(20), get("ads")) else {
        panic!()
    };
    let config = Site::new(&account("{ unit = \"a.service\" }")).config();
    let next = Arc::clone(&crate::testing::registry(&config).snapshot());
    bench.requests.registry.replace(next);
    drop(bench.driver);
    let answered = soon(pending).await;
    match bench.requests.release(&peer(20), answered) {
        Release::NeedFacts(needs, _) => assert_eq!(needs, Needs::UNITS),
        other => panic!("{other:?}"),
    }
}
