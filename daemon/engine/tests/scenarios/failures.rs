//! Answers that are no grant.

use tokend_engine::{
    AccountPlan, AttemptKind, Effect, Event, Missing, Problem, ProviderAnswer, WaiterFault, Want,
};

use crate::harness::{A, Desk, Step, granted, plan, rate, secs};

#[test]
fn a_failure_is_remembered_and_told_without_a_request() {
    let mut desk = Desk::with(plan());
    desk.answers.push_back(ProviderAnswer::NotSent);
    let first = desk.get();
    let WaiterFault::Failed {
        problem: Problem::Unreachable,
        retry,
    } = desk.fault(first)
    else {
        panic!("{:?}", desk.fault(first));
    };
    let second = desk.get();
    assert_eq!(desk.fault(second), desk.fault(first));
    assert_eq!(desk.sent().len(), 1);
    let patient = desk.want(A, Want::Get, None, 3600, 3600);
    desk.advance(retry.since(desk.at(0)));
    desk.token(patient);
}

#[test]
fn waits_grow_while_failures_go_on() {
    let mut desk = Desk::with(plan());
    desk.answers.extend([ProviderAnswer::NotSent; 1000]);
    desk.want(A, Want::Get, None, 86_400, 86_400);
    desk.advance(secs(86_400));
    let sent = desk.sent().len();
    assert!((24..=120).contains(&sent), "{sent} logins in a day");
}

#[test]
fn retry_after_is_honoured_clamped_and_not_shortened_by_force() {
    let mut desk = Desk::with(plan());
    desk.answers.push_back(ProviderAnswer::Busy {
        retry_after: Some(secs(600)),
    });
    desk.get();
    let forced = desk.force(0);
    assert_eq!(
        desk.fault(forced),
        WaiterFault::Failed {
            problem: Problem::Busy,
            retry: desk.at(600)
        }
    );
    desk.tell(Event::Replan {
        account: A,
        plan: plan(),
        can_login: true,
        cured: true,
    });
    desk.advance(secs(599));
    let early = desk.force(0);
    desk.fault(early);
    assert_eq!(desk.sent().len(), 1);
    desk.advance(secs(1));
    desk.answers.push_back(ProviderAnswer::Busy {
        retry_after: Some(secs(10 * 365 * 86_400)),
    });
    let years = desk.get();
    assert_eq!(
        desk.fault(years),
        WaiterFault::Failed {
            problem: Problem::Busy,
            retry: desk.at(86_400)
        }
    );
}

#[test]
fn force_shortens_a_wait_of_our_own_for_one_attempt_only() {
    let mut desk = Desk::with(plan());
    desk.answers.extend([ProviderAnswer::NotSent; 100]);
    desk.get();
    assert_eq!(desk.sent().len(), 1);
    desk.force(3600);
    assert_eq!(desk.sent().len(), 2, "force does not wait");
    desk.advance(secs(30));
    let sent = desk.sent().len();
    assert!(
        sent <= 12,
        "{sent} attempts in half a minute although each failed"
    );
}

#[test]
fn misconfigured_is_not_tried_again_until_something_changes() {
    let mut desk = Desk::with(plan());
    desk.answers.push_back(ProviderAnswer::Misconfigured);
    let first = desk.get();
    assert_eq!(desk.fault(first), WaiterFault::Misconfigured);
    desk.advance(secs(86_400));
    desk.crash(plan(), true, false);
    let again = desk.get();
    assert_eq!(desk.fault(again), WaiterFault::Misconfigured);
    assert_eq!(desk.sent().len(), 1);
    desk.crash(plan(), true, true);
    let cured = desk.get();
    desk.token(cured);
}

