//! A refresh that may have ended the token held: it is not served before that is known, and the question is settled soon.

use tokend_engine::{
    AccountPlan, AttemptKind, Durable, Effect, Problem, ProviderAnswer, RefreshPolicy, Reuse,
    WaiterFault, Want, Withheld,
};

use crate::harness::{A, Desk, Step, granted, plan, secs};

/// Refreshes end the token before.
fn ends() -> AccountPlan {
    AccountPlan {
        refresh_ends_access: true,
        reuse: Reuse::Rotates,
        ..plan()
    }
}

/// A desk that serves a token of an hour, with a refresh held back that is on its way.
fn under_way(plan: AccountPlan) -> Desk {
    let mut desk = Desk::with(plan);
    let first = desk.get();
    desk.token(first);
    desk.hold.insert(Step::Send);
    desk.want(A, Want::Forced, None, 0, 60);
    assert_eq!(desk.kinds(), [AttemptKind::Login, AttemptKind::Refresh]);
    desk
}

/// A desk whose account has what a person entered and nothing else, and a refresh of that in doubt.
fn doubted(plan: AccountPlan) -> Desk {
    let mut desk = Desk::new();
    desk.adopt(A, plan, false, false);
    let entered = desk.enter(true);
    desk.token(entered);
    desk.answers.push_back(ProviderAnswer::MaybeSent);
    desk.force(0);
    desk
}

fn renewed() -> ProviderAnswer {
    ProviderAnswer::Renewed {
        refresh_lifetime: None,
        misconfigured: false,
    }
}

/// What leaves it open whether the token held was ended.
const UNKNOWN: [ProviderAnswer; 2] = [
    ProviderAnswer::MaybeSent,
    ProviderAnswer::Misbehaved {
        maybe_processed: true,
    },
];

#[test]
fn while_a_refresh_is_under_way_that_ends_the_token_held_it_is_not_served() {
    let mut desk = under_way(ends());
    assert!(desk.served.is_empty() && desk.view().held.is_none());
    let get = desk.get();
    assert!(desk.verdict(get).is_none(), "waits for what comes of it");
    desk.answer(granted(3600));
    desk.token(get);
    let mut desk = under_way(plan());
    assert!(desk.served.contains_key(&A), "where refreshes end nothing");
    let get = desk.get();
    desk.token(get);
}

#[test]
fn what_was_certainly_not_processed_has_ended_nothing() {
    for answer in [
        ProviderAnswer::NotSent,
        ProviderAnswer::Busy { retry_after: None },
        ProviderAnswer::RefreshRejected,
        ProviderAnswer::CredentialRejected,
        ProviderAnswer::Misconfigured,
        ProviderAnswer::Unrecognised,
        ProviderAnswer::Misbehaved {
            maybe_processed: false,
        },
    ] {
        let mut desk = under_way(ends());
        let (get, forced) = (desk.get(), desk.want(A, Want::Forced, None, 0, 60));
        let before = desk.store[&A].held.map(|held| held.grant);
        desk.answer(answer);
        assert_eq!(Some(desk.token(get)), before, "{answer:?}");
        assert!(
            !matches!(desk.verdict(forced), Some(tokend_engine::Verdict::Token(grant)) if Some(grant) == before),
            "who wants another one does not get the same: {answer:?}"
        );
        assert!(desk.served.contains_key(&A), "{answer:?}");
    }
}

#[test]
fn a_token_that_may_have_been_ended_is_not_served_and_the_question_is_settled_soon() {
    for refresh in [RefreshPolicy::Auto, RefreshPolicy::Always] {
        for (reuse, kind) in [
            (Reuse::None, AttemptKind::Refresh),
            (Reuse::Rotates, AttemptKind::Refresh),
            (Reuse::Unknown, AttemptKind::Login),
            (Reuse::RotatesAndReuseRevokes, AttemptKind::Login),
        ] {
            for answer in UNKNOWN.into_iter().chain([renewed()]) {
                let plan = AccountPlan {
                    refresh,
                    reuse,
                    ..ends()
                };
                let mut desk = under_way(plan);
                desk.hold.clear();
                desk.answer(answer);
                assert!(desk.served.is_empty(), "{answer:?}");
                let get = desk.get();
                assert!(matches!(desk.fault(get), WaiterFault::Failed { .. }));
                assert_eq!(
                    desk.engine.withheld(A, desk.at(0)),
                    Some(Withheld::PerhapsEnded)
                );
                // Nobody asks.
                desk.advance(secs(30));
                let kind = match answer {
                    ProviderAnswer::Renewed { .. } => AttemptKind::Refresh,
                    _ => kind,
                };
                assert_eq!(desk.kinds()[2..], [kind], "{reuse:?} {answer:?}");
                assert!(desk.served.contains_key(&A));
                assert_eq!(desk.engine.withheld(A, desk.at(0)), None);
            }
        }
    }
}

