//! Sent, outcome unknown: what reuse costs decides.

use tokend_engine::{
    AccountPlan, AttemptKind, GrantFacts, Missing, ProviderAnswer, Reuse, WaiterFault, Want,
};

use crate::harness::{A, Desk, Step, plan, secs};

const ALL: [Reuse; 4] = [
    Reuse::None,
    Reuse::Rotates,
    Reuse::RotatesAndReuseRevokes,
    Reuse::Unknown,
];

/// A desk whose account holds a refresh token.
fn desk(reuse: Reuse, can_login: bool) -> (Desk, AccountPlan) {
    let plan = AccountPlan { reuse, ..plan() };
    let mut desk = Desk::new();
    desk.adopt(A, plan, can_login, false);
    let waiter = desk.enter(true);
    desk.token(waiter);
    desk.tell(tokend_engine::Event::Replan {
        account: A,
        plan,
        can_login,
        cured: false,
    });
    assert_eq!(desk.kinds(), [AttemptKind::Refresh]);
    (desk, plan)
}

/// What follows a refresh whose outcome is unknown: another refresh, a login, or a person.
fn expected(reuse: Reuse, can_login: bool) -> Option<AttemptKind> {
    match (reuse, can_login) {
        (Reuse::None | Reuse::Rotates, _) | (Reuse::Unknown, false) => Some(AttemptKind::Refresh),
        (_, true) => Some(AttemptKind::Login),
        (Reuse::RotatesAndReuseRevokes, false) => None,
    }
}

fn check(mut desk: Desk, reuse: Reuse, can_login: bool, how: &str) {
    let before = desk.sent().len();
    let waiter = desk.want(A, Want::Forced, None, 600, 600);
    desk.advance(secs(600));
    match expected(reuse, can_login) {
        Some(kind) => {
            desk.token(waiter);
            assert_eq!(
                desk.kinds()[before..],
                [kind],
                "{reuse:?}, login {can_login}, {how}"
            );
            assert!(!desk.view().in_doubt);
        }
        None => {
            assert_eq!(
                desk.fault(waiter),
                WaiterFault::LoginRequired(Missing::InDoubt)
            );
            assert_eq!(desk.sent().len(), before, "force does not replay either");
        }
    }
}

#[test]
fn a_lost_answer() {
    for reuse in ALL {
        for can_login in [true, false] {
            for answer in [
                ProviderAnswer::MaybeSent,
                ProviderAnswer::Misbehaved {
                    maybe_processed: true,
                },
            ] {
                let (mut desk, _) = desk(reuse, can_login);
                desk.answers.push_back(answer);
                desk.force(0);
                assert_eq!(desk.view().in_doubt, reuse != Reuse::None);
                check(desk, reuse, can_login, "lost");
            }
        }
    }
}

#[test]
fn a_crash_between_intent_and_outcome() {
    for reuse in ALL {
        for can_login in [true, false] {
            for step in [Step::Send, Step::Commit] {
                let (mut desk, plan) = desk(reuse, can_login);
                desk.hold.insert(step);
                desk.force(0);
                assert!(desk.store[&A].intent.is_some());
                desk.hold.clear();
                desk.crash(plan, can_login, false);
                assert_eq!(desk.store[&A].intent, None, "the doubt is stored at once");
                desk.crash(plan, can_login, false);
                check(desk, reuse, can_login, "crashed");
            }
        }
    }
}

#[test]
fn a_crash_before_the_intent_is_no_doubt() {
    let (mut desk, plan) = desk(Reuse::RotatesAndReuseRevokes, true);
    desk.hold.insert(Step::Record);
    desk.force(0);
    desk.hold.clear();
    desk.crash(plan, true, false);
    assert!(!desk.view().in_doubt);
    desk.force(0);
    assert_eq!(desk.kinds(), [AttemptKind::Refresh, AttemptKind::Refresh]);
}

#[test]
fn what_certainly_did_not_reach_the_provider_is_no_doubt() {
    for answer in [
        ProviderAnswer::NotSent,
        ProviderAnswer::Misbehaved {
            maybe_processed: false,
        },
        ProviderAnswer::Busy { retry_after: None },
    ] {
        let (mut desk, _) = desk(Reuse::RotatesAndReuseRevokes, true);
        desk.answers.push_back(answer);
        desk.want(A, Want::Forced, None, 600, 600);
        desk.advance(secs(600));
        assert_eq!(
            desk.kinds(),
            [
                AttemptKind::Refresh,
                AttemptKind::Refresh,
                AttemptKind::Refresh
            ]
        );
    }
}

#[test]
fn a_plan_that_learns_what_reuse_costs_applies_to_a_doubt_that_is_there() {
    let (mut desk, plan) = desk(Reuse::Rotates, true);
    desk.answers.push_back(ProviderAnswer::MaybeSent);
    desk.force(0);
    let wiser = AccountPlan {
        reuse: Reuse::RotatesAndReuseRevokes,
        ..plan
    };
    desk.tell(tokend_engine::Event::Replan {
        account: A,
        plan: wiser,
        can_login: true,
        cured: false,
    });
    check(desk, wiser.reuse, true, "replanned");
}

