//! Answers that are no grant.

use tokend_engine::{
    AccountPlan, AttemptKind, Effect, Event, Missing, Problem, ProviderAnswer, WaiterFault, Want,
};

use crate::harness::{A, Bench, Step, granted, plan, rate, secs};

#[test]
fn a_failure_is_remembered_and_told_without_a_request() {
    let mut bench = Bench::with(plan());
    bench.answers.push_back(ProviderAnswer::NotSent);
    let first = bench.get();
    let WaiterFault::Failed {
        problem: Problem::Unreachable,
        retry,
    } = bench.fault(first)
    else {
        panic!("{:?}", bench.fault(first));
    };
    let second = bench.get();
    assert_eq!(bench.fault(second), bench.fault(first));
    assert_eq!(bench.sent().len(), 1);
    let patient = bench.want(A, Want::Get, None, 3600, 3600);
    bench.advance(retry.since(bench.at(0)));
    bench.token(patient);
}

#[test]
fn waits_grow_while_failures_go_on() {
    let mut bench = Bench::with(plan());
    bench.answers.extend([ProviderAnswer::NotSent; 1000]);
    bench.want(A, Want::Get, None, 86_400, 86_400);
    bench.advance(secs(86_400));
    let sent = bench.sent().len();
    assert!((24..=120).contains(&sent), "{sent} logins in a day");
}

#[test]
fn retry_after_is_honoured_clamped_and_not_shortened_by_force() {
    let mut bench = Bench::with(plan());
    bench.answers.push_back(ProviderAnswer::Busy {
        retry_after: Some(secs(600)),
    });
    bench.get();
    let forced = bench.force(0);
    assert_eq!(
        bench.fault(forced),
        WaiterFault::Failed {
            problem: Problem::Busy,
            retry: bench.at(600)
        }
    );
    bench.tell(Event::Replan {
        account: A,
        plan: plan(),
        can_login: true,
        cured: true,
    });
    bench.advance(secs(599));
    let early = bench.force(0);
    bench.fault(early);
    assert_eq!(bench.sent().len(), 1);
    bench.advance(secs(1));
    bench.answers.push_back(ProviderAnswer::Busy {
        retry_after: Some(secs(10 * 365 * 86_400)),
    });
    let years = bench.get();
    assert_eq!(
        bench.fault(years),
        WaiterFault::Failed {
            problem: Problem::Busy,
            retry: bench.at(86_400)
        }
    );
}

#[test]
fn force_shortens_a_wait_of_our_own_for_one_attempt_only() {
    let mut bench = Bench::with(plan());
    bench.answers.extend([ProviderAnswer::NotSent; 100]);
    bench.get();
    assert_eq!(bench.sent().len(), 1);
    bench.force(3600);
    assert_eq!(bench.sent().len(), 2, "force does not wait");
    bench.advance(secs(30));
    let sent = bench.sent().len();
    assert!(
        sent <= 12,
        "{sent} attempts in half a minute although each failed"
    );
}

#[test]
fn misconfigured_is_not_tried_again_until_something_changes() {
    let mut bench = Bench::with(plan());
    bench.answers.push_back(ProviderAnswer::Misconfigured);
    let first = bench.get();
    assert_eq!(bench.fault(first), WaiterFault::Misconfigured);
    bench.advance(secs(86_400));
    bench.crash(plan(), true, false);
    let again = bench.get();
    assert_eq!(bench.fault(again), WaiterFault::Misconfigured);
    assert_eq!(bench.sent().len(), 1);
    bench.crash(plan(), true, true);
    let cured = bench.get();
    bench.token(cured);
}

#[test]
fn force_and_a_credential_entered_lift_a_block_and_the_pace_stays() {
    let narrow = AccountPlan {
        logins: rate(2, secs(3600)),
        ..plan()
    };
    let mut bench = Bench::with(narrow);
    bench
        .answers
        .extend([ProviderAnswer::CredentialRejected; 2]);
    bench.get();
    let forced = bench.force(0);
    assert_eq!(
        bench.fault(forced),
        WaiterFault::LoginRequired(Missing::CredentialRejected)
    );
    assert_eq!(bench.sent().len(), 2);
    let entered = bench.enter(false);
    assert!(matches!(
        bench.fault(entered),
        WaiterFault::Paced {
            by: tokend_engine::Pace::Logins,
            ..
        }
    ));
    assert_eq!(bench.sent().len(), 2);
    bench.advance(secs(3600));
    let entered = bench.enter(false);
    bench.token(entered);
}

