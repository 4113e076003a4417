//! What a restart finds, and what it may believe.

use tokend_engine::{
    AccountKey, AccountPlan, AttemptId, AttemptKind, Deferral, Durable, Event, GrantId, Intent,
    LoginUsed, ProviderAnswer, RefreshPolicy, Tat, Timestamp, TokenFacts, WaiterFault, Want,
};

use crate::harness::{A, Desk, Step, plan, rate, secs};

#[test]
fn a_restart_with_a_valid_token_asks_nobody() {
    let mut desk = Desk::with(plan());
    let first = desk.get();
    let grant = desk.token(first);
    desk.advance(secs(60));
    desk.crash(plan(), true, false);
    assert_eq!(desk.served[&A].held.grant, grant);
    desk.advance(secs(600));
    let again = desk.get();
    assert_eq!(desk.token(again), grant);
    assert_eq!(desk.sent().len(), 1);
}

#[test]
fn the_pace_holds_across_a_crash_loop_and_counts_from_when_it_may_have_been_sent() {
    let narrow = AccountPlan {
        attempts: rate(1, secs(60)),
        logins: rate(1, secs(60)),
        ..plan()
    };
    let mut desk = Desk::with(narrow);
    desk.hold.insert(Step::Send);
    let began = desk.now;
    for _ in 0..3_000 {
        desk.want(A, Want::Get, None, 3600, 3600);
        desk.advance(std::time::Duration::from_millis(200));
        desk.crash(narrow, true, false);
    }
    let sent = desk.sent();
    assert!(sent.len() >= 2, "it is paced, not dead: {}", sent.len());
    for pair in sent.windows(2) {
        assert!(pair[1].0 - pair[0].0 >= 60_000, "{sent:?} from {began}");
    }
}

#[test]
fn a_request_counts_from_its_end_because_it_may_arrive_late() {
    let narrow = AccountPlan {
        attempts: rate(1, secs(60)),
        ..plan()
    };
    let mut desk = Desk::with(narrow);
    desk.hold.insert(Step::Send);
    desk.want(A, Want::Get, None, 600, 600);
    desk.advance(secs(50));
    let answered = desk.at(0);
    desk.answer(ProviderAnswer::Misbehaved {
        maybe_processed: false,
    });
    desk.advance(secs(600));
    let again = Timestamp::from_millis(desk.sent()[1].0);
    assert!(
        again.since(answered) >= secs(60),
        "{:?}",
        again.since(answered)
    );
}

#[test]
fn a_login_that_was_under_way_under_another_name_counts_from_when_it_may_have_been_sent() {
    let narrow = AccountPlan {
        attempts: rate(1, secs(60)),
        logins: rate(1, secs(3600)),
        ..plan()
    };
    let mut desk = Desk::with(narrow);
    // Its debit is long over.
    let by = Some(desk.at(0));
    let refresh = LoginUsed {
        attempt_by: by,
        ..LoginUsed::default()
    };
    desk.tell(Event::Spent(A, refresh));
    let spent = desk.engine.spent(A).expect("known");
    assert_eq!(spent.attempts, Tat(desk.at(60)));
    assert!(spent.logins.0 <= desk.at(0), "no login");
    let login = LoginUsed {
        login_by: by,
        ..refresh
    };
    assert!(login.counts(desk.at(0)));
    desk.tell(Event::Spent(A, login));
    let spent = desk.engine.spent(A).expect("known");
    assert_eq!(spent.logins, Tat(desk.at(3600)));
    // Nothing that comes later makes it less.
    desk.tell(Event::Spent(A, LoginUsed::default()));
    assert_eq!(desk.engine.spent(A), Some(spent));
}

#[test]
fn a_record_from_a_clock_that_was_wrong_locks_nothing_and_serves_nothing_for_years() {
    let mut desk = Desk::new();
    let far = desk.at(10 * 365 * 86_400);
    desk.store.insert(
        A,
        Durable {
            attempts: Tat(far),
            logins: Tat(far),
            host: Tat(far),
            held: Some(TokenFacts {
                grant: GrantId(1),
                issued: far,
                expires: Some(far.after(secs(3600))),
            }),
            deferral: Some(Deferral {
                until: far,
                told: true,
            }),
            ..Durable::default()
        },
    );
    desk.adopt(A, plan(), true, false);
    let expires = desk.served[&A].held.expires.unwrap();
    assert!(expires <= desk.at(3600), "{expires:?}");
    let waiter = desk.want(A, Want::Forced, None, 86_400, 90_000);
    desk.advance(secs(86_400));
    desk.token(waiter);
}

#[test]
fn accounts_that_are_always_fresh_begin_at_start_and_others_do_not() {
    for (refresh, begins) in [(RefreshPolicy::Always, true), (RefreshPolicy::Auto, false)] {
        let plan = AccountPlan { refresh, ..plan() };
        let mut desk = Desk::with(plan);
        desk.get();
        desk.now += 7_200_000;
        desk.crash(plan, true, false);
        desk.advance(secs(600));
        assert_eq!(desk.sent().len() > 1, begins, "{refresh:?}");
    }
}

#[test]
fn a_wait_is_kept_across_a_restart() {
    let mut desk = Desk::with(plan());
    desk.answers.push_back(ProviderAnswer::Busy {
        retry_after: Some(secs(600)),
    });
    desk.get();
    desk.crash(plan(), true, true);
    let waiter = desk.get();
    assert!(
        matches!(desk.fault(waiter), WaiterFault::Failed { retry, .. } if retry == desk.at(600))
    );
}

#[test]
fn an_expired_refresh_token_is_not_presented() {
    let mut desk = Desk::with(AccountPlan {
        refresh: RefreshPolicy::OnDemand,
        ..plan()
    });
    desk.answers
        .push_back(ProviderAnswer::Granted(tokend_engine::GrantFacts {
            lifetime: Some(secs(60)),
            refresh_token: true,
            refresh_lifetime: Some(secs(120)),
            ..tokend_engine::GrantFacts::default()
        }));
    desk.get();
    desk.advance(secs(120));
    desk.get();
    assert_eq!(desk.kinds().last(), Some(&AttemptKind::Login));
}

#[test]
fn attempt_ids_go_on_after_a_restart() {
    let mut desk = Desk::with(plan());
    desk.get();
    desk.crash(plan(), true, false);
    desk.force(0);
    assert_eq!(desk.last_attempt().0, 2);
}

#[test]
fn an_attempt_under_way_at_a_death_is_charged_to_the_host_that_its_record_does_not_name() {
    let mut desk = Desk::new();
    desk.host(2, secs(60), 2);
    desk.untold = true;
    let intent = Intent {
        attempt: AttemptId(1),
        kind: AttemptKind::Login,
    };
    for key in [A, AccountKey(2)] {
        let durable = Durable {
            last_attempt: AttemptId(1),
            intent: Some(intent),
            ..Durable::default()
        };
        desk.store.insert(key, durable);
        desk.adopt(key, plan(), true, false);
    }
    desk.adopt(AccountKey(3), plan(), true, false);
    let began = desk.now;
    desk.want(AccountKey(3), Want::Get, None, 600, 600);
    desk.advance(secs(600));
    let (at, ..) = desk.sent()[0];
    assert!(at >= began + 60_000, "both may have come to it just now");
}