#[test]
fn force_and_a_credential_entered_lift_a_block_and_the_pace_stays() {
    let narrow = AccountPlan {
        logins: rate(2, secs(3600)),
        ..plan()
    };
    let mut desk = Desk::with(narrow);
    desk.answers.extend([ProviderAnswer::CredentialRejected; 2]);
    desk.get();
    let forced = desk.force(0);
    assert_eq!(
        desk.fault(forced),
        WaiterFault::LoginRequired(Missing::CredentialRejected)
    );
    assert_eq!(desk.sent().len(), 2);
    let entered = desk.enter(false);
    assert!(matches!(
        desk.fault(entered),
        WaiterFault::Paced {
            by: tokend_engine::Pace::Logins,
            ..
        }
    ));
    assert_eq!(desk.sent().len(), 2);
    desk.advance(secs(3600));
    let entered = desk.enter(false);
    desk.token(entered);
}

#[test]
fn a_cure_that_comes_while_the_old_credential_is_tried_counts() {
    let mut desk = Desk::with(plan());
    desk.hold.insert(Step::Send);
    let first = desk.get();
    desk.tell(Event::Replan {
        account: A,
        plan: plan(),
        can_login: true,
        cured: true,
    });
    desk.hold.clear();
    desk.answer(ProviderAnswer::CredentialRejected);
    desk.token(first);
    assert_eq!(desk.sent().len(), 2, "the new credential was tried");
}

#[test]
fn a_refused_refresh_token_is_followed_by_one_login_for_the_same_waiters() {
    let mut desk = Desk::with(plan());
    let first = desk.get();
    let old = desk.token(first);
    desk.answers.extend([ProviderAnswer::RefreshRejected]);
    let waiters: Vec<_> = (0..5)
        .map(|_| desk.want(A, Want::Rejected(old), None, 0, 60))
        .collect();
    for waiter in waiters {
        desk.token(waiter);
    }
    assert_eq!(
        desk.kinds(),
        [AttemptKind::Login, AttemptKind::Refresh, AttemptKind::Login]
    );
    let mut poor = Desk::new();
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
    let mut desk = Desk::new();
    desk.adopt(A, plan(), false, false);
    let entered = desk.enter(true);
    let old = desk.token(entered);
    desk.answers.extend([ProviderAnswer::RefreshRejected]);
    let waiter = desk.want(A, Want::Rejected(old), None, 0, 60);
    desk.fault(waiter);
    let again = desk.get();
    assert_eq!(
        desk.fault(again),
        WaiterFault::LoginRequired(Missing::RefreshRejected)
    );
    assert_eq!(
        desk.kinds(),
        [AttemptKind::Refresh, AttemptKind::Refresh],
        "not by itself"
    );
    let forced = desk.force(0);
    desk.token(forced);
    assert_eq!(
        desk.kinds(),
        [
            AttemptKind::Refresh,
            AttemptKind::Refresh,
            AttemptKind::Refresh
        ]
    );
    assert!(desk.view().has_refresh_token);
}

#[test]
fn a_login_cannot_have_a_refresh_token_refused() {
    let mut desk = Desk::with(plan());
    desk.answers.extend([ProviderAnswer::RefreshRejected]);
    let waiter = desk.get();
    assert!(matches!(
        desk.fault(waiter),
        WaiterFault::Failed {
            problem: Problem::Misbehaved,
            ..
        }
    ));
}

#[test]
fn a_secret_that_cannot_be_had_costs_no_pace_and_no_storm() {
    let mut desk = Desk::with(plan());
    desk.hold.insert(Step::Claim);
    desk.force(3600);
    for _ in 0..60 {
        let Some(Effect::Claim(key, id, ..)) = desk.held.pop_front() else {
            desk.advance(secs(10));
            continue;
        };
        desk.tell(Event::Claimed(
            key,
            id,
            Err(tokend_engine::ClaimRefusal::Secret),
        ));
    }
    let claims = desk
        .log
        .iter()
        .filter(|(_, e)| matches!(e, Effect::Claim(..)))
        .count();
    assert!((2..=30).contains(&claims), "{claims}");
    assert_eq!(desk.view().attempts.1, 100, "nothing was debited");
    assert_eq!(desk.sent(), []);
}