#[test]
fn a_cure_that_comes_while_the_old_credential_is_tried_counts() {
    let mut bench = Bench::with(plan());
    bench.hold.insert(Step::Send);
    let first = bench.get();
    bench.tell(Event::Replan {
        account: A,
        plan: plan(),
        can_login: true,
        cured: true,
    });
    bench.hold.clear();
    bench.answer(ProviderAnswer::CredentialRejected);
    bench.token(first);
    assert_eq!(bench.sent().len(), 2, "the new credential was tried");
}

#[test]
fn a_refused_refresh_token_is_followed_by_one_login_for_the_same_waiters() {
    let mut bench = Bench::with(plan());
    let first = bench.get();
    let old = bench.token(first);
    bench.answers.extend([ProviderAnswer::RefreshRejected]);
    let waiters: Vec<_> = (0..5)
        .map(|_| bench.want(A, Want::Rejected(old), None, 0, 60))
        .collect();
    for waiter in waiters {
        bench.token(waiter);
    }
    assert_eq!(
        bench.kinds(),
        [AttemptKind::Login, AttemptKind::Refresh, AttemptKind::Login]
    );
    let mut poor = Bench::new();
    poor.adopt(A, plan(), false, false);
    let entered = poor.enter(true);
    let old = poor.token(entered);
    poor.answers.extend([ProviderAnswer::RefreshRejected]);
    let waiter = poor.want(A, Want::Rejected(old), None, 0, 60);
    assert_eq!(
        poor.fault(waiter),
        WaiterFault::LoginRequired(Missing::RefreshRejected)
    );
    assert_eq!(poor.kinds(), [AttemptKind::Refresh, AttemptKind::Refresh]);
}

#[test]
fn a_refused_refresh_token_is_kept_and_tried_again_only_when_a_person_says_so() {
    let mut bench = Bench::new();
    bench.adopt(A, plan(), false, false);
    let entered = bench.enter(true);
    let old = bench.token(entered);
    bench.answers.extend([ProviderAnswer::RefreshRejected]);
    let waiter = bench.want(A, Want::Rejected(old), None, 0, 60);
    bench.fault(waiter);
    let again = bench.get();
    assert_eq!(
        bench.fault(again),
        WaiterFault::LoginRequired(Missing::RefreshRejected)
    );
    assert_eq!(
        bench.kinds(),
        [AttemptKind::Refresh, AttemptKind::Refresh],
        "not by itself"
    );
    let forced = bench.force(0);
    bench.token(forced);
    assert_eq!(
        bench.kinds(),
        [
            AttemptKind::Refresh,
            AttemptKind::Refresh,
            AttemptKind::Refresh
        ]
    );
    assert!(bench.view().has_refresh_token);
}

#[test]
fn a_login_cannot_have_a_refresh_token_refused() {
    let mut bench = Bench::with(plan());
    bench.answers.extend([ProviderAnswer::RefreshRejected]);
    let waiter = bench.get();
    assert!(matches!(
        bench.fault(waiter),
        WaiterFault::Failed {
            problem: Problem::Misbehaved,
            ..
        }
    ));
}

#[test]
fn a_secret_that_cannot_be_had_costs_no_pace_and_no_storm() {
    let mut bench = Bench::with(plan());
    bench.hold.insert(Step::Claim);
    bench.force(3600);
    for _ in 0..60 {
        let Some(Effect::Claim(key, id, ..)) = bench.held.pop_front() else {
            bench.advance(secs(10));
            continue;
        };
        bench.tell(Event::Claimed(
            key,
            id,
            Err(tokend_engine::ClaimRefusal::Secret),
        ));
    }
    let claims = bench
        .log
        .iter()
        .filter(|(_, e)| matches!(e, Effect::Claim(..)))
        .count();
    assert!((2..=30).contains(&claims), "{claims}");
    assert_eq!(bench.view().attempts.1, 100, "nothing was debited");
    assert_eq!(bench.sent(), []);
}

