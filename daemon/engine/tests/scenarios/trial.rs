//! What a person enters is tried by itself, and replaces nothing before it has proved itself.

use tokend_engine::{
    AccountPlan, AttemptKind, Block, ClaimRefusal, Demand, Effect, Event, Fate, Keeping, Missing,
    Pace, Problem, ProviderAnswer, RefreshPolicy, Reuse, Unproved, Verdict, WaiterFault, WaiterId,
    Want,
};

use crate::harness::{A, Desk, Step, granted, plan, rate, secs};

const UNKNOWN: [ProviderAnswer; 2] = [
    ProviderAnswer::MaybeSent,
    ProviderAnswer::Misbehaved {
        maybe_processed: true,
    },
];

/// A desk whose account holds a token and a refresh token.
fn holding(can_login: bool) -> Desk {
    let mut desk = Desk::new();
    desk.adopt(A, plan(), can_login, false);
    let first = match can_login {
        true => desk.get(),
        false => desk.enter(true),
    };
    desk.token(first);
    desk
}

fn fates(desk: &Desk) -> Vec<Fate> {
    let fate = |effect: &Effect| match effect {
        Effect::Commit(_, commit) => commit.fate,
        _ => None,
    };
    desk.log
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
                let mut desk = holding(can_login);
                let (before, served) = (desk.store[&A].clone(), desk.served[&A]);
                desk.answers.push_back(answer);
                let entered = desk.enter(refresh_token);
                let (why, kept) = desk.unproven(entered);
                assert_eq!((why, kept), (Unproved::Answered(answer), Keeping::Dropped));
                let after = &desk.store[&A];
                assert_eq!(
                    (after.held, after.refresh, after.block),
                    (before.held, before.refresh, before.block)
                );
                assert_eq!(
                    (after.problem, after.failures, after.deferral),
                    (before.problem, before.failures, before.deferral)
                );
                assert_eq!((after.candidate, after.spare), (None, false));
                assert_eq!(desk.served[&A], served, "it is served all the time");
                desk.advance(secs(1));
                let next = desk.force(0);
                desk.token(next);
                assert_eq!(
                    desk.kinds().last(),
                    Some(&AttemptKind::Refresh),
                    "with the old"
                );
            }
        }
    }
}

#[test]
fn an_entered_password_is_tried_by_a_login_although_a_refresh_token_is_held() {
    let mut desk = holding(true);
    let entered = desk.enter(false);
    desk.token(entered);
    assert_eq!(desk.kinds(), [AttemptKind::Login, AttemptKind::Login]);
    let claims: Vec<_> = desk
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
    assert_eq!(fates(&desk), [Fate::Takes]);
}

#[test]
fn an_entered_refresh_token_that_is_refused_is_not_followed_by_a_login() {
    let mut desk = holding(true);
    desk.answers.push_back(ProviderAnswer::RefreshRejected);
    let entered = desk.enter(true);
    desk.unproven(entered);
    desk.advance(secs(60));
    assert_eq!(desk.kinds(), [AttemptKind::Login, AttemptKind::Refresh]);
}

#[test]
fn the_candidate_is_durable_before_it_is_sent_and_what_is_held_is_until_the_grant_is() {
    let mut desk = holding(true);
    let served = desk.served[&A];
    desk.hold.insert(Step::Send);
    let entered = desk.enter(true);
    let stored = &desk.store[&A];
    let candidate = stored.candidate.unwrap();
    assert_eq!(candidate.kind, AttemptKind::Refresh);
    assert_eq!(stored.intent.map(|it| it.attempt), Some(candidate.attempt));
    assert!(stored.refresh.is_some() && stored.held == Some(served.held));
    assert_eq!(desk.served[&A], served);
    desk.hold = [Step::Commit].into();
    desk.answer(granted(3600));
    assert_eq!(desk.served[&A], served, "not before it is durable");
    assert_eq!(desk.verdict(entered), None);
    desk.hold.clear();
    desk.let_go();
    assert_eq!(desk.token(entered), desk.served[&A].held.grant);
    assert_eq!(desk.store[&A].candidate, None);
}

