//! A login that was refused is remembered whatever becomes of refresh tokens.

use tokend_engine::{
    AccountPlan, AttemptKind, Block, Event, Keeping, Missing, ProviderAnswer, RefreshPolicy, Reuse,
    WaiterFault, Want,
};

use crate::harness::{A, Bench, Step, granted, plan, secs};

/// A bench whose login the provider refused, or called wrong, and which a refresh token then brought a token that is over.
fn refused_and_then_refreshed(answer: ProviderAnswer) -> Bench {
    let mut bench = Bench::with(plan());
    bench.answers.push_back(answer);
    bench.get();
    bench.answers.push_back(granted(60));
    let entered = bench.enter(true);
    bench.token(entered);
    assert_eq!(bench.store[&A].block, None);
    bench.advance(secs(60));
    bench
}

#[test]
fn a_refused_login_is_not_made_again_when_a_refresh_token_granted_since_is_refused() {
    for (answer, fault) in [
        (
            ProviderAnswer::CredentialRejected,
            WaiterFault::LoginRequired(Missing::CredentialRejected),
        ),
        (ProviderAnswer::Misconfigured, WaiterFault::Misconfigured),
    ] {
        for died in [false, true] {
            let mut bench = refused_and_then_refreshed(answer);
            if died {
                bench.crash(plan(), true, false);
            }
            bench.answers.push_back(ProviderAnswer::RefreshRejected);
            let get = bench.get();
            assert_eq!(bench.fault(get), fault);
            bench.advance(secs(86_400));
            assert_eq!(
                bench.kinds(),
                [
                    AttemptKind::Login,
                    AttemptKind::Refresh,
                    AttemptKind::Refresh
                ],
                "{answer:?}"
            );
            // A person says so, and the next one is made; what changed in the configuration says it too.
            match died {
                true => bench.crash(plan(), true, true),
                false => bench.advance(secs(1)),
            }
            let forced = bench.force(0);
            bench.token(forced);
            assert_eq!(bench.kinds().last(), Some(&AttemptKind::Login));
            assert_eq!(bench.view().no_verdict, Default::default());
        }
    }
}

#[test]
fn a_wish_whose_login_was_refused_has_no_second_one_when_another_refresh_token_is() {
    for died in [false, true] {
        let plan = AccountPlan {
            reuse: Reuse::Rotates,
            refresh: RefreshPolicy::OnDemand,
            ..plan()
        };
        let mut bench = Bench::with(plan);
        bench.answers.push_back(granted(60));
        bench.get();
        bench.answers.extend([
            ProviderAnswer::MaybeSent,
            ProviderAnswer::RefreshRejected,
            ProviderAnswer::Unrecognised,
        ]);
        let entered = bench.enter(true);
        assert_eq!(bench.unproven(entered).1, Keeping::Beside);
        bench.advance(secs(60));
        bench.force(0);
        assert!(bench.view().no_verdict.logins_from.is_some());
        bench.answers.push_back(ProviderAnswer::CredentialRejected);
        bench.hold.insert(Step::Commit);
        let forced = bench.force(30);
        // The other refresh token is taken into use, and about to be presented.
        bench.hold = [Step::Claim].into();
        bench.let_go();
        assert!(!bench.store[&A].spare);
        bench.hold.clear();
        if died {
            bench.crash(plan, true, false);
        }
        bench.answers.push_back(ProviderAnswer::RefreshRejected);
        bench.let_go();
        use AttemptKind::{Login, Refresh};
        let again = bench.want(A, Want::Get, None, 60, 60);
        bench.advance(secs(60));
        let missing = WaiterFault::LoginRequired(Missing::CredentialRejected);
        assert_eq!(bench.fault(again), missing);
        assert!(died || bench.fault(forced) == missing);
        assert_eq!(
            bench.kinds(),
            [Login, Refresh, Refresh, Login, Login, Refresh]
        );
    }
}

#[test]
fn a_person_who_wants_a_new_token_has_a_refused_login_made_only_when_no_refresh_can_be() {
    let reuse = Reuse::Rotates;
    let mut bench = Bench::with(AccountPlan { reuse, ..plan() });
    bench.answers.extend([
        ProviderAnswer::CredentialRejected,
        ProviderAnswer::MaybeSent,
    ]);
    bench.get();
    // The refresh token may be spent, and may be presented again: the account is not blocked any more.
    let entered = bench.enter(true);
    assert_eq!(bench.unproven(entered).1, Keeping::InPlace);
    assert_eq!(bench.store[&A].block, None);
    bench.answers.push_back(ProviderAnswer::RefreshRejected);
    let first = bench.force(0);
    let missing = WaiterFault::LoginRequired(Missing::CredentialRejected);
    assert_eq!(bench.fault(first), missing);
    let second = bench.force(0);
    bench.token(second);
    use AttemptKind::{Login, Refresh};
    assert_eq!(bench.kinds(), [Login, Refresh, Refresh, Login]);
}

#[test]
fn a_refusal_of_a_refresh_says_nothing_of_logins() {
    let mut bench = Bench::with(plan());
    bench.get();
    // The client's secret, which is right again at the provider.
    bench.answers.push_back(ProviderAnswer::CredentialRejected);
    bench.force(0);
    assert_eq!(bench.view().block, Some(Block::CredentialRejected));
    let forced = bench.force(0);
    bench.token(forced);
    bench.answers.push_back(ProviderAnswer::RefreshRejected);
    let forced = bench.force(0);
    bench.token(forced);
    use AttemptKind::{Login, Refresh};
    assert_eq!(bench.kinds(), [Login, Refresh, Refresh, Refresh, Login]);
}

#[test]
fn an_entered_password_that_the_provider_takes_is_not_held_against_for_the_refused_one() {
    let mut bench = refused_and_then_refreshed(ProviderAnswer::CredentialRejected);
    bench.answers.extend([
        ProviderAnswer::RefreshRejected,
        ProviderAnswer::Renewed {
            refresh_lifetime: None,
            misconfigured: false,
        },
    ]);
    bench.get();
    let entered = bench.enter(false);
    assert_eq!(bench.unproven(entered).1, Keeping::InPlace);
    bench.answers.push_back(ProviderAnswer::RefreshRejected);
    bench.advance(secs(60));
    let get = bench.get();
    bench.token(get);
    assert_eq!(bench.kinds().last(), Some(&AttemptKind::Login));
}

#[test]
fn what_was_asked_for_otherwise_is_not_served_because_of_a_login_that_was_refused() {
    let plan = AccountPlan {
        refresh: RefreshPolicy::OnDemand,
        refresh_needs_access: true,
        ..plan()
    };
    let mut bench = Bench::with(plan);
    bench.answers.push_back(ProviderAnswer::CredentialRejected);
    bench.get();
    let entered = bench.enter(true);
    bench.token(entered);
    bench.tell(Event::Outdated {
        account: A,
        by_login: false,
        by_refresh: true,
    });
    let get = bench.get();
    bench.token(get);
    assert_eq!(
        bench.kinds(),
        [
            AttemptKind::Login,
            AttemptKind::Refresh,
            AttemptKind::Refresh
        ]
    );
}
