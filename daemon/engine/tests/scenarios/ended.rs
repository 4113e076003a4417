//! A refresh that may have ended the token held: it is not served before that is known, and the question is settled soon.

use tokend_engine::{
    AccountPlan, AttemptKind, Durable, Effect, Problem, ProviderAnswer, RefreshPolicy, Reuse,
    WaiterFault, Want, Withheld,
};

use crate::harness::{A, Bench, Step, granted, plan, secs};

/// Refreshes end the token before.
fn ends() -> AccountPlan {
    AccountPlan {
        refresh_ends_access: true,
        reuse: Reuse::Rotates,
        ..plan()
    }
}

/// A bench that serves a token of an hour, with a refresh held back that is on its way.
fn in_flight(plan: AccountPlan) -> Bench {
    let mut bench = Bench::with(plan);
    let first = bench.get();
    bench.token(first);
    bench.hold.insert(Step::Send);
    bench.want(A, Want::Forced, None, 0, 60);
    assert_eq!(bench.kinds(), [AttemptKind::Login, AttemptKind::Refresh]);
    bench
}

/// A bench whose account has what a person entered and nothing else, and a refresh of that in doubt.
fn doubted(plan: AccountPlan) -> Bench {
    let mut bench = Bench::new();
    bench.adopt(A, plan, false, false);
    let entered = bench.enter(true);
    bench.token(entered);
    bench.answers.push_back(ProviderAnswer::MaybeSent);
    bench.force(0);
    bench
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
    let mut bench = in_flight(ends());
    assert!(bench.served.is_empty() && bench.view().held.is_none());
    let get = bench.get();
    assert!(bench.verdict(get).is_none(), "waits for what comes of it");
    bench.answer(granted(3600));
    bench.token(get);
    let mut bench = in_flight(plan());
    assert!(bench.served.contains_key(&A), "where refreshes end nothing");
    let get = bench.get();
    bench.token(get);
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
        let mut bench = in_flight(ends());
        let (get, forced) = (bench.get(), bench.want(A, Want::Forced, None, 0, 60));
        let before = bench.store[&A].held.map(|held| held.grant);
        bench.answer(answer);
        assert_eq!(Some(bench.token(get)), before, "{answer:?}");
        assert!(
            !matches!(bench.verdict(forced), Some(tokend_engine::Verdict::Token(grant)) if Some(grant) == before),
            "who wants another one does not get the same: {answer:?}"
        );
        assert!(bench.served.contains_key(&A), "{answer:?}");
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
                let mut bench = in_flight(plan);
                bench.hold.clear();
                bench.answer(answer);
                assert!(bench.served.is_empty(), "{answer:?}");
                let get = bench.get();
                assert!(matches!(bench.fault(get), WaiterFault::Failed { .. }));
                assert_eq!(
                    bench.engine.withheld(A, bench.at(0)),
                    Some(Withheld::PerhapsEnded)
                );
                // Nobody asks.
                bench.advance(secs(30));
                let kind = match answer {
                    ProviderAnswer::Renewed { .. } => AttemptKind::Refresh,
                    _ => kind,
                };
                assert_eq!(bench.kinds()[2..], [kind], "{reuse:?} {answer:?}");
                assert!(bench.served.contains_key(&A));
                assert_eq!(bench.engine.withheld(A, bench.at(0)), None);
            }
        }
    }
}

#[test]
fn a_death_with_a_refresh_under_way_leaves_the_token_unserved_across_further_deaths() {
    for step in [Step::Send, Step::Commit] {
        let mut bench = Bench::with(ends());
        let first = bench.get();
        bench.token(first);
        bench.hold.insert(step);
        bench.force(0);
        bench.hold.clear();
        for _ in 0..3 {
            // The provider is not reached, and the intent is gone with that.
            bench.answers = [ProviderAnswer::NotSent].into();
            bench.crash(ends(), true, false);
            assert!(bench.served.is_empty(), "{step:?}");
            let stored = &bench.store[&A];
            assert!(stored.intent.is_none() && stored.overtaken && stored.held.is_some());
        }
        bench.crash(ends(), true, false);
        bench.advance(secs(60));
        assert!(bench.served.contains_key(&A), "settled without being asked");
    }
}

