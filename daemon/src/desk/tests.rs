//! Who may ask what, what is answered on the spot, and pages that fit their frames.

use std::fmt::Write as _;

use tokend_proto::{
    AccountState, AttemptKind, LastAttempt, PaceStatus, RequestId, ServerFrame, encode,
};

use tokend_policy::{Fact, Facts, Units};

use super::*;
use crate::testing::{OWNER, Site, answer, get, name, peer, soon, token};

const ACCOUNTS: &str = "
[account.ads]
provider = \"oauth2\"
base_url = \"http://127.0.0.1:1\"
username = \"u\"
client_id = \"c\"
password = { env = \"X\" }
allow = [{ user = 7 }, { user = 20 }]

[account.bids]
provider = \"oauth2\"
base_url = \"http://127.0.0.1:1\"
username = \"u\"
client_id = \"c\"
allow = [{ user = 30 }]
";

struct Bench {
    desk: Arc<Desk>,
    driver: mpsc::Receiver<Message>,
    _site: Site,
}

fn bench(text: &str) -> Bench {
    let site = Site::new(text);
    let (desk, driver) = crate::testing::desk(&site, &Clock::system(), 16);
    Bench {
        desk,
        driver,
        _site: site,
    }
}

impl Bench {
    fn publish(&self, account: &str, text: &str, grant: u64) {
        let now = self.desk.clock.steady();
        self.desk
            .registry
            .epoch()
            .slot(&name(account))
            .unwrap()
            .held
            .publish(token(text, grant, now));
    }

    fn now(&self, uid: u32, request: Request) -> Response {
        match self.desk.handle(&peer(uid), request) {
            Handled::Now(response) => response,
            Handled::Later(_) => panic!("it was not answered on the spot"),
        }
    }

    fn fault(&self, uid: u32, request: Request) -> Fault {
        match self.now(uid, request) {
            Response::Fault(fault) => fault,
            other => panic!("{other:?}"),
        }
    }

    /// What the driver is asked.
    fn passed_on(&mut self, uid: u32, request: Request) -> Message {
        let Handled::Later(_) = self.desk.handle(&peer(uid), request) else {
            panic!("answered on the spot")
        };
        self.driver.try_recv().unwrap()
    }
}

fn reject(account: &str, text: &str) -> Request {
    Request::Reject {
        account: name(account),
        token: SecretText::new(text).unwrap(),
        wait_ms: 0,
        timeout_ms: 1000,
    }
}

fn at_least(ms: u64) -> Request {
    Request::Get {
        account: name("ads"),
        min_validity_ms: Some(ms),
        wait_ms: 0,
        timeout_ms: 1000,
    }
}

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
        (20, "adz", Some(FaultCode::UnknownAccount)),
        // Whoever may see nothing does not learn which names exist.
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
    let known = bench.fault(40, get("ads"));
    let unknown = bench.fault(40, get("adz"));
    assert_eq!(known.message.replace("ads", "adz"), unknown.message);
    assert_eq!(
        known.advice.unwrap().replace("ads", "adz"),
        unknown.advice.unwrap()
    );
    assert!(
        bench
            .fault(20, get("adz"))
            .advice
            .unwrap()
            .contains("did you mean ads?")
    );
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
            bench.desk.handle(&peer(OWNER), request),
            Handled::Later(_)
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
            let allowed = match bench.desk.handle(&peer(uid), request.clone()) {
                Handled::Now(Response::Fault(fault)) => {
                    assert_eq!(fault.code, FaultCode::NotAllowed, "{uid} {request:?}");
                    false
                }
                Handled::Now(_) | Handled::Later(_) => true,
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
    let asked = bench.desk.handle(&peer(22), reject("ads", "new"));
    let Some(Message::Wanted { reply, .. }) = bench.driver.recv().await else {
        panic!()
    };
    let now = bench.desk.clock.steady();
    reply
        .send(Answer::Token(Arc::new(token("newer", 6, now))))
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
    let lacks = |peer: &Peer, request: &Request| bench.desk.lacks(peer, request);
    assert_eq!(lacks(&peer(30), &get("ads")), Needs::UNITS);
    assert_eq!(lacks(&peer(30), &get("bids")), Needs::NONE);
    // Whoever may do nothing with an account is looked at as for one that does not exist.
    assert_eq!(lacks(&peer(31), &get("bids")), Needs::UNITS);
    assert_eq!(lacks(&peer(31), &get("nobodys")), Needs::UNITS);
    assert_eq!(
        lacks(&peer(30), &Request::List { after: None }),
        Needs::UNITS
    );
    assert_eq!(lacks(&peer(30), &Request::Whoami), Needs::ALL);
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
        bench.desk.handle(&inside, get("ads")),
        Handled::Now(Response::Token(_))
    ));
    let blind = in_unit(31, Fact::Unread("no /proc".into()));
    let told = |account: &str| match bench.desk.handle(&blind, get(account)) {
        Handled::Now(Response::Fault(fault)) => fault.message.replace(account, "IT"),
        _ => panic!("it was allowed"),
    };
    assert!(told("ads").contains("your unit could not be read: no /proc"));
    assert_eq!(told("ads"), told("bids"));
    assert_eq!(told("ads"), told("nobodys"));
}

