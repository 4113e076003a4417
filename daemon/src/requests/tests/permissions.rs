//! Who may ask what, and what those who may not are told.

use tokend_policy::{Fact, Facts, Units};

use super::*;
use crate::testing::OWNER;

#[tokio::test]
async fn the_policy_decides() {
    let bench = bench(ACCOUNTS);
    bench.publish("ads", "T", 1);
    bench.publish("bids", "B", 1);
    for (uid, account, expected) in [
        (7, "ads", None),
        (20, "ads", None),
        (30, "bids", None),
        (20, "bids", Some(FaultCode::NotAllowed)),
        // The administrator has no right to tokens as such, and neither has root.
        (7, "bids", Some(FaultCode::NotAllowed)),
        (0, "ads", Some(FaultCode::NotAllowed)),
        // Only who may do something with every account learns which names exist.
        (7, "adz", Some(FaultCode::UnknownAccount)),
        (20, "adz", Some(FaultCode::NotAllowed)),
        (40, "adz", Some(FaultCode::NotAllowed)),
        (40, "ads", Some(FaultCode::NotAllowed)),
    ] {
        let code = match bench.now(uid, get(account)) {
            Response::Token(_) => None,
            Response::Fault(fault) => Some(fault.code),
            other => panic!("{other:?}"),
        };
        assert_eq!(code, expected, "{uid} {account}");
    }
}

/// Whether the peer has a right on some account or on none.
#[tokio::test]
async fn an_account_of_others_is_told_in_the_words_of_one_that_does_not_exist() {
    let bench = bench(ACCOUNTS);
    let login = |account: &str| Request::Login {
        account: name(account),
        secret: LoginSecret::RefreshToken(SecretText::new("rt").unwrap()),
    };
    let status = |account: &str| Request::Status {
        account: Some(name(account)),
        after: None,
    };
    let refresh = |account: &str| Request::Refresh {
        account: name(account),
        wait_ms: 0,
        timeout_ms: 1000,
    };
    let forget = |account: &str| Request::Forget {
        account: name(account),
    };
    let diagnose = |account: &str| Request::Diagnose {
        account: Some(name(account)),
        after: None,
    };
    let reject = |account: &str| reject(account, "t");
    let requests: [&dyn Fn(&str) -> Request; 7] =
        [&get, &login, &status, &reject, &refresh, &forget, &diagnose];
    for uid in [20, 40, 0] {
        for request in requests {
            let other = bench.fault(uid, request("bids"));
            let unknown = bench.fault(uid, request("bidz"));
            assert_eq!(other.code, unknown.code, "{uid}");
            assert_eq!(other.message.replace("bids", "bidz"), unknown.message);
            assert_eq!(
                other.advice.unwrap().replace("bids", "bidz"),
                unknown.advice.unwrap()
            );
        }
    }
}

#[tokio::test]
async fn the_name_that_was_meant_is_one_the_peer_may_see() {
    let bench = bench(ACCOUNTS);
    let suggested = |uid, account: &str| {
        let mut fault = bench.fault(uid, get(account));
        let snapshot = bench.requests.registry.snapshot();
        drop(snapshot.visible(&peer(uid)));
        let decided = bench
            .requests
            .decide_by_what_is_known(&snapshot, &peer(uid), &get(account));
        assert!(decided.is_err_and(|refused| refused.is_stranger));
        assert!(
            bench
                .requests
                .suggest(&peer(uid), None, &name(account), &mut fault)
        );
        fault.advice.unwrap()
    };
    assert!(suggested(20, "adz").starts_with("did you mean ads? "));
    assert!(suggested(7, "bidz").starts_with("did you mean bids? "));
    assert!(!suggested(20, "bidz").contains("did you mean"));
    assert!(!suggested(40, "adz").contains("did you mean"));
    // Somebody else's account has no better advice than one that does not exist.
    assert!(!suggested(20, "bids").contains("did you mean"));
}

#[tokio::test]
async fn only_an_administrator_changes_anything() {
    let bench = bench(ACCOUNTS);
    let secret = LoginSecret::RefreshToken(SecretText::new("rt").unwrap());
    for request in [
        Request::Refresh {
            account: name("ads"),
            wait_ms: 0,
            timeout_ms: 1000,
        },
        Request::Login {
            account: name("ads"),
            secret,
        },
        Request::Forget {
            account: name("ads"),
        },
        Request::Reload,
    ] {
        let fault = bench.fault(20, request.clone());
        assert_eq!(fault.code, FaultCode::NotAllowed, "{request:?}");
        assert!(fault.advice.is_some());
        assert!(matches!(
            bench.requests.handle(&peer(OWNER), request),
            Reply::Pending(_)
        ));
    }
}