#[test]
fn a_doubt_ends_with_a_refresh_token_entered() {
    let (mut desk, _) = desk(Reuse::RotatesAndReuseRevokes, false);
    desk.answers.push_back(ProviderAnswer::MaybeSent);
    desk.force(0);
    let entered = desk.enter(true);
    desk.token(entered);
}

#[test]
fn a_login_in_doubt_is_made_again_within_its_pace() {
    let mut desk = Desk::with(plan());
    desk.answers.push_back(ProviderAnswer::MaybeSent);
    let waiter = desk.want(A, Want::Get, None, 600, 600);
    desk.advance(secs(600));
    desk.token(waiter);
    assert_eq!(desk.kinds(), [AttemptKind::Login, AttemptKind::Login]);
}

/// A success that brought a refresh token alone.
fn renewed(misconfigured: bool) -> ProviderAnswer {
    ProviderAnswer::Renewed {
        refresh_lifetime: Some(secs(7200)),
        misconfigured,
    }
}

#[test]
fn a_refresh_token_without_an_access_token_is_stored_and_presented_next() {
    for reuse in ALL {
        for can_login in [true, false] {
            let (mut desk, _) = desk(reuse, can_login);
            desk.answers.push_back(renewed(false));
            let waiter = desk.want(A, Want::Forced, None, 1, 1);
            assert!(matches!(desk.fault(waiter), WaiterFault::Failed { .. }));
            let stored = desk.store[&A].refresh.expect("it is stored");
            assert!(!stored.in_doubt && !stored.refused);
            assert!(stored.expires.is_some());
            let waiter = desk.want(A, Want::Forced, None, 600, 600);
            desk.advance(secs(600));
            desk.token(waiter);
            assert_eq!(
                *desk.kinds().last().expect("sent"),
                AttemptKind::Refresh,
                "{reuse:?} {can_login}"
            );
        }
    }
}

#[test]
fn a_refresh_token_beside_a_foreign_kind_of_token_waits_for_a_change_and_is_kept() {
    let (mut desk, plan) = desk(Reuse::RotatesAndReuseRevokes, false);
    desk.answers.push_back(renewed(true));
    let waiter = desk.want(A, Want::Forced, None, 600, 600);
    desk.advance(secs(600));
    assert_eq!(desk.fault(waiter), WaiterFault::Misconfigured);
    let sent = desk.sent().len();
    desk.tell(tokend_engine::Event::Replan {
        account: A,
        plan,
        can_login: false,
        cured: true,
    });
    let waiter = desk.want(A, Want::Forced, None, 600, 600);
    desk.advance(secs(600));
    desk.token(waiter);
    assert_eq!(desk.kinds()[sent..], [AttemptKind::Refresh]);
}

#[test]
fn a_refresh_token_that_came_and_cannot_be_used_leaves_the_one_before_in_doubt() {
    for reuse in ALL {
        for can_login in [true, false] {
            let (mut desk, _) = desk(reuse, can_login);
            desk.answers.push_back(ProviderAnswer::Granted(GrantFacts {
                lifetime: Some(secs(3600)),
                refresh_token_lost: true,
                ..GrantFacts::default()
            }));
            let waiter = desk.want(A, Want::Forced, None, 600, 600);
            desk.advance(secs(1));
            desk.token(waiter);
            assert_eq!(desk.view().in_doubt, reuse != Reuse::None);
            check(desk, reuse, can_login, "lost");
        }
    }
}

/// A rule of the dialect says what this means, and its status leaves it open what the provider did.
#[test]
fn what_an_answer_means_does_not_take_the_doubt_off_a_refresh_token() {
    let retry_after = Some(secs(60));
    for (answer, cured) in [
        (ProviderAnswer::Busy { retry_after }, false),
        (ProviderAnswer::CredentialRejected, true),
        (ProviderAnswer::Misconfigured, true),
        (ProviderAnswer::Unrecognised, false),
    ] {
        for reuse in ALL {
            for can_login in [true, false] {
                let (mut desk, plan) = desk(reuse, can_login);
                desk.hold.insert(Step::Send);
                desk.force(0);
                desk.hold.clear();
                let id = desk.last_attempt();
                desk.tell(tokend_engine::Event::Doubted(A, id, true));
                desk.answer(answer);
                assert_eq!(desk.view().in_doubt, reuse != Reuse::None, "{answer:?}");
                assert_eq!(desk.view().block.is_some(), cured, "{answer:?}");
                desk.crash(plan, can_login, cured);
                check(desk, reuse, can_login, "answered");
            }
        }
    }
}

#[test]
fn a_refresh_that_was_done_and_brought_nothing_leaves_its_refresh_token_in_force() {
    let ends = AccountPlan {
        refresh_ends_access: true,
        ..plan()
    };
    let mut desk = Desk::with(ends);
    let first = desk.get();
    desk.token(first);
    desk.hold.insert(Step::Send);
    desk.force(0);
    let id = desk.last_attempt();
    desk.tell(tokend_engine::Event::Doubted(A, id, false));
    desk.answer(ProviderAnswer::Misconfigured);
    assert!(!desk.view().in_doubt);
    assert!(desk.served.is_empty(), "the token before may be ended");
}

