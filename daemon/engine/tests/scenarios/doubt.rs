//! Sent, outcome unknown: what reuse costs decides.

use tokend_engine::{
    AccountPlan, AttemptKind, GrantFacts, Missing, ProviderAnswer, Reuse, WaiterFault, Want,
};

use crate::harness::{A, Bench, Step, plan, secs};

const ALL: [Reuse; 4] = [
    Reuse::None,
    Reuse::Rotates,
    Reuse::RotatesAndReuseRevokes,
    Reuse::Unknown,
];

/// A bench whose account holds a refresh token.
fn bench(reuse: Reuse, can_login: bool) -> (Bench, AccountPlan) {
    let plan = AccountPlan { reuse, ..plan() };
    let mut bench = Bench::new();
    bench.adopt(A, plan, can_login, false);
    let waiter = bench.enter(true);
    bench.token(waiter);
    bench.tell(tokend_engine::Event::Replan {
        account: A,
        plan,
        can_login,
        cured: false,
    });
    assert_eq!(bench.kinds(), [AttemptKind::Refresh]);
    (bench, plan)
}

/// What follows a refresh whose outcome is unknown: another refresh, a login, or a person.
fn expected(reuse: Reuse, can_login: bool) -> Option<AttemptKind> {
    match (reuse, can_login) {
        (Reuse::None | Reuse::Rotates, _) | (Reuse::Unknown, false) => Some(AttemptKind::Refresh),
        (_, true) => Some(AttemptKind::Login),
        (Reuse::RotatesAndReuseRevokes, false) => None,
    }
}

fn check(mut bench: Bench, reuse: Reuse, can_login: bool, how: &str) {
    let before = bench.sent().len();
    let waiter = bench.want(A, Want::Forced, None, 600, 600);
    bench.advance(secs(600));
    match expected(reuse, can_login) {
        Some(kind) => {
            bench.token(waiter);
            assert_eq!(
                bench.kinds()[before..],
                [kind],
                "{reuse:?}, login {can_login}, {how}"
            );
            assert!(!bench.view().in_doubt);
        }
        None => {
            assert_eq!(
                bench.fault(waiter),
                WaiterFault::LoginRequired(Missing::InDoubt)
            );
            assert_eq!(bench.sent().len(), before, "force does not replay either");
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
                let (mut bench, _) = bench(reuse, can_login);
                bench.answers.push_back(answer);
                bench.force(0);
                assert_eq!(bench.view().in_doubt, reuse != Reuse::None);
                check(bench, reuse, can_login, "lost");
            }
        }
    }
}

#[test]
fn a_crash_between_intent_and_outcome() {
    for reuse in ALL {
        for can_login in [true, false] {
            for step in [Step::Send, Step::Commit] {
                let (mut bench, plan) = bench(reuse, can_login);
                bench.hold.insert(step);
                bench.force(0);
                assert!(bench.store[&A].intent.is_some());
                bench.hold.clear();
                bench.crash(plan, can_login, false);
                assert_eq!(bench.store[&A].intent, None, "the doubt is stored at once");
                bench.crash(plan, can_login, false);
                check(bench, reuse, can_login, "crashed");
            }
        }
    }
}

