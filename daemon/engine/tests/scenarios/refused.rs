//! A login that was refused is remembered whatever becomes of refresh tokens.

use tokend_engine::{
    AccountPlan, AttemptKind, Block, Event, Keeping, Missing, ProviderAnswer, RefreshPolicy, Reuse,
    WaiterFault, Want,
};

use crate::harness::{A, Desk, Step, granted, plan, secs};

/// A desk whose login the provider refused, or called wrong, and which a refresh token then brought a token that is over.
fn refused_and_then_refreshed(answer: ProviderAnswer) -> Desk {
    let mut desk = Desk::with(plan());
    desk.answers.push_back(answer);
    desk.get();
    desk.answers.push_back(granted(60));
    let entered = desk.enter(true);
    desk.token(entered);
    assert_eq!(desk.store[&A].block, None);
    desk.advance(secs(60));
    desk
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
            let mut desk = refused_and_then_refreshed(answer);
            if died {
                desk.crash(plan(), true, false);
            }
            desk.answers.push_back(ProviderAnswer::RefreshRejected);
            let get = desk.get();
            assert_eq!(desk.fault(get), fault);
            desk.advance(secs(86_400));
            assert_eq!(
                desk.kinds(),
                [
                    AttemptKind::Login,
                    AttemptKind::Refresh,
                    AttemptKind::Refresh
                ],
                "{answer:?}"
            );
            // A person says so, and the next one is made; what changed in the configuration says it too.
            match died {
                true => desk.crash(plan(), true, true),
                false => desk.advance(secs(1)),
            }
            let forced = desk.force(0);
            desk.token(forced);
            assert_eq!(desk.kinds().last(), Some(&AttemptKind::Login));
            assert_eq!(desk.view().no_verdict, Default::default());
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
        let mut desk = Desk::with(plan);
        desk.answers.push_back(granted(60));
        desk.get();
        desk.answers.extend([
            ProviderAnswer::MaybeSent,
            ProviderAnswer::RefreshRejected,
            ProviderAnswer::Unrecognised,
        ]);
        let entered = desk.enter(true);
        assert_eq!(desk.unproven(entered).1, Keeping::Beside);
        desk.advance(secs(60));
        desk.force(0);
        assert!(desk.view().no_verdict.logins_from.is_some());
        desk.answers.push_back(ProviderAnswer::CredentialRejected);
        desk.hold.insert(Step::Commit);
        let forced = desk.force(30);
        // The other refresh token is taken into use, and about to be presented.
        desk.hold = [Step::Claim].into();
        desk.let_go();
        assert!(!desk.store[&A].spare);
        desk.hold.clear();
        if died {
            desk.crash(plan, true, false);
        }
        desk.answers.push_back(ProviderAnswer::RefreshRejected);
        desk.let_go();
        use AttemptKind::{Login, Refresh};
        let again = desk.want(A, Want::Get, None, 60, 60);
        desk.advance(secs(60));
        let missing = WaiterFault::LoginRequired(Missing::CredentialRejected);
        assert_eq!(desk.fault(again), missing);
        assert!(died || desk.fault(forced) == missing);
        assert_eq!(
            desk.kinds(),
            [Login, Refresh, Refresh, Login, Login, Refresh]
        );
    }
}

#[test]
fn a_person_who_wants_a_new_token_has_a_refused_login_made_only_when_no_refresh_can_be() {
    let reuse = Reuse::Rotates;
    let mut desk = Desk::with(AccountPlan { reuse, ..plan() });
    desk.answers.extend([
        ProviderAnswer::CredentialRejected,
        ProviderAnswer::MaybeSent,
    ]);
    desk.get();
    // The refresh token may be spent, and may be presented again: the account is not blocked any more.
    let entered = desk.enter(true);
    assert_eq!(desk.unproven(entered).1, Keeping::InPlace);
    assert_eq!(desk.store[&A].block, None);
    desk.answers.push_back(ProviderAnswer::RefreshRejected);
    let first = desk.force(0);
    let missing = WaiterFault::LoginRequired(Missing::CredentialRejected);
    assert_eq!(desk.fault(first), missing);
    let second = desk.force(0);
    desk.token(second);
    use AttemptKind::{Login, Refresh};
    assert_eq!(desk.kinds(), [Login, Refresh, Refresh, Login]);
}

#[test]
fn a_refusal_of_a_refresh_says_nothing_of_logins() {
    let mut desk = Desk::with(plan());
    desk.get();
    // The client's secret, which is right again at the provider.
    desk.answers.push_back(ProviderAnswer::CredentialRejected);
    desk.force(0);
    assert_eq!(desk.view().block, Some(Block::CredentialRejected));
    let forced = desk.force(0);
    desk.token(forced);
    desk.answers.push_back(ProviderAnswer::RefreshRejected);
    let forced = desk.force(0);
    desk.token(forced);
    use AttemptKind::{Login, Refresh};
    assert_eq!(desk.kinds(), [Login, Refresh, Refresh, Refresh, Login]);
}

#[test]
fn an_entered_password_that_the_provider_takes_is_not_held_against_for_the_refused_one() {
    let mut desk = refused_and_then_refreshed(ProviderAnswer::CredentialRejected);
    desk.answers.extend([
        ProviderAnswer::RefreshRejected,
        ProviderAnswer::Renewed {
            refresh_lifetime: None,
            misconfigured: false,
        },
    ]);
    desk.get();
    let entered = desk.enter(false);
    assert_eq!(desk.unproven(entered).1, Keeping::InPlace);
    desk.answers.push_back(ProviderAnswer::RefreshRejected);
    desk.advance(secs(60));
    let get = desk.get();
    desk.token(get);
    assert_eq!(desk.kinds().last(), Some(&AttemptKind::Login));
}

#[test]
fn what_was_asked_for_otherwise_is_not_served_because_of_a_login_that_was_refused() {
    let plan = AccountPlan {
        refresh: RefreshPolicy::OnDemand,
        refresh_needs_access: true,
        ..plan()
    };
    let mut desk = Desk::with(plan);
    desk.answers.push_back(ProviderAnswer::CredentialRejected);
    desk.get();
    let entered = desk.enter(true);
    desk.token(entered);
    desk.tell(Event::Outdated {
        account: A,
        by_login: false,
        by_refresh: true,
    });
    let get = desk.get();
    desk.token(get);
    assert_eq!(
        desk.kinds(),
        [
            AttemptKind::Login,
            AttemptKind::Refresh,
            AttemptKind::Refresh
        ]
    );
}