#[tokio::test]
async fn everybody_is_told_who_they_are() {
    let bench = bench(FACTS);
    let asked = bench.desk.handle(
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
    let asked = bench.desk.handle(&peer(OWNER), Request::Whoami);
    let Response::Whoami(who) = soon(answer(asked)).await else {
        panic!()
    };
    assert_eq!(
        who.administrator,
        ["status", "refresh", "login", "forget", "reload"]
    );
}

#[tokio::test]
async fn a_token_that_is_not_valid_for_long_enough_is_asked_of_the_driver() {
    let mut bench = bench(ACCOUNTS);
    bench.publish("ads", "T", 1);
    assert!(matches!(
        bench.now(20, at_least(3_500_000)),
        Response::Token(_)
    ));
    let Message::Wanted {
        demand,
        want: Want::Get,
        ..
    } = bench.passed_on(20, at_least(3_700_000))
    else {
        panic!()
    };
    assert_eq!(demand.min_validity, Some(Duration::from_secs(3_700)));
    let expired = IssuedToken {
        held: tokend_engine::Held {
            expires: Some(bench.desk.clock.steady()),
            ..token("T", 1, Timestamp::ZERO).held
        },
        ..token("T", 1, Timestamp::ZERO)
    };
    bench
        .desk
        .registry
        .epoch()
        .slot(&name("ads"))
        .unwrap()
        .held
        .publish(expired);
    assert!(matches!(
        bench.passed_on(20, get("ads")),
        Message::Wanted {
            want: Want::Get,
            ..
        }
    ));
}

#[tokio::test]
async fn times_are_bounded() {
    let mut bench = bench(ACCOUNTS);
    let request = Request::Get {
        account: name("ads"),
        min_validity_ms: Some(u64::MAX),
        wait_ms: u64::MAX,
        timeout_ms: u64::MAX,
    };
    let Message::Wanted { demand, .. } = bench.passed_on(20, request) else {
        panic!()
    };
    assert!(demand.answer_by <= bench.desk.clock.steady().after(LONGEST_WAIT));
    assert!(demand.start_by <= demand.answer_by);
}

#[tokio::test]
async fn a_rejection_counts_only_for_the_token_held() {
    let mut bench = bench(ACCOUNTS);
    bench.publish("ads", "new", 5);
    match bench.now(20, reject("ads", "old")) {
        Response::Token(token) => {
            assert_eq!((token.access_token.expose(), token.grant), ("new", 5))
        }
        other => panic!("{other:?}"),
    }
    let Message::Wanted { want, .. } = bench.passed_on(20, reject("ads", "new")) else {
        panic!()
    };
    assert_eq!(want, Want::Rejected(tokend_engine::GrantId(5)));
    bench
        .desk
        .registry
        .epoch()
        .slot(&name("ads"))
        .unwrap()
        .held
        .retire();
    assert!(matches!(
        bench.passed_on(20, reject("ads", "new")),
        Message::Wanted {
            want: Want::Get,
            ..
        }
    ));
}

#[tokio::test]
async fn a_busy_driver_is_waited_for_and_a_dead_one_is_told() {
    let site = Site::new(ACCOUNTS);
    let (desk, mut driver) = crate::testing::desk(&site, &Clock::system(), 1);
    let first = desk.handle(&peer(20), get("ads"));
    let second = desk.handle(&peer(20), get("ads"));
    let serve = async {
        for _ in 0..2 {
            let Some(Message::Wanted { reply, .. }) = driver.recv().await else {
                panic!()
            };
            reply.send(Answer::Done("x".into())).unwrap();
        }
    };
    let (one, two, ()) = soon(async { tokio::join!(answer(first), answer(second), serve) }).await;
    assert_eq!(
        (&one, &two),
        (
            &Response::Done {
                message: "x".into()
            },
            &Response::Done {
                message: "x".into()
            }
        )
    );
    drop(driver);
    match soon(answer(desk.handle(&peer(20), get("ads")))).await {
        Response::Fault(fault) => assert_eq!(fault.code, FaultCode::Draining),
        other => panic!("{other:?}"),
    }
}

fn many(count: usize) -> String {
    let mut text = String::from("[defaults]\nallow = [{ user = 20 }]\n");
    for n in 0..count {
        let long = format!("{n:064}");
        write!(
            text,
            "[account.\"{long}\"]\nprovider = \"oauth2\"\nbase_url = \"http://127.0.0.1:1/{}\"\nusername = \"u\"\nclient_id = \"c\"\n",
            "p".repeat(1500)
        )
        .unwrap();
    }
    text
}

fn size(response: Response) -> usize {
    let mut bytes = Vec::new();
    encode(
        &ServerFrame {
            id: RequestId(1),
            response,
        },
        &mut bytes,
    )
    .expect("it fits a frame");
    bytes.len()
}

#[tokio::test]
async fn a_list_comes_in_pages_that_fit() {
    let bench = bench(&many(701));
    let (mut after, mut seen) = (None, Vec::new());
    loop {
        let Response::Accounts(page) = bench.now(20, Request::List { after }) else {
            panic!()
        };
        seen.extend(page.accounts.iter().map(|line| line.account.clone()));
        after = page.next.clone();
        size(Response::Accounts(page));
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), 701);
    assert!(seen.is_sorted());
    let Response::Accounts(none) = bench.now(21, Request::List { after: None }) else {
        panic!()
    };
    assert!(none.accounts.is_empty() && none.next.is_none());
}