#[test]
fn a_refresh_token_no_request_can_carry_gives_way_to_a_login() {
    for can_login in [true, false] {
        let mut bench = Bench::with(plan());
        bench.answers.push_back(granted(3600));
        bench.want(A, Want::Get, None, 3600, 3600);
        bench.advance(secs(1));
        assert_eq!(bench.kinds(), [AttemptKind::Login]);
        bench.crash(plan(), can_login, false);
        bench.answers.push_back(granted(3600));
        bench.hold.insert(Step::Claim);
        bench.force(3600);
        bench.advance(secs(1));
        let Some(Effect::Claim(key, id, AttemptKind::Refresh, _)) = bench.held.pop_front() else {
            panic!("a refresh was to be tried: {:?}", bench.held);
        };
        bench.hold.remove(&Step::Claim);
        bench.tell(Event::Claimed(
            key,
            id,
            Err(tokend_engine::ClaimRefusal::RefreshToken),
        ));
        bench.advance(secs(30));
        match can_login {
            true => assert_eq!(bench.kinds(), [AttemptKind::Login, AttemptKind::Login]),
            false => {
                assert_eq!(
                    bench.kinds(),
                    [AttemptKind::Login],
                    "and it is not tried again"
                );
                // Another dialect may have another request.
                bench.tell(Event::Replan {
                    account: A,
                    plan: plan(),
                    can_login,
                    cured: false,
                });
                bench.force(3600);
                bench.advance(secs(1));
                assert_eq!(bench.kinds(), [AttemptKind::Login, AttemptKind::Refresh]);
            }
        }
    }
}

#[test]
fn a_success_forgets_the_failures() {
    let mut bench = Bench::with(plan());
    bench.answers.extend([
        ProviderAnswer::NotSent,
        ProviderAnswer::Misbehaved {
            maybe_processed: false,
        },
        granted(60),
    ]);
    bench.want(A, Want::Get, None, 3600, 3600);
    bench.advance(secs(60));
    let view = bench.view();
    assert_eq!((view.failures, view.problem, view.block), (0, None, None));
}

#[test]
fn a_request_that_cannot_be_made_waits_for_a_change_and_is_not_tried_again_by_itself() {
    let plan = AccountPlan {
        refresh: tokend_engine::RefreshPolicy::Always,
        ..plan()
    };
    let claims = |bench: &Bench| {
        let claim = |effect: &Effect| matches!(effect, Effect::Claim(..));
        bench.log.iter().filter(|(_, effect)| claim(effect)).count()
    };
    for how in ["a reload", "a person", "a credential"] {
        let mut bench = Bench::new();
        bench.unfit = Some(AttemptKind::Login);
        bench.adopt(A, plan, true, false);
        let get = bench.get();
        assert_eq!(bench.fault(get), WaiterFault::Unfit, "{how}");
        bench.advance(secs(86_400));
        let get = bench.get();
        assert_eq!(bench.fault(get), WaiterFault::Unfit, "{how}");
        assert_eq!((claims(&bench), bench.sent().len()), (1, 0), "{how}");
        assert_eq!(bench.view().stop, Some(WaiterFault::Unfit));
        bench.unfit = None;
        let waiter = match how {
            "a reload" => {
                bench.tell(Event::Replan {
                    account: A,
                    plan,
                    can_login: true,
                    cured: false,
                });
                bench.get()
            }
            "a person" => bench.force(0),
            _ => bench.enter(false),
        };
        bench.token(waiter);
    }
}

#[test]
fn a_refresh_that_cannot_be_made_is_told_and_no_login_takes_its_place() {
    let mut bench = Bench::with(plan());
    let first = bench.get();
    bench.token(first);
    bench.unfit = Some(AttemptKind::Refresh);
    let forced = bench.force(0);
    assert_eq!(bench.fault(forced), WaiterFault::Unfit);
    assert_eq!(bench.kinds(), [AttemptKind::Login]);
    let get = bench.get();
    bench.token(get);
}
