//! Ahead of expiry or on demand, for how long, and for whom.

use std::time::Duration;

use tokend_engine::{
    AccountPlan, AttemptKind, GrantFacts, Problem, ProviderAnswer, RefreshPolicy, Verdict,
    WaiterFault, Want,
};

use crate::harness::{A, Bench, Step, granted, plan, rate, secs};

fn policy(refresh: RefreshPolicy) -> AccountPlan {
    AccountPlan { refresh, ..plan() }
}

#[test]
fn auto_refreshes_ahead_for_those_who_ask_and_rests_otherwise() {
    let mut bench = Bench::with(policy(RefreshPolicy::Auto));
    bench.advance(secs(86_400));
    assert_eq!(bench.sent(), [], "nobody asked yet");
    bench.get();
    let ahead = bench.served[&A].ahead;
    let began = bench.at(0);
    let share = ahead.since(began).as_secs();
    assert!((2700..=3060).contains(&share), "{share} of 3600 s");
    bench.advance(secs(3600));
    assert_eq!(
        bench.kinds(),
        [AttemptKind::Login, AttemptKind::Refresh],
        "it was asked for within its last lifetime"
    );
    assert_eq!(bench.sent()[1].0, ahead.as_millis());
    bench.advance(secs(86_400));
    assert_eq!(bench.sent().len(), 2, "nobody asked for the second one");
}

#[test]
fn auto_resumes_when_a_session_reports_that_somebody_asked() {
    let mut bench = Bench::with(policy(RefreshPolicy::Auto));
    bench.get();
    bench.advance(secs(3590));
    assert_eq!(bench.sent().len(), 2);
    // Served by a session since, without an event, long before `ahead`: that keeps it fresh by itself.
    bench.asked.touch(bench.at(0));
    bench.advance(secs(3000));
    assert_eq!(bench.sent().len(), 3);
    // Nobody asked before the next `ahead`, one does after it, while the token is still good.
    bench.advance(secs(3300));
    assert_eq!(bench.sent().len(), 3);
    bench.tell(tokend_engine::Event::Asked(A));
    assert_eq!(bench.sent().len(), 4);
}

#[test]
fn always_refreshes_although_nobody_asks_and_on_demand_never_ahead() {
    let mut always = Bench::with(policy(RefreshPolicy::Always));
    always.advance(secs(1));
    assert_eq!(
        always.kinds(),
        [AttemptKind::Login],
        "there is a need for it"
    );
    always.advance(secs(86_400));
    assert!(
        (28..=33).contains(&always.sent().len()),
        "{}",
        always.sent().len()
    );
    let mut lazy = Bench::with(policy(RefreshPolicy::OnDemand));
    lazy.get();
    for _ in 0..10 {
        lazy.asked.touch(lazy.at(0));
        lazy.advance(secs(350));
    }
    assert_eq!(lazy.sent().len(), 1);
    assert_eq!(lazy.served[&A].ahead, tokend_engine::Timestamp::FAR);
    lazy.advance(secs(100));
    lazy.get();
    assert_eq!(lazy.kinds(), [AttemptKind::Login, AttemptKind::Refresh]);
}

#[test]
fn always_goes_on_by_itself_after_a_rejection_and_a_failure() {
    let mut bench = Bench::with(policy(RefreshPolicy::Always));
    bench.advance(secs(1));
    let first = bench.get();
    let grant = bench.token(first);
    bench.answers.push_back(ProviderAnswer::NotSent);
    let rejecter = bench.want(A, Want::Rejected(grant), None, 0, 60);
    assert!(matches!(
        bench.fault(rejecter),
        WaiterFault::Failed {
            problem: Problem::Unreachable,
            ..
        }
    ));
    bench.advance(secs(10));
    assert_eq!(
        bench.sent().len(),
        3,
        "nobody waits, and still it is tried again"
    );
    assert!(bench.served.contains_key(&A));
}

#[test]
fn a_refresh_that_ends_the_token_handed_out_comes_late() {
    let mut bench = Bench::with(AccountPlan {
        refresh_ends_access: true,
        ..policy(RefreshPolicy::Always)
    });
    bench.get();
    bench.advance(secs(3600 * 90 / 100));
    assert_eq!(bench.sent().len(), 1);
    bench.advance(secs(3600 * 10 / 100));
    assert_eq!(bench.sent().len(), 2);
}

#[test]
fn a_refresh_that_needs_the_token_is_never_late_and_a_login_when_it_is_too_late() {
    let needs = AccountPlan {
        refresh_needs_access: true,
        ..policy(RefreshPolicy::Always)
    };
    let mut bench = Bench::with(needs);
    bench.get();
    bench.advance(secs(3600 * 75 / 100));
    assert_eq!(bench.kinds(), [AttemptKind::Login, AttemptKind::Refresh]);
    let mut late = Bench::with(AccountPlan {
        refresh: RefreshPolicy::OnDemand,
        ..needs
    });
    late.get();
    late.advance(secs(3600));
    late.get();
    assert_eq!(late.kinds(), [AttemptKind::Login, AttemptKind::Login]);
}

