//! Ahead of expiry or on demand, for how long, and for whom.

use std::time::Duration;

use tokend_engine::{
    AccountPlan, AttemptKind, GrantFacts, Problem, ProviderAnswer, RefreshPolicy, Verdict,
    WaiterFault, Want,
};

use crate::harness::{A, Desk, Step, granted, plan, rate, secs};

fn policy(refresh: RefreshPolicy) -> AccountPlan {
    AccountPlan { refresh, ..plan() }
}

#[test]
fn auto_refreshes_ahead_for_those_who_ask_and_rests_otherwise() {
    let mut desk = Desk::with(policy(RefreshPolicy::Auto));
    desk.advance(secs(86_400));
    assert_eq!(desk.sent(), [], "nobody asked yet");
    desk.get();
    let ahead = desk.served[&A].ahead;
    let began = desk.at(0);
    let share = ahead.since(began).as_secs();
    assert!((2700..=3060).contains(&share), "{share} of 3600 s");
    desk.advance(secs(3600));
    assert_eq!(
        desk.kinds(),
        [AttemptKind::Login, AttemptKind::Refresh],
        "it was asked for within its last lifetime"
    );
    assert_eq!(desk.sent()[1].0, ahead.as_millis());
    desk.advance(secs(86_400));
    assert_eq!(desk.sent().len(), 2, "nobody asked for the second one");
}

#[test]
fn auto_resumes_when_a_session_reports_that_somebody_asked() {
    let mut desk = Desk::with(policy(RefreshPolicy::Auto));
    desk.get();
    desk.advance(secs(3590));
    assert_eq!(desk.sent().len(), 2);
    // Served by a session since, without an event, long before `ahead`: that keeps it fresh by itself.
    desk.asked.touch(desk.at(0));
    desk.advance(secs(3000));
    assert_eq!(desk.sent().len(), 3);
    // Nobody asked before the next `ahead`, one does after it, while the token is still good.
    desk.advance(secs(3300));
    assert_eq!(desk.sent().len(), 3);
    desk.tell(tokend_engine::Event::Asked(A));
    assert_eq!(desk.sent().len(), 4);
}

#[test]
fn always_refreshes_although_nobody_asks_and_on_demand_never_ahead() {
    let mut always = Desk::with(policy(RefreshPolicy::Always));
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
    let mut lazy = Desk::with(policy(RefreshPolicy::OnDemand));
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
    let mut desk = Desk::with(policy(RefreshPolicy::Always));
    desk.advance(secs(1));
    let first = desk.get();
    let grant = desk.token(first);
    desk.answers.push_back(ProviderAnswer::NotSent);
    let rejecter = desk.want(A, Want::Rejected(grant), None, 0, 60);
    assert!(matches!(
        desk.fault(rejecter),
        WaiterFault::Failed {
            problem: Problem::Unreachable,
            ..
        }
    ));
    desk.advance(secs(10));
    assert_eq!(
        desk.sent().len(),
        3,
        "nobody waits, and still it is tried again"
    );
    assert!(desk.served.contains_key(&A));
}

#[test]
fn a_refresh_that_ends_the_token_handed_out_comes_late() {
    let mut desk = Desk::with(AccountPlan {
        refresh_ends_access: true,
        ..policy(RefreshPolicy::Always)
    });
    desk.get();
    desk.advance(secs(3600 * 90 / 100));
    assert_eq!(desk.sent().len(), 1);
    desk.advance(secs(3600 * 10 / 100));
    assert_eq!(desk.sent().len(), 2);
}