#[test]
fn a_crash_before_the_intent_is_no_doubt() {
    let (mut bench, plan) = bench(Reuse::RotatesAndReuseRevokes, true);
    bench.hold.insert(Step::Record);
    bench.force(0);
    bench.hold.clear();
    bench.crash(plan, true, false);
    assert!(!bench.view().in_doubt);
    bench.force(0);
    assert_eq!(bench.kinds(), [AttemptKind::Refresh, AttemptKind::Refresh]);
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
        let (mut bench, _) = bench(Reuse::RotatesAndReuseRevokes, true);
        bench.answers.push_back(answer);
        bench.want(A, Want::Forced, None, 600, 600);
        bench.advance(secs(600));
        assert_eq!(
            bench.kinds(),
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
    let (mut bench, plan) = bench(Reuse::Rotates, true);
    bench.answers.push_back(ProviderAnswer::MaybeSent);
    bench.force(0);
    let wiser = AccountPlan {
        reuse: Reuse::RotatesAndReuseRevokes,
        ..plan
    };
    bench.tell(tokend_engine::Event::Replan {
        account: A,
        plan: wiser,
        can_login: true,
        cured: false,
    });
    check(bench, wiser.reuse, true, "replanned");
}

#[test]
fn a_doubt_ends_with_a_refresh_token_entered() {
    let (mut bench, _) = bench(Reuse::RotatesAndReuseRevokes, false);
    bench.answers.push_back(ProviderAnswer::MaybeSent);
    bench.force(0);
    let entered = bench.enter(true);
    bench.token(entered);
}

#[test]
fn a_login_in_doubt_is_made_again_within_its_pace() {
    let mut bench = Bench::with(plan());
    bench.answers.push_back(ProviderAnswer::MaybeSent);
    let waiter = bench.want(A, Want::Get, None, 600, 600);
    bench.advance(secs(600));
    bench.token(waiter);
    assert_eq!(bench.kinds(), [AttemptKind::Login, AttemptKind::Login]);
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
            let (mut bench, _) = bench(reuse, can_login);
            bench.answers.push_back(renewed(false));
            let waiter = bench.want(A, Want::Forced, None, 1, 1);
            assert!(matches!(bench.fault(waiter), WaiterFault::Failed { .. }));
            let stored = bench.store[&A].refresh.expect("it is stored");
            assert!(!stored.in_doubt && !stored.refused);
            assert!(stored.expires.is_some());
            let waiter = bench.want(A, Want::Forced, None, 600, 600);
            bench.advance(secs(600));
            bench.token(waiter);
            assert_eq!(
                *bench.kinds().last().expect("sent"),
                AttemptKind::Refresh,
                "{reuse:?} {can_login}"
            );
        }
    }
}

#[test]
fn a_refresh_token_beside_a_foreign_kind_of_token_waits_for_a_change_and_is_kept() {
    let (mut bench, plan) = bench(Reuse::RotatesAndReuseRevokes, false);
    bench.answers.push_back(renewed(true));
    let waiter = bench.want(A, Want::Forced, None, 600, 600);
    bench.advance(secs(600));
    assert_eq!(bench.fault(waiter), WaiterFault::Misconfigured);
    let sent = bench.sent().len();
    bench.tell(tokend_engine::Event::Replan {
        account: A,
        plan,
        can_login: false,
        cured: true,
    });
    let waiter = bench.want(A, Want::Forced, None, 600, 600);
    bench.advance(secs(600));
    bench.token(waiter);
    assert_eq!(bench.kinds()[sent..], [AttemptKind::Refresh]);
}