#[test]
fn what_was_to_be_refreshed_is_looked_at_again_once_the_right_is_given() {
    let needs = AccountPlan {
        refresh_needs_access: true,
        ..plan()
    };
    let mut bench = Bench::with(needs);
    let first = bench.get();
    let grant = bench.token(first);
    bench.hold.insert(Step::Claim);
    let forced = bench.force(0);
    let rejecter = bench.want(A, Want::Rejected(grant), None, 0, 60);
    bench.hold.clear();
    bench.let_go();
    assert_eq!(
        bench.kinds(),
        [AttemptKind::Login, AttemptKind::Login],
        "the token the refresh needed is gone"
    );
    assert_eq!(bench.token(forced), bench.token(rejecter));
}

#[test]
fn short_lifetimes_cause_no_storm() {
    let mut bench = Bench::with(plan());
    bench
        .answers
        .extend([granted(2), granted(2), granted(2), granted(2)]);
    bench.get();
    bench.advance(secs(4));
    let sent = bench.sent().len();
    assert!(sent <= 2, "{sent}");
    bench.advance(secs(20));
    assert_eq!(bench.sent().len(), sent, "nobody asks, nothing is sent");
}

#[test]
fn a_life_counts_from_when_the_request_left_and_its_end_is_left_out() {
    let plan = policy(RefreshPolicy::OnDemand);
    for (lifetime, margin) in [(3600, 5), (40, 4)] {
        let mut bench = Bench::with(plan);
        bench.hold.insert(Step::Send);
        bench.get();
        bench.advance(secs(20));
        bench.answer(granted(lifetime));
        let held = bench.served[&A].held;
        assert_eq!(
            held.expires,
            Some(bench.at(0).before(secs(20)).after(secs(lifetime)))
        );
        let last = held.usable_until();
        assert_eq!(last, held.expires.unwrap().before(secs(margin)));
        assert!(held.is_good(last.before(Duration::from_millis(1)), None));
        assert!(!held.is_good(last, None));
    }
    // Nobody says how long: until it is reported.
    let mut bench = Bench::with(plan);
    bench
        .answers
        .push_back(ProviderAnswer::Granted(GrantFacts::default()));
    bench.get();
    bench.advance(secs(400 * 86_400));
    let get = bench.get();
    let grant = bench.token(get);
    assert_eq!(bench.sent().len(), 1);
    let waiter = bench.want(A, Want::Rejected(grant), None, 60, 60);
    assert_ne!(bench.token(waiter), grant);
}

#[test]
fn tokens_born_expired_are_paced_and_backed_off() {
    for facts in [
        granted(0),
        ProviderAnswer::Granted(GrantFacts {
            lifetime: Some(secs(0)),
            ..GrantFacts::default()
        }),
    ] {
        let mut bench = Bench::with(AccountPlan {
            refresh: RefreshPolicy::Always,
            ..plan()
        });
        bench.answers.extend(vec![facts; 1000]);
        let waiter = bench.get();
        assert!(matches!(
            bench.fault(waiter),
            WaiterFault::Failed {
                problem: Problem::BornExpired,
                ..
            }
        ));
        bench.advance(secs(600));
        let sent = bench.sent().len();
        assert!((2..=20).contains(&sent), "{sent} in ten minutes");
        let patient = bench.want(A, Want::Get, None, 3600, 3600);
        bench.advance(secs(3600));
        assert!(
            matches!(bench.verdict(patient), Some(Verdict::Fault(_))),
            "there never is a token"
        );
        let sent = bench.sent().len() - sent;
        assert!((1..=60).contains(&sent), "{sent} in an hour");
    }
}

#[test]
fn a_store_slower_than_the_lifetime_causes_no_storm() {
    let mut bench = Bench::with(plan());
    bench.hold.insert(Step::Commit);
    bench.answers.extend(vec![granted(1); 1000]);
    bench.want(A, Want::Get, None, 3600, 3600);
    for _ in 0..10 {
        bench.advance(secs(2));
        bench.let_go();
        bench.advance(secs(4));
    }
    // Each landing of a grant of which nothing is left is a failure with a wait, not the cause of the next attempt.
    let sent = bench.sent().len();
    assert!((2..=7).contains(&sent), "{sent} in a minute");
}

#[test]
fn a_demand_no_token_can_meet_is_told_so_with_at_most_one_attempt() {
    let mut bench = Bench::with(plan());
    let first = bench.want(A, Want::Get, Some(secs(7200)), 600, 600);
    assert_eq!(
        bench.fault(first),
        WaiterFault::Unattainable {
            lifetime: secs(3600)
        }
    );
    for _ in 0..100 {
        let next = bench.want(A, Want::Get, Some(secs(7200)), 600, 600);
        assert!(matches!(
            bench.fault(next),
            WaiterFault::Unattainable { .. }
        ));
        bench.advance(secs(20));
    }
    assert_eq!(bench.sent().len(), 1);
    // One that a younger token meets is worth an attempt.
    let half = bench.want(A, Want::Get, Some(secs(1800)), 0, 60);
    bench.token(half);
    assert_eq!(bench.sent().len(), 2);
}