#[test]
fn those_who_wait_meanwhile_get_the_old_if_the_new_is_refused() {
    let mut desk = holding(true);
    desk.hold.insert(Step::Send);
    let entered = desk.enter(false);
    let rejected = desk.want(A, Want::Rejected(desk.served[&A].held.grant), None, 0, 60);
    desk.hold.clear();
    desk.answer(ProviderAnswer::CredentialRejected);
    desk.unproven(entered);
    desk.token(rejected);
    assert_eq!(
        desk.kinds(),
        [AttemptKind::Login, AttemptKind::Login, AttemptKind::Refresh]
    );
}

#[test]
fn a_refresh_token_whose_outcome_is_unknown_is_kept_beside_what_is_held() {
    for answer in UNKNOWN {
        let mut desk = holding(true);
        let before = desk.store[&A].refresh;
        desk.answers.push_back(answer);
        let entered = desk.enter(true);
        assert_eq!(
            desk.unproven(entered),
            (Unproved::Answered(answer), Keeping::Beside)
        );
        assert!(desk.store[&A].spare);
        assert_eq!(desk.store[&A].refresh, before, "and it is not in doubt");
        assert_eq!(fates(&desk), [Fate::Spared]);
        desk.crash(plan(), true, false);
        let next = desk.force(0);
        desk.token(next);
        assert_eq!(desk.kinds().last(), Some(&AttemptKind::Refresh));
        assert!(desk.store[&A].spare);
    }
}

#[test]
fn what_was_kept_beside_is_used_when_nothing_else_is_left_and_it_may_be_presented() {
    for (reuse, used) in [
        (Reuse::None, true),
        (Reuse::Rotates, true),
        (Reuse::Unknown, true),
        (Reuse::RotatesAndReuseRevokes, false),
    ] {
        let mut desk = Desk::new();
        desk.adopt(A, AccountPlan { reuse, ..plan() }, false, false);
        desk.enter(true);
        desk.answers
            .extend([ProviderAnswer::MaybeSent, ProviderAnswer::RefreshRejected]);
        let entered = desk.enter(true);
        assert_eq!(desk.unproven(entered).1, Keeping::Beside);
        let next = desk.force(0);
        match used {
            true => {
                desk.token(next);
                assert_eq!(fates(&desk)[1..], [Fate::Spared, Fate::SpareTakes]);
                assert!(!desk.store[&A].spare);
            }
            false => {
                desk.fault(next);
                assert!(desk.store[&A].spare, "kept for a person who knows more");
            }
        }
    }
}

#[test]
fn where_nothing_is_held_a_refresh_token_that_was_not_refused_is_kept() {
    for answer in [
        ProviderAnswer::MaybeSent,
        ProviderAnswer::Busy { retry_after: None },
        ProviderAnswer::Misconfigured,
        ProviderAnswer::NotSent,
        // The client's credential, not the refresh token.
        ProviderAnswer::CredentialRejected,
        ProviderAnswer::Misbehaved {
            maybe_processed: true,
        },
        ProviderAnswer::Misbehaved {
            maybe_processed: false,
        },
    ] {
        let mut desk = Desk::new();
        desk.adopt(A, plan(), false, false);
        desk.answers.push_back(answer);
        let entered = desk.enter(true);
        assert_eq!(desk.unproven(entered).1, Keeping::InPlace, "{answer:?}");
        assert_eq!(fates(&desk), [Fate::Takes]);
        assert!(desk.store[&A].refresh.is_some());
        let in_doubt = desk.store[&A].refresh.unwrap().in_doubt;
        assert_eq!(in_doubt, UNKNOWN.contains(&answer));
    }
    let mut desk = Desk::new();
    desk.adopt(A, plan(), false, false);
    desk.answers.push_back(ProviderAnswer::RefreshRejected);
    let entered = desk.enter(true);
    assert_eq!(desk.unproven(entered).1, Keeping::Dropped);
    assert_eq!(desk.store[&A].refresh, None);
}