#[test]
fn a_refresh_token_that_came_and_cannot_be_used_leaves_the_one_before_in_doubt() {
    for reuse in ALL {
        for can_login in [true, false] {
            let (mut bench, _) = bench(reuse, can_login);
            bench.answers.push_back(ProviderAnswer::Granted(GrantFacts {
                lifetime: Some(secs(3600)),
                refresh_token_lost: true,
                ..GrantFacts::default()
            }));
            let waiter = bench.want(A, Want::Forced, None, 600, 600);
            bench.advance(secs(1));
            bench.token(waiter);
            assert_eq!(bench.view().in_doubt, reuse != Reuse::None);
            check(bench, reuse, can_login, "lost");
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
                let (mut bench, plan) = bench(reuse, can_login);
                bench.hold.insert(Step::Send);
                bench.force(0);
                bench.hold.clear();
                let id = bench.last_attempt();
                bench.tell(tokend_engine::Event::Doubted(A, id, true));
                bench.answer(answer);
                assert_eq!(bench.view().in_doubt, reuse != Reuse::None, "{answer:?}");
                assert_eq!(bench.view().block.is_some(), cured, "{answer:?}");
                bench.crash(plan, can_login, cured);
                check(bench, reuse, can_login, "answered");
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
    let mut bench = Bench::with(ends);
    let first = bench.get();
    bench.token(first);
    bench.hold.insert(Step::Send);
    bench.force(0);
    let id = bench.last_attempt();
    bench.tell(tokend_engine::Event::Doubted(A, id, false));
    bench.answer(ProviderAnswer::Misconfigured);
    assert!(!bench.view().in_doubt);
    assert!(bench.served.is_empty(), "the token before may be ended");
}

#[test]
fn an_entered_refresh_token_that_may_be_spent_is_kept_whatever_was_answered() {
    use tokend_engine::{Event, Keeping, Unproved};
    for (holds, kept) in [(true, Keeping::Beside), (false, Keeping::InPlace)] {
        let mut bench = Bench::new();
        bench.adopt(A, plan(), holds, false);
        if holds {
            let first = bench.get();
            bench.token(first);
        }
        bench.hold.insert(Step::Send);
        let entered = bench.enter(true);
        let id = bench.last_attempt();
        bench.tell(Event::Doubted(A, id, true));
        let busy = ProviderAnswer::Busy { retry_after: None };
        bench.answer(busy);
        assert_eq!(bench.unproven(entered), (Unproved::Answered(busy), kept));
    }
}

/// How many logins a day of asking every minute makes, with a daemon that dies each hour.
fn logins_in_a_day(bench: &mut Bench) -> usize {
    for minute in 0..24 * 60 {
        bench.get();
        bench.advance(secs(60));
        if minute % 60 == 0 {
            bench.crash(plan(), true, false);
        }
    }
    bench
        .kinds()
        .iter()
        .filter(|it| **it == AttemptKind::Login)
        .count()
}

#[test]
fn logins_without_an_answer_stop_after_three_across_restarts() {
    let mut bench = Bench::with(plan());
    bench.answers.extend([ProviderAnswer::MaybeSent; 10]);
    assert_eq!(logins_in_a_day(&mut bench), 3);
    let get = bench.get();
    assert_eq!(
        bench.fault(get),
        WaiterFault::LoginRequired(Missing::NoAnswer)
    );
}

#[test]
fn a_login_under_way_at_a_death_is_one_without_an_answer() {
    let mut bench = Bench::with(plan());
    bench.hold.insert(Step::Send);
    for _ in 0..10 {
        bench.want(A, Want::Get, None, 14_400, 14_400);
        bench.advance(secs(14_400));
        bench.crash(plan(), true, false);
    }
    assert_eq!(bench.kinds(), [AttemptKind::Login; 3]);
    let get = bench.get();
    assert_eq!(
        bench.fault(get),
        WaiterFault::LoginRequired(Missing::NoAnswer)
    );
    bench.hold.clear();
    let forced = bench.force(0);
    bench.token(forced);
}

#[test]
fn other_failures_between_logins_without_an_answer_change_nothing() {
    let mut bench = Bench::with(plan());
    for _ in 0..3 {
        bench.answers.extend([
            ProviderAnswer::MaybeSent,
            ProviderAnswer::NotSent,
            ProviderAnswer::Busy { retry_after: None },
        ]);
    }
    assert_eq!(
        logins_in_a_day(&mut bench),
        7,
        "three of them without an answer"
    );
    assert_eq!(
        bench.view().stop,
        Some(WaiterFault::LoginRequired(Missing::NoAnswer))
    );
}

#[test]
fn a_grant_between_logins_without_an_answer_begins_the_count_anew() {
    let mut bench = Bench::with(plan());
    for _ in 0..3 {
        bench
            .answers
            .extend([ProviderAnswer::MaybeSent, ProviderAnswer::MaybeSent]);
        let patient = bench.want(A, Want::Get, None, 600, 600);
        bench.advance(secs(600));
        let grant = bench.token(patient);
        bench.answers.push_back(ProviderAnswer::RefreshRejected);
        bench.want(A, Want::Rejected(grant), None, 0, 0);
    }
    assert_eq!(bench.view().stop, None);
}

#[test]
fn a_person_and_a_changed_credential_lift_the_stop() {
    for how in ["insists", "enters", "configures"] {
        let mut bench = Bench::with(plan());
        bench.answers.extend([ProviderAnswer::MaybeSent; 3]);
        logins_in_a_day(&mut bench);
        let waiter = match how {
            "insists" => bench.force(0),
            "enters" => bench.enter(false),
            _ => {
                bench.crash(plan(), true, true);
                bench.get()
            }
        };
        bench.token(waiter);
        assert_eq!(bench.view().no_verdict, Default::default(), "{how}");
    }
    let mut bench = Bench::with(plan());
    bench.answers.extend([ProviderAnswer::MaybeSent; 4]);
    logins_in_a_day(&mut bench);
    bench.force(0);
    assert_eq!(bench.kinds().len(), 4);
    bench.crash(plan(), true, false);
    let get = bench.get();
    assert_eq!(
        bench.fault(get),
        WaiterFault::LoginRequired(Missing::NoAnswer),
        "once more, and no more"
    );
}

#[test]
fn refreshes_go_on_where_logins_have_stopped() {
    let (mut bench, _) = bench(Reuse::None, true);
    bench.answers.extend([ProviderAnswer::MaybeSent; 20]);
    let waiter = bench.want(A, Want::Forced, None, 86_400, 86_400);
    bench.advance(secs(86_400));
    bench.token(waiter);
    assert!(
        bench
            .kinds()
            .iter()
            .all(|kind| *kind == AttemptKind::Refresh)
    );
}