#[test]
fn what_is_known_of_one_refresh_says_nothing_of_the_one_before() {
    let mut bench = in_flight(ends());
    bench.answer(ProviderAnswer::MaybeSent);
    for answer in [
        ProviderAnswer::NotSent,
        ProviderAnswer::Busy { retry_after: None },
        ProviderAnswer::Unrecognised,
    ] {
        bench.want(A, Want::Forced, None, 0, 60);
        bench.answer(answer);
        assert!(bench.served.is_empty(), "{answer:?}");
    }
    // Refused, since the one before was processed after all.
    bench.want(A, Want::Forced, None, 0, 60);
    bench.answer(ProviderAnswer::RefreshRejected);
    assert!(bench.served.is_empty());
    bench.hold.clear();
    bench.let_go();
    bench.advance(secs(60));
    assert!(bench.served.contains_key(&A));
    assert_eq!(bench.kinds().last(), Some(&AttemptKind::Login));
}

#[test]
fn with_nothing_to_settle_it_with_the_account_waits_for_a_person_and_the_token_is_not_served() {
    let plan = AccountPlan {
        reuse: Reuse::RotatesAndReuseRevokes,
        ..ends()
    };
    let mut bench = doubted(plan);
    assert!(bench.served.is_empty());
    let get = bench.get();
    assert!(matches!(bench.fault(get), WaiterFault::LoginRequired(_)));
    bench.crash(plan, false, false);
    assert!(bench.served.is_empty());
    // A dialect that is corrected says that refreshes end nothing.
    bench.crash(
        AccountPlan {
            refresh_ends_access: false,
            ..plan
        },
        false,
        false,
    );
    assert!(bench.served.contains_key(&A));
}

#[test]
fn a_refresh_that_needs_the_token_is_made_with_the_one_that_may_have_been_ended() {
    let plan = AccountPlan {
        refresh_needs_access: true,
        ..ends()
    };
    let mut bench = doubted(plan);
    bench.crash(plan, false, false);
    assert!(bench.served.is_empty());
    bench.advance(secs(60));
    assert_eq!(bench.kinds(), [AttemptKind::Refresh; 3]);
    assert!(bench.served.contains_key(&A));
}

#[test]
fn on_demand_settles_it_when_somebody_asks_and_serves_nothing_before() {
    let mut bench = in_flight(AccountPlan {
        refresh: RefreshPolicy::OnDemand,
        ..ends()
    });
    bench.hold.clear();
    bench.answer(ProviderAnswer::MaybeSent);
    bench.advance(secs(600));
    assert_eq!(bench.kinds().len(), 2);
    assert!(bench.served.is_empty());
    let get = bench.get();
    bench.token(get);
    assert_eq!(bench.kinds().len(), 3);
}

#[test]
fn the_question_ends_with_the_life_of_the_token_it_is_about() {
    let mut bench = in_flight(ends());
    bench.hold.clear();
    bench.answers.extend([ProviderAnswer::NotSent; 1_000]);
    bench.answer(ProviderAnswer::MaybeSent);
    bench.advance(secs(7_200));
    let tried = bench.sent().len();
    bench.advance(secs(86_400));
    assert_eq!(bench.sent().len(), tried, "nobody asks for it");
}

#[test]
fn what_a_person_enters_is_another_grant_and_ends_nothing_before_it_is_granted() {
    let mut bench = Bench::with(ends());
    let first = bench.get();
    let before = bench.token(first);
    bench.answers.push_back(ProviderAnswer::MaybeSent);
    bench.enter(true);
    assert_eq!(bench.served[&A].held.grant, before);
    // Entered again, it is the one that is held.
    bench.hold.insert(Step::Claim);
    let entered = bench.enter(true);
    let id = bench
        .log
        .iter()
        .rev()
        .find_map(|(_, effect)| match effect {
            Effect::Claim(_, id, ..) => Some(*id),
            _ => None,
        })
        .expect("it is claimed");
    bench.tell(tokend_engine::Event::EnteredAgain(A, id));
    bench.answers.push_back(ProviderAnswer::MaybeSent);
    bench.hold.clear();
    bench.let_go();
    assert!(bench.verdict(entered).is_some());
    assert!(bench.served.is_empty());
}

#[test]
fn a_store_that_refuses_brings_no_ended_token_back() {
    let mut bench = in_flight(ends());
    bench.refuse.insert(Step::Commit);
    bench.answer(ProviderAnswer::MaybeSent);
    bench.advance(secs(600));
    assert!(bench.served.is_empty());
    assert_eq!(bench.sent().len(), 2);
    assert_eq!(bench.view().problem, Some(Problem::InDoubt));
}

#[test]
fn records_from_before_know_of_no_such_refresh() {
    assert!(!Durable::default().overtaken);
}
