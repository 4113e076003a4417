//! A refresh token whose outcome is unknown is kept beside what is held.

use super::*;

#[test]
fn a_refresh_token_whose_outcome_is_unknown_is_kept_beside_what_is_held() {
    for answer in UNKNOWN {
        let mut bench = holding(true);
        let before = bench.store[&A].refresh;
        bench.answers.push_back(answer);
        let entered = bench.enter(true);
        assert_eq!(
            bench.unproven(entered),
            (Unproved::Answered(answer), Keeping::Beside)
        );
        assert!(bench.store[&A].spare);
        assert_eq!(bench.store[&A].refresh, before, "and it is not in doubt");
        assert_eq!(fates(&bench), [Fate::Spared]);
        bench.crash(plan(), true, false);
        let next = bench.force(0);
        bench.token(next);
        assert_eq!(bench.kinds().last(), Some(&AttemptKind::Refresh));
        assert!(bench.store[&A].spare);
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
        let mut bench = Bench::new();
        bench.adopt(A, AccountPlan { reuse, ..plan() }, false, false);
        bench.enter(true);
        bench
            .answers
            .extend([ProviderAnswer::MaybeSent, ProviderAnswer::RefreshRejected]);
        let entered = bench.enter(true);
        assert_eq!(bench.unproven(entered).1, Keeping::Beside);
        let next = bench.force(0);
        match used {
            true => {
                bench.token(next);
                assert_eq!(fates(&bench)[1..], [Fate::Spared, Fate::SpareTakes]);
                assert!(!bench.store[&A].spare);
            }
            false => {
                bench.fault(next);
                assert!(bench.store[&A].spare, "kept for a person who knows more");
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
        let mut bench = Bench::new();
        bench.adopt(A, plan(), false, false);
        bench.answers.push_back(answer);
        let entered = bench.enter(true);
        assert_eq!(bench.unproven(entered).1, Keeping::InPlace, "{answer:?}");
        assert_eq!(fates(&bench), [Fate::Takes]);
        assert!(bench.store[&A].refresh.is_some());
        let in_doubt = bench.store[&A].refresh.unwrap().in_doubt;
        assert_eq!(in_doubt, UNKNOWN.contains(&answer));
    }
    let mut bench = Bench::new();
    bench.adopt(A, plan(), false, false);
    bench.answers.push_back(ProviderAnswer::RefreshRejected);
    let entered = bench.enter(true);
    assert_eq!(bench.unproven(entered).1, Keeping::Dropped);
    assert_eq!(bench.store[&A].refresh, None);
}

/// What came of the refresh token that is held when it was entered again.
fn entered_again(answer: ProviderAnswer) -> (Keeping, Bench) {
    let mut bench = holding(true);
    bench.hold.insert(Step::Claim);
    let entered = bench.enter(true);
    let Some(Effect::Claim(key, id, ..)) = bench.held.pop_front() else {
        panic!("nothing is claimed");
    };
    bench.hold.clear();
    bench.answers.push_back(answer);
    bench.tell(Event::EnteredAgain(key, id));
    bench.tell(Event::Claimed(key, id, Ok(())));
    (bench.unproven(entered).1, bench)
}

#[test]
fn what_comes_of_a_refresh_token_that_is_entered_again_came_of_the_one_held() {
    for answer in UNKNOWN {
        let (kept, mut bench) = entered_again(answer);
        assert_eq!((kept, bench.store[&A].spare), (Keeping::InPlace, false));
        assert!(bench.store[&A].refresh.is_some_and(|it| it.in_doubt));
        bench.advance(secs(3600));
        let next = bench.force(0);
        bench.token(next);
        assert_eq!(bench.kinds()[2], AttemptKind::Login, "it is not sent again");
    }
    let (kept, bench) = entered_again(ProviderAnswer::RefreshRejected);
    assert_eq!((kept, bench.store[&A].spare), (Keeping::Dropped, false));
    assert!(bench.store[&A].refresh.is_some_and(|it| it.refused));
    let (kept, bench) = entered_again(ProviderAnswer::Renewed {
        refresh_lifetime: None,
        misconfigured: false,
    });
    assert_eq!((kept, bench.store[&A].spare), (Keeping::InPlace, false));
    assert!(bench.store[&A].refresh.is_some_and(|it| !it.in_doubt));
}

#[test]
fn what_was_kept_beside_is_used_when_the_password_is_refused_and_not_when_the_request_is_wrong() {
    for (answer, used) in [
        (ProviderAnswer::CredentialRejected, true),
        (ProviderAnswer::Misconfigured, false),
    ] {
        let reuse = Reuse::Rotates;
        let mut bench = Bench::with(AccountPlan { reuse, ..plan() });
        let first = bench.get();
        bench.token(first);
        bench.answers.extend([
            ProviderAnswer::MaybeSent,
            ProviderAnswer::RefreshRejected,
            answer,
        ]);
        let entered = bench.enter(true);
        assert_eq!(bench.unproven(entered).1, Keeping::Beside);
        bench.force(0);
        bench.advance(secs(60));
        assert_eq!(bench.store[&A].spare, !used);
        assert_eq!(bench.store[&A].block.is_none(), used);
        assert_eq!(bench.kinds().last() == Some(&AttemptKind::Refresh), used);
    }
}

#[test]
fn a_successor_kept_beside_was_never_sent_and_is_not_given_up_for_one_that_was() {
    for died in [false, true] {
        let mut bench = holding(true);
        bench.answers.push_back(ProviderAnswer::Renewed {
            refresh_lifetime: None,
            misconfigured: false,
        });
        let entered = bench.enter(true);
        assert_eq!(bench.unproven(entered).1, Keeping::Beside);
        assert!(bench.store[&A].spare_unsent);
        if died {
            bench.hold.insert(Step::Send);
            bench.enter(true);
            bench.hold.clear();
            bench.crash(plan(), true, false);
        } else {
            bench.answers.push_back(ProviderAnswer::MaybeSent);
            let entered = bench.enter(true);
            assert_eq!(bench.unproven(entered).1, Keeping::Dropped);
        }
        assert!(bench.store[&A].spare && bench.store[&A].spare_unsent);
        bench.answers.extend([
            ProviderAnswer::RefreshRejected,
            ProviderAnswer::CredentialRejected,
        ]);
        bench.advance(secs(60));
        bench.force(0);
        bench.advance(secs(60));
        let next = bench.force(0);
        bench.token(next);
        assert_eq!(bench.kinds().last(), Some(&AttemptKind::Refresh));
        assert_eq!(fates(&bench).last(), Some(&Fate::SpareTakes));
    }
}