const SEPARATE: &str = "
admin = [{ user = 7, may = [\"forget\"] }]
[account.ads]
provider = \"oauth2\"
base_url = \"http://127.0.0.1:1\"
username = \"u\"
client_id = \"c\"
password = { env = \"X\" }
allow = [{ user = 20, may = [\"get\"] }, { user = 21, may = [\"status\"] }, { user = 22, may = [\"reject\"] }, { user = 23, may = [\"refresh\"] }, { user = 24, may = [\"login\"] }]
";

/// Each permission allows its own request and no other.
#[tokio::test]
async fn permissions_are_separate() {
    let bench = bench(SEPARATE);
    bench.publish("ads", "T", 1);
    let secret = || LoginSecret::RefreshToken(SecretText::new("rt").unwrap());
    let account = name("ads");
    let requests = [
        (20, get("ads")),
        (
            21,
            Request::Status {
                account: Some(account.clone()),
                after: None,
            },
        ),
        (22, reject("ads", "T")),
        (
            23,
            Request::Refresh {
                account: account.clone(),
                wait_ms: 0,
                timeout_ms: 1000,
            },
        ),
        (
            24,
            Request::Login {
                account: account.clone(),
                secret: secret(),
            },
        ),
        (7, Request::Forget { account }),
        (9, Request::Reload),
    ];
    for (owner, request) in &requests {
        for uid in [0, 7, 20, 21, 22, 23, 24] {
            let allowed = match bench.requests.handle(&peer(uid), request.clone()) {
                Reply::Ready(Response::Fault(fault)) => {
                    assert_eq!(fault.code, FaultCode::NotAllowed, "{uid} {request:?}");
                    false
                }
                Reply::Ready(_) | Reply::Pending(_) => true,
            };
            assert_eq!(allowed, uid == *owner, "{uid} {request:?}");
        }
    }
}

#[tokio::test]
async fn whoever_may_reject_and_not_get_is_given_no_token() {
    let mut bench = bench(SEPARATE);
    bench.publish("ads", "new", 5);
    assert!(matches!(
        bench.now(22, reject("ads", "old")),
        Response::Done { .. }
    ));
    let asked = bench.requests.handle(&peer(22), reject("ads", "new"));
    let Some(Message::Wanted { reply, .. }) = bench.driver.recv().await else {
        panic!()
    };
    let now = bench.requests.clock.steady();
    reply
        .send(DriverAnswer::Token(Arc::new(token("newer", 6, now))))
        .unwrap();
    assert!(matches!(soon(answer(asked)).await, Response::Done { .. }));
}

const FACTS: &str = "
[defaults]
allow = [{ unit = \"a.service\" }]
[account.ads]
provider = \"oauth2\"
base_url = \"http://127.0.0.1:1\"
username = \"u\"
client_id = \"c\"
[account.bids]
provider = \"oauth2\"
base_url = \"http://127.0.0.1:1\"
username = \"u\"
client_id = \"c\"
allow = [{ user = 30 }]
";

fn in_unit(uid: u32, units: Fact<Units>) -> Peer {
    peer(uid).with(Facts {
        units,
        ..Facts::default()
    })
}

#[tokio::test]
async fn facts_are_read_only_for_accounts_whose_rules_need_them() {
    let bench = bench(FACTS);
    let lacks = |peer: &Peer, request: &Request| bench.requests.lacks(peer, request);
    assert_eq!(lacks(&peer(30), &get("ads")), Needs::UNITS);
    assert_eq!(lacks(&peer(30), &get("bids")), Needs::NONE);
    // Whoever may do nothing with an account is looked at as for one that does not exist.
    assert_eq!(lacks(&peer(31), &get("bids")), Needs::UNITS);
    assert_eq!(lacks(&peer(31), &get("nobodys")), Needs::UNITS);
    assert_eq!(
        lacks(&peer(30), &Request::List { after: None }),
        Needs::UNITS
    );
    // What is cheap is read first.
    let cheap = Needs::ALL.without(Needs::FILES);
    assert_eq!(lacks(&peer(30), &Request::Whoami), cheap);
    let known = in_unit(31, Fact::Known(Units::default()));
    for request in [get("ads"), get("bids"), get("nobodys"), Request::Reload] {
        assert_eq!(lacks(&known, &request), Needs::NONE, "{request:?}");
    }
}

#[tokio::test]
async fn what_could_not_be_read_is_told_alike_for_accounts_that_exist_and_do_not() {
    let bench = bench(FACTS);
    bench.publish("ads", "T", 1);
    let inside = in_unit(
        31,
        Fact::Known(Units {
            system: Some("a.service".into()),
            user: None,
        }),
    );
    assert!(matches!(
        bench.requests.handle(&inside, get("ads")),
        Reply::Ready(Response::Token(_))
    ));
    let blind = in_unit(31, Fact::Unread("no /proc".into()));
    let message = |account: &str| match bench.requests.handle(&blind, get(account)) {
        Reply::Ready(Response::Fault(fault)) => fault.message.replace(account, "IT"),
        _ => panic!("it was allowed"),
    };
    assert!(message("ads").contains("your unit could not be read: no /proc"));
    assert_eq!(message("ads"), message("bids"));
    assert_eq!(message("ads"), message("nobodys"));
}

#[tokio::test]
async fn everybody_is_told_who_they_are() {
    let bench = bench(FACTS);
    let asked = bench.requests.handle(
        &in_unit(30, Fact::Unread("no /proc".into())),
        Request::Whoami,
    );
    let Response::Whoami(who) = soon(answer(asked)).await else {
        panic!()
    };
    assert_eq!((who.user.id, who.unit), (30, Err("no /proc".to_owned())));
    let may: Vec<_> = who
        .accounts
        .iter()
        .map(|may| (&*may.permission, may.accounts))
        .collect();
    assert_eq!(may, [("get", 1), ("status", 1), ("reject", 1)]);
    assert!(who.administrator.is_empty());
    let asked = bench.requests.handle(&peer(OWNER), Request::Whoami);
    let Response::Whoami(who) = soon(answer(asked)).await else {
        panic!()
    };
    assert_eq!(
        who.administrator,
        ["status", "refresh", "login", "forget", "reload"]
    );
}

const FILES: &str = "
[account.ads]
provider = \"oauth2\"
base_url = \"http://127.0.0.1:1\"
username = \"u\"
client_id = \"c\"
allow = [{ sha256 = \"DIGEST\", user = 30 }, { user = 20 }, { sha256 = \"DIGEST\", unit = \"a.service\" }]
[account.bids]
provider = \"oauth2\"
base_url = \"http://127.0.0.1:1\"
username = \"u\"
client_id = \"c\"
allow = [{ user = 21 }]
";

/// Whoever no rule by file could match has no file read, so that nobody can fill the line for those who do.
#[tokio::test]
async fn rules_that_need_no_file_are_decided_first() {
    let bench = bench(&FILES.replace("DIGEST", &"0".repeat(64)));
    let lacks = |peer: &Peer, account: &str| bench.requests.lacks(peer, &get(account));
    assert_eq!(lacks(&peer(20), "ads"), Needs::NONE, "a rule by user");
    assert_eq!(lacks(&peer(21), "bids"), Needs::NONE, "another account");
    assert_eq!(lacks(&peer(30), "ads"), Needs::UNITS, "the cheap one first");
    let unit = |uid, unit: &str| {
        let system = Some(unit.into());
        in_unit(uid, Fact::Known(Units { system, user: None }))
    };
    assert_eq!(lacks(&unit(30, "b.service"), "ads"), Needs::SHA256);
    assert_eq!(lacks(&unit(40, "a.service"), "ads"), Needs::SHA256);
    for account in ["ads", "bids", "nobodys"] {
        // For a stranger nothing is read, whatever they ask for.
        assert_eq!(lacks(&unit(40, "b.service"), account), Needs::NONE);
        // For whom a file might decide it is read, whatever they ask for.
        assert_eq!(lacks(&unit(30, "b.service"), account), Needs::SHA256);
        assert_eq!(lacks(&peer(40), account), Needs::UNITS);
    }
    let list = Request::List { after: None };
    assert_eq!(
        bench.requests.lacks(&unit(40, "b.service"), &list),
        Needs::NONE
    );
    assert_eq!(
        bench.requests.lacks(&unit(40, "a.service"), &list),
        Needs::SHA256
    );
}