#[test]
fn a_success_without_an_access_token_to_hand_out_leaves_what_is_held_in_use() {
    let renewed = ProviderAnswer::Renewed {
        refresh_lifetime: None,
        misconfigured: false,
    };
    for refresh_token in [false, true] {
        let mut desk = holding(true);
        let before = desk.store[&A].refresh;
        desk.answers.push_back(renewed);
        let entered = desk.enter(refresh_token);
        assert_eq!(desk.unproven(entered).1, Keeping::Beside);
        assert_eq!(desk.store[&A].refresh, before);
        assert!(desk.store[&A].spare && desk.served.contains_key(&A));
        let mut empty = Desk::new();
        empty.adopt(A, plan(), false, false);
        empty.answers.push_back(renewed);
        let entered = empty.enter(refresh_token);
        assert_eq!(empty.unproven(entered).1, Keeping::InPlace);
        assert!(empty.store[&A].refresh.is_some_and(|it| !it.in_doubt));
    }
}

#[test]
fn an_account_kept_fresh_goes_on_with_a_refresh_token_whose_first_use_failed() {
    let mut desk = Desk::new();
    let always = AccountPlan {
        refresh: RefreshPolicy::Always,
        reuse: Reuse::Rotates,
        ..plan()
    };
    desk.adopt(A, always, false, false);
    desk.answers.push_back(UNKNOWN[1]);
    let entered = desk.enter(true);
    desk.unproven(entered);
    desk.advance(secs(600));
    assert!(desk.served.contains_key(&A));
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
        let mut desk = Desk::new();
        desk.adopt(A, plan(), false, false);
        desk.answers.push_back(answer);
        let entered = desk.enter(false);
        assert_eq!(desk.unproven(entered).1, Keeping::Dropped);
        let get = desk.get();
        assert!(matches!(desk.fault(get), WaiterFault::LoginRequired(_)));
        assert_eq!((desk.store[&A].block, desk.sent().len()), (None, 1));
    }
}

#[test]
fn what_the_provider_asks_for_is_kept_to_whatever_it_was_asked_with() {
    let mut desk = holding(true);
    desk.answers.push_back(ProviderAnswer::Busy {
        retry_after: Some(secs(300)),
    });
    let entered = desk.enter(false);
    desk.unproven(entered);
    let again = desk.enter(false);
    assert!(matches!(
        desk.fault(again),
        WaiterFault::Failed {
            problem: Problem::Busy,
            ..
        }
    ));
    let forced = desk.force(0);
    desk.fault(forced);
    assert_eq!(desk.sent().len(), 2);
}

#[test]
fn what_may_not_be_tried_now_is_told_at_once_and_not_stored() {
    let mut desk = Desk::new();
    let narrow = AccountPlan {
        logins: rate(1, secs(3600)),
        ..plan()
    };
    desk.adopt(A, narrow, true, false);
    desk.get();
    let before = desk.store[&A].clone();
    let entered = desk.enter(false);
    assert!(matches!(
        desk.fault(entered),
        WaiterFault::Paced {
            by: Pace::Logins,
            ..
        }
    ));
    assert_eq!(desk.store[&A], before);
    assert_eq!(desk.sent().len(), 1);
}

#[test]
fn a_store_that_refuses_the_intent_means_nothing_was_tried() {
    let mut desk = holding(true);
    desk.refuse.insert(Step::Record);
    let entered = desk.enter(true);
    assert!(matches!(
        desk.fault(entered),
        WaiterFault::StoreUnavailable { .. }
    ));
    assert_eq!(desk.sent().len(), 1);
    desk.refuse.clear();
    desk.advance(secs(60));
    assert_eq!(desk.store[&A].candidate, None);
    assert!(desk.engine.is_settled());
}

