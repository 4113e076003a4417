//! What a person enters is tried by itself, and replaces nothing before it has proved itself.

use tokend_engine::{
    AccountPlan, AttemptKind, Block, ClaimRefusal, Demand, Effect, Event, Fate, Keeping, Missing,
    Pace, Problem, ProviderAnswer, RefreshPolicy, Reuse, Unproved, Verdict, WaiterFault, WaiterId,
    Want,
};

use crate::harness::{A, Bench, Step, granted, plan, rate, secs};

mod beside;

const UNKNOWN: [ProviderAnswer; 2] = [
    ProviderAnswer::MaybeSent,
    ProviderAnswer::Misbehaved {
        maybe_processed: true,
    },
];

/// A bench whose account holds a token and a refresh token.
fn holding(can_login: bool) -> Bench {
    let mut bench = Bench::new();
    bench.adopt(A, plan(), can_login, false);
    let first = match can_login {
        true => bench.get(),
        false => bench.enter(true),
    };
    bench.token(first);
    bench
}

fn fates(bench: &Bench) -> Vec<Fate> {
    let fate = |effect: &Effect| match effect {
        Effect::Commit(_, commit) => commit.fate,
        _ => None,
    };
    bench
        .log
        .iter()
        .filter_map(|(_, effect)| fate(effect))
        .collect()
}

#[test]
fn what_is_refused_changes_nothing_of_what_is_held() {
    for refresh_token in [false, true] {
        for can_login in [false, true] {
            for answer in [
                ProviderAnswer::CredentialRejected,
                ProviderAnswer::RefreshRejected,
                ProviderAnswer::Misconfigured,
                ProviderAnswer::Busy { retry_after: None },
                ProviderAnswer::NotSent,
                ProviderAnswer::Misbehaved {
                    maybe_processed: false,
                },
            ] {
                let mut bench = holding(can_login);
                let (before, served) = (bench.store[&A].clone(), bench.served[&A]);
                bench.answers.push_back(answer);
                let entered = bench.enter(refresh_token);
                let (why, kept) = bench.unproven(entered);
                assert_eq!((why, kept), (Unproved::Answered(answer), Keeping::Dropped));
                let after = &bench.store[&A];
                assert_eq!(
                    (after.held, after.refresh, after.block),
                    (before.held, before.refresh, before.block)
                );
                assert_eq!(
                    (after.problem, after.failures, after.deferral),
                    (before.problem, before.failures, before.deferral)
                );
                assert_eq!((after.candidate, after.spare), (None, false));
                assert_eq!(bench.served[&A], served, "it is served all the time");
                bench.advance(secs(1));
                let next = bench.force(0);
                bench.token(next);
                assert_eq!(
                    bench.kinds().last(),
                    Some(&AttemptKind::Refresh),
                    "with the old"
                );
            }
        }
    }
}

#[test]
fn an_entered_password_is_tried_by_a_login_although_a_refresh_token_is_held() {
    let mut bench = holding(true);
    let entered = bench.enter(false);
    bench.token(entered);
    assert_eq!(bench.kinds(), [AttemptKind::Login, AttemptKind::Login]);
    let claims: Vec<_> = bench
        .log
        .iter()
        .filter_map(|(_, effect)| match effect {
            Effect::Claim(_, _, kind, by) => Some((*kind, *by)),
            _ => None,
        })
        .collect();
    assert_eq!(
        claims,
        [
            (AttemptKind::Login, None),
            (AttemptKind::Login, Some(entered))
        ]
    );
    assert_eq!(fates(&bench), [Fate::Takes]);
}

#[test]
fn an_entered_refresh_token_that_is_refused_is_not_followed_by_a_login() {
    let mut bench = holding(true);
    bench.answers.push_back(ProviderAnswer::RefreshRejected);
    let entered = bench.enter(true);
    bench.unproven(entered);
    bench.advance(secs(60));
    assert_eq!(bench.kinds(), [AttemptKind::Login, AttemptKind::Refresh]);
}