#[test]
fn an_entered_refresh_token_that_may_be_spent_is_kept_whatever_was_answered() {
    use tokend_engine::{Event, Keeping, Unproved};
    for (holds, kept) in [(true, Keeping::Beside), (false, Keeping::InPlace)] {
        let mut desk = Desk::new();
        desk.adopt(A, plan(), holds, false);
        if holds {
            let first = desk.get();
            desk.token(first);
        }
        desk.hold.insert(Step::Send);
        let entered = desk.enter(true);
        let id = desk.last_attempt();
        desk.tell(Event::Doubted(A, id, true));
        let busy = ProviderAnswer::Busy { retry_after: None };
        desk.answer(busy);
        assert_eq!(desk.unproven(entered), (Unproved::Answered(busy), kept));
    }
}

/// How many logins a day of asking every minute makes, with a daemon that dies each hour.
fn logins_in_a_day(desk: &mut Desk) -> usize {
    for minute in 0..24 * 60 {
        desk.get();
        desk.advance(secs(60));
        if minute % 60 == 0 {
            desk.crash(plan(), true, false);
        }
    }
    desk.kinds()
        .iter()
        .filter(|it| **it == AttemptKind::Login)
        .count()
}

#[test]
fn logins_without_an_answer_stop_after_three_across_restarts() {
    let mut desk = Desk::with(plan());
    desk.answers.extend([ProviderAnswer::MaybeSent; 10]);
    assert_eq!(logins_in_a_day(&mut desk), 3);
    let get = desk.get();
    assert_eq!(
        desk.fault(get),
        WaiterFault::LoginRequired(Missing::NoAnswer)
    );
}

#[test]
fn a_login_under_way_at_a_death_is_one_without_an_answer() {
    let mut desk = Desk::with(plan());
    desk.hold.insert(Step::Send);
    for _ in 0..10 {
        desk.want(A, Want::Get, None, 14_400, 14_400);
        desk.advance(secs(14_400));
        desk.crash(plan(), true, false);
    }
    assert_eq!(desk.kinds(), [AttemptKind::Login; 3]);
    let get = desk.get();
    assert_eq!(
        desk.fault(get),
        WaiterFault::LoginRequired(Missing::NoAnswer)
    );
    desk.hold.clear();
    let forced = desk.force(0);
    desk.token(forced);
}

#[test]
fn other_failures_between_logins_without_an_answer_change_nothing() {
    let mut desk = Desk::with(plan());
    for _ in 0..3 {
        desk.answers.extend([
            ProviderAnswer::MaybeSent,
            ProviderAnswer::NotSent,
            ProviderAnswer::Busy { retry_after: None },
        ]);
    }
    assert_eq!(
        logins_in_a_day(&mut desk),
        7,
        "three of them without an answer"
    );
    assert_eq!(
        desk.view().stop,
        Some(WaiterFault::LoginRequired(Missing::NoAnswer))
    );
}

#[test]
fn a_grant_between_logins_without_an_answer_begins_the_count_anew() {
    let mut desk = Desk::with(plan());
    for _ in 0..3 {
        desk.answers
            .extend([ProviderAnswer::MaybeSent, ProviderAnswer::MaybeSent]);
        let patient = desk.want(A, Want::Get, None, 600, 600);
        desk.advance(secs(600));
        let grant = desk.token(patient);
        desk.answers.push_back(ProviderAnswer::RefreshRejected);
        desk.want(A, Want::Rejected(grant), None, 0, 0);
    }
    assert_eq!(desk.view().stop, None);
}

#[test]
fn a_person_and_a_changed_credential_lift_the_stop() {
    for how in ["insists", "enters", "configures"] {
        let mut desk = Desk::with(plan());
        desk.answers.extend([ProviderAnswer::MaybeSent; 3]);
        logins_in_a_day(&mut desk);
        let waiter = match how {
            "insists" => desk.force(0),
            "enters" => desk.enter(false),
            _ => {
                desk.crash(plan(), true, true);
                desk.get()
            }
        };
        desk.token(waiter);
        assert_eq!(desk.view().no_verdict, Default::default(), "{how}");
    }
    let mut desk = Desk::with(plan());
    desk.answers.extend([ProviderAnswer::MaybeSent; 4]);
    logins_in_a_day(&mut desk);
    desk.force(0);
    assert_eq!(desk.kinds().len(), 4);
    desk.crash(plan(), true, false);
    let get = desk.get();
    assert_eq!(
        desk.fault(get),
        WaiterFault::LoginRequired(Missing::NoAnswer),
        "once more, and no more"
    );
}

#[test]
fn refreshes_go_on_where_logins_have_stopped() {
    let (mut desk, _) = desk(Reuse::None, true);
    desk.answers.extend([ProviderAnswer::MaybeSent; 20]);
    let waiter = desk.want(A, Want::Forced, None, 86_400, 86_400);
    desk.advance(secs(86_400));
    desk.token(waiter);
    assert!(
        desk.kinds()
            .iter()
            .all(|kind| *kind == AttemptKind::Refresh)
    );
}