#[test]
fn a_death_while_something_is_tried_changes_nothing_of_what_is_held() {
    for refresh_token in [false, true] {
        let mut desk = holding(true);
        let before = desk.store[&A].clone();
        desk.hold.insert(Step::Send);
        desk.enter(refresh_token);
        assert!(desk.store[&A].intent.is_some());
        desk.hold.clear();
        desk.crash(plan(), true, false);
        let after = &desk.store[&A];
        assert_eq!(
            (after.held, after.refresh, after.candidate, after.intent),
            (before.held, before.refresh, None, None)
        );
        assert_eq!(after.spare, refresh_token);
        assert_eq!(
            fates(&desk),
            [Fate::Spared][..usize::from(refresh_token)].to_vec()
        );
        let next = desk.force(0);
        desk.token(next);
        assert_eq!(desk.kinds().last(), Some(&AttemptKind::Refresh));
    }
}

#[test]
fn a_death_while_the_only_refresh_token_is_tried_keeps_it_in_doubt() {
    let mut desk = Desk::new();
    desk.adopt(A, plan(), false, false);
    desk.hold.insert(Step::Send);
    desk.enter(true);
    desk.hold.clear();
    desk.refuse.insert(Step::Commit);
    desk.crash(plan(), false, false);
    assert!(desk.store[&A].candidate.is_some(), "the store refuses");
    desk.refuse.clear();
    desk.advance(secs(60));
    assert!(desk.store[&A].refresh.is_some_and(|it| it.in_doubt));
    assert_eq!(desk.store[&A].candidate, None);
    assert_eq!(fates(&desk).last(), Some(&Fate::Takes));
}

#[test]
fn a_candidate_that_no_request_can_carry_is_told_and_the_held_one_is_still_good() {
    for refusal in [ClaimRefusal::RefreshToken, ClaimRefusal::Secret] {
        let mut desk = holding(true);
        desk.hold.insert(Step::Claim);
        let entered = desk.enter(true);
        let Some(Effect::Claim(key, id, ..)) = desk.held.pop_front() else {
            panic!("nothing is claimed");
        };
        desk.hold.clear();
        desk.tell(Event::Claimed(key, id, Err(refusal)));
        assert_eq!(
            desk.unproven(entered),
            (Unproved::NotPrepared(refusal), Keeping::Dropped)
        );
        let next = desk.force(0);
        desk.token(next);
        assert_eq!(desk.kinds(), [AttemptKind::Login, AttemptKind::Refresh]);
    }
}

#[test]
fn two_persons_who_enter_at_once_are_tried_one_after_the_other() {
    let mut desk = holding(true);
    desk.hold.insert(Step::Send);
    let (wrong, right) = (desk.enter(false), desk.enter(true));
    desk.hold.clear();
    desk.answer(ProviderAnswer::CredentialRejected);
    assert_eq!(desk.unproven(wrong).1, Keeping::Dropped);
    desk.token(right);
    assert_eq!(
        desk.kinds(),
        [AttemptKind::Login, AttemptKind::Login, AttemptKind::Refresh]
    );
}

#[test]
fn forget_while_something_is_tried_leaves_nothing_of_it() {
    for answer in [granted(3600), ProviderAnswer::MaybeSent] {
        let mut desk = holding(true);
        desk.hold.insert(Step::Send);
        desk.enter(true);
        let forget = desk.forget();
        desk.hold.clear();
        desk.answer(answer);
        assert_eq!(desk.verdict(forget), Some(Verdict::Done));
        let after = &desk.store[&A];
        assert_eq!(
            (after.held, after.refresh, after.candidate, after.spare),
            (None, None, None, false)
        );
        assert!(desk.served.is_empty());
    }
}