#[test]
fn the_candidate_is_durable_before_it_is_sent_and_what_is_held_is_until_the_grant_is() {
    let mut bench = holding(true);
    let served = bench.served[&A];
    bench.hold.insert(Step::Send);
    let entered = bench.enter(true);
    let stored = &bench.store[&A];
    let candidate = stored.candidate.unwrap();
    assert_eq!(candidate.kind, AttemptKind::Refresh);
    assert_eq!(stored.intent.map(|it| it.attempt), Some(candidate.attempt));
    assert!(stored.refresh.is_some() && stored.held == Some(served.held));
    assert_eq!(bench.served[&A], served);
    bench.hold = [Step::Commit].into();
    bench.answer(granted(3600));
    assert_eq!(bench.served[&A], served, "not before it is durable");
    assert_eq!(bench.verdict(entered), None);
    bench.hold.clear();
    bench.let_go();
    assert_eq!(bench.token(entered), bench.served[&A].held.grant);
    assert_eq!(bench.store[&A].candidate, None);
}

#[test]
fn those_who_wait_meanwhile_get_the_old_if_the_new_is_refused() {
    let mut bench = holding(true);
    bench.hold.insert(Step::Send);
    let entered = bench.enter(false);
    let rejected = bench.want(A, Want::Rejected(bench.served[&A].held.grant), None, 0, 60);
    bench.hold.clear();
    bench.answer(ProviderAnswer::CredentialRejected);
    bench.unproven(entered);
    bench.token(rejected);
    assert_eq!(
        bench.kinds(),
        [AttemptKind::Login, AttemptKind::Login, AttemptKind::Refresh]
    );
}

#[test]
fn a_success_without_an_access_token_to_hand_out_leaves_what_is_held_in_use() {
    let renewed = ProviderAnswer::Renewed {
        refresh_lifetime: None,
        misconfigured: false,
    };
    for refresh_token in [false, true] {
        let mut bench = holding(true);
        let before = bench.store[&A].refresh;
        bench.answers.push_back(renewed);
        let entered = bench.enter(refresh_token);
        assert_eq!(bench.unproven(entered).1, Keeping::Beside);
        assert_eq!(bench.store[&A].refresh, before);
        assert!(bench.store[&A].spare && bench.served.contains_key(&A));
        let mut empty = Bench::new();
        empty.adopt(A, plan(), false, false);
        empty.answers.push_back(renewed);
        let entered = empty.enter(refresh_token);
        assert_eq!(empty.unproven(entered).1, Keeping::InPlace);
        assert!(empty.store[&A].refresh.is_some_and(|it| !it.in_doubt));
    }
}

#[test]
fn an_account_kept_fresh_goes_on_with_a_refresh_token_whose_first_use_failed() {
    let mut bench = Bench::new();
    let always = AccountPlan {
        refresh: RefreshPolicy::Always,
        reuse: Reuse::Rotates,
        ..plan()
    };
    bench.adopt(A, always, false, false);
    bench.answers.push_back(UNKNOWN[1]);
    let entered = bench.enter(true);
    bench.unproven(entered);
    bench.advance(secs(600));
    assert!(bench.served.contains_key(&A));
}

#[test]
fn a_password_that_is_not_granted_is_never_kept() {
    for answer in [
        ProviderAnswer::CredentialRejected,
        ProviderAnswer::MaybeSent,
        ProviderAnswer::Misconfigured,
        ProviderAnswer::Busy {
            retry_after: Some(secs(100)),
        },
    ] {
        let mut bench = Bench::new();
        bench.adopt(A, plan(), false, false);
        bench.answers.push_back(answer);
        let entered = bench.enter(false);
        assert_eq!(bench.unproven(entered).1, Keeping::Dropped);
        let get = bench.get();
        assert!(matches!(bench.fault(get), WaiterFault::LoginRequired(_)));
        assert_eq!((bench.store[&A].block, bench.sent().len()), (None, 1));
    }
}

#[test]
fn what_the_provider_asks_for_is_kept_to_whatever_it_was_asked_with() {
    let mut bench = holding(true);
    bench.answers.push_back(ProviderAnswer::Busy {
        retry_after: Some(secs(300)),
    });
    let entered = bench.enter(false);
    bench.unproven(entered);
    let again = bench.enter(false);
    assert!(matches!(
        bench.fault(again),
        WaiterFault::Failed {
            problem: Problem::Busy,
            ..
        }
    ));
    let forced = bench.force(0);
    bench.fault(forced);
    assert_eq!(bench.sent().len(), 2);
}