#[test]
fn ten_rejections_of_one_token_are_one_attempt() {
    let mut bench = Bench::with(plan());
    let first = bench.get();
    let old = bench.token(first);
    bench.hold.insert(Step::Send);
    let waiters: Vec<_> = (0..10)
        .map(|_| bench.want(A, Want::Rejected(old), None, 0, 60))
        .collect();
    assert!(bench.served.is_empty(), "it is not served any more");
    bench.answer(granted(3600));
    for waiter in waiters {
        assert_ne!(bench.token(waiter), old);
    }
    let latecomer = bench.want(A, Want::Rejected(old), None, 0, 60);
    assert_ne!(
        bench.token(latecomer),
        old,
        "it is answered with the newer one"
    );
    assert_eq!(bench.sent().len(), 2);
}

#[test]
fn who_waits_long_enough_for_the_pace_gets_a_token_and_who_does_not_is_told_when() {
    let mut bench = Bench::with(AccountPlan {
        attempts: rate(1, secs(60)),
        ..plan()
    });
    let first = bench.get();
    let old = bench.token(first);
    let hasty = bench.want(A, Want::Rejected(old), None, 0, 600);
    let WaiterFault::Paced {
        retry,
        by: tokend_engine::Pace::Attempts,
        ..
    } = bench.fault(hasty)
    else {
        panic!("{:?}", bench.fault(hasty));
    };
    assert_eq!(retry, bench.at(60));
    let almost = bench.want(A, Want::Get, None, 59, 600);
    let enough = bench.want(A, Want::Get, None, 60, 600);
    assert!(matches!(bench.fault(almost), WaiterFault::Paced { .. }));
    bench.advance(secs(59));
    assert_eq!(bench.verdict(enough), None);
    bench.advance(secs(1));
    bench.token(enough);
}

#[test]
fn a_new_plan_tells_sessions_the_new_time_to_report() {
    let mut bench = Bench::with(policy(RefreshPolicy::OnDemand));
    bench.get();
    bench.tell(tokend_engine::Event::Replan {
        account: A,
        plan: plan(),
        can_login: true,
        cured: false,
    });
    assert!(bench.served[&A].ahead < bench.at(3600));
    bench.advance(secs(3600));
    assert_eq!(bench.sent().len(), 2);
}

#[test]
fn a_pace_run_up_under_a_slow_plan_is_not_owed_under_a_fast_one() {
    let mut bench = Bench::with(AccountPlan {
        logins: rate(1, secs(86_400)),
        ..plan()
    });
    bench.answers.push_back(ProviderAnswer::NotSent);
    bench.get();
    bench.tell(tokend_engine::Event::Replan {
        account: A,
        plan: plan(),
        can_login: true,
        cured: true,
    });
    let waiter = bench.want(A, Want::Get, None, 100, 600);
    bench.advance(secs(100));
    bench.token(waiter);
}

#[test]
fn a_refresh_that_presents_the_access_token_is_made_while_it_lives_and_not_with_one_an_api_refused()
{
    let plan = AccountPlan {
        refresh_presents_access: true,
        refresh_needs_access: true,
        ..policy(RefreshPolicy::Always)
    };
    let lives_as_long = || {
        ProviderAnswer::Granted(GrantFacts {
            lifetime: Some(secs(3600)),
            refresh_token: true,
            refresh_lifetime: Some(secs(3600)),
            ..GrantFacts::default()
        })
    };
    let mut bench = Bench::with(plan);
    bench
        .answers
        .extend([lives_as_long(), lives_as_long(), lives_as_long()]);
    bench.get();
    bench.advance(secs(3600 * 75 / 100));
    assert_eq!(bench.kinds(), [AttemptKind::Login, AttemptKind::Refresh]);
    let grant = bench.served[&A].held.grant;
    let waiter = bench.want(A, Want::Rejected(grant), None, 60, 60);
    bench.token(waiter);
    assert_eq!(
        bench.kinds(),
        [AttemptKind::Login, AttemptKind::Refresh, AttemptKind::Login]
    );
    // One that was entered is presented, without an access token that is served.
    let mut entered = Bench::new();
    entered.adopt(A, plan, false, false);
    let waiter = entered.enter(true);
    entered.token(waiter);
    assert_eq!(entered.kinds(), [AttemptKind::Refresh]);
    // Too late is a login.
    let mut late = Bench::with(AccountPlan {
        refresh: RefreshPolicy::OnDemand,
        ..plan
    });
    late.answers.push_back(lives_as_long());
    late.get();
    late.advance(secs(3600));
    late.get();
    assert_eq!(late.kinds(), [AttemptKind::Login, AttemptKind::Login]);
}