#[test]
fn an_account_removed_while_something_is_tried_tells_so_and_keeps_what_comes_of_it() {
    let mut desk = holding(false);
    desk.hold.insert(Step::Send);
    let entered = desk.enter(true);
    desk.tell(Event::Remove(A));
    assert_eq!(desk.fault(entered), WaiterFault::Gone);
    desk.hold.clear();
    desk.answer(granted(3600));
    assert_eq!(fates(&desk), [Fate::Takes, Fate::Takes]);
    assert!(desk.served.is_empty());
}

#[test]
fn a_drain_ends_with_what_is_being_tried() {
    let mut desk = holding(true);
    desk.hold.insert(Step::Send);
    let entered = desk.enter(false);
    desk.tell(Event::Drain);
    desk.hold.clear();
    desk.answer(granted(3600));
    desk.token(entered);
    assert!(desk.engine.is_settled());
}

#[test]
fn a_refused_login_stays_refused_when_a_refresh_token_is_entered_that_may_be_spent() {
    let mut desk = Desk::with(plan());
    desk.answers.extend([
        ProviderAnswer::CredentialRejected,
        ProviderAnswer::MaybeSent,
    ]);
    desk.get();
    let entered = desk.enter(true);
    assert_eq!(desk.unproven(entered).1, Keeping::InPlace);
    desk.tell(Event::Replan {
        account: A,
        plan: plan(),
        can_login: true,
        cured: false,
    });
    desk.advance(secs(86_400));
    let get = desk.get();
    desk.fault(get);
    assert_eq!(desk.kinds(), [AttemptKind::Login, AttemptKind::Refresh]);
    assert_eq!(desk.store[&A].block, Some(Block::CredentialRejected));
    assert!(desk.store[&A].no_verdict.login_refused);
}

#[test]
fn a_reload_with_a_tighter_pace_ends_a_trial_before_it_is_sent() {
    let mut desk = holding(true);
    desk.hold.insert(Step::Claim);
    let entered = desk.enter(false);
    let narrow = AccountPlan {
        logins: rate(1, secs(86_400)),
        ..plan()
    };
    desk.tell(Event::Replan {
        account: A,
        plan: narrow,
        can_login: true,
        cured: false,
    });
    desk.hold.clear();
    desk.let_go();
    assert!(matches!(
        desk.verdict(entered),
        Some(Verdict::Token(_) | Verdict::Fault(WaiterFault::Paced { .. }))
    ));
}

#[test]
fn whoever_enters_something_is_told_at_once_when_the_host_is_used_up() {
    let mut desk = Desk::new();
    desk.host(1, secs(600), 1);
    desk.adopt(A, plan(), true, false);
    let first = desk.get();
    desk.token(first);
    let before = desk.store[&A].clone();
    let entered = desk.enter(false);
    assert!(matches!(
        desk.fault(entered),
        WaiterFault::Paced {
            by: Pace::Host(_),
            ..
        }
    ));
    assert_eq!(desk.store[&A], before);
    assert!(desk.engine.is_settled());
}

#[test]
fn a_refresh_token_that_is_granted_says_nothing_of_whether_a_login_is_possible() {
    let mut desk = holding(true);
    desk.hold.insert(Step::Send);
    desk.force(0);
    desk.forget();
    let waiter = WaiterId(99);
    desk.tell(Event::Entered {
        account: A,
        waiter,
        demand: Demand {
            min_validity: None,
            start_by: desk.at(0),
            answer_by: desk.at(60),
        },
        refresh_token: true,
        // As it was when it was entered: what `forget` drops was still there.
        can_login: true,
    });
    desk.hold.clear();
    desk.answer(granted(3600));
    desk.token(waiter);
    desk.answers.push_back(ProviderAnswer::RefreshRejected);
    let next = desk.force(0);
    assert_eq!(
        desk.fault(next),
        WaiterFault::LoginRequired(Missing::RefreshRejected)
    );
    assert_eq!(desk.kinds().last(), Some(&AttemptKind::Refresh));
}