/// A status with every text at its longest.
fn longest(account: &AccountName) -> AccountStatus {
    let pace = PaceStatus {
        left: u32::MAX,
        burst: u32::MAX,
        period_ms: u64::MAX,
        next_at_ms: u64::MAX,
    };
    let long = Some(u64::MAX);
    AccountStatus {
        account: account.clone(),
        dialect: "d".repeat(64),
        base_url: "u".repeat(2_000),
        state: AccountState::BackingOff,
        has_token: true,
        expires_at_ms: long,
        remaining_ms: long,
        lifetime_ms: long,
        has_refresh_token: true,
        unpersisted: true,
        attempts: pace,
        logins: pace,
        next_attempt_at_ms: long,
        last_attempt: Some(LastAttempt {
            kind: AttemptKind::Login,
            at_ms: 1,
            duration_ms: 1,
            outcome: "o".repeat(1_000),
        }),
        problem: Some(
            Fault::new(FaultCode::Paced, "m".repeat(1_500))
                .advise("a".repeat(3_000))
                .retry_after(u64::MAX),
        ),
        waiters: u32::MAX,
    }
}

#[tokio::test]
async fn a_status_comes_in_pages_that_fit_and_leaves_nobody_out() {
    let mut bench = bench(&many(101));
    let (mut after, mut seen) = (None, Vec::new());
    loop {
        let asked = bench.desk.handle(
            &peer(20),
            Request::Status {
                account: None,
                after,
            },
        );
        let serve = async {
            let Some(Message::Status { accounts, reply }) = bench.driver.recv().await else {
                panic!()
            };
            reply
                .send(accounts.iter().map(|(_, name)| longest(name)).collect())
                .unwrap();
        };
        let (response, ()) = soon(async { tokio::join!(answer(asked), serve) }).await;
        let Response::Status(page) = response else {
            panic!()
        };
        assert!(!page.accounts.is_empty());
        seen.extend(page.accounts.iter().map(|status| status.account.clone()));
        after = page.next.clone();
        assert!(
            size(Response::Status(page)) > 30_000 || after.is_none(),
            "pages are filled"
        );
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), 101);
    assert!(seen.is_sorted());
}

#[test]
fn tokens_are_compared_whole() {
    let text = |text: &str| SecretText::new(text).unwrap();
    assert!(is_same(&text("abc"), &text("abc")));
    assert!(!is_same(&text("abc"), &text("abd")));
    assert!(!is_same(&text("abc"), &text("ab")));
}