#[test]
fn a_refresh_that_needs_the_token_is_never_late_and_a_login_when_it_is_too_late() {
    let needs = AccountPlan {
        refresh_needs_access: true,
        ..policy(RefreshPolicy::Always)
    };
    let mut desk = Desk::with(needs);
    desk.get();
    desk.advance(secs(3600 * 75 / 100));
    assert_eq!(desk.kinds(), [AttemptKind::Login, AttemptKind::Refresh]);
    let mut late = Desk::with(AccountPlan {
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
    let mut desk = Desk::with(needs);
    let first = desk.get();
    let grant = desk.token(first);
    desk.hold.insert(Step::Claim);
    let forced = desk.force(0);
    let rejecter = desk.want(A, Want::Rejected(grant), None, 0, 60);
    desk.hold.clear();
    desk.let_go();
    assert_eq!(
        desk.kinds(),
        [AttemptKind::Login, AttemptKind::Login],
        "the token the refresh needed is gone"
    );
    assert_eq!(desk.token(forced), desk.token(rejecter));
}

#[test]
fn short_lifetimes_cause_no_storm() {
    let mut desk = Desk::with(plan());
    desk.answers
        .extend([granted(2), granted(2), granted(2), granted(2)]);
    desk.get();
    desk.advance(secs(4));
    let sent = desk.sent().len();
    assert!(sent <= 2, "{sent}");
    desk.advance(secs(20));
    assert_eq!(desk.sent().len(), sent, "nobody asks, nothing is sent");
}

#[test]
fn a_life_counts_from_when_the_request_left_and_its_end_is_left_out() {
    let plan = policy(RefreshPolicy::OnDemand);
    for (lifetime, margin) in [(3600, 5), (40, 4)] {
        let mut desk = Desk::with(plan);
        desk.hold.insert(Step::Send);
        desk.get();
        desk.advance(secs(20));
        desk.answer(granted(lifetime));
        let held = desk.served[&A].held;
        assert_eq!(
            held.expires,
            Some(desk.at(0).before(secs(20)).after(secs(lifetime)))
        );
        let last = held.usable_until();
        assert_eq!(last, held.expires.unwrap().before(secs(margin)));
        assert!(held.is_good(last.before(Duration::from_millis(1)), None));
        assert!(!held.is_good(last, None));
    }
    // Nobody says how long: until it is reported.
    let mut desk = Desk::with(plan);
    desk.answers
        .push_back(ProviderAnswer::Granted(GrantFacts::default()));
    desk.get();
    desk.advance(secs(400 * 86_400));
    let get = desk.get();
    let grant = desk.token(get);
    assert_eq!(desk.sent().len(), 1);
    let waiter = desk.want(A, Want::Rejected(grant), None, 60, 60);
    assert_ne!(desk.token(waiter), grant);
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
        let mut desk = Desk::with(AccountPlan {
            refresh: RefreshPolicy::Always,
            ..plan()
        });
        desk.answers.extend(vec![facts; 1000]);
        let waiter = desk.get();
        assert!(matches!(
            desk.fault(waiter),
            WaiterFault::Failed {
                problem: Problem::BornExpired,
                ..
            }
        ));
        desk.advance(secs(600));
        let sent = desk.sent().len();
        assert!((2..=20).contains(&sent), "{sent} in ten minutes");
        let patient = desk.want(A, Want::Get, None, 3600, 3600);
        desk.advance(secs(3600));
        assert!(
            matches!(desk.verdict(patient), Some(Verdict::Fault(_))),
            "there never is a token"
        );
        let sent = desk.sent().len() - sent;
        assert!((1..=60).contains(&sent), "{sent} in an hour");
    }
}

#[test]
fn a_store_slower_than_the_lifetime_causes_no_storm() {
    let mut desk = Desk::with(plan());
    desk.hold.insert(Step::Commit);
    desk.answers.extend(vec![granted(1); 1000]);
    desk.want(A, Want::Get, None, 3600, 3600);
    for _ in 0..10 {
        desk.advance(secs(2));
        desk.let_go();
        desk.advance(secs(4));
    }
    // Each landing of a grant of which nothing is left is a failure with a wait, not the cause of the next attempt.
    let sent = desk.sent().len();
    assert!((2..=7).contains(&sent), "{sent} in a minute");
}

#[test]
fn a_demand_no_token_can_meet_is_told_so_with_at_most_one_attempt() {
    let mut desk = Desk::with(plan());
    let first = desk.want(A, Want::Get, Some(secs(7200)), 600, 600);
    assert_eq!(
        desk.fault(first),
        WaiterFault::Unattainable {
            lifetime: secs(3600)
        }
    );
    for _ in 0..100 {
        let next = desk.want(A, Want::Get, Some(secs(7200)), 600, 600);
        assert!(matches!(desk.fault(next), WaiterFault::Unattainable { .. }));
        desk.advance(secs(20));
    }
    assert_eq!(desk.sent().len(), 1);
    // One that a younger token meets is worth an attempt.
    let half = desk.want(A, Want::Get, Some(secs(1800)), 0, 60);
    desk.token(half);
    assert_eq!(desk.sent().len(), 2);
}

#[test]
fn ten_rejections_of_one_token_are_one_attempt() {
    let mut desk = Desk::with(plan());
    let first = desk.get();
    let old = desk.token(first);
    desk.hold.insert(Step::Send);
    let waiters: Vec<_> = (0..10)
        .map(|_| desk.want(A, Want::Rejected(old), None, 0, 60))
        .collect();
    assert!(desk.served.is_empty(), "it is not served any more");
    desk.answer(granted(3600));
    for waiter in waiters {
        assert_ne!(desk.token(waiter), old);
    }
    let latecomer = desk.want(A, Want::Rejected(old), None, 0, 60);
    assert_ne!(
        desk.token(latecomer),
        old,
        "it is answered with the newer one"
    );
    assert_eq!(desk.sent().len(), 2);
}

#[test]
fn who_waits_long_enough_for_the_pace_gets_a_token_and_who_does_not_is_told_when() {
    let mut desk = Desk::with(AccountPlan {
        attempts: rate(1, secs(60)),
        ..plan()
    });
    let first = desk.get();
    let old = desk.token(first);
    let hasty = desk.want(A, Want::Rejected(old), None, 0, 600);
    let WaiterFault::Paced {
        retry,
        by: tokend_engine::Pace::Attempts,
        ..
    } = desk.fault(hasty)
    else {
        panic!("{:?}", desk.fault(hasty));
    };
    assert_eq!(retry, desk.at(60));
    let almost = desk.want(A, Want::Get, None, 59, 600);
    let enough = desk.want(A, Want::Get, None, 60, 600);
    assert!(matches!(desk.fault(almost), WaiterFault::Paced { .. }));
    desk.advance(secs(59));
    assert_eq!(desk.verdict(enough), None);
    desk.advance(secs(1));
    desk.token(enough);
}

#[test]
fn a_new_plan_tells_sessions_the_new_time_to_report() {
    let mut desk = Desk::with(policy(RefreshPolicy::OnDemand));
    desk.get();
    desk.tell(tokend_engine::Event::Replan {
        account: A,
        plan: plan(),
        can_login: true,
        cured: false,
    });
    assert!(desk.served[&A].ahead < desk.at(3600));
    desk.advance(secs(3600));
    assert_eq!(desk.sent().len(), 2);
}

#[test]
fn a_pace_run_up_under_a_slow_plan_is_not_owed_under_a_fast_one() {
    let mut desk = Desk::with(AccountPlan {
        logins: rate(1, secs(86_400)),
        ..plan()
    });
    desk.answers.push_back(ProviderAnswer::NotSent);
    desk.get();
    desk.tell(tokend_engine::Event::Replan {
        account: A,
        plan: plan(),
        can_login: true,
        cured: true,
    });
    let waiter = desk.want(A, Want::Get, None, 100, 600);
    desk.advance(secs(100));
    desk.token(waiter);
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
    let mut desk = Desk::with(plan);
    desk.answers
        .extend([lives_as_long(), lives_as_long(), lives_as_long()]);
    desk.get();
    desk.advance(secs(3600 * 75 / 100));
    assert_eq!(desk.kinds(), [AttemptKind::Login, AttemptKind::Refresh]);
    let grant = desk.served[&A].held.grant;
    let waiter = desk.want(A, Want::Rejected(grant), None, 60, 60);
    desk.token(waiter);
    assert_eq!(
        desk.kinds(),
        [AttemptKind::Login, AttemptKind::Refresh, AttemptKind::Login]
    );
    // One that was entered is presented, without an access token that is served.
    let mut entered = Desk::new();
    entered.adopt(A, plan, false, false);
    let waiter = entered.enter(true);
    entered.token(waiter);
    assert_eq!(entered.kinds(), [AttemptKind::Refresh]);
    // Too late is a login.
    let mut late = Desk::with(AccountPlan {
        refresh: RefreshPolicy::OnDemand,
        ..plan
    });
    late.answers.push_back(lives_as_long());
    late.get();
    late.advance(secs(3600));
    late.get();
    assert_eq!(late.kinds(), [AttemptKind::Login, AttemptKind::Login]);
}