#[test]
fn what_may_not_be_tried_now_is_told_at_once_and_not_stored() {
    let mut bench = Bench::new();
    let narrow = AccountPlan {
        logins: rate(1, secs(3600)),
        ..plan()
    };
    bench.adopt(A, narrow, true, false);
    bench.get();
    let before = bench.store[&A].clone();
    let entered = bench.enter(false);
    assert!(matches!(
        bench.fault(entered),
        WaiterFault::Paced {
            by: Pace::Logins,
            ..
        }
    ));
    assert_eq!(bench.store[&A], before);
    assert_eq!(bench.sent().len(), 1);
}

#[test]
fn a_store_that_refuses_the_intent_means_nothing_was_tried() {
    let mut bench = holding(true);
    bench.refuse.insert(Step::Record);
    let entered = bench.enter(true);
    assert!(matches!(
        bench.fault(entered),
        WaiterFault::StoreUnavailable { .. }
    ));
    assert_eq!(bench.sent().len(), 1);
    bench.refuse.clear();
    bench.advance(secs(60));
    assert_eq!(bench.store[&A].candidate, None);
    assert!(bench.engine.is_settled());
}

#[test]
fn a_death_while_something_is_tried_changes_nothing_of_what_is_held() {
    for refresh_token in [false, true] {
        let mut bench = holding(true);
        let before = bench.store[&A].clone();
        bench.hold.insert(Step::Send);
        bench.enter(refresh_token);
        assert!(bench.store[&A].intent.is_some());
        bench.hold.clear();
        bench.crash(plan(), true, false);
        let after = &bench.store[&A];
        assert_eq!(
            (after.held, after.refresh, after.candidate, after.intent),
            (before.held, before.refresh, None, None)
        );
        assert_eq!(after.spare, refresh_token);
        assert_eq!(
            fates(&bench),
            [Fate::Spared][..usize::from(refresh_token)].to_vec()
        );
        let next = bench.force(0);
        bench.token(next);
        assert_eq!(bench.kinds().last(), Some(&AttemptKind::Refresh));
    }
}

#[test]
fn a_death_while_the_only_refresh_token_is_tried_keeps_it_in_doubt() {
    let mut bench = Bench::new();
    bench.adopt(A, plan(), false, false);
    bench.hold.insert(Step::Send);
    bench.enter(true);
    bench.hold.clear();
    bench.refuse.insert(Step::Commit);
    bench.crash(plan(), false, false);
    assert!(bench.store[&A].candidate.is_some(), "the store refuses");
    bench.refuse.clear();
    bench.advance(secs(60));
    assert!(bench.store[&A].refresh.is_some_and(|it| it.in_doubt));
    assert_eq!(bench.store[&A].candidate, None);
    assert_eq!(fates(&bench).last(), Some(&Fate::Takes));
}

#[test]
fn a_candidate_that_no_request_can_carry_is_told_and_the_held_one_is_still_good() {
    for refusal in [ClaimRefusal::RefreshToken, ClaimRefusal::Secret] {
        let mut bench = holding(true);
        bench.hold.insert(Step::Claim);
        let entered = bench.enter(true);
        let Some(Effect::Claim(key, id, ..)) = bench.held.pop_front() else {
            panic!("nothing is claimed");
        };
        bench.hold.clear();
        bench.tell(Event::Claimed(key, id, Err(refusal)));
        assert_eq!(
            bench.unproven(entered),
            (Unproved::NotPrepared(refusal), Keeping::Dropped)
        );
        let next = bench.force(0);
        bench.token(next);
        assert_eq!(bench.kinds(), [AttemptKind::Login, AttemptKind::Refresh]);
    }
}

#[test]
fn two_persons_who_enter_at_once_are_tried_one_after_the_other() {
    let mut bench = holding(true);
    bench.hold.insert(Step::Send);
    let (wrong, right) = (bench.enter(false), bench.enter(true));
    bench.hold.clear();
    bench.answer(ProviderAnswer::CredentialRejected);
    assert_eq!(bench.unproven(wrong).1, Keeping::Dropped);
    bench.token(right);
    assert_eq!(
        bench.kinds(),
        [AttemptKind::Login, AttemptKind::Login, AttemptKind::Refresh]
    );
}