/// What came of the refresh token that is held when it was entered again.
fn entered_again(answer: ProviderAnswer) -> (Keeping, Desk) {
    let mut desk = holding(true);
    desk.hold.insert(Step::Claim);
    let entered = desk.enter(true);
    let Some(Effect::Claim(key, id, ..)) = desk.held.pop_front() else {
        panic!("nothing is claimed");
    };
    desk.hold.clear();
    desk.answers.push_back(answer);
    desk.tell(Event::EnteredAgain(key, id));
    desk.tell(Event::Claimed(key, id, Ok(())));
    (desk.unproven(entered).1, desk)
}

#[test]
fn what_comes_of_a_refresh_token_that_is_entered_again_came_of_the_one_held() {
    for answer in UNKNOWN {
        let (kept, mut desk) = entered_again(answer);
        assert_eq!((kept, desk.store[&A].spare), (Keeping::InPlace, false));
        assert!(desk.store[&A].refresh.is_some_and(|it| it.in_doubt));
        desk.advance(secs(3600));
        let next = desk.force(0);
        desk.token(next);
        assert_eq!(desk.kinds()[2], AttemptKind::Login, "it is not sent again");
    }
    let (kept, desk) = entered_again(ProviderAnswer::RefreshRejected);
    assert_eq!((kept, desk.store[&A].spare), (Keeping::Dropped, false));
    assert!(desk.store[&A].refresh.is_some_and(|it| it.refused));
    let (kept, desk) = entered_again(ProviderAnswer::Renewed {
        refresh_lifetime: None,
        misconfigured: false,
    });
    assert_eq!((kept, desk.store[&A].spare), (Keeping::InPlace, false));
    assert!(desk.store[&A].refresh.is_some_and(|it| !it.in_doubt));
}

#[test]
fn what_was_kept_beside_is_used_when_the_password_is_refused_and_not_when_the_request_is_wrong() {
    for (answer, used) in [
        (ProviderAnswer::CredentialRejected, true),
        (ProviderAnswer::Misconfigured, false),
    ] {
        let reuse = Reuse::Rotates;
        let mut desk = Desk::with(AccountPlan { reuse, ..plan() });
        let first = desk.get();
        desk.token(first);
        desk.answers.extend([
            ProviderAnswer::MaybeSent,
            ProviderAnswer::RefreshRejected,
            answer,
        ]);
        let entered = desk.enter(true);
        assert_eq!(desk.unproven(entered).1, Keeping::Beside);
        desk.force(0);
        desk.advance(secs(60));
        assert_eq!(desk.store[&A].spare, !used);
        assert_eq!(desk.store[&A].block.is_none(), used);
        assert_eq!(desk.kinds().last() == Some(&AttemptKind::Refresh), used);
    }
}

#[test]
fn a_successor_kept_beside_was_never_sent_and_is_not_given_up_for_one_that_was() {
    for died in [false, true] {
        let mut desk = holding(true);
        desk.answers.push_back(ProviderAnswer::Renewed {
            refresh_lifetime: None,
            misconfigured: false,
        });
        let entered = desk.enter(true);
        assert_eq!(desk.unproven(entered).1, Keeping::Beside);
        assert!(desk.store[&A].spare_unsent);
        if died {
            desk.hold.insert(Step::Send);
            desk.enter(true);
            desk.hold.clear();
            desk.crash(plan(), true, false);
        } else {
            desk.answers.push_back(ProviderAnswer::MaybeSent);
            let entered = desk.enter(true);
            assert_eq!(desk.unproven(entered).1, Keeping::Dropped);
        }
        assert!(desk.store[&A].spare && desk.store[&A].spare_unsent);
        desk.answers.extend([
            ProviderAnswer::RefreshRejected,
            ProviderAnswer::CredentialRejected,
        ]);
        desk.advance(secs(60));
        desk.force(0);
        desk.advance(secs(60));
        let next = desk.force(0);
        desk.token(next);
        assert_eq!(desk.kinds().last(), Some(&AttemptKind::Refresh));
        assert_eq!(fates(&desk).last(), Some(&Fate::SpareTakes));
    }
}
