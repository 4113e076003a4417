//! What a restart finds, and what it may believe.

use tokend_engine::{
    AccountKey, AccountPlan, AttemptId, AttemptKind, Deferral, Durable, Event, GrantId, Intent,
    LoginUsed, ProviderAnswer, RefreshPolicy, Tat, Timestamp, TokenFacts, WaiterFault, Want,
};

use crate::harness::{A, Bench, Step, plan, rate, secs};

#[test]
fn a_restart_with_a_valid_token_asks_nobody() {
    let mut bench = Bench::with(plan());
    let first = bench.get();
    let grant = bench.token(first);
    bench.advance(secs(60));
    bench.crash(plan(), true, false);
    assert_eq!(bench.served[&A].held.grant, grant);
    bench.advance(secs(600));
    let again = bench.get();
    assert_eq!(bench.token(again), grant);
    assert_eq!(bench.sent().len(), 1);
}

#[test]
fn the_pace_holds_across_a_crash_loop_and_counts_from_when_it_may_have_been_sent() {
    let narrow = AccountPlan {
        attempts: rate(1, secs(60)),
        logins: rate(1, secs(60)),
        ..plan()
    };
    let mut bench = Bench::with(narrow);
    bench.hold.insert(Step::Send);
    let began = bench.now;
    for _ in 0..3_000 {
        bench.want(A, Want::Get, None, 3600, 3600);
        bench.advance(std::time::Duration::from_millis(200));
        bench.crash(narrow, true, false);
    }
    let sent = bench.sent();
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
    let mut bench = Bench::with(narrow);
    bench.hold.insert(Step::Send);
    bench.want(A, Want::Get, None, 600, 600);
    bench.advance(secs(50));
    let answered = bench.at(0);
    bench.answer(ProviderAnswer::Misbehaved {
        maybe_processed: false,
    });
    bench.advance(secs(600));
    let again = Timestamp::from_millis(bench.sent()[1].0);
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
    let mut bench = Bench::with(narrow);
    // Its debit is long over.
    let by = Some(bench.at(0));
    let refresh = LoginUsed {
        attempt_by: by,
        ..LoginUsed::default()
    };
    bench.tell(Event::Spent(A, refresh));
    let spent = bench.engine.spent(A).expect("known");
    assert_eq!(spent.attempts, Tat(bench.at(60)));
    assert!(spent.logins.0 <= bench.at(0), "no login");
    let login = LoginUsed {
        login_by: by,
        ..refresh
    };
    assert!(login.counts(bench.at(0)));
    bench.tell(Event::Spent(A, login));
    let spent = bench.engine.spent(A).expect("known");
    assert_eq!(spent.logins, Tat(bench.at(3600)));
    // Nothing that comes later makes it less.
    bench.tell(Event::Spent(A, LoginUsed::default()));
    assert_eq!(bench.engine.spent(A), Some(spent));
}

#[test]
fn a_record_from_a_clock_that_was_wrong_locks_nothing_and_serves_nothing_for_years() {
    let mut bench = Bench::new();
    let far = bench.at(10 * 365 * 86_400);
    bench.store.insert(
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
                by_provider: true,
            }),
            ..Durable::default()
        },
    );
    bench.adopt(A, plan(), true, false);
    let expires = bench.served[&A].held.expires.unwrap();
    assert!(expires <= bench.at(3600), "{expires:?}");
    let waiter = bench.want(A, Want::Forced, None, 86_400, 90_000);
    bench.advance(secs(86_400));
    bench.token(waiter);
}

#[test]
fn accounts_that_are_always_fresh_begin_at_start_and_others_do_not() {
    for (refresh, begins) in [(RefreshPolicy::Always, true), (RefreshPolicy::Auto, false)] {
        let plan = AccountPlan { refresh, ..plan() };
        let mut bench = Bench::with(plan);
        bench.get();
        bench.now += 7_200_000;
        bench.crash(plan, true, false);
        bench.advance(secs(600));
        assert_eq!(bench.sent().len() > 1, begins, "{refresh:?}");
    }
}

#[test]
fn a_wait_is_kept_across_a_restart() {
    let mut bench = Bench::with(plan());
    bench.answers.push_back(ProviderAnswer::Busy {
        retry_after: Some(secs(600)),
    });
    bench.get();
    bench.crash(plan(), true, true);
    let waiter = bench.get();
    assert!(
        matches!(bench.fault(waiter), WaiterFault::Failed { retry, .. } if retry == bench.at(600))
    );
}

#[test]
fn an_expired_refresh_token_is_not_presented() {
    let mut bench = Bench::with(AccountPlan {
        refresh: RefreshPolicy::OnDemand,
        ..plan()
    });
    bench
        .answers
        .push_back(ProviderAnswer::Granted(tokend_engine::GrantFacts {
            lifetime: Some(secs(60)),
            refresh_token: true,
            refresh_lifetime: Some(secs(120)),
            ..tokend_engine::GrantFacts::default()
        }));
    bench.get();
    bench.advance(secs(120));
    bench.get();
    assert_eq!(bench.kinds().last(), Some(&AttemptKind::Login));
}

#[test]
fn attempt_ids_go_on_after_a_restart() {
    let mut bench = Bench::with(plan());
    bench.get();
    bench.crash(plan(), true, false);
    bench.force(0);
    assert_eq!(bench.last_attempt().0, 2);
}

#[test]
fn an_attempt_under_way_at_a_death_is_charged_to_the_host_that_its_record_does_not_name() {
    let mut bench = Bench::new();
    bench.host(2, secs(60), 2);
    bench.host_unknown = true;
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
        bench.store.insert(key, durable);
        bench.adopt(key, plan(), true, false);
    }
    bench.adopt(AccountKey(3), plan(), true, false);
    let began = bench.now;
    bench.want(AccountKey(3), Want::Get, None, 600, 600);
    bench.advance(secs(600));
    let (at, ..) = bench.sent()[0];
    assert!(at >= began + 60_000, "both may have come to it just now");
}