#[test]
fn forget_while_something_is_tried_leaves_nothing_of_it() {
    for answer in [granted(3600), ProviderAnswer::MaybeSent] {
        let mut bench = holding(true);
        bench.hold.insert(Step::Send);
        bench.enter(true);
        let forget = bench.forget();
        bench.hold.clear();
        bench.answer(answer);
        assert_eq!(bench.verdict(forget), Some(Verdict::Done));
        let after = &bench.store[&A];
        assert_eq!(
            (after.held, after.refresh, after.candidate, after.spare),
            (None, None, None, false)
        );
        assert!(bench.served.is_empty());
    }
}

#[test]
fn an_account_removed_while_something_is_tried_tells_so_and_keeps_what_comes_of_it() {
    let mut bench = holding(false);
    bench.hold.insert(Step::Send);
    let entered = bench.enter(true);
    bench.tell(Event::Remove(A));
    assert_eq!(bench.fault(entered), WaiterFault::Gone);
    bench.hold.clear();
    bench.answer(granted(3600));
    assert_eq!(fates(&bench), [Fate::Takes, Fate::Takes]);
    assert!(bench.served.is_empty());
}

#[test]
fn a_drain_ends_with_what_is_being_tried() {
    let mut bench = holding(true);
    bench.hold.insert(Step::Send);
    let entered = bench.enter(false);
    bench.tell(Event::Drain);
    bench.hold.clear();
    bench.answer(granted(3600));
    bench.token(entered);
    assert!(bench.engine.is_settled());
}

#[test]
fn a_refused_login_stays_refused_when_a_refresh_token_is_entered_that_may_be_spent() {
    let mut bench = Bench::with(plan());
    bench.answers.extend([
        ProviderAnswer::CredentialRejected,
        ProviderAnswer::MaybeSent,
    ]);
    bench.get();
    let entered = bench.enter(true);
    assert_eq!(bench.unproven(entered).1, Keeping::InPlace);
    bench.tell(Event::Replan {
        account: A,
        plan: plan(),
        can_login: true,
        cured: false,
    });
    bench.advance(secs(86_400));
    let get = bench.get();
    bench.fault(get);
    assert_eq!(bench.kinds(), [AttemptKind::Login, AttemptKind::Refresh]);
    assert_eq!(bench.store[&A].block, Some(Block::CredentialRejected));
    assert!(bench.store[&A].no_verdict.login_refused);
}

#[test]
fn a_reload_with_a_tighter_pace_ends_a_trial_before_it_is_sent() {
    let mut bench = holding(true);
    bench.hold.insert(Step::Claim);
    let entered = bench.enter(false);
    let narrow = AccountPlan {
        logins: rate(1, secs(86_400)),
        ..plan()
    };
    bench.tell(Event::Replan {
        account: A,
        plan: narrow,
        can_login: true,
        cured: false,
    });
    bench.hold.clear();
    bench.let_go();
    assert!(matches!(
        bench.verdict(entered),
        Some(Verdict::Token(_) | Verdict::Fault(WaiterFault::Paced { .. }))
    ));
}

#[test]
fn whoever_enters_something_is_told_at_once_when_the_host_is_used_up() {
    let mut bench = Bench::new();
    bench.host(1, secs(600), 1);
    bench.adopt(A, plan(), true, false);
    let first = bench.get();
    bench.token(first);
    let before = bench.store[&A].clone();
    let entered = bench.enter(false);
    assert!(matches!(
        bench.fault(entered),
        WaiterFault::Paced {
            by: Pace::Host(_),
            ..
        }
    ));
    assert_eq!(bench.store[&A], before);
    assert!(bench.engine.is_settled());
}

#[test]
fn a_refresh_token_that_is_granted_says_nothing_of_whether_a_login_is_possible() {
    let mut bench = holding(true);
    bench.hold.insert(Step::Send);
    bench.force(0);
    bench.forget();
    let waiter = WaiterId(99);
    bench.tell(Event::Entered {
        account: A,
        waiter,
        demand: Demand {
            min_validity: None,
            start_by: bench.at(0),
            answer_by: bench.at(60),
        },
        refresh_token: true,
        // As it was when it was entered: what `forget` drops was still there.
        can_login: true,
    });
    bench.hold.clear();
    bench.answer(granted(3600));
    bench.token(waiter);
    bench.answers.push_back(ProviderAnswer::RefreshRejected);
    let next = bench.force(0);
    assert_eq!(
        bench.fault(next),
        WaiterFault::LoginRequired(Missing::RefreshRejected)
    );
    assert_eq!(bench.kinds().last(), Some(&AttemptKind::Refresh));
}