#[test]
fn a_death_with_a_refresh_under_way_leaves_the_token_unserved_across_further_deaths() {
    for step in [Step::Send, Step::Commit] {
        let mut desk = Desk::with(ends());
        let first = desk.get();
        desk.token(first);
        desk.hold.insert(step);
        desk.force(0);
        desk.hold.clear();
        for _ in 0..3 {
            // The provider is not reached, and the intent is gone with that.
            desk.answers = [ProviderAnswer::NotSent].into();
            desk.crash(ends(), true, false);
            assert!(desk.served.is_empty(), "{step:?}");
            let stored = &desk.store[&A];
            assert!(stored.intent.is_none() && stored.overtaken && stored.held.is_some());
        }
        desk.crash(ends(), true, false);
        desk.advance(secs(60));
        assert!(desk.served.contains_key(&A), "settled without being asked");
    }
}

#[test]
fn what_is_known_of_one_refresh_says_nothing_of_the_one_before() {
    let mut desk = under_way(ends());
    desk.answer(ProviderAnswer::MaybeSent);
    for answer in [
        ProviderAnswer::NotSent,
        ProviderAnswer::Busy { retry_after: None },
        ProviderAnswer::Unrecognised,
    ] {
        desk.want(A, Want::Forced, None, 0, 60);
        desk.answer(answer);
        assert!(desk.served.is_empty(), "{answer:?}");
    }
    // Refused, since the one before was processed after all.
    desk.want(A, Want::Forced, None, 0, 60);
    desk.answer(ProviderAnswer::RefreshRejected);
    assert!(desk.served.is_empty());
    desk.hold.clear();
    desk.let_go();
    desk.advance(secs(60));
    assert!(desk.served.contains_key(&A));
    assert_eq!(desk.kinds().last(), Some(&AttemptKind::Login));
}

#[test]
fn with_nothing_to_settle_it_with_the_account_waits_for_a_person_and_the_token_is_not_served() {
    let plan = AccountPlan {
        reuse: Reuse::RotatesAndReuseRevokes,
        ..ends()
    };
    let mut desk = doubted(plan);
    assert!(desk.served.is_empty());
    let get = desk.get();
    assert!(matches!(desk.fault(get), WaiterFault::LoginRequired(_)));
    desk.crash(plan, false, false);
    assert!(desk.served.is_empty());
    // A dialect that is corrected says that refreshes end nothing.
    desk.crash(
        AccountPlan {
            refresh_ends_access: false,
            ..plan
        },
        false,
        false,
    );
    assert!(desk.served.contains_key(&A));
}

#[test]
fn a_refresh_that_needs_the_token_is_made_with_the_one_that_may_have_been_ended() {
    let plan = AccountPlan {
        refresh_needs_access: true,
        ..ends()
    };
    let mut desk = doubted(plan);
    desk.crash(plan, false, false);
    assert!(desk.served.is_empty());
    desk.advance(secs(60));
    assert_eq!(desk.kinds(), [AttemptKind::Refresh; 3]);
    assert!(desk.served.contains_key(&A));
}

#[test]
fn on_demand_settles_it_when_somebody_asks_and_serves_nothing_before() {
    let mut desk = under_way(AccountPlan {
        refresh: RefreshPolicy::OnDemand,
        ..ends()
    });
    desk.hold.clear();
    desk.answer(ProviderAnswer::MaybeSent);
    desk.advance(secs(600));
    assert_eq!(desk.kinds().len(), 2);
    assert!(desk.served.is_empty());
    let get = desk.get();
    desk.token(get);
    assert_eq!(desk.kinds().len(), 3);
}

#[test]
fn the_question_ends_with_the_life_of_the_token_it_is_about() {
    let mut desk = under_way(ends());
    desk.hold.clear();
    desk.answers.extend([ProviderAnswer::NotSent; 1_000]);
    desk.answer(ProviderAnswer::MaybeSent);
    desk.advance(secs(7_200));
    let tried = desk.sent().len();
    desk.advance(secs(86_400));
    assert_eq!(desk.sent().len(), tried, "nobody asks for it");
}

#[test]
fn what_a_person_enters_is_another_grant_and_ends_nothing_before_it_is_granted() {
    let mut desk = Desk::with(ends());
    let first = desk.get();
    let before = desk.token(first);
    desk.answers.push_back(ProviderAnswer::MaybeSent);
    desk.enter(true);
    assert_eq!(desk.served[&A].held.grant, before);
    // Entered again, it is the one that is held.
    desk.hold.insert(Step::Claim);
    let entered = desk.enter(true);
    let id = desk
        .log
        .iter()
        .rev()
        .find_map(|(_, effect)| match effect {
            Effect::Claim(_, id, ..) => Some(*id),
            _ => None,
        })
        .expect("it is claimed");
    desk.tell(tokend_engine::Event::EnteredAgain(A, id));
    desk.answers.push_back(ProviderAnswer::MaybeSent);
    desk.hold.clear();
    desk.let_go();
    assert!(desk.verdict(entered).is_some());
    assert!(desk.served.is_empty());
}

#[test]
fn a_store_that_refuses_brings_no_ended_token_back() {
    let mut desk = under_way(ends());
    desk.refuse.insert(Step::Commit);
    desk.answer(ProviderAnswer::MaybeSent);
    desk.advance(secs(600));
    assert!(desk.served.is_empty());
    assert_eq!(desk.sent().len(), 2);
    assert_eq!(desk.view().problem, Some(Problem::InDoubt));
}

#[test]
fn records_from_before_know_of_no_such_refresh() {
    assert!(!Durable::default().overtaken);
}