#[test]
fn a_refresh_token_no_request_can_carry_gives_way_to_a_login() {
    for can_login in [true, false] {
        let mut desk = Desk::with(plan());
        desk.answers.push_back(granted(3600));
        desk.want(A, Want::Get, None, 3600, 3600);
        desk.advance(secs(1));
        assert_eq!(desk.kinds(), [AttemptKind::Login]);
        desk.crash(plan(), can_login, false);
        desk.answers.push_back(granted(3600));
        desk.hold.insert(Step::Claim);
        desk.force(3600);
        desk.advance(secs(1));
        let Some(Effect::Claim(key, id, AttemptKind::Refresh, _)) = desk.held.pop_front() else {
            panic!("a refresh was to be tried: {:?}", desk.held);
        };
        desk.hold.remove(&Step::Claim);
        desk.tell(Event::Claimed(
            key,
            id,
            Err(tokend_engine::ClaimRefusal::RefreshToken),
        ));
        desk.advance(secs(30));
        match can_login {
            true => assert_eq!(desk.kinds(), [AttemptKind::Login, AttemptKind::Login]),
            false => {
                assert_eq!(
                    desk.kinds(),
                    [AttemptKind::Login],
                    "and it is not tried again"
                );
                // Another dialect may have another request.
                desk.tell(Event::Replan {
                    account: A,
                    plan: plan(),
                    can_login,
                    cured: false,
                });
                desk.force(3600);
                desk.advance(secs(1));
                assert_eq!(desk.kinds(), [AttemptKind::Login, AttemptKind::Refresh]);
            }
        }
    }
}

#[test]
fn a_success_forgets_the_failures() {
    let mut desk = Desk::with(plan());
    desk.answers.extend([
        ProviderAnswer::NotSent,
        ProviderAnswer::Misbehaved {
            maybe_processed: false,
        },
        granted(60),
    ]);
    desk.want(A, Want::Get, None, 3600, 3600);
    desk.advance(secs(60));
    let view = desk.view();
    assert_eq!((view.failures, view.problem, view.block), (0, None, None));
}

#[test]
fn a_request_that_cannot_be_made_waits_for_a_change_and_is_not_tried_again_by_itself() {
    let plan = AccountPlan {
        refresh: tokend_engine::RefreshPolicy::Always,
        ..plan()
    };
    let claims = |desk: &Desk| {
        let claim = |effect: &Effect| matches!(effect, Effect::Claim(..));
        desk.log.iter().filter(|(_, effect)| claim(effect)).count()
    };
    for how in ["a reload", "a person", "a credential"] {
        let mut desk = Desk::new();
        desk.unfit = Some(AttemptKind::Login);
        desk.adopt(A, plan, true, false);
        let get = desk.get();
        assert_eq!(desk.fault(get), WaiterFault::Unfit, "{how}");
        desk.advance(secs(86_400));
        let get = desk.get();
        assert_eq!(desk.fault(get), WaiterFault::Unfit, "{how}");
        assert_eq!((claims(&desk), desk.sent().len()), (1, 0), "{how}");
        assert_eq!(desk.view().stop, Some(WaiterFault::Unfit));
        desk.unfit = None;
        let waiter = match how {
            "a reload" => {
                desk.tell(Event::Replan {
                    account: A,
                    plan,
                    can_login: true,
                    cured: false,
                });
                desk.get()
            }
            "a person" => desk.force(0),
            _ => desk.enter(false),
        };
        desk.token(waiter);
    }
}

#[test]
fn a_refresh_that_cannot_be_made_is_told_and_no_login_takes_its_place() {
    let mut desk = Desk::with(plan());
    let first = desk.get();
    desk.token(first);
    desk.unfit = Some(AttemptKind::Refresh);
    let forced = desk.force(0);
    assert_eq!(desk.fault(forced), WaiterFault::Unfit);
    assert_eq!(desk.kinds(), [AttemptKind::Login]);
    let get = desk.get();
    desk.token(get);
}
